"""The history as a folder of files: written once each, read whatever became of some of them.

``DIR/TARGET/2025/08/05/20250805T092717Z-0123456789ab.json`` is one run, never changed. ``DIR/corrupt`` takes
what cannot be read. ``DIR/TARGET/index.json`` is derived, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from hokusai_probe.history.index import Index, Point
from hokusai_probe.history.over_time import LATEST, trend_of
from hokusai_probe.history.pace import RUNS, paces
from hokusai_probe.history.past import Past, past_of
from hokusai_probe.history.runs import (
    RESERVED,
    HistoryError,
    NewerVersionError,
    Run,
    folder_of,
    place,
    read,
    text_of,
)
from hokusai_probe.reports import files
from hokusai_probe.reports.trend import Trend

INDEX = "index.json"
LARGEST_BYTES = 1024 * 1024
_PLACE = re.compile(r"[^/]+/\d{4}/\d{2}/\d{2}/[^/]+\.json")
IGNORED = f"# derived from the runs, at any time\n/*/{INDEX}\n"


@dataclass(frozen=True, slots=True)
class History:
    """Runs by the place of their file, and a sentence for each file that could not be read."""

    files: Mapping[str, Run] = field(default_factory=dict)
    notes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, runs: Iterable[Run]) -> History:
        """The history of these runs; the same run twice is one."""
        return cls({place(run): run for run in runs})

    @classmethod
    def read(cls, folder: Path, target: str | None = None) -> History:
        """All that a folder holds, or all of one target. Raises HistoryError when there is no such folder.

        A corrupt file is moved to ``corrupt`` in it, or left where that cannot be written to, and named in
        ``notes``; so is one of a newer version, which stays.
        """
        reader = Reader(folder)
        found = dict(reader.runs(listing(folder, target)))
        return cls(found, frozenset(reader.notes))

    def merged(self, other: History) -> History:
        """What both know: the union, whichever is merged into which."""
        return History({**self.files, **other.files}, self.notes | other.notes)

    def runs(self, target: str | None = None) -> tuple[Run, ...]:
        """The runs, or those of one target, the earliest first; of one moment by the name of their file."""
        found = sorted(self.files.items(), key=lambda one: (one[1].started_at, one[0]))
        return tuple(run for _, run in found if target is None or run.target == target)


class Reader:
    """Reads files of a history, sets aside what is corrupt, and remembers what it had to leave out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def runs(self, places: Iterable[str]) -> Iterator[tuple[str, Run]]:
        """The runs at these places, less those that cannot be read."""
        for one in places:
            run = self.run(one)
            if run is not None:
                yield one, run

    def run(self, where: str) -> Run | None:
        """The run at one place, None where it cannot be read."""
        try:
            return _sound(self.folder / where, where)
        except NewerVersionError as error:
            self.notes.append(f"{where} was left out: {error}")
        except HistoryError as error:
            self.notes.append(f"{where} is corrupt ({error}) and was {self._set_aside(where)}")
        except OSError as error:
            self.notes.append(f"{where} cannot be read: {error.strerror}")
        return None

    def _set_aside(self, where: str) -> str:
        try:
            digest = hashlib.sha256((self.folder / where).read_bytes()).hexdigest()[:8]
            aside = self.folder / RESERVED / f"{where}.{digest}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            (self.folder / where).replace(aside)
        except OSError as error:
            return f"left where it is ({error.strerror})"
        return f"moved to {aside.relative_to(self.folder).as_posix()}"


def _sound(path: Path, where: str) -> Run:
    """The run of a file that is what it was when it was written. Raises HistoryError, OSError."""
    with path.open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        msg = f"it is larger than {LARGEST_BYTES} bytes"
        raise HistoryError(msg)
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        msg = "it is not UTF-8 text"
        raise HistoryError(msg) from None
    run = read(text)
    if place(run, text) != where:
        msg = "its name and its content are not of one run"
        raise HistoryError(msg)
    return run


def listing(folder: Path, target: str | None = None) -> tuple[str, ...]:
    """The places of all files of runs, or of one target's, sorted. Raises HistoryError for no folder."""
    if not folder.is_dir():
        msg = f"{folder}: there is no such folder of runs"
        raise HistoryError(msg)
    homes = [folder_of(target)] if target is not None else [p.name for p in folder.iterdir() if p.is_dir()]
    found = (where for home in homes if home != RESERVED for where in _below(folder, home))
    return tuple(sorted(where for where in found if _PLACE.fullmatch(where)))


