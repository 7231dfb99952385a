"""Names to addresses, asked of the resolver that a target names, or of the system's."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable

from hokusai_probe.errors import ProbeError
from hokusai_probe.failures import Failure
from hokusai_probe.model import Frozen

_LOOKUP_S = 30.0


class Resolution(Frozen):
    """A host's name and its addresses, IPv4 first and in order; or why it has none."""

    name: str
    addresses: tuple[str, ...] = ()
    failure: Failure | None = None


_GAI = {socket.EAI_NONAME: "nxdomain", socket.EAI_AGAIN: "temporary"}


def _no_name(name: str, detail: str, code: str) -> Resolution:
    return Resolution(name=name, failure=Failure(kind="dns", detail=f"{name}: {detail}", code=code))


def _found(name: str, addresses: Iterable[str]) -> Resolution:
    ordered = sorted(set(addresses), key=lambda address: (":" in address, ipaddress.ip_address(address)))
    if not ordered:
        return _no_name(name, "the name has no address", "no-address")
    return Resolution(name=name, addresses=tuple(ordered))


async def _ask_system(name: str, seconds: float) -> Resolution:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return _no_name(name, f"the resolver did not answer within {seconds:g} s", "timeout")
    except socket.gaierror as e:
        return _no_name(name, "the name does not resolve", _GAI.get(e.errno or 0, "error"))
    except UnicodeError:
        return _no_name(name, "this cannot be a host name", "bad-name")
    return _found(name, (str(entry[4][0]) for entry in found))


def _server(text: str) -> tuple[str, int]:
    """Address and port of a DNS server, written ``address:port``; port 53 where none is written."""
    address, _, port = text.rpartition(":") if text.count(":") == 1 or "]" in text else (text, "", "53")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError:
        msg = f"[network] resolver {text!r}: write the address and port of a DNS server, as in 10.0.0.2:53"
        raise ProbeError(msg) from None


async def _ask_server(server: tuple[str, int], name: str, seconds: float) -> Resolution:
    """Ask one DNS server for IPv4 and IPv6 addresses."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server[0]], server[1]
    resolver.timeout, resolver.lifetime = seconds, seconds
    try:
        answers = await resolver.resolve_name(f"{name}.", lifetime=seconds)
    except dns.resolver.NXDOMAIN:
        return _no_name(name, "the name does not exist", "nxdomain")
    except dns.resolver.NoAnswer:
        return _no_name(name, "the name has no address", "no-address")
    except dns.resolver.NoNameservers:
        return _no_name(name, f"the resolver {server[0]}:{server[1]} could not answer", "servfail")
    except dns.exception.Timeout:
        return _no_name(
            name, f"the resolver {server[0]}:{server[1]} did not answer within {seconds:g} s", "timeout"
        )
    except (dns.exception.DNSException, OSError):
        return _no_name(
            name, f"the resolver {server[0]}:{server[1]} answered nonsense, or could not be asked", "error"
        )
    return _found(name, answers.addresses())


class Lookups:
    """Names to addresses: one question at a time per name, a good answer kept for thirty seconds.

    ``server`` None asks the system. Raises ProbeError when it is not an address and port.
    """

    def __init__(self, server: str | None, seconds: float, clock: Callable[[], float]) -> None:
        self._server = _server(server) if server else None
        self._seconds = seconds
        self._clock = clock
        self._asking: dict[str, asyncio.Task[Resolution]] = {}
        self._known: dict[str, tuple[float, Resolution]] = {}

    async def get(self, name: str) -> Resolution:
        """The name's addresses, known or asked for."""
        until, known = self._known.get(name, (0.0, None))
        return known if known and self._clock() < until else await self.ask(name)

    async def ask(self, name: str) -> Resolution:
        """Ask now, or join whoever is asking."""
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._ask(name))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(task)

    async def _ask(self, name: str) -> Resolution:
        with contextlib.suppress(ValueError):
            return Resolution(name=name, addresses=(str(ipaddress.ip_address(name)),))
        if self._server:
            resolution = await _ask_server(self._server, name, self._seconds)
        else:
            resolution = await _ask_system(name, self._seconds)
        if resolution.failure is None:
            self._known[name] = (self._clock() + _LOOKUP_S, resolution)
        return resolution

    async def aclose(self) -> None:
        """Ask no more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
