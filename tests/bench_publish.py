"""Publishers that all come at once, again and again: ``python tests/bench.py publish [ROUNDS]``."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from _pushed import added, bare, race

from hokusai_probe.history.runs import place

WRITERS, ROUNDS = 8, 100


def measured(rounds: int = ROUNDS) -> list[str]:
    """What it comes to, a line each."""
    with tempfile.TemporaryDirectory() as name:
        remote = bare(Path(name, "remote.git"))
        raced = race(remote, Path(name, "writers"), WRITERS, rounds)
        there = added(remote, "probe-data")
    wanted = {f"history/{place(one)}" for one in raced.runs}
    lost, twice = len(wanted - set(there)), len(there) - len(set(there))
    middle, most = statistics.median(raced.seconds), max(raced.seconds)
    return [
        f"{WRITERS} publishers at once, {rounds} times: {lost} of {len(wanted)} runs lost, {twice} twice",
        f"pushes for each: {statistics.mean(raced.tries):.1f} on average, {max(raced.tries)} at most",
        f"time for each: {middle:.2f} s in the middle, {most:.2f} s at most",
    ]
