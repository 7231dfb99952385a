"""Artifact paths do not reach MLflow's artifact routes."""

from collections.abc import Iterator

from hokusai_probe.answers import error_code, responder, said
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts


@cause(
    component="gateway",
    priority="high",
    effort="hours",
    look_alikes={
        "mlflow-artifacts-disabled": "there the answer is 503 and names the switch",
        "gateway-body-limit": "there the answer is 413, above a size",
        "artifact-bucket-access-denied": "there the answer is 500",
        "listener-rule-wrong-target-group": "there no path of MLflow works, and none asks for a key",
    },
    source="INC-09 (its recorded cause, a missing --serve-artifacts, would have answered 503), INC-05, S-06",
)
def gateway_translates_path_wrongly(
    api: MlflowApiFacts, registration: RegistrationFacts | None
) -> Iterator[Case]:
    """The gateway hands artifact paths on in a form that MLflow has no route for.

    Experiments, runs and models work; storing or fetching an artifact is 404, MLflow's own, handed on by
    the gateway. ``log_metric`` works and ``log_model`` fails.
    """
    upload = registration.upload if registration else None
    yield Case(
        subject="artifacts",
        breaks=("artifact-route",),
        claims=(
            claim(
                "MLflow's REST calls work through the gateway",
                api.works or None,
                by=MlflowApiFacts,
                fact="search.status",
                value=api.search.status,
            ),
            _no_route(upload, seen=api.works),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Mend the gateway's mapping of /mlflow-artifacts paths: at MLflow's own address it is "
            "the path unchanged behind the server's static prefix.",
            before=("curl the artifact path on MLflow's private address, from inside the VPC",),
            rollback="Deploy the gateway's previous revision.",
            also_touches="Every artifact upload and download.",
            verify="hokusai-probe verify gateway-translates-path-wrongly",
        ),
    )


def _no_route(upload: Answer | None, *, seen: bool) -> Claim:
    """Hidden where MLflow cannot be reached at all: then everything ends in some 404."""
    return claim(
        "storing an artifact ends in a 404 for the route" + (f": {said(upload)}" if upload else ""),
        _says_no_route(upload) if upload and seen else None,
        by=RegistrationFacts,
        fact="upload.status",
        value=upload.status if upload else None,
        telling=True,
    )


def _says_no_route(upload: Answer) -> bool | None:
    if upload.status == 200:
        return False
    route = error_code(upload) == "RESOURCE_NOT_FOUND" or responder(upload) == "mlflow"
    return True if upload.status == 404 and route else (None if upload.failure else False)
