"""Times of answers in a form that can be added up: counts in buckets that are the same everywhere. Pure.

A bucket is ten percent wider than the one below it, so that a percentile read from counts is at most
:data:`ERROR` off the one of the times themselves, however many runs are added up, in whatever order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from hokusai_probe.model import Frozen

GROWTH = 1.1
ERROR = (GROWTH - 1) / (GROWTH + 1)
"""How far a percentile may be off, as a share of it: 4.8 %. Times under a millisecond count as one."""
LAST = 145
"""The last bucket begins at 0.9 million milliseconds, a quarter of an hour; it holds all that is longer."""

Bucket = Annotated[int, Field(ge=0, le=LAST)]


class Percentiles(Frozen):
    """Milliseconds within which 50, 95 and 99 of 100 answers came, and of how many that was said."""

    answers: NonNegativeInt
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Histogram(Frozen):
    """How many answers took how long: bucket ``n`` holds those of up to ``1.1 ** n`` milliseconds."""

    buckets: Mapping[Bucket, PositiveInt] = Field(default_factory=dict)

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        """The histogram of times in seconds; what is no time (negative, not finite) is left out."""
        found = Counter(_bucket(s) for s in seconds if math.isfinite(s) and s >= 0)
        return cls(buckets=dict(sorted(found.items())))

    @property
    def answers(self) -> int:
        """How many there are."""
        return sum(self.buckets.values())

    def quantile_ms(self, share: float) -> float | None:
        """The time within which that share (0 to 1) of the answers came, in ms; None of no answers.

        By nearest rank: the smallest time that at least this share of all did not exceed, within ERROR.
        """
        rank, seen = max(math.ceil(share * self.answers), 1), 0
        for bucket, count in sorted(self.buckets.items()):
            seen += count
            if seen >= rank:
                return round(2 * GROWTH**bucket / (GROWTH + 1), 1) if bucket else 1.0
        return None

    def percentiles(self) -> Percentiles | None:
        """p50, p95 and p99; None of no answers."""
        found = [self.quantile_ms(share) for share in (0.50, 0.95, 0.99)]
        p50, p95, p99 = (value or 0.0 for value in found)
        return Percentiles(answers=self.answers, p50_ms=p50, p95_ms=p95, p99_ms=p99) if self.answers else None


class Phases(Frozen):
    """How long each phase of some answers took.

    ``connect``: until the connection stood, ``tls``: the handshake, both only of answers that opened one;
    ``first_byte``: from the request to the answer's head; ``total``: from the call to the last byte.
    """

    connect: Histogram = Histogram()
    tls: Histogram = Histogram()
    first_byte: Histogram = Histogram()
    total: Histogram = Histogram()

    def named(self) -> tuple[tuple[str, Histogram], ...]:
        """Each phase with its name as people say it, in the order of time."""
        opening = (("connect", self.connect), ("TLS", self.tls))
        return (*opening, ("first byte", self.first_byte), ("total", self.total))


def all_phases(several: Iterable[Phases]) -> Phases:
    """All of them as one, in any order."""
    found = tuple(several)
    return Phases(
        connect=added(one.connect for one in found),
        tls=added(one.tls for one in found),
        first_byte=added(one.first_byte for one in found),
        total=added(one.total for one in found),
    )


def added(histograms: Iterable[Histogram]) -> Histogram:
    """All of them as one, in any order."""
    total: Counter[int] = Counter()
    for one in histograms:
        total.update(one.buckets)
    return Histogram(buckets=dict(sorted(total.items())))


def _bucket(seconds: float) -> int:
    milliseconds = seconds * 1000
    return 0 if milliseconds <= 1 else min(math.ceil(math.log(milliseconds, GROWTH) - 1e-9), LAST)
