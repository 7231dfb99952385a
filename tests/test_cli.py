"""The command line: bad input is one sentence and exit code 2, and exit codes say what the README says."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from _facts import TARGET, form_facts, hosts_facts, inside, outside, refusal, unavailable
from _pytest.mark import ParameterSet
from click.testing import CliRunner, Result
from pydantic import JsonValue

import hokusai_probe
from hokusai_probe.cli import COMMANDS, main
from hokusai_probe.cli.doctor import key as doctor_key
from hokusai_probe.cli.output import Lines, Live
from hokusai_probe.cli.run import standing
from hokusai_probe.declare import catalogue
from hokusai_probe.model import Area, Hosts, Observation, Report, Target, Verdict, VerdictStatus
from hokusai_probe.redact import Redactor
from hokusai_probe.reports import junit, step_summary
from hokusai_probe.reports.answer import exit_code
from hokusai_probe.runner import conclude

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = Path(hokusai_probe.__path__[0])


def call(arguments: Sequence[str], environment: dict[str, str] | None = None) -> Result:
    """Run the command as a user would."""
    return CliRunner().invoke(main, list(arguments), env={"HOKUSAI_API_KEY": KEY, **(environment or {})})


def report(*statuses: VerdictStatus, interrupted: str | None = None) -> Report:
    """A report with one verdict of each status."""
    return Report(
        target="t",
        configuration=Target(name="t", hosts=Hosts(registry="http://127.0.0.1:1")),
        started_at=NOW,
        duration_s=1.0,
        tool_version="0",
        interrupted=interrupted,
        observations=(Observation(probe="p", started_at=NOW, duration_s=0.1, status="skipped", reason="x"),),
        verdicts=tuple(
            Verdict(
                check=f"c{i}", title="t", area="proxy", component="gateway", hop="gateway", status=s,
                skip_kind="not-configured" if s == "skip" else None, probe="p",
            )
            for i, s in enumerate(statuses)
        ),
    )  # fmt: skip


def in_sandbox(arguments: list[str], says: str) -> ParameterSet:
    """A case for the worker that has a sandbox's imports in memory."""
    return pytest.param(arguments, says, marks=pytest.mark.xdist_group("sandbox"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "no-such-target"], "no-such-target"),
        (["run", "ftp://registry.example"], "http"),
        (["run", "https://user:secret@registry.example"], "user"),
        (["run", "/nowhere/target.toml"], "/nowhere/target.toml"),
        (["run", "http://127.0.0.1:9", "--only", "registraton"], "did you mean registration"),
        (["run", "http://127.0.0.1:9", "--allow", "rread"], "read, write, hostile, disruptive"),
        in_sandbox(["run", "--sandbox", "no-such-scenario"], "no-such-scenario"),
        (["run", "one", "two"], "one TARGET"),
        (["replay", "/nowhere/report.json"], "/nowhere/report.json"),
        (["verify", "no-such-cause", "http://127.0.0.1:9"], "no-such-cause"),
        (["checks", "no-such-check"], "no-such-check"),
        (["causes", "no-such-cause"], "no-such-cause"),
        (["issues", "/nowhere/report.json", "--repository", "o/n"], "/nowhere/report.json"),
        in_sandbox(["grade", "no-such-scenario"], "no-such-scenario"),
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
        (("fail",), 1, 0, 0),
        (("pass", "fail", "error"), 1, 3, 0),
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "http://127.0.0.1:9", "--reports", "/proc/x"],
        ["run", "http://127.0.0.1:9", "--json", "/proc/x/y"],
        ["sandbox", "--write-target", "/proc/x"],
        ["grade", "healthy", "--json", "/proc/x"],
        ["replay", "/nowhere/report.json", "--reports", "/proc/x"],
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_else(arguments: list[str]) -> None:
    """Exit code 2 and one sentence that names the place; nothing was looked at or started."""
    result = call(arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: cannot write {arguments[-1]}: No such file or directory\n"


def test_a_key_pasted_into_the_target_is_in_no_output(tmp_path: Path) -> None:
    """The variable that the target names is what is hidden, in every document, the JSON and the console."""
    key = "hidden-kD3sJf8aQx1n"
    target = tmp_path / "t.toml"
    target.write_text(
        'name = "mine"\nhosts = { registry = "http://127.0.0.1:9" }\nkey = { env = "MY_OWN_KEY" }\n'
        + "".join(f'[owners.{who}]\ncontact = "{key}"\n' for who in ("gateway", "mlflow", "network")),
        encoding="utf-8",
    )
    out, saved = tmp_path / "out", tmp_path / "r.json"
    ran = call(["run", str(target), "--reports", str(out), "--json", str(saved)], {"MY_OWN_KEY": key})
    saved.write_text(
        saved.read_text("utf-8").replace('"contact": "[redacted]"', f'"contact": "{key}"'), "utf-8"
    )
    again = call(["replay", str(saved), "--json", "-", "--reports", str(out)], {"MY_OWN_KEY": key})
    planned = call(["issues", str(saved), "--repository", "o/n"], {"MY_OWN_KEY": key})

    said = [p.read_text("utf-8") for p in sorted(out.iterdir())]
    said += [ran.output, again.output, planned.output]
    assert (ran.exit_code, again.exit_code, planned.exit_code) == (1, 1, 0)
    assert [text for text in said if key in text] == []
    assert "mlflow ([redacted]) must act" in said[0].replace("\\", "").replace("**", "")


def rich() -> Report:
    """A report with facts of every look, many of them bad."""
    refused = form_facts(refusal(401, "Invalid or expired API key"))
    facts = outside(hosts=hosts_facts(auth=unavailable()), key_forms=refused) | inside()
    looks = [
        Observation(probe=f.probe, started_at=NOW, duration_s=0.1, status="seen", facts=f)
        for f in facts.values()
    ]
    return conclude(TARGET, looks, frozenset(catalogue().checks), began=NOW)


def test_a_replay_says_what_the_run_said(tmp_path: Path) -> None:
    """The redactor at the sinks changes nothing in what was redacted once."""
    path = tmp_path / "r.json"
    path.write_text(rich().to_json(), encoding="utf-8")

    assert json.loads(call(["replay", str(path), "--json", "-"]).stdout) == json.loads(rich().to_json())


def sentences() -> Iterator[tuple[str, str]]:
    """Every text in the sources of the looks and causes, placeholders filled in, with its place."""
    for path in sorted(p for part in ("probes", "causes") for p in (SOURCE / part).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "401" for p in node.values]
                yield f"{path.name}:{node.lineno}", "".join(map(str, parts))


def test_nothing_that_we_say_is_taken_for_a_key() -> None:
    """Titles, reasons and pages pass the redactor as they are; the made-up keys that are sent do not."""
    said = [(where, text) for where, text in sentences() if not text.startswith("hk_test_")]

    assert len(said) > 1000
    assert [(where, text) for where, text in said if Redactor().text(text) != text] == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"schema_version": "2.0", "news": 1},
            "version 2.0 of the report's schema, and this hokusai-probe reads 1.0",
        ),
        ({"schema_version": "soon"}, "version soon of the report's schema"),
    ],
)
def test_a_report_of_another_major_version_is_exit_2(
    tmp_path: Path, changed: dict[str, JsonValue], says: str
) -> None:
    """Whatever else it holds: it is the version that matters, and it is named."""
    path = tmp_path / "r.json"
    path.write_text(json.dumps(json.loads(report("pass").to_json()) | changed), encoding="utf-8")
    result = call(["replay", str(path)])

    assert result.exit_code == 2
    assert says in result.stderr


