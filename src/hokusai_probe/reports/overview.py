"""A page over several targets: which of them works, and where its report is. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence

from hokusai_probe import text
from hokusai_probe.history.past import Past
from hokusai_probe.model import Diagnosis, Report
from hokusai_probe.reports import answer, since
from hokusai_probe.reports.layout import moment
from hokusai_probe.reports.page import STYLE, items, paragraph, whole

_TONE: Mapping[int, str] = {0: "good", 1: "bad", 3: "warn"}
_FOLDER_CHARACTERS = 60


def folders(reports: Iterable[Report]) -> dict[str, Report]:
    """The newest report of each target by the name of its folder, in the order of their names.

    A folder is named for its target in letters, digits, dots and hyphens, with a number where two meet.
    """
    newest: dict[str, Report] = {}
    for report in sorted(reports, key=lambda r: r.started_at):
        newest[report.target] = report
    found: dict[str, Report] = {}
    taken = {"index.html"}
    for target in sorted(newest):
        name = _free(_safe(target), taken)
        taken.add(name)
        found[name] = newest[target]
    return found


def _safe(name: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip(".-")[:_FOLDER_CHARACTERS].strip(".-") or "target"


def _free(name: str, taken: Container[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def render(reports: Sequence[Report], pasts: Mapping[str, Past] | None = None) -> str:
    """The page as HTML, ending in a newline: one entry for each target, what fails first.

    ``pasts``: what a history knows of the time before, by target. Its links lead to ``FOLDER/report.html``
    with the folders of :func:`folders`.
    """
    found = sorted(folders(reports).items(), key=lambda pair: (-(answer.outcome(pair[1]) == 1), pair[0]))
    failing = sum(answer.outcome(report) == 1 for _, report in found)
    head = (
        f"<header><h1>{len(found)} targets, {failing} with failures</h1>"
        '<p class="run">Made by hokusai-probe from the newest report of each.</p></header>'
    )
    known = pasts or {}
    body = "\n".join(_entry(folder, report, known.get(report.target)) for folder, report in found)
    return whole(
        "hokusai-probe: all targets", head, f"<main>\n{body or paragraph('No report yet.')}\n</main>"
    )


def _entry(folder: str, report: Report, past: Past | None) -> str:
    causes = items(_cause(root.diagnosis, past) for root in answer.roots(report))
    return (
        f'<article class="{_TONE[answer.outcome(report)]}"><h2><a href="{folder}/report.html">'
        f"{STYLE.prose(report.target)}</a></h2>\n"
        f"{paragraph(f'{text.html(answer.headline(report))}. {answer.failing(report)}.')}\n{causes}\n"
        f'<p class="quiet">{moment(report.started_at)}</p></article>'
    )


def _cause(found: Diagnosis, past: Past | None) -> str:
    known = since.cause_since(past, found.cause)
    since_when = f", since {text.html(known)}" if known else ""
    return f"{STYLE.slug(found.cause)}: {answer.must_act(found.component)}{since_when}"
