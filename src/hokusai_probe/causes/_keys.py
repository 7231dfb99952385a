"""What the causes about keys and about the auth service share."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._words import answered, seen_in
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts, let_in
from hokusai_probe.probes.key_validation import (
    KeyValidationFacts,
    accepted,
    no_verdict,
    refused_as_unknown,
)
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts

Sighting = tuple[type[Facts], str, Answer]
"""An answer, the class of the facts that it is one of, and its place there."""

CREATING = ("experiment", "run", "logged", "model", "version", "upload")


def gateway_refuses(forms: KeyFormsFacts | None) -> Claim:
    """The gateway says that the key is no good. No, if it is let in; hidden if it has its own trouble."""
    answer = forms.answers.get("bearer") if forms else None
    holds = None
    if answer is not None:
        holds = False if let_in(answer) else (True if refused_by_gateway(answer) else None)
    return answered(
        "the gateway refuses the key" + (f": {said(answer)}" if answer else ""),
        holds,
        answer,
        "answers.bearer",
        by=KeyFormsFacts,
    )


def refused_by_gateway(answer: Answer) -> bool:
    """The gateway says of a key that auth did not accept it."""
    return answer.status == 401 and "invalid or expired" in detail(answer).lower()


def direct(
    text: str, validation: KeyValidationFacts, place: str, holds: object, *, telling: bool = False
) -> Claim:
    """A claim about what the auth service itself said of the key. ``place``: which of its answers."""
    answer: Answer = getattr(validation, place)
    return answered(
        f"{text}: {said(answer, 'auth')}", holds, answer, place, by=KeyValidationFacts, telling=telling
    )


def refused(answer: Answer) -> bool | None:
    """Whether auth itself refuses the key as unknown or revoked; None where it gave no answer of its own."""
    if answer.status == 200 and accepted(answer) is False:
        return True
    return refused_as_unknown(answer) if answer.status in {200, 401} else None


def refused_though_good(forms: KeyFormsFacts | None, validation: KeyValidationFacts) -> tuple[Claim, Claim]:
    """The gateway refuses the key, and auth accepts it for the platform when asked directly.

    Each speaks for a fault of the gateway only beside the other: else it is the key, or something nearer.
    """
    refuses = gateway_refuses(forms)
    good = validation.by_auth and accepted(validation.for_platform)
    accepts = direct("auth accepts it when asked directly", validation, "for_platform", good or None)
    return together(refuses, accepts)


def together(one: Claim, other: Claim) -> tuple[Claim, Claim]:
    """Two claims of which neither counts without the other; what refutes, refutes alone."""
    if one.holds and other.holds:
        return one, other
    return _unless_refuted(one), _unless_refuted(other)


def _unless_refuted(one: Claim) -> Claim:
    return one.model_copy(update={"holds": None}) if one.holds else one


# --- what the gateway says to whoever sends a key -----------------------------------------------------


def at_gateway(forms: KeyFormsFacts | None, invalid: InvalidKeysFacts | None) -> tuple[Sighting, ...]:
    """The gateway's answers to whatever it had to ask auth about: the key first, then made-up ones."""
    keys: list[Sighting] = [(KeyFormsFacts, f"answers.{f}", a) for f, a in _forms(forms)]
    fakes = invalid.fakes.items() if invalid else ()
    return (*keys, *((InvalidKeysFacts, f"fakes.{name}", a) for name, a in fakes))


def _forms(forms: KeyFormsFacts | None) -> Iterator[tuple[str, Answer]]:
    yield from forms.answers.items() if forms else ()


def gateway_has_no_verdict(forms: KeyFormsFacts | None, invalid: InvalidKeysFacts | None) -> Claim:
    """The gateway says that auth gave it no verdict on a key. No, if it has one on each; else hidden.

    One is enough: keys that auth accepted lately are in the gateway's cache (contract 3.5).
    """
    heard = at_gateway(forms, invalid)
    without = next((s for s in heard if no_verdict(s[2])), None)
    if without is None:
        judged = bool(heard) and all(let_in(a) or refused_by_gateway(a) for _, _, a in heard)
        return seen("the gateway gets no verdict on keys from auth", None, holds=False if judged else None)
    return seen(f"the gateway gets no verdict on a key from auth: {said(without[2])}", without, holds=True)


def seen(text: str, sighting: Sighting | None, *, holds: object, telling: bool = False) -> Claim:
    """A claim about an answer, wherever it was seen."""
    if sighting is None:
        return claim(text, holds, by=KeyFormsFacts, telling=telling)
    by, place, answer = sighting
    fact, value = seen_in(answer, place)
    return claim(text, holds, by=by, fact=fact, value=value, telling=telling)


def auth_judges(validation: KeyValidationFacts | None, invalid: InvalidKeysFacts | None) -> Claim:
    """Auth itself judges keys when it is asked directly; hidden where it does not."""
    text = "auth judges keys when asked directly"
    made_up = invalid.direct if invalid else None
    if validation is not None and validation.by_auth:
        return direct(text, validation, "for_platform", holds=True)
    if made_up is not None and refused_as_unknown(made_up):
        found: Sighting = (InvalidKeysFacts, "direct", made_up)
        return seen(f"{text}: {said(made_up, 'auth')}", found, holds=True)
    return seen(text, None, holds=None)


def auth_serves(validation: KeyValidationFacts | None, invalid: InvalidKeysFacts | None = None) -> bool:
    """Whether auth itself judged any key. Then its process is there, whatever its load balancer says."""
    return auth_judges(validation, invalid).holds is True


# --- answers of every look that sends the key ---------------------------------------------------------


def with_key(
    forms: KeyFormsFacts | None, api: MlflowApiFacts | None, registration: RegistrationFacts | None
) -> tuple[Sighting, ...]:
    """The gateway's answers to requests with the key, nearest first: the router, a search, what creates."""
    found: list[Sighting] = [(KeyFormsFacts, f"answers.{f}", a) for f, a in _forms(forms)]
    if api is not None:
        found.append((MlflowApiFacts, "search", api.search))
    for name in CREATING if registration else ():
        answer = getattr(registration, name)
        found += [(RegistrationFacts, name, answer)] if answer else []
    return tuple(found)


_HOP: dict[type[Facts], str] = {
    KeyFormsFacts: "authenticated",
    MlflowApiFacts: "mlflow-api",
    RegistrationFacts: "writes",
}


def hops_of(sightings: Iterator[Sighting] | tuple[Sighting, ...]) -> tuple[str, ...]:
    """What does not work where these were answered."""
    return tuple(dict.fromkeys(_HOP[by] for by, _, _ in sightings if by in _HOP))


def from_gateway(answer: Answer, status: int) -> bool:
    """Whether an answer has this status and is not a page of the load balancer's."""
    return answer.status == status and responder(answer) != "load-balancer"
