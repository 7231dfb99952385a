"""What a page can show over time, as whoever keeps the history gives it. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hokusai_probe.model import Frozen, Utc


class Point(Frozen):
    """One value at one time (UTC). None is a gap: nobody knows, which is never drawn as well or as zero."""

    at: Utc
    value: float | None = Field(None, allow_inf_nan=False, ge=0)


class Series(Frozen):
    """One line: what it shows, its unit, and its points in any order."""

    name: str
    unit: Literal["%", "ms"]
    points: tuple[Point, ...] = ()


class Spell(Frozen):
    """A time during which a cause was there: first and last run that saw it; ``last`` None: it still is.

    ``last_good``: the last run before that did not see it, so that it began between the two.
    """

    first: Utc
    last: Utc | None = None
    last_good: Utc | None = None


class Trend(Frozen):
    """Availability (percent) and latency (milliseconds) over time, and when each cause was there."""

    availability: tuple[Series, ...] = ()
    latency: tuple[Series, ...] = ()
    causes: Mapping[str, tuple[Spell, ...]] = Field(default_factory=dict)
