"""Who has no key is let in."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._keys import Sighting, refused_by_gateway, seen
from hokusai_probe.causes._words import previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Component, Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts, let_in
from hokusai_probe.probes.key_validation import KeyValidationFacts, accepted
from hokusai_probe.probes.no_key import NoKeyFacts


@cause(
    component="auth",
    priority="critical",
    effort="hours",
    sensitive=True,
    look_alikes={
        "public-path-requires-key": "there it is the other way round",
        "listener-rule-wrong-target-group": "there the path leads past the gateway",
    },
    source="L-02, L-15; contract 3.3",
)
def key_accepted_when_invalid(
    invalid: InvalidKeysFacts | None,
    forms: KeyFormsFacts | None,
    validation: KeyValidationFacts | None,
    without: NoKeyFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """An invalid key is let in: one that nobody was given, or one that auth says is no longer valid.

    Where auth accepts it, auth must be mended. Where auth refuses it, or says ``is_valid: false`` with status
    200, the gateway lets it in against auth's word.
    """
    if without is None or let_in(without.answer):
        return  # who sends no key gets as far: this is not the gateway, or it asks nobody for one
    found = _let_in(invalid) or _revoked(forms, validation)
    at_fault = _who(invalid, found)
    yield Case(
        subject=at_fault,
        component=at_fault,
        breaks=("gateway-auth/refusal", "validation/services", "public.registry/malformed-key"),
        claims=(
            seen(
                "the gateway lets in a key that is not valid" + (f": {said(found[2])}" if found else ""),
                found,
                holds=True if found else (False if _all_refused(invalid) else None),
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Have auth refuse keys that it did not issue."
            if at_fault == "auth"
            else "Have the gateway read `is_valid`, and let in nobody whom auth does not accept.",
            rollback=previous_revision(ecs, at_fault),
            also_touches="Whoever came in without a valid key is shut out; look at what they did.",
            verify="hokusai-probe verify key-accepted-when-invalid",
        ),
    )


def _let_in(invalid: InvalidKeysFacts | None) -> Sighting | None:
    places = invalid.places.items() if invalid else ()
    return next(((InvalidKeysFacts, place, a) for place, a in places if let_in(a)), None)


def _revoked(forms: KeyFormsFacts | None, validation: KeyValidationFacts | None) -> Sighting | None:
    """Our own key, let in although auth answers 200 and says that it is not valid."""
    answer = forms.answers.get("bearer") if forms else None
    if answer is None or validation is None or not let_in(answer):
        return None
    denied = validation.for_platform.status == 200 and accepted(validation.for_platform) is False
    return (KeyFormsFacts, "answers.bearer", answer) if denied else None


def _who(invalid: InvalidKeysFacts | None, found: Sighting | None) -> Component:
    """The gateway, where auth said no."""
    if found is not None and found[0] is KeyFormsFacts:
        return "gateway"
    direct = invalid.direct if invalid else None
    return "gateway" if found and direct is not None and accepted(direct) is False else "auth"


def _all_refused(invalid: InvalidKeysFacts | None) -> bool:
    return invalid is not None and all(map(refused_by_gateway, invalid.fakes.values()))
