"""A host that is no part of the platform and always well, until a fault says otherwise.

A prober that cannot reach it either has no network of its own. The faults are those of the edge
``client->control-host``: what meets every connection closes the port or makes connects hang, the rest applies
to requests.
"""

import asyncio
import socket
import struct
from pathlib import Path

from aiohttp import web

from hokusai_probe.sandbox.faults import FaultTable, Seen
from hokusai_probe.sandbox.front import Front, Reach
from hokusai_probe.sandbox.wire import Answer, edited, made_answer, whole

EDGE = "client->control-host"

_RESET = struct.pack("ii", 1, 0)  # closing then sends RST, not FIN


class ControlHost:
    """The host.

    Args:
        ip: The address to listen on.
        host: Its host name.
        faults_path: The table of faults.
        time_scale: How many times faster than the platform; a fault's ``delay_s`` is divided by it.

    """

    def __init__(self, ip: str, host: str, faults_path: Path, time_scale: float) -> None:
        self._host = host
        self._faults = FaultTable(faults_path)
        self._time_scale = time_scale
        self._front = Front(ip, "", 0)

    async def start(self) -> str:
        """Listen on a port that the system picks.

        Returns:
            The host's URL.

        Raises:
            OSError: The address cannot be bound.

        """
        await self._front.start(web.Server(self._answer), None)
        return f"http://{self._host}:{self._front.port}"

    async def refresh(self) -> None:
        """Follow the fault table: open, refusing, or a black hole, on the same port all along."""
        await self._front.show(self._reach())

    def _reach(self) -> Reach:
        standing = self._faults.standing(EDGE, self._host)
        if standing is None:
            return "open"
        return "dropped" if standing.drop else "refused"

    async def close(self) -> None:
        """Stop listening."""
        await self._front.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        effect = self._faults.effect(EDGE, _seen(request))
        fault = effect.answer
        if fault is not None and fault.status is None:
            return await _cut_off(request, silent=fault.drop)
        await asyncio.sleep(effect.delay_s / self._time_scale)
        answer = await edited(_own(request) if fault is None else made_answer(fault), effect.edits)
        return web.Response(status=answer.status, headers=answer.headers, body=await answer.read())


def _seen(request: web.BaseRequest) -> Seen:
    return Seen(
        host=request.host.partition(":")[0],
        path=request.rel_url.raw_path,
        method=request.method,
        query=dict(request.rel_url.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body_bytes=request.content_length or 0,
    )


async def _cut_off(request: web.BaseRequest, *, silent: bool) -> web.StreamResponse:
    """No answer at all: silence until the client goes away, or the connection reset."""
    if silent:
        await asyncio.Event().wait()
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response(status=500)  # never arrives: the connection is gone


def _own(request: web.BaseRequest) -> Answer:
    if request.rel_url.path == "/":
        return whole(200, {"Content-Type": "text/plain"}, b"ok")
    return whole(404, {"Content-Type": "text/plain"}, b"Not Found")
