"""Where output leaves the process: redacted once more, coloured only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TextIO, TypeVar

import click

from hokusai_probe.errors import ProbeError
from hokusai_probe.keys import secrets_in
from hokusai_probe.model import Area, KeyNames, Observation
from hokusai_probe.redact import Redactor
from hokusai_probe.reports import files
from hokusai_probe.text import terminal


class OutputError(ProbeError):
    """A file that was asked for could not be written; the text names it."""


T = TypeVar("T")
_HIDDEN = f"{__name__}.hidden"


def hide(names: KeyNames, environment: Mapping[str, str]) -> None:
    """Keep the keys that a target names, as they stand in the environment of the run, out of every output."""
    known = click.get_current_context().meta
    known[_HIDDEN] = (*known.get(_HIDDEN, ()), *secrets_in(names, environment))


def redactor() -> Redactor:
    """The redactor of all that this command writes or prints: what it hides, and this process's own keys."""
    context = click.get_current_context(silent=True)
    hidden = context.meta.get(_HIDDEN, ()) if context is not None else ()
    return _redactor((*hidden, *secrets_in(KeyNames(), os.environ)))


@lru_cache(maxsize=1)
def _redactor(secrets: tuple[str, ...]) -> Redactor:
    return Redactor(secrets)


def say(text: str, *, err: bool = False) -> None:
    """Print text for people. What the platform said was escaped by whoever put it in."""
    click.echo(redactor().text(text), err=err)


def say_error(text: str) -> None:
    """One sentence on standard error, in red on a terminal."""
    click.secho(
        redactor().text(terminal(f"error: {text}")), err=True, fg="red" if is_terminal(sys.stderr) else None
    )


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is watching: a terminal, and NO_COLOR not set."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def write(where: str, text: str) -> None:
    """Write to a file, whole or not at all, or to standard output for ``-``. Raises OutputError."""
    if where == "-":
        click.echo(text, nl=False)
        return
    writing(where, lambda path: files.replace(path, text))


def try_writing(where: str | None) -> None:
    """Find out before any looking whether :func:`write` will do. Raises OutputError."""
    if where is not None and where != "-":
        writing(where, files.try_file)


def writing(where: str, act: Callable[[Path], T]) -> T:
    """Do something to a path that the user named; what keeps it from being done becomes an OutputError."""
    try:
        return act(Path(where))
    except OSError as error:
        msg = f"cannot write {where}: {error.strerror}"
        raise OutputError(msg) from None


class _Areas:
    """How far the looks of a run are, by area."""

    def __init__(self) -> None:
        self._area: dict[str, Area] = {}
        self._left: dict[str, Area] = {}

    def planned(self, areas: Mapping[str, Area]) -> None:
        """Looks that are to come."""
        self._area = {**areas}
        self._left = {**areas}

    def done(self, probe: str) -> Area | None:
        """One is done: its area, where that is now complete."""
        area = self._left.pop(probe, None)
        return area if area is not None and area not in self._left.values() else None

    def looks(self, area: Area) -> int:
        """How many looks an area has."""
        return sum(one == area for one in self._area.values())

    def unfinished(self) -> list[str]:
        """Each area that has looks to come, with how many of its looks are done."""
        left = list(self._left.values())
        named = sorted(set(left))
        return [f"{a} {self.looks(a) - left.count(a)}/{self.looks(a)}" for a in named]


class Lines:
    """Progress as plain lines on standard error: one per area that is done, and per trouble of ours."""

    def __init__(self) -> None:
        self._areas = _Areas()
        self._began = time.monotonic()

    def planned(self, areas: Mapping[str, Area]) -> None:
        """Remember what is to come."""
        self._areas.planned(areas)

    def started(self, probe: str) -> None:
        """Say nothing: a line per area is enough where nobody watches."""

    def done(self, observation: Observation) -> None:
        """A trouble of ours at once, and the area when its last look is done."""
        if observation.status == "fault":
            say(terminal(f"{observation.probe}: {observation.reason}"), err=True)
        complete = self._areas.done(observation.probe)
        if complete is not None:
            count = self._areas.looks(complete)
            looks = f"{count} look{'' if count == 1 else 's'}"
            say(f"{complete:16}{looks} done after {time.monotonic() - self._began:.1f} s", err=True)


class Live:
    """Progress on a terminal: one line that says how far each area is and what is being looked at now."""

    def __init__(self) -> None:
        self._areas = _Areas()
        self._running: dict[str, float] = {}
        self._done = 0

    def planned(self, areas: Mapping[str, Area]) -> None:
        """Remember what is to come."""
        self._areas.planned(areas)

    def started(self, probe: str) -> None:
        """Show the look as running."""
        self._running[probe] = time.monotonic()
        self._draw()

    def done(self, observation: Observation) -> None:
        """Count it, and show what still runs."""
        self._running.pop(observation.probe, None)
        self._areas.done(observation.probe)
        self._done += 1
        self._draw()

    def _draw(self) -> None:
        areas = ", ".join(self._areas.unfinished())
        names = ", ".join(sorted(self._running)) or "judging"
        line = f"{self._done} looks done; {f'{areas}; ' if areas else ''}{names}"
        click.echo(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}", nl=False, err=True)
        if not self._running:
            click.echo("\r\x1b[2K", nl=False, err=True)


def progress(*, quiet: bool) -> Lines | Live | None:
    """How progress is shown: a live line on a terminal, plain lines when piped, nothing when quiet."""
    if quiet:
        return None
    return Live() if is_terminal(sys.stderr) else Lines()


def columns(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows with their cells aligned, the last one ragged."""
    table = [tuple(terminal(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in table), strict=True)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in table
    )
