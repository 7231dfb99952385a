"""The workflows do what they say, carried out with a real remote by act in host mode."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar

import boto3
import pytest
from acted import SOURCE, Repository, path, step

from hokusai_probe import sandbox

sys.path.append(str(Path(__file__).parents[1] / "github"))
from over_http import Server, serving
from standin import TOKEN as STANDIN_TOKEN
from standin import StandIn

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
TOKEN = "ghs_test_Qm7Zt2LkV9xRb4NwYc8D"
SHA = "0123456789abcdef0123456789abcdef01234567"

pytestmark = pytest.mark.timeout(180)


class Platform(BaseHTTPRequestHandler):
    """Something that has a health page and no MLflow, and the service that counts heartbeats."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer, and remember that it was asked."""
        self.asked.append(self.path)
        body = str(self.headers).encode()
        self.send_response(200 if self.path in {"/health", "/beat"} else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where it is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def repository(url: str, tmp_path: Path) -> Repository:
    """A repository that looks at it."""
    Platform.asked.clear()
    secrets = {"HOKUSAI_API_KEY": KEY, "HEARTBEAT_URL": f"{url}/beat", "GITHUB_TOKEN": TOKEN}
    return Repository.made(tmp_path, f"{url}\n", secrets=secrets)


def test_a_schedule_on_an_ill_platform_is_green_and_published(repository: Repository) -> None:
    """The probe did its work: the run is published, the heartbeat sent, and a job for the issues follows."""
    done = repository.act("probe", "schedule")
    published = repository.published()
    runs = [json.loads(repository.show(file)) for file in repository.runs()]

    assert done.jobs["Look"] == "succeeded", done.log
    assert [(run["trigger"], run["expected_interval_s"]) for run in runs] == [("schedule", 3600.0)]
    assert any(
        f.startswith("reports/") and f.endswith("MODEL_REGISTRATION_TEST_REPORT.md") for f in published
    )
    assert Platform.asked.count("/beat") == 1
    assert "issues: something is wrong" in done.log
    assert KEY not in done.log
    assert "::set-output:: issues=true" in done.log


def test_a_payload_that_is_none_ends_it(repository: Repository) -> None:
    """Red, before anything was asked of anybody, carried out or published."""
    hostile = {"sha": '"; touch owned; #', "target": "$(touch owned)", "areas": "`touch owned`"}
    done = repository.act("probe", "repository_dispatch", {"client_payload": hostile})

    assert done.jobs == {"Look": "failed"}
    assert (Platform.asked, repository.published()) == ([], [])
    assert list(repository.place.rglob("owned")) == []


@pytest.mark.parametrize(
    ("key", "without", "code"), [("", "", 1), (" ", "false", 1), ("", "true", 0), (KEY, "", 0)]
)
def test_a_look_without_a_key_must_be_wanted(key: str, without: str, code: int) -> None:
    """White space is no key, and nothing but the word says that none is needed."""
    script = step("probe", "probe", "See that there is a key")["run"]
    environment = {"PATH": path(), "HOKUSAI_API_KEY": key, "WITHOUT_KEY": without}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], env=environment, check=False)

    assert done.returncode == code


@pytest.mark.parametrize("workflow", ["probe", "sweep"])
@pytest.mark.parametrize(
    ("wanted", "ours", "installed"),
    [
        ("none", False, ""),
        ("./a.whl", True, "./a.whl"),
        ("", True, "."),
        ("", False, "hokusai-probe=="),
    ],
)
def test_what_is_installed(tmp_path: Path, workflow: str, wanted: str, ours: bool, installed: str) -> None:
    """What was asked for; else this repository's own source, or this version where another one calls."""
    script = step(workflow, workflow, "Install")["run"]
    for name in ("python", "hokusai-probe"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$@" >> asked\n', encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    if ours:
        (tmp_path / "src" / "hokusai_probe").mkdir(parents=True)
        (tmp_path / "src" / "hokusai_probe" / "__init__.py").touch()
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "REQUIREMENT": wanted}
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=environment, check=True)

    *pip, version = (tmp_path / "asked").read_text("utf-8").splitlines()
    asked = [line.rpartition(" -- ")[2] for line in pip]
    assert version == "--version"
    assert [re.sub(r"(?<===)[\d.]+$", "", one) for one in asked] == ([installed] if installed else [])


