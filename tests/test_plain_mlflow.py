"""A bare URL: a plain MLflow server without gateway, auth or AWS, started as its documentation says."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hokusai_probe.cli import main
from hokusai_probe.model import Report
from hokusai_probe.reports import answer, console
from hokusai_probe.runner import run
from hokusai_probe.sandbox.services.mlflow import cache_directory, template

pytestmark = [pytest.mark.xdist_group("plain-mlflow"), pytest.mark.timeout(180)]

REGISTRATION = [
    "experiment-can-be-made",
    "run-can-be-logged",
    "model-can-be-registered",
    "model-can-be-retrieved",
    "artifact-survives",
    "trained-model-predicts-the-same",
    "mlflow-client-registers",
]
AS_SENT = ["repeated-parameters-are-forwarded", "request-headers-are-forwarded"]


@contextmanager
def _server(directory: Path, prefix: str = "") -> Iterator[str]:
    """`mlflow server` on a port of its own; its URL, with the prefix."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        *(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ),
        *("--backend-store-uri", f"sqlite:///{directory}/mlflow.db"),
        *("--artifacts-destination", str(directory / "artifacts")),
        *(("--static-prefix", prefix) if prefix else ()),
    ]
    shutil.copyfile(template(cache_directory()), directory / "mlflow.db")  # empty, its tables made
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            words,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=directory,
        )
        try:
            url = f"http://127.0.0.1:{port}{prefix}"
            _wait(f"{url}/health")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(url: str) -> None:
    end = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < end, f"nothing answers at {url}"
            time.sleep(0.3)
        else:
            return


def _failing(report: Report) -> list[str]:
    return [v.check for v in report.verdicts if v.status != "pass" and v.skip_kind in {None, "blocked"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """One server for the tests that do not mind each other, and its directory."""
    directory = tmp_path_factory.mktemp("mlflow")
    with _server(directory) as url:
        yield url, directory


def test_a_plain_server_passes_and_keeps_nothing_of_ours(server: tuple[str, Path]) -> None:
    """All six stages pass without key, gateway and AWS, MLflow's client too; no artifact file stays."""
    url, directory = server
    report = run(url, allow=["write", "hostile"], environment={})
    variables = f"MLFLOW_TRACKING_URI={url}"

    passed = [v.check for v in report.verdicts if v.status == "pass"]
    assert _failing(report) == []
    assert [c for c in (*REGISTRATION, *AS_SENT) if c not in passed] == []
    assert [d.cause for d in (*report.present(), *report.undecided())] == []
    assert [p for p in (directory / "artifacts").rglob("*") if p.is_file()] == []
    assert report.errors == ()
    assert answer.clear_line(report, console.Plain()).endswith(
        f"a third party can register a model, and MLflow's client did with {variables}."
    )


def test_reading_only_is_the_default(server: tuple[str, Path]) -> None:
    """Without --allow nothing is created, and the report says why registration was not tried."""
    report = run(server[0], environment={})

    skipped = {v.check: v.skip_kind for v in report.verdicts if v.check in REGISTRATION}
    assert skipped == dict.fromkeys(REGISTRATION, "not-configured")
    assert _failing(report) == []


KILLED = """
import os, signal, sys
from hokusai_probe.probes.model_registration import Registrar
from hokusai_probe.runner import run

async def end(self):
    os.kill(os.getpid(), signal.SIGKILL)

Registrar.retrieval = end
run(sys.argv[1], only=["model-registration"], allow=["write"], environment={})
"""


def _ask(url: str, call: str, body: object = None, method: str = "POST") -> Any:
    """One call of MLflow's API, by nobody of ours."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{url}/api/2.0/{call}", content, method=method)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"{}")


def _state(url: str, directory: Path) -> tuple[list[str], list[str], list[str]]:
    """Everything that is there: models, runs that are not deleted, files of the artifact store."""
    models = _ask(url, "mlflow/registered-models/search?max_results=50", method="GET")
    everywhere = {"experiment_ids": [str(n) for n in range(4)], "max_results": 50}
    runs = _ask(url, "mlflow/runs/search", everywhere)
    files = (directory / "artifacts").rglob("*")
    return (
        sorted(m["name"] for m in models.get("registered_models", [])),
        sorted(r["info"]["run_name"] for r in runs.get("runs", [])),
        sorted(str(f.relative_to(directory / "artifacts")) for f in files if f.is_file()),
    )


def _sweep(url: str, *options: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["sweep", url, "--quiet", *options], env={"HOKUSAI_API_KEY": ""})
    return found.exit_code, found.stdout


def test_after_a_killed_run_one_sweep_leaves_nothing_of_ours_and_everything_of_others(
    server: tuple[str, Path],
) -> None:
    """Killed when experiment, run, artifact and model were there: all is found, and only that is removed."""
    url, directory = server
    alike = "hkprobe-20200101T000000-00000000-00000000"
    tags = [{"key": "hkprobe", "value": "1"}, {"key": "hkprobe.journal", "value": alike}]
    for model in ({"name": "churn", "tags": tags}, {"name": alike}):
        _ask(url, "mlflow/registered-models/create", model)
    for name, its in (("train", tags), (alike, [])):
        _ask(url, "mlflow/runs/create", {"experiment_id": "0", "run_name": name, "tags": its})
    for path in (f"{alike}x/a.bin", "0/others/artifacts/a.bin"):
        _ask(url, f"mlflow-artifacts/artifacts/{path}", b"theirs", "PUT")
    others = _state(url, directory)
    words = [sys.executable, "-c", KILLED, url]
    assert (
        subprocess.run(words, check=False, timeout=60, stderr=subprocess.DEVNULL).returncode
        == -signal.SIGKILL
    )
    _ask(url, f"mlflow-artifacts/artifacts/{alike}/1048576.bin", b"ours", "PUT")
    there = _state(url, directory)

    assert [len(now) - len(before) for now, before in zip(there, others, strict=True)] == [1, 1, 2]
    assert _sweep(url)[0] == 1  # what was made in 2020; what is an hour young is not touched
    listed = _sweep(url, "--older-than", "0")
    assert (listed[0], listed[1].count("left by an earlier run"), _state(url, directory)) == (1, 3, there)
    done = _sweep(url, "--older-than", "0", "--apply", "--allow", "write")
    assert (done[0], done[1].count("removed: "), _state(url, directory)) == (0, 3, others)
    assert _sweep(url, "--older-than", "0") == (0, "nothing of earlier runs is there\n")


def test_a_broken_artifact_store_fails_its_check_and_no_cause_is_guessed(server: tuple[str, Path]) -> None:
    """Everything but artifacts works. What the store suffers from is not seen from outside."""
    url, directory = server
    shutil.rmtree(directory / "artifacts", ignore_errors=True)
    (directory / "artifacts").write_text("a file where a directory should be", encoding="utf-8")
    report = run(url, allow=["write"], environment={}, skip=["trained-model", "mlflow-client"])

    assert _failing(report) == ["large-artifact-survives", "artifact-survives"]
    assert [d.cause for d in report.present()] == []
    assert {d.component for d in report.undecided()} == {"storage"}


def test_a_server_behind_a_prefix_is_found_by_its_url(tmp_path: Path) -> None:
    """The path of the URL is the prefix, as `--static-prefix` has it."""
    with _server(tmp_path, "/registry") as url:
        report = run(url, allow=["write"], environment={}, skip=["trained-model"])

    assert _failing(report) == []
