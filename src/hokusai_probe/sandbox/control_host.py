"""A host that is no part of the platform and always well, until a fault says otherwise.

A prober that cannot reach it either has no network of its own. The faults are those of the edge
``client->control-host``: what meets every connection closes the port or makes connects hang, the rest applies
to requests.
"""

import asyncio
import dataclasses
from pathlib import Path

from aiohttp import web

from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.faults import FaultTable, Seen
from hokusai_probe.sandbox.front import Front, Reach
from hokusai_probe.sandbox.wire import Answer, cut_off, edited, made_answer, relay, whole

EDGE = "client->control-host"

_SILENT_S = 120.0


class ControlHost:
    """The host.

    Args:
        ip: The address to listen on.
        host: Its host name.
        faults_path: The table of faults.
        time_scale: How many times faster than the platform; a fault's ``delay_s`` is divided by it.
        clock: The platform's; a scenario puts the prober's clock wrong and nobody else's.

    """

    def __init__(
        self, ip: str, host: str, faults_path: Path, time_scale: float, clock: PlatformClock | None = None
    ) -> None:
        self._host = host
        self._faults = FaultTable(faults_path)
        self._time_scale = time_scale
        self._clock = clock or PlatformClock()
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
            return await cut_off(request, silent_s=_SILENT_S if fault.drop else 0.0)
        await asyncio.sleep(effect.delay_s / self._time_scale)
        answer = self._dated(_own(request) if fault is None else made_answer(fault))
        try:
            return await relay(request, await edited(answer, effect.edits))
        except ConnectionError:
            return await cut_off(request)

    def _dated(self, answer: Answer) -> Answer:
        """The answer with the true time, unless a fault gave it another."""
        if "Date" in answer.headers:
            return answer
        return dataclasses.replace(answer, headers=self._clock.dated(answer.headers))


def _seen(request: web.BaseRequest) -> Seen:
    return Seen(
        host=request.host.partition(":")[0],
        path=request.rel_url.raw_path,
        method=request.method,
        query=dict(request.rel_url.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body_bytes=request.content_length or 0,
    )


def _own(request: web.BaseRequest) -> Answer:
    status, body = (200, b"ok") if request.rel_url.path == "/" else (404, b"Not Found")
    return whole(status, {"Content-Type": "text/plain", "Content-Length": str(len(body))}, body)
