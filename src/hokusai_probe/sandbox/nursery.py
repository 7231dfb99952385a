"""A process that has imported what a sandbox needs, and forks: what is imported once serves several.

Most of a start is imports: three seconds of processor time for MLflow, two for moto. A host has a nursery of
its own with what its services share (`SHARED`). Whoever starts more than one sandbox keeps one with all
there is (`EVERYTHING`); the hosts are forks of it too, and the second sandbox starts much faster. Nothing
else changes: the same modules run with the same arguments, environment and files, each under a guard of its
own that kills it when whoever asked for it lets go or is gone.

The nursery listens on a socket without a file (Linux's abstract namespace), answers its own user only, and
ends when the process that started it ends. The socket is there before the nursery is: requests wait in it,
and what is not imported when one is answered, the fork imports itself.
"""

import array
import contextlib
import fcntl
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
_LARGEST_FILE = 1 << 16
_WAITING = 64  # requests that nobody has answered yet
_AWS_SIDE, _MLFLOW_SIDE = "the-aws-side", "the-mlflow-side"
_FORK = "a fork of the nursery"

_LIGHTER = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # to find some it would read what each package here says of itself
    "SSL_CERT_FILE": os.devnull,  # aiohttp reads the system's authorities twice on import; nobody asks them
}

_FIRST = (
    "hokusai_probe.sandbox.services.mlflow", _MLFLOW_SIDE, "pydantic", "aiohttp", "opentelemetry.sdk.trace",
    "sqlalchemy.orm", "flask", "fastapi",
)  # fmt: skip
_SERVICES = ("hokusai_probe.sandbox.services.gateway", "hokusai_probe.sandbox.services.auth")
_MLFLOW = (
    "mlflow.store.db.utils", "mlflow.artifacts", "mlflow.store.tracking.sqlalchemy_store", "alembic",
    "mlflow.store.model_registry.sqlalchemy_store", "uvicorn",
)  # fmt: skip
"""Not ``mlflow.server``: it reads its settings from the environment while it is imported."""
_HOST = (_AWS_SIDE, "hokusai_probe.sandbox.miniature", "moto.moto_server.threaded_moto_server")

SHARED = _FIRST
"""What the services of one sandbox import before any of them is asked for.

MLflow is asked for meanwhile, and its fork imports the rest itself: nothing takes longer. What the others
need besides is imported when the first of them is asked for; until then MLflow and the host have the cores.
"""

EVERYTHING = (*_HOST, *_FIRST, *_SERVICES, *_MLFLOW)
"""What services and hosts import: forks that are asked for later have it all."""

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
    """The guard of a module that runs in a fork of the nursery: what `processes.Guard` asks for.

    Args:
        status: A pipe on which the guard says the exit code; its end without a word is the guard's own.

    """

    def __init__(self, status: int) -> None:
        self._status = status
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, 128 + n after signal n; None while it runs."""
        if self._code is None and select.select([self._status], [], [], 0)[0]:
            self._end(os.read(self._status, 1))
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.

        """
        if self._code is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired([_FORK], timeout or 0.0)
            self._end(os.read(self._status, 1))
        assert self._code is not None
        return self._code

    def kill(self) -> None:
        """Wait no longer: the guard, whose lifeline is cut, ends what it holds as soon as it is there."""
        if self._code is None:
            self._end(b"")

    def _end(self, said: bytes) -> None:
        os.close(self._status)
        self._code = said[0] if said else 128 + signal.SIGKILL


