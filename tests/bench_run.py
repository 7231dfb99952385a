"""A healthy run against its critical path, and who keeps it above that: ``python tests/bench.py run``."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bench_cpu import Spent, spent
from bench_page import Part, Row, spread

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.declare import Catalogue, catalogue
from hokusai_probe.model import Report
from hokusai_probe.runner import run

SLOWEST = 8
LONG_S = 0.3
"""A look of the critical path that takes so long by itself is named."""


class Step(NamedTuple):
    """One look of a chain and its own time in seconds, without waiting for those before it."""

    look: str
    seconds: float


def own_times(ended: Mapping[str, float], before: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Each look's own time, from when it ended (seconds from the start) and the looks that it waits for."""
    return {
        look: end - max((ended[b] for b in _known(look, ended, before)), default=0.0)
        for look, end in ended.items()
    }


def critical_path(ended: Mapping[str, float], before: Mapping[str, Iterable[str]]) -> tuple[Step, ...]:
    """The chain that ends with the look that ended last, the first look first; empty for no looks."""
    own, path = own_times(ended, before), list[Step]()
    look = max(ended, key=lambda name: (ended[name], name), default=None)
    while look is not None:
        path.append(Step(look, own[look]))
        look = max(_known(look, ended, before), key=lambda name: (ended[name], name), default=None)
    return tuple(reversed(path))


def _known(look: str, ended: Mapping[str, float], before: Mapping[str, Iterable[str]]) -> list[str]:
    return [b for b in before.get(look, ()) if b in ended]


def waits_for(found: Catalogue) -> dict[str, tuple[str, ...]]:
    """The looks that each look waits for: those that it reads, and those of the checks it comes after."""
    return {p.slug: (*p.prior(), *(found.checks[c].probe for c in p.after)) for p in found.probes.values()}


def ended(report: Report) -> dict[str, float]:
    """When each look ended. A look's duration counts from the start of the run, waiting included."""
    return {o.probe: o.duration_s for o in report.observations if o.status == "seen"}


def own(report: Report) -> dict[str, float]:
    """Each look's own time in a run."""
    return own_times(ended(report), waits_for(catalogue()))


def measured(runs: int) -> Part:
    """One warm sandbox, one warm process, every class of looks; a first run to warm up, then so many."""
    with sandbox.start("healthy") as box:
        environment = {**bare_environment(), **box.environment}
        run(box.target_file, environment=environment)
        with_aws, without, used = list[Report](), list[Report](), list[Spent]()
        for _ in range(runs):
            before = spent()
            with_aws.append(run(box.target_file, environment=environment))
            used.append(spent().since(before))
            without.append(run(box.target_file, aws=False, environment=environment))
    return part(with_aws, without, used)


def part(reports: list[Report], outside: list[Report], used: list[Spent]) -> Part:
    """What some runs come to; the path is that of the run in the middle.

    ``outside``: those without AWS. ``used``: the processor time of those with it.
    """
    middle = sorted(reports, key=lambda r: r.duration_s)[len(reports) // 2]
    path, times = critical_path(ended(middle), waits_for(catalogue())), [r.duration_s for r in reports]
    alone = [r.duration_s for r in outside]
    length, median = sum(step.seconds for step in path), statistics.median(times)
    slowest = sorted(own(middle).items(), key=lambda item: -item[1])[:SLOWEST]
    return Part(
        "run",
        "A healthy run, all classes of looks",
        (
            Row("The whole run", spread(times), "its critical path", median / length, "1.3 x, and 3 s"),
            Row("Its critical path", f"{length:.2f} s"),
            Row("The same without AWS", spread(alone), "the whole run", statistics.median(alone) / median),
            Row("Requests sent", str(middle.requests_sent)),
            Row("Score", f"{middle.score.overall.percent} %", reach="100 %"),
        ),
        (
            f"The critical path: {_listed(path)}.",
            f"{LONG_S} s and more of it take {_listed(s for s in path if s.seconds >= LONG_S) or 'none'}.",
            f"The longest looks without their waiting: {_listed(Step(*one) for one in slowest)}.",
            _said_of(used),
        ),
    )


def _said_of(used: list[Spent]) -> str:
    own, box = (statistics.median(seconds) for seconds in zip(*used, strict=True))
    cores = os.cpu_count() or 1
    return (
        f"Processor time: {own:.1f} s of the run and its workers, {box:.1f} s of the sandbox, in place of "
        f"hosts elsewhere. On {cores} cores that is {(own + box) / cores:.1f} s at least."
    )


def _listed(steps: Iterable[Step]) -> str:
    return ", ".join(f"`{step.look}` {step.seconds:.2f} s" for step in steps)
