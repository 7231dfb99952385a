"""Removing what a load created, also what may come into being only after nobody waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from pydantic import JsonValue

from hokusai_probe.http import Answer, BudgetExhausted
from hokusai_probe.looking import Entry, Journal, Look
from hokusai_probe.probes._mlflow_rest import Rest, dig_list, never_made
from hokusai_probe.probes._removal import Removal

_REMOVED_AT_ONCE = 4
_SETTLING_S = 0.5  # most of what was cut short is carried out by then
_NEVER_SENT = frozenset({"dns", "refused", "unreachable", "connect-timeout", "bad-url"})
_REMOVES = {"runs/delete": "run", "registered-models/delete": "registered model"}


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was created, with whether it is gone again, and sentences about what a look afterwards found.

    ``removed`` None: its creation was not answered, and nobody ever saw it.
    """

    entries: tuple[Entry, ...] = ()
    left: tuple[str, ...] = ()


class Thing(Protocol):
    """Something created together: a registration, or the folder of artifacts."""

    journal: Journal
    removal: Removal

    def unsure(self) -> frozenset[str]:
        """Kinds of things that may come into being yet: never answered, and not met while removing."""

    async def left_behind(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Sentences about what a look still finds, or could not see."""


class Broom(Rest):
    """The requests that remove. Removing what is not there succeeds too, so ``met`` are kinds that were.

    ``files``: names that were in a folder of the artifact store before it was removed; looked for only while
    ``unsure`` says that nobody knows of an artifact.
    """

    def __init__(self, look: Look, prefix: str, unsure: Callable[[], frozenset[str]]) -> None:
        super().__init__(look, prefix)
        self._unsure = unsure
        self.met: set[str] = set()
        self.files: set[str] = set()

    async def call(
        self, method: str, call: str, json: JsonValue = None, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """One call of the REST API, as :meth:`Rest.call`."""
        answer = await super().call(method, call, json, query)
        if call in _REMOVES and answer.status in {200, 204}:
            self.met.add(_REMOVES[call])
        return answer

    async def store(
        self, method: str, path: str, content: bytes | None = None, most: int | None = None
    ) -> Answer:
        """One request to the artifact store, as :meth:`Rest.store`."""
        if method == "DELETE" and "artifact" in self._unsure():
            listed = dig_list(await self.list_store(path), "files")
            self.files |= {PurePosixPath(str(file.get("path", ""))).name for file in listed}
        return await super().store(method, path, content, most)


def undecided(answer: Answer | None) -> bool:
    """Whether a creation may be carried out yet: nobody said what became of it, or only a gateway did."""
    if answer is None:
        return True
    if answer.status is None:
        return answer.failure is None or answer.failure.kind not in _NEVER_SENT
    return answer.status in {502, 504} and not never_made(answer)


async def clear(things: Sequence[Thing], seconds: float, settling_s: float) -> Cleared:
    """Remove everything within so many seconds, and look afterwards whether it is gone.

    What was never answered is given ``settling_s`` seconds, half of the time at most, to come into being;
    then it is removed and looked for once more.
    """
    now = asyncio.get_running_loop().time
    begun = now()
    end, settled = begun + seconds, begun + min(settling_s, seconds / 2)
    if any(thing.unsure() for thing in things):
        await asyncio.sleep(min(_SETTLING_S, settling_s))
    found = await _of_each(things, lambda thing: _first(thing, end))
    late = [thing for thing in things if thing.unsure()]
    if late:
        await asyncio.sleep(max(settled - now(), 0))
        again = dict(zip(map(id, late), await _of_each(late, lambda thing: _again(thing, end)), strict=True))
        found = [again.get(id(thing), cleared) for thing, cleared in zip(things, found, strict=True)]
    return Cleared(
        tuple(entry for cleared in found for entry in cleared.entries),
        tuple(sentence for cleared in found for sentence in cleared.left),
    )


async def _of_each(things: Sequence[Thing], remove: Callable[[Thing], Awaitable[Cleared]]) -> list[Cleared]:
    turns = asyncio.Semaphore(_REMOVED_AT_ONCE)

    async def one(thing: Thing) -> Cleared:
        async with turns:
            return await remove(thing)

    return await asyncio.gather(*map(one, things))


async def _first(thing: Thing, end: float) -> Cleared:
    entries = await thing.journal.undo(max(end - asyncio.get_running_loop().time(), 0.1))
    return Cleared(entries, await _looked(thing, entries, end))


async def _again(thing: Thing, end: float) -> Cleared:
    """Remove once more what may have come into being since; what was never seen is not said to be gone."""
    waited = thing.unsure()
    gone = {kind: await _removed(thing.removal, kind, end) for kind in sorted(waited)}
    unsure = thing.unsure()
    entries = tuple(
        entry.model_copy(update={"removed": _standing(entry.kind, gone, unsure)})
        if entry.kind in waited
        else entry
        for entry in reversed(thing.journal.entries())
    )
    unseen = tuple(_never_seen(entry) for entry in entries if entry.removed is None)
    return Cleared(entries, (*await _looked(thing, entries, end), *unseen))


def _standing(kind: str, gone: Mapping[str, bool], unsure: frozenset[str]) -> bool | None:
    if not gone[kind]:
        return False
    return None if kind in unsure else True


def _never_seen(entry: Entry) -> str:
    return f"whether the {entry.kind} {entry.name} was ever made was not seen: its creation was not answered"


async def _removed(removal: Removal, kind: str, end: float) -> bool:
    """Whether a thing of a kind is not there any more, by what removing it came to."""
    removes = {
        "run": removal.delete_run,
        "artifact": removal.delete_artifact,
        "registered model": removal.delete_model,
    }
    try:
        async with asyncio.timeout_at(end):
            return await removes[kind]()
    except (TimeoutError, BudgetExhausted):
        return False


async def _looked(thing: Thing, entries: tuple[Entry, ...], end: float) -> tuple[str, ...]:
    """What is still there; where the time is over, what was not removed, unseen."""
    unseen = tuple(
        f"the {entry.kind} {entry.name} was not removed" for entry in entries if entry.removed is False
    )
    try:
        async with asyncio.timeout_at(end):
            return await thing.left_behind(entries)
    except (TimeoutError, BudgetExhausted):
        return unseen or tuple(
            f"whether the {entry.kind} {entry.name} is gone was not seen" for entry in entries
        )
