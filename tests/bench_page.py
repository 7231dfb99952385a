"""docs/performance.md: the figures of a benchmark, written by what measured them and by nobody else."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


class Row(NamedTuple):
    """A figure beside what it is measured against. ``reach``: what the ratio, or the figure, is to be."""

    what: str
    figure: str
    against: str = ""
    ratio: float | None = None
    reach: str = ""


class Part(NamedTuple):
    """What one part of the benchmark measured, by which command, and what to say of it."""

    slug: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What measures it again."""
        return f"python tests/bench.py {self.slug} --write"


def spread(seconds: Iterable[float]) -> str:
    """The median of some runs with the least and the most."""
    found = sorted(seconds)
    return f"{statistics.median(found):.2f} s ({found[0]:.2f} to {found[-1]:.2f}, n = {len(found)})"


def machine() -> str:
    """What it was measured on, and how busy that was."""
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores ({platform.machine()}), {python}, load {os.getloadavg()[0]:.1f} before"


def told(part: Part) -> str:
    """The figures for a terminal."""
    rows = (f"  {row.what}: {row.figure}" + _beside(row) for row in part.rows)
    return "\n".join([f"{part.title}:", *rows, *(f"  {note}" for note in part.notes)])


def _beside(row: Row) -> str:
    ratio = f", {row.ratio:.2f} x {row.against}" if row.ratio is not None else ""
    return ratio + (f" (to reach: {row.reach})" if row.reach else "")


def section(part: Part, measured_on: str, when: datetime) -> str:
    """The figures as Markdown, with the command and the machine."""
    rows = (f"| {row.what} | {row.figure} | {_ratio(row)} | {row.reach} |" for row in part.rows)
    head = ("| | measured | ratio | to reach |", "| --- | --- | --- | --- |")
    by = f"`{part.command}` on {measured_on}; {when:%Y-%m-%d}."
    notes = (f"* {note}" for note in part.notes)
    body = "\n".join([f"## {part.title}", "", by, "", *head, *rows, *([""] if part.notes else []), *notes])
    return f"{_mark(part.slug)}\n{body}\n{_mark(part.slug, end=True)}"


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"**{row.ratio:.2f}** x {row.against}"


def _mark(slug: str, *, end: bool = False) -> str:
    return f"<!-- {'end of ' if end else ''}measured: {slug} -->"


def write(part: Part, measured_on: str, page: Path = PAGE) -> None:
    """Put what was measured in the place of what the page said of the same part, or at its end."""
    said = page.read_text("utf-8")
    new = section(part, measured_on, datetime.now(UTC))
    there = re.compile(f"{re.escape(_mark(part.slug))}.*?{re.escape(_mark(part.slug, end=True))}", re.DOTALL)
    changed = there.sub(lambda _: new, said) if there.search(said) else f"{said.rstrip()}\n\n{new}\n"
    page.write_text(changed, "utf-8")
