"""Thresholds as seen from outside: when the breaker opens and closes, and after how many requests comes 429.

Nothing is judged here; what was seen is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import cast

from pydantic import JsonValue

from hokusai_probe.chaos.experiment import Limit
from hokusai_probe.chaos.facts import BreakerSeen, BreakerSettings, LimitSeen
from hokusai_probe.http import Answer, HttpDoor

_EVERY_S = 0.25
_LOOK_S = 4.0
_AT_ONCE = 5
_OVER = 10  # requests beyond the expected limit before it counts as not seen
_PATIENCE = 1.5  # of the expected window


async def breaker(door: HttpDoor, now: Callable[[], float]) -> AsyncIterator[BreakerSeen]:
    """What ``/health/mlflow`` says of the breaker, again and again. Each look counts as one of its own."""
    while True:
        at = now()
        yield _breaker_view(at, await door.send("GET", "registry", "/health/mlflow", total_s=_LOOK_S))
        await asyncio.sleep(max(0.0, at + _EVERY_S - now()))


def _breaker_view(at: float, answer: Answer) -> BreakerSeen:
    body = answer.json()
    said: Mapping[str, JsonValue] = body if isinstance(body, Mapping) else {}
    state, failures = said.get("circuit_breaker_state"), said.get("failure_count")
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

    Requests go a few at a time: one after the other they might not be done before the window is over.
    """
    began, answers = now(), list[Answer]()
    most = wanted.requests + _OVER
    while len(answers) < most and not any(answer.status == 429 for answer in answers):
        some = min(_AT_ONCE, most - len(answers))
        answers += await asyncio.gather(*(_ask(door, wanted) for _ in range(some)))
    seconds = now() - began
    refused = next((answer for answer in answers if answer.status == 429), None)
    until = began + (_PATIENCE * wanted.window_s / time_scale if refused else 0.0)
    again = await _until_let_in(door, wanted, until, now)
    return LimitSeen(
        method=wanted.method,
        path=wanted.path,
        sent=len(answers),
        taken=sum(answer.status != 429 for answer in answers),
        refused=refused is not None,
        seconds=seconds,
        retry_after=refused.headers.get("retry-after") if refused is not None else None,
        let_in_s=again - began if again is not None else None,
    )


async def _until_let_in(
    door: HttpDoor, wanted: Limit, until: float, now: Callable[[], float]
) -> float | None:
    while now() < until:
        at = now()
        if (await _ask(door, wanted)).status != 429:
            return at
        await asyncio.sleep(_EVERY_S)
    return None


async def _ask(door: HttpDoor, wanted: Limit) -> Answer:
    body = cast("JsonValue", dict(wanted.body)) if wanted.body is not None else None
    return await door.send(wanted.method, "registry", wanted.path, key="bearer", json=body, total_s=_LOOK_S)
