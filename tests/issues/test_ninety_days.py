"""A quarter of a year of hourly runs: every outage is told of once, and chance never is."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import pytest
from world import CHECKS, PARTS, TARGET, Past, World, at, run

from hokusai_probe.issues import plan

HOURS = 90 * 24
OUTAGES = 12
FLAKES = 0.01


@dataclass(frozen=True, slots=True)
class Outage:
    """Hours in which a component is down, the last one included."""

    part: str
    first: int
    last: int


def outages(chance: random.Random) -> list[Outage]:
    """Twelve in ninety days: each in a week of its own but for one, for two hours to two days."""
    starts = [week * 7 * 24 + chance.randrange(100) for week in range(OUTAGES)]
    return [
        Outage(chance.choice([*PARTS]), start, start + chance.choice([1, 2, 5, 11, 47])) for start in starts
    ]


def lived(seed: int) -> tuple[World, list[Outage], int]:
    """The repository after ninety days, what was wrong meanwhile, and how often a check was by chance."""
    chance = random.Random(seed)
    real, past, world, flakes = outages(chance), Past(), World(), 0
    for hour in range(HOURS):
        down = {o.part for o in real if o.first <= hour <= o.last}
        flake = chance.choice([*CHECKS]) if chance.random() < FLAKES else ""
        flakes += bool(flake)
        report = run(hour, down, flake=flake)
        world = world.after(plan([report], past.by_target(), world.issues), report.started_at)
        past.add(report)
        doubles = Counter(i.body.partition("\n")[0] for i in world.issues if i.state == "open")
        assert set(doubles.values()) <= {1}
    return world, real, flakes


def told(world: World, outage: Outage) -> list[tuple[str, datetime]]:
    """What was mailed about one outage: while it lasted, and in the hours until it was known to be over."""
    first = f"<!-- hokusai-probe: here/{outage.part} -->"
    about = {i.number for i in world.issues if i.body.startswith(first)}
    meant = [e for e in world.events if e.number in about and at(outage.first) <= e.at <= at(outage.last + 8)]
    return [(e.kind, e.at) for e in meant]


@pytest.mark.timeout(60)
def test_ninety_days_of_hourly_runs() -> None:
    """No false issue, twelve of twelve outages found at their second run, three mails each, no duplicate.

    One outage of these follows another one of its component within three days, and is told in the same issue.
    """
    world, real, flakes = lived(35)
    mails = [told(world, outage) for outage in real]
    assert flakes > HOURS * FLAKES / 2
    kinds = [tuple(kind for kind, _ in said) for said in mails]
    assert Counter(kinds) == {("open", "comment", "close"): 11, ("comment", "reopen", "close"): 1}
    assert [said[0][1] for said in mails] == [at(o.first + 1) for o in real]
    assert [said[-1][1] for said in mails] == [at(o.last + 2) for o in real]
    assert len(world.events) == 3 * OUTAGES
    assert {i.state for i in world.issues} == {"closed"}
    assert TARGET.issues.confirm_runs == TARGET.issues.close_runs == 2