def test_a_report_of_a_later_minor_version_is_read(tmp_path: Path) -> None:
    """Minor versions only add."""
    path = tmp_path / "r.json"
    path.write_text(report("pass").to_json().replace('"1.0"', '"1.7"'), encoding="utf-8")

    assert call(["replay", str(path)]).exit_code in {0, 1, 3}


def test_two_observations_of_one_look_are_exit_2(tmp_path: Path) -> None:
    """The sentence names the look."""
    one = report("pass")
    path = tmp_path / "r.json"
    path.write_text(one.model_copy(update={"observations": one.observations * 2}).to_json(), encoding="utf-8")
    result = call(["replay", str(path)])

    assert result.exit_code == 2
    assert "2 observations of 'p' in round 1" in result.stderr


def test_a_url_that_gets_the_key_is_named() -> None:
    """Variable and host stand on standard error; without a key, or with a file, there is nothing to say."""
    note = "note: the key in HOKUSAI_API_KEY is sent to 127.0.0.1:9\n"
    arguments = ["run", "http://127.0.0.1:9", "--quiet", "--only", "resilience"]

    assert call(arguments).stderr == note
    assert call(arguments, {"HOKUSAI_API_KEY": ""}).stderr == ""


def test_an_area_without_checks_judges_nothing() -> None:
    """An area of the contract is a selector from the first day: exit code 3, as nothing was judged."""
    result = call(["run", "http://127.0.0.1:9", "--quiet", "--only", "resilience"])

    assert result.exit_code == 3
    assert result.stdout.endswith("Exit 3: nothing fails, but not everything could be judged.\n")


