"""Serving artifacts is switched off."""

from collections.abc import Iterator

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._keys import Sighting, seen
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import host_is_refused
from hokusai_probe.declare import Case, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.topology import NAMES

VARIABLE = "MLFLOW_SERVE_ARTIFACTS"
_WHAT = {"upload": "storing an artifact", "listing": "listing artifacts"}
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
    registration: RegistrationFacts | None,
    routes: MlflowRoutesFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """MLflow, or the gateway before it, was started with serving artifacts switched off.

    Runs and models can be registered; each artifact request is 503 with a text that names the switch. Listing
    artifacts is such a request, too, which a key that may only read can send.
    """
    asked = tuple(_asked(registration, routes))
    if not asked:
        return
    shown = next((s for s in asked if _refused(s[2])), asked[0])
    through = any(_refused(s[2]) is False for s in asked)
    service = "gateway" if "ARTIFACTS_DISABLED" in shown[2].body else "mlflow"
    yield Case(
        subject="artifacts",
        breaks=("artifact-route",),
        claims=(
            seen(
                f"{_WHAT[shown[1]]} is refused by the switch: {said(shown[2])}",
                shown,
                holds=True if _refused(shown[2]) else (False if through else None),
                telling=True,
            ),
        ),
        remedy=_remedy(definitions, ecs, service),
    )


def _asked(registration: RegistrationFacts | None, routes: MlflowRoutesFacts | None) -> Iterator[Sighting]:
    if registration is not None and registration.upload is not None:
        yield RegistrationFacts, "upload", registration.upload
    if routes is not None:
        yield MlflowRoutesFacts, "listing", routes.listing


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


def _refused(answer: Answer) -> bool | None:
    """Whether the text names the switch; hidden where the request did not come as far.

    MLflow's Host check refuses before any route is looked at.
    """
    if answer.status == 503 and any(
        word in answer.body for word in ("ARTIFACTS_DISABLED", "serve-artifacts")
    ):
        return True
    came_through = answer.status == 200 or (responder(answer) == "mlflow" and not host_is_refused(answer))
    return False if came_through else None
