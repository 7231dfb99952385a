"""The open loop by itself: no start that was due is forgotten, and no mistake of ours becomes an answer."""

import asyncio

import pytest

from hokusai_probe.load.driving import Drive, Result
from hokusai_probe.load.plan import Start
from hokusai_probe.load.stopping import tripped


@pytest.mark.parametrize("cancelled_at_s", [0.0, 0.05])
def test_no_start_that_was_due_is_forgotten(cancelled_at_s: float) -> None:
    """Neither one that was under way nor one that waited when it was cancelled."""

    async def run() -> Drive:
        async def act(_: Start) -> Result:
            await asyncio.sleep(5)
            return Result(200)

        drive = Drive(act, lambda _: None, at_once=2, seconds=9, deadline_s=9)
        work = asyncio.create_task(drive.run([Start(0, "search", 0)] * 3))
        await asyncio.sleep(cancelled_at_s)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return drive

    assert [(s.failure, s.missed) for s in asyncio.run(run()).samples] == [
        ("cut-short", True), ("cut-short", False), ("cut-short", False),
    ]  # fmt: skip


def test_a_start_that_is_cut_short_before_it_began_is_counted() -> None:
    """As when a place becomes free in the moment in which it all ends."""

    async def run() -> Drive:
        drive = Drive(asyncio.sleep, lambda _: None, at_once=1, seconds=9, deadline_s=9)  # type: ignore[arg-type]
        drive._due(Start(0, "search", 0))
        await drive._cut()
        return drive

    assert [s.failure for s in asyncio.run(run()).samples] == ["cut-short"]


def test_what_never_found_a_place_ends_no_load() -> None:
    """Nothing is sent any more by then: it is an error of a load that was carried out."""

    async def act(_: Start) -> Result:
        await asyncio.sleep(0.3)
        return Result(200)

    drive = Drive(act, lambda done: tripped(done, {}, 9.0), at_once=1, seconds=0.2, deadline_s=9)
    asyncio.run(drive.run([Start(0, "search", 0)] * 5))
    assert drive.trip is None
    assert sorted(s.failure or "" for s in drive.samples) == ["", *["never-sent"] * 4]


def test_a_start_that_waits_for_a_place_is_missed_and_no_lateness_of_ours() -> None:
    """Three at one moment where there is one place: one finds it, and only its lateness is our own doing."""

    async def act(_: Start) -> Result:
        await asyncio.sleep(0.01)
        return Result(200)

    drive = Drive(act, lambda _: None, at_once=1, seconds=0.2, deadline_s=9)
    asyncio.run(drive.run([Start(0, "search", 0)] * 3))
    assert [(s.ok, s.missed, s.own_lateness_s is None) for s in drive.samples] == [
        (True, False, False), (True, True, True), (True, True, True),
    ]  # fmt: skip


def test_a_mistake_of_ours_in_an_operation_is_no_answer_of_the_platform() -> None:
    """It ends the load and is raised, and the other operations are over then."""
    ended: list[str] = []

    async def act(start: Start) -> Result:
        if start.kind == "health":
            raise ZeroDivisionError
        try:
            await asyncio.sleep(5)
        finally:
            ended.append(start.kind)
        return Result(200)

    drive = Drive(act, lambda _: None, at_once=5, seconds=3, deadline_s=9)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(drive.run([Start(0, "search", 0), Start(0.05, "health", 0), Start(2, "search", 0)]))
    assert (ended, sorted(s.kind for s in drive.samples)) == (["search"], ["health", "search"])
    assert drive.duration_s < 1.5