def spawn(
    address: str,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    files: tuple[int, int, int],
) -> tuple[Seedling, int]:
    """Have the nursery at an address run a module as ``python -m`` would; does not wait until it does.

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
            connection.sendmsg([json.dumps(request).encode()], rights)  # the files stay open on their way
    except OSError:
        os.close(lifeline_w)
        os.close(status_r)
        raise
    finally:
        os.close(lifeline_r)
        os.close(status_w)
    return Seedling(status_r), lifeline_w


class _Forked:
    """A nursery that is a fork of its owner: as much of a `subprocess.Popen` as `Nursery` asks for.

    Args:
        process: The number of the process.
        stdin: The owner's end of its stdin.

    """

    def __init__(self, process: int, stdin: int) -> None:
        self._process = process
        self._code: int | None = None
        self.stdin = os.fdopen(stdin, "wb")

    def poll(self) -> int | None:
        """The exit code, -n after signal n; None while it runs."""
        return self._await(os.WNOHANG)

    def kill(self) -> None:
        """Kill it, unless it has been waited for."""
        if self._code is None:
            os.kill(self._process, signal.SIGKILL)

    def wait(self) -> int | None:
        """Wait for the end; returns as `poll` does."""
        return self._await(0)

    def _await(self, options: int) -> int | None:
        if self._code is None:
            process, status = os.waitpid(self._process, options)
            self._code = os.waitstatus_to_exitcode(status) if process else None
        return self._code


class Nursery:
    """The parent's handle on a nursery; the process starts when it is first needed.

    Args:
        environment: Its whole environment; its forks have their own.
        modules: What it imports before it answers requests.

    """

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str] = EVERYTHING) -> None:
        self._environment = dict(environment)
        self._modules = modules
        self._process: subprocess.Popen[bytes] | _Forked | None = None
        self._address = f"hokusai-nursery-{secrets.token_hex(8)}"

    def address(self) -> str:
        """The socket's name; it takes requests at once, and the nursery answers them when it is ready."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._start()
        return self._address

    def fork(self) -> str:
        """Start it as a fork of this process, a tenth of a second sooner; returns what `address` does.

        For a process with one thread that has imported little: the nursery is what it is now.
        """
        stdin_r, stdin_w = os.pipe()
        with self._listening() as server:
            process = os.fork()
            if process == 0:
                number = server.detach()  # the nursery's to close, and its forks'
                _take_files(stdin_r, number)
                os.environ.clear()
                os.environ.update(self._environment | _LIGHTER)
                sys.exit(main([str(number), *self._modules]))
        os.close(stdin_r)
        self._process = _Forked(process, stdin_w)
        return self._address

    def _listening(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.bind(f"\0{self._address}")
        server.listen(_WAITING)
        return server

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._listening() as server:
            number = server.fileno()
            return subprocess.Popen(
                [sys.executable, "-m", "hokusai_probe.sandbox.nursery", str(number), *self._modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=self._environment | _LIGHTER,
                pass_fds=(number,),
                start_new_session=True,
            )

    def close(self) -> None:
        """End the nursery; what it has forked lives on under its guards."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process = None


def _take_files(stdin: int, server: int) -> None:
    """Have the files that a nursery has, and none of its owner's besides; a session of its own, too."""
    os.setsid()
    os.dup2(stdin, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.closerange(3, server)
    os.closerange(server + 1, _LARGEST_FILE)


def main(arguments: Sequence[str]) -> int:
    """Import, and fork on request, until stdin ends.

    Args:
        arguments: The number of the listening socket, and what to import before answering.

    """
    gc.disable()  # nothing of what is imported will ever be garbage
    _end_with_owner()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards are nobody's to wait for
    number, *modules = arguments
    with socket.socket(fileno=int(number)) as server:
        _preload(modules)
        _serve(server)
    return 0


def _end_with_owner() -> None:
    """Have the kernel end this process when the other end of its stdin goes, whatever it is doing then.

    The signal is SIGIO (fcntl(2), O_ASYNC), whose default is the process's end.
    """
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        sys.exit(0)  # it went before


def _preload(names: Sequence[str]) -> None:
    for name in names:
        if name == _AWS_SIDE:
            _preload_aws_side()
        elif name == _MLFLOW_SIDE:
            _preload_mlflow_side()
        else:
            importlib.import_module(name)


def _preload_aws_side() -> None:
    from hokusai_probe.sandbox import early

    early.share_service_models()
    from hokusai_probe.sandbox.layout import client

    for service in _AWS:
        importlib.import_module(f"moto.{service}.urls")
        client("http://127.0.0.1:9", service)  # reads the service's model; asks nobody


def _preload_mlflow_side() -> None:
    from hokusai_probe.sandbox.services import mlflow_imports

    mlflow_imports.import_less()


def _serve(server: socket.socket) -> None:
    """Answer requests until stdin ends."""
    while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
        with contextlib.suppress(ConnectionError):  # whoever asked is gone
            _answer(server)


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        message, handed, _, _ = socket.recv_fds(connection, _LARGEST_REQUEST, 5)
        if message and _is_own_user(connection):
            _fork(json.loads(message), handed, server, connection)
    for fd in handed:
        os.close(fd)


def _fork(request: Mapping[str, object], handed: Sequence[int], *sockets: socket.socket) -> None:
    if request["module"] in _SERVICES:
        with contextlib.suppress(ImportError):  # its own fork will say so
            _preload(_SERVICES)  # the next of them has it too
    if os.fork() == 0:
        for one in sockets:
            one.close()
        _guard(request, handed)


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
    if _is_let_go(lifeline_end):
        os._exit(0)
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    guard, child = os.getpid(), os.fork()
    if child == 0:
        os.close(lifeline_end)
        os.close(status)
        _run(request, guard)
    _hold_nothing()
    threading.Thread(target=lifeline.obey, args=(lifeline_end, child), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    lifeline.signal_group(child, signal.SIGKILL)
    os.write(status, bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _is_let_go(pipe: int) -> bool:
    """Whether nobody holds the other end any more: the fork comes too late for whoever asked."""
    look = select.poll()
    look.register(pipe, 0)  # the end of a pipe shows without being asked for
    return bool(look.poll(0))


def _hold_nothing() -> None:
    """Keep no end of the child's own pipes open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)


def _run(request: Mapping[str, object], guard: int) -> NoReturn:
    """Be the module's process: what it raises, and its exit, end this interpreter as any other."""
    lifeline.die_with_parent(guard)
    os.setsid()
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    module = str(request["module"])
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    sys.modules.pop(module, None)
    gc.freeze()
    gc.enable()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
