"""What a look is given: the target, the two doors, the keys, and a journal of what it creates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hokusai_probe.model import Frozen, Target

if TYPE_CHECKING:
    from hokusai_probe.aws import AwsDoor
    from hokusai_probe.http import HttpDoor
    from hokusai_probe.keys import Keys

Undo = Callable[[], Awaitable[bool]]


class Entry(Frozen):
    """Something created on the platform: what kind, under which name, and whether it is gone again."""

    kind: str
    name: str
    removed: bool | None = None


PAUSES_S = (0.05, 0.15, 0.45)
"""Before trying again what could not be removed: an intermittent fault passes, a refusal does not."""


@dataclass(slots=True)
class _Note:
    entry: Entry
    undo: Undo
    tried: int = 0


@dataclass(slots=True)
class Journal:
    """What a look creates on the platform, written down before it is created, and how to remove it.

    ``will_create`` comes before the request that creates, so a run cut short in between still knows.
    ``undo`` goes in reverse order and never raises. What fails is tried again, a few times and while there is
    time, because now and then a request fails on a platform that is ill; then it is not removed.
    Each look has a journal of its own, or the first one done would undo what another is still using.
    """

    _notes: list[_Note] = field(default_factory=list)

    def will_create(self, kind: str, name: str, undo: Undo) -> None:
        """Note what is about to be created. ``undo`` returns whether it is gone; it may be called again."""
        self._notes.append(_Note(Entry(kind=kind, name=name), undo))

    async def undo(self, deadline_s: float) -> tuple[Entry, ...]:
        """Remove everything noted, newest first, within ``deadline_s`` seconds.

        Returns all entries, newest first; what could not be removed says so.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        await self._try_all(end)
        for pause in PAUSES_S:
            if not self._open() or loop.time() + pause >= end:
                break
            await asyncio.sleep(pause)
            await self._try_all(end)
        for note in self._open():
            note.entry = note.entry.model_copy(update={"removed": False})
        return tuple(note.entry for note in reversed(self._notes))

    def _open(self) -> list[_Note]:
        """What is neither removed nor given up, newest first."""
        return [note for note in reversed(self._notes) if note.entry.removed is None]

    async def _try_all(self, end: float) -> None:
        """Try what is open. One that is cut short here stays open."""
        loop = asyncio.get_running_loop()
        for note in self._open():
            if note.tried and loop.time() >= end:
                return
            note.tried += 1
            if await _attempt(note.undo, end - loop.time()):
                note.entry = note.entry.model_copy(update={"removed": True})

    def entries(self) -> tuple[Entry, ...]:
        """Everything noted so far, oldest first; ``removed`` None: neither removed nor given up."""
        return tuple(note.entry for note in self._notes)


async def _attempt(undo: Undo, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(seconds, 0.1)):
            (gone,) = await asyncio.gather(undo(), return_exceptions=True)
    except TimeoutError:
        return False
    return gone is True


@dataclass(frozen=True, slots=True)
class Look:
    """What a look may use. ``aws`` is None where the target has none or ``--no-aws`` was said."""

    target: Target
    http: HttpDoor
    aws: AwsDoor | None
    keys: Keys
    journal: Journal
    run_id: str

    @classmethod
    def new(cls, target: Target, http: HttpDoor, aws: AwsDoor | None, keys: Keys, run_id: str) -> Look:
        """A look's surroundings with an empty journal."""
        return cls(target=target, http=http, aws=aws, keys=keys, journal=Journal(), run_id=run_id)

    def cloud(self) -> AwsDoor:
        """The AWS door, for looks that declare that they need it."""
        assert self.aws is not None
        return self.aws

    def key_form(self) -> Literal["bearer"] | None:
        """How the key is sent where any form would do; None where there is no key."""
        return "bearer" if self.may_send_key() else None

    def may_send_key(self) -> bool:
        """Whether there is a key, and a way to send it that nobody can listen to."""
        from hokusai_probe.http import may_carry_keys

        return self.keys.main is not None and may_carry_keys(self.target)

    def may_send_admin_key(self) -> bool:
        """The same of the administrator's key."""
        from hokusai_probe.http import may_carry_keys

        return self.keys.admin is not None and may_carry_keys(self.target)

    def has_registration_extra(self) -> bool:
        """Whether scikit-learn and the MLflow client are installed; imports neither."""
        from importlib.util import find_spec

        return all(find_spec(name) for name in ("sklearn", "mlflow", "pandas"))
