"""A bare URL: a plain MLflow server without gateway, auth or AWS, started as its documentation says."""

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

import pytest

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
