"""Stand-ins for the data side's tests: a control plane held in memory, a target, and service processes."""

import asyncio
import contextlib
import functools
import os
import random
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from aiohttp import web

from hokusai_probe import sandbox
from hokusai_probe.sandbox import nursery, processes
from hokusai_probe.sandbox.network import NetworkTable, NetworkView, Ports, write_network
from hokusai_probe.sandbox.state import (
    Action,
    Condition,
    Listener,
    RegisteredTarget,
    Rule,
    TargetGroup,
)

NOBODY = ("127.0.0.1", 9)


def network() -> str:
    """The first three numbers of a network of one's own, so that tests can run side by side."""
    chance = random.SystemRandom()
    return f"127.{chance.randint(16, 250)}.{chance.randint(1, 250)}"


def group(arn: str, *targets: tuple[str, int], service: str = "gateway", **changes: object) -> TargetGroup:
    """A target group with a health check on ``/health``."""
    values: dict[str, object] = {
        "arn": arn,
        "name": arn,
        "service": service,
        "targets": tuple(RegisteredTarget(ip, port) for ip, port in targets),
        "health_path": "/health",
        "health_port": None,
        "matcher": "200",
        "health_timeout_s": 0.3,
        "attached": True,
    }
    return TargetGroup(**(values | changes))


def network_view(
    path: Path, addresses: Mapping[str, str], opened: Mapping[str, Mapping[str, Ports]]
) -> NetworkView:
    """A view of a network in which the parts at these addresses reach only what is opened to them."""
    write_network(path, NetworkTable(addresses=addresses, opened=opened))
    return NetworkView(path)


def forward(*weighted: str | tuple[str, int]) -> Action:
    """A forward action."""
    return Action("forward", tuple((part, 1) if isinstance(part, str) else part for part in weighted))


def default(action: Action) -> Rule:
    """A listener's default rule."""
    return Rule("rule/default", None, (), (action,))


def rule(priority: int, action: Action, *conditions: Condition) -> Rule:
    """A rule."""
    return Rule(f"rule/{priority}", priority, conditions, (action,))


def path(*patterns: str) -> Condition:
    """A path-pattern condition."""
    return Condition("path-pattern", patterns)


@dataclass
class FakePlane:
    """A control plane of plain attributes."""

    listening: list[Listener] = field(default_factory=list)
    groups: list[TargetGroup] = field(default_factory=list)
    names: dict[str, Sequence[str]] = field(default_factory=dict)
    certificates: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    idle_s: float = 0.5
    connect_s: float = 0.3

    def listeners(self, load_balancer: str) -> list[Listener]:
        return [listener for listener in self.listening if listener.load_balancer == load_balancer]

    def target_group(self, arn: str) -> TargetGroup | None:
        return next((group for group in self.groups if group.arn == arn), None)

    def target_groups(self) -> list[TargetGroup]:
        return self.groups

    def idle_timeout_s(self, _load_balancer: str) -> float:
        return self.idle_s

    def connect_timeout_s(self) -> float:
        return self.connect_s

    def certificate(self, arn: str) -> tuple[Path, Path] | None:
        return self.certificates.get(arn)

    def addresses(self, name: str) -> Sequence[str]:
        return self.names.get(name, ())


@asynccontextmanager
async def target(
    ip: str, handler: web.RequestHandler, port: int = 0, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A web server with one handler for everything; gives its port."""
    application = web.Application(client_max_size=100_000_000)
    application.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, ip, port, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_target(ip: str, reply: bytes | None) -> AsyncIterator[int]:
    """A TCP server that reads once, sends bytes (None: nothing, ever) and closes; gives its port."""
    writers: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read(65536)
        if reply is not None:
            writer.write(reply)
            writer.close()

    server = await asyncio.start_server(talk, ip, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


def certificate(directory: Path, *names: str) -> tuple[Path, tuple[Path, Path]]:
    """A CA file, and chain and key files of a certificate for some names."""
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    files = directory / "ca.pem", directory / "chain.pem", directory / "key.pem"
    authority.cert_pem.write_to_path(str(files[0]))
    issued.cert_chain_pems[0].write_to_path(str(files[1]))
    issued.private_key_pem.write_to_path(str(files[2]))
    return files[0], (files[1], files[2])


class Service:
    """A service process out of the run's nursery, as in a sandbox; ends with the ``with`` block."""

    def __init__(self, module: str, directory: Path, bind: tuple[str, int], **variables: str) -> None:
        self.bind = bind
        self._log = directory / f"{module}.log"
        self._line = [sys.executable, "-m", f"hokusai_probe.sandbox.services.{module}"]
        self._environment: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "SANDBOX_BIND": f"{bind[0]}:{bind[1]}",
            "SANDBOX_STATE": str(directory),
            **variables,
        }

    def __enter__(self) -> "Service":
        assert sandbox._SHARED is not None
        near = {nursery.VARIABLE: sandbox._SHARED.nursery.address()}
        self._process = processes.start(self._line, {**self._environment, **near}, self._log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()

    def stop(self) -> int:
        """End it as the sandbox does; gives the exit status."""
        self._process.signal(signal.SIGTERM)
        return self._process.wait(5)

    def wait(self, seconds: float = 20.0) -> "Service":
        """Until it accepts connections."""
        import socket

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self._process.alive:
                break
            try:
                socket.create_connection(self.bind, 0.2).close()
            except OSError:
                time.sleep(0.01)
            else:
                return self
        sentence = f"{self._line[-1]} did not start: {self.log[-2000:]}"
        raise AssertionError(sentence)


def asynchronous(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a coroutine as a test."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
