"""The summary that GitHub shows under a job, in Markdown: the answer first, within its limit. Pure.

GitHub takes at most 1 MiB for one step and drops the whole of a larger summary. So it is cut where a
section ends, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from hokusai_probe.history.past import Past
from hokusai_probe.model import AreaScore, Report
from hokusai_probe.reports import answer, discretion, picture, since
from hokusai_probe.reports.layout import (
    STYLE,
    blocks,
    bullets,
    check_line,
    diagnosis_title,
    moment,
    percent,
    plural,
    section,
    sentence,
    shell,
    slugs,
    table,
    undecided,
)

LIMIT = 1024 * 1024
"""Bytes that GitHub takes for the summary of one step."""

_NOTE = 200  # bytes kept for the sentence that says what was left out


def render(report: Report, limit: int = LIMIT, past: Past | None = None) -> str:
    """The summary in at most ``limit`` bytes of UTF-8, ending in a newline; all clear is one line.

    Everybody may read it where the repository is public: sensitive causes are counted and not named.

    Sections that do not fit are left out from the end. Nothing is left where not even a line fits. ``past``:
    what the history knows of the time before, where there is one.
    """
    shown = discretion.public(report, past)
    report, past = shown.report, shown.past
    if answer.all_clear(report):
        return _cut([answer.clear_line(report, STYLE)], limit)
    return _cut([part for part in _parts(report, past, shown.note) if part], limit)


def _parts(report: Report, past: Past | None, note: str) -> tuple[str, ...]:
    changed = section("What changed, and when", bullets(since.what_changed(past, STYLE)), level=3)
    return (_answer(report), note, changed, *_why(report, past), *_results(report))


def _cut(parts: Sequence[str], limit: int) -> str:
    kept, room = 0, limit - _NOTE
    while kept < len(parts) and (room := room - len(parts[kept].encode()) - 2) >= 0:
        kept += 1
    left = len(parts) - kept
    note = (
        f"This is cut: {plural(left, 'section')} would not fit here. "
        "`MODEL_REGISTRATION_TEST_REPORT.md` of `--reports` has all."
    )
    said = blocks([*parts[:kept], note if left else ""]) + "\n"
    return said if len(said.encode()) <= limit else ""


def _answer(report: Report) -> str:
    title = f"## {answer.headline(report)}"
    when = f"Run of {moment(report.started_at)}: {answer.failing(report)}."
    return blocks([title, answer.paragraph(report, STYLE), when])


def _why(report: Report, past: Past | None) -> tuple[str, ...]:
    reasons = {v.check: v.reason for v in report.verdicts}
    unexplained = bullets(
        f"{check_line(report, c)}. {sentence(reasons.get(c, ''))}" for c in report.unexplained
    )
    return (
        section("Where it breaks", picture.fenced(report), level=3),
        *(_root(report, past, root) for root in answer.roots(report)),
        section("Undecided", undecided(report.undecided()), level=3),
        section("Failures that no known cause explains", unexplained, level=3),
    )


def _root(report: Report, past: Past | None, root: answer.Root) -> str:
    found = root.diagnosis
    known = since.cause_since(past, found.cause)
    commands = found.remedy.aws_cli if found.remedy else ()
    return section(
        diagnosis_title(found),
        sentence(found.because),
        f"Seen since: {known}." if known else "",
        f"To do: {sentence(found.remedy.summary)}" if found.remedy else "",
        shell(commands),
        f"It explains {slugs(found.explains)}." if found.explains else "",
        "Afterwards:",
        shell([answer.verify_command(report, found.cause)]),
        level=3,
    )


def _results(report: Report) -> tuple[str, ...]:
    named = [(a, report.score.areas[a]) for a in answer.areas_in_order(report) if a in report.score.areas]
    counts: list[tuple[str, AreaScore]] = [*named, ("all areas", report.score.overall)]
    rows = [[a, str(c.passed), str(c.failed + c.errors + c.blocked), percent(c.percent)] for a, c in counts]
    failing = bullets(check_line(report, v.check) for v in report.with_status("fail"))
    trouble = bullets(f"{sentence(t.where)} {sentence(t.reason)}" for t in answer.troubles(report))
    return (
        section("Results", table(["Area", "Passed", "Not passed", "Percent"], rows), level=3),
        section("Failing checks", failing, level=3),
        section("Our own trouble", trouble, level=3),
    )
