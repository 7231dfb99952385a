"""How long a run takes on the healthy platform in miniature, and which looks it waits for: ``make bench``.

One warm sandbox, one warm process, every class of looks; a first run to warm up, then as many as asked for.
Prints the median, the critical path of the median run (the longest chain of looks, each with its own time)
and the slowest looks. What the history costs follows; ``python tests/bench.py history`` measures that alone,
and ``python tests/bench.py publish`` what it takes eight publishers that come at once, a hundred times.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import bench_history
import bench_publish

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.declare import Catalogue, catalogue
from hokusai_probe.model import Report
from hokusai_probe.runner import run

RUNS = 5
SLOWEST = 8


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


def _ended(report: Report) -> dict[str, float]:
    """When each look ended. A look's duration counts from the start of the run, waiting included."""
    return {o.probe: o.duration_s for o in report.observations if o.status == "seen"}


def main(runs: int) -> None:
    """Boot, run, print."""
    with sandbox.start("healthy") as box:
        environment = {**bare_environment(), **box.environment}
        run(box.target_file, environment=environment)
        reports = [run(box.target_file, environment=environment) for _ in range(runs)]
    by_time = sorted(reports, key=lambda r: r.duration_s)
    lines = _lines(by_time[len(by_time) // 2], [r.duration_s for r in reports])
    sys.stdout.write("\n".join(lines) + "\n")


def _lines(middle: Report, times: list[float]) -> list[str]:
    ended, before = _ended(middle), waits_for(catalogue())
    path, own = critical_path(ended, before), own_times(ended, before)
    length = sum(step.seconds for step in path)
    median = statistics.median(times)
    slowest = sorted(own.items(), key=lambda item: -item[1])[:SLOWEST]
    head = f"median of {len(times)} runs: {median:.2f} s ({', '.join(f'{t:.2f}' for t in times)})"
    return [
        f"{head}; {middle.requests_sent} requests, score {middle.score.overall.percent}",
        f"critical path: {length:.2f} s, and the run is {median / length:.2f} times that",
        *(f"  {step.seconds:6.2f} s  {step.look}" for step in path),
        "slowest looks, without waiting:",
        *(f"  {seconds:6.2f} s  {look}" for look, seconds in slowest),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["publish"]:
        sys.stdout.write("\n".join(bench_publish.measured(*map(int, sys.argv[2:]))) + "\n")
        sys.exit()
    if sys.argv[1:] != ["history"]:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
    sys.stdout.write("\n".join(bench_history.measured()) + "\n")
