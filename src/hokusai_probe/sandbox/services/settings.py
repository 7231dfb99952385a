"""What every service of the sandbox reads from its environment, and how it serves HTTP."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hokusai_probe.sandbox.clock import RIGHT, PlatformClock

if TYPE_CHECKING:
    from aiohttp import web


class SettingsError(ValueError):
    """A variable is missing or cannot be read; the text names it."""


def bind_address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Where to listen: SANDBOX_BIND, ``ip:port``.

    Raises:
        SettingsError: It is missing or no address.

    """
    return _address("SANDBOX_BIND", environment.get("SANDBOX_BIND", ""))


def _address(name: str, text: str) -> tuple[str, int]:
    ip, _, port = text.rpartition(":")
    if not ip or not port.isdigit():
        sentence = f"{name} must be ip:port, not {text!r}"
        raise SettingsError(sentence)
    return ip, int(port)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sandbox itself tells a service."""

    bind: tuple[str, int]
    resolver: tuple[str, int]
    faults: Path
    behaviours: frozenset[str]
    ca_file: Path | None
    time_scale: float
    state: Path
    network: Path = Path("no-network.json")
    clock: PlatformClock = RIGHT

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """The SANDBOX_* variables; no resolver: no name resolves, no tables: no faults, an open network.

        Raises:
            SettingsError: A variable cannot be read.

        """
        behaviours = environment.get("SANDBOX_BEHAVIOURS", "").split(",")
        ca_file = environment.get("SANDBOX_CA", "")
        return cls(
            bind=bind_address(environment),
            resolver=_address("SANDBOX_RESOLVER", environment.get("SANDBOX_RESOLVER") or "127.0.0.1:0"),
            faults=Path(environment.get("SANDBOX_FAULTS") or "no-faults.json"),
            behaviours=frozenset(name.strip() for name in behaviours if name.strip()),
            ca_file=Path(ca_file) if ca_file else None,
            time_scale=float(environment.get("SANDBOX_TIME_SCALE") or 10),
            state=Path(environment.get("SANDBOX_STATE") or "."),
            network=Path(environment.get("SANDBOX_NETWORK") or "no-network.json"),
            clock=PlatformClock(float(environment.get("SANDBOX_CLOCK_OFFSET_S") or 0)),
        )


def serve(application: "web.Application", bind: tuple[str, int]) -> None:
    """Serve until SIGTERM or SIGINT; exits at once with a sentence when the address is taken."""
    try:
        asyncio.run(_serve(application, bind))
    except OSError as error:
        sys.exit(f"cannot listen on {bind[0]}:{bind[1]}: {error.strerror}")


async def _serve(application: "web.Application", bind: tuple[str, int]) -> None:
    from aiohttp import web

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(application, shutdown_timeout=0.2, max_line_size=65536, max_field_size=65536)
    await runner.setup()
    try:
        await web.TCPSite(runner, *bind).start()
        sys.stderr.write(f"listening on {bind[0]}:{bind[1]}\n")
        await stop.wait()
    finally:
        await runner.cleanup()
