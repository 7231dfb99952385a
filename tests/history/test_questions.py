"""What many runs say together: worked examples, and what must hold of any runs."""

from datetime import timedelta
from itertools import pairwise

import pytest
from _kept import HOUR_S, START, at, cause, run, seen_runs, series
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.history import questions
from hokusai_probe.history.questions import Availability, Outage, Schedule, Streak
from hokusai_probe.history.runs import Run

A = questions.check("a")
AUTH = questions.served("auth")
ordered = st.lists(seen_runs, max_size=8).map(lambda found: tuple(sorted(found, key=lambda r: r.started_at)))


def outage(good: int | None, first: int, last: int, after: int | None, bad: int, unknown: int = 0) -> Outage:
    """An outage by the hours of its runs."""
    return Outage(
        good_before=None if good is None else at(good),
        first_bad=at(first),
        last_bad=at(last),
        good_after=None if after is None else at(after),
        bad_runs=bad,
        unknown_runs=unknown,
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ()),
        ("p p", ()),
        ("p f f p", (outage(0, 1, 2, 3, 2),)),
        ("f", (outage(None, 0, 0, None, 1),)),
        ("e f s f b p", (outage(None, 1, 3, 5, 2, 1),)),
        ("p e f", (outage(0, 2, 2, None, 1),)),
        ("p f p . f", (outage(0, 1, 1, 2, 1), outage(2, 4, 4, None, 1))),
    ],
)
def test_outages_of_a_check(words: str, found: tuple[Outage, ...]) -> None:
    """From the first run that found it bad to the last; what cannot tell neither begins nor ends one."""
    assert questions.outages(series(words), A) == found


@pytest.mark.parametrize(
    ("words", "bad_since"), [("p f f", 1), ("p f e s", 1), ("f p", None), ("p f p e", None), ("e", None)]
)
def test_since_is_the_outage_that_is_not_over(words: str, bad_since: int | None) -> None:
    """A run that cannot tell is no recovery."""
    found = questions.since(series(words), A)

    assert (found.first_bad if found else None) == (None if bad_since is None else at(bad_since))


def test_a_recovery_is_bounded_on_both_sides() -> None:
    """It took at least from the first bad run to the last, at most from the last good one to the next."""
    (found,) = questions.recoveries(series("p f f . p"), A)

    assert (found.least_s, found.most_s) == (HOUR_S, 4 * HOUR_S)


def test_how_long_an_outage_took_that_was_there_from_the_start_is_not_known() -> None:
    """Nobody saw it begin."""
    (found,) = questions.recoveries(series("f p"), A)

    assert (found.least_s, found.most_s) == (0.0, None)


def test_a_cause_is_gone_when_all_that_it_explained_passes() -> None:
    """Not when it is no longer named: a run that did not look, and one that left it open, cannot tell."""
    x, maybe = cause("x", "a", "b"), cause("x", "a", undecided=True)
    runs = (run(0, "pp"), run(1, "ff", x), run(2, "ps"), run(3, "pf", maybe), run(4, "pf"), run(5, "pp"))

    assert questions.outages(runs, questions.cause("x", runs)) == (outage(0, 1, 1, 5, 1),)


def test_a_cause_is_gone_when_something_speaks_against_it() -> None:
    """Also while what it explained fails for another reason."""
    x, y = cause("x", "a"), cause("y", "a")
    denied = run(2, "ff", y)
    denied = denied.model_copy(update={"state": denied.state.model_copy(update={"denied": ("x",)})})
    runs = (run(0, "pp"), run(1, "ff", x), denied)

    assert questions.outages(runs, questions.cause("x", runs)) == (outage(0, 1, 1, 2, 1),)


def test_impaired_is_bad_and_serves() -> None:
    """A component that is impaired is not well, and it is not down."""
    (impaired,) = series("i")

    assert questions.component("auth")(impaired.state) == "bad"
    assert questions.served("auth")(impaired.state) == "good"


def test_streaks_name_what_never_came() -> None:
    """A run that cannot tell and one that was due are unknown, and end the row before them."""
    assert questions.streaks(series("p p f e . . p"), A) == (
        Streak(standing="good", first=at(0), last=at(1), runs=2),
        Streak(standing="bad", first=at(2), last=at(2), runs=1),
        Streak(standing="unknown", first=at(3), last=at(5), runs=1, missed=2),
        Streak(standing="good", first=at(6), last=at(6), runs=1),
    )


@pytest.mark.parametrize(
    ("words", "row"),
    [("", ("unknown", 0)), ("p f f", ("bad", 2)), ("f e f s", ("bad", 2)), ("f p", ("good", 1))],
)
def test_in_a_row_leaves_out_what_cannot_tell(words: str, row: tuple[str, int]) -> None:
    """Neither good nor bad: it neither counts nor ends the row."""
    assert questions.in_a_row(series(words), A) == row


@pytest.mark.parametrize(
    ("words", "flaps"), [("f p f p f p", True), ("f p f p", False), ("f f f", False), ("f e f e f", False)]
)
def test_flapping_is_turning_bad_again_and_again(words: str, *, flaps: bool) -> None:
    """Three times within a day; staying bad is none, nor are runs that cannot tell between."""
    assert questions.is_flapping(series(words), A) is flaps


