"""Objectives over many runs, and a slowdown against the runs before: found when real, and not when noise."""

import math
import random
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from _kept import START, at, filled, run

from hokusai_probe.history import folder
from hokusai_probe.history.latency import Histogram, Phases
from hokusai_probe.history.pace import (
    EARLIER,
    NEEDED,
    RUNS,
    At,
    Said,
    against_baseline,
    against_objective,
    paces,
)
from hokusai_probe.reports import pace

QUARTER = 24 * 90
OBJECTIVE_MS = 1000.0


def cannot(reason: str) -> Said:
    """A judgement that is none."""
    return Said(status="cannot-tell", reason=reason)


@pytest.mark.parametrize("share", [0.95, 0.99])
def test_so_many_samples_hold_the_percentile(share: float) -> None:
    """The largest lies beyond it with 95 % confidence from that number on, and not from one fewer."""
    assert 1 - share ** NEEDED[share] >= 0.95 > 1 - share ** (NEEDED[share] - 1)


# --- the objective --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds_by_run", "objective_ms", "said"),
    [
        ([[0.1] * 20], OBJECTIVE_MS, cannot("n too small (20 of 59)")),
        ([[2.0] * 20] * 2, OBJECTIVE_MS, cannot("n too small (40 of 59)")),
        ([[0.1] * 20] * 3, None, cannot("the target has no objective: [slo] p95_ms")),
        ([[0.1] * 20] * 3, OBJECTIVE_MS, Said(status="pass", reason="0 of 60 took longer than 1000 ms")),
        (
            [[0.1] * 17 + [2.0] * 3] * 6,
            OBJECTIVE_MS,
            Said(status="fail", reason="18 of 120 took longer than 1000 ms"),
        ),
        (
            [[2.0] * 20, *[[0.1] * 20] * 5],
            OBJECTIVE_MS,
            cannot("20 of 120 took longer than 1000 ms, which is too near, or of too few runs"),
        ),
        (
            [[0.1] * 18 + [2.0] * 2] * 3,
            OBJECTIVE_MS,
            cannot("6 of 60 took longer than 1000 ms, which is too near, or of too few runs"),
        ),
        (
            [[0.98] * 20] * 5,
            OBJECTIVE_MS,
            cannot("0 of 100 took longer than 1000 ms, which is too near, or of too few runs"),
        ),
    ],
)
def test_the_objective_is_judged_of_many_runs(
    seconds_by_run: list[list[float]], objective_ms: float | None, said: Said
) -> None:
    """Missed where more are late than chance allows for, in several runs: a bad minute is in one."""
    assert against_objective([Histogram.of(one) for one in seconds_by_run], objective_ms) == said


# --- the runs before ------------------------------------------------------------------------------------


def hourly(values: Iterable[float]) -> list[At]:
    """A median for each hour."""
    return [(at(hour), value) for hour, value in enumerate(values)]


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        ([], "too few earlier runs (0 of 24)"),
        (hourly([50.0] * 28), "too few earlier runs (23 of 24)"),
        (
            [(START + timedelta(minutes=n), 50.0) for n in range(100)],
            "the earlier runs are of 1 h, and a day is needed",
        ),
    ],
)
def test_nothing_is_compared_with_too_little(series: list[At], reason: str) -> None:
    """A baseline has enough runs, and day and night in it."""
    assert against_baseline(series) == cannot(reason)


def test_a_slowdown_is_found_with_when_it_began() -> None:
    """Seven runs and more that are slower by half."""
    found = against_baseline(hourly([100.0] * 60 + [150.0] * 7))

    assert found == Said(status="fail", reason="100 ms, now 150 ms", since=at(60))


@pytest.mark.parametrize(
    "latest",
    [
        [5000.0],
        [5000.0] * 3,
        [5000.0] * 4 + [100.0] * 3,
        [120.0] * 30,
        [50.0] * 30,
    ],
)
def test_what_is_no_regression(latest: list[float]) -> None:
    """A bad minute, three bad runs in a row, what is over again, a fifth more, and what became quicker."""
    assert against_baseline(hourly([100.0] * 60 + latest)).status == "pass"


def test_a_few_milliseconds_are_none() -> None:
    """However many times more they are: on loopback a scheduler's tick is a factor of three."""
    assert against_baseline(hourly([1.5] * 60 + [4.5] * 10)).status == "pass"


def test_a_slowdown_that_stays_is_told_for_days() -> None:
    """It does not become the ordinary at once: the baseline's middle does not move with a few runs."""
    assert against_baseline(hourly([100.0] * 150 + [150.0] * 50)).since == at(150)


