"""Runs that end early, and platforms that are not there."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.model import Hosts, Target, Timeouts
from hokusai_probe.runner import run

CONNECT_S = 2.0


def _target(port: int) -> Target:
    return Target(
        name="nobody",
        hosts=Hosts(registry=f"http://127.0.0.1:{port}"),
        paths={"mlflow": None},
        timeouts=Timeouts(connect_s=CONNECT_S, total_s=10.0),
    )


@contextmanager
def _black_hole() -> Iterator[int]:
    """A port that drops connections: it listens, and its queue is full and never emptied."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for one in fill:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        try:
            yield server.getsockname()[1]
        finally:
            for one in fill:
                one.close()


def test_nothing_listening_is_diagnosed_at_once() -> None:
    """Refused connections end a run in far less than one connect deadline, with one cause."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    report = run(_target(port), allow=["write"], environment={})

    assert [d.cause for d in report.roots()] == ["mlflow-down"]
    assert report.duration_s < 1.2 * CONNECT_S


def test_a_black_hole_is_diagnosed_within_one_connect_deadline() -> None:
    """Where packets vanish nothing is asked twice: 1.2 connect deadlines are enough."""
    with _black_hole() as port:
        report = run(_target(port), allow=["write"], environment={})

    assert [d.cause for d in report.roots()] == ["mlflow-down"]
    assert report.duration_s < 1.2 * CONNECT_S


SLOW_ARTIFACTS = """
name = "slow-artifacts"
summary = "Storing an artifact takes long, so that a run can be cut short in the middle of it"
[[step]]
kind = "fault"
edge = "gateway->mlflow"
match = { path = "*/mlflow-artifacts/*", method = "PUT" }
do = { delay_s = 25.0 }
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Box]:
    """A platform that takes long to store an artifact."""
    scenario = tmp_path_factory.mktemp("scenario") / "slow-artifacts.toml"
    scenario.write_text(SLOW_ARTIFACTS, encoding="utf-8")
    with sandbox.start(scenario) as box:
        yield box


@pytest.mark.xdist_group("sandbox")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_registration_leaves_nothing(
    slow: sandbox.Box, tmp_path: Path, number: signal.Signals
) -> None:
    """The run ends within seconds, writes what it gathered, and MLflow holds nothing of it."""
    environment = {**bare_environment(), **slow.environment}
    out = tmp_path / "report.json"
    process = _start(slow.target_file, out, environment)
    try:
        _wait_for_run(slow.target_file, environment)
        process.send_signal(number)
        code = process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()
    left = _ours(slow.target_file, environment)

    report = json.loads(out.read_text(encoding="utf-8"))
    assert code == 128 + number
    assert report["interrupted"] == number.name
    assert left == []


def _start(target: Path, out: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    words = [
        "run",
        str(target),
        "--only",
        "registration",
        "--skip",
        "trained-model",
        "--quiet",
        "--json",
        str(out),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "hokusai_probe.cli", *words], env={**os.environ, **environment}
    )


def _wait_for_run(target: Path, environment: dict[str, str]) -> None:
    end = time.monotonic() + 30
    while not _ours(target, environment):
        assert time.monotonic() < end, "no run of ours appeared on MLflow"
        time.sleep(0.2)


def _ours(target: Path, environment: dict[str, str]) -> list[str]:
    """Active runs and registered models of ours, asked for through the platform itself."""
    import asyncio

    return asyncio.run(_listed(target, environment))


async def _listed(target: Path, environment: dict[str, str]) -> list[str]:
    from hokusai_probe import config
    from hokusai_probe.http import HttpDoor
    from hokusai_probe.keys import Keys
    from hokusai_probe.redact import Redactor

    chosen = config.load(target, environment)
    keys = Keys.read(chosen.key, environment)
    async with HttpDoor(chosen, keys, Redactor()) as door:
        prefix = "/api/mlflow/api/2.0/mlflow/"
        named = await door.send(
            "GET", "registry", prefix + "experiments/get-by-name", key="bearer",
            query=[("experiment_name", "hokusai-probe")],
        )  # fmt: skip
        found = named.json()
        if named.status != 200 or not isinstance(found, dict):
            return []
        runs = await door.send(
            "POST", "registry", prefix + "runs/search", key="bearer",
            json={"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 50},
        )  # fmt: skip
        models = await door.send("GET", "registry", prefix + "registered-models/search", key="bearer")
    return [*_names(runs.json(), "runs"), *_names(models.json(), "registered_models")]


def _names(body: object, key: str) -> list[str]:
    return [str(item) for item in body.get(key, [])] if isinstance(body, dict) else []
