"""What a page shows over time is what the runs say, and a gap where they say nothing."""

from datetime import timedelta
from pathlib import Path

from _kept import START, at, cause, run
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.history import folder
from hokusai_probe.history.latency import Histogram
from hokusai_probe.history.over_time import DAYS, trend_of
from hokusai_probe.history.runs import Run
from hokusai_probe.reports.trend import Point, Series, Spell, Trend

DAY = timedelta(days=1)


def test_nothing_is_shown_where_nothing_was_seen() -> None:
    """No run, no line."""
    assert trend_of((), ()) == Trend()


def test_each_day_has_its_availability_and_a_day_without_runs_is_a_gap() -> None:
    """Up all day, half of it down, nobody knows: three points, the last without a value."""
    runs = [
        *(run(hour, "pp") for hour in range(25)),
        *(run(25 + hour, "fp") for hour in range(12)),
        *(run(37 + hour, "pp") for hour in range(3)),
        run(70, "pp"),
    ]

    found = trend_of(runs, ())

    assert [s.name for s in found.availability] == ["auth"]
    assert [p.at for p in found.availability[0].points] == [START, START + DAY, START + 2 * DAY]
    assert [p.value for p in found.availability[0].points] == [100.0, round(100 * 2 / 13, 2), None]


def test_the_page_looks_back_a_month() -> None:
    """What is older is in the history, and not on the page."""
    found = trend_of([run(0, "pp"), run(24 * 90, "pp")], ())

    assert len(found.availability[0].points) == DAYS + 1


def test_latency_is_shown_by_host_and_a_run_without_an_answer_is_a_gap() -> None:
    """The endpoints of a host are added up; the time is that within which 95 of 100 answers came."""
    quick, slow = Histogram.of([0.1] * 9), Histogram.of([1.0])
    one = run(0, latency={"GET auth /health 200": quick, "POST auth /x 200": slow})
    other = run(1, latency={"GET registry /health 200": quick})

    found = trend_of([one, other], [one, other])

    assert found.latency == (
        Series(
            name="auth, p95",
            unit="ms",
            points=(Point(at=at(0), value=slow.quantile_ms(0.95)), Point(at=at(1))),
        ),
        Series(
            name="registry, p95",
            unit="ms",
            points=(Point(at=at(0)), Point(at=at(1), value=quick.quantile_ms(0.95))),
        ),
    )


def test_each_cause_has_the_times_when_it_was_there() -> None:
    """A spell that is over has an end; one that is not has none."""
    down = cause("down", "a")
    runs = [run(0, "pp"), run(1, "fp", down), run(2, "pp"), run(3, "fp", down), run(4, "fp", down)]

    assert trend_of(runs, ()).causes == {
        "down": (
            Spell(first=at(1), last=at(1), last_good=at(0)),
            Spell(first=at(3), last=None, last_good=at(2)),
        )
    }


hours_and_words = st.tuples(st.integers(0, 24 * 60), st.text("pfe", min_size=1, max_size=2))


@given(st.lists(hours_and_words, unique_by=lambda one: one[0]))
def test_a_day_is_never_better_than_it_was_seen(found: list[tuple[int, str]]) -> None:
    """A day with a value has two runs that agree around some of it; and a value is a share."""
    runs: list[Run] = [run(hour, word) for hour, word in sorted(found)]

    for series in trend_of(runs, ()).availability:
        known = [p for p in series.points if p.value is not None]
        assert all(0 <= (p.value or 0) <= 100 for p in known)
        assert all(sum(p.at - DAY <= r.started_at <= p.at + 2 * DAY for r in runs) > 1 for p in known)


def test_what_is_in_the_folder_is_shown(tmp_path: Path) -> None:
    """The same from the files."""
    runs = [run(hour, "pp", latency={"GET auth /health 200": Histogram.of([0.2])}) for hour in range(3)]
    for one in runs:
        folder.write(tmp_path, one)

    assert folder.over_time(tmp_path, runs[0].target) == trend_of(runs, runs)