def test_verify_says_one_reason_once() -> None:
    """Five looks that were not taken for one reason are one clause, and nothing in it steers a terminal."""
    reason = "AWS is not looked at \x1b[31m::stop"
    looks = tuple(
        Observation(probe=p, started_at=NOW, duration_s=0, status="skipped", reason=reason) for p in "ab"
    )
    found = report("pass").model_copy(update={"observations": looks})

    assert standing(found, "x") == (f"x: cannot be told (a, b: {reason})", 3)


def test_doctor_wants_a_prefix_only_where_keys_of_that_kind_are_given_out() -> None:
    """A key of another server's is a hint; where the platform has an auth service it is wrong."""
    bare = Target(name="t", hosts=Hosts(registry="http://127.0.0.1:1"))
    ours = Target(name="t", hosts=Hosts(registry="http://127.0.0.1:1", auth="http://127.0.0.1:2"))
    prefix = "HOKUSAI_API_KEY does not begin with hk_live_ or hk_test_"

    assert doctor_key(bare, {"HOKUSAI_API_KEY": "other"}) == ("hint", "key", prefix)
    assert doctor_key(ours, {"HOKUSAI_API_KEY": "other"}) == ("wrong", "key", prefix)
    begun = ("wrong", "key", "HOKUSAI_API_KEY is the beginning of a key and nothing more")
    assert doctor_key(ours, {"HOKUSAI_API_KEY": "hk_live_"}) == begun
    assert doctor_key(ours, {"HOKUSAI_API_KEY": KEY}) == ("ok", "key", "HOKUSAI_API_KEY is set")
    blank = "HOKUSAI_API_KEY is not set: it holds only white space"
    assert doctor_key(ours, {"HOKUSAI_API_KEY": " \t"}) == ("missing", "key", blank)


def test_the_live_line_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is shown is one column narrower than the terminal, whatever the escape sequences take."""
    monkeypatch.setenv("COLUMNS", "30")
    live = Live()
    for probe in ("a-look-with-a-long-name", "another-look-with-a-long-name"):
        live.started(probe)

    shown = ["0 looks done; a-look-with-a-l", "0 looks done; a-look-with-a-l"]
    assert capsys.readouterr().err.split("\r")[1:] == shown


def looked(probe: str, **more: object) -> Observation:
    """A look that is done."""
    given = {"started_at": datetime(2026, 1, 1, tzinfo=UTC), "duration_s": 0.1, "status": "seen"} | more
    return Observation.model_validate({"probe": probe, **given})


AREAS: dict[str, Area] = {"hosts": "infrastructure", "tls": "infrastructure", "key-forms": "authentication"}


def test_progress_is_told_by_area(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal how far each area is that is not done; the last line leaves nothing behind."""
    monkeypatch.setenv("COLUMNS", "200")
    live = Live()
    live.planned(AREAS)
    live.started("hosts")
    live.started("key-forms")
    live.done(looked("tls", status="skipped", reason="x"))
    live.done(looked("key-forms"))
    live.done(looked("hosts"))

    shown = [line.removeprefix("\x1b[2K") for line in capsys.readouterr().err.split("\r")[1:]]
    assert shown == [
        "0 looks done; authentication 0/1, infrastructure 0/2; hosts",
        "0 looks done; authentication 0/1, infrastructure 0/2; hosts, key-forms",
        "1 looks done; authentication 0/1, infrastructure 1/2; hosts, key-forms",
        "2 looks done; infrastructure 1/2; hosts",
        "3 looks done; judging",
        "",
    ]


