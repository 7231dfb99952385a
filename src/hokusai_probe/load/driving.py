"""Sending what was planned, when it was planned: the open loop. Knows no platform, only operations.

Nothing waits for an answer but for a place among those that may be under way at once. A start for which
there is none when it is due waits in a line, is marked as missed, and its time counts from when it was due.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hokusai_probe.errors import ProbeError
from hokusai_probe.load.plan import Start
from hokusai_probe.load.record import CUT_SHORT, NEVER_SENT, Sample
from hokusai_probe.load.stopping import Trip

DEADLINE = "deadline"


class Result(NamedTuple):
    """What an operation came to: the status that says most, and why there was no whole answer."""

    status: int | None
    failure: str | None = None


Operation = Callable[[Start], Awaitable[Result]]
Watch = Callable[[Sequence[Sample]], Trip | None]


@dataclass(slots=True)
class Drive:
    """One load under way. ``samples`` are in the order in which they ended.

    ``watch`` is asked after each answer whether to stop, and may say why; a ProbeError of an operation, which
    is trouble of ours, stops it too. An operation is given up after ``deadline_s``. After ``seconds`` nothing
    more is begun; what is under way then may end.
    """

    operation: Operation
    watch: Watch
    at_once: int
    seconds: float
    deadline_s: float
    samples: list[Sample] = field(default_factory=list)
    trip: Trip | None = None
    duration_s: float = 0.0
    _answered: list[Sample] = field(default_factory=list)
    _line: deque[Start] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: float = 0.0
    _broken: BaseException | None = None

    async def run(self, starts: Sequence[Start]) -> None:
        """Send all of it, or as much as ``watch`` lets be sent. Cancelled, it leaves nothing under way.

        Raises whatever an operation raised that is neither a TimeoutError nor a ProbeError.
        """
        self._begun = time.monotonic()
        try:
            for start in starts:
                await self._wait(start.at_s)
                if self._stopped.is_set():
                    break
                self._due(start)
            await self._wait(self.seconds)
            self._give_up_waiting()
            await self._ended()
        finally:
            await self._cut()
            self.duration_s = self._now()
        if self._broken is not None:
            raise self._broken

    def _now(self) -> float:
        return time.monotonic() - self._begun

    async def _wait(self, until_s: float) -> None:
        """Until so many seconds after the beginning, or until it must stop."""
        while not self._stopped.is_set() and self._now() < until_s:
            try:
                async with asyncio.timeout(until_s - self._now()):
                    await self._stopped.wait()
            except TimeoutError:
                return

    def _due(self, start: Start) -> None:
        if len(self._tasks) >= self.at_once:
            self._line.append(start)
        else:
            self._send(start, missed=False)

    def _send(self, start: Start, *, missed: bool) -> None:
        task = asyncio.create_task(self._one(start, missed=missed))
        self._tasks.add(task)
        task.add_done_callback(self._place_is_free)

    def _place_is_free(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()
            self._stopped.set()
        if self._line and not self._stopped.is_set() and self._now() < self.seconds:
            self._send(self._line.popleft(), missed=True)

    async def _one(self, start: Start, *, missed: bool) -> None:
        sent_s = self._now()
        result = Result(None, CUT_SHORT)
        try:
            async with asyncio.timeout(self.deadline_s):
                result = await self.operation(start)
        except TimeoutError:
            result = Result(None, DEADLINE)
        except ProbeError as trouble:
            self._stop(Trip(rule="ours", reason=str(trouble)))
        finally:
            self._ends(start, sent_s, result, missed=missed)

    def _ends(self, start: Start, sent_s: float | None, result: Result, *, missed: bool) -> None:
        sample = Sample(
            intended_s=round(start.at_s, 6),
            sent_s=None if sent_s is None else round(sent_s, 6),
            ended_s=round(self._now(), 6),
            kind=start.kind,
            stage=start.stage,
            status=result.status,
            failure=result.failure,
            missed=missed,
        )
        self.samples.append(sample)
        if sample.failure not in {CUT_SHORT, NEVER_SENT}:
            self._answered.append(sample)
            self._stop(self.watch(self._answered))

    def _stop(self, trip: Trip | None) -> None:
        """Begin nothing more where there is a reason; the first one counts."""
        if trip is not None and self.trip is None:
            self.trip = trip
            self._stopped.set()

    def _give_up_waiting(self) -> None:
        """What has found no place by now is never sent, and is not forgotten either."""
        while self._line:
            failure = CUT_SHORT if self._stopped.is_set() else NEVER_SENT
            self._ends(self._line.popleft(), None, Result(None, failure), missed=True)

    async def _ended(self) -> None:
        """Until all have ended, or it must stop."""
        stopped = asyncio.create_task(self._stopped.wait())
        while self._tasks and not self._stopped.is_set():
            await asyncio.wait({stopped, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    async def _cut(self) -> None:
        """End what is still under way."""
        self._stopped.set()
        self._give_up_waiting()
        under_way = tuple(self._tasks)
        await asyncio.sleep(0)  # one that is cancelled before it has begun leaves no sample
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
