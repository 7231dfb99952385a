"""What was sent as a key comes back."""

from collections.abc import Iterator

from hokusai_probe.causes._keys import seen
from hokusai_probe.causes._words import previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts, compared, repeated


@cause(
    component="gateway",
    priority="high",
    effort="hours",
    sensitive=True,
    look_alikes={
        "key-accepted-when-invalid": "there the key is let in; here it is refused and told",
    },
    source="contract 3.3: refusals are a fixed text; L-11 and L-20: keys in logs and reports",
)
def gateway_repeats_keys(invalid: InvalidKeysFacts, ecs: EcsServicesFacts | None) -> Iterator[Case]:
    """A refusal repeats the key that was sent: keys end up in logs, tickets and screenshots.

    A key with one wrong character is refused, and the rest of it is a secret all the same.
    """
    found = repeated(invalid)
    at_fault = "auth" if found and found[0] == "direct" else "gateway"
    yield Case(
        subject=at_fault,
        component="auth" if at_fault == "auth" else "gateway",
        breaks=("gateway/echo", "mlflow-api/leaks"),
        claims=(
            seen(
                "an answer repeats the key that was sent",
                (InvalidKeysFacts, *found) if found else None,
                holds=True if found else (False if compared(invalid) else None),
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Have refusals say what is wrong without the key. Treat keys refused for a slip "
            "as known to whoever reads logs.",
            rollback=previous_revision(ecs, at_fault),
            also_touches="Nothing: nobody needs to be told what they sent.",
            verify="hokusai-probe verify gateway-repeats-keys",
        ),
    )
