"""What a load leaves off at, and what it removes: also what comes into being after nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from _loads import UNKNOWN, WELL, recorded, sample, target
from _servers import Server, http, json_answer, serving

from hokusai_probe.http import HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.load import clearing, judge
from hokusai_probe.load.driving import Result
from hokusai_probe.load.operations import Operations
from hokusai_probe.load.plan import Kind, Start
from hokusai_probe.looking import Entry, Look
from hokusai_probe.redact import Redactor

RUN = json_answer('{"run": {"info": {"run_id": "r1", "lifecycle_stage": "deleted"}}}')
KINDS = ("registered model", "artifact", "run")


@dataclass(slots=True)
class Registry:
    """One that holds one model at most. ``bad``: calls that it answers otherwise, by a part of their path.

    The model is made ``late_s`` seconds after it was asked for, and that is never answered; 0: at once.
    """

    bad: dict[bytes, bytes]
    late_s: float | None = 0.0
    model: bool = False
    waits: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, writer: asyncio.StreamWriter, head: bytes) -> None:
        """Answer one request."""
        path = head.split()[1]
        if b"registered-models/create" in path and self.late_s != 0.0:
            await self._later()
            return
        writer.write(next((said for part, said in self.bad.items() if part in path), self._answer(path)))
        await writer.drain()

    def _answer(self, path: bytes) -> bytes:
        if b"registered-models/create" in path:
            self.model = True
        elif b"registered-models/" in path:
            there, self.model = self.model, self.model and b"delete" not in path
            return WELL if there else UNKNOWN
        return RUN if b"/runs/" in path else WELL

    async def _later(self) -> None:
        self.waits.set()
        if self.late_s is not None:
            await asyncio.sleep(self.late_s)
            self.model = True
        await asyncio.sleep(5)


Acts = Callable[[Operations], Awaitable[None]]


def with_operations(registry: Registry, act: Acts) -> Sequence[bytes]:
    """Do something with the operations of a load; the calls that the registry got, in order."""

    async def run() -> Server:
        async with serving(registry) as server:
            chosen, keys = target(server.port), Keys.read(target(1).key, {})
            async with HttpDoor(chosen, keys, Redactor()) as door:
                look = Look.new(chosen, door, None, keys, "0a1b2c3d")
                await act(Operations.new(look, look, "", 100))
            return server

    heads = asyncio.run(run()).heads
    return [b"/".join(head.split()[1].partition(b"?")[0].split(b"/")[-2:]) for head in heads]


def came_to(registry: Registry, kind: Kind = "registration") -> tuple[Result, Sequence[bytes]]:
    """What one operation came to, and the calls of it."""
    found: list[Result] = []

    async def act(operations: Operations) -> None:
        found.append(await operations.carry_out(Start(0.0, kind, 0)))

    calls = with_operations(registry, act)
    return found[0], calls


@pytest.mark.parametrize(
    ("part", "status", "calls"),
    [
        (b"runs/create", 500, [b"runs/create"]),
        (b"runs/log-batch", 404, [b"runs/create", b"runs/log-batch"]),
        (b"runs/update", 429, [b"runs/create", b"runs/log-batch", b"runs/update"]),
    ],
)
def test_a_registration_ends_at_its_first_bad_answer(part: bytes, status: int, calls: list[bytes]) -> None:
    """Whichever request it is to: nothing more is sent, and its status is what the rules see."""
    assert came_to(Registry({part: http(f"{status} No")})) == (Result(status), calls)


def test_a_registration_that_is_well_is_nine_requests() -> None:
    """The same registry, with nothing bad about it."""
    result, calls = came_to(Registry({}))
    assert (result, len(calls)) == (Result(200), 9)


@pytest.mark.parametrize(
    ("late_s", "removed", "says"),
    [(0.0, True, []), (0.4, True, []), (None, None, ["was ever made was not seen: its creation was not"])],
)
def test_what_nobody_answered_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, late_s: float | None, removed: bool | None, says: list[str]
) -> None:
    """A model that is made after its request was given up is removed; one never seen is not called gone."""
    monkeypatch.setattr(clearing, "_SETTLING_S", 0.05)
    registry, cleared = Registry({}, late_s), clearing.Cleared()

    async def act(operations: Operations) -> None:
        nonlocal cleared
        work = asyncio.create_task(operations.carry_out(Start(0.0, "registration", 0)))
        given_up = asyncio.create_task(registry.waits.wait())
        await asyncio.wait({work, given_up}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        given_up.cancel()
        cleared = await operations.clear(5.0, 0.5)

    with_operations(registry, act)
    assert not registry.model
    assert [(entry.kind, entry.removed) for entry in cleared.entries] == list(
        zip(KINDS, (removed, True, True), strict=True)
    )
    assert len(cleared.left) == len(says)
    assert all(said in left for said, left in zip(says, cleared.left, strict=True))


def test_what_was_never_seen_is_no_pass() -> None:
    """It is said as what it is: neither gone nor still there."""
    entry = Entry(kind="registered model", name="hkprobe-x")
    said = clearing._never_seen(entry)
    judged = judge(recorded([sample(n / 10) for n in range(100)], created=(entry,), left=(said,)))
    assert [f.sentence for f in judged.findings if f.slug == "nothing-is-left"] == [
        "whether the registered model hkprobe-x was ever made was not seen: its creation was not answered"
    ]
    assert judged.exit_code == 3
