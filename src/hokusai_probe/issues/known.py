"""An issue as it is, what to do about it, and how one of ours is known and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from hokusai_probe.model import Component, Frozen, Utc

ActionKind = Literal["open", "update", "reopen", "close", "leave"]
StateReason = Literal["completed"]
Kind = Literal["failing", "over", "duplicate"]

BOT = "github-actions[bot]"
MUTE_LABEL = "probe-mute"
FLAPPING_LABEL = "flapping"
CAUSE_LABEL = "cause:"
MOST_COMMENTS = 200
"""GitHub takes no more than 2,500 comments; an issue with this many of anybody's gets none of ours."""

_MARKER = re.compile(r"<!-- hokusai-probe: ([A-Za-z0-9._-]+/[a-z-]+(?:/[a-z0-9-]+)?) -->")
_TIME = r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\dZ"
_MOST_REMEMBERED = 8_000  # characters: the rest of the text needs room
_STATE = re.compile(
    rf"<!-- hokusai-probe-state: (failing|over|duplicate)(?: since=({_TIME}))?(?: good=({_TIME}))?"
    rf"( down)?( flapping)?( said)?(?: about=([A-Za-z0-9._/,:;-]{{1,{_MOST_REMEMBERED}}}))? -->"
)
_SLUG = re.compile(r"[A-Za-z0-9._/-]+")


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


class About(Frozen):
    """What an issue was ever about: causes, the checks that suffered from each, and checks without one."""

    causes: Mapping[str, frozenset[str]] = Field(default_factory=dict)
    checks: frozenset[str] = frozenset()

    @property
    def anything(self) -> bool:
        """Whether it is about anything at all."""
        return bool(self.causes or self.checks)

    @property
    def all_checks(self) -> frozenset[str]:
        """The checks that failed or waited, with a cause and without."""
        return self.checks.union(*self.causes.values())

    def joined(self, other: About) -> About:
        """What either of them is about."""
        names = [*self.causes, *(cause for cause in other.causes if cause not in self.causes)]
        none: frozenset[str] = frozenset()
        both = {name: self.causes.get(name, none) | other.causes.get(name, none) for name in names}
        return About(causes=both, checks=self.checks | other.checks)

    def words(self) -> str:
        """As an issue keeps it: checks, then each cause with its own; empty where there is no room."""
        parts = (f"{cause}:{_listed(self.causes[cause])}" for cause in sorted(self.causes) if _is_slug(cause))
        said = ";".join([_listed(self.checks), *parts])
        return said if self.anything and len(said) <= _MOST_REMEMBERED else ""

    @classmethod
    def read(cls, said: str) -> About:
        """What :meth:`words` wrote."""
        checks, *parts = said.split(";")
        pairs = (part.partition(":") for part in parts)
        return cls(causes={cause: _unlisted(of) for cause, _, of in pairs if cause}, checks=_unlisted(checks))


def _listed(slugs: frozenset[str]) -> str:
    return ",".join(sorted(slug for slug in slugs if _is_slug(slug)))


def _unlisted(said: str) -> frozenset[str]:
    return frozenset(filter(None, said.split(",")))


def _is_slug(said: str) -> bool:
    return _SLUG.fullmatch(said) is not None


class Told(Frozen):
    """What an issue of ours says of itself on its second line, for us alone.

    ``since``: the first run that found it bad; ``good``: the last before that which found it well. ``down``:
    that nobody is served was told. ``said``: whether anything was said beside it since it was opened. So
    nothing is said twice, whatever became of labels. ``about``: what must be well before it is over; it
    holds whichever runs a history has lost, and whichever checks a run leaves out.
    """

    kind: Kind
    since: Utc | None = None
    good: Utc | None = None
    down: bool = False
    flapping: bool = False
    said: bool = False
    about: About = About()

    def line(self) -> str:
        """As it stands in the text."""
        since = f" since={_minute(self.since)}" if self.since else ""
        good = f" good={_minute(self.good)}" if self.good else ""
        words = ("down", self.down), ("flapping", self.flapping), ("said", self.said)
        said = "".join(f" {word}" for word, holds in words if holds)
        words_of_it = self.about.words()
        about = f" about={words_of_it}" if words_of_it else ""
        return f"<!-- hokusai-probe-state: {self.kind}{since}{good}{said}{about} -->"


def marker(key: str) -> str:
    """The first line of an issue of ours."""
    return f"<!-- hokusai-probe: {key} -->"


def has_label(issue_labels: Iterable[str], name: str) -> bool:
    """Whether a label is among these: GitHub tells none apart by case."""
    return name.casefold() in {label.casefold() for label in issue_labels}


def same_repository(one: str, other: str) -> bool:
    """Whether two names are of one repository: GitHub does not tell cases apart."""
    return one.casefold() == other.casefold()


def is_among(repository: str, names: Collection[str]) -> bool:
    """Whether a repository is one of these."""
    return any(same_repository(repository, name) for name in names)


def component_of(key: str) -> str:
    """A key without the cause that it may name: TARGET/COMPONENT."""
    return "/".join(key.split("/")[:2])


def key_of(body: str) -> str | None:
    """The key in the marker on the first line of an issue's text; None for any other issue."""
    found = _MARKER.fullmatch(body.partition("\n")[0].rstrip("\r"))
    return found.group(1) if found else None


def told(body: str) -> Told:
    """What an issue of ours says of itself; one that says nothing, or was edited there, fails."""
    line = next(iter(body.splitlines()[1:2]), "")
    found = _STATE.fullmatch(line)
    if found is None or key_of(body) is None:
        return Told(kind="failing")
    kind, since, good, down, flapping, said, about = found.groups()
    return Told.model_validate(
        {
            "kind": kind,
            "since": since and _moment(since),
            "good": good and _moment(good),
            "down": bool(down),
            "flapping": bool(flapping),
            "said": bool(said),
            "about": About.read(about or ""),
        }
    )


def _minute(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _moment(said: str) -> datetime | None:
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None  # such as the 39th: somebody edited it
