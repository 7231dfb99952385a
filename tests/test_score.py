"""Counting verdicts: an honest percentage that breaking more never raises."""

import json

from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.model import AreaScore, Score, Verdict
from hokusai_probe.score import score

COUNTED = [("pass", None), ("fail", None), ("error", None), ("skip", "blocked")]
LEFT_OUT = [("skip", "not-configured"), ("skip", "not-applicable"), ("skip", "cannot-tell")]
AREAS = ["infrastructure", "proxy", "data"]

judged = st.tuples(st.sampled_from(COUNTED + LEFT_OUT), st.sampled_from(AREAS))


def verdict(status: tuple[str, str | None], area: str = "proxy") -> Verdict:
    """A verdict of a status in an area."""
    given = {"status": status[0], "skip_kind": status[1], "area": area}
    return Verdict(check="c", title="t", component="mlflow", hop="mlflow", probe="p", **given)


def counts(*statuses: tuple[str, str | None]) -> AreaScore:
    """The overall count of some verdicts."""
    return score(verdict(s) for s in statuses).overall


def test_each_status_has_its_column() -> None:
    """Blocked counts on its own; the other skips are left out of the percentage."""
    found = score([*(verdict(s) for s in COUNTED + LEFT_OUT), verdict(("pass", None), "data")])
    proxy = AreaScore(passed=1, failed=1, errors=1, blocked=1, skipped=3)
    assert found == Score(
        overall=proxy.model_copy(update={"passed": 2}), areas={"data": AreaScore(passed=1), "proxy": proxy}
    )
    assert [found.overall.percent, proxy.percent, found.areas["data"].percent] == [40.0, 25.0, 100.0]


def test_nothing_judged_has_no_percentage() -> None:
    """Silence is neither 0 nor 100 percent."""
    assert score([]) == Score()
    assert counts(*LEFT_OUT).percent is None


def test_percent_is_written_and_read_back() -> None:
    """The JSON holds the percentage beside the counts, and reading it back gives the same score."""
    found = score([verdict(("pass", None)), verdict(("fail", None)), verdict(("fail", None))])
    written = json.loads(found.model_dump_json())
    assert written["overall"] == {
        "passed": 1,
        "failed": 2,
        "errors": 0,
        "blocked": 0,
        "skipped": 0,
        "percent": 33.3,
    }
    assert Score.model_validate_json(found.model_dump_json()) == found


@given(st.lists(judged, max_size=100), st.data())
def test_breaking_one_more_check_never_raises_a_percentage(
    before: list[tuple[tuple[str, str | None], str]], data: st.DataObject
) -> None:
    """Whatever passes and then fails, errs or is blocked lowers its area and the whole, or leaves them."""
    broken = data.draw(st.sampled_from(COUNTED[1:]))
    area = data.draw(st.sampled_from(AREAS))
    first = score([verdict(*b) for b in before] + [verdict(("pass", None), area)])
    then = score([verdict(*b) for b in before] + [verdict(broken, area)])
    assert (then.overall.percent or 0.0) < (first.overall.percent or 0.0)
    assert all((then.areas[a].percent or 0.0) <= (first.areas[a].percent or 0.0) for a in first.areas)


@given(st.lists(judged, min_size=1))
def test_percentages_lie_between_none_and_all(
    verdicts: list[tuple[tuple[str, str | None], str]],
) -> None:
    """0 to 100, and 100 only when nothing that counts is short of a pass."""
    found = score(verdict(*v) for v in verdicts).overall
    percent = found.percent
    assert percent is None or 0 <= percent <= 100
    assert (percent == 100) == (found.passed > 0 and not found.failed + found.errors + found.blocked)
