"""A door to the control plane: an HTTP reverse proxy on an address of its own, with the faults of one edge.

What a fault refuses or drops for every connection, the door's socket refuses or drops; what it does to some
requests, it does to them. Then the gate may answer in the name of AWS, and what is left goes on to moto. The
Date of every answer is the platform's.
"""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web

from hokusai_probe.sandbox.aws_calls import ErrorAnswer, host_of, scope_of
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.faults import Edit, FaultTable
from hokusai_probe.sandbox.front import Front, Reach
from hokusai_probe.sandbox.wire import (
    Answer,
    Outgoing,
    Timeouts,
    Wire,
    WireError,
    cut_off,
    edited,
    end_to_end,
    made_answer,
    relay,
    seen_by_faults,
    whole,
)

_NO_EDGE, _NO_RESOLVER = "", ("", 0)
_TIMEOUTS = Timeouts(connect_s=5.0, answer_s=120.0)
_LONGEST_S = 120.0


class Gate(Protocol):
    """What AWS answers itself, before and after a request reaches moto."""

    def refuse(self, request: Outgoing) -> ErrorAnswer | None:
        """The answer to a request that does not get in; None: it does."""
        ...

    def instead(self, request: Outgoing, status: int) -> ErrorAnswer | None:
        """The answer in the place of moto's, judged by its status; None: moto's stays."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a door is, and where it leads.

    Attributes:
        ip: The address; the port is the system's choice.
        upstream: The control plane's URL.
        faults: The table of faults.
        time_scale: How many times faster than the platform.
        clock: The platform's.

    """

    ip: str
    upstream: str
    faults: Path
    time_scale: float
    clock: PlatformClock


class Door:
    """A door.

    Args:
        edge: The edge whose faults apply.
        place: Where it is.
        gate: What AWS answers itself.

    """

    def __init__(self, edge: str, place: Place, gate: Gate) -> None:
        self._edge = edge
        self._place = place
        self._faults = FaultTable(place.faults)
        self._gate = gate
        self._wire = Wire(self._faults, _NO_RESOLVER, place.time_scale)
        self._front = Front(place.ip, "", 0)

    async def start(self) -> str:
        """Serve; returns the URL."""
        server = web.Server(self._handle, access_log=None, max_line_size=65536, max_field_size=65536)
        await self._front.start(server, None)
        return f"http://{self._place.ip}:{self._front.port}"

    async def refresh(self) -> None:
        """Let the door be reached as faults and everything else say at this moment."""
        await self._front.show(self.reach())

    async def close(self) -> None:
        """Close every socket and connection."""
        await self._front.close()
        await self._wire.close()

    def reach(self) -> Reach:
        """What a connect comes to."""
        fault = self._faults.standing(self._edge)
        if fault is None:
            return "open"
        return "dropped" if fault.drop else "refused"

    def answers(self) -> bool:
        """Whether whoever connects is answered at all."""
        return True

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        outgoing = await _outgoing(request, self._place.upstream)
        seen = dataclasses.replace(seen_by_faults(outgoing), host=_aws_host(outgoing))
        effect = self._faults.effect(self._edge, seen)
        do = effect.answer
        if not self.answers() or (do is not None and do.drop):
            return await cut_off(request, silent_s=_LONGEST_S)
        if do is not None and (do.refuse or do.reset):
            return await cut_off(request)
        delay_s = effect.delay_s / self._place.time_scale
        if do is not None:
            return await self._relay(request, made_answer(do), delay_s, effect.edits)
        refused = self._gate.refuse(outgoing)
        if refused is not None:
            return await self._relay(request, _answer(refused), delay_s, effect.edits)
        return await self._pass_on(request, outgoing, delay_s, effect.edits)

    async def _pass_on(
        self, request: web.BaseRequest, outgoing: Outgoing, delay_s: float, edits: Sequence[Edit]
    ) -> web.StreamResponse:
        try:
            async with self._wire.send(_NO_EDGE, outgoing, _TIMEOUTS) as answer:
                other = self._gate.instead(outgoing, answer.status)
                return await self._relay(request, _answer(other) if other else answer, delay_s, edits)
        except WireError:
            return await cut_off(request)

    async def _relay(
        self, request: web.BaseRequest, answer: Answer, delay_s: float, edits: Sequence[Edit]
    ) -> web.StreamResponse:
        """Pass an answer on as it comes in."""
        await asyncio.sleep(delay_s)
        dated = dataclasses.replace(answer, headers=self._place.clock.dated(answer.headers))
        answer = await edited(dated, edits)
        try:
            return await relay(request, answer)
        except ConnectionError:
            return await cut_off(request)


async def _outgoing(request: web.BaseRequest, upstream: str) -> Outgoing:
    """The request as it goes on; whoever waits for a 100 before sending the body gets one."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return Outgoing(
        method=request.method,
        url=f"{upstream}{request.raw_path}",
        headers=end_to_end(list(request.headers.items())),
        body=request.content.iter_any() if request.body_exists else None,
    )


def _aws_host(outgoing: Outgoing) -> str:
    scope = scope_of(outgoing.header("authorization"))
    return host_of(scope) if scope else ""


def _answer(error: ErrorAnswer) -> Answer:
    headers: Mapping[str, str] = {**error.headers, "Content-Length": str(len(error.body))}
    return whole(error.status, headers, error.body)
