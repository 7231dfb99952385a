"""How fast a history is indexed, how fast one run more is in it, and how much git grows by a year of it.

Runs are as large as real ones, with flakes and outages: see ``_kept.year``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from _kept import TARGET, YEAR, filled, git_bytes, realistic, year

from hokusai_probe.history import folder

RUNS = 10_000
T = TypeVar("T")


def timed(act: Callable[[], T]) -> tuple[T, float]:
    """What it gave, and seconds that it took."""
    began = time.perf_counter()
    return act(), time.perf_counter() - began


def measured(runs: int = RUNS, grown: int = YEAR) -> list[str]:
    """What it comes to, a line each."""
    with tempfile.TemporaryDirectory() as name:
        where = filled(Path(name, "runs"), year(runs))
        (made, _), all_s = timed(lambda: folder.index(where, TARGET, anew=True))
        (_, notes), one_s = timed(lambda: folder.remember(where, realistic(runs + 1)))
        size = git_bytes(Path(name, "repository"), year(grown))
    found = f"{len(made.rows)} runs, {len(made.states)} states, {len(notes)} notes"
    return [
        f"index of {found}: {all_s:.2f} s (to reach: 10 s)",
        f"one run more, its past told: {one_s:.2f} s (to reach: 0.5 s)",
        f"git after {grown} hourly runs: {size / 1e6:.1f} MB, {size // grown} bytes a run (to reach: 50 MB)",
    ]
