"""The journal: what was created is removed, newest first, whatever the platform does."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hokusai_probe.errors import ProbeError
from hokusai_probe.looking import PAUSES_S, Entry, Journal


def undo(
    log: list[str], name: str, gone: object = True, *, seconds: float = 0
) -> Callable[[], Awaitable[bool]]:
    """Removes by writing its name down; ``gone`` is what it returns or raises."""

    async def remove() -> bool:
        await asyncio.sleep(seconds)
        log.append(name)
        if isinstance(gone, Exception):
            raise gone
        return bool(gone)

    return remove


def entry(name: str, removed: bool | None = None) -> Entry:
    """An entry of kind run."""
    return Entry(kind="run", name=name, removed=removed)


def journal(log: list[str], **undoes: object) -> Journal:
    """A journal of named things with what their removal comes to."""
    found = Journal()
    for name, gone in undoes.items():
        found.will_create("run", name, undo(log, name, gone))
    return found


def test_undo_removes_newest_first_and_says_what_stayed() -> None:
    """A version goes before its model; what the platform would not remove says so."""
    log: list[str] = []
    found = asyncio.run(journal(log, experiment=True, model=False, version=True).undo(1))
    assert found == (
        entry("version", removed=True),
        entry("model", removed=False),
        entry("experiment", removed=True),
    )
    assert log == ["version", "model", "experiment", *["model"] * len(PAUSES_S)]


def test_what_fails_now_and_then_is_removed_in_the_end() -> None:
    """A platform that refuses every second request keeps nothing."""
    log: list[str] = []
    refusals = {"b": 1, "a": 2}
    found = Journal()

    def sometimes(name: str) -> Callable[[], Awaitable[bool]]:
        async def remove() -> bool:
            log.append(name)
            refusals[name] -= 1
            return refusals[name] < 0

        return remove

    for name in ("a", "b"):
        found.will_create("run", name, sometimes(name))
    assert asyncio.run(found.undo(5)) == (entry("b", removed=True), entry("a", removed=True))
    assert log == ["b", "a", "b", "a", "a"]


def test_nothing_is_tried_again_when_time_is_up() -> None:
    """A run that is cut short has seconds, and pauses count."""
    log: list[str] = []
    assert asyncio.run(journal(log, a=False).undo(PAUSES_S[0] / 2)) == (entry("a", removed=False),)
    assert log == ["a"]


def test_a_second_undo_has_nothing_to_do() -> None:
    """What is removed or given up stays so, and is still listed."""
    log: list[str] = []

    async def twice() -> tuple[Entry, ...]:
        found = journal(log, a=True, b=False)
        first = await found.undo(1)
        assert await found.undo(1) == first
        return first

    asyncio.run(twice())
    assert log == ["b", "a", *["b"] * len(PAUSES_S)]


@pytest.mark.parametrize("mistake", [KeyError("run_id"), ProbeError("the budget is used up"), OSError("x")])
def test_an_undo_that_raises_stops_no_other(mistake: Exception) -> None:
    """Neither a budget that is used up nor an author's mistake keeps the rest from being removed."""
    log: list[str] = []
    found = asyncio.run(journal(log, a=True, b=mistake, c=True).undo(1))
    assert found == (entry("c", removed=True), entry("b", removed=False), entry("a", removed=True))


def test_an_undo_has_until_the_deadline() -> None:
    """One that hangs costs the time there is; the others still get their short turn."""
    log: list[str] = []
    found = journal(log, quick=True)
    found.will_create("run", "slow", undo(log, "slow", seconds=5))
    assert asyncio.run(found.undo(0.05)) == (entry("slow", removed=False), entry("quick", removed=True))
    assert log == ["quick"]


def test_an_undo_that_was_cut_short_is_tried_again() -> None:
    """A look cancelled in the middle of removing leaves the entry for the run's own undo."""
    log: list[str] = []

    async def cut_short() -> tuple[Entry, ...]:
        found = Journal()
        found.will_create("run", "x", undo(log, "x", seconds=0.05))
        first = asyncio.create_task(found.undo(5))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert found.entries() == (entry("x"),)
        return await found.undo(5)

    assert asyncio.run(cut_short()) == (entry("x", removed=True),)
    assert log == ["x"]


def test_entries_are_listed_oldest_first_also_half_undone() -> None:
    """What was noted first comes first, removed or not."""
    log: list[str] = []

    async def half() -> tuple[Entry, ...]:
        found, reached = Journal(), asyncio.Event()

        async def hangs() -> bool:
            reached.set()
            await asyncio.sleep(5)
            return True

        found.will_create("run", "old", hangs)
        found.will_create("run", "new", undo(log, "new"))
        task = asyncio.create_task(found.undo(5))
        await reached.wait()
        entries = found.entries()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return entries

    assert asyncio.run(half()) == (entry("old"), entry("new", removed=True))
