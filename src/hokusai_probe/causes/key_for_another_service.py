"""A good key, for something else."""

from collections.abc import Iterator

from hokusai_probe.causes._keys import direct, gateway_refuses
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts, accepted


@cause(
    component="client",
    priority="high",
    effort="minutes",
    look_alikes={
        "key-unknown-or-expired": "there auth refuses the key for every service",
        "gateway-sends-wrong-service-id": "there auth accepts the key for `platform` too",
    },
    source="INC-18; contract 2: the 401 names the service that the key belongs to",
)
def key_for_another_service(validation: KeyValidationFacts, forms: KeyFormsFacts | None) -> Iterator[Case]:
    """The auth service knows the key, but it was issued for another service than the platform's."""
    platform, without = accepted(validation.for_platform), accepted(validation.without_service)
    known = validation.decided and platform is not None and without is not None
    yield Case(
        subject="key",
        breaks=("key",),
        claims=(
            gateway_refuses(forms),
            direct(
                "auth refuses the key for the platform",
                validation,
                "for_platform",
                not platform if known else None,
            ),
            direct(
                "auth accepts the key when no service is named",
                validation,
                "without_service",
                without if known else None,
                telling=platform is False,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Ask for a key with the service id `platform`.",
            rollback="None needed.",
            also_touches="Nothing: the old key goes on working where it was meant to.",
            verify="hokusai-probe verify key-for-another-service",
        ),
    )
