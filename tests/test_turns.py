"""Only so many at once, and whoever others wait for before the rest."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.turns import AHEAD, Turns


@dataclass(frozen=True)
class Visitor:
    """How long it stays once it is in, whether it goes ahead, and at which moment it is cancelled."""

    stays: int = 1
    ahead: bool = False
    cancelled: int | None = None


@dataclass
class Visited:
    """Who was inside: how many at once at most, and who left again of itself, in this order."""

    turns: Turns
    inside: int = 0
    most: int = 0
    left: list[int] = field(default_factory=list)

    async def visit(self, number: int, stays: int) -> None:
        async with self.turns:
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                for _ in range(stays):
                    await asyncio.sleep(0)
            finally:
                self.inside -= 1
            self.left.append(number)

    def come(self, visitors: Iterable[Visitor]) -> list[asyncio.Task[None]]:
        tasks = []
        for number, one in enumerate(visitors):
            AHEAD.set(one.ahead)
            tasks.append(asyncio.create_task(self.visit(number, one.stays)))
        return tasks


def test_who_goes_ahead_goes_first_and_the_rest_as_they_came() -> None:
    """With one turn at a time the order is that of those ahead, then that of the others."""
    seen = Visited(Turns(1))

    async def everybody() -> None:
        async with seen.turns:
            tasks = seen.come(Visitor(ahead=ahead) for ahead in (False, True, False, True))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(everybody())

    assert seen.left == [1, 3, 0, 2]


VISITORS = st.builds(Visitor, st.integers(0, 3), st.booleans(), st.none() | st.integers(0, 6))


@given(st.integers(1, 4), st.lists(VISITORS, max_size=12))
def test_never_too_many_and_nobody_is_forgotten(at_once: int, visitors: list[Visitor]) -> None:
    """However long each stays and whoever is cancelled: at most so many, and every turn comes back."""
    seen = Visited(Turns(at_once))

    async def everybody() -> None:
        tasks = seen.come(visitors)
        for moment in range(7):
            await asyncio.sleep(0)
            for task in (t for t, v in zip(tasks, visitors, strict=True) if v.cancelled == moment):
                task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for _ in range(at_once):
            await asyncio.wait_for(seen.turns.__aenter__(), 1)

    asyncio.run(everybody())

    assert seen.most <= at_once
    assert {n for n, v in enumerate(visitors) if v.cancelled is None} <= {*seen.left}
