"""An outage of auth is told as if it were the key."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._keys import at_gateway, seen
from hokusai_probe.causes._words import previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.no_key import outage_as_401

BEHAVIOUR = "outage-as-401"


@cause(
    component="gateway",
    priority="medium",
    effort="hours",
    look_alikes={
        "key-unknown-or-expired": "there the text speaks of the key, not of the authentication service",
        "public-path-requires-key": "there the text is `API key required`",
    },
    source="INC-49; contract 3.3",
)
def gateway_hides_auth_outage_as_401(
    forms: KeyFormsFacts | None,
    invalid: InvalidKeysFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """While auth is out, or limits the gateway, it answers 401 instead of 503 or 429: good keys look bad.

    ``Authentication service error``, ``timeout``, ``unavailable`` or ``Rate limit exceeded`` with status 401.
    Clients throw their keys away, and a monitor that counts 401 as a refusal sees nothing. So it was until
    2026-06-04; a target of that time accepts it as `outage-as-401`. That it is a defect does not show while
    auth is well.
    """
    if BEHAVIOUR in target.accept.behaviours:
        return
    hidden = next((s for s in at_gateway(forms, invalid) if outage_as_401(s[2])), None)
    text = f": {said(hidden[2])}" if hidden else ""
    yield Case(
        subject="gateway",
        breaks=("gateway/outage-status",),
        claims=(
            seen(
                f"the gateway answers with 401 what is not wrong with the key{text}",
                hidden,
                holds=True if hidden else None,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Have the gateway answer 503 with `Retry-After: 1` where auth gives no verdict, and 429 "
            "where auth says 429; mend what keeps auth from answering first.",
            rollback=previous_revision(ecs, "gateway"),
            also_touches="Clients that take 401 for an outage and try again.",
            verify="hokusai-probe verify gateway-hides-auth-outage-as-401",
        ),
    )
