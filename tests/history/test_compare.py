"""Two runs side by side, and which runs a history can do without."""

from datetime import datetime

import pytest
from _kept import TARGET, at, cause, run, seen_runs, series
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.history import questions
from hokusai_probe.history.compare import Comparison, ScoreChange, compare
from hokusai_probe.history.index import Index, Point
from hokusai_probe.history.retention import to_spare
from hokusai_probe.history.runs import OldCount, Run, place
from hokusai_probe.model import AreaScore, Score

FOUND = ("pp", "fp", "e", "px", "iy")
ORDERED = st.lists(st.sampled_from(FOUND), max_size=14).map(
    lambda words: tuple(run(h, w, *(cause(c, "a") for c in "xy" if c in w)) for h, w in enumerate(words))
)
"""Hourly runs that found one of a few things, so that they often found the same."""


def scored(hours: float, word: str, *causes: object, **more: object) -> Run:
    """A run with the score of its word."""
    count = AreaScore(passed=word.count("p"), failed=word.count("f"), blocked=word.count("b"))
    return run(hours, word, *causes, score=Score(overall=count), **more)  # type: ignore[arg-type]


def test_every_way_a_check_can_go_has_its_list() -> None:
    """Failing, mended and what is not known are kept apart; what exists in one run only is named."""
    before, now = scored(0, "pfbfff-p"), scored(1, "fpffes p".replace(" ", "p"))

    assert compare(before, now) == Comparison(
        before=at(0),
        now=at(1),
        newly_failing=("a",),
        mended=("b",),
        failing_unseen_before=("c",),
        still_failing=("d",),
        no_longer_judged=("e", "f"),
        only_now=("g",),
        score=ScoreChange(before=28.6, now=50.0, alike_before=33.3, alike_now=33.3),
    )


def test_causes_are_new_gone_open_or_still_there() -> None:
    """Gone only where something speaks against it, or all that it explained passes."""
    before = run(0, "ff", cause("kept", "a"), cause("mended", "b"), cause("vague", "a"), cause("unsure", "b"))
    now = run(1, "fp", cause("kept", "a"), cause("fresh", "a"), cause("unsure", "b", undecided=True))

    found = compare(before, now)

    assert (found.new_causes, found.gone_causes) == (("fresh",), ("mended",))
    assert (found.open_causes, found.still_present) == (("unsure", "vague"), ("kept",))
    assert found.is_worse


def test_a_score_of_the_former_scripts_is_not_compared_check_by_check() -> None:
    """There are no checks to compare; both scores are given as what they are."""
    old = {"infrastructure": OldCount(percent=45.5, passed=5, total=11, from_fault=2)}
    areas = {"infrastructure": AreaScore(passed=1, failed=1)}
    now = run(1, "pf", score=Score(overall=AreaScore(passed=1, failed=1), areas=areas))

    found = compare(run(0, "", old_count=old), now)

    assert found == Comparison(
        before=at(0),
        now=at(1),
        score=ScoreChange(before=None, now=50.0),
        old_count=old,
        areas_now={"infrastructure": 50.0},
    )
    assert (found.is_same, found.is_worse) == (False, False)


@given(before=seen_runs, now=seen_runs)
def test_each_check_is_in_one_list_at_most(before: Run, now: Run) -> None:
    """And nothing changed from a run to itself."""
    found = compare(before, now)
    failing = (*found.newly_failing, *found.failing_unseen_before, *found.still_failing)
    others = (*found.mended, *found.no_longer_judged, *found.only_before, *found.only_now)
    listed = (*failing, *others)

    assert len(listed) == len(set(listed))
    assert set(failing) <= set(now.state.checks.get("fail", ()))
    assert compare(now, now).is_same
    assert not compare(now, now).is_worse


@given(before=seen_runs, now=seen_runs)
def test_backwards_what_was_mended_newly_fails(before: Run, now: Run) -> None:
    """The comparison of the same two the other way round."""
    there, back = compare(before, now), compare(now, before)

    assert there.mended == back.newly_failing
    assert there.only_now == back.only_before
    assert there.still_failing == back.still_failing
    assert there.new_causes == tuple(sorted({*back.gone_causes, *back.open_causes}))


# --- retention ------------------------------------------------------------------------------------------


def points(found: tuple[Run, ...]) -> tuple[Point, ...]:
    """The runs as an index knows them."""
    return Index(target=TARGET).changed(added=((place(r), r) for r in found)).points()


@pytest.mark.parametrize(
    ("words", "spare"),
    [("", []), ("pp pp", []), ("pp pp pp", [1]), ("pp pp pp fp fp fp fp pp pp", [1, 4, 5]), ("p f p f", [])],
)
def test_the_first_and_the_last_run_of_every_change_stay(words: str, spare: list[int]) -> None:
    """Whatever found the same as the runs on both sides can go."""
    assert [p.started_at for p in to_spare(points(series(words)), at(1000))] == [at(h) for h in spare]


def test_all_of_the_last_days_stay() -> None:
    """Up to the moment that is given."""
    assert [p.started_at for p in to_spare(points(series("p p p p p")), at(2))] == [at(1)]


def test_scores_of_the_former_scripts_stay() -> None:
    """They cannot be had again."""
    old = {"suite": OldCount(percent=22.2)}
    found = points(tuple(run(h, "", old_count=old) for h in range(4)))

    assert to_spare(found, at(1000)) == ()


@given(found=ORDERED, before=st.integers(0, 40))
def test_what_is_spared_changes_no_answer_on_since_when(found: tuple[Run, ...], before: int) -> None:
    """The times of every outage of every subject are those of before; and nothing more can be spared."""
    everything = points(found)
    gone = to_spare(everything, at(before))
    kept = tuple(p for p in everything if p not in gone)

    for subject in (questions.check("a"), questions.component("auth")):
        assert times(kept, subject) == times(everything, subject)
    for slug in ("x", "y"):
        assert times(kept, questions.cause(slug, kept)) == times(
            everything, questions.cause(slug, everything)
        )
    assert to_spare(kept, at(before)) == ()


@given(found=ORDERED, before=st.integers(0, 40))
def test_what_is_spared_makes_nothing_known(found: tuple[Run, ...], before: int) -> None:
    """Time that was thinned out is unknown: neither up nor down grows."""
    everything = points(found)
    gone = to_spare(everything, at(before))
    kept = tuple(p for p in everything if p not in gone)
    full, thin = (
        questions.availability(p, questions.served("auth"), at(0), at(40)) for p in (everything, kept)
    )

    assert thin.up_s <= full.up_s
    assert thin.down_s <= full.down_s


def times(runs: tuple[Point, ...], subject: questions.Subject) -> list[tuple[datetime | None, ...]]:
    """When each outage began and ended."""
    return [(o.good_before, o.first_bad, o.last_bad, o.good_after) for o in questions.outages(runs, subject)]
