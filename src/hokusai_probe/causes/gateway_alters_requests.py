"""A request does not arrive at MLflow as it was sent."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hostile_requests import HostileRequestsFacts, lacks_type, type_arrives
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.repeated_parameters import ORDERS, RepeatedParametersFacts, telling, telling_name
from hokusai_probe.probes.versions import VersionsFacts


@cause(
    component="gateway",
    priority="low",
    effort="hours",
    look_alikes={
        "gateway-drops-auth-header": "there the gateway itself misses the key",
        "gateway-translates-path-wrongly": "there the path is another one, and MLflow answers 404",
        "mlflow-version-skew": "there MLflow does not know the call, whoever asks",
    },
    source="contract 4.1: repeated query parameters collapse to the last; MLflow 3.17 as seen",
)
def gateway_alters_requests(
    api: MlflowApiFacts,
    repeated: RepeatedParametersFacts | None,
    routes: MlflowRoutesFacts | None,
    hostile: HostileRequestsFacts | None,
    versions: VersionsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The gateway, or a proxy before MLflow, hands a request on otherwise than it was sent.

    Most calls work, and some do not do what they were told: models come in an order of one key where
    ``order_by`` was given twice, because the query was read into a dictionary. Nothing is refused, so nobody
    learns of it. Or the body's type is another, or lost, and MLflow refuses all that is posted:
    ``Content-Type header is missing``.
    """
    yield from _types(api, routes, hostile, versions, ecs)
    if repeated is not None:
        yield Case(
            subject="repeated query parameters",
            breaks=("mlflow-api/repeats",),
            claims=(_works(api), _repeats(repeated)),
            remedy=_remedy(
                "Have the proxy hand on the query as it was sent, as a list of pairs: in Starlette "
                "request.query_params.multi_items(), not dict(request.query_params).",
                ecs,
            ),
        )


def _types(
    api: MlflowApiFacts,
    routes: MlflowRoutesFacts | None,
    hostile: HostileRequestsFacts | None,
    versions: VersionsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The Content-Type: lost for all that is posted, or replaced, which only a wrong one shows."""
    posted = routes.reads["runs"] if routes else None
    lost = posted is not None and lacks_type(posted)
    replaced = _replaced(hostile, versions)
    if posted is None and replaced is None:
        return
    yield Case(
        subject="Content-Type",
        breaks=(
            "mlflow-api/headers",
            *(("mlflow-api/routes", "mlflow-api/models", "writes") if lost else ()),
        ),
        claims=(_works(api), *([_lost(posted)] if lost or replaced is None else [replaced])),
        remedy=_remedy("Have the proxy hand on the request's headers, Content-Type among them.", ecs),
    )


def _lost(posted: Answer | None) -> Claim:
    return answered(
        "MLflow misses the type of a body that was sent as application/json",
        posted is not None and lacks_type(posted),
        posted,
        "reads.runs",
        by=MlflowRoutesFacts,
        telling=True,
    )


def _replaced(hostile: HostileRequestsFacts | None, versions: VersionsFacts | None) -> Claim | None:
    if hostile is None:
        return None
    server = versions.server if versions else None
    arrives = type_arrives(hostile.untyped, server)
    return answered(
        f"a body that was sent as text/plain: {said(hostile.untyped)}, of MLflow {server or ''}".rstrip(),
        None if arrives is None else not arrives,
        hostile.untyped,
        "untyped",
        by=HostileRequestsFacts,
        telling=True,
    )


def _works(api: MlflowApiFacts) -> Claim:
    text = "MLflow's REST calls work through the gateway"
    return answered(text, api.works or None, api.search, "search", by=MlflowApiFacts)


def _repeats(facts: RepeatedParametersFacts) -> Claim:
    """What MLflow refuses alone and takes beside another parameter of the same name did not arrive."""
    answer, name = telling(facts), telling_name(facts)
    lost = None if facts.missing is None else facts.missing != "none"
    return answered(
        f"searching models by {' and '.join(map(repr, ORDERS[name]))}: {said(answer)}; "
        f"by {ORDERS['alone'][0]!r} alone: {said(facts.answers['alone'])}",
        lost,
        answer,
        f"answers.{name}",
        by=RepeatedParametersFacts,
        telling=True,
    )


def _remedy(summary: str, ecs: EcsServicesFacts | None) -> Remedy:
    return Remedy(
        kind="outside-aws",
        summary=summary,
        rollback=previous_revision(ecs, "gateway"),
        also_touches="Every call of MLflow's API through the gateway.",
        verify="hokusai-probe verify gateway-alters-requests",
    )
