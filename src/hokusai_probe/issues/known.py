"""An issue as it is, what to do about it, and how one of ours is known."""

from __future__ import annotations

import re
from typing import Literal

from hokusai_probe.model import Component, Frozen, Utc

ActionKind = Literal["open", "update", "reopen", "close", "leave"]
StateReason = Literal["completed"]

BOT = "github-actions[bot]"
MUTE_LABEL = "probe-mute"

_MARKER = re.compile(r"<!-- hokusai-probe: ([A-Za-z0-9._-]+/[a-z-]+(?:/[a-z0-9-]+)?) -->")


class KnownIssue(Frozen):
    """An issue as the repository has it.

    ``author`` and ``closed_by`` are logins, ``closed_by`` empty where it is not known; times are UTC;
    ``state_reason`` is GitHub's own word; ``comments`` is how many there are; ``repository`` is OWNER/NAME,
    empty for the one that the plan is made for.
    """

    number: int
    state: Literal["open", "closed"]
    title: str
    body: str
    labels: tuple[str, ...] = ()
    author: str = ""
    state_reason: str | None = None
    locked: bool = False
    created_at: Utc | None = None
    closed_at: Utc | None = None
    closed_by: str = ""
    comments: int = 0
    repository: str = ""


class Action(Frozen):
    """What to do about one issue, and why. ``leave`` carries the text that would be written.

    ``labels`` are those of ours that it should have, ``labels_gone`` those of ours that it has and should
    not; all others are people's. ``comment``: what to say beside it, empty for nothing; there is one for
    each change of state. ``assignees``: whom to give it to when it is opened. ``state_reason``: GitHub's
    word for why it is closed. ``number`` is None for an issue that is not there yet. ``wants_runs``: how many
    more runs must see the same before it is opened, and nothing else is in the way.
    """

    kind: ActionKind
    key: str
    component: Component | None
    title: str
    body: str
    labels: tuple[str, ...]
    reason: str
    labels_gone: tuple[str, ...] = ()
    comment: str = ""
    assignees: tuple[str, ...] = ()
    state_reason: StateReason | None = None
    number: int | None = None
    repository: str = ""
    wants_runs: int = 0


def marker(key: str) -> str:
    """The first line of an issue of ours."""
    return f"<!-- hokusai-probe: {key} -->"


def key_of(body: str) -> str | None:
    """The key in the marker on the first line of an issue's text; None for any other issue."""
    found = _MARKER.fullmatch(body.partition("\n")[0].rstrip("\r"))
    return found.group(1) if found else None
