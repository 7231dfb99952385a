"""What the gateway does with keys that nobody was given, and with keys in no valid form."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, KeyForm
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.key_forms import UNKNOWN_PATH
from hokusai_probe.probes.key_validation import PATH, PLATFORM

FAKES: Mapping[str, str] = {
    "unknown": "hk_test_nobody-was-ever-given-this-key",
    "expired": "hk_test_20200101-this-one-was-over-before-it-began",
    "truncated": "hk_test_",
    "no-prefix": "nobody-was-ever-given-this-key-either",
}
ROUGH: Mapping[str, str] = {
    "empty": "",
    "over-long": "hk_test_" + "0123456789abcdef" * 250,
    "odd": "hk_test_'\"<b>;--%00\\\u00fc",
}
MALFORMED: tuple[KeyForm, ...] = ("raw", "bearer-lower", "bearer-no-blank", "basic")
_NOT_LET_IN = frozenset({400, 401, 403, 431})


class InvalidKeysFacts(Facts):
    """Answers to made-up keys by the name of the fake, and to a made-up key in no valid form.

    ``rough``: keys that a request can hardly carry. ``query``: a made-up key in the query, where
    some versions read it (contract 3.2). ``direct``: what the auth service itself says of one.
    """

    fakes: Mapping[str, Answer]
    malformed: Mapping[KeyForm, Answer]
    rough: Mapping[str, Answer] = {}
    query: Answer | None = None
    direct: Answer | None = None

    @property
    def places(self) -> Mapping[str, Answer]:
        """The gateway's answers, by where they lie in these facts."""
        query = {"query": self.query} if self.query else {}
        fakes = {f"fakes.{name}": a for name, a in self.fakes.items()}
        rough = {f"rough.{name}": a for name, a in self.rough.items()}
        return {**fakes, **rough, **{f"malformed.{form}": a for form, a in self.malformed.items()}, **query}


@probe(area="authentication", safety="hostile", needs=("auth-host",), cost=13)
async def invalid_keys(look: Look) -> InvalidKeysFacts:
    """Whether the gateway keeps out who has an invalid key.

    The old scripts counted any 401 as a pass, so a dead auth service scored above a live one
    (contract 10.4). Here the text must say that auth looked and refused. A bare key, lower-case
    ``bearer``, no blank, or Basic are no valid forms (contract 3.2). No real key is sent.
    """
    one = FAKES["unknown"]
    fakes, rough, malformed, query, direct = await asyncio.gather(
        asyncio.gather(*(_send(look, "bearer", fake) for fake in FAKES.values())),
        asyncio.gather(*(_send(look, "bearer", fake) for fake in ROUGH.values())),
        asyncio.gather(*(_send(look, form, one) for form in MALFORMED)),
        _send(look, "query-fake", one),
        look.http.send("POST", "auth", PATH, key="bearer", key_value=one, json={"service_id": PLATFORM}),
    )
    return InvalidKeysFacts(
        fakes=dict(zip(FAKES, fakes, strict=True)),
        malformed=dict(zip(MALFORMED, malformed, strict=True)),
        rough=dict(zip(ROUGH, rough, strict=True)),
        query=query,
        direct=direct,
    )


async def _send(look: Look, form: KeyForm, fake: str) -> Answer:
    return await look.http.send("GET", "registry", UNKNOWN_PATH, key=form, key_value=fake)


@check(hop="gateway-auth/refusal", behaviour="invalid-key-accepted")
def invalid_keys_are_refused(facts: InvalidKeysFacts) -> Sentence:
    """A made-up key is refused because the auth service does not know it, not because nobody asked."""
    for name, answer in facts.fakes.items():
        if answer.status != 401 or "invalid or expired" not in detail(answer).lower():
            return Wrong(reason=f"a made-up key ({name}) gets {said(answer)}", reproduce=answer.curl())
    for name, answer in {**facts.rough, **({"in the query": facts.query} if facts.query else {})}.items():
        if answer.status not in _NOT_LET_IN:
            return Wrong(reason=f"a made-up key ({name}) gets {said(answer)}", reproduce=answer.curl())
    return None


@check(hop="gateway/echo")
def refusals_repeat_no_key(facts: InvalidKeysFacts) -> Sentence:
    """What was sent as a key does not come back in the answer, from where it goes into logs and screenshots.

    Fails of itself: whether a key is repeated does not depend on whether it is refused.
    """
    found = repeated(facts)
    if found is None and not compared(facts):
        return CannotTell(reason="the gateway answered no request with a made-up key")
    if found is None:
        return None
    return Wrong(reason=f"{found[1].path}: the answer repeats the key", reproduce=found[1].curl())


def repeated(facts: InvalidKeysFacts) -> tuple[str, Answer] | None:
    """The first answer that holds the made-up key that it was sent, and where it lies."""
    direct = {"direct": facts.direct} if facts.direct else {}
    return next(((place, a) for place, a in {**facts.places, **direct}.items() if a.echoes), None)


def compared(facts: InvalidKeysFacts) -> bool:
    """Whether the gateway answered a made-up key, and its answer was compared with that key."""
    return any(responder(a) == "gateway" and a.echoes is not None for a in facts.fakes.values())


@check(hop="public.registry/malformed-key")
def malformed_forms_are_refused(facts: InvalidKeysFacts) -> Sentence:
    """A key in no valid form is answered 401, as if there were none.

    Beside ``no-key-is-refused``: a gateway that takes such forms for keys fails this one alone. No known
    defect of the platform is one.
    """
    for form, answer in facts.malformed.items():
        if answer.status != 401 or responder(answer) != "gateway" or "required" not in detail(answer):
            return Wrong(reason=f"a key in the form {form} gets {said(answer)}", reproduce=answer.curl())
    return None
