"""COMPREHENSIVE_HEALTH_REPORT.md: how well the platform is, by component and area, now and before. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hokusai_probe import text
from hokusai_probe.history.condense import components, run_of
from hokusai_probe.history.pace import Pace
from hokusai_probe.history.pace import paces as judged
from hokusai_probe.history.past import Past
from hokusai_probe.history.runs import Service
from hokusai_probe.model import AreaScore, Component, Report, Verdict
from hokusai_probe.reports import answer, criteria, executive, pace, since
from hokusai_probe.reports.layout import (
    FULL,
    blocks,
    bullets,
    lead,
    moment,
    percent,
    plural,
    section,
    table,
)

STANDING: Mapping[Service, str] = {
    "up": "✅ up",
    "impaired": "⚠️ impaired",
    "down": "❌ down",
    "unknown": "❔ not known",
}
_OURS = frozenset({"client", "probe"})


def render(report: Report, past: Past | None = None) -> str:
    """The state of the platform as Markdown, ending in a newline; its first screen is for who decides."""
    clear = answer.all_clear(report)
    first = lead(report) if clear else section("Executive summary", executive.summary(report, past))
    parts = (
        "# Comprehensive health report",
        first,
        executive.what_changed(past) if clear else "",
        section("Components", _components(report, past)),
        section("Areas", scores(report)),
        section("Success criteria", criteria.render(report)),
        section("How fast answers come", pace.render(paces(report, past))),
        section("Where to go on", bullets(_links(past, clear=clear))),
    )
    return blocks(parts) + "\n"


def paces(report: Report, past: Past | None) -> Mapping[str, Pace]:
    """How fast each part of the way is, over many runs where they are known; none where nothing was timed."""
    if past is not None and past.paces:
        return past.paces
    run = run_of(report)
    timed = any(found.first_byte.answers for found in run.parts.values())
    return judged((run,), run.objective_ms) if timed else {}


def platform(report: Report) -> dict[Component, Service]:
    """How each component of the platform served, without the caller and ourselves."""
    return {name: found for name, found in components(report).items() if name not in _OURS}


def _components(report: Report, past: Past | None) -> str:
    known = past is not None and bool(past.served)
    over_time = ["Served in the last 7 days"] if known else []
    rows = (_row(report, past if known else None, *one) for one in platform(report).items())
    header = ["Component", "Now", "Checks that pass", *over_time, "Who mends it"]
    said = (
        "Down is as users see it: what works and cannot be reached is down. Impaired: it serves, and "
        "something of it fails."
    )
    found = list(rows)
    return blocks([table(header, found), said]) if found else ""


def _row(report: Report, past: Past | None, name: Component, service: Service) -> list[str]:
    own = [
        v for v in report.verdicts if v.component == name and (v.status != "skip" or v.skip_kind == "blocked")
    ]
    passing = sum(v.status == "pass" for v in own)
    over_time = [_served(past, name)] if past is not None else []
    who = text.cell(answer.named_owner(report, name)) or "nobody is named"
    return [name, STANDING[service], f"{passing} of {len(own)}", *over_time, who]


def _is_judged(verdict: Verdict) -> bool:
    return verdict.status != "skip" or verdict.skip_kind == "blocked"


def _served(past: Past, name: Component) -> str:
    found = past.served.get(name)
    return since.served(found) if found is not None else "not known"


def scores(report: Report) -> str:
    """The counts of each area as a table, with what the target asks of it; empty where nothing was judged."""
    named = [(a, report.score.areas[a]) for a in answer.areas_in_order(report) if a in report.score.areas]
    rows = [_score_row(report, *pair) for pair in named]
    header = ["Area", "Passed", "Failed", "Errors", "Blocked", "Skipped", "Percent", "Needed"]
    return table(header, [*rows, _score_row(report, "all areas", report.score.overall)]) if rows else ""


def _score_row(report: Report, area: str, count: AreaScore) -> list[str]:
    counts = [count.passed, count.failed, count.errors, count.blocked, count.skipped]
    wanted = report.configuration.criteria.get(area)
    mark = "" if wanted is None else f"{percent(wanted)} {'✅' if criteria.met(count, wanted) else '❌'}"
    return [area, *(str(c) for c in counts), percent(count.percent), mark]


def _links(past: Past | None, *, clear: bool) -> Iterator[str]:
    if not clear:
        yield "What to mend, in order: [RECOMMENDATIONS.md](RECOMMENDATIONS.md)"
        yield "What to type: [INFRASTRUCTURE_TEAM_HANDOFF.md](INFRASTRUCTURE_TEAM_HANDOFF.md)"
    yield f"Everything, with evidence: [{FULL}]({FULL})"
    runs = f" ({plural(past.runs, 'earlier run')} since {moment(past.first)})" if past and past.first else ""
    yield f"Over time{runs}: `hokusai-probe history show`, and charts in [report.html](report.html)"
