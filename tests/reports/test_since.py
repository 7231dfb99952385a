"""What a report says of the time before its run, in words."""

from datetime import timedelta
from pathlib import Path
from unicodedata import category

import made
import pytest
from _kept import at, cause, run
from expected import expect
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hokusai_probe.history.compare import Comparison, ScoreChange, compare
from hokusai_probe.history.condense import run_of
from hokusai_probe.history.index import Index
from hokusai_probe.history.past import Past, past_of
from hokusai_probe.history.questions import Outage
from hokusai_probe.history.runs import OldCount, Run, place
from hokusai_probe.model import AreaScore, Report, Score
from hokusai_probe.reports import (
    OVER_TIME,
    console,
    documents,
    html,
    markdown,
    since,
    step_summary,
    write,
)

PLAIN = console.Plain()
OLD_45 = "45.5 % by the old count, of which two points were the fault itself (5 of 11)"
OLD_27 = "27.3 % by the old count, of which one point was the fault itself"
BETWEEN = "Seen since: between 2025-08-05 09:27 UTC (last good run) and 2025-08-05 10:27 UTC"
OLD = {
    "infrastructure": OldCount(percent=45.5, passed=5, total=11, from_fault=2),
    "suite": OldCount(percent=22.2, passed=2, total=9),
}


def past(now: Report, *before: Report, old: Run | None = None) -> Past:
    """What a history of these reports tells, and of scores of the former scripts before them."""
    kept = [*([old] if old else []), *(run_of(one) for one in before)]
    points = Index(target=now.target).changed(added=((place(one), one) for one in kept)).points()
    return past_of(points, run_of(now), kept[-1] if kept else None, old)


def test_since_when_is_said_with_how_exactly_it_is_known() -> None:
    """Between the last good run and the first bad one; without a good one, that time or earlier."""
    known = Outage(good_before=at(0), first_bad=at(1), last_bad=at(3), bad_runs=3)

    assert since.since(known) == (
        "between 2026-01-01 00:00 UTC (last good run) "
        "and 2026-01-01 01:00 UTC (first bad one; 3 bad runs so far)"
    )
    assert since.since(known.model_copy(update={"good_before": None, "bad_runs": 1})) == (
        "2026-01-01 01:00 UTC or earlier (1 bad run, none known before)"
    )


def scored(hours: float, word: str, percent: int, *causes: object) -> Run:
    """A run with so many percent."""
    count = AreaScore(passed=percent, failed=100 - percent)
    return run(hours, word, *causes, score=Score(overall=count, areas={"infrastructure": count}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        (run(0, "pp"), run(1, "pp"), ("nothing changed: nothing fails, as before",)),
        (run(0, "fp"), run(1, "fp"), ("nothing changed: the same 1 check fails, as before",)),
        (run(0, "ff"), run(1, "ff"), ("nothing changed: the same 2 checks fail, as before",)),
        (
            scored(0, "ffffffffp"[1:], 10, cause("x", "a")),
            scored(1, "pppppppff"[1:], 80, cause("y", "a")),
            (
                "new causes: y",
                "causes gone: x",
                "newly failing: h",
                "mended: a, b, c, d, e and 1 more",
                "still failing: g",
                "score: 10 % before, 80 % now; of the checks that both judged 12.5 % and 75 %",
            ),
        ),
        (
            run(0, "", old_count=OLD),
            scored(1, "pf", 82),
            (
                f"infrastructure: now 82 %; before, {OLD_45}",
                "all areas: now 82 %; before, 22.2 % by the old count (2 of 9)",
            ),
        ),
        (
            run(0, "", old_count={"infrastructure": OldCount(percent=27.3, from_fault=1)}),
            run(1, "", old_count={"infrastructure": OldCount(percent=45.5)}),
            (f"infrastructure: now 45.5 % by the old count; before, {OLD_27}",),
        ),
    ],
)
def test_what_changed_in_words(before: Run, now: Run, lines: tuple[str, ...]) -> None:
    """One line where nothing did; else a line for each kind of change, and the score."""
    assert since.compared(compare(before, now), PLAIN) == lines


def with_a_history() -> tuple[Report, Past]:
    """Well, broken, well again, broken as now; and before all that the scores of the former scripts."""
    now = made.later(made.two_causes(), 5)
    well, bad = made.healthy(), made.two_causes()
    earlier = (well, made.later(bad, 1), made.later(well, 2), made.later(well, 3), made.later(bad, 4))
    old = run(0, "", old_count=OLD, target=now.target, started_at=made.WHEN - timedelta(days=1))
    return now, past(now, *earlier, old=old)


@pytest.mark.parametrize("name", OVER_TIME)
def test_documents_with_a_history(name: str) -> None:
    """Word for word: since when, what changed, how much of the time each part served, the old count."""
    now, known = with_a_history()

    expect(f"history.{name}", OVER_TIME[name](now, past=known))


