"""Commits of what is new, made on top of what a branch holds now, past the gate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hokusai_probe.history.folder import IGNORED, Reader
from hokusai_probe.publish.contents import HISTORY, SUMMARY, Contents, report_of
from hokusai_probe.publish.errors import DeniedError
from hokusai_probe.publish.leaks import Gate
from hokusai_probe.publish.news import News, news
from hokusai_probe.publish.remote import Commit, Remote
from hokusai_probe.publish.wish import Outcome, Wish

RUNS_AT_ONCE = 500
_KEEP_RUNS = "Keep what hokusai-probe saw"
_NEW_REPORTS = "Reports of hokusai-probe: the state has changed"
_README = "README.md"
_ABOUT = """# What hokusai-probe saw

`history/` has a file for each run, which never changes. `reports/`, where there is one, has the documents
of the last run that found something else than the one before it.

This branch shares no commit with the branches of the code. To ask it without leaving the branch you are on:

    git worktree add ../seen origin/probe-data
    hokusai-probe history show --history ../seen/history

Nothing here is written by hand. Taking a file away does not take it out of the commits before.
"""
_HARMLESS = ("readme", "license", "licence", ".git")


@dataclass(frozen=True, slots=True)
class Part:
    """What goes to a branch."""

    branch: str
    runs: bool
    documents: bool


@dataclass(frozen=True, slots=True)
class Made:
    """A commit that passed the gate, None where nothing is new. ``more``: runs are left for the next one."""

    outcome: Outcome
    commit: str | None = None
    more: bool = False


class Builder:
    """Makes commits, and remembers which files it has looked at, so that each is looked at once."""

    def __init__(self, wish: Wish, found: Contents, remote: Remote, gate: Gate) -> None:
        self.reader = Reader(found.history)
        self._wish = wish
        self._found = found
        self._remote = remote
        self._gate = gate
        self._sound: dict[str, bool] = {}

    async def make(self, part: Part) -> Made:
        """A commit of all that is new for a branch, on top of its last one. Raises PublishError."""
        tip = await self._remote.fetch(part.branch)
        there = await self._there(part.branch, tip) if tip is not None else frozenset()
        new = await self._new_runs(there) if part.runs else []
        documents, found = await self._documents(tip, there) if part.documents else ({}, {})
        outcome = Outcome(part.branch, "nothing", len(new), len(documents), news=found)
        runs = {f"{HISTORY}/{place}": self._run(place) for place in new[:RUNS_AT_ONCE]}
        if not runs and not documents:
            return Made(outcome)
        first = self._furniture() if tip is None and part.branch == self._wish.branch else {}
        message = _NEW_REPORTS if documents else _KEEP_RUNS
        wanted = Commit(part.branch, tip, {**first, **runs, **documents}, message, self._wish.identity)
        made = await self._checked(wanted)
        return Made(outcome, made, more=len(new) > len(runs))

    @staticmethod
    def _furniture() -> dict[str, bytes]:
        """What a data branch begins with."""
        return {_README: _ABOUT.encode(), f"{HISTORY}/.gitignore": IGNORED.encode()}

    async def _there(self, branch: str, tip: str) -> frozenset[str]:
        """The paths of what a branch has of runs and documents. Raises DeniedError.

        The history is kept off a branch that is plainly another's.
        """
        there = await self._remote.paths(tip, f"{HISTORY}/", f"{self._wish.reports_folder}/")
        if there or branch != self._wish.branch:
            return there
        outermost = await self._remote.paths(tip)
        if all(name.lower().startswith(_HARMLESS) for name in outermost):
            return there
        msg = f"{branch} holds other things than runs: give the history a branch of its own"
        raise DeniedError(msg)

    # --- runs -------------------------------------------------------------------------------------------

    async def _new_runs(self, there: frozenset[str]) -> list[str]:
        """The places of the sound runs that the branch has not. Raises LeakError."""
        new = [place for place in self._found.runs if f"{HISTORY}/{place}" not in there]
        unseen = [place for place in new if place not in self._sound]
        for place in unseen:
            path = f"{HISTORY}/{place}"
            self._check(path, self._found.run(place))
            await asyncio.sleep(0)  # a year of them takes a while, and a signal must not wait for it
        self._gate.close()
        for place in unseen:
            self._sound[place] = self.reader.run(place) is not None
            await asyncio.sleep(0)
        return [place for place in new if self._sound[place]]

    def _run(self, place: str) -> bytes:
        """A run's file as it was written, whatever system it has been on since."""
        return self._found.run(place).replace(b"\r\n", b"\n")

    # --- documents --------------------------------------------------------------------------------------

    async def _documents(
        self, tip: str | None, there: frozenset[str]
    ) -> tuple[dict[str, bytes], dict[str, News]]:
        """The files of every set whose state is another than the published one's, and what each set is."""
        folder = self._wish.reports_folder
        files: dict[str, bytes] = {}
        found: dict[str, News] = {}
        for one in self._found.documents:
            home = "/".join(filter(None, (folder, one.name)))
            published = None
            if tip is not None and f"{home}/{SUMMARY}" in there:
                published = report_of(await self._remote.read(tip, f"{home}/{SUMMARY}"))
            found[one.name] = news(one.report, published)
            if found[one.name] in {"first", "changed"}:
                files |= {f"{home}/{name}": data for name, data in one.files.items()}
        overview = {f"{folder}/{name}": data for name, data in self._found.overview.items()}
        return ({**files, **overview} if files else {}), found

    # --- the gate ---------------------------------------------------------------------------------------

    async def _checked(self, wanted: Commit) -> str:
        """The id of the commit, once what git holds of it has passed. Raises LeakError."""
        made = await self._remote.commit(wanted)
        async for path, data in self._remote.new(wanted, made):
            self._check(path, data)
        self._gate.close()
        return made

    def _check(self, path: str, data: bytes) -> None:
        self._gate.check(path, data, self._found.source(path, self._wish.reports_folder))
