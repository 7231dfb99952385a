"""What the gateway does with no key at all."""

from __future__ import annotations

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Wrong
from hokusai_probe.probes.key_forms import UNKNOWN_PATH


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
