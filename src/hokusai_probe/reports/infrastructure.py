"""INFRASTRUCTURE_ISSUES.md: the list to work off, an entry for each defect, most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Report, Verdict
from hokusai_probe.reports import answer, executive, impact, since
from hokusai_probe.reports.handoff import NOT_THEIRS
from hokusai_probe.reports.layout import (
    STYLE,
    blocks,
    bullets,
    cause_name,
    in_full,
    lead,
    section,
    sentence,
    slugs,
    table,
)

_MOST = 4
_PLAN = (
    "The same as GitHub issues: `hokusai-probe issues test_execution_summary.json --repository OWNER/NAME` "
    "prints the plan."
)


def render(report: Report, past: Past | None = None) -> str:
    """The issues as Markdown, ending in a newline; where there is none, that."""
    found = [
        pair for pair in enumerate(answer.roots(report), 1) if pair[1].diagnosis.component not in NOT_THEIRS
    ]
    header = ["No.", "Issue", "Priority", "Effort", "Who", "Since"]
    rows = [executive.row(report, past, number, root.diagnosis) for number, root in found]
    clear = answer.all_clear(report)
    none = "There are none." if clear else "No cause was found that the platform's side must mend."
    parts = (
        "# Infrastructure issues",
        lead(report),
        table(header, rows) if rows else none,
        section("What users cannot do meanwhile", _lacks(report) if found else ""),
        *(_one(report, past, number, root) for number, root in found),
        section("Open: one of these, and it is not settled which", bullets(_undecided(report))),
        section("Failing, and no known cause explains it", bullets(_unexplained(report))),
        section("Known and accepted", bullets(_accepted(v) for v in answer.accepted(report))),
        "" if clear else _PLAN,
    )
    return blocks(parts) + "\n"


def _lacks(report: Report) -> str:
    return bullets(impact.said(lack, STYLE) for lack in impact.lacks(report))


def _one(report: Report, past: Past | None, number: int, root: answer.Root) -> str:
    found = root.diagnosis
    title = f"{number}. {cause_name(found)}"
    return section(title, sentence(found.because), bullets(_about(report, past, number, root)))


def _about(report: Report, past: Past | None, number: int, root: answer.Root) -> Iterator[str]:
    found = root.diagnosis
    failing = {v.check for v in report.with_status("fail")}
    seen = [c for d in (found, *root.consequences) for c in d.explains if c in failing]
    if found.affected:
        yield f"Impact on: {', '.join(text.markdown(a) for a in found.affected)}"
    if seen:
        unique = list(dict.fromkeys(seen))
        more = f" and {len(unique) - _MOST} more" if len(unique) > _MOST else ""
        yield f"Failing because of it: {slugs(unique[:_MOST])}{more}"
    yield f"Since: {since.cause_since(past, found.cause) or since.THIS_RUN}"
    yield f"To do: {sentence(found.remedy.summary) if found.remedy else 'no remedy is known; find one.'}"
    yield (
        f"Evidence: {in_full(number, found)}; commands and rollback: "
        "[INFRASTRUCTURE_TEAM_HANDOFF.md](INFRASTRUCTURE_TEAM_HANDOFF.md)"
    )


def _undecided(report: Report) -> Iterator[str]:
    for found in report.undecided():
        looks = slugs(dict.fromkeys(s.look for s in found.settled_by))
        settled = f" Settled by the look {looks}." if looks else " No look of ours settles it."
        yield f"{cause_name(found)}, {found.component}: {sentence(found.because)}{settled}"


def _unexplained(report: Report) -> Iterator[str]:
    by_check = {v.check: v for v in report.verdicts}
    for check in report.unexplained:
        verdict = by_check.get(check)
        yield f"{text.code(check)}: {sentence(verdict.reason)}" if verdict else text.code(check)


def _accepted(verdict: Verdict) -> str:
    return f"{text.code(verdict.check)}: {sentence(verdict.reason)}"
