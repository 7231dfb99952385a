"""Thresholds as seen from outside: when the breaker opens and closes, and after how many requests comes 429.

Nothing is judged here; what was seen is recorded.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

from pydantic import JsonValue

from hokusai_probe.answers import said
from hokusai_probe.chaos.experiment import Limit
from hokusai_probe.chaos.facts import BreakerSeen, BreakerSettings, LimitSeen
from hokusai_probe.errors import ProbeError
from hokusai_probe.http import Answer, HttpDoor, strict_json

_EVERY_S = 0.25
_LOOK_S = 4.0
_AT_ONCE = 5
_OVER = 10  # requests beyond the expected limit before it counts as not seen
_PATIENCE = 1.5  # of the expected window
_LONGEST_S = 30.0
_KEYS, _ANY_PATH = "/api/v1/keys", "/api/hkchaos"


async def breaker(door: HttpDoor, now: Callable[[], float]) -> AsyncIterator[BreakerSeen]:
    """What ``/health/mlflow`` says of the breaker, again and again. Each look counts as one of its own."""
    while True:
        at = now()
        yield _breaker_view(at, await door.send("GET", "registry", "/health/mlflow", total_s=_LOOK_S))
        await asyncio.sleep(max(0.0, at + _EVERY_S - now()))


def _breaker_view(at: float, answer: Answer) -> BreakerSeen:
    body = answer.json()
    told: Mapping[str, JsonValue] = body if isinstance(body, Mapping) else {}
    state, failures = told.get("circuit_breaker_state"), told.get("failure_count")
    return BreakerSeen(
        at_s=at,
        status=answer.status if answer.failure is None else None,
        state=state if isinstance(state, str) else None,
        failures=failures if isinstance(failures, int) else None,
    )


def breaker_settings(variables: Mapping[str, str]) -> BreakerSettings:
    """The breaker as the gateway's task definition has it, else the platform's documented defaults."""
    own = {"MLFLOW_CB_FAILURE_THRESHOLD", "MLFLOW_CB_RECOVERY_TIMEOUT"} & set(variables)
    return BreakerSettings(
        failures=int(variables.get("MLFLOW_CB_FAILURE_THRESHOLD", "5")),
        recovery_s=float(variables.get("MLFLOW_CB_RECOVERY_TIMEOUT", "60")),
        source="the task definition" if own else "the documentation (contract 6)",
    )


async def limit(door: HttpDoor, wanted: Limit, time_scale: float, now: Callable[[], float]) -> LimitSeen:
    """Ask one route until it refuses, a few times more than it should take, and until it lets in again.

    Requests go a few at a time: one after the other they might not be done before the window is over. A
    window of more than half a minute here is not waited for. Raises ProbeError where a key is needed and
    none is issued.
    """
    if not wanted.of_key:
        return await _limit(door, wanted, None, wanted.window_s / time_scale, now)
    async with _issued(door, wanted.requests) as key:
        seen = await _limit(door, wanted, key, wanted.window_s / time_scale, now)
        answer = await door.send("GET", "registry", _ANY_PATH, key="bearer", key_value=key, total_s=_LOOK_S)
    retry = answer.headers.get("retry-after")
    told = f"{answer.status}, Retry-After: {retry}" if retry else str(answer.status)
    return seen.model_copy(update={"passed_on": told})


async def _limit(
    door: HttpDoor, wanted: Limit, key: str | None, window_s: float, now: Callable[[], float]
) -> LimitSeen:
    began, answers = now(), list[Answer]()
    most = wanted.requests + _OVER
    while len(answers) < most and not any(answer.status == 429 for answer in answers):
        some = min(_AT_ONCE, most - len(answers))
        answers += await asyncio.gather(*(_ask(door, wanted, key) for _ in range(some)))
    seconds = now() - began
    refused = next((answer for answer in answers if answer.status == 429), None)
    waited = window_s <= _LONGEST_S
    until = began + (_PATIENCE * window_s if refused and waited else 0.0)
    again = await _until_let_in(door, wanted, key, until, now)
    return LimitSeen(
        method=wanted.method,
        path=wanted.path,
        sent=len(answers),
        taken=sum(answer.status != 429 for answer in answers),
        refused=refused is not None,
        seconds=seconds,
        retry_after=refused.headers.get("retry-after") if refused is not None else None,
        let_in_s=again - began if again is not None else None,
        waited=waited,
    )


async def _until_let_in(
    door: HttpDoor, wanted: Limit, key: str | None, until: float, now: Callable[[], float]
) -> float | None:
    while now() < until:
        at = now()
        if (await _ask(door, wanted, key)).status != 429:
            return at
        await asyncio.sleep(_EVERY_S)
    return None


async def _ask(door: HttpDoor, wanted: Limit, key: str | None) -> Answer:
    body = cast("JsonValue", dict(wanted.body)) if wanted.body is not None else None
    return await door.send(
        wanted.method, wanted.host, wanted.path, key="bearer", key_value=key, json=body, total_s=_LOOK_S
    )


@asynccontextmanager
async def _issued(door: HttpDoor, per_hour: int) -> AsyncIterator[str]:
    """A key that may be used so often in an hour (contract 2), revoked at the end. Raises ProbeError."""
    body: JsonValue = {"name": f"hkchaos-{secrets.token_hex(4)}", "rate_limit_per_hour": per_hour}
    answer = await door.send("POST", "auth", _KEYS, key="bearer", whose="admin", json=body)
    made = strict_json(answer.kept.decode(errors="replace")) if answer.status in {200, 201} else None
    key, info = (made.get("api_key"), made.get("key_info")) if isinstance(made, Mapping) else (None, None)
    if not isinstance(key, str) or not isinstance(info, Mapping):
        msg = f"the auth service issued no key: {said(answer, 'auth')}"
        raise ProbeError(msg)
    door.lend(key)
    try:
        yield key
    finally:
        await door.send("DELETE", "auth", f"{_KEYS}/{info.get('key_id')}", key="bearer", whose="admin")