def _below(folder: Path, home: str) -> Iterator[str]:
    """Every file in a target's folder, relative to the history's."""
    for where, _, names in os.walk(folder / home):
        day = Path(where).relative_to(folder).as_posix()
        yield from (f"{day}/{name}" for name in names)


def targets(folder: Path) -> tuple[str, ...]:
    """The targets of which there are runs, by the names that the runs themselves give them."""
    last = {where.partition("/")[0]: where for where in listing(folder)}
    return tuple(sorted({run.target for _, run in Reader(folder).runs(last.values())}))


def write(folder: Path, run: Run) -> Path:
    """Write a run's file, whole or not at all, and return its path. What is there already is not touched.

    A file of that name whose content is another's is set aside first. Raises OSError.
    """
    text = text_of(run)
    where = place(run, text)
    path = folder / where
    if path.exists() and Reader(folder).run(where) is not None:
        return path
    ignore = folder / ".gitignore"
    if not ignore.exists():
        files.replace(ignore, IGNORED)
    return files.replace(path, text)


def index(folder: Path, target: str, *, anew: bool = False) -> tuple[Index, tuple[str, ...]]:
    """The index of a target, made to agree with the files, and notes on those that cannot be read.

    Files are immutable, so only those are read that it does not know; all of them when ``anew``. It is
    written back where that can be done. Raises HistoryError when there is no such folder.
    """
    path = folder / folder_of(target) / INDEX
    before = Index(target=target) if anew else _known(path, target)
    places = frozenset(listing(folder, target))
    reader = Reader(folder)
    after = before.changed(added=reader.runs(sorted(places - before.places)), gone=before.places - places)
    if after != before or not path.exists():
        _keep(path, after)
    return after, tuple(reader.notes)


def remember(folder: Path, run: Run) -> tuple[Past, tuple[str, ...]]:
    """Write a run, and say what the runs before it tell, with notes on files that cannot be read.

    Raises OSError when it cannot be written.
    """
    write(folder, run)
    return look_back(folder, run)


def look_back(folder: Path, run: Run) -> tuple[Past, tuple[str, ...]]:
    """What the runs before a run tell, whether or not it is among those that are kept, with notes.

    Raises HistoryError when there is no such folder.
    """
    found, notes = index(folder, run.target)
    reader = Reader(folder)
    earlier = [point for point in found.points() if point.started_at < run.started_at]
    before = latest(reader, earlier)
    past = past_of(earlier, run, before, _old(reader, earlier))
    runs = [one for _, one in reader.runs(point.place for point in earlier[-RUNS:])] if run.parts else []
    pace = paces((*runs, run), run.objective_ms)
    return past.model_copy(update={"paces": pace}), (*notes, *reader.notes)


def _old(reader: Reader, points: Sequence[Point]) -> Run | None:
    """The newest of these runs that holds scores of the former scripts: such a run has no checks."""
    found = (reader.run(p.place) for p in reversed(points) if not p.state.checks)
    return next((run for run in found if run is not None and run.old_count), None)


def over_time(folder: Path, target: str) -> Trend:
    """What a page shows of the time until now. Raises HistoryError when there is no such folder."""
    points = index(folder, target)[0].points()
    found = Reader(folder).runs(p.place for p in points[-LATEST:])
    return trend_of(points, [run for _, run in found])


def latest(reader: Reader, points: Sequence[Point]) -> Run | None:
    """The last of these runs whose file can be read."""
    return next((run for p in reversed(points) if (run := reader.run(p.place)) is not None), None)


def _known(path: Path, target: str) -> Index:
    """The index as it was left; an empty one where there is none that can be used."""
    try:
        found = Index.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Index(target=target)
    usable = found.target == target and all(row.state in found.states for row in found.rows)
    return found if usable else Index(target=target)


def _keep(path: Path, made: Index) -> None:
    """Write an index, where that can be done: it is a convenience."""
    try:
        files.replace(path, made.model_dump_json(exclude_defaults=True) + "\n")
    except OSError:
        return
