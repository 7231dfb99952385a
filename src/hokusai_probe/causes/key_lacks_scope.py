"""A key that may read only."""

from collections.abc import Iterator

from hokusai_probe.answers import error_code, said
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.model_registration import RegistrationFacts


@cause(
    component="client",
    blame="policy",
    priority="high",
    effort="minutes",
    look_alikes={
        "mlflow-refuses-host": "there the 403 is plain text and reads fail too",
        "key-not-admin": "there the error is REGISTRY_ADMIN_REQUIRED and reads fail too",
    },
    source="INC-34; contract 3.4",
)
def key_lacks_scope(registration: RegistrationFacts) -> Iterator[Case]:
    """The key may read but not write: each creating request is 403 and names the scope that it lacks."""
    asked = {"experiment": registration.experiment, "run": registration.run, "model": registration.model}
    tried = {name: answer for name, answer in asked.items() if answer is not None}
    if not tried:
        return
    refused = [name for name, a in tried.items() if a.status == 403 and error_code(a) == "FORBIDDEN"]
    named = (refused or list(tried))[0]
    worst = tried[named]
    yield Case(
        subject="key",
        breaks=("scope",),
        claims=(
            answered(
                f"writing is refused for the key's scope: {worst.path}: {said(worst)}",
                True if refused else (False if any(a.status == 200 for a in tried.values()) else None),
                worst,
                named,
                by=RegistrationFacts,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Ask for a key with a write scope, such as `model:write` or `mlflow:write`.",
            rollback="None needed.",
            also_touches="Nothing.",
            verify="hokusai-probe verify key-lacks-scope",
        ),
    )
