"""Judging a recorded load: percentiles, when it must end, what fails, and with which exit code."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from _loads import recorded, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from hokusai_probe.load import LoadReport, Plan, Sample, Stage, judge, needed, percentile
from hokusai_probe.load.judging import Times
from hokusai_probe.load.ramping import saturated
from hokusai_probe.load.record import CUT_SHORT, NEVER_SENT
from hokusai_probe.load.stopping import Trip, tripped
from hokusai_probe.looking import Entry

DEADLINE_S = 2.0
QUIET = {"search": (0.05, 0.04, 0.06), "registration": (0.5,)}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float) -> None:
    """The smallest one that at least that share of all did not exceed."""
    found = percentile(values, share)
    enough = [v for v in values if sum(other <= v for other in values) >= share * len(values) - 1e-6]
    assert found == min(enough)


@pytest.mark.parametrize(("share", "least"), [(0.5, 5), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_how_many_samples_a_percentile_needs(share: float, least: int) -> None:
    """With one fewer the largest covers it with less than 95 % confidence."""
    assert needed(share) == least
    assert 1 - share**least >= 0.95 > 1 - share ** (least - 1)


def test_too_few_samples_make_no_percentile() -> None:
    """58 have no p95, 59 have; 298 no p99, 299 have."""
    found = [
        judge(recorded([sample(n / 10) for n in range(count)])).everything for count in (58, 59, 298, 299)
    ]
    assert [(t.p95_ms, t.p99_ms) for t in found] == [(None, None), (10, None), (10, None), (10, 10)]


def test_an_error_counts_for_its_deadline_however_quick_it_was() -> None:
    """A refusal after a millisecond does not make the platform look quick, and a late one counts in full."""
    said = [
        sample(),
        sample(took_s=0.001, status=None, failure="refused"),
        sample(took_s=0.002, status=503),
        sample(took_s=5.0, status=None, failure="deadline"),
        sample(1.0, 0, None, sent_s=None, failure=NEVER_SENT, missed=True),
    ]
    assert [one.latency_s(DEADLINE_S) for one in said] == [0.01, 2.0, 2.0, 5.0, 2.0]
    judged = judge(recorded(said))
    assert judged.everything == Times(
        samples=5, errors=4, p50_ms=2000.0, p95_ms=None, p99_ms=None, highest_ms=5000.0
    )
    assert judged.errors == {
        "search: deadline": 1, "search: never-sent": 1, "search: refused": 1, "search: status 503": 1,
    }  # fmt: skip
    assert (judged.missed, judged.never_sent, judged.answered_per_s) == (1, 1, 0.1)


def test_a_late_start_counts_from_when_it_was_due() -> None:
    """Sent a second late for want of a place and answered at once, it took a second."""
    late = sample(3.0, 1.01, sent_s=4.0, missed=True)
    assert late.latency_s(DEADLINE_S) == pytest.approx(1.01)
    assert judge(recorded([late, sample(3.5)])).own_lateness_ms == 0.0  # the platform's doing, not ours


# --- when a load must end ---------------------------------------------------------------------------

OK, BAD = sample(), sample(status=None, failure="refused")


@pytest.mark.parametrize(
    ("done", "rule"),
    [
        ([OK] * 100, None),
        ([OK, sample(status=429)], "429"),
        ([sample(status=429)], "429"),
        ([sample(status=500), sample(status=502), OK, sample(status=503)], "errors"),
        ([OK, sample(status=500), sample(status=502), sample(status=503)], "5xx"),
        ([sample(status=500), sample(status=404), sample(status=500)], "errors"),
        ([*[OK] * 18, BAD, BAD], None),
        ([BAD, BAD, *[OK] * 17, BAD], "errors"),
        ([BAD, BAD, *[OK] * 18, BAD], "latency"),
        ([BAD, BAD, *[OK] * 57, BAD], None),
        ([BAD, BAD, BAD], "errors"),
        ([*[OK] * 56, *[sample(took_s=0.26)] * 3], "latency"),
        ([*[OK] * 56, *[sample(took_s=0.25)] * 3], None),
        ([*[OK] * 57, *[sample(took_s=9.0)] * 2], None),
        ([*[sample(took_s=0.26)] * 2], None),
        ([*[sample(took_s=0.26)] * 3], "latency"),
        ([*[sample(took_s=0.26)] * 3, *[OK] * 57], None),
        ([*[OK] * 56, *[sample(took_s=1.01, sent_s=1.0)] * 3], None),
        ([*[OK] * 56, *[sample(took_s=1.01, sent_s=1.0, missed=True)] * 3], "latency"),
        ([*[sample(took_s=2.4, kind="registration")] * 59], None),
        ([*[sample(took_s=2.6, kind="registration")] * 59], "latency"),
    ],
)
def test_when_a_load_ends_by_itself(done: Sequence[Sample], rule: str | None) -> None:
    """429, three server errors in a row, a third error in twenty, and the third slow one in 59."""
    trip = tripped(done, QUIET, DEADLINE_S)  # type: ignore[arg-type]
    assert (trip.rule if trip else None) == rule


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([OK, BAD, sample(status=500), sample(status=404)]), min_size=1, max_size=60))
def test_a_load_goes_on_only_while_errors_are_rare(done: list[Sample]) -> None:
    """What it goes on after never has more than a tenth of errors among twenty, nor three 5xx in a row."""
    if tripped(done, QUIET, DEADLINE_S) is None:  # type: ignore[arg-type]
        assert sum(one.error is not None for one in done[-20:]) <= 2
        assert not (len(done) >= 3 and all((one.status or 0) >= 500 for one in done[-3:]))


def test_the_reason_says_what_was_seen() -> None:
    """A sentence for whoever must explain why it stopped."""
    said = [
        tripped([sample(status=429)], {}, DEADLINE_S),
        tripped([sample(status=500), sample(status=502), sample(status=500)], {}, DEADLINE_S),
        tripped([OK, BAD, sample(status=404), BAD], {}, DEADLINE_S),
        tripped([*[sample(took_s=0.6)] * 3, OK], QUIET, DEADLINE_S),  # type: ignore[arg-type]
    ]
    assert said == [
        Trip(rule="429", reason="the platform said 429: it limits how often it is asked"),
        Trip(rule="5xx", reason="3 server errors in a row: 500, 502, 500"),
        Trip(rule="errors", reason="3 errors among the last 4 answers: refused, status 404"),
        Trip(
            rule="latency",
            reason="3 of the last 4 answers took 12.0 times what quiet ones did, or longer "
            "(more than 5 times is too long)",
        ),
    ]


# --- what fails -------------------------------------------------------------------------------------

MANY = [sample(n / 10) for n in range(100)]
ENTRY = Entry(kind="run", name="hkprobe-x", removed=True)
LEFT = Entry(kind="run", name="hkprobe-x", removed=False)


def with_slow(count: int) -> list[Sample]:
    """A hundred answers, so many of them slower than the objective."""
    return [*[sample(n / 10, 0.2) for n in range(count)], *MANY[count:]]


@pytest.mark.parametrize(
    ("report", "code", "standing"),
    [
        (recorded(MANY), 0, {}),
        (recorded(MANY[:20]), 0, {"p95-is-within-the-objective": "cannot-tell"}),
        (recorded(MANY, slo_p95_ms=None), 0, {"p95-is-within-the-objective": "cannot-tell"}),
        (recorded(with_slow(5)), 0, {}),
        (recorded(with_slow(6)), 1, {"p95-is-within-the-objective": "fail"}),
        (recorded([*MANY[:99], BAD]), 0, {}),
        (recorded([*MANY[:98], BAD, BAD]), 1, {"errors-are-rare": "fail"}),
        (
            recorded([*MANY[:94], *[sample(9.0, 0.05, sent_s=9.04, missed=True)] * 6]),
            1,
            {"starts-find-a-place": "fail"},
        ),
        (
            recorded([s.model_copy(update={"sent_s": s.intended_s + 0.2}) for s in with_slow(50)]),
            3,
            {"we-kept-the-pace": "trouble", "p95-is-within-the-objective": "cannot-tell",
             "starts-find-a-place": "cannot-tell"},
        ),
        (
            recorded([]),
            3,
            {"errors-are-rare": "cannot-tell", "p95-is-within-the-objective": "cannot-tell",
             "starts-find-a-place": "cannot-tell"},
        ),
        (recorded(MANY[:9], plan=Plan.ramping(20, {"search": 1})), 3, {"a-rate-holds": "cannot-tell"}),
        (recorded(MANY, created=(ENTRY,)), 0, {}),
        (recorded(MANY, created=(LEFT,)), 3, {"nothing-is-left": "trouble"}),
        (recorded(MANY, created=(ENTRY,), left=("x is still there",)), 3, {"nothing-is-left": "trouble"}),
        (recorded(with_slow(50), created=(LEFT,)), 1,
         {"p95-is-within-the-objective": "fail", "nothing-is-left": "trouble"}),
    ],
)  # fmt: skip
def test_what_a_load_comes_to(report: LoadReport, code: int, standing: dict[str, str]) -> None:
    """All passes but what is said; a failure of the platform outweighs trouble of ours."""
    judged = judge(report)
    assert {f.slug: f.status for f in judged.findings if f.status != "pass"} == standing
    assert judged.exit_code == code


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"outcome": "aborted", "rule": "429", "reason": "the platform said 429"}, 3),
        ({"outcome": "aborted", "rule": "not-ready", "reason": "nobody there"}, 3),
        ({"outcome": "interrupted", "reason": "SIGINT"}, 130),
        ({"outcome": "interrupted", "reason": "SIGTERM"}, 143),
    ],
)
@pytest.mark.parametrize("samples", [[], MANY, with_slow(50)])
def test_what_did_not_end_by_itself_is_never_a_pass(
    samples: list[Sample], more: dict[str, Any], code: int
) -> None:
    """Whatever was measured until then: it was not the load that was asked for."""
    judged = judge(recorded(samples, **more))
    assert judged.exit_code == code
    assert {f.slug: f.status for f in judged.findings} == {
        "load-was-carried-out": "trouble", "nothing-is-left": "pass",
    }  # fmt: skip


def test_what_was_cut_short_says_nothing_of_the_platform() -> None:
    """It is counted as what it is, and neither as an error nor among the times."""
    cut = [sample(10, 0.1, None, failure=CUT_SHORT)] * 3
    judged = judge(recorded([*MANY, *cut], outcome="interrupted", reason="SIGINT"))
    assert (judged.cut_short, judged.everything.samples, judged.errors) == (3, 100, {})


def test_an_operation_of_many_requests_may_take_as_long_as_all_of_them() -> None:
    """A registration is nine requests: nine times the objective of one."""
    plan = Plan(mix={"registration": 1}, stages=(Stage(rate=1, seconds=60),))
    codes = [
        judge(recorded([sample(n, took, kind="registration") for n in range(60)], plan=plan)).exit_code
        for took in (0.89, 0.91)
    ]
    assert codes == [0, 1]


# --- ramps ------------------------------------------------------------------------------------------


def rising(*took_s: float) -> list[Sample]:
    """The samples of a ramp in the order of their stages, each stage answered after so long."""
    return [sample(n, took, stage=n) for n, took in enumerate(took_s) for _ in range(60)]


def watched(samples: Sequence[Sample], plan: Plan) -> tuple[int, Trip | None]:
    """After how many samples a ramp ended, and why."""
    for n in range(1, len(samples) + 1):
        done = samples[:n]
        trip = saturated(
            tripped(done, {"search": (0.05,)}, DEADLINE_S), done, plan, {"search": (0.05,)},
            deadline_s=DEADLINE_S, slo_p95_ms=100.0,
        )  # fmt: skip
        if trip is not None:
            return n, trip
    return len(samples), None


@pytest.mark.parametrize(
    ("took_s", "ended", "held", "code"),
    [
        ((0.01, 0.02, 0.03, 0.04), 240, 20.0, 0),
        ((0.01, 0.02, 0.15, 0.04), 180, 10.0, 0),
        ((0.12, 0.02, 0.03, 0.04), 60, None, 1),
        ((0.01, 0.02, 9.00, 0.04), 123, 10.0, 0),
    ],
)
def test_a_ramp_goes_on_until_a_stage_does_not_hold(
    took_s: tuple[float, ...], ended: int, held: float | None, code: int
) -> None:
    """It ends with the stage whose p95 is beyond the objective, or in its midst where times blow up."""
    plan = Plan.ramping(20, {"search": 1})
    found, trip = watched(rising(*took_s), plan)
    report = recorded(
        rising(*took_s)[:found],
        plan=plan,
        rule=trip.rule if trip else None,
        reason=trip.reason if trip else "",
    )
    judged = judge(report)
    assert (found, judged.held_rate, judged.exit_code) == (ended, held, code)
    assert trip is None or trip.rule == "saturated"


@pytest.mark.parametrize("status", [429, 500])
def test_a_ramp_is_aborted_by_what_aborts_any_load(status: int) -> None:
    """A limit, or server errors in a row: that is more than being slow."""
    samples = [*rising(0.01), *[sample(status=status, stage=1)] * 3]
    _, trip = watched(samples, Plan.ramping(20, {"search": 1}))
    assert trip is not None
    assert trip.rule == {429: "429", 500: "5xx"}[status]


def test_a_record_is_read_back_as_it_was_written() -> None:
    """So judging it again says the same."""
    report = recorded([*MANY, BAD], created=(ENTRY, LEFT), left=("x",))
    again = LoadReport.model_validate_json(report.to_json())
    assert (again, judge(again)) == (report, judge(report))
    assert math.isclose(again.samples[7].intended_s, 0.7)
