"""What a load consists of: reads, registrations and transfers, and what they leave to remove."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from hokusai_probe.http import Answer, BudgetExhausted
from hokusai_probe.load.driving import Result
from hokusai_probe.load.plan import Kind, Start
from hokusai_probe.looking import Entry, Journal, Look
from hokusai_probe.probes._mlflow_rest import Rest, new_name
from hokusai_probe.probes._removal import Made, Removal
from hokusai_probe.probes.model_registration import Registrar

_REMOVED_AT_ONCE = 4
SEED_FILE = "seed.bin"


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was created, with whether it is gone again, and sentences about what a look afterwards found."""

    entries: tuple[Entry, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class Operations:
    """The operations of one load. Each registration and the one folder of artifacts has a journal of its own.

    ``look`` is what they go through, ``clearing`` what removes them again: a door with a budget of its own.
    """

    look: Look
    clearing: Look
    prefix: str
    artifact: bytes
    experiment_id: str | None = None
    _registrars: list[Registrar] = field(default_factory=list)
    _folder: _Folder | None = None
    _number: int = 0

    @classmethod
    def new(cls, look: Look, clearing: Look, prefix: str, artifact_bytes: int) -> Operations:
        """Operations with an artifact of that size, which does not compress."""
        return cls(look, clearing, prefix, random.Random(0).randbytes(artifact_bytes))  # noqa: S311 - no secret

    async def prepare(self, kinds: Iterable[Kind]) -> Answer | None:
        """Make what some kinds need: experiment, artifact to fetch. The answer that failed, or None."""
        wanted = set(kinds)
        asked: list[Answer] = []
        if "registration" in wanted:
            registrar = self._registrar()
            await registrar.experiment()
            self.experiment_id = registrar.made.experiment_id
            asked.append(registrar.seen["experiment"])
        if wanted & {"upload", "download"}:
            self._folder = _Folder(self.look, self.clearing, self.prefix)
            asked.append(await self._folder.put(SEED_FILE, self.artifact))
        return next((one for one in asked if not _well(one)), None)

    async def carry_out(self, start: Start) -> Result:
        """One operation, and what it came to."""
        return await self._carriers()[start.kind]()

    def _carriers(self) -> Mapping[Kind, Callable[[], Awaitable[Result]]]:
        return {
            "search": lambda: self._read("experiments/search"),
            "models": lambda: self._read("registered-models/search"),
            "health": self._health,
            "registration": self._register,
            "upload": self._upload,
            "download": self._download,
        }

    async def _read(self, call: str) -> Result:
        rest = Rest(self.look, self.prefix)
        return _result(await rest.call("GET", call, query=[("max_results", "1")]))

    async def _health(self) -> Result:
        return _result(await self.look.http.send("GET", "registry", "/health"))

    async def _register(self) -> Result:
        """Run, artifact, model and two versions, as the look at registering makes them."""
        registrar = self._registrar()
        registrar.made.experiment_id = self.experiment_id
        self._registrars.append(registrar)
        for stage in (registrar.run, registrar.artifact, registrar.model):
            await stage()
            failed = next((answer for answer in registrar.seen.values() if not _well(answer)), None)
            if failed is not None:
                return _result(failed)
            if registrar.made.run_id is None:
                return Result(200, "incomplete")
        return Result(200)

    def _registrar(self) -> Registrar:
        registrar = Registrar(replace(self.look, journal=Journal()), self.prefix)
        registrar.removal = Removal(Rest(self.clearing, self.prefix), registrar.made)
        return registrar

    async def _upload(self) -> Result:
        self._number += 1
        return _result(await self._of_folder().put(f"{self._number}.bin", self.artifact))

    async def _download(self) -> Result:
        answer = await self._of_folder().get(SEED_FILE, len(self.artifact))
        whole = answer.body_bytes == len(self.artifact)
        return _result(answer) if whole or not _well(answer) else Result(answer.status, "incomplete")

    def _of_folder(self) -> _Folder:
        assert self._folder is not None
        return self._folder

    async def clear(self, seconds: float) -> Cleared:
        """Remove everything within so many seconds, and look afterwards whether it is gone."""
        turns = asyncio.Semaphore(_REMOVED_AT_ONCE)
        end = asyncio.get_running_loop().time() + seconds

        async def one(thing: Registrar | _Folder) -> Cleared:
            async with turns:
                entries = await thing.journal.undo(max(end - asyncio.get_running_loop().time(), 0.1))
                return Cleared(entries, await _looked(thing, entries, end))

        things: list[Registrar | _Folder] = [*self._registrars, *([self._folder] if self._folder else [])]
        found = await asyncio.gather(*(one(thing) for thing in things))
        return Cleared(
            tuple(entry for cleared in found for entry in cleared.entries),
            tuple(sentence for cleared in found for sentence in cleared.left),
        )


class _Folder:
    """The one folder of the artifact store that transfers use."""

    def __init__(self, look: Look, clearing: Look, prefix: str) -> None:
        name = new_name(look.run_id)
        self._rest = Rest(look, prefix)
        self._made = Made(name, stored_in=name, not_made={"run", "registered model"})
        self._removal = Removal(Rest(clearing, prefix), self._made)
        self.journal = Journal()
        self.journal.will_create("artifact", name, self._removal.delete_artifact)

    async def put(self, name: str, content: bytes) -> Answer:
        """Store a file."""
        return await self._rest.store("PUT", f"{self._made.folder}/{name}", content)

    async def get(self, name: str, size: int) -> Answer:
        """Fetch one of that size."""
        return await self._rest.store("GET", f"{self._made.folder}/{name}", most=size + 1)

    async def left_behind(self, _: tuple[Entry, ...]) -> tuple[str, ...]:
        """What a look afterwards still finds."""
        return await self._removal.left_behind()


async def _looked(thing: Registrar | _Folder, entries: tuple[Entry, ...], end: float) -> tuple[str, ...]:
    """What is still there; where the time is over, what was not removed, unseen."""
    unseen = tuple(f"the {entry.kind} {entry.name} was not removed" for entry in entries if not entry.removed)
    try:
        async with asyncio.timeout_at(end):
            if isinstance(thing, Registrar) and thing.made.run_id is None and entries:
                await thing.removal.delete_run()  # one that was made after we asked for it: nobody has its id
            return await thing.left_behind(entries)
    except (TimeoutError, BudgetExhausted):
        return unseen or tuple(
            f"whether the {entry.kind} {entry.name} is gone was not seen" for entry in entries
        )


def _well(answer: Answer) -> bool:
    return answer.answered and 200 <= (answer.status or 0) < 300


def _result(answer: Answer) -> Result:
    return Result(answer.status, answer.failure.kind if answer.failure is not None else None)
