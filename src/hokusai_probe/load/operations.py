"""What a load consists of: reads, registrations and transfers, and what they leave to remove."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from hokusai_probe.http import Answer
from hokusai_probe.load.clearing import Broom, Cleared, Thing, clear, undecided
from hokusai_probe.load.driving import Result
from hokusai_probe.load.plan import Kind, Start
from hokusai_probe.looking import Entry, Journal, Look
from hokusai_probe.probes._mlflow_rest import Rest, new_name
from hokusai_probe.probes._removal import Made, Removal
from hokusai_probe.probes.model_registration import Registrar

SEED_FILE = "seed.bin"


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
    _registrations: list[_Registration] = field(default_factory=list)
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
            registrar = Registrar(self.look, self.prefix)
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
        registration = _Registration(self.look, self.clearing, self.prefix, self.experiment_id)
        self._registrations.append(registration)
        return await registration.carried_out()

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

    async def clear(self, seconds: float, settling_s: float) -> Cleared:
        """Remove everything within so many seconds, and look afterwards whether it is gone.

        ``settling_s``: for how long a creation that nobody answered may be carried out yet.
        """
        things: list[Thing] = [*self._registrations, *([self._folder] if self._folder else [])]
        return await clear(things, seconds, settling_s)


class _BadAnswer(Exception):  # noqa: N818 - ends one registration
    """An earlier request was not answered as it should be: nothing more is sent."""


class _Strict(Rest):
    """Requests one after the other, until one is not answered well: ``bad`` is that answer, and the last."""

    bad: Answer | None = None

    async def call(
        self, method: str, call: str, json: JsonValue = None, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """One call of the REST API. Raises _BadAnswer after a bad one."""
        return await self._judged(super().call(method, call, json, query))

    async def store(
        self, method: str, path: str, content: bytes | None = None, most: int | None = None
    ) -> Answer:
        """One request to the artifact store. Raises _BadAnswer after a bad one."""
        return await self._judged(super().store(method, path, content, most))

    async def _judged(self, asking: Coroutine[object, object, Answer]) -> Answer:
        if self.bad is not None:
            asking.close()
            raise _BadAnswer
        answer = await asking
        if not _well(answer):
            self.bad = answer
        return answer


class _Registration(Registrar):
    """One registration of a load, which ends at the first bad answer, and what removes it again."""

    def __init__(self, look: Look, clearing: Look, prefix: str, experiment_id: str | None) -> None:
        super().__init__(replace(look, journal=Journal()), prefix)
        self.rest = self._strict = _Strict(look, prefix)
        self.made.experiment_id = experiment_id
        self._broom = Broom(clearing, prefix, self.unsure)
        self.removal = Removal(self._broom, self.made)

    async def carried_out(self) -> Result:
        """Run, artifact and model with two versions, and what they came to."""
        for stage in (self.run, self.artifact, self.model):
            with suppress(_BadAnswer):
                await stage()
            if self._strict.bad is not None:
                return _result(self._strict.bad)
            if self.made.run_id is None:
                return Result(200, "incomplete")
        return Result(200)

    def unsure(self) -> frozenset[str]:
        """Kinds of things that may come into being yet."""
        met = self._broom.met | ({"artifact"} if self._broom.files else set())
        asked = {"run": "run", "artifact": "upload", "registered model": "model"}
        begun = {entry.kind for entry in self.journal.entries()} - met
        return frozenset(kind for kind in begun if undecided(self.seen.get(asked[kind])))

    async def left_behind(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """What a look afterwards still finds."""
        if self.made.run_id is None and entries:
            await self.removal.delete_run()  # one that was made after we asked for it: nobody has its id
        return await super().left_behind(entries)


class _Folder:
    """The one folder of the artifact store that transfers use."""

    def __init__(self, look: Look, clearing: Look, prefix: str) -> None:
        name = new_name(look.run_id)
        self._rest = Rest(look, prefix)
        self._made = Made(name, stored_in=name, not_made={"run", "registered model"})
        self._broom = Broom(clearing, prefix, self.unsure)
        self.removal = Removal(self._broom, self._made)
        self._unanswered: set[str] = set()
        self.journal = Journal()
        self.journal.will_create("artifact", name, self.removal.delete_artifact)

    async def put(self, name: str, content: bytes) -> Answer:
        """Store a file."""
        self._unanswered.add(name)
        answer = await self._rest.store("PUT", f"{self._made.folder}/{name}", content)
        if not undecided(answer):
            self._unanswered.discard(name)
        return answer

    async def get(self, name: str, size: int) -> Answer:
        """Fetch one of that size."""
        return await self._rest.store("GET", f"{self._made.folder}/{name}", most=size + 1)

    def unsure(self) -> frozenset[str]:
        """The folder, where a file that nobody has seen may come into it yet."""
        return frozenset({"artifact"} if self._unanswered - self._broom.files else ())

    async def left_behind(self, _: tuple[Entry, ...]) -> tuple[str, ...]:
        """What a look afterwards still finds."""
        return await self.removal.left_behind()


def _well(answer: Answer) -> bool:
    return answer.answered and 200 <= (answer.status or 0) < 300


def _result(answer: Answer) -> Result:
    return Result(answer.status, answer.failure.kind if answer.failure is not None else None)
