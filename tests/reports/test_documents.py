"""Whole documents, compared with what tests/said holds. UPDATE_SAID=1 writes them anew, to be read."""

import os
import re
from functools import cache
from pathlib import Path

import made
import pytest
from expected import HOSTILE, expect, with_names, with_text
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hokusai_probe import config, issues
from hokusai_probe.model import Hosts, Report, Target, Verdict
from hokusai_probe.reports import DOCUMENTS, OVER_TIME, answer, console, files, index, layout, markdown, write

PARSER = MarkdownIt("commonmark").enable("table")


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


VIEWS = tuple(name for name in OVER_TIME if name != "MODEL_REGISTRATION_TEST_REPORT.md")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("situation", ["healthy", "two-causes", "undecided", "client-key", "hostile"])
def test_short_views(situation: str, name: str) -> None:
    """Each situation has its short views, word for word, the one where all is clear too."""
    expect(f"{situation}.{name}", OVER_TIME[name](made.SITUATIONS[situation]()))


@pytest.mark.parametrize("situation", ["two-causes", "interrupted", "client-key"])
def test_links_lead_to_the_causes_of_the_full_report(situation: str) -> None:
    """What GitHub makes of its headings is what the short views link to."""
    report = made.SITUATIONS[situation]()
    full = markdown.render(report)
    headings = [t.children or () for t in PARSER.parse(full) if t.type == "inline" and t.level == 1]
    plain = ("".join(c.content for c in found if c.type in {"text", "code_inline"}) for found in headings)
    known = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in plain}
    linked = {a for name in VIEWS for a in re.findall(r"REPORT\.md#([^)]*)\)", OVER_TIME[name](report))}
    assert len(linked) == len(answer.roots(report))
    assert linked <= known


@pytest.mark.parametrize("name", VIEWS)
def test_all_clear_begins_with_its_one_line(name: str) -> None:
    """Every view says so first, in one line, and offers nothing to mend."""
    said = OVER_TIME[name](made.healthy())
    assert said.splitlines()[2].startswith("**All clear:** 9 checks of `hokusai-development` pass;")
    assert "aws " not in said


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
        ("interrupted", "no", 143),
        ("client-key", "no", 1),
    ],
)
def test_answer(situation: str, said: str, code: int) -> None:
    """The one answer that everybody asks for, and the exit code beside it."""
    report = made.SITUATIONS[situation]()
    assert (answer.registration(report), answer.exit_code(report)) == (said, code)


@pytest.mark.parametrize(
    ("situation", "fail_on", "last"),
    [
        ("two-causes", "failure", "Exit 1: something fails."),
        ("two-causes", "trouble", "Exit 0: something fails, which --fail-on trouble lets pass."),
        ("two-causes", "never", "Exit 0: something fails, which --fail-on never lets pass."),
        ("our-trouble", "failure", "Exit 3: nothing fails, but not everything could be judged."),
        ("our-trouble", "trouble", "Exit 3: nothing fails, but not everything could be judged."),
        ("hostile", "trouble", "Exit 3: our own trouble, and something fails."),
        ("interrupted", "never", "Exit 143: interrupted; so far, something fails."),
    ],
)
def test_the_console_tells_the_exit_code_that_is_returned(
    situation: str, fail_on: answer.FailOn, last: str
) -> None:
    """The last line is the code that the command ends with, --fail-on included, and why."""
    report = made.SITUATIONS[situation]()
    shown = console.render(report, colour=False, fail_on=fail_on)
    assert shown.splitlines()[-1] == last
    assert last.startswith(f"Exit {answer.exit_code(report, fail_on)}:")


