"""Whole documents, compared with what tests/said holds. UPDATE_SAID=1 writes them anew, to be read."""

import json
import os
from pathlib import Path

import made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hokusai_probe import issues
from hokusai_probe.model import Report, Verdict
from hokusai_probe.reports import DOCUMENTS, answer, console, index, markdown, write

SAID = Path(__file__).parents[1] / "said"
PARSER = MarkdownIt("commonmark").enable("table")


def expect(name: str, said: str) -> None:
    """The document is exactly the one in tests/said."""
    path = SAID / name
    if os.environ.get("UPDATE_SAID"):
        path.write_text(said, "utf-8")
    assert said == path.read_text("utf-8")


def skeleton(said: str) -> list[tuple[str, str]]:
    """The blocks and inline marks of a document, without its words."""
    tokens = [t for token in PARSER.parse(said) for t in (token, *(token.children or ()))]
    return [(t.type, t.tag) for t in tokens if t.type not in {"text", "text_special", "softbreak"}]


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_markdown_report(situation: str) -> None:
    """Each situation has its report, word for word."""
    expect(f"{situation}.report.md", markdown.render(made.SITUATIONS[situation]()))


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_console(situation: str) -> None:
    """Each situation has its lines on the terminal, word for word."""
    expect(f"{situation}.console.txt", console.render(made.SITUATIONS[situation](), colour=False))


@pytest.mark.parametrize("situation", made.SITUATIONS)
def test_issue_plan(situation: str) -> None:
    """Each situation, seen twice, has its issues, word for word."""
    report = made.SITUATIONS[situation]()
    plan = issues.plan([report, made.later(report, 1)], repository="hokus-ai/platform")
    expect(f"{situation}.issues.txt", issues.describe(plan))


def test_index() -> None:
    """The index of the directory gives the answer and says which document is for whom."""
    expect("two-causes.README.md", index.render(made.two_causes()))


@pytest.mark.parametrize("situation", ["healthy", "read-only"])
def test_all_clear_is_one_line(situation: str) -> None:
    """A tired person reads one line where all is well, in colour as well."""
    report = made.SITUATIONS[situation]()
    assert console.render(report, colour=False).count("\n") == 1
    assert console.render(report, colour=True).count("\n") == 1


def test_colour_only_adds_colour() -> None:
    """Colours change nothing but the colour."""
    for make in made.SITUATIONS.values():
        coloured = console.render(make(), colour=True)
        for code in ("\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"):
            coloured = coloured.replace(code, "")
        assert coloured == console.render(make(), colour=False)


@pytest.mark.parametrize(
    ("situation", "said", "code"),
    [
        ("healthy", "yes", 0),
        ("read-only", "not-tried", 0),
        ("two-causes", "no", 1),
        ("undecided", "no", 1),
        ("our-trouble", "cannot-tell", 3),
        ("interrupted", "no", 1),
        ("client-key", "no", 1),
    ],
)
def test_answer(situation: str, said: str, code: int) -> None:
    """The one answer that everybody asks for, and the exit code beside it."""
    report = made.SITUATIONS[situation]()
    assert (answer.registration(report), answer.exit_code(report)) == (said, code)


def test_nothing_judged_is_not_all_clear() -> None:
    """A run without a verdict is never all clear: silence is not health."""
    empty = made.report(())
    assert not answer.all_clear(empty)
    assert answer.exit_code(empty) == 3


def test_probe_trouble_blames_nobody() -> None:
    """What only our own lack of a network explains is not known, and not the platform's."""
    cause = made.PORT.model_copy(update={"cause": "probe-has-no-network", "component": "probe"})
    found = made.verdicts(auth_health=made.fail("does not resolve"))
    report = made.report(found[:6], diagnoses=(cause.model_copy(update={"explains": ("auth-health",)}),))
    assert answer.registration(report) == "cannot-tell"
    assert issues.plan([report, made.later(report, 1)]) == ()