def test_the_page_and_the_step_summary_with_a_history() -> None:
    """They say the same as the documents."""
    now, known = with_a_history()

    for said in (html.render(now, past=known), step_summary.render(now, past=known)):
        assert said.count("between 2025-08-05 12:27 UTC (last good run) and") == 2
        assert "nothing changed: the same 4 checks fail, as before" in said
        assert f"infrastructure: now 66.7 %; before, {OLD_45}" in said


def test_what_comes_and_goes_is_called_flapping() -> None:
    """Bad three times within the last day, in every document that speaks of it."""
    words = ("pass", "fail") * 3
    runs = [made.later(made.healthy() if w == "pass" else made.two_causes(), n) for n, w in enumerate(words)]

    known = past(runs[-1], *runs[:-1])

    assert set(known.flapping) >= {"auth-health", "target-port-mismatch"}
    for name in ("MODEL_REGISTRATION_TEST_REPORT.md", "failing_components.md", "RECOMMENDATIONS.md"):
        assert "flapping" in OVER_TIME[name](runs[-1], past=known)


def test_all_clear_after_a_bad_night_says_what_was_mended() -> None:
    """In the health report; nothing else has anything to say."""
    now = made.later(made.healthy(), 1)

    said = OVER_TIME["COMPREHENSIVE_HEALTH_REPORT.md"](now, past=past(now, made.two_causes()))

    assert (
        "- since the previous run (2025-08-05 09:27 UTC), so between that time and 2025-08-05 10:27 UTC:"
        in said
    )
    assert "- mended: `auth-health`, `bearer-key`, `no-key-refused`, `search`" in said


@pytest.mark.parametrize("name", OVER_TIME)
def test_a_first_run_is_as_one_without_a_history(name: str) -> None:
    """And claims nothing of the time before."""
    now = made.two_causes()

    said = OVER_TIME[name](now, past=past(now))

    assert said == OVER_TIME[name](now)
    assert [
        word for word in ("last good run", "previous run", "flapping", "last 7 days") if word in said
    ] == []


def test_the_terminal_says_since_when_and_what_changed() -> None:
    """A line under each cause, and a paragraph before the counts."""
    now = made.later(made.two_causes(), 1)

    said = console.render(now, colour=False, past=past(now, made.healthy()))

    assert said.count(f"   {BETWEEN}") == 2
    assert said.partition("Compared with")[2].partition("\n\n")[0] == (
        " the previous run (2025-08-05 09:27 UTC):\n"
        "   new causes: auth-service-down, listener-rule-wrong-target-group, target-port-mismatch\n"
        "   newly failing: auth-health, bearer-key, no-key-refused, search\n"
        "   score: 100 % before, 22.2 % now"
    )


@pytest.mark.parametrize("name", sorted(made.SITUATIONS))
def test_without_an_earlier_run_a_report_is_as_it_was(name: str) -> None:
    """The history is optional everywhere, and a first run has none to tell of."""
    now = made.SITUATIONS[name]()

    assert markdown.render(now, past(now)) == markdown.render(now)
    assert console.render(now, colour=False, past=past(now)) == console.render(now, colour=False)


def test_all_clear_stays_one_line() -> None:
    """Also after a night in which everything failed."""
    now = made.later(made.healthy(), 1)

    said = console.render(now, colour=False, past=past(now, made.two_causes()))

    assert said.count("\n") == 1


def test_documents_are_written_with_the_time_before(tmp_path: Path) -> None:
    """All that people read speak of it; what programs read is of one run."""
    now = made.later(made.two_causes(), 1)
    known = past(now, made.healthy())

    changed = {name for name, document in documents(known).items() if document(now) != documents()[name](now)}
    (report, *_) = write(now, tmp_path, known)

    assert changed == {*OVER_TIME, "report.html"}
    assert report.read_text("utf-8") == markdown.render(now, known)


def kinds_of(lines: tuple[str, ...]) -> list[str]:
    """The blocks that a CommonMark parser sees in a list of these lines."""
    return [token.type for token in MarkdownIt("commonmark").parse("\n".join(f"- {line}" for line in lines))]


@given(slug=st.text(min_size=1, max_size=12))
def test_a_slug_from_a_file_stays_inert(slug: str) -> None:
    """A history may have been edited by anybody: what it names is escaped like all foreign text."""
    found = Comparison(before=at(0), now=at(1), mended=(slug,), score=ScoreChange(before=None, now=None))

    lines = since.compared(found, markdown.STYLE)
    kinds = kinds_of(lines)
    clean = since.compared(found.model_copy(update={"mended": ("a",)}), markdown.STYLE)

    assert kinds == kinds_of(clean)
    shown = "".join(since.compared(found, PLAIN))
    assert [c for c in shown if category(c) in {"Cc", "Cs"}] == []
