"""Artifact paths do not reach MLflow's artifact routes."""

from collections.abc import Iterator

from hokusai_probe.answers import error_code, said
from hokusai_probe.causes._rules import ARTIFACT_PATH, asks_for_key, keyless
from hokusai_probe.causes._words import answered, beside, one_line, previous_revision, word
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.artifact_route import ArtifactRouteFacts, says_no_route
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.multipart_uploads import MultipartUploadsFacts, knows_route
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.probes.versions import VersionsFacts


@cause(
    component="gateway",
    priority="high",
    effort="hours",
    look_alikes={
        "mlflow-artifacts-disabled": "there the answer is 503 and names the switch",
        "gateway-body-limit": "there the answer is 413, above a size",
        "artifact-bucket-access-denied": "there the answer is 500",
        "listener-rule-wrong-target-group": "there the artifact path asks for no key",
    },
    source="INC-09 (its recorded cause, a missing --serve-artifacts, would have answered 503), INC-05, S-06",
)
def gateway_translates_path_wrongly(
    api: MlflowApiFacts,
    registration: RegistrationFacts | None,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
    routes: MlflowRoutesFacts | None,
    sought: ArtifactRouteFacts | None,
    *,
    parts: MultipartUploadsFacts | None,
    versions: VersionsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The gateway hands artifact paths, or those under one of its prefixes, on in a form unknown to MLflow.

    Experiments, runs and models work; storing or fetching an artifact is 404, MLflow's own, handed on by
    the gateway. ``log_metric`` works and ``log_model`` fails. Or everything works under the platform's own
    prefix, and a client that is given the host alone, which asks at ``/api/2.0/mlflow``, gets 404 for
    everything: ``The requested resource was not found: /experiments/search``. Or storing works, and only
    uploads in parts (``/mlflow-artifacts/mpu``) are 404.
    """
    if "api-2.0-mount-strips-prefix" not in target.accept.behaviours:
        yield from _own_path(api, routes, _remedy(definitions, ecs))
    upload = registration.upload if registration else None
    if parts is not None and knows_route(versions) and upload is not None and upload.status == 200:
        yield _in_parts(parts, upload, _remedy(definitions, ecs))
    no_route = bool(says_no_route(upload)) if upload and not upload.failure and api.works else None
    first = keyless(paths, ARTIFACT_PATH)
    asks = beside(no_route, fact=asks_for_key(first.answer))
    by_gateway = upload is not None and error_code(upload) == "RESOURCE_NOT_FOUND"
    yield Case(
        subject="artifacts",
        breaks=("artifact-route",),
        claims=(
            answered(
                "MLflow's REST calls work through the gateway",
                api.works or None,
                api.search,
                "search",
                by=MlflowApiFacts,
            ),
            answered(
                "storing an artifact ends in a 404 for the route" + (f": {said(upload)}" if upload else ""),
                no_route,
                upload,
                "upload",
                by=RegistrationFacts,
                telling=by_gateway or bool(asks),
            ),
            answered(
                f"{ARTIFACT_PATH} leads to the gateway, which asks for a key first",
                asks,
                first.answer,
                first.place,
                by=PublicPathsFacts,
            ),
            *([_sought(sought)] if upload is None and api.works else []),
        ),
        remedy=_remedy(definitions, ecs),
    )


def _own_path(api: MlflowApiFacts, routes: MlflowRoutesFacts | None, remedy: Remedy) -> Iterator[Case]:
    """MLflow's own path is mounted, and something of it is lost on the way (S-06)."""
    answer = routes.own_path if routes else None
    if answer is None:
        return
    lost = answer.status == 404 and error_code(answer) == "RESOURCE_NOT_FOUND"
    yield Case(
        subject=answer.path,
        breaks=("mlflow-api/own-path",),
        claims=(
            answered(
                f"MLflow's REST calls work under {api.prefix}",
                api.works or None,
                api.search,
                "search",
                by=MlflowApiFacts,
            ),
            answered(
                f"the same call at MLflow's own path ends in a 404 for the route: {said(answer)}",
                lost,
                answer,
                "own_path",
                by=MlflowRoutesFacts,
                telling=True,
            ),
        ),
        remedy=remedy,
    )


def _in_parts(parts: MultipartUploadsFacts, upload: Answer, remedy: Remedy) -> Case:
    """An artifact is stored whole, and one in parts is not: its routes are others."""
    return Case(
        subject="uploads in parts",
        breaks=("artifacts/multipart",),
        claims=(
            answered("an artifact is stored whole", 1, upload, "upload", by=RegistrationFacts),
            answered(
                f"beginning an upload in parts ends in a 404 for the route: {said(parts.begun)}",
                bool(says_no_route(parts.begun)),
                parts.begun,
                "begun",
                by=MultipartUploadsFacts,
                telling=True,
            ),
        ),
        remedy=remedy,
    )


def _sought(sought: ArtifactRouteFacts | None) -> Claim:
    """What fetching shows where nothing was stored."""
    told = sought.told if sought else None
    return answered(
        "fetching an artifact ends in a 404 for the route" + (f": {said(told[1])}" if told else ""),
        says_no_route(told[1]) if told else None,
        told[1] if told else None,
        f"answers[{told[0]}]" if told else "",
        by=ArtifactRouteFacts,
    )


def _remedy(definitions: TaskDefinitionsFacts | None, ecs: EcsServicesFacts | None) -> Remedy:
    gateway = definitions.of("gateway") if definitions else None
    url = word(gateway.addresses.get("MLFLOW_SERVER_URL") if gateway else None, "MLFLOW_URL")
    return Remedy(
        kind="outside-aws",
        summary="Mend the gateway's mapping of these paths: at MLflow's own address it is MLflow's path, "
        "unchanged, behind the server's static prefix. From inside the VPC, MLflow itself shows it.",
        before=(one_line(f"curl -sS -i {url}/api/2.0/mlflow-artifacts/artifacts"),),
        rollback=previous_revision(ecs, "gateway"),
        also_touches="Every artifact upload and download.",
        verify="hokusai-probe verify gateway-translates-path-wrongly",
    )
