"""The command: what it prints, what it writes, and how it exits."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from acting import open_of
from click.testing import CliRunner, Result
from over_http import serving
from standin import BOT, OURS, TOKEN, Account, StandIn

from hokusai_probe import github
from hokusai_probe.cli import main
from hokusai_probe.github import Patience
from hokusai_probe.github.settings import APP_TOKEN
from hokusai_probe.github.settings import TOKEN as TOKEN_NAME
from hokusai_probe.issues.known import marker
from hokusai_probe.keys import SECRET_VARIABLES
from hokusai_probe.model import Diagnosis, Hosts, IssueSettings, Owner, Report, Target, Verdict

HERE = Target(
    name="here",
    hosts=Hosts(registry="https://registry.example"),
    issues=IssueSettings(also_ours=("old[bot]",)),
)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes need not keep their distance here."""
    monkeypatch.setattr(github, "Patience", partial(Patience, between_writes_s=0.0))


def report(*, target: Target = HERE, **more: object) -> Report:
    """The auth service is down."""
    return Report.model_validate(
        {
            "target": target.name,
            "configuration": target,
            "duration_s": 1.0,
            "tool_version": "0.1.0",
            "verdicts": [
                Verdict(
                    check="auth-health", title="t", area="infrastructure", component="auth", hop="auth",
                    status="fail", reason="502", probe="look",
                )
            ],
            "diagnoses": [
                Diagnosis(
                    cause="auth-service-down", component="auth", explains=("auth-health",), status="present",
                    because="it does not answer", priority="high", effort="minutes",
                )
            ],
            **more,
        }
    )  # fmt: skip


def saved(folder: Path, target: Target = HERE) -> list[str]:
    """Two runs in a row that saw the same, as files."""
    world = StandIn()
    paths = [folder / "1.json", folder / "2.json"]
    for hours, path in enumerate(paths):
        seen = report(target=target, started_at=world.now + timedelta(hours=hours))
        path.write_text(seen.model_dump_json(), encoding="utf-8")
    return [str(path) for path in paths]


def call(paths: list[str], *options: str, **environment: str | None) -> Result:
    """The command, with no token but those given."""
    none = {TOKEN_NAME: None, APP_TOKEN: None, "GITHUB_API_URL": None}
    command = ["issues", *paths, "--repository", OURS, *options]
    return CliRunner().invoke(main, command, env={**none, **environment})


def test_a_plan_asks_nobody(tmp_path: Path) -> None:
    """Whatever token there is."""
    with serving(StandIn()) as server:
        result = call(saved(tmp_path), GITHUB_TOKEN=TOKEN, GITHUB_API_URL=server.url)
        assert server.world.calls == []
    assert result.exit_code == 0
    assert result.stdout.startswith("open in o/n: here: auth must act")
    assert result.stdout.endswith("\nNothing was written.\n")


def test_applied_twice_is_applied_once(tmp_path: Path) -> None:
    """The first run opens it, the second finds that it says so already."""
    paths = saved(tmp_path)
    with serving(StandIn()) as server:
        environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": server.url}
        first = call(paths, "--apply", **environment)
        told = call(paths, "--known", **environment)
        writes = len(server.world.writes())
        second = call(paths, "--apply", **environment)
    assert [r.exit_code for r in (first, told, second)] == [0, 0, 0]
    assert first.stdout.endswith("done: open #1 in o/n (here/auth): opened\n\n")
    assert told.stdout.startswith("leave #1 in o/n: here: auth must act")
    assert told.stdout.endswith("\nNothing was written.\n")
    assert (open_of(server.world), len(server.world.writes())) == ([1], writes)
    assert "\nleft: leave #1 in o/n (here/auth): " in second.stdout
    assert not [r for r in (first, told, second) if TOKEN in r.output]


