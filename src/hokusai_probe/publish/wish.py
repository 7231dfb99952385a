"""What is wanted of a publication, and what became of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hokusai_probe.publish.news import News

Status = Literal["pushed", "would-push", "nothing", "refused", "failed"]
"""Refused: by the branch that the documents were for; the outcome after it says where they went instead."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the commits are by."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What to publish, where, and how. ``reports_branch``: None for the data branch itself.

    ``push``: without it the remote is read and nothing is written there. ``within_s``: seconds for all of it.
    """

    folder: Path
    branch: str
    identity: Identity
    reports_branch: str | None = None
    reports_folder: str = "reports"
    remote: str = "origin"
    push: bool = False
    within_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one branch. ``runs``, ``documents``: how many files of each went, or would go, there.

    ``commit``: the id of the last one. ``why``: what kept them from it, for a person. ``news``: what each set
    of documents, by its folder, is beside the one that is published.
    """

    branch: str
    status: Status
    runs: int = 0
    documents: int = 0
    commit: str | None = None
    why: str = ""
    news: Mapping[str, News] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of all of it. ``notes``: sentences on files of runs that could not be read.

    ``not_searched``: variables of the targets' keys that hold none here, so that nobody looked for those.
    """

    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()
    not_searched: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that is new is somewhere on the remote, or would be."""
        return not self.notes and all(one.status != "failed" for one in self.outcomes)
