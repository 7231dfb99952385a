"""What the causes about keys share."""

from collections.abc import Mapping

from hokusai_probe.answers import detail, said
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Claim
from hokusai_probe.http import Answer
from hokusai_probe.probes.key_forms import KeyFormsFacts, let_in
from hokusai_probe.probes.key_validation import KeyValidationFacts, refused_as_unknown


def gateway_refuses(forms: KeyFormsFacts | None) -> Claim:
    """The gateway says that the key is no good. No, if it is let in; hidden if it has its own trouble."""
    answer = forms.answers.get("bearer") if forms else None
    holds = None
    if answer is not None:
        says = answer.status == 401 and "invalid or expired" in detail(answer).lower()
        holds = False if let_in(answer) else (True if says else None)
    return answered(
        "the gateway refuses the key" + (f": {said(answer)}" if answer else ""),
        holds,
        answer,
        "answers.bearer",
        by=KeyFormsFacts,
    )


def direct(
    text: str, validation: KeyValidationFacts, place: str, holds: object, *, telling: bool = False
) -> Claim:
    """A claim about what the auth service itself said of the key. ``place``: which of its answers."""
    answer: Answer = getattr(validation, place)
    return answered(
        f"{text}: {said(answer, 'auth')}", holds, answer, place, by=KeyValidationFacts, telling=telling
    )


def accepted(answer: Answer) -> bool | None:
    """Whether auth accepts the key: 200 with ``is_valid`` true, which alone says so (contract 2)."""
    body = answer.json()
    if answer.status == 401:
        return False
    valid = body.get("is_valid") if answer.status == 200 and isinstance(body, Mapping) else None
    return valid if isinstance(valid, bool) else None


def refused(answer: Answer) -> bool | None:
    """Whether auth itself refuses the key as unknown; None where auth gave no answer of its own."""
    return refused_as_unknown(answer) if answer.status in {200, 401} else None
