"""RECOMMENDATIONS.md: what to do, in which order, at what effort, and what that is good for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Diagnosis, Report
from hokusai_probe.reports import answer, executive, since
from hokusai_probe.reports.handoff import NOT_THEIRS
from hokusai_probe.reports.layout import (
    STYLE,
    blocks,
    bullets,
    cause_name,
    in_full,
    lead,
    plural,
    section,
    sentence,
    slugs,
    table,
    undecided,
)

_HANDOFF = "[INFRASTRUCTURE_TEAM_HANDOFF.md](INFRASTRUCTURE_TEAM_HANDOFF.md)"


def render(report: Report, past: Past | None = None) -> str:
    """The recommendations as Markdown, ending in a newline; where nothing is wrong, that there are none."""
    parts = (
        "# Recommendations",
        lead(report),
        "There is nothing to mend." if answer.all_clear(report) else executive.quick_wins(report),
        section("In this order", *_order(report, past)),
        section("To find out first", undecided(report.undecided())),
        section("Nobody knows yet", _unknown(report)),
        section("So that it stays mended", bullets(_lasting(report, past))),
    )
    return blocks(parts) + "\n"


def _order(report: Report, past: Past | None) -> Iterator[str]:
    found = answer.roots(report)
    if not found:
        return
    header = ["No.", "Cause", "Priority", "Effort", "Who", "Since", "Mends"]
    yield table(header, [_row(report, past, n, root) for n, root in enumerate(found, 1)])
    yield "The causes first, then what follows from them: that goes by itself."
    for number, root in enumerate(found, 1):
        yield _one(report, past, number, root)


def _row(report: Report, past: Past | None, number: int, root: answer.Root) -> list[str]:
    cells = executive.row(report, past, number, root.diagnosis)
    return [*cells, plural(len(_mends(report, root)), "check")]


def _mends(report: Report, root: answer.Root) -> tuple[str, ...]:
    """The checks that fail or wait in this run and that a root and what follows from it explain."""
    wrong = {v.check for v in (*report.with_status("fail"), *answer.blocked(report))}
    found = dict.fromkeys(c for d in (root.diagnosis, *root.consequences) for c in d.explains)
    return tuple(c for c in found if c in wrong)


def _one(report: Report, past: Past | None, number: int, root: answer.Root) -> str:
    found = root.diagnosis
    summary = sentence(found.remedy.summary) if found.remedy else "No remedy is known; find one."
    title = f"{number}. {cause_name(found)}"
    return section(title, summary, bullets(_about(report, past, number, root)), level=3)


def _about(report: Report, past: Past | None, number: int, root: answer.Root) -> Iterator[str]:
    found, shared = root.diagnosis, _shared(report, root)
    yield f"Why: {sentence(found.because)}"
    yield f"Since: {since.cause_since(past, found.cause) or since.THIS_RUN}"
    handed = "" if found.component in NOT_THEIRS else f", and in {_HANDOFF}"
    yield f"How: {_how(found)}; {in_full(number, found)}{handed}"
    if found.remedy and found.remedy.also_touches:
        yield f"It also touches: {sentence(found.remedy.also_touches)}"
    if shared:
        yield f"Not enough alone: some of what fails here needs {slugs(shared)} mended, too"
    if root.consequences:
        yield f"With it go: {slugs(d.cause for d in root.consequences)}"


def _how(found: Diagnosis) -> str:
    kind = found.remedy.kind if found.remedy else None
    return {
        "automatic": "commands that can be pasted as they are",
        "needs-value": "commands in which a value that only you know is filled in",
        "outside-aws": "outside AWS, by a person",
    }.get(kind or "", "nobody has written that down yet")


def _shared(report: Report, root: answer.Root) -> tuple[str, ...]:
    """Other root causes that explain some of the same checks."""
    mine = set(_mends(report, root))
    others = (r for r in answer.roots(report) if r is not root and r != root)
    return tuple(r.diagnosis.cause for r in others if mine & set(_mends(report, r)))


def _unknown(report: Report) -> str:
    reasons = {v.check: v.reason for v in report.verdicts}
    found = (f"{text.code(c)}: {sentence(reasons.get(c, ''))}" for c in report.unexplained)
    return bullets(f"{one} No known cause explains it; somebody must look." for one in found)


def _lasting(report: Report, past: Past | None) -> Iterator[str]:
    """What keeps it from coming back, and what would be seen earlier, as far as the report itself tells."""
    causes = [root.diagnosis for root in answer.roots(report)]
    in_code = [d.cause for d in causes if d.remedy and d.remedy.terraform]
    if in_code:
        yield f"Write it into Terraform, whose next apply would undo it: {slugs(in_code)}"
    yield from since.flapping(past, STYLE)
    unseen = [v.check for v in report.verdicts if v.skip_kind == "not-configured"]
    if unseen:
        yield (
            f"Look further: {plural(len(unseen), 'check was', 'checks were')} not configured, and what "
            "breaks there is not seen; `hokusai-probe doctor` says what is missing."
        )
    accepted = [v.check for v in answer.accepted(report)]
    if accepted:
        yield f"Defects that the target accepts are defects all the same: {slugs(accepted)}."
    if not answer.all_clear(report) and (past is None or not past.runs):
        yield "Keep a history (`--history DIR`): the next report then says since when, and what changed."
