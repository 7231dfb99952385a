"""What the causes about keys share."""

from hokusai_probe.answers import detail, said
from hokusai_probe.declare import Claim, claim
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
    return claim(
        "the gateway refuses the key" + (f": {said(answer)}" if answer else ""),
        holds,
        by=KeyFormsFacts,
        fact="answers.bearer.status",
        value=answer.status if answer else None,
    )


def direct(text: str, answer: Answer, holds: object, *, telling: bool = False) -> Claim:
    """A claim about what the auth service itself said of the key."""
    return claim(
        f"{text}: {said(answer, 'auth')}",
        holds,
        by=KeyValidationFacts,
        fact="status",
        value=answer.status,
        telling=telling,
    )


def refused(answer: Answer) -> bool | None:
    """Whether auth itself refuses the key as unknown; None where auth gave no answer of its own."""
    return refused_as_unknown(answer) if answer.status in {200, 401} else None