def test_flapping_of_last_week_is_over() -> None:
    """What turned bad long before the last run does not count."""
    assert not questions.is_flapping((*series("f p f p f p"), run(40, "p")), A)


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        ("p p p p p", (4, 0, 0)),
        ("p p f f p", (1, 1, 2)),
        ("p e p p p", (2, 0, 2)),
        ("p . p p p", (2, 0, 2)),
        ("e e", (0, 0, 4)),
        ("", (0, 0, 4)),
    ],
)
def test_availability_counts_only_what_two_runs_agree_on(words: str, hours: tuple[int, int, int]) -> None:
    """Between a good run and a bad one, beside a gap and beside a run that cannot tell, nobody knows."""
    up, down, unknown = (HOUR_S * hour for hour in hours)

    found = questions.availability(series(words), AUTH, at(0), at(4))

    assert found == Availability(up_s=up, down_s=down, unknown_s=unknown)


def test_a_window_begins_and_ends_where_it_says() -> None:
    """Also between two runs."""
    found = questions.availability(series("p p p"), AUTH, at(0.5), at(3))

    assert found == Availability(up_s=1.5 * HOUR_S, down_s=0.0, unknown_s=HOUR_S)
    assert found.percent == 100.0


def test_runs_that_expect_nothing_speak_for_an_hour_and_a_half() -> None:
    """Of two runs by hand a day apart, nobody knows what was between them."""
    by_hand = [run(hours, "p", expected_interval_s=None, trigger="manual") for hours in (0, 1.5, 25.5)]

    found = questions.availability(by_hand, AUTH, at(0), at(25.5))

    assert (found.up_s, found.down_s) == (1.5 * HOUR_S, 0.0)


def test_a_schedule_is_late_and_leaves_out() -> None:
    """Lag is what a run came later than due; runs that a schedule did not start are not its own."""
    runs = (
        run(0),
        run(0.5, trigger="manual"),
        run(1.25, expected_interval_s=HOUR_S),
        run(4.25),
        run(5.25, expected_interval_s=None),
    )

    assert questions.schedule(runs) == Schedule(runs=3, missed=2, median_lag_s=450.0, longest_lag_s=900.0)
    assert questions.schedule(()) == Schedule(runs=0, missed=0)


# --- what holds of any runs -----------------------------------------------------------------------------


@given(runs=ordered, start=st.integers(-5, 45), length=st.integers(0, 50))
def test_a_window_is_up_down_and_unknown(runs: tuple[Run, ...], start: int, length: int) -> None:
    """The three add up to the window, and none is negative."""
    found = questions.availability(runs, AUTH, at(start), at(start + length))

    assert found.up_s + found.down_s + found.unknown_s == pytest.approx(length * HOUR_S)
    assert min(found.up_s, found.down_s, found.unknown_s) >= 0


@given(runs=ordered, hours=st.floats(0, 40), blind=st.sampled_from(["e", "b", "s", "-", ""]))
def test_a_run_that_cannot_tell_never_makes_anything_known(
    runs: tuple[Run, ...], hours: float, blind: str
) -> None:
    """Neither up nor down grows by it."""
    more = tuple(sorted((*runs, run(hours, blind)), key=lambda r: r.started_at))
    before, after = (questions.availability(r, AUTH, START, at(40)) for r in (runs, more))

    assert after.up_s <= before.up_s + 1e-6
    assert after.down_s <= before.down_s + 1e-6


@given(runs=ordered)
def test_outages_and_rows_agree(runs: tuple[Run, ...]) -> None:
    """Outages are in order and apart, and count each bad run once; since is the last one, if not over."""
    found = questions.outages(runs, A)
    standings = [A(r.state) for r in runs]
    known = [s for s in standings if s != "unknown"]
    rows = questions.streaks(runs, A)

    assert all(o.good_before is None or o.good_before <= o.first_bad for o in found)
    assert all(earlier.good_after is not None for earlier, _ in pairwise(found))
    assert sum(o.bad_runs for o in found) == standings.count("bad")
    assert sum(row.runs for row in rows) == len(runs)
    assert all(earlier.standing != later.standing for earlier, later in pairwise(rows))
    assert (questions.since(runs, A) is not None) == (known[-1:] == ["bad"])
    assert questions.in_a_row(runs, A)[0] == (known[-1] if known else "unknown")


@given(runs=ordered)
def test_least_is_no_longer_than_most(runs: tuple[Run, ...]) -> None:
    """The bounds of a recovery are in order."""
    assert all(o.most_s is None or 0 <= o.least_s <= o.most_s for o in questions.outages(runs, A))


def test_latency_of_a_window_is_of_its_runs_alone() -> None:
    """From its start to before its end, of one endpoint or of all."""
    one, other = "GET registry /health 200", "GET auth /health 200"
    runs = [run(h, latency={one: {"buckets": {h: 1}}, other: {"buckets": {50: 1}}}) for h in range(4)]

    assert questions.latency(runs, at(1), at(3), one).buckets == {1: 1, 2: 1}
    assert questions.latency(runs, at(1), at(3)).buckets == {1: 1, 2: 1, 50: 2}
    assert questions.latency(runs, at(9), at(9) + timedelta(1)).percentiles() is None
