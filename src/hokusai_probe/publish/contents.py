"""What a folder holds that can be published: the runs of a history, and the documents of each target."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from hokusai_probe.history import folder as histories
from hokusai_probe.model import Report
from hokusai_probe.publish.errors import PublishError, SetupError
from hokusai_probe.reports import DOCUMENTS

HISTORY = "history"
REPORTS = "reports"
SUMMARY = "test_execution_summary.json"
OVERVIEW = "index.html"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of one target. ``name``: of their folder, empty for those that lie outermost."""

    name: str
    report: Report
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is. ``runs``: the places of the history's files in ``history``, sorted."""

    history: Path
    runs: tuple[str, ...]
    reports: Path
    documents: tuple[Documents, ...]
    overview: Mapping[str, bytes] = field(default_factory=dict)

    def run(self, place: str) -> bytes:
        """A run's file, as it is. Raises PublishError."""
        return _read(self.history / place)

    def source(self, path: str, reports_folder: str) -> str:
        """The file that goes to a path of a branch, as a person knows it."""
        if path.startswith(f"{HISTORY}/"):
            return str(self.history / path.removeprefix(f"{HISTORY}/"))
        if path.startswith(f"{reports_folder}/"):
            return str(self.reports / path.removeprefix(f"{reports_folder}/"))
        return path or "the commit itself"


def contents(where: Path) -> Contents:
    """What a folder holds: its ``history`` and ``reports``, or runs and documents that lie in itself.

    Raises SetupError where there is neither, and PublishError for documents that cannot be read.
    """
    history, runs = _history(where)
    reports = next((f for f in (where / REPORTS, where) if tuple(_sets(f))), where)
    documents = tuple(_documents(reports, name) for name in _sets(reports))
    if not runs and not documents:
        msg = (
            f"{where} holds nothing to publish: neither runs (`run --history {where / HISTORY}`) "
            f"nor documents (`run --reports {where / REPORTS}`)"
        )
        raise SetupError(msg)
    overview = {OVERVIEW: _read(reports / OVERVIEW)} if (reports / OVERVIEW).is_file() else {}
    return Contents(history, runs, reports, documents, overview)


def _history(where: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder of the history, and the places of its runs."""
    for one in (where / HISTORY, where):
        runs = histories.listing(one) if one.is_dir() else ()
        if runs:
            return one, runs
    return where / HISTORY, ()


def _sets(reports: Path) -> Iterator[str]:
    """The folders that hold a set of documents, the outermost as an empty name."""
    if (reports / SUMMARY).is_file():
        yield ""
    found = sorted(reports.iterdir()) if reports.is_dir() else []
    yield from (one.name for one in found if _PLAIN.fullmatch(one.name) and (one / SUMMARY).is_file())


def _documents(reports: Path, name: str) -> Documents:
    home = reports / name
    files = {one: _read(home / one) for one in sorted(DOCUMENTS) if (home / one).is_file()}
    report = report_of(files[SUMMARY])
    if report is None:
        msg = f"{home / SUMMARY} is not a report that this hokusai-probe can read"
        raise PublishError(msg)
    return Documents(name, report, files)


def report_of(data: bytes) -> Report | None:
    """The report of a summary, None where this version cannot read it."""
    try:
        return Report.read(data.decode())
    except (UnicodeDecodeError, ValidationError):
        return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise PublishError(msg) from None
