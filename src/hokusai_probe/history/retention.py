"""Which runs a history can do without. Pure.

What stays: the first and the last run of every change, all of the last days, and every score that was
imported. So since when, outages and streaks' ends are answered as before; how long something was up in a time
that was thinned out becomes unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hokusai_probe.history.index import Point


def to_spare(runs: Sequence[Point], before: datetime) -> tuple[Point, ...]:
    """The runs of one target, given in order, that started before a moment and found what both sides did."""
    inner = zip(runs, runs[1:], runs[2:], strict=False)
    return tuple(
        run
        for earlier, run, later in inner
        if run.started_at < before and earlier.state == run.state == later.state and run.state.checks
    )
