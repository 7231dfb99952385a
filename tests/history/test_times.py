"""Histograms: what they add up to, and how far their percentiles may be off."""

import math
from functools import reduce

import pytest
from _kept import histograms
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.history.latency import ERROR, Histogram, Percentiles, added

seconds = st.floats(0.001, 800)


@given(times=st.lists(seconds, min_size=1, max_size=60), share=st.floats(0.01, 1))
def test_a_percentile_is_within_the_error_that_is_promised(times: list[float], share: float) -> None:
    """Of the nearest rank of the times themselves."""
    exact = sorted(times)[math.ceil(share * len(times)) - 1] * 1000

    assert Histogram.of(times).quantile_ms(share) == pytest.approx(exact, rel=ERROR + 1e-6, abs=0.051)


@given(a=histograms, b=histograms, c=histograms)
def test_adding_up_does_not_depend_on_order(a: Histogram, b: Histogram, c: Histogram) -> None:
    """Commutative and associative, with the empty one as its zero."""
    assert added((a, b)) == added((b, a))
    assert added((added((a, b)), c)) == added((a, added((b, c))))
    assert added((a, Histogram())) == a


@given(parts=st.lists(st.lists(seconds, max_size=5), max_size=5))
def test_parts_add_up_to_the_whole(parts: list[list[float]]) -> None:
    """The histogram of all times is the sum of those of its parts."""
    whole = Histogram.of(reduce(list.__add__, parts, []))

    assert added(Histogram.of(part) for part in parts) == whole


def test_odd_times() -> None:
    """What took no time or an age is in the first or last bucket; what is no time is left out."""
    found = Histogram.of([0.0, 0.0001, 0.001, 1e6, -1.0, math.nan, math.inf])

    assert found.buckets == {0: 3, 145: 1}


def test_percentiles_are_those_of_the_answers() -> None:
    """p50, p95 and p99 by nearest rank; none of no answers."""
    times = Histogram.of([0.1] * 90 + [1.0] * 6 + [10.0] * 4)

    assert times.percentiles() == Percentiles(answers=100, p50_ms=101.6, p95_ms=1001.1, p99_ms=9860.6)
    assert (Histogram().percentiles(), Histogram().quantile_ms(0.5)) == (None, None)
