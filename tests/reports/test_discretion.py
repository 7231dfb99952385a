"""Where everybody can read, nothing tells of a sensitive cause: the summary and the log of a job."""

from dataclasses import replace
from pathlib import Path

import made
import pytest
from expected import expect
from test_since import past

from hokusai_probe.cli.run import ACTIONS, STEP_SUMMARY, Sinks, emit
from hokusai_probe.model import Diagnosis, Report
from hokusai_probe.reports import answer, discretion, step_summary

HOLE = Diagnosis(
    cause="key-accepted-when-invalid",
    component="gateway",
    status="present",
    certainty="confirmed",
    because="a made-up key is let in",
    explains=("no-key-refused", "search"),
    priority="critical",
    effort="hours",
    sensitive=True,
)
TELLING = ("key-accepted-when-invalid", "no-key-refused", "a made-up key", "curl hole")


def with_a_hole() -> Report:
    """The morning of two causes, and a door that is open; another cause explains one of its checks, too."""
    report = made.two_causes()
    open_door = {"reason": "200 to a made-up key", "reproduce": "curl hole"}
    found = tuple(
        v.model_copy(update=open_door)
        if v.check == "no-key-refused"
        else v.model_copy(update={"waited_for": "no-key-refused", "reason": "no-key-refused did not pass"})
        if v.check == "artifact-stored"
        else v
        for v in report.verdicts
    )
    port = made.PORT.model_copy(update={"explains": ("auth-health", "bearer-key")})
    maybe = HOLE.model_copy(update={"status": "undecided", "cause": f"{HOLE.cause}-too"})
    return made.report(found, diagnoses=(port, HOLE, made.RULE, maybe), unexplained=("no-key-refused",))


def test_the_step_summary_names_nothing_sensitive() -> None:
    """It says that something is left out, and the counts and the answer are those of the whole run."""
    said = step_summary.render(with_a_hole())

    assert [word for word in TELLING if word in said] == []
    assert "2 sensitive causes are not shown here, because everybody may read this" in said
    assert "`withheld` (fail): A check that is not shown where everybody can read" in said
    assert answer.failing(with_a_hole()) in said
    expect("sensitive.step-summary.md", said)


def test_a_hidden_failure_is_still_one() -> None:
    """Neither exit code nor answer nor count changes, and nothing becomes all clear."""
    only = made.report(made.verdicts(no_key_refused=made.fail("200")), diagnoses=(HOLE,))
    shown = discretion.public(only)

    assert [answer.exit_code(r) for r in (only, shown.report)] == [1, 1]
    assert answer.failing(shown.report) == answer.failing(only)
    assert not answer.all_clear(shown.report)
    assert (shown.withheld, shown.report.roots()) == (1, ())


def test_without_a_sensitive_cause_all_is_shown() -> None:
    """The very same report and past, and no note."""
    for make in made.SITUATIONS.values():
        report = make()
        known = past(made.later(report, 2), made.healthy())
        shown = discretion.public(report, known)
        assert (shown.report, shown.past, shown.note) == (report, known, "")


def test_the_history_does_not_tell_either() -> None:
    """What changed and since when leave out the same."""
    now = made.later(with_a_hole(), 2)
    known = past(now, made.healthy(), made.later(made.healthy(), 1))

    said = step_summary.render(now, past=known)

    assert HOLE.cause in (known.compared.new_causes if known.compared else ())
    assert "newly failing: `auth-health`, `bearer-key`, `search`" in said
    assert [word for word in TELLING if word in said] == []


def test_what_is_not_seen_now_is_not_told_for_having_been_seen() -> None:
    """A hole that this run did not look for may be there still: neither it nor its check is named."""
    before = made.report(made.verdicts(no_key_refused=made.fail("200")), diagnoses=(HOLE,))
    unseen = made.skip("not-configured", "not looked at")
    now = made.later(made.report(made.verdicts(no_key_refused=unseen)), 1)
    known = past(now, before)

    assert HOLE.cause in known.explained
    said = step_summary.render(now, past=known)
    assert [word for word in (*TELLING, "no longer certain") if word in said] == []


def test_what_everybody_may_read_can_be_published_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file of a run with --public tells of it, nor can it be judged again; the exit code is the run's."""
    sinks = Sinks(*(str(tmp_path / name) for name in ("reports", "report.json", "junit.xml")))
    sinks = replace(sinks, history=str(tmp_path / "history"))
    led = made.RULE.model_copy(update={"caused_by": HOLE.cause})
    report = with_a_hole()
    seen = report.observations[0].model_copy(update={"to_settle": (HOLE.cause,)})
    report = report.model_copy(update={"observations": (seen,), "diagnoses": (*report.diagnoses, led)})

    assert emit(report, sinks, "trouble", everybody=True) == emit(report, Sinks(), "trouble")

    files = {path: path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()}
    kept = Report.read((tmp_path / "report.json").read_text("utf-8"))
    assert len(files) > 10
    assert [(path, word) for path, text in files.items() for word in TELLING if word in text] == []
    assert [one.facts for one in kept.observations] == [None]
    assert (kept.score, len(kept.verdicts)) == (report.score, len(report.verdicts))
    assert "2 sensitive causes are in none of the files" in capsys.readouterr().err


def test_without_one_what_was_seen_stays() -> None:
    """Nothing is taken from whom it helps."""
    report = made.two_causes()

    assert discretion.to_publish(report).report == report


@pytest.mark.parametrize("in_a_job", [True, False])
def test_a_jobs_log_is_as_discreet_as_its_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, in_a_job: bool
) -> None:
    """In GitHub Actions; whoever runs it at home sees all, and the documents have it in both places."""
    monkeypatch.setenv(ACTIONS, "true" if in_a_job else "")
    sinks = Sinks(reports=str(tmp_path / "out"), step_summary=str(tmp_path / "summary.md"))

    assert emit(with_a_hole(), sinks) == 1

    seen = capsys.readouterr()
    assert (HOLE.cause in seen.out) is not in_a_job
    assert ("sensitive causes are not shown here" in seen.err) is in_a_job
    assert HOLE.cause not in (tmp_path / "summary.md").read_text("utf-8")
    assert HOLE.cause in (tmp_path / "out" / "MODEL_REGISTRATION_TEST_REPORT.md").read_text("utf-8")
    assert STEP_SUMMARY == "GITHUB_STEP_SUMMARY"