@pytest.mark.parametrize(
    ("target", "typed"),
    [
        (made.TARGET, "hokusai-development"),
        (config.from_url("http://127.0.0.1:5000"), "http://127.0.0.1:5000"),
        (config.from_url("https://registry.example/mlflow"), "https://registry.example/mlflow"),
        (Target(name="mine", hosts=Hosts(registry="https://r.example")), "path/to/target.toml"),
        (Target(name="mine", hosts=Hosts(registry="nonsense")), "path/to/target.toml"),
    ],
)
def test_the_verify_command_can_be_typed(target: Target, typed: str) -> None:
    """With the shipped name or the URL that gave the target; else with a place to fill in."""
    assert answer.verify_command(made.report((), target=target), "x") == f"hokusai-probe verify x {typed}"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("hokusai-probe verify target-port-mismatch", ""),
        ("hokusai-probe run --only auth-host-answers", ""),
        ("aws ecs wait services-stable; hokusai-probe verify x", "aws ecs wait services-stable"),
    ],
)
def test_one_verify_command_of_ours(said: str, shown: str) -> None:
    """A remedy that names our own command, without a target, adds none to the one that has it."""
    remedy = made.PORT.remedy
    assert remedy is not None
    page = layout.remedy(remedy.model_copy(update={"verify": said}), "hokusai-probe verify x T", 2)
    verify = page.partition("## Verify\n\n")[2].partition("\n\n## Rollback")[0]
    ours = "```sh\nhokusai-probe verify x T\n```"
    assert verify == (f"```sh\n{shown}\n```\n\n{ours}" if shown else ours)


def test_the_console_shows_every_command_of_a_short_remedy() -> None:
    """Up to four are told, each on its line; of more, the first and how many follow."""
    remedy = made.PORT.remedy
    assert remedy is not None

    def shown(count: int) -> list[str]:
        commands = remedy.model_copy(update={"aws_cli": tuple(f"aws {n}" for n in range(count))})
        report = made.report(
            made.two_causes().verdicts, diagnoses=(made.PORT.model_copy(update={"remedy": commands}),)
        )
        return console.render(report, colour=False).splitlines()[4 : 4 + min(count, 4)]

    assert shown(4) == ["   $ aws 0", "   $ aws 1", "   $ aws 2", "   $ aws 3"]
    assert shown(5)[:3] == ["   $ aws 0", "   (then 4 more, in the report)", ""]


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


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.isalnum))
def test_plain_words_keep_the_skeleton(said: str) -> None:
    """Words of any script give the same document as any other words."""
    assert skeleton(markdown.render(with_text(said))) == skeleton(markdown.render(with_text("word")))


@settings(max_examples=30, deadline=None)
@given(HOSTILE.map(lambda t: f"x{t}x"))
def test_hostile_text_is_inert_in_markdown(said: str) -> None:
    """Whatever the platform answers adds no link, image, HTML, heading or block to any document."""
    wild = with_text(said)
    assert {name: skeleton(render(wild)) for name, render in OVER_TIME.items()} == inert()


@settings(max_examples=15, deadline=None)
@given(HOSTILE.map(lambda t: f"x{t}x"))
def test_hostile_names_are_inert_in_markdown(said: str) -> None:
    """Nor do names of causes, checks and targets, as a plug-in or a recorded file may give them."""
    wild, plain = with_names(said), with_names("xwordx")
    assert [skeleton(render(wild)) for render in OVER_TIME.values()] == [
        skeleton(render(plain)) for render in OVER_TIME.values()
    ]


@cache
def inert() -> dict[str, list[tuple[str, str]]]:
    """What each document is made of where the platform's text is a word."""
    return {name: skeleton(render(with_text("xwordx"))) for name, render in OVER_TIME.items()}


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


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No temporary file stays beside what was not written."""

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace(tmp_path / "taken", "x")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace(tmp_path / "file", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_trying_a_place_changes_nothing(tmp_path: Path) -> None:
    """Folders that were made for the trial go again; what is there stays."""
    files.try_folder(tmp_path / "a" / "b")
    files.try_file(tmp_path / "c" / "file")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "kept").write_text("mine")
    files.try_file(tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "mine"
    with pytest.raises(IsADirectoryError):
        files.try_file(tmp_path)


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    """A shell's >(...) is no file that could be replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.replace(pipe, "said")
        assert os.read(reader, 10) == b"said"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


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
