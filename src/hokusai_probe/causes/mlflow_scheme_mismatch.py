"""The gateway and MLflow do not speak the same scheme."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._mlflow_address import VARIABLE, Heard, Told, heard, private_url, told
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow, proxy_gave_up
from hokusai_probe.causes._words import answered, beside, describe_definition, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

SWITCH = "MLFLOW_MTLS_ENABLED"


@cause(
    component="mlflow",
    priority="critical",
    effort="minutes",
    entails=("mlflow-down",),
    look_alikes={
        "gateway-mlflow-url-wrong": "there the name or the port is wrong, and no handshake is ever tried",
        "mlflow-down": "there nobody takes the connection; here it is taken and broken off",
        "security-group-blocks-mlflow": "there connecting times out",
    },
    source="INC-44, INC-46",
)
def mlflow_scheme_mismatch(
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    logs: LogTailsFacts | None,
    routes: MlflowRoutesFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """One side speaks http and the other https, or the gateway does not trust MLflow's certificate.

    https to a server that speaks http is the gateway's 502 ``Failed to connect to MLflow server at https://``,
    with ``WRONG_VERSION_NUMBER`` in its log and ``Invalid HTTP request received`` in MLflow's. A certificate
    that is not trusted is the same 502 with ``CERTIFICATE_VERIFY_FAILED``. http to a server that speaks https
    is the 500 ``Internal server error while proxying to MLflow``: ``RemoteDisconnected``.
    """
    given, how = told(api, paths, definitions), heard(paths, logs)
    symptom = _symptom(api, paths, None if _one_task(ecs) else routes)
    yield Case(
        subject="mlflow",
        breaks=("gateway-to-mlflow",),
        claims=(symptom, _handshake(api, given, symptom, how), _schemes(symptom, given, how, definitions)),
        remedy=_remedy(given, how, definitions, discovery, ecs),
    )


def _symptom(api: MlflowApiFacts, paths: PublicPathsFacts | None, routes: MlflowRoutesFacts | None) -> Claim:
    """The gateway cannot reach MLflow, or not always: while tasks of both kinds run, it depends on which."""
    always = gateway_cannot_reach_mlflow(api, paths)
    reads = routes.reads.items() if routes and always.holds is False else ()
    failed = next(((name, a) for name, a in reads if proxy_gave_up(a) and a.status in {500, 502}), None)
    if failed is None:
        return always
    name, answer = failed
    text = f"the gateway cannot always reach MLflow: {said(answer)}"
    return answered(text, 1, answer, f"reads.{name}", by=MlflowRoutesFacts)


def _one_task(ecs: EcsServicesFacts | None) -> bool:
    """Whether a single task of MLflow runs: it speaks one scheme, and answers always or never."""
    mlflow = ecs.services.get("mlflow") if ecs else None
    return mlflow is not None and (mlflow.running, mlflow.pending, mlflow.deployments) == (1, 0, 1)


def _handshake(api: MlflowApiFacts, given: Told | None, symptom: Claim, how: Heard | None) -> Claim:
    """The connection is taken and what is said on it is not understood.

    No: the gateway's words speak of the name, of connecting or of being late; or it speaks http
    and says that it could not connect, which a server that speaks https does not cause.
    """
    if how is None:
        refused = api.search.status == 502 and proxy_gave_up(api.search)
        plain = given is not None and given.scheme == "http"
        return answered(
            f"speaking to MLflow fails, not connecting: {said(api.search)}",
            False if refused and plain else None,
            api.search,
            "search",
            by=MlflowApiFacts,
        )
    return claim(
        f"speaking to MLflow fails, not connecting: {how.words}",
        beside(symptom.holds, fact=how.how in {"tls", "broken"}),
        by=how.by,
        fact=how.fact,
        value=how.value,
        telling=how.how == "tls",
    )


def _schemes(
    symptom: Claim, given: Told | None, how: Heard | None, definitions: TaskDefinitionsFacts | None
) -> Claim:
    """What both are told. Whether MLflow speaks TLS is only known by the switch being there."""
    mlflow = definitions.of("mlflow") if definitions else None
    switched = SWITCH in mlflow.names if mlflow else None
    if given is None or mlflow is None or switched is None:
        return claim("the gateway's scheme is not the one that MLflow speaks", None, by=TaskDefinitionsFacts)
    other = "has" if switched else "does not have"
    apart = switched == (given.scheme == "http")
    broken = how is not None and how.how in {"tls", "broken"}
    return claim(
        f"the gateway speaks {given.scheme} to MLflow, whose task definition {other} {SWITCH}",
        beside(symptom.holds, fact=True if apart else None),
        by=given.by,
        fact=given.fact,
        value=given.value,
        telling=apart and broken,
        aws_cli=describe_definition(mlflow, "mlflow"),
    )


def _remedy(
    given: Told | None,
    how: Heard | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
) -> Remedy:
    """The other scheme for the gateway; with a certificate that is not trusted, that is no way out."""
    if how is not None and "certificate" in how.words.lower():
        return _trust()
    mlflow = definitions.of("mlflow") if definitions else None
    present = private_url(given.url, mlflow, discovery) or given.url if given else ""
    scheme, rest = present.partition("://")[::2]
    right = f"{'http' if scheme == 'https' else 'https'}://{rest}" if rest else None
    shown = right or "MLflow's address with the scheme that MLflow speaks"
    return set_variable(
        definitions.of("gateway") if definitions else None,
        ecs,
        "gateway",
        (VARIABLE, word(right, "MLFLOW_URL")),
        summary=f"Let both speak the same scheme: register a revision of the gateway's task definition whose "
        f"{VARIABLE} is {shown}, and deploy it. Or change MLflow, its target group's protocol and its health "
        "check together.",
        verify="hokusai-probe verify mlflow-scheme-mismatch",
    )


def _trust() -> Remedy:
    return Remedy(
        kind="outside-aws",
        summary="Give the gateway the authority that signed MLflow's certificate, or MLflow a certificate "
        "for the name that the gateway uses.",
        rollback="Nothing is changed.",
        also_touches="Clients of the gateway's process that were started before keep what they trust.",
        verify="hokusai-probe verify mlflow-scheme-mismatch",
    )
