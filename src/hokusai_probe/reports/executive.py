"""The whole run on one screen, for who decides and does not type. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import AreaScore, Diagnosis, Report
from hokusai_probe.reports import answer, impact, since
from hokusai_probe.reports.layout import (
    STYLE,
    blocks,
    bullets,
    cause_name,
    moment,
    numbered,
    percent,
    sentence,
    slugs,
)

MOST = 5  # causes and fixes; what is beyond stands in the full report
_WORDS = {0: "✅ NOTHING FAILS", 1: "❌ FAILED", 3: "⚠️ NOT ALL JUDGED"}
_FIRST_AREAS = 4


def summary(report: Report, past: Past | None = None) -> str:
    """State, what users cannot do, causes, what changed and when, top fixes with their effort, quick wins.

    Blocks of Markdown without a heading, about forty lines at most.
    """
    return blocks(
        [
            answer.paragraph(report, STYLE),
            _state(report),
            _listed(f"{impact.heading(report)}:", bullets(_lacks(report))),
            _listed("Causes, the most urgent first:", numbered(_causes(report, past))),
            what_changed(past),
            _listed("Top fixes:", numbered(_fixes(report))),
            quick_wins(report),
            _settling(report),
        ]
    )


def what_changed(past: Past | None) -> str:
    """What changed and when, as a list; where no earlier run is known, a sentence that says so."""
    found = since.what_changed(past, STYLE)
    return _listed("What changed, and when:", bullets(found)) or since.NO_EARLIER_RUN


def _listed(title: str, items: str) -> str:
    return f"{title}\n\n{items}" if items else ""


def _state(report: Report) -> str:
    found = 3 if answer.ours_alone(report) else answer.outcome(report)
    head = f"**Overall status: {_WORDS[found]}** (run of {moment(report.started_at)})"
    areas = [a for a in answer.areas_in_order(report) if a in report.score.areas][:_FIRST_AREAS]
    lines = (f"{area.capitalize()}: {_ratio(report.score.areas[area])}" for area in areas)
    return blocks([head, bullets([*lines, f"All areas: {_ratio(report.score.overall)}"])])


def _ratio(count: AreaScore) -> str:
    judged = count.passed + count.failed + count.errors + count.blocked
    return f"{percent(count.percent)} ({count.passed} of {judged} checks pass)"


def _lacks(report: Report) -> Iterator[str]:
    yield from (impact.said(lack, STYLE) for lack in impact.lacks(report))


def _causes(report: Report, past: Past | None) -> Iterator[str]:
    found = answer.roots(report)
    for root in found[:MOST]:
        one = root.diagnosis
        yield f"{cause_name(one)}, {one.priority}: {sentence(one.because)}{_since(past, one)}"
    if len(found) > MOST:
        yield f"And {len(found) - MOST} more, in the full report."


def _since(past: Past | None, found: Diagnosis) -> str:
    known = since.cause_since(past, found.cause)
    return f" Since: {known}." if known else ""


def _fixes(report: Report) -> Iterator[str]:
    for root in answer.roots(report)[:MOST]:
        found = root.diagnosis
        what = sentence(found.remedy.summary) if found.remedy else "No remedy is known; find one."
        yield f"{what} ({text.code(found.cause)}; effort: {found.effort}; {who(report, found)})"


def _settling(report: Report) -> str:
    """What would tell which of several causes it is; empty where none is open."""
    open_ = report.undecided()
    looks = dict.fromkeys(s.look for d in open_ for s in d.settled_by)
    if not open_:
        return ""
    named = f"It may be any of {_some([d.cause for d in open_])}."
    if not looks:
        return f"{named} No look of ours would tell."
    return f"{named} The look that would tell: {_some(list(looks))}."


def _some(names: Sequence[str]) -> str:
    """The first few of them, and how many more."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return slugs(names[:MOST]) + more


def who(report: Report, found: Diagnosis) -> str:
    """Who must act: the component, and the team that the target names for it."""
    owner = answer.owner(report, found.component)
    named = owner.team or owner.contact
    actor = {"client": "you, who use the key", "probe": "we, who look"}.get(found.component, found.component)
    return f"{actor}, {text.markdown(named)}" if named else actor


def row(report: Report, past: Past | None, number: int, found: Diagnosis) -> list[str]:
    """The cells of a table of causes: number, cause, priority, effort, who must act, since when."""
    return [
        str(number),
        text.cell_code(found.cause),
        found.priority,
        found.effort,
        who(report, found),
        since.in_short(past, found.cause),
    ]


def is_quick(found: Diagnosis) -> bool:
    """Whether it is mended in minutes by commands that can be pasted as they are."""
    automatic = found.remedy is not None and found.remedy.kind == "automatic" and found.remedy.aws_cli
    return found.effort == "minutes" and bool(automatic)


def quick_wins(report: Report) -> str:
    """What is mended in minutes by pasting, as one sentence; empty where nothing is wrong."""
    causes = [root.diagnosis for root in answer.roots(report)]
    quick = [found.cause for found in causes if is_quick(found)]
    if not causes:
        return ""
    if not quick:
        return "Quick wins: none; no cause is mended by commands that can be pasted as they are."
    return f"Quick wins, minutes each, by commands that can be pasted as they are: {slugs(quick)}."
