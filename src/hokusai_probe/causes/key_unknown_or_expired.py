"""The key itself is not good."""

from collections.abc import Iterator

from hokusai_probe.causes._keys import direct, gateway_refuses, refused
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts


@cause(
    component="client",
    priority="high",
    effort="minutes",
    look_alikes={
        "gateway-sends-wrong-service-id": "there auth accepts the key when asked directly without a service",
        "gateway-sends-key-where-auth-does-not-look": "there auth accepts the key when asked directly",
        "gateway-hides-auth-outage-as-401": "there the text speaks of the service, not of the key",
        "key-for-another-service": "there auth accepts the key without a service id",
    },
    source="INC-18; contract 2: an expired key is answered like an unknown one",
)
def key_unknown_or_expired(validation: KeyValidationFacts, forms: KeyFormsFacts | None) -> Iterator[Case]:
    """The auth service does not know the key, or it is expired or revoked: it refuses it for every service.

    Nothing is wrong with the platform. Keys issued before a migration may not have survived it (INC-18). An
    unknown and an expired key are 401 in the same words; a revoked one is 200 with ``is_valid`` false.
    """
    yield Case(
        subject="key",
        breaks=("key",),
        claims=(
            _gateway_refuses(forms),
            direct(
                "auth refuses the key for the platform",
                validation,
                "for_platform",
                refused(validation.for_platform),
            ),
            direct(
                "auth refuses the key without a service id as well",
                validation,
                "without_service",
                refused(validation.without_service),
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Get a new key for the service id `platform`, and set it in the environment variable "
            "that the target names.",
            before=("See that the variable holds the whole key, with its prefix.",),
            rollback="None: the old key stays refused.",
            also_touches="Every client that uses this key.",
            verify="hokusai-probe verify key-unknown-or-expired",
        ),
    )


def _gateway_refuses(forms: KeyFormsFacts | None) -> Claim:
    """That it lets the key in denies nothing: its cache is older (L-15), or it does not heed auth (L-02)."""
    found = gateway_refuses(forms)
    return found if found.holds else found.model_copy(update={"holds": None})
