"""What the gateway does with no key and with keys that nobody was given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Wrong
from hokusai_probe.probes.key_forms import UNKNOWN_PATH

FAKES: Mapping[str, str] = {
    "unknown": "hk_test_nobody-was-ever-given-this-key",
    "no-prefix": "nobody-was-ever-given-this-key-either",
}


class InvalidKeysFacts(Facts):
    """Answers without a key and with made-up ones, by the name of the fake."""

    no_key: Answer
    fakes: Mapping[str, Answer]


@probe(area="authentication", needs=("auth-host",), cost=3)
async def invalid_keys(look: Look) -> InvalidKeysFacts:
    """Whether the gateway keeps out who has no key or an invalid one.

    The old scripts counted any 401 as a pass, so a dead auth service scored above a live one
    (contract 10.4). Here the text must say that auth looked and refused.
    """
    answers = await asyncio.gather(
        look.http.send("GET", "registry", UNKNOWN_PATH),
        *(look.http.send("GET", "registry", UNKNOWN_PATH, key="bearer", key_value=k) for k in FAKES.values()),
    )
    return InvalidKeysFacts(no_key=answers[0], fakes=dict(zip(FAKES, answers[1:], strict=True)))


@check(hop="public.registry/no-key")
def no_key_is_refused(facts: InvalidKeysFacts) -> Sentence:
    """Without a key the gateway answers 401 and says that it wants one."""
    answer = facts.no_key
    if answer.status == 401 and responder(answer) == "gateway" and "required" in detail(answer):
        return None
    return Wrong(reason=f"without a key: {said(answer)}", reproduce=answer.curl())


@check(hop="gateway-auth")
def invalid_keys_are_refused(facts: InvalidKeysFacts) -> Sentence:
    """A made-up key is refused because the auth service does not know it, not because nobody asked."""
    for name, answer in facts.fakes.items():
        if answer.status != 401 or "invalid or expired" not in detail(answer).lower():
            return Wrong(reason=f"a made-up key ({name}): {said(answer)}", reproduce=answer.curl())
    return None
