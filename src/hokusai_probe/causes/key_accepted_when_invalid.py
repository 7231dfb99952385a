"""Who has no key is let in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hokusai_probe.answers import said
from hokusai_probe.causes._keys import Sighting, refused_by_gateway, seen
from hokusai_probe.causes._words import previous_revision
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Component, Remedy, Target
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts, let_in
from hokusai_probe.probes.key_validation import KeyValidationFacts, accepted
from hokusai_probe.probes.no_key import NoKeyFacts
from hokusai_probe.probes.revocation import RevocationFacts

ACCEPTED_AT: Mapping[Component, str] = {"auth": "invalid-key-accepted", "gateway": "is-valid-ignored"}
"""The behaviour that makes each of the two let in whom it should not."""


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
    cache: CacheEffectFacts | None,
    *,
    ended: RevocationFacts | None,
    target: Target,
) -> Iterator[Case]:
    """An invalid key is let in: one that nobody was given, or one that auth says is no longer valid.

    Where auth accepts it, auth must be mended. Where auth refuses it, or says ``is_valid: false`` with status
    200, the gateway lets it in against auth's word. A key that was good minutes ago is no such case: the
    gateway remembers it until the time in its cache is over (contract 3.5). Beyond that it is.
    """
    if without is None or let_in(without.answer):
        return  # who sends no key gets as far: this is not the gateway, or it asks nobody for one
    made_up = _let_in(invalid) or _after_its_end(ended, target)
    found = made_up or _revoked(forms, validation)
    at_fault = _who(invalid, ended, found)
    if found and ACCEPTED_AT[at_fault] in target.accept.behaviours:
        return
    sure = found is None or made_up is not None or _without_cache(cache, target)
    yield Case(
        subject=at_fault,
        component=at_fault,
        breaks=(
            *("gateway-auth/refusal", "gateway-auth/revocation", "validation/services"),
            *("validation/revocation", "public.registry/malformed-key"),
        ),
        claims=(
            seen(
                "the gateway lets in a key that is not valid" + (f": {said(found[2])}" if found else ""),
                found,
                holds=True if found else (False if _all_refused(invalid) else None),
                telling=sure,
            ),
            *(() if sure else (_nothing_remembered(),)),
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


def _after_its_end(ended: RevocationFacts | None, target: Target) -> Sighting | None:
    """A key that we had revoked, let in where the gateway cannot remember it from before."""
    if ended is None:
        return None
    if ended.fresh is not None and let_in(ended.fresh):
        return (RevocationFacts, "fresh", ended.fresh)
    overdue = ended.last is not None and ended.overdue(target.timeouts.gateway_key_cache_s)
    return (RevocationFacts, "last", ended.last) if overdue and ended.last else None


def _without_cache(cache: CacheEffectFacts | None, target: Target) -> bool:
    """Whether it is known that the gateway asks auth each time, so that it cannot go by an earlier yes."""
    off = "cache-off" in target.accept.behaviours
    return off or (cache is not None and cache.effective is False)


def _nothing_remembered() -> Claim:
    text = "the gateway asked auth about the key this time, and did not remember that it was good minutes ago"
    return claim(text, None, by=CacheEffectFacts)


def _who(
    invalid: InvalidKeysFacts | None, ended: RevocationFacts | None, found: Sighting | None
) -> Component:
    """The gateway, where auth said no."""
    if found is not None and found[0] is KeyFormsFacts:
        return "gateway"
    if found is not None and found[0] is RevocationFacts:
        judged = ended.validated if ended else None
        return "auth" if judged is not None and accepted(judged) else "gateway"
    direct = invalid.direct if invalid else None
    return "gateway" if found and direct is not None and accepted(direct) is False else "auth"


def _all_refused(invalid: InvalidKeysFacts | None) -> bool:
    return invalid is not None and all(map(refused_by_gateway, invalid.fakes.values()))