def noisy(seed: int, hours: int, slow_from: int | None = None) -> list[float]:
    """Medians of a quiet platform's hourly runs in milliseconds, as histograms keep them.

    Four answers each with a spread of a quarter; a load that drifts from hour to hour; nights a tenth quicker
    than days; and every fourth day something that doubles one to three runs in a row.
    """
    draw, drift, bad, found = random.Random(seed), 0.0, 0, list[float]()
    for hour in range(hours):
        drift = 0.5 * drift + math.sqrt(0.75) * draw.gauss(0, 0.08)
        bad = draw.choice((1, 2, 3)) if bad == 0 and draw.random() < 0.01 else max(bad - 1, 0)
        middle = 80 * math.exp(drift) * (1 + 0.1 * math.sin(hour * math.pi / 12)) * (2 if bad else 1)
        middle *= 1.5 if slow_from is not None and hour >= slow_from else 1
        times = [middle / 1000 * math.exp(draw.gauss(0, 0.25)) for _ in range(4)]
        found.append(Histogram.of(times).quantile_ms(0.5) or 0.0)
    return found


def wrong_at(values: list[float], hours: Iterable[int]) -> list[int]:
    """The hours at which the run of that hour would have said that it became slower."""
    series = hourly(values)
    upto = {hour: series[max(0, hour + 1 - RUNS) : hour + 1] for hour in hours}
    return [hour for hour, runs in upto.items() if against_baseline(runs).status == "fail"]


def test_noise_is_hardly_ever_a_regression() -> None:
    """Twelve quarters of hourly runs, each third run judged with what was known then: none says it."""
    wrong = [seed for seed in range(12) if wrong_at(noisy(seed, QUARTER), range(0, QUARTER, 3))]

    assert wrong == []


def test_half_as_slow_again_is_found_within_hours() -> None:
    """In the same noise: half of them by the twelfth run, three of four by the sixteenth."""
    delays = []
    for seed in range(24):
        begins = 230 + seed
        found = wrong_at(noisy(seed, begins + 16, begins), range(begins, begins + 16))
        delays.append(found[0] - begins + 1 if found else QUARTER)

    assert sorted(delays)[12] <= 12
    assert sorted(delays)[18] <= 16


# --- of runs --------------------------------------------------------------------------------------------


def phases(first_byte_s: float, connect_s: float | None = None) -> Phases:
    """What a run keeps of two answers."""
    opened = [] if connect_s is None else [connect_s]
    return Phases(
        connect=Histogram.of(opened),
        first_byte=Histogram.of([first_byte_s] * 2),
        total=Histogram.of([first_byte_s + (connect_s or 0.0), first_byte_s]),
    )


def test_a_part_s_phases_are_each_compared() -> None:
    """A slower network shows in the connection where the totals hide it. Old runs have no parts."""
    quick, slow = {"key": phases(0.1, 0.02)}, {"key": phases(0.1, 0.09)}
    runs = [
        run(0),
        *(run(1 + n, parts=quick) for n in range(40)),
        *(run(41 + n, parts=slow) for n in range(8)),
    ]

    found = paces(runs, OBJECTIVE_MS)["key"]

    assert (found.runs, found.phases.total.answers) == (48, 96)
    assert found.objective == Said(status="pass", reason="0 of 96 took longer than 1000 ms")
    assert found.baseline == Said(status="fail", reason="connect 20 ms, now 92 ms", since=at(41))


def test_the_table_says_what_is_known_and_what_is_not() -> None:
    """A row a part, with n and why a percentile is missing."""
    runs = [run(n, parts={"key": phases(0.1, 0.02), "auth": phases(0.05)}) for n in range(EARLIER + 3)]

    found = list(pace.rows(paces(runs, OBJECTIVE_MS)))

    said = (
        "n too small (54 of 59)",
        "n too small (54 of 299)",
        "cannot-tell: n too small (54 of 59)",
        "cannot-tell: too few earlier runs (22 of 24)",
    )
    auth, key = "auth: the auth host's /health", "key: a key is judged, and no more"
    assert found == [
        (auth, "-", "-", "52.2 ms", "52.2 ms", "54", "52.2 ms", *said),
        (key, "20.1 ms", "-", "101.6 ms", "101.6 ms", "54", "101.6 ms", *said),
    ]


def test_a_run_s_past_says_how_fast_the_way_was(tmp_path: Path) -> None:
    """Of the latest hundred before it and of itself; a run without parts counts for nothing."""
    parts = {"key": phases(0.1)}
    now = run(130, parts=parts, objective_ms=50.0)
    filled(tmp_path, [run(0), *(run(1 + n, parts=parts) for n in range(120))])

    found = folder.remember(tmp_path, now)[0].paces["key"]

    assert found.runs == RUNS + 1
    assert found.objective == Said(status="fail", reason="202 of 202 took longer than 50 ms")
    assert found.baseline == Said(status="pass", reason="102 ms, now 102 ms")


def test_nothing_is_shown_of_nothing() -> None:
    """No run that timed a part, no table."""
    assert pace.render(paces([run(0)], OBJECTIVE_MS)) == ""
