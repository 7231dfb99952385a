"""Judging, telling and remembering ten thousand: ``python tests/bench.py scale``.

The report is the recorded one of ``reports/``. Its looks are repeated under other names, as packages with
looks of their own would bring them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

import bench_history
from bench_page import Part, Row

from hokusai_probe.declare import catalogue
from hokusai_probe.diagnose import diagnose
from hokusai_probe.engine import judge, typed
from hokusai_probe.model import Report
from hokusai_probe.reports import DOCUMENTS

MANY = 10_000
RECORDED = Path(__file__).parent.parent / "reports" / "test_execution_summary.json"


def swollen(report: Report, many: int) -> Report:
    """The report with so many observations, the first of them its own."""
    seen = typed(catalogue(), report.observations)
    fillers = (o.model_copy(update={"probe": f"{o.probe}-{n}"}) for n in count() for o in seen)
    return report.model_copy(update={"observations": (*seen, *islice(fillers, max(many - len(seen), 0)))})


def measured() -> Part:
    """Each beside the same of the recorded report as it is."""
    small = swollen(Report.read(RECORDED.read_text("utf-8")), 0)
    large = swollen(small, MANY)
    rows = [
        _row("judging and diagnosing", small, large, _diagnosed, "1 s"),
        *(
            _row(f"writing `{name}`", small, large, DOCUMENTS[name])
            for name in ("MODEL_REGISTRATION_TEST_REPORT.md", "report.html")
        ),
    ]
    history = tuple(_of_history(line) for line in bench_history.measured())
    return Part(
        "scale",
        f"{MANY:,} observations, {MANY:,} runs",
        (*rows, *history),
        (f"The recorded report has {len(small.observations)} observations; both are of the same causes.",),
    )


def _of_history(line: str) -> Row:
    what, _, figure = line.partition(": ")
    figure, _, reach = figure.removesuffix(")").partition(" (to reach: ")
    return Row(what, figure, reach=reach)


def _diagnosed(report: Report) -> object:
    found = catalogue()
    verdicts = judge(found, report.observations, report.configuration, frozenset(found.checks))
    return diagnose(found, report.observations, verdicts, report.configuration)


def _row(what: str, small: Report, large: Report, act: Callable[[Report], object], reach: str = "") -> Row:
    few, many = _seconds(act, small), _seconds(act, large)
    times = len(large.observations) / len(small.observations)
    return Row(
        f"{what}, {len(large.observations):,} observations",
        f"{many:.2f} s",
        f"{few:.3f} s for a report of {times:.0f} times fewer",
        many / few,
        reach,
    )


def _seconds(act: Callable[[Report], object], report: Report) -> float:
    """The least of three times: what else the machine does only adds."""
    found: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        act(report)
        found.append(time.perf_counter() - began)
    return min(found)
