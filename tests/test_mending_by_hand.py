"""A broken sandbox in one terminal, a person's tools in another: one platform, which mending heals."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hokusai_probe.cli.run import bare_environment

BIN = Path(sys.executable).parent
PATIENCE_S = 90.0
PATHS = ["/api/*", "/health", "/ready", "/live", "/version"]

# every tool of the second terminal uses one sandbox, one after another
pytestmark = [pytest.mark.xdist_group("by hand"), pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Terminal:
    """A second terminal: the target file, and the variables that the first one printed."""

    target: Path
    environment: Mapping[str, str]
    names: Mapping[str, str]

    @property
    def content(self) -> dict[str, Any]:
        """The target file's content."""
        return tomllib.loads(self.target.read_text(encoding="utf-8"))

    def run(self, *line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            line,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def aws(self, *words: str) -> Any:
        """What the AWS CLI answers, as JSON; None for nothing."""
        found = self.run(str(BIN / "aws"), "--endpoint-url", self.content["aws"]["endpoint_url"], *words)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout) if found.stdout.strip() else None

    def curl(self, host: str, path: str) -> str:
        """The status code that curl sees."""
        url = self.content["hosts"][host]
        name, port = url.removeprefix("https://").split(":")
        address = self.run(
            sys.executable, "-c", _RESOLVE, self.content["network"]["resolver"], name
        ).stdout.strip()
        ca_file = self.content["tls"]["ca_file"]
        resolve = f"{name}:{port}:{address}"
        line = ("curl", "--silent", "--cacert", ca_file, "--resolve", resolve, "--max-time", "20")
        return self.run(*line, "--output", os.devnull, "--write-out", "%{http_code}", url + path).stdout


_RESOLVE = """
import sys, dns.message, dns.query
ip, port = sys.argv[1].split(":")
answer = dns.query.udp(dns.message.make_query(sys.argv[2], "A"), ip, port=int(port), timeout=5)
print(answer.answer[0][0].address)
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The sandbox of 2025-08-05 in a process of its own, until the module's tests are done."""
    target = tmp_path_factory.mktemp("by-hand") / "t.toml"
    line = [str(BIN / "hokusai-probe"), "sandbox", "2025-08-05", "--write-target", str(target), "--names"]
    with subprocess.Popen(
        line, env=bare_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as first:
        try:
            exports, names = _printed(first)
            yield Terminal(target, {**bare_environment(), **exports}, names)
        finally:
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=30)


def _printed(first: "subprocess.Popen[str]") -> tuple[dict[str, str], dict[str, str]]:
    """The variables and the names that the first terminal shows, up to the line that says it runs."""
    assert first.stdout is not None
    assert first.stderr is not None
    first.stderr.readline()
    os.set_blocking(first.stdout.fileno(), False)
    time.sleep(0.2)
    lines = first.stdout.read().splitlines()
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    names = dict(line.split(None, 1) for line in lines if line and line.split(None, 1)[0].count("."))
    return exports, names


@dataclass(frozen=True)
class Before:
    """What the person saw before mending: curl's status code of auth, the ports of unhealthy targets."""

    auth: str
    unhealthy: list[int]


@pytest.fixture(scope="module")
def before(terminal: Terminal) -> Before:
    """The person looks, and then mends everything with the AWS CLI."""
    names = terminal.names
    group, task = names["target_group.auth"], names["task.auth.ip"]
    gateway = f"Type=forward,TargetGroupArn={names['target_group.gateway']}"
    seen = Before(terminal.curl("auth", "/health"), _ports(terminal, "unhealthy"))
    for word, port in (("deregister-targets", 9000), ("register-targets", 8000)):
        terminal.aws("elbv2", word, "--target-group-arn", group, "--targets", f"Id={task},Port={port}")
    terminal.aws(
        "elbv2", "modify-rule", "--rule-arn", names["rule.registry.api_mlflow"], "--actions", gateway
    )
    terminal.aws(
        "elbv2", "create-rule", "--listener-arn", names["listener.main.https"], "--priority", "100",
        "--conditions", json.dumps([{"Field": "path-pattern", "PathPatternConfig": {"Values": PATHS}}]),
        "--actions", gateway,
    )  # fmt: skip
    assert _eventually(lambda: _ports(terminal, "healthy") == [8000])
    return seen


def _ports(terminal: Terminal, state: str) -> list[int]:
    """The ports of auth's targets in this state."""
    group = terminal.names["target_group.auth"]
    found = terminal.aws("elbv2", "describe-target-health", "--target-group-arn", group)
    return [
        one["Target"]["Port"]
        for one in found["TargetHealthDescriptions"]
        if one["TargetHealth"]["State"] == state
    ]


def test_everything_a_person_has_sees_the_platform_break_and_heal(terminal: Terminal, before: Before) -> None:
    """curl, the AWS CLI and the probe see a broken platform, and after four commands a healthy one."""
    assert before == Before(auth="502", unhealthy=[9000])
    assert terminal.curl("auth", "/health") == "200"
    found = _probed(terminal)
    assert [d["cause"] for d in found["diagnoses"] if d["status"] == "present"] == []
    assert {v["check"]: v["reason"] for v in found["verdicts"] if v["status"] == "fail"} == {}


def _probed(terminal: Terminal) -> dict[str, Any]:
    """The report of a run in the second terminal."""
    probe = str(BIN / "hokusai-probe")
    found = terminal.run(probe, "run", str(terminal.target), "--skip", "trained-model", "--json", "-")
    assert found.returncode in {0, 1}, found.stderr
    return dict(json.loads(found.stdout))


def _eventually(condition: Any) -> bool:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


_REGISTER = """
import mlflow, sys
from mlflow.tracking import MlflowClient
client = MlflowClient()
experiment = client.create_experiment("by-hand")
run = client.create_run(experiment)
client.log_metric(run.info.run_id, "accuracy", 0.9)
client.log_text(run.info.run_id, "hello", "note.txt")
client.create_registered_model("by-hand")
client.create_model_version("by-hand", f"runs:/{run.info.run_id}/note.txt", run.info.run_id)
print(client.get_model_version("by-hand", "1").status)
"""


@pytest.mark.usefixtures("before")
def test_an_mlflow_client_registers_a_model_on_the_mended_platform(terminal: Terminal) -> None:
    """The real MLflow client, configured as a third party would, works through load balancer and gateway."""
    content = terminal.content
    url = content["hosts"]["registry"]
    address = terminal.run(
        sys.executable, "-c", _RESOLVE, content["network"]["resolver"], url.split("//")[1].split(":")[0]
    ).stdout.strip()
    found = terminal.run(
        sys.executable, "-c", _PINNED.format(address=address) + _REGISTER,
        MLFLOW_TRACKING_URI=url + content["paths"]["mlflow"],
        MLFLOW_TRACKING_TOKEN=terminal.environment["HOKUSAI_API_KEY"],
        MLFLOW_TRACKING_SERVER_CERT_PATH=content["tls"]["ca_file"],
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        MLFLOW_DISABLE_TELEMETRY="true",
    )  # fmt: skip

    assert (found.returncode, found.stdout) == (0, "READY\n"), found.stderr[-2000:]


# the system's resolver knows nothing of the sandbox's zone; a person would write it into /etc/hosts
_PINNED = """
import socket
known = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: known(
    "{address}" if str(host).endswith(".test") else host, *rest, **more
)
"""