def test_a_dry_run_publishes_nothing_and_silence_is_red(repository: Repository) -> None:
    """Where nothing could be judged the job is red; where a dry run was asked for nothing is pushed."""
    done = repository.act("probe", "workflow_dispatch", **{"areas": "audit", "dry-run": "true"})

    assert done.jobs["Look"] == "failed"
    assert "exit status 3" in done.log
    assert repository.published() == []


@pytest.mark.parametrize("workflow", ["probe", "sweep"])
def test_a_fork_is_left_alone(repository: Repository, workflow: str) -> None:
    """No job runs there, and that is no failure."""
    done = repository.act(workflow, "schedule", {"repository": {"fork": True}})

    assert (done.code, done.jobs, Platform.asked) == (0, {}, [])


CALLER = """
name: registry
on: [pull_request, repository_dispatch]
permissions: {}
jobs:
  probe:
    uses: ./.github/workflows/probe.yml
    with: {target: second, areas: infrastructure}
    permissions: {contents: write, id-token: write, issues: write}
    secrets: {HOKUSAI_API_KEY: "${{ secrets.HOKUSAI_API_KEY }}"}
"""


def called(url: str, place: Path) -> Repository:
    """A repository whose own workflow calls ours, for the second of two targets."""
    second = {"second": f'name = "second"\n[hosts]\nregistry = "{url}"\n', "first": 'name = "first"\n'}
    secrets = {"HOKUSAI_API_KEY": KEY, "GITHUB_TOKEN": TOKEN}
    files = {".github/workflows/registry.yml": CALLER, **second}
    return Repository.made(place, "first\nsecond\n", files=files, secrets=secrets)


def test_dependabot_s_pull_requests_are_left_alone(url: str, tmp_path: Path) -> None:
    """They have no secrets."""
    Platform.asked.clear()
    opened = {"pull_request": {"user": {"login": "dependabot[bot]"}}}
    done = called(url, tmp_path).act("registry", "pull_request", opened, actor="dependabot[bot]")

    assert (done.code, done.jobs, Platform.asked) == (0, {}, [])


def test_a_caller_s_inputs_stand_whatever_a_dispatch_brings(url: str, tmp_path: Path) -> None:
    """Also where Dependabot was the last to touch the workflow: such an event has the secrets."""
    payload = {"client_payload": {"sha": SHA}}
    repository = called(url, tmp_path)
    done = repository.act("registry", "repository_dispatch", payload, actor="dependabot[bot]")

    (run,) = [json.loads(repository.show(file)) for file in repository.runs()]
    assert (run["target"], run["trigger"], run["verified_sha"]) == ("second", "deploy", SHA), done.log
    assert {file.split("/")[1] for file in repository.published() if file.startswith("reports/")} == {
        "second"
    }


def test_a_job_that_did_not_run_is_not_taken_for_one_that_did(repository: Repository) -> None:
    """Unknown labels are skipped by act, which then reports success: so jobs are asked for by name."""
    done = repository.act("probe", "schedule", label="another-machine")

    assert (done.code, done.jobs) == (0, {})


# --- from a fault to its issue and back -----------------------------------------------------------------

OURS = "o/n"


@dataclass(frozen=True, slots=True)
class Broken:
    """A sandbox, and the rule in it that leads model registration astray."""

    box: sandbox.Box

    def lead(self, service: str) -> None:
        """Have the rule lead to a service."""
        target = tomllib.loads(self.box.target_file.read_text(encoding="utf-8"))["aws"]
        keys = {k: self.box.environment[v] for k, v in _CREDENTIALS.items() if v in self.box.environment}
        client = boto3.client(
            "elbv2", region_name=target["region"], endpoint_url=target["endpoint_url"], **keys
        )
        to = {"Type": "forward", "TargetGroupArn": self.box.names[f"target_group.{service}"]}
        client.modify_rule(RuleArn=self.box.names["rule.registry.api_mlflow"], Actions=[to])


_CREDENTIALS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}


@pytest.fixture
def broken() -> Iterator[Broken]:
    """It runs, and is broken."""
    with sandbox.start("healthy") as box:
        found = Broken(box)
        found.lead("auth")
        yield found


