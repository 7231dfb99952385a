"""Documents made from a report. A format is a function ``Report -> str`` and one line of ``DOCUMENTS``."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hokusai_probe.history.past import Past
from hokusai_probe.model import Report
from hokusai_probe.reports import (
    badge,
    failing,
    files,
    handoff,
    health,
    html,
    index,
    infrastructure,
    junit,
    markdown,
    overview,
    prometheus,
    recommendations,
    working,
)
from hokusai_probe.reports.trend import Trend

Document = Callable[[Report], str]

OVER_TIME: Mapping[str, Callable[..., str]] = {
    "MODEL_REGISTRATION_TEST_REPORT.md": markdown.render,
    "COMPREHENSIVE_HEALTH_REPORT.md": health.render,
    "INFRASTRUCTURE_ISSUES.md": infrastructure.render,
    "INFRASTRUCTURE_TEAM_HANDOFF.md": handoff.render,
    "RECOMMENDATIONS.md": recommendations.render,
    "failing_components.md": failing.render,
    "working_components.md": working.render,
}
"""The documents that say since when and what changed, where they are given the ``past``."""

DOCUMENTS: Mapping[str, Document] = {
    **OVER_TIME,
    "report.html": html.render,
    "test_execution_summary.json": Report.to_json,
    "junit.xml": junit.render,
    "metrics.prom": prometheus.render,
    "badge.svg": badge.render,
    "README.md": index.render,
}


def documents(past: Past | None = None, trend: Trend | None = None) -> Mapping[str, Document]:
    """The documents, those that speak of the time before knowing it; ``trend``: what the page shows."""
    known = dict(DOCUMENTS)
    if past is not None:
        known |= {name: partial(render, past=past) for name, render in OVER_TIME.items()}
    known["report.html"] = partial(html.render, trend=trend, past=past)
    return known


def write(
    report: Report, directory: Path, past: Past | None = None, trend: Trend | None = None
) -> tuple[Path, ...]:
    """Write every document into ``directory``, made if missing; returns the paths written.

    ``past``: what the history knows of the time before, where there is one; ``trend``: what the page shows
    over time. All are rendered before the first is written, and each replaces its predecessor at once, so a
    reader never sees half a document. Raises OSError.
    """
    rendered = {name: document(report) for name, document in documents(past, trend).items()}
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(files.replace(directory / name, said) for name, said in rendered.items())


@dataclass(frozen=True, slots=True)
class OverTime:
    """What a history knows of a target: the time before its run, and what a page shows over time."""

    past: Past
    trend: Trend


def write_overview(
    reports: Iterable[Report], directory: Path, known: Mapping[str, OverTime] | None = None
) -> tuple[Path, ...]:
    """Write ``index.html`` over several targets, and the documents of each in a folder of its own.

    The newest report of each target counts. ``known``: what a history knows, by target, where there is one.
    Returns the paths written, the page last. Raises OSError.
    """
    found, known = overview.folders(reports), known or {}
    written = [path for name, report in found.items() for path in _write(report, directory / name, known)]
    pasts = {target: one.past for target, one in known.items()}
    page = files.replace(directory / "index.html", overview.render(tuple(found.values()), pasts))
    return (*written, page)


def _write(report: Report, directory: Path, known: Mapping[str, OverTime]) -> tuple[Path, ...]:
    over_time = known.get(report.target)
    return write(report, directory, *((over_time.past, over_time.trend) if over_time else ()))
