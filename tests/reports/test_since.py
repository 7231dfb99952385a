"""What a report says of the time before its run, in words."""

from unicodedata import category

import made
import pytest
from _kept import at, cause, run
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
from hokusai_probe.reports import console, documents, markdown, since, write

PLAIN = console.Plain()
OLD_45 = "45.5 % by the old count, of which two points were the fault itself (5 of 11)"
OLD_27 = "27.3 % by the old count, of which one point was the fault itself"
BETWEEN = "Seen since: between 2025-08-05 09:27 UTC (last good run) and 2025-08-05 10:27 UTC"
OLD = {
    "infrastructure": OldCount(percent=45.5, passed=5, total=11, from_fault=2),
    "suite": OldCount(percent=22.2, passed=2, total=9),
}


def past(now: Report, *before: Report) -> Past:
    """What a history of these reports tells."""
    kept = [run_of(one) for one in before]
    points = Index(target=now.target).changed(added=((place(one), one) for one in kept)).points()
    return past_of(points, run_of(now), kept[-1] if kept else None)


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


def test_the_full_report_says_since_when_and_what_changed() -> None:
    """In place of "it knows of no earlier run", and at the end of the executive summary."""
    before, now = made.healthy(), made.later(made.two_causes(), 2)

    said = markdown.render(now, past(now, before, made.later(made.two_causes(), 1)))

    summary = said.partition("## Where it breaks")[0]
    assert summary.endswith(
        "Compared with the previous run (2025-08-05 10:27 UTC):\n\n"
        "- nothing changed: the same 4 checks fail, as before\n\n"
    )
    assert said.count(BETWEEN) == 2
    assert "it knows of no earlier one" not in said


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


def test_documents_are_written_with_the_time_before(tmp_path: object) -> None:
    """Only the full report speaks of it, the others are as without."""
    now = made.later(made.two_causes(), 1)
    known = past(now, made.healthy())

    changed = [name for name, document in documents(known).items() if document(now) != documents()[name](now)]
    (report, *_) = write(now, tmp_path, known)  # type: ignore[arg-type]

    assert changed == ["MODEL_REGISTRATION_TEST_REPORT.md"]
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
