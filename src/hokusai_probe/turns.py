"""Whose turn it is where only so many may go at once: who goes ahead, then who came first.

A look on which many others wait keeps them all waiting while its request stands behind theirs.
"""

from __future__ import annotations

import asyncio
import heapq
from contextvars import ContextVar
from itertools import count

AHEAD: ContextVar[bool] = ContextVar("ahead", default=False)
"""Whether what is done here goes ahead of the rest; whoever starts a task says so before."""


class Turns:
    """Lets ``at_once`` blocks of ``async with`` run at a time, in one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._arrivals = count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not AHEAD.get(), next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had come to us, and we are gone
                self._hand_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
