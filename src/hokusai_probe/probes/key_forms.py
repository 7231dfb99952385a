"""The ways in which a key may be sent, each with the real key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, KeyForm
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Wrong

ACCEPTED: tuple[KeyForm, ...] = ("bearer", "apikey", "x-api-key")
_SENT: Mapping[KeyForm, str] = {
    "bearer": "sent as a Bearer token the key gets",
    "apikey": "sent under the scheme ApiKey the key gets",
    "x-api-key": "sent in the header X-API-Key the key gets",
}
UNKNOWN_PATH = "/api/hokusai-probe-no-such-path"


class KeyFormsFacts(Facts):
    """Answers to a path that no version has, by the form in which the key was sent.

    Authentication comes before routing: with a key that is let in the gateway's router answers 404,
    with one that is not, 401. So the path itself proves nothing but whether the key came through.
    """

    answers: Mapping[KeyForm, Answer]


@probe(area="authentication", needs=("key", "auth-host"), cost=3)
async def key_forms(look: Look) -> KeyFormsFacts:
    """Which forms of sending the key the gateway lets in.

    Bearer, ApiKey and X-API-Key are documented and work in every era (contract 3.2).
    """
    found = await asyncio.gather(*(look.http.send("GET", "registry", UNKNOWN_PATH, key=f) for f in ACCEPTED))
    return KeyFormsFacts(answers=dict(zip(ACCEPTED, found, strict=True)))


def let_in(answer: Answer) -> bool:
    """The gateway's own router was reached: authentication is behind the request."""
    return answer.status == 404 and responder(answer) == "gateway"


def _must_be_let_in(facts: KeyFormsFacts, form: KeyForm) -> Sentence:
    answer = facts.answers[form]
    if let_in(answer):
        return None
    return Wrong(reason=f"{_SENT[form]} {said(answer)}", reproduce=answer.curl())


@check(hop="authenticated/bearer")
def bearer_is_accepted(facts: KeyFormsFacts) -> Sentence:
    """A key sent as a Bearer token is let in; the MLflow client sends it so."""
    return _must_be_let_in(facts, "bearer")


@check(hop="authenticated/apikey")
def apikey_is_accepted(facts: KeyFormsFacts) -> Sentence:
    """A key sent under the scheme ApiKey is let in."""
    return _must_be_let_in(facts, "apikey")


@check(hop="authenticated/x-api-key")
def x_api_key_is_accepted(facts: KeyFormsFacts) -> Sentence:
    """A key sent as ``X-API-Key`` is let in."""
    return _must_be_let_in(facts, "x-api-key")
