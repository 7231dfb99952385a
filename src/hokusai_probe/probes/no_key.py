"""What the gateway does with no key at all."""

from __future__ import annotations

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import UNKNOWN_PATH, KeyFormsFacts
from hokusai_probe.probes.key_validation import no_verdict


class NoKeyFacts(Facts):
    """The answer to a request without a key, on a path that no version has."""

    answer: Answer


@probe(area="authentication", needs=("auth-host",), cost=1)
async def no_key(look: Look) -> NoKeyFacts:
    """Whether the gateway asks for a key.

    Authentication comes before routing (contract 3), so a path that nobody has is answered 401.
    """
    return NoKeyFacts(answer=await look.http.send("GET", "registry", UNKNOWN_PATH))


@check(hop="public.registry/no-key")
def no_key_is_refused(facts: NoKeyFacts) -> Sentence:
    """Without a key the gateway answers 401 and says that it wants one."""
    answer = facts.answer
    if answer.status == 401 and responder(answer) == "gateway" and "required" in detail(answer):
        return None
    return Wrong(reason=f"without a key: {said(answer)}", reproduce=answer.curl())


@check(hop="gateway/outage-status", behaviour="outage-as-401")
def refusals_are_about_the_key(
    facts: NoKeyFacts, forms: KeyFormsFacts | None, invalid: InvalidKeysFacts | None
) -> Sentence:
    """What the gateway answers with 401 is wrong with the key; an outage of auth is 503 and 429 is 429.

    Who is told 401 throws a good key away (INC-49).
    """
    asked = sent_with_a_key(forms, invalid)
    if not any(responder(a) == "gateway" for a in asked):
        return CannotTell(reason="the gateway answered no request with a key")
    wrong = next((a for a in (facts.answer, *asked) if outage_as_401(a)), None)
    if wrong is None:
        return None
    return Wrong(reason=f"{wrong.path}: {said(wrong)}", reproduce=wrong.curl())


def sent_with_a_key(forms: KeyFormsFacts | None, invalid: InvalidKeysFacts | None) -> tuple[Answer, ...]:
    """The gateway's answers to whoever sent a key that it had to ask auth about."""
    return (*(forms.answers.values() if forms else ()), *(invalid.fakes.values() if invalid else ()))


def outage_as_401(answer: Answer) -> bool:
    """401 with a text about the auth service or its limits, not about the key (contract 3.3, to 2026-06)."""
    if answer.status != 401 or responder(answer) != "gateway":
        return False
    return no_verdict(answer) is not None or detail(answer) == "Rate limit exceeded"
