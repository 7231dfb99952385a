"""Spellings of a valid form that other programs produce, each with the real key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, KeyForm
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Wrong
from hokusai_probe.probes.key_forms import UNKNOWN_PATH, let_in

SPELLINGS: Mapping[KeyForm, str] = {
    "bearer-two-blanks": "with two blanks after Bearer the key gets",
    "x-api-key-lower": "in the header x-api-key the key gets",
    "x-api-key-upper": "in the header X-API-KEY the key gets",
}


class KeySpellingsFacts(Facts):
    """Answers to a path that no version has, by the spelling in which the key was sent."""

    answers: Mapping[KeyForm, Answer]


@probe(area="authentication", safety="hostile", needs=("key", "auth-host"), cost=3)
async def key_spellings(look: Look) -> KeySpellingsFacts:
    """Whether two blanks after ``Bearer`` and any letter case of ``X-API-Key`` are let in.

    Both are in every era (contract 3.2). The header's name is written in small letters by whatever speaks
    HTTP/2. Hostile only because two blanks look odd to those who read access logs.
    """
    found = await asyncio.gather(*(look.http.send("GET", "registry", UNKNOWN_PATH, key=f) for f in SPELLINGS))
    return KeySpellingsFacts(answers=dict(zip(SPELLINGS, found, strict=True)))


@check(hop="authenticated/spellings")
def spellings_are_accepted(facts: KeySpellingsFacts) -> Sentence:
    """Two blanks after Bearer, and X-API-Key in small or capital letters, are let in."""
    for spelling, answer in facts.answers.items():
        if not let_in(answer):
            return Wrong(reason=f"{SPELLINGS[spelling]} {said(answer)}", reproduce=answer.curl())
    return None
