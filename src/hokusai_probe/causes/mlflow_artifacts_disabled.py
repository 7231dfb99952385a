"""Serving artifacts is switched off."""

from collections.abc import Iterator

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import host_is_refused
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Case, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.topology import NAMES

VARIABLE = "MLFLOW_SERVE_ARTIFACTS"
_NO = frozenset({"false", "0", "no", "off"})


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
def mlflow_artifacts_disabled(
    registration: RegistrationFacts, definitions: TaskDefinitionsFacts | None, ecs: EcsServicesFacts | None
) -> Iterator[Case]:
    """MLflow, or the gateway before it, was started with serving artifacts switched off.

    Runs and models can be registered; each artifact request is 503 with a text that names the switch.
    """
    upload = registration.upload
    if upload is None:
        return
    service = "gateway" if "ARTIFACTS_DISABLED" in upload.body else "mlflow"
    yield Case(
        subject="artifacts",
        breaks=("artifact-route",),
        claims=(
            answered(
                f"storing an artifact is refused by the switch: {said(upload)}",
                _refused(upload),
                upload,
                "upload",
                by=RegistrationFacts,
                telling=True,
            ),
        ),
        remedy=_remedy(definitions, ecs, service),
    )


def _remedy(definitions: TaskDefinitionsFacts | None, ecs: EcsServicesFacts | None, service: str) -> Remedy:
    """The refusal shows whose switch it is: the gateway has one of its own before MLflow's.

    An option goes before a variable, so the variable mends it for certain only where it says no.
    """
    used = definitions.of(service) if definitions else None
    says_no = used is not None and used.addresses.get(VARIABLE, "").lower() in _NO
    return set_variable(
        used,
        ecs,
        service,
        (VARIABLE, "true"),
        summary=f"Set {VARIABLE} to true for the {NAMES[service]}, and deploy it.",
        verify="hokusai-probe verify mlflow-artifacts-disabled",
        shown="true",
        doubt="" if says_no else "an option of its command or its image's own switches it off",
    )


def _refused(upload: Answer) -> bool | None:
    """Whether the text names the switch; hidden where the request did not come as far.

    MLflow's Host check refuses before any route is looked at.
    """
    if upload.status == 503 and any(
        word in upload.body for word in ("ARTIFACTS_DISABLED", "serve-artifacts")
    ):
        return True
    came_through = upload.status == 200 or (responder(upload) == "mlflow" and not host_is_refused(upload))
    return False if came_through else None
