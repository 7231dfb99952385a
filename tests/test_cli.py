"""The command line: bad input is one sentence and exit code 2, and exit codes say what the README says."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hokusai_probe.cli import main
from hokusai_probe.cli.run import exit_code
from hokusai_probe.model import Hosts, Observation, Report, Target, Verdict, VerdictStatus

KEY = "hk_test_0123456789abcdefghij"


def call(arguments: Sequence[str], environment: dict[str, str] | None = None) -> Result:
    """Run the command as a user would."""
    return CliRunner().invoke(main, list(arguments), env={"HOKUSAI_API_KEY": KEY, **(environment or {})})


def report(*statuses: VerdictStatus, interrupted: str | None = None) -> Report:
    """A report with one verdict of each status."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Report(
        target="t",
        configuration=Target(name="t", hosts=Hosts(registry="http://127.0.0.1:1")),
        started_at=now,
        duration_s=1.0,
        tool_version="0",
        interrupted=interrupted,
        observations=(Observation(probe="p", started_at=now, duration_s=0.1, status="skipped", reason="x"),),
        verdicts=tuple(
            Verdict(
                check=f"c{i}", title="t", area="proxy", component="gateway", hop="gateway", status=s,
                skip_kind="not-configured" if s == "skip" else None, probe="p",
            )
            for i, s in enumerate(statuses)
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "no-such-target"], "no-such-target"),
        (["run", "ftp://registry.example"], "http"),
        (["run", "https://user:secret@registry.example"], "user"),
        (["run", "/nowhere/target.toml"], "/nowhere/target.toml"),
        (["run", "http://127.0.0.1:9", "--only", "registraton"], "did you mean registration"),
        (["run", "http://127.0.0.1:9", "--allow", "rread"], "read, write, hostile, disruptive"),
        (["run", "--sandbox", "no-such-scenario"], "no-such-scenario"),
        (["run", "one", "two"], "one TARGET"),
        (["replay", "/nowhere/report.json"], "/nowhere/report.json"),
        (["verify", "no-such-cause", "http://127.0.0.1:9"], "no-such-cause"),
        (["checks", "no-such-check"], "no-such-check"),
        (["causes", "no-such-cause"], "no-such-cause"),
        (["issues", "/nowhere/report.json", "--repository", "o/n"], "/nowhere/report.json"),
        (["grade", "no-such-scenario"], "no-such-scenario"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(arguments: list[str], says: str) -> None:
    """Each names what was wrong and what is allowed; none shows a traceback or the key."""
    result = call(arguments)

    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output
    assert KEY not in result.output


def test_no_target_at_all_is_exit_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TARGET and without ./hokusai-probe.toml the sentence names the file."""
    monkeypatch.chdir(tmp_path)
    result = call(["run"])

    assert result.exit_code == 2
    assert "hokusai-probe.toml" in result.output


def test_a_key_that_no_header_can_carry_is_exit_2_without_the_key() -> None:
    """The variable is named, its value is not."""
    result = call(["run", "http://127.0.0.1:9"], {"HOKUSAI_API_KEY": "hk_test_bad\nkey-in-two-lines"})

    assert result.exit_code == 2
    assert "HOKUSAI_API_KEY" in result.output
    assert "key-in-two-lines" not in result.output


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": "1.0"}', "\x00", "nan"])
def test_a_file_that_is_no_report_is_exit_2(tmp_path: Path, text: str) -> None:
    """The sentence names the file and where it is wrong."""
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    result = call(["replay", str(path)])

    assert result.exit_code == 2
    assert str(path) in result.output.replace("\n", "")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("statuses", "failing", "trouble", "never"),
    [
        (("pass",), 0, 0, 0),
        (("pass", "skip"), 0, 0, 0),
        (("pass", "fail"), 1, 0, 0),
        (("pass", "fail", "error"), 1, 0, 0),
        (("pass", "error"), 3, 3, 0),
        (("skip",), 3, 3, 0),
        ((), 3, 3, 0),
    ],
)
def test_exit_codes(statuses: tuple[VerdictStatus, ...], failing: int, trouble: int, never: int) -> None:
    """1 for what fails, 3 for our own trouble or nothing judged; skips alone beside a pass are green."""
    found = report(*statuses)

    assert exit_code(found, "failure") == failing
    assert exit_code(found, "trouble") == trouble
    assert exit_code(found, "never") == never


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_run_says_so(name: str, code: int) -> None:
    """Whatever was found so far, the exit code is that of the signal."""
    assert exit_code(report("fail", interrupted=name)) == code


def test_a_dead_server_is_exit_1_and_its_report_can_be_replayed(tmp_path: Path) -> None:
    """The whole way: run, JSON, replay, issue plan."""
    path = tmp_path / "report.json"
    ran = call(
        ["run", "http://127.0.0.1:9", "--quiet", "--json", str(path), "--reports", str(tmp_path / "out")]
    )
    again = call(["replay", str(path), "--json", "-"])
    planned = call(["issues", str(path), "--repository", "example/infra"])

    assert (ran.exit_code, again.exit_code, planned.exit_code) == (1, 1, 0)
    assert json.loads(again.stdout) == json.loads(path.read_text(encoding="utf-8"))
    assert "mlflow-down" in planned.output
    assert (tmp_path / "out" / "MODEL_REGISTRATION_TEST_REPORT.md").exists()


def test_reports_are_valid_against_the_published_schema(tmp_path: Path) -> None:
    """What `schema` prints is what `--json` writes."""
    import jsonschema

    path = tmp_path / "report.json"
    call(["run", "http://127.0.0.1:9", "--quiet", "--json", str(path)])
    schema = json.loads(call(["schema"]).output)

    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), schema)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str) -> None:
    """`--help` works and begins with a usage line."""
    result = call([command, "--help"])

    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_checks_and_causes_have_a_page_each() -> None:
    """Every slug that the lists name has a page."""
    for listing in ("checks", "causes"):
        for entry in json.loads(call([listing, "--json"]).output):
            slug = entry.get("check") or entry.get("cause")
            assert call([listing, slug]).exit_code == 0
