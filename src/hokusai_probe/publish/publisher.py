"""Publishing, from looking what is new to the push that is accepted.

Nothing is ever merged and nothing forced: when somebody else was first, what is wanted is made anew on top of
what they pushed. Runs are files that never change, so having theirs and ours is all there is to it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from hokusai_probe.keys import secrets_in
from hokusai_probe.model import KeyNames
from hokusai_probe.publish.building import Builder, Made, Part
from hokusai_probe.publish.contents import Contents, contents
from hokusai_probe.publish.errors import (
    DeniedError,
    LeakError,
    MovedError,
    OutOfTimeError,
    PublishError,
    RefusedError,
)
from hokusai_probe.publish.leaks import Gate
from hokusai_probe.publish.process import Clock
from hokusai_probe.publish.remote import Remote, opened
from hokusai_probe.publish.wish import Outcome, Result, Wish
from hokusai_probe.redact import Redactor

TRIES = 40
"""More than any number of writers needs that there may be; mostly the time is over before."""
_SHORTEST_S = 0.05
_LONGEST_DELAY_S = 5.0
_FINAL = (DeniedError, LeakError, OutOfTimeError, RefusedError)
_DRAW = random.SystemRandom()

T = TypeVar("T")


async def publish(wish: Wish, environment: Mapping[str, str], here: Path) -> Result:
    """Bring what a folder holds to the remote, as the repository in the folder ``here`` knows it.

    Raises LeakError when anything of it may hold a secret, before anything is pushed; SetupError when there
    is nothing to publish or no such remote; PublishError when what there is cannot be read.
    """
    found = contents(wish.folder)
    clock = Clock.of(wish.within_s)
    async with opened(wish.remote, clock=clock, environment=environment, folder=here) as remote:
        builder = Builder(wish, found, remote, Gate(_redactor(found, remote, environment)))
        outcomes = await _Publisher(wish, builder, remote, clock).all(tuple(_parts(wish, found)))
    return Result(outcomes, tuple(builder.reader.notes), tuple(_not_searched(found, environment)))


def _redactor(found: Contents, remote: Remote, environment: Mapping[str, str]) -> Redactor:
    """The redactor that knows the keys of every target, those of this process, and what git logs in with."""
    names = [KeyNames(), *(one.report.configuration.key for one in found.documents)]
    secrets = [secret for one in names for secret in secrets_in(one, environment)]
    return Redactor(dict.fromkeys((*secrets, *remote.way.secrets())))


def _not_searched(found: Contents, environment: Mapping[str, str]) -> Iterator[str]:
    """The variables that the targets name for a key and that hold none here."""
    targets = [one.report.configuration.key for one in found.documents]
    named = (name for key in targets for name in (key.env, key.second_env, key.admin_env) if name)
    yield from (name for name in dict.fromkeys(named) if not environment.get(name, "").strip())


def _parts(wish: Wish, found: Contents) -> Iterator[Part]:
    """What goes where; nothing goes where there is nothing."""
    home = wish.reports_branch or wish.branch
    runs, documents = bool(found.runs), bool(found.documents)
    if home == wish.branch:
        yield Part(home, runs, documents)
        return
    if runs:
        yield Part(wish.branch, runs=True, documents=False)
    if documents:
        yield Part(home, runs=False, documents=True)


class _Publisher:
    """Carries it out, again and again where others come first or the remote is in trouble."""

    def __init__(self, wish: Wish, builder: Builder, remote: Remote, clock: Clock) -> None:
        self._wish = wish
        self._builder = builder
        self._remote = remote
        self._clock = clock

    async def all(self, parts: tuple[Part, ...]) -> tuple[Outcome, ...]:
        """Make everything ready, past the gate; only then push any of it. Raises LeakError."""
        ready = [(part, await self._ready(part)) for part in parts]
        done = [await self._carried_out(part, made) for part, made in ready]
        return tuple(outcome for outcomes in done for outcome in outcomes)

    async def _ready(self, part: Part) -> Made:
        """What would be pushed, or why that is not known. Raises LeakError."""
        try:
            return await self._until_done(partial(self._builder.make, part))
        except LeakError:
            raise
        except PublishError as error:
            return Made(Outcome(part.branch, "failed", why=str(error)))

    async def _carried_out(self, part: Part, made: Made) -> tuple[Outcome, ...]:
        """What became of a branch, and of the data branch where that had to take documents in its stead."""
        if made.commit is None:
            return (made.outcome,)
        if not self._wish.push:
            return (replace(made.outcome, status="would-push"),)
        try:
            return (await self._pushed(part, made),)
        except RefusedError as error:
            if part.runs or part.branch == self._wish.branch:
                return (replace(made.outcome, status="failed", why=str(error)),)
            instead = replace(part, branch=self._wish.branch)
            refused = replace(made.outcome, status="refused", why=str(error))
            return (refused, *await self._carried_out(instead, await self._ready(instead)))
        except PublishError as error:
            return (replace(made.outcome, status="failed", why=str(error)),)

    async def _pushed(self, part: Part, made: Made) -> Outcome:
        """Push a commit, and those after it until no run is left. Raises PublishError."""
        outcome = made.outcome
        while True:
            accepted = await self._until_done(_Push(self._remote, self._builder, part, made))
            if accepted.commit is None:
                return accepted.outcome if outcome.commit is None else outcome
            outcome = replace(outcome, status="pushed", commit=accepted.commit)
            if not accepted.more:
                return outcome
            made = await self._until_done(partial(self._builder.make, part))

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step until it is done, or nothing would help. Raises PublishError, the last one."""
        tried: list[PublishError] = []
        try:
            return await self._tries(step, tried)
        except OutOfTimeError as end:
            raise OutOfTimeError("; ".join(str(one) for one in (*tried[-1:], end))) from None

    async def _tries(self, step: Callable[[], Awaitable[T]], tried: list[PublishError]) -> T:
        while True:
            began = self._clock.now()
            try:
                return await step()
            except _FINAL:
                raise
            except PublishError as error:
                tried.append(error)
                if len(tried) == TRIES:
                    raise
            await asyncio.sleep(self._clock.left(_delay(len(tried), self._clock.now() - began)))


def _delay(tries: int, took_s: float) -> float:
    """Seconds before the next try: by chance, and by more of what one takes the more there were.

    So writers that met once do not all meet again.
    """
    return _DRAW.uniform(0, min(_LONGEST_DELAY_S, max(took_s, _SHORTEST_S) * 1.5 ** (tries - 1)))


class _Push:
    """One push, which is made anew on what is there each time it is taken again."""

    def __init__(self, remote: Remote, builder: Builder, part: Part, made: Made) -> None:
        self._remote = remote
        self._builder = builder
        self._part = part
        self._made: Made | None = made
        self._lost: Made | None = None

    async def __call__(self) -> Made:
        """What was accepted. Raises PublishError.

        Where git's answer was lost and all of it is there now, the remote had taken it.
        """
        made, self._made = self._made or await self._builder.make(self._part), None
        if made.commit is None:
            return self._lost or made
        self._lost = made
        try:
            await self._remote.push(made.commit, self._part.branch)
        except MovedError:
            self._lost = None
            raise
        return made
