"""Scores out of the reports that the former scripts wrote in Markdown. Pure.

Nothing but dates and numbers is taken over. Those scores counted what could not fail, and counted faults as
passes (a missing route's 404 was expected), so they are kept as what they are: the old count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hokusai_probe.history.runs import SUITE, HistoryError, LegacyRun, OldCount, Run
from hokusai_probe.redact import REDACTED

if TYPE_CHECKING:
    from markdown_it.token import Token

LARGEST_CHARACTERS = 1024 * 1024
_AREAS = (("infrastructure", "infrastructure"), ("auth", "authentication"), ("registration", "registration"))
_DATE = re.compile(r"(?m)^\s*Date:\s*(\d{4}-\d{2}-\d{2})\b")
_TIMESTAMP = re.compile(r"timestamp:\s*(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})")
_SCORE = re.compile(r"\s*([^:]{1,80}):\s*(\d{1,3}(?:\.\d{1,3})?)\s?%(?:\s*\((\d{1,5})/(\d{1,5})\b)?")
_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d{1,3})?)\s?%\s*")
_BEFORE = re.compile(r"(?i)previous\b.*?(\d{4}-\d{2}-\d{2})")
_FAULT = re.compile(r"(\d{1,5})/\d{1,5} checks passed \([345]\d\ds? considered .?healthy")
_LABELLED = re.compile(
    r"(?i)\b(?:key|token|secret|password)\b[^:\n]{0,20}:[*\s`\"']{0,6}((?=[\w-]*\d)[\w-]{16,})"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a report gave: its runs, the earliest first, what was odd, and how many secrets stood in it."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()
    secrets: int = 0


@dataclass(frozen=True, slots=True)
class _Block:
    """A piece of a document as plain text under its heading: ``cells`` of a table's row, or one text."""

    heading: str
    cells: tuple[str, ...]

    @property
    def text(self) -> str:
        """The text, of a row its first cell."""
        return self.cells[0] if self.cells else ""


def scores(text: str, target: str, redact: Callable[[str], str]) -> Imported:
    """The scores of a report and of the previous one that it compares itself with.

    ``redact`` is applied before anything is read. Times in such reports have no zone and are taken as UTC; a
    day without a time is its midnight. Raises HistoryError for a document that is not such a report.
    """
    if len(text) > LARGEST_CHARACTERS:
        msg = f"it is larger than {LARGEST_CHARACTERS} characters"
        raise HistoryError(msg)
    redacted = redact(text)
    blocks = tuple(_blocks(redacted))
    notes: list[str] = []
    now, before = dict(_listed(blocks, notes)), {}
    for row in _rows(blocks):
        now.setdefault(row.area, OldCount(percent=row.now))
        before[row.area] = OldCount(percent=row.before)
    runs = [_run(target, _previous_day(blocks), before), _run(target, _moment(blocks), now)]
    found = tuple(run for run in runs if run is not None)
    if not now or runs[1] is None:
        msg = (
            "it is no report of the former scripts, with a line `Date: YEAR-MONTH-DAY` and scores in percent"
        )
        raise HistoryError(msg)
    return Imported(found, tuple(notes), _secrets(text, redacted))


def _secrets(text: str, redacted: str) -> int:
    """How many places hold a secret: what the redactor took out, and long words labelled as one."""
    taken = redacted.count(REDACTED) - text.count(REDACTED)
    return taken + len(_LABELLED.findall(redacted))


def _run(target: str, at: datetime | None, count: Mapping[str, OldCount]) -> Run | None:
    if at is None or not count:
        return None
    return LegacyRun(schema_version=0, target=target, started_at=at, old_count=count).migrated()


# --- what a document says -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    area: str
    before: float
    now: float


def _area(name: str) -> str:
    """The area that a score is of, empty for none of ours."""
    lower = name.lower()
    if "suite" in lower:
        return SUITE
    return next((area for word, area in _AREAS if word in lower), "")


def _listed(blocks: Iterable[_Block], notes: list[str]) -> Iterator[tuple[str, OldCount]]:
    """The scores of the lists, each area's first. What passed by a fault is said under its own heading."""
    faults: dict[str, int] = {}
    found: dict[str, OldCount] = {}
    for block in blocks:
        fault = _FAULT.search(block.text)
        if fault and _area(block.heading):
            faults[_area(block.heading)] = int(fault[1])
        score = _SCORE.match(block.text)
        if score and _area(score[1]):
            found.setdefault(_area(score[1]), _count(score, notes))
    for area, count in found.items():
        by_fault = faults.get(area)
        fits = by_fault is not None and by_fault <= (count.passed or 0)
        yield area, count.model_copy(update={"from_fault": by_fault}) if fits else count


def _count(score: re.Match[str], notes: list[str]) -> OldCount:
    percent = min(float(score[2]), 100.0)
    passed, total = (int(score[3]), int(score[4])) if score[3] else (None, None)
    if passed is None or not total:
        return OldCount(percent=percent)
    if abs(100 * passed / total - percent) > 0.1:
        notes.append(f"{_area(score[1])}: {passed} of {total} is not {percent:g} %; the percent is kept")
        return OldCount(percent=percent)
    return OldCount(percent=percent, passed=passed, total=total)


def _rows(blocks: Iterable[_Block]) -> Iterator[_Row]:
    """The rows of a comparison, ``Metric | Previous | Current | ...``, that are in percent."""
    for block in blocks:
        percents = [_PERCENT.fullmatch(cell) for cell in block.cells[1:3]]
        if len(percents) == 2 and all(percents) and _area(block.text):
            before, now = (min(float(one[1]), 100.0) for one in percents if one)
            yield _Row(_area(block.text), before, now)


def _moment(blocks: Iterable[_Block]) -> datetime | None:
    """When the report's run was: its day, and the time of day where a timestamp of that day is given."""
    texts = [block.text for block in blocks if len(block.cells) == 1]
    day = next((_utc(found[1]) for text in texts if (found := _DATE.search(text))), None)
    stamps = [found[1] for text in texts if (found := _TIMESTAMP.search(text))]
    exact = (moment for stamp in stamps if (moment := _utc(stamp)))
    return next((moment for moment in exact if day and moment.date() == day.date()), day)


def _previous_day(blocks: Iterable[_Block]) -> datetime | None:
    found = (_BEFORE.search(block.heading) for block in blocks if len(block.cells) > 1)
    return next((_utc(one[1]) for one in found if one), None)


def _utc(stamp: str) -> datetime | None:
    try:
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return None


# --- Markdown -------------------------------------------------------------------------------------------


def _blocks(text: str) -> Iterator[_Block]:
    """Paragraphs, list items and table rows as plain text. Code blocks and HTML say nothing."""
    from markdown_it import MarkdownIt

    heading, cells = "", list[str]()
    in_row = in_heading = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in {"tr_open", "tr_close"}:
            in_row = token.type == "tr_open"
            if cells:
                yield _Block(heading, tuple(cells))
            cells = []
        in_heading = token.type == "heading_open" or (in_heading and token.type == "inline")
        if token.type != "inline":
            continue
        if in_row:
            cells.append(_plain(token))
        elif in_heading:
            heading = _plain(token)
        else:
            yield _Block(heading, (_plain(token),))


def _plain(inline: Token) -> str:
    """The text of a line without its markup; line ends stay."""
    parts = (
        "\n" if child.type in {"softbreak", "hardbreak"} else child.content
        for child in inline.children or ()
        if child.type in {"text", "code_inline", "softbreak", "hardbreak"}
    )
    return "".join(parts)
