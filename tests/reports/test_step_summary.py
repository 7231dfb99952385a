"""The summary under a job of GitHub Actions: the answer first, and never more than GitHub takes."""

import made
import pytest
from expected import HOSTILE, expect, with_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_documents import skeleton

from hokusai_probe.reports import answer, step_summary


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_step_summary(situation: str) -> None:
    """Each situation has its summary, word for word."""
    expect(f"{situation}.step-summary.md", step_summary.render(made.SITUATIONS[situation]()))


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_the_answer_comes_first(situation: str) -> None:
    """The first line is the answer; all clear is one line and no more."""
    report = made.SITUATIONS[situation]()
    first, *rest = step_summary.render(report).splitlines()
    if answer.all_clear(report):
        assert (first.startswith("**All clear:**"), rest) == (True, [])
    else:
        assert first == f"## {answer.headline(report)}"


@settings(max_examples=100, deadline=None)
@given(st.integers(-10, 12_000))
def test_it_is_cut_where_a_section_ends_and_says_so(limit: int) -> None:
    """Never over the limit; what is left is the beginning of the whole, by sections, with a note."""
    whole = step_summary.render(made.two_causes())
    said = step_summary.render(made.two_causes(), limit)
    assert len(said.encode()) <= max(limit, 0)
    assert said or limit < 900
    if said and said != whole:
        kept, _, note = said.rstrip("\n").rpartition("This is cut: ")
        assert whole.startswith(kept)
        assert "MODEL_REGISTRATION_TEST_REPORT.md" in note
        assert whole[len(kept) :].startswith(("##", "###")) or not kept


def test_a_huge_run_stays_within_githubs_limit() -> None:
    """Many failing checks with long texts: a MiB at most, the answer and the note are there."""
    long = tuple(
        made.verdict(f"check-{n}", "é" * 900, "proxy", "gateway", "mlflow-api", **made.fail("x"))
        for n in range(2000)
    )
    said = step_summary.render(made.report(long))
    assert len(said.encode()) <= step_summary.LIMIT == 1_048_576
    assert said.startswith("## No: a third party cannot register a model\n")
    assert "This is cut: " in said


@settings(max_examples=50, deadline=None)
@given(HOSTILE.map(lambda t: f"x{t}x"))
def test_hostile_text_is_inert_in_the_summary(said: str) -> None:
    """Whatever the platform answers adds no link, image, HTML, heading or block of its own."""
    wild, plain = (skeleton(step_summary.render(with_text(x))) for x in (said, "xwordx"))
    assert wild == plain