def test_progress_in_a_log_is_a_line_per_area(capsys: pytest.CaptureFixture[str]) -> None:
    """And one for each trouble of ours, at once."""
    lines = Lines()
    lines.planned(AREAS)
    lines.started("hosts")
    lines.done(looked("hosts", status="fault", reason="broke\x1b[31m"))
    lines.done(looked("key-forms"))
    lines.done(looked("tls"))

    said = re.sub(r"[\d.]+ s$", "N s", capsys.readouterr().err, flags=re.MULTILINE)
    assert said == (
        "hosts: broke\nauthentication  1 look done after N s\ninfrastructure  2 looks done after N s\n"
    )


def test_an_issue_plan_says_that_nothing_was_written(tmp_path: Path) -> None:
    """Who reads "would open" need not wonder; what is no repository is refused."""
    path = tmp_path / "r.json"
    path.write_text(rich().to_json(), encoding="utf-8")
    planned = call(["issues", str(path), "--repository", "example/infra"])

    assert planned.stdout.startswith("would open in example/infra, once 1 more run sees the same: ")
    assert planned.stdout.endswith("\n\nNothing was written.\n")
    for wrong in ("infra", "a/b/c", "a/..", "-a/b", "a b/c", "https://github.com/a/b"):
        refused = call(["issues", str(path), "--repository", wrong])
        assert (refused.exit_code, refused.stderr) == (
            2,
            "error: --repository must be OWNER/NAME, such as example/infrastructure\n",
        )


@pytest.mark.parametrize("command", sorted(COMMANDS))
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


def test_junit_is_written(tmp_path: Path) -> None:
    """`run --junit` writes the verdicts of the run that `--json` holds, to a file or to standard output."""
    data, xml = tmp_path / "run.json", tmp_path / "run.xml"
    ran = call(
        ["run", "http://127.0.0.1:9", "--quiet", "--json", str(data), "--junit", str(xml)],
    )
    assert (ran.exit_code, xml.read_text("utf-8")) == (1, junit.render(Report.read(data.read_text("utf-8"))))
    shown = call(["run", "http://127.0.0.1:9", "--quiet", "--junit", "-"])
    assert shown.stdout.startswith("<?xml")
    assert shown.stdout.endswith("</testsuites>\n")
    assert "Exit 1" in shown.stderr


def test_standard_output_takes_one_document() -> None:
    """Two in one stream would be neither."""
    ran = call(["run", "http://127.0.0.1:9", "--json", "-", "--junit", "-"])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "give --json or --junit a file" in ran.stderr


def test_a_job_of_github_gets_its_summary(tmp_path: Path) -> None:
    """Added to what the step has said so far, within the limit; without the variable nothing is written."""
    summary, data = tmp_path / "summary.md", tmp_path / "run.json"
    summary.write_text("# Mine\n")
    call(["run", "http://127.0.0.1:9", "--quiet", "--json", str(data)], {"GITHUB_STEP_SUMMARY": str(summary)})
    report = Report.read(data.read_text("utf-8"))
    assert summary.read_text("utf-8") == f"# Mine\n{step_summary.render(report)}"
    summary.write_text("x" * step_summary.LIMIT)
    ran = call(["run", "http://127.0.0.1:9", "--quiet"], {"GITHUB_STEP_SUMMARY": str(summary)})
    assert (ran.exit_code, summary.stat().st_size) == (1, step_summary.LIMIT)
    call(["replay", str(data)], {"GITHUB_STEP_SUMMARY": str(tmp_path / "other.md")})
    assert not (tmp_path / "other.md").exists()


def test_a_summary_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    """One sentence and exit code 2, before anybody is asked anything."""
    ran = call(["run", "http://127.0.0.1:9", "--quiet"], {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: cannot write {tmp_path}: ")