@pytest.mark.xdist_group("sandbox")
def test_a_fault_has_an_issue_until_it_is_mended(broken: Broken, github: Server, tmp_path: Path) -> None:
    """A deployment breaks the platform: red, published, an issue. It is mended: green, the issue closed."""
    repository = watching(broken.box, github, tmp_path)
    deployed = {"client_payload": {"sha": SHA, "areas": "infrastructure"}}
    red = repository.act("probe", "repository_dispatch", deployed)

    assert red.jobs == {"Look": "failed", "Issues": "succeeded"}, red.log
    (issue,) = github.world.ours.issues.values()
    assert (issue.state, "listener-rule-wrong-target-group" in issue.body) == ("open", True)

    broken.lead("gateway")
    green = repository.act("probe", "workflow_dispatch", areas="infrastructure")
    runs = [json.loads(repository.show(file)) for file in repository.runs()]

    assert green.jobs == {"Look": "succeeded", "Issues": "succeeded"}, green.log
    assert [(one.number, one.state) for one in github.world.ours.issues.values()] == [
        (issue.number, "closed")
    ]
    assert [run.get("verified_sha") for run in runs] == [SHA, None]
    assert KEY not in red.log + green.log

    swept = repository.act("sweep", "workflow_dispatch", apply="true")
    assert swept.jobs == {"Sweep": "succeeded"}, swept.log
    assert "of earlier runs is there" in swept.log


def watching(box: sandbox.Box, github: Server, place: Path) -> Repository:
    """A repository that looks at a sandbox. One good run closes an issue, and GitHub is the stand-in."""
    secrets = {"HOKUSAI_API_KEY": box.environment["HOKUSAI_API_KEY"], "GITHUB_TOKEN": STANDIN_TOKEN}
    elsewhere = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": OURS}
    aws = {name: value for name, value in box.environment.items() if name.startswith("AWS_")}
    target = re.sub(r'(?m)^repository = ".*"', f'repository = "{OURS}"', box.target_file.read_text("utf-8"))
    target += "\n[issues]\nclose_runs = 1\n"
    return Repository.made(
        place, "sandbox.toml\n", files={"sandbox.toml": target}, secrets=secrets, environment=elsewhere | aws
    )


@pytest.fixture
def github() -> Iterator[Server]:
    """The stand-in for GitHub."""
    with serving(StandIn()) as server:
        yield server


# --- cancelled ------------------------------------------------------------------------------------------


class Silent(BaseHTTPRequestHandler):
    """Takes requests, and never answers one."""

    asked: ClassVar[Event] = Event()
    over: ClassVar[Event] = Event()

    def do_GET(self) -> None:
        """Keep whoever asks waiting."""
        self.asked.set()
        self.over.wait(60)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def silent() -> Iterator[str]:
    """Where it is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        Silent.over.set()
        server.shutdown()


BEFORE_SIGTERM_S = 7.5


def test_a_cancelled_run_writes_what_it_has_in_time(silent: str, tmp_path: Path) -> None:
    """SIGINT to the process that GitHub started, and to no other: it ends before the next signal comes."""
    look = step("probe", "probe", "Look")
    (tmp_path / "look.sh").write_text(look["run"], encoding="utf-8")
    asked = {"TARGET": silent, "ONLY": "", "TRIGGER": "schedule", "SHA": "", "SETTLE": "0", "EVERY": "3600"}
    environment = {**os.environ, "PATH": path(), "PYTHONPATH": str(SOURCE), **asked, "FAIL_ON": "trouble"}
    line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "look.sh"]
    with subprocess.Popen(line, cwd=tmp_path, env=environment, start_new_session=True) as entry:
        try:
            assert Silent.asked.wait(60)
            entry.send_signal(signal.SIGINT)
            told = time.monotonic()
            code = entry.wait(timeout=BEFORE_SIGTERM_S)
            seconds = time.monotonic() - told
        finally:
            os.killpg(entry.pid, signal.SIGKILL) if entry.poll() is None else None
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    runs = list((tmp_path / "out" / "history").rglob("2*.json"))

    assert (code, report["interrupted"], len(runs)) == (130, "SIGINT", 1)
    assert seconds < BEFORE_SIGTERM_S
    assert "always()" in step("probe", "probe", "Publish")["if"]
