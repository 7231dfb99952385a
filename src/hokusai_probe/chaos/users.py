"""Users at work: reads, registrations and artifacts over real HTTP, a few requests a second.

Each use begins at its intended moment, whatever became of those before it, and its time counts from there: a
platform that stalls does not slow the users down, it makes them fail. Every few seconds others come, who look
up the name, connect and shake hands anew. What the platform acknowledges is written down, to be looked for
when all is over.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pydantic import JsonValue

from hokusai_probe.chaos.experiment import UserKind
from hokusai_probe.chaos.facts import Fate, Kept, ThingKind, Uploaded, Used
from hokusai_probe.errors import ProbeError
from hokusai_probe.http import Answer, HttpDoor
from hokusai_probe.keys import Keys, secrets_in
from hokusai_probe.model import Budget, Target
from hokusai_probe.probes._mlflow_rest import REST, STORE, dig, is_unknown
from hokusai_probe.redact import Redactor

EVERY_S: Mapping[UserKind, float] = {"read": 0.5, "register": 2.0, "transfer": 1.5}
DEADLINE_S = 10.0
"""What has not worked after so many seconds has failed.

Longer than the platform itself waits for anything (the proxy for MLflow: 6 s in the sandbox), so that users
hear what it has to say.
"""
ARTIFACT_BYTES = 32 * 1024
SESSION_S = 3.0
"""How long one user goes on; short enough that uses that hang do not wait for one another at the door."""
_UPLOAD_S = 60.0
_MARGIN_S = 1.0
_AT_ONCE = 4
_TRIES, _PAUSE_S = 3, 0.5
_LARGEST_BYTES = 300 * 1024 * 1024
_MUCH = Budget(requests=1_000_000, bytes=2**40)


class _FailedError(ProbeError):
    """A use did not work; the text says at which request and how."""


@dataclass(frozen=True, slots=True)
class Thing:
    """What a user made: its kind, name, what proves that it is the same, and when it was acknowledged.

    ``proof``: of a run its name, of a model version the id of its run, of an artifact its SHA-256.
    ``at_s``: None where the platform did not acknowledge it.
    """

    kind: ThingKind
    name: str
    proof: str
    at_s: float | None


@dataclass(slots=True)
class Users:
    """All users of one experiment.

    Args:
        target: Whose registry host they use.
        environment: Where their key is.
        now: Seconds since the experiment began.

    """

    target: Target
    environment: Mapping[str, str]
    now: Callable[[], float]
    used: list[Used] = field(default_factory=list)
    uploads: list[Uploaded] = field(default_factory=list)
    things: dict[str, Thing] = field(default_factory=dict)
    _tag: str = field(default_factory=lambda: secrets.token_hex(4))
    _count: int = 0
    _under_way: dict[asyncio.Task[Used], float] = field(default_factory=dict)

    @asynccontextmanager
    async def door(self) -> AsyncIterator[HttpDoor]:
        """A door of its own, which knows no address and has no connection yet."""
        redactor = Redactor(secrets_in(self.target.key, self.environment))
        target = self.target.model_copy(update={"budget": _MUCH})
        async with HttpDoor(target, Keys.read(target.key, self.environment), redactor) as door:
            yield door

    async def work(self) -> None:
        """Use the platform until cancelled; what is under way then comes to its own end, good or bad.

        Whoever left out the uses that hang at the end would count those that were quick alone.
        """
        async with AsyncExitStack() as doors:
            try:
                await asyncio.gather(*(self._again_and_again(kind, doors) for kind in EVERY_S))
            finally:
                await self._end_what_is_under_way()

    async def _end_what_is_under_way(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DEADLINE_S + _MARGIN_S)

    def are_through(self, before: float) -> bool:
        """Whether every use that was to begin before a moment has come to its end."""
        return all(due >= before for due in self._under_way.values())

    async def _again_and_again(self, kind: UserKind, doors: AsyncExitStack) -> None:
        due, until = self.now(), 0.0
        while True:
            if due >= until:
                door, until = await doors.enter_async_context(self.door()), due + SESSION_S
            task = asyncio.create_task(self.use(kind, due, door))
            self._under_way[task] = due
            task.add_done_callback(self._under_way.pop)
            due += EVERY_S[kind]
            await asyncio.sleep(max(0.0, due - self.now()))

    async def use(self, kind: UserKind, due: float, door: HttpDoor) -> Used:
        """Try one use that was to begin at a moment."""
        ways: Mapping[UserKind, Callable[[HttpDoor], Awaitable[None]]] = {
            "read": self._read,
            "register": self._register,
            "transfer": self._transfer,
        }
        said = await self._tried(ways[kind], due, door)
        took = min(self.now() - due, DEADLINE_S) if said else self.now() - due
        used = Used(kind=kind, at_s=due, took_s=took, worked=not said, said=said)
        self.used.append(used)
        return used

    async def _tried(self, way: Callable[[HttpDoor], Awaitable[None]], due: float, door: HttpDoor) -> str:
        try:
            async with asyncio.timeout(max(0.0, due + DEADLINE_S - self.now())):
                await way(door)
        except TimeoutError:
            return f"not done within {DEADLINE_S:g} s"
        except ProbeError as failed:  # of the platform's, or a key that there is not
            return str(failed)
        return ""

    # --- what users do ----------------------------------------------------------------------------

    async def _read(self, door: HttpDoor) -> None:
        await self._call(door, "GET", "registered-models/search", query=[("max_results", "5")])

    async def _register(self, door: HttpDoor) -> None:
        name = self._name()
        made = await self._call(door, "POST", "runs/create", {"experiment_id": "0", "run_name": name})
        run_id, root = _text(made, "run", "info", "run_id"), _text(made, "run", "info", "artifact_uri")
        self._acknowledged("run", run_id, name)
        await self._call(door, "POST", "registered-models/create", {"name": name})
        body: JsonValue = {"name": name, "source": root, "run_id": run_id}
        made = await self._call(door, "POST", "model-versions/create", body)
        self._acknowledged("model version", f"{name}/{_text(made, 'model_version', 'version')}", run_id)

    async def _transfer(self, door: HttpDoor) -> None:
        content = secrets.token_bytes(ARTIFACT_BYTES)
        path = f"hkchaos/{self._name()}.bin"
        await self.store(door, path, content)
        answer = await self._store("GET", door, path)
        if answer.sha256 != sha256(content).hexdigest():
            msg = f"GET {path}: other bytes than were stored"
            raise _FailedError(msg)

    async def store(self, door: HttpDoor, path: str, content: bytes, total_s: float | None = None) -> None:
        """Store an artifact, and write down whether it was acknowledged."""
        tried = Thing("artifact", path, sha256(content).hexdigest(), at_s=None)
        self.things[path] = tried
        await self._store("PUT", door, path, content, total_s)
        self.things[path] = replace(tried, at_s=self.now())

    async def upload(self, mib: int) -> Uploaded:
        """Store one large artifact, with more patience than others."""
        path, began, said = f"hkchaos/{self._name()}.large", self.now(), ""
        try:
            async with self.door() as door:
                await self.store(door, path, secrets.token_bytes(1024 * 1024) * mib, _UPLOAD_S)
        except _FailedError as failed:
            said = str(failed)
        self.uploads.append(
            Uploaded(mib=mib, at_s=began, took_s=self.now() - began, worked=not said, said=said)
        )
        return self.uploads[-1]

    @property
    def _prefix(self) -> str:
        return self.target.paths.mlflow or ""

    def _name(self) -> str:
        self._count += 1
        return f"hkchaos-{self._tag}-{self._count:04}"

    def _acknowledged(self, kind: ThingKind, name: str, proof: str) -> None:
        self.things[name] = Thing(kind, name, proof, self.now())

    async def _call(
        self,
        door: HttpDoor,
        method: str,
        call: str,
        json: JsonValue = None,
        query: list[tuple[str, str]] | None = None,
    ) -> Answer:
        path = self._prefix + REST + call
        answer = await door.send(
            method, "registry", path, key="bearer", json=json, query=query or [], total_s=DEADLINE_S
        )
        return _good(answer, call)

    async def _store(
        self,
        method: str,
        door: HttpDoor,
        path: str,
        content: bytes | None = None,
        total_s: float | None = None,
    ) -> Answer:
        where = self._prefix + STORE + path
        answer = await door.send(
            method, "registry", where, key="bearer", content=content, total_s=total_s or DEADLINE_S,
            max_bytes=_LARGEST_BYTES, hash_body=True,
        )  # fmt: skip
        return _good(answer, f"{method} of an artifact")

    # --- afterwards -------------------------------------------------------------------------------

    async def account(self) -> tuple[Kept, ...]:
        """Look up everything that was acknowledged, one by one; what is not there is asked for again.

        Also artifacts that were not acknowledged: they may be there whole or not at all, and nothing between.
        """
        turns = asyncio.Semaphore(_AT_ONCE)
        async with self.door() as door:
            found = await asyncio.gather(*(self._found(door, one, turns) for one in self.things.values()))
        return tuple(one for one in found if one is not None)

    async def _found(self, door: HttpDoor, one: Thing, turns: asyncio.Semaphore) -> Kept | None:
        async with turns:
            found = await self._looked_up(door, one)
            for _ in range(_TRIES - 1):
                if found is None or found.fate == "kept":
                    break
                await asyncio.sleep(_PAUSE_S)
                found = await self._looked_up(door, one)
        return found

    async def _looked_up(self, door: HttpDoor, one: Thing) -> Kept | None:
        """What became of a thing; None where it was not acknowledged and no part of it is there."""
        answer = await self._asked(door, one)
        fate, said = _fate(answer, one)
        if one.at_s is None:
            if not (answer.status == 200 and fate == "lost"):
                return None
            fate = "torn"
        return Kept(kind=one.kind, name=one.name, acknowledged_s=one.at_s, fate=fate, said=said)

    async def _asked(self, door: HttpDoor, one: Thing) -> Answer:
        rest, query = self._prefix + REST, [("run_id", one.name)]
        path = f"{rest}runs/get"
        if one.kind == "model version":
            name, _, version = one.name.rpartition("/")
            path, query = f"{rest}model-versions/get", [("name", name), ("version", version)]
        if one.kind == "artifact":
            path, query = self._prefix + STORE + one.name, []
        return await door.send(
            "GET", "registry", path, key="bearer", query=query, total_s=_UPLOAD_S / 2,
            max_bytes=_LARGEST_BYTES, hash_body=True,
        )  # fmt: skip


def _good(answer: Answer, what: str) -> Answer:
    if answer.status != 200 or answer.failure is not None:
        msg = f"{what}: {_said(answer)}"
        raise _FailedError(msg)
    return answer


def _said(answer: Answer) -> str:
    return answer.failure.detail if answer.failure is not None else f"{answer.status}"


def _text(answer: Answer, *path: str) -> str:
    value = dig(answer, *path)
    if value is None:
        msg = f"an answer without {'.'.join(path)}"
        raise _FailedError(msg)
    return value


_MARKS: Mapping[ThingKind, tuple[str, ...]] = {
    "run": ("run", "info", "run_name"),
    "model version": ("model_version", "run_id"),
}


def _mark(answer: Answer, one: Thing) -> str | None:
    """What an answer has in the place of a thing's proof."""
    return answer.sha256 if one.kind == "artifact" else dig(answer, *_MARKS[one.kind])


def _fate(answer: Answer, one: Thing) -> tuple[Fate, str]:
    """What an answer says of a thing, and the words for it."""
    if is_unknown(answer):
        return "lost", _said(answer)
    if answer.status != 200 or answer.failure is not None or _mark(answer, one) is None:
        return "unknown", _said(answer)
    changed = _changed(answer, one)
    return ("lost", changed) if changed else ("kept", "")


def _changed(answer: Answer, one: Thing) -> str:
    """What is not any more as it was acknowledged; empty: it is the same."""
    if _mark(answer, one) != one.proof:
        return "other bytes than were stored" if one.kind == "artifact" else "it is another"
    deleted = one.kind == "run" and dig(answer, "run", "info", "lifecycle_stage") == "deleted"
    return "it was deleted" if deleted else ""
