"""The sockets of a load balancer's listener: open, refusing, or a black hole, on the same port all along.

A listener has two addresses. The outer one is for the client; the inner one for the sandbox's own parts,
which reach the load balancer when the client cannot: another security group rule may admit them, and faults
between client and load balancer are not theirs.
"""

import ssl
from contextlib import suppress
from socket import socket
from typing import Literal

from aiohttp import web

from hokusai_probe.sandbox.blackhole import BlackHole, held

Reach = Literal["open", "refused", "dropped"]
"""What a connect to the outer address comes to."""

_PORTS_TRIED = 20


class Front:
    """One listener's sockets.

    Args:
        outer: The address for the client.
        inner: The address for the sandbox's own parts; empty: there is none.
        port: The port on both; 0: the system picks one.

    """

    def __init__(self, outer: str, inner: str, port: int) -> None:
        self._outer = outer
        self._inner = inner
        self.port = port
        self.reach: Reach = "open"
        self._runner: web.ServerRunner | None = None
        self._tls: ssl.SSLContext | None = None
        self._site: web.TCPSite | None = None
        self._hole = BlackHole()
        self._held: socket | None = None

    async def start(self, server: web.Server, tls: ssl.SSLContext | None) -> None:
        """Serve on both addresses.

        Raises:
            OSError: No port is free on both, or the one asked for is taken.

        """
        self._tls = tls
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        for _ in range(1 if self.port else _PORTS_TRIED):
            with suppress(OSError):  # the port that the system picked may be taken on the other address
                await self._bind(self._runner)
                return
        await self._bind(self._runner)

    async def _bind(self, runner: web.ServerRunner) -> None:
        site = web.TCPSite(runner, self._outer, self.port, ssl_context=self._tls)
        await site.start()
        port: int = self.port or runner.addresses[0][1]
        try:
            if self._inner:
                await web.TCPSite(runner, self._inner, port, ssl_context=self._tls).start()
        except OSError:
            await site.stop()
            raise
        self.port, self._site = port, site

    async def show(self, reach: Reach) -> None:
        """Let the outer address be reached like this from now on. Connections that stand go on."""
        if reach == self.reach:
            return
        await self._shut()
        self.reach = reach
        if reach == "dropped":
            self._hole.open(self._outer, self.port)
        elif reach == "refused":
            self._held = held(self._outer, self.port)
        elif self._runner is not None:
            self._site = web.TCPSite(self._runner, self._outer, self.port, ssl_context=self._tls)
            await self._site.start()

    async def close(self) -> None:
        """Close every socket and connection."""
        await self._shut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _shut(self) -> None:
        self._hole.close()
        if self._held is not None:
            self._held.close()
            self._held = None
        if self._site is not None:
            await self._site.stop()
            self._site = None
