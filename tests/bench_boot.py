"""How long a sandbox takes to be healthy: ``python tests/bench.py boot``.

It is measured as a person waits for it: from the call to the platform that answers, with nothing imported
before but this, the disk warm. Beside it stands what nobody can do without: ``mlflow server``, one of the
sandbox's parts, started alone over a database that is there and migrated, until it says that it is well.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench_page import Part, Row, spread

from hokusai_probe import sandbox
from hokusai_probe.sandbox import processes
from hokusai_probe.sandbox.services import mlflow

HOST = "127.0.0.1"
PATIENCE_S = 60.0
THEIRS = "`mlflow server`"
CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def measured(runs: int) -> Part:
    """A sandbox and MLflow's server by turns, and then the second sandbox of several."""
    _boot()
    with tempfile.TemporaryDirectory() as scratch:
        pairs = [(_boot(), _server(Path(scratch), number)) for number in range(runs)]
    ours, theirs = zip(*pairs, strict=True)
    second = list(_warm(runs))
    alone = statistics.median(theirs)
    return Part(
        "boot",
        "A sandbox, from nothing to healthy",
        (
            Row("`sandbox.start()`", spread(ours), THEIRS, statistics.median(ours) / alone, "4 s"),
            Row("inside `sandbox.warm()`", spread(second), THEIRS, statistics.median(second) / alone),
            Row(f"{THEIRS} alone, its database migrated", spread(theirs)),
        ),
    )


def _boot() -> float:
    begun = time.monotonic()
    with sandbox.start("healthy"):
        return time.monotonic() - begun


def _warm(runs: int) -> Iterator[float]:
    with sandbox.warm():
        _boot()
        for _ in range(runs):
            yield _boot()


def _server(scratch: Path, number: int) -> float:
    """Seconds until ``mlflow server`` answers."""
    store = scratch / f"{number}.sqlite"
    shutil.copyfile(mlflow.template(mlflow.cache_directory()), store)
    port = _free_port()
    options = {"host": HOST, "port": port, "workers": 1, "backend-store-uri": f"sqlite:///{store}"}
    begun = time.monotonic()
    with _running(["mlflow", "server", *(f"--{name}={value}" for name, value in options.items())], scratch):
        while not _is_well(port):
            if time.monotonic() - begun > PATIENCE_S:
                sentence = f"`mlflow server` does not answer within {PATIENCE_S:g} s"
                raise TimeoutError(sentence)
            time.sleep(0.01)
        return time.monotonic() - begun


@contextmanager
def _running(command: list[str], directory: Path) -> Iterator[None]:
    environment: Mapping[str, str] = processes.allowed_environment(os.environ) | CALM
    process = subprocess.Popen(
        command, cwd=directory, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_well(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
