"""A process that has imported what a sandbox needs, and forks: the second sandbox of a program starts faster.

Most of a start is imports: four seconds of processor time for MLflow, two for moto. Whoever starts more than
one sandbox keeps a `Nursery`; hosts and services are then forks of it instead of new interpreters. Nothing
else changes: the same modules run with the same arguments, environment and files, each under a guard of its
own that kills it when whoever asked for it lets go or is gone.

The nursery listens on a socket without a file (Linux's abstract namespace), answers its own user only, and
ends when the process that started it ends.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import NoReturn

from hokusai_probe.sandbox import lifeline

VARIABLE = "SANDBOX_NURSERY"
"""The environment variable that names the nursery's socket to the processes of a sandbox."""

_LARGEST_REQUEST = 1 << 20
_READY_S = 60.0
_PRELOADED = (
    "aiohttp.web", "alembic", "fastapi", "flask", "hokusai_probe.sandbox.services.gateway",
    "hokusai_probe.sandbox.services.auth", "mlflow.artifacts", "mlflow.genai", "mlflow.store.db.utils",
    "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store", "uvicorn",
    "moto.moto_server.threaded_moto_server",
)  # fmt: skip
"""Not ``mlflow.server``: it reads its settings from the environment while it is imported."""

MODULES = frozenset(
    f"hokusai_probe.sandbox.{name}"
    for name in ("host", "services.auth", "services.gateway", "services.mlflow")
)
"""What is worth forking for."""

_AWS = (
    "acm", "cloudtrail", "cloudwatch", "ec2", "ecr", "ecs", "elasticache", "elbv2", "iam", "logs", "rds",
    "route53", "s3", "secretsmanager", "servicediscovery", "sns", "ssm", "sts",
)  # fmt: skip


class Seedling:
    """The guard of a module that runs in a fork of the nursery: what `processes.Guard` asks for."""

    def __init__(self, pid: int, status: int) -> None:
        self._pid = pid
        self._status = status
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, 128 + n after signal n; None while it runs."""
        if self._code is None and select.select([self._status], [], [], 0)[0]:
            self._read()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.

        """
        if self._code is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired([str(self._pid)], timeout or 0.0)
            self._read()
        assert self._code is not None
        return self._code

    def kill(self) -> None:
        """Kill the guard; what it guarded lost its lifeline before."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def _read(self) -> None:
        said = os.read(self._status, 1)
        os.close(self._status)
        self._code = said[0] if said else 128 + signal.SIGKILL  # the guard itself was killed


def spawn(
    address: str,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: tuple[int, int, int],
) -> tuple[Seedling, int]:
    """Have the nursery at an address run a module as ``python -m`` would.

    Args:
        address: The nursery's socket.
        module: The module's name.
        arguments: Its arguments.
        environment: Its whole environment.
        files: What it gets as stdin, stdout and stderr.

    Returns:
        Its guard, and the write end of its lifeline.

    Raises:
        OSError: There is no such nursery any more.

    """
    lifeline_r, lifeline_w = os.pipe()
    status_r, status_w = os.pipe()
    request = {"module": module, "arguments": list(arguments), "environment": dict(environment)}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(f"\0{address}")
            handed = array.array("i", [*files, lifeline_r, status_w])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)]
            connection.sendmsg([json.dumps(request).encode()], rights)
            pid = int(connection.recv(16))  # the fork is made, its files are its own
    except OSError:
        os.close(lifeline_w)
        os.close(status_r)
        raise
    finally:
        os.close(lifeline_r)
        os.close(status_w)
    return Seedling(pid, status_r), lifeline_w


class Nursery:
    """The parent's handle on a nursery; the process starts when it is first needed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._address = f"hokusai-nursery-{secrets.token_hex(8)}"

    def address(self) -> str:
        """The socket's name; waits until the nursery listens."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hokusai_probe.sandbox.nursery", self._address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**self._environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
            assert self._process.stdout is not None
            select.select([self._process.stdout], [], [], _READY_S)
            os.read(self._process.stdout.fileno(), 1)
        return self._address

    def close(self) -> None:
        """End the nursery; what it has forked lives on under its guards."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()
        self._process = None


def main(arguments: Sequence[str]) -> int:
    """Import, say so with a byte on stdout, and fork on request until stdin ends."""
    gc.disable()  # nothing of what is imported will ever be garbage
    _preload()
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards are nobody's to wait for
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(f"\0{arguments[0]}")
        server.listen(16)
        os.write(1, b".")
        while 0 not in select.select([server.fileno(), 0], [], [])[0]:
            with contextlib.suppress(ConnectionError):  # whoever asked is gone
                _answer(server)
    return 0


def _preload() -> None:
    from hokusai_probe.sandbox import early

    early.share_service_models()
    from hokusai_probe.sandbox.layout import client

    importlib.import_module("hokusai_probe.sandbox.miniature")
    for name in _PRELOADED:
        importlib.import_module(name)
    for service in _AWS:
        importlib.import_module(f"moto.{service}.urls")
        client("http://127.0.0.1:9", service)  # reads the service's model; asks nobody


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        message, handed, _, _ = socket.recv_fds(connection, _LARGEST_REQUEST, 5)
        pid = _forked(server, connection, message, handed) if _is_own_user(connection) else 0
        for fd in handed:
            os.close(fd)
        connection.send(str(pid).encode())


def _forked(server: socket.socket, connection: socket.socket, message: bytes, handed: Sequence[int]) -> int:
    pid = os.fork()
    if pid == 0:
        server.close()
        connection.close()
        _guard(json.loads(message), handed)
    return pid


def _is_own_user(connection: socket.socket) -> bool:
    """Whether the other side runs as this user: a socket without a file has no permissions of its own."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", raw)
    return bool(user == os.getuid())


def _guard(request: Mapping[str, object], files: Sequence[int]) -> NoReturn:
    """Run the module in a process of its own and see to it that it does not outlive whoever asked for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    standard, (lifeline_end, status) = files[:3], files[3:]
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    child = os.fork()
    if child == 0:
        os.close(lifeline_end)
        os.close(status)
        _run(request)
    _hold_nothing()
    threading.Thread(target=lifeline.obey, args=(lifeline_end, child), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    lifeline.signal_group(child, signal.SIGKILL)
    os.write(status, bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _hold_nothing() -> None:
    """Keep no end of the child's own pipes open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)


def _run(request: Mapping[str, object]) -> NoReturn:
    """Be the module's process: what it raises, and its exit, end this interpreter as any other."""
    lifeline.die_with_parent()
    os.setsid()
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    module = str(request["module"])
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.modules.pop(module, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