def test_a_change_of_identity_opens_nothing_twice(tmp_path: Path) -> None:
    """What the target lists as ours counts as ours."""
    world = StandIn()
    world.opens("old[bot]", "x", f"{marker('here/auth')}\n\nUsers cannot.\n")
    with serving(world) as server:
        result = call(saved(tmp_path), "--apply", GITHUB_TOKEN=TOKEN, GITHUB_API_URL=server.url)
    assert (result.exit_code, open_of(world)) == (0, [1])
    assert "done: update #1 in o/n (here/auth): brought up to date\n" in result.stdout


@pytest.mark.parametrize("option", ["--apply", "--known"])
def test_without_a_token_is_exit_2(tmp_path: Path, option: str) -> None:
    """One sentence, before anything is sent."""
    result = call(saved(tmp_path), option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: GITHUB_TOKEN is not set: issues in o/n need a token that may write them\n"


def test_a_list_that_cannot_be_read_is_exit_3(tmp_path: Path) -> None:
    """Nothing is planned, and nothing opened."""
    world = StandIn()
    world.ours.has_issues = False
    with serving(world) as server:
        result = call(saved(tmp_path), "--apply", GITHUB_TOKEN=TOKEN, GITHUB_API_URL=server.url)
    assert (result.exit_code, result.stdout, world.writes()) == (3, "", [])
    says = "error: the issues of o/n could not be read, so nothing is planned: issues are switched off"
    assert result.stderr.startswith(says)


def test_what_keeps_us_from_writing_is_exit_3(tmp_path: Path) -> None:
    """A token that may only read; what was planned is printed all the same."""
    world = StandIn()
    world.accounts[TOKEN] = Account(BOT, writes=False)
    with serving(world) as server:
        result = call(saved(tmp_path), "--apply", GITHUB_TOKEN=TOKEN, GITHUB_API_URL=server.url)
    assert (result.exit_code, open_of(world)) == (3, [])
    assert result.stdout.startswith("open in o/n: here: auth must act")
    assert (
        "\nrefused: open in o/n (here/auth): the token may not do this: it needs the right to"
        in result.stdout
    )


def test_the_time_for_github_is_kept(tmp_path: Path) -> None:
    """A limit that asks for more than `--wait` ends it at once, for the next run to go on."""
    world = StandIn()
    world.left = 2
    with serving(world) as server:
        result = call(
            saved(tmp_path), "--apply", "--wait", "5", GITHUB_TOKEN=TOKEN, GITHUB_API_URL=server.url
        )
    assert result.exit_code == 3
    assert "GitHub asks to wait " in result.stderr
    assert world.writes() == []


def test_issues_go_where_their_owner_wants_them(tmp_path: Path) -> None:
    """With the app's token; and one that cannot be read keeps nobody from the others."""
    owners = {
        "auth": Owner(team="Auth", repository="other/place"),
        "mlflow": Owner(team="ML", repository="gone/away"),
    }
    world = StandIn(OURS, "other/place")
    world.accounts["hk_test_app"] = Account("our-app[bot]")
    target = HERE.model_copy(
        update={"owners": owners, "issues": IssueSettings(also_ours=("our-app[bot]",), confirm_runs=1)}
    )
    with serving(world) as server:
        environment = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": server.url, APP_TOKEN: "hk_test_app"}
        results = [call(saved(tmp_path, target), "--apply", **environment) for _ in range(2)]
    there = world.repositories["other/place"]
    assert [(i.author, i.state) for i in there.issues.values()] == [("our-app[bot]", "open")]
    assert world.ours.issues == {}
    assert [r.exit_code for r in results] == [3, 3]
    gone = "error: the issues of gone/away could not be read, so nothing is done there: it is not there"
    assert results[0].stderr.startswith(gone)
    assert "done: open #1 in other/place (here/auth): opened\n" in results[0].stdout


def test_both_tokens_are_secrets() -> None:
    """Whatever prints them, they are replaced."""
    assert {TOKEN_NAME, APP_TOKEN} <= set(SECRET_VARIABLES)
