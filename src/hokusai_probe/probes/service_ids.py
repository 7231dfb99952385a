"""The auth service asked about the key for services that it was not issued for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Blocked, CannotTell, Facts, Wrong
from hokusai_probe.probes.key_validation import PATH, PLATFORM, KeyValidationFacts, accepted

SERVICE_IDS = (PLATFORM, "website", "prediction-api", "ml-platform")


class ServiceIdsFacts(Facts):
    """Validations of the key by service id; empty where auth gave no verdict before. ``own``: the key's."""

    own: str | None = None
    answers: Mapping[str, Answer] = {}


@probe(area="authentication", safety="hostile", needs=("key", "auth-host"), cost=3)
async def service_ids(look: Look, validation: KeyValidationFacts) -> ServiceIdsFacts:
    """Whether the auth service tells its services apart.

    The refusal of a wrong service names four ids (contract 2); the platform's has been asked for already.
    Hostile because refusals are what is wanted.
    """
    if not validation.decided:
        return ServiceIdsFacts()
    rest = SERVICE_IDS[1:]
    found = await asyncio.gather(
        *(look.http.send("POST", "auth", PATH, key="bearer", json={"service_id": one}) for one in rest)
    )
    answers = {PLATFORM: validation.for_platform, **dict(zip(rest, found, strict=True))}
    return ServiceIdsFacts(own=validation.service_id, answers=answers)


@check(hop="validation/services", behaviour="invalid-key-accepted")
def other_services_are_refused(facts: ServiceIdsFacts) -> Sentence:
    """The key is good for the service that it was issued for, and for no other."""
    if not facts.answers:
        return Blocked(reason="the auth service gave no verdict", waited_for="auth-accepts-the-key")
    good = {name: a for name, a in facts.answers.items() if accepted(a)}
    if facts.own is None:
        return CannotTell(reason="the auth service does not say for which service the key was issued")
    strays = [name for name in good if name != facts.own]
    if strays:
        first = facts.answers[strays[0]]
        reason = f"a key of {facts.own!r} is accepted for {', '.join(strays)}: {said(first, 'auth')}"
        return Wrong(reason=reason, reproduce=first.curl())
    return None
