"""Serving artifacts is switched off."""

from collections.abc import Iterator

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.model_registration import RegistrationFacts


@cause(
    component="mlflow",
    priority="high",
    effort="minutes",
    look_alikes={
        "gateway-translates-path-wrongly": "there the answer is 404",
        "artifact-bucket-access-denied": "there the answer is 500",
    },
    source="contract 4.1 and 4.2: MLflow's 503 names --serve-artifacts, the gateway's ARTIFACTS_DISABLED",
)
def mlflow_artifacts_disabled(registration: RegistrationFacts) -> Iterator[Case]:
    """MLflow, or the gateway before it, was started with serving artifacts switched off.

    Runs and models can be registered; each artifact request is 503 with a text that names the switch.
    """
    upload = registration.upload
    if upload is None:
        return
    yield Case(
        subject="artifacts",
        breaks=("artifact-route",),
        claims=(
            claim(
                f"storing an artifact is refused by the switch: {said(upload)}",
                _refused(upload),
                by=RegistrationFacts,
                fact="upload.status",
                value=upload.status,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="needs-value",
            summary="Set MLFLOW_SERVE_ARTIFACTS to true for the gateway and for MLflow, and deploy.",
            before=("aws ecs describe-task-definition --task-definition <task definition>",),
            aws_cli=(
                "aws ecs register-task-definition --cli-input-json file://with-serve-artifacts.json",
                "aws ecs update-service --cluster <cluster> --service <service> --task-definition <new ARN>",
            ),
            terraform='{ name = "MLFLOW_SERVE_ARTIFACTS", value = "true" }\n',
            rollback="aws ecs update-service with the previous task definition",
            also_touches="A deployment replaces the tasks.",
            verify="hokusai-probe verify mlflow-artifacts-disabled",
        ),
    )


def _refused(upload: Answer) -> bool | None:
    """Whether the text names the switch; hidden where the request did not come as far."""
    if upload.status == 503 and any(
        word in upload.body for word in ("ARTIFACTS_DISABLED", "serve-artifacts")
    ):
        return True
    came_through = upload.status == 200 or responder(upload) == "mlflow"
    return False if came_through else None
