"""Counting validations between marks in the auth service's log."""

import asyncio
from itertools import chain
from typing import Any

import pytest
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.probes import cache_effect
from hokusai_probe.probes.cache_effect import CALLS, MARKS, CacheEffectFacts, between
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

MARK = "hkprobe-1a2b"
VALIDATED = 'INFO: 10.0.0.2 - "POST /api/v1/keys/validate HTTP/1.1" 200'
ONES = (1,) * (MARKS - 1)
LET_IN = (404,) * (CALLS + 1)


def marked(*gaps: int, stream: str = "task") -> list[tuple[str, str]]:
    """A log with so many validations between its marks."""
    lines = [[mark(0)], *([*[VALIDATED] * n, mark(i)] for i, n in enumerate(gaps, 1))]
    return [(stream, line) for line in chain.from_iterable(lines)]


def mark(number: int) -> str:
    """The access line of a mark."""
    return f'INFO: 10.0.0.2 - "GET /api/v1/{MARK}-{number} HTTP/1.1" 404'


def test_validations_are_counted_gap_by_gap() -> None:
    """Lines before the first and after the last mark belong to nobody."""
    around = [("task", VALIDATED), *marked(0, 2, 1, 0, 0, 0, 3, 0), ("task", VALIDATED)]
    assert between(around, MARK) == (0, 2, 1, 0, 0, 0, 3, 0)


UNCOUNTED = {
    "no marks at all": [("task", VALIDATED)],
    "the last mark is still on its way": marked(*ONES)[:-1],
    "two tasks answered": [*marked(*ONES), ("other", mark(0))],
    "the marks are out of order": marked(*ONES)[::-1],
}


@pytest.mark.parametrize("events", UNCOUNTED.values(), ids=UNCOUNTED)
def test_a_log_that_does_not_show_every_mark_counts_for_nothing(events: list[tuple[str, str]]) -> None:
    """Half a log would make calls look spared that were not."""
    assert between(events, MARK) is None


def test_another_tasks_lines_are_not_counted() -> None:
    """Only the stream that has the marks is read."""
    assert between([("other", VALIDATED), *marked(*(0,) * 8)], MARK) == (0,) * 8


ROWS: list[tuple[CacheEffectFacts, Told]] = [
    (CacheEffectFacts(group="g", calls=LET_IN, validations=(0, 0, 0, 0)), PASS),
    (CacheEffectFacts(group="g", calls=LET_IN, validations=(3, 1, 0, 2)), PASS),
    (
        CacheEffectFacts(group="g", calls=LET_IN, validations=(1, 2, 1, 1)),
        failing("each of 4 calls with the same key was validated at the auth service"),
    ),
    (
        CacheEffectFacts(group="g", calls=LET_IN, validations=(1, 2, 1, 1), idle=(0, 1, 0, 0)),
        skipped("cannot-tell", "keys were validated all the time, also where nothing was called from here"),
    ),
    (
        CacheEffectFacts(group="g", calls=LET_IN, validations=(1, 1, 1, 1), idle=(0, 0, 0, 0)),
        failing("each of 4 calls with the same key was validated at the auth service"),
    ),
    (
        CacheEffectFacts(group="g", calls=LET_IN),
        skipped("cannot-tell", "the auth service's log does not show what it was asked, or not yet"),
    ),
    (
        CacheEffectFacts(group="g", calls=(404, 404, 503, 404, 404), validations=(1, 1, 1, 1)),
        skipped("cannot-tell", "the gateway did not let in each of the calls"),
    ),
    (
        CacheEffectFacts(group="g", calls=LET_IN, failure=AwsFailure(kind="denied")),
        skipped("cannot-tell", "logs:FilterLogEvents: denied"),
    ),
    (CacheEffectFacts(), skipped("not-applicable", "the auth service has no log group that is known")),
]


@pytest.mark.parametrize(("facts", "expected"), ROWS)
def test_one_spared_call_is_proof_and_none_is_the_opposite(
    real: Catalogue, facts: CacheEffectFacts, expected: Told
) -> None:
    """Without a cache there is a validation for every call, and none where nothing is called."""
    assert told(verdict(real, "warm-calls-spare-the-auth-service", facts)) == expected


@pytest.mark.parametrize(
    ("series", "taken"),
    [
        ([(ONES[:4], (0, 0, 0, 0))], 1),
        ([((1, 0, 1, 1), (1, 0, 0, 0))], 1),
        ([(ONES[:4], (1, 0, 0, 0)), (ONES[:4], (0, 0, 0, 0))], 2),
        ([(ONES[:4], ONES[:4])] * 9, 4),
    ],
)
def test_what_strangers_hide_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, series: list[tuple[tuple[int, ...], tuple[int, ...]]], taken: int
) -> None:
    """Our own other looks are strangers, too, and end soon; who validates all the time is left at that."""
    told_of = iter(series)
    done: list[str] = []

    async def one(_: object, group: str) -> CacheEffectFacts:
        done.append(group)
        validations, idle = next(told_of)
        return CacheEffectFacts(group=group, calls=LET_IN, validations=validations, idle=idle)

    monkeypatch.setattr(cache_effect, "_series", one)
    monkeypatch.setattr(cache_effect, "_RESTS_S", (0.0, 0.0, 0.0))
    auth = TaskDefinition(arn="auth:1", log_group="g")
    seen = TaskDefinitionsFacts(definitions={"auth": auth})
    nothing: Any = None
    found = asyncio.run(cache_effect.cache_effect(nothing, seen, nothing, nothing, nothing))

    assert found.validations == series[taken - 1][0]
    assert done == ["g"] * taken
