"""A load is known before its first request: when what is sent, and that it is within the caps."""

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from _loads import target
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hokusai_probe import config
from hokusai_probe.load import CAPS, Kind, Plan, Stage, schedule
from hokusai_probe.load.conducting import _budgets
from hokusai_probe.load.plan import REQUESTS, caps_for, refuse_excess, requests_of
from hokusai_probe.model import LoadCaps

KINDS: tuple[Kind, ...] = tuple(REQUESTS)
mixes = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 9), min_size=1)
stages = st.lists(
    st.builds(Stage, rate=st.floats(0.1, 25), seconds=st.floats(0.5, 25)), min_size=1, max_size=3
)


@settings(deadline=None, max_examples=50)
@given(mixes, stages)
def test_starts_come_at_a_constant_rate_whatever_happens(mix: Mapping[Kind, int], rates: list[Stage]) -> None:
    """The n-th start of a stage is due n / rate after the stage's begin, and none after its end."""
    plan = Plan(mix=mix, stages=tuple(rates))
    begins = [0.0, *itertools.accumulate(stage.seconds for stage in rates)]
    expected = [
        (number, begins[number] + n / stage.rate)
        for number, stage in enumerate(rates)
        for n in range(max(int(stage.rate * stage.seconds + 1e-6), 1))
    ]
    assert [(start.stage, start.at_s) for start in schedule(plan)] == expected
    assert all(at_s <= begins[number + 1] for number, at_s in expected)


@settings(deadline=None, max_examples=50)
@given(mixes)
def test_kinds_take_turns_by_their_weights(mix: Mapping[Kind, int]) -> None:
    """After any number of starts each kind is within as many starts of its share as there are kinds."""
    kinds = [start.kind for start in schedule(Plan(mix=mix, stages=(Stage(rate=10, seconds=10),)))]
    for n in range(1, len(kinds) + 1, 7):
        came = Counter(kinds[:n])
        for kind, weight in mix.items():
            assert abs(came[kind] - n * weight / sum(mix.values())) <= len(mix)
    assert Counter(kinds[: sum(mix.values())]) == mix


def test_a_burst_is_due_at_one_moment_and_keeps_the_rate() -> None:
    """Four starts together every two seconds are two a second; a burst that is not whole is left out."""
    plan = Plan(mix={"registration": 1}, stages=(Stage(rate=2, seconds=5),), burst=4)
    assert [start.at_s for start in schedule(plan)] == [0.0] * 4 + [2.0] * 4


def test_a_ramp_has_enough_starts_in_each_stage_for_a_p95() -> None:
    """Four stages of sixty starts, the last at the rate that was asked for."""
    plan = Plan.ramping(12)
    assert [stage.rate for stage in plan.stages] == [3, 6, 9, 12]
    assert Counter(start.stage for start in schedule(plan)) == {0: 60, 1: 60, 2: 60, 3: 60}
    assert plan.ramp


@settings(deadline=None, max_examples=50)
@given(mixes, stages, st.integers(1, 20), st.integers(1, 20), st.integers(1, 10**6))
def test_what_is_not_refused_is_within_every_cap(
    mix: Mapping[Kind, int], rates: list[Stage], at_once: int, burst: int, size: int
) -> None:
    """Requests, seconds, bytes and what is under way; and what is refused is beyond one of them."""
    plan = Plan(mix=mix, stages=tuple(rates), at_once=at_once, burst=burst, artifact_bytes=size)
    starts = schedule(plan)
    each = sum(REQUESTS[kind] * n for kind, n in mix.items()) / sum(mix.values())
    before = {"upload": 3, "download": 5}
    kinds = [kind for kind in mix if kind in before]
    quiet = sum(before[kind] for kind in kinds) + bool(kinds)  # and the file that is fetched
    moved = (quiet + sum(start.kind in before for start in starts)) * size
    within = (
        max(max(s.rate, plan.starts_in(s) / s.seconds) * each for s in rates) <= CAPS.requests_per_s + 1e-6
        and plan.seconds <= CAPS.seconds + 1e-6
        and requests_of(starts) <= CAPS.requests
        and burst <= at_once <= CAPS.at_once
        and moved <= CAPS.bytes
    )
    try:
        refuse_excess(plan, CAPS)
    except config.ConfigError:
        assert not within
    else:
        assert within


def test_what_comes_before_a_load_counts_as_its_bytes() -> None:
    """One upload of 900 kB is five with the quiet ones and the file to fetch; the rest may be received."""
    one = Plan(mix={"upload": 1}, stages=(Stage(rate=1, seconds=1),), artifact_bytes=900_000)
    with pytest.raises(config.ConfigError, match=r"come to 4\.5e\+06 bytes of artifacts"):
        refuse_excess(one, LoadCaps(bytes=1_000_000))
    sending, _ = _budgets(target(9, load=LoadCaps(bytes=5_000_000)), one)
    assert sending.budget.bytes == 500_000


def of(**more: Any) -> Plan:
    """A plan within all caps but for what is said."""
    return Plan(**{"mix": {"search": 1}, "stages": (Stage(rate=10, seconds=10),), **more})


@pytest.mark.parametrize(
    ("plan", "allowed", "says"),
    [
        (
            of(stages=(Stage(rate=25, seconds=1),)),
            {},
            (
                "the load would come to 25 requests a second, more than the 20 that this tool ever sends"
                " ([load] requests_per_s)"
            ),
        ),
        (
            of(mix={"registration": 1}),
            {},
            (
                "the load would come to 90 requests a second, more than the 20 that this tool ever sends"
                " ([load] requests_per_s)"
            ),
        ),
        (
            of(stages=(Stage(rate=1, seconds=1e12),)),
            {},
            (
                "the load would come to 1e+12 seconds, more than the 60 that this tool ever sends"
                " ([load] seconds)"
            ),
        ),
        (
            of(),
            {"requests": 99},
            "the load would come to 100 requests, more than the 99 that the target allows ([load] requests)",
        ),
        (
            of(at_once=11),
            {},
            "the load would come to 11 at once, more than the 10 that this tool ever sends ([load] at_once)",
        ),
        (
            of(mix={"upload": 1}, artifact_bytes=480_770),
            {},
            (
                "the load would come to 5.00001e+07 bytes of artifacts, more than the 5e+07 that this"
                " tool ever sends ([load] bytes)"
            ),
        ),
        (of(burst=5, at_once=4), {}, "5 starts at the same moment are more than the 4 at once"),
    ],
)
def test_beyond_a_cap_is_refused_in_a_sentence(plan: Plan, allowed: dict[str, Any], says: str) -> None:
    """It says what the load would come to, the cap, and whose it is."""
    with pytest.raises(config.ConfigError) as refused:
        refuse_excess(plan, caps_for(LoadCaps(**allowed)))
    assert str(refused.value) == says


def test_configuration_only_lowers() -> None:
    """A target file that says more is refused with the cap; a target that was made around it is cut."""
    text = 'name = "t"\n[hosts]\nregistry = "https://registry.example"\n[load]\nrequests_per_s = {}\n'
    lowered = config.parse(text.format("3.0"), source="t.toml", environment={})
    assert caps_for(lowered.load) == LoadCaps(requests_per_s=3)
    with pytest.raises(config.ConfigError, match=r"^t\.toml: load\.requests_per_s must be 20\.0 or less$"):
        config.parse(text.format("20.5"), source="t.toml", environment={})
    with pytest.raises(ValidationError):
        LoadCaps(at_once=11)
    around = LoadCaps.model_construct(**{**dict(CAPS), "seconds": 3600})
    assert caps_for(around) == CAPS
