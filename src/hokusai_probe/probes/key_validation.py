"""The auth service asked directly about the key, as the gateway asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import detail, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Wrong

PATH = "/api/v1/keys/validate"
PLATFORM = "platform"
UNKNOWN_PATH = "/api/v1/hokusai-probe-no-such-path"


class KeyValidationFacts(Facts):
    """Two validations of the key: for the platform's service id, and without one.

    ``unknown_path``: what a path that nobody has answers without a key. The auth service's router says
    404; the gateway says 401 to any path, which gives it away (INC-07).
    The key's scopes and service are facts; its user, its id and everything else of the answer are not.
    """

    for_platform: Answer
    without_service: Answer
    unknown_path: Answer
    scopes: tuple[str, ...] | None = None
    service_id: str | None = None

    @property
    def decided(self) -> bool:
        """Whether the auth service itself gave both answers, 200 or 401."""
        return all(a.status in {200, 401} for a in (self.for_platform, self.without_service))


@probe(area="authentication", needs=("key", "auth-host"), cost=3)
async def key_validation(look: Look) -> KeyValidationFacts:
    """What the auth service says of the key: for the platform, and for no service in particular.

    ``POST /api/v1/keys/validate`` with the key as Bearer (contract 2). Refused for the platform and good
    without a service: the key belongs to another service, or the gateway asks for the wrong one (INC-04).
    """
    platform, without, unknown = await asyncio.gather(
        _validate(look, {"service_id": PLATFORM, "client_ip": "192.0.2.1"}),
        _validate(look, {"client_ip": "192.0.2.1"}),
        look.http.send("GET", "auth", UNKNOWN_PATH),
    )
    scopes, service = _of_key(platform if platform.status == 200 else without)
    return KeyValidationFacts(
        for_platform=platform,
        without_service=without,
        unknown_path=unknown,
        scopes=scopes,
        service_id=service,
    )


async def _validate(look: Look, body: Mapping[str, str]) -> Answer:
    return await look.http.send("POST", "auth", PATH, key="bearer", json=dict(body))


def _of_key(answer: Answer) -> tuple[tuple[str, ...] | None, str | None]:
    body = answer.json()
    if answer.status != 200 or not isinstance(body, Mapping):
        return None, None
    scopes, service = body.get("scopes"), body.get("service_id")
    listed = tuple(str(s) for s in scopes) if isinstance(scopes, list) else None
    return listed, service if isinstance(service, str) else None


@check(hop="validation")
def auth_accepts_the_key(facts: KeyValidationFacts) -> Sentence:
    """The auth service itself accepts the key for the platform."""
    answer = facts.for_platform
    body = answer.json()
    if answer.status == 200 and isinstance(body, Mapping) and body.get("is_valid") is True:
        return None
    return Wrong(reason=f"{PATH}: {said(answer, 'auth')}", reproduce=answer.curl())


def refused_as_unknown(answer: Answer) -> bool:
    """401 with a text that says the key itself is not known or no longer good."""
    text = detail(answer).lower()
    return answer.status == 401 and any(
        word in text for word in ("invalid or expired", "not found or invalid")
    )