def test_orphan_consequence_is_still_told() -> None:
    """A present diagnosis whose cause is not listed, or that causes itself, is a root of its own."""
    orphan = made.AUTH_DOWN.model_copy(update={"caused_by": "gone"})
    circle = made.RULE.model_copy(update={"caused_by": made.RULE.cause})
    report = made.report(made.verdicts(), diagnoses=(orphan, circle))
    assert [r.diagnosis.cause for r in answer.roots(report)] == [orphan.cause, circle.cause]


@pytest.mark.parametrize("situation", ["two-causes", "undecided", "interrupted", "client-key", "our-trouble"])
def test_every_failure_and_cause_is_named(situation: str) -> None:
    """No failing check, present or undecided cause, or skip is missing from the report."""
    report = made.SITUATIONS[situation]()
    said = markdown.render(report)
    names = [v.check for v in report.verdicts if v.status != "pass"] + [d.cause for d in report.diagnoses]
    assert [name for name in names if name not in said] == []


def with_text(said: str) -> Report:
    """A report in which the platform's text stands wherever such text can stand."""
    report = made.hostile().model_dump_json().replace(json.dumps(made.EVIL)[1:-1], json.dumps(said)[1:-1])
    return Report.read(report)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.isalnum))
def test_plain_words_keep_the_skeleton(said: str) -> None:
    """Words of any script give the same document as any other words."""
    assert skeleton(markdown.render(with_text(said))) == skeleton(markdown.render(with_text("word")))


HOSTILE = st.text(st.sampled_from("`*_[]()<>!|#@&\\~-=+1.:/ \nax$\x1b\u202e"), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(HOSTILE.map(lambda t: f"x{t}x"))
def test_hostile_text_is_inert_in_markdown(said: str) -> None:
    """Whatever the platform answers adds no link, image, HTML, heading or block of its own."""
    assert skeleton(markdown.render(with_text(said))) == skeleton(markdown.render(with_text("xwordx")))


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_hostile_text_is_inert_on_a_terminal(said: str) -> None:
    """No control character and no workflow command reaches the log."""
    shown = console.render(with_text(said), colour=False)
    assert not [c for c in shown if not c.isprintable() and c not in "\n\u200b"]
    assert not [line for line in shown.splitlines() if line.lstrip().startswith("::") or "##[" in line]


def test_write(tmp_path: Path) -> None:
    """All documents are written, replace their predecessors, and leave nothing else behind."""
    directory = tmp_path / "out" / "reports"
    write(made.two_causes(), directory)
    written = write(made.healthy(), directory)
    assert [p.name for p in written] == list(DOCUMENTS)
    assert sorted(p.name for p in directory.iterdir()) == sorted(DOCUMENTS)
    assert {p.name: p.read_text("utf-8") for p in written} == {
        name: document(made.healthy()) for name, document in DOCUMENTS.items()
    }
    assert (
        Report.read((directory / "test_execution_summary.json").read_text("utf-8")).score.overall.passed == 9
    )


def test_write_refused(tmp_path: Path) -> None:
    """A directory that is a file is the caller's to hear of, and nothing is left half-written."""
    taken = tmp_path / "reports"
    taken.write_text("mine")
    with pytest.raises(FileExistsError):
        write(made.healthy(), taken)
    assert [p.name for p in tmp_path.iterdir()] == ["reports"]
    assert taken.read_text() == "mine"


def test_accepted_failure_is_named_not_failing() -> None:
    """What the target accepts is in the report by name and counts nowhere as failing."""
    report = made.read_only()
    broken: tuple[Verdict, ...] = tuple(
        v.model_copy(update=made.fail("no answer")) if v.check == "registry-health" else v
        for v in report.verdicts
    )
    said = markdown.render(made.report(broken, target=report.configuration))
    assert (
        "## Accepted behaviours\n\nThe target accepts `cache-off`; nothing of it counts as failing." in said
    )
