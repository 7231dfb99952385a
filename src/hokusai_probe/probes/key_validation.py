"""The auth service asked directly about the key, as the gateway asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Blocked, Facts, Target, Wrong

PATH = "/api/v1/keys/validate"
PLATFORM = "platform"
UNKNOWN_PATH = "/api/v1/hokusai-probe-no-such-path"


class KeyValidationFacts(Facts):
    """Two validations of the key: for the platform's service id, and without one.

    ``unknown_path``: what a path that nobody has answers without a key. The auth service's router says
    404; the gateway says 401 to any path, which gives it away (INC-07).
    The key's scopes and service are facts, and whether it is an admin's and its account can pay; its user,
    its id and everything else of the answer are not. None: not said.
    """

    for_platform: Answer
    without_service: Answer
    unknown_path: Answer
    scopes: tuple[str, ...] | None = None
    service_id: str | None = None
    is_admin: bool | None = None
    can_pay: bool | None = None

    @property
    def decided(self) -> bool:
        """Whether both answers are verdicts on the key: 401, or 200 that says whether it is valid."""
        return all(accepted(a) is not None for a in self.answers)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Both validations."""
        return (self.for_platform, self.without_service)

    @property
    def by_auth(self) -> bool:
        """Whether the auth service gave both answers, and not the gateway in its place (INC-07)."""
        return self.decided and self.unknown_path.status == 404 and not any(map(no_verdict, self.answers))

    @property
    def quickest_s(self) -> float:
        """Seconds that the quicker of the two validations took."""
        return min(a.elapsed_s for a in self.answers)

    def late(self, wait_s: float) -> bool:
        """Whether both took longer than that, while another path of the same service did not.

        Where everything is slow, our own machine or the way may be; that says nothing of validating.
        """
        return self.quickest_s > wait_s and self.quickest_s - self.unknown_path.elapsed_s > wait_s / 2


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
    return KeyValidationFacts(
        for_platform=platform,
        without_service=without,
        unknown_path=unknown,
        **_of_key(platform if platform.status == 200 else without),
    )


async def _validate(look: Look, body: Mapping[str, str]) -> Answer:
    return await look.http.send("POST", "auth", PATH, key="bearer", json=dict(body))


def _of_key(answer: Answer) -> dict[str, object]:
    body = answer.json()
    if answer.status != 200 or not isinstance(body, Mapping):
        return {}
    scopes, service = body.get("scopes"), body.get("service_id")
    return {
        "scopes": tuple(str(s) for s in scopes) if isinstance(scopes, list) else None,
        "service_id": service if isinstance(service, str) else None,
        "is_admin": _flag(body.get("is_admin")),
        "can_pay": _flag(body.get("has_sufficient_balance")),
    }


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


@check(hop="validation")
def auth_accepts_the_key(facts: KeyValidationFacts) -> Sentence:
    """The auth service itself accepts the key for the platform."""
    answer = facts.for_platform
    body = answer.json()
    if answer.status == 200 and isinstance(body, Mapping) and body.get("is_valid") is True:
        return None
    return Wrong(reason=f"{PATH}: {said(answer, 'auth')}", reproduce=answer.curl())


@check(hop="validation/in-time")
def validation_is_in_time(facts: KeyValidationFacts, target: Target) -> Sentence:
    """The auth service judges a key within the time that the gateway waits for it."""
    wait_s, first = target.timeouts.gateway_auth_s, facts.for_platform
    if facts.late(wait_s):
        took = f"took {facts.quickest_s:.1f} s; the gateway waits {wait_s:g} s"
        return Wrong(reason=f"{PATH}: {said(first, 'auth')} {took}", reproduce=first.curl())
    if not facts.decided:
        reason = f"{PATH}: {said(first, 'auth')}, so there is no verdict whose time could be taken"
        return Blocked(reason=reason, waited_for="auth-accepts-the-key")
    return None


def refused_as_unknown(answer: Answer) -> bool:
    """401 with a text that says the key itself is not known or no longer good."""
    text = detail(answer).lower()
    return answer.status == 401 and any(
        word in text for word in ("invalid or expired", "not found or invalid")
    )


def accepted(answer: Answer) -> bool | None:
    """Whether auth accepts the key: 200 with ``is_valid`` true, which alone says so (contract 2)."""
    body = answer.json()
    if answer.status == 401:
        return False
    valid = body.get("is_valid") if answer.status == 200 and isinstance(body, Mapping) else None
    return valid if isinstance(valid, bool) else None


def no_verdict(answer: Answer) -> str | None:
    """What the gateway says, in its own words, where auth gave it no verdict: not about the key at all.

    ``Authentication service error``, ``timeout`` or ``unavailable``, as 503 or, until June 2026, as 401
    (contract 3.3).
    """
    text = detail(answer)
    gave_none = answer.status in {401, 503} and text.startswith("Authentication service ")
    return text if gave_none and responder(answer) == "gateway" else None
