"""Whose processor time it was: that of the sandboxes which this process started, or its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_SANDBOX = b"hokusai_probe.sandbox"


class Spent(NamedTuple):
    """Seconds of processor time: of this process with its workers, and of its sandboxes."""

    own: float
    sandbox: float

    def since(self, before: Spent) -> Spent:
        """What came to it since then."""
        return Spent(self.own - before.own, self.sandbox - before.sandbox)


class _Process(NamedTuple):
    parent: int
    seconds: float


def spent() -> Spent:
    """Up to now, by everything that this process started and that it, or its guard, still has."""
    alive = dict(_alive())
    mine, theirs = set[int](), set[int]()
    for pid in alive:
        line = list(_line_of(pid, alive))
        if os.getpid() in line:
            (theirs if any(_is_sandbox(one) for one in line) else mine).add(pid)
    return Spent(*(sum(alive[pid].seconds for pid in pids) for pids in (mine, theirs)))


def _alive() -> Iterator[tuple[int, _Process]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks = sum(int(field) for field in fields[11:15])  # proc(5): utime, stime, and of ended children
        yield int(path.parent.name), _Process(int(fields[1]), ticks / _TICKS)


def _line_of(pid: int, alive: dict[int, _Process]) -> Iterator[int]:
    """A process, its parent, and so on."""
    while pid in alive:
        yield pid
        pid = alive[pid].parent


def _is_sandbox(pid: int) -> bool:
    try:
        return _SANDBOX in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
