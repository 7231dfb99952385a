"""What is kept of a run, frozen, and the versions in which it was ever written. Does no I/O.

A file of the history is one :class:`Run` as JSON. Its name is derived from its content, so the same run
is the same file wherever it is written, and a file that was changed is found out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hokusai_probe.errors import ProbeError
from hokusai_probe.history.latency import Histogram, Phases
from hokusai_probe.model import Certainty, Component, Frozen, Priority, Score, Trigger, Utc

VERSION = 2
LEGACY_VERSION = 0
SUITE = "suite"
"""The area of an old count that is of all scripts together."""
_LARGEST_NAME = 80
_UNSAFE = re.compile(r"[^a-z0-9._-]+")

Outcome = Literal[
    "pass", "fail", "error", "blocked", "not-configured", "not-applicable", "cannot-tell", "skip",
]  # fmt: skip
"""What became of a check: its status, and of a skip its kind."""
Service = Literal["up", "impaired", "down", "unknown"]
"""How a component served who asked it. Impaired: something of it fails that no registration rests on."""


class HistoryError(ProbeError):
    """A history cannot be read or written; the text names the file."""


class NewerVersionError(HistoryError):
    """A file was written by a newer version of this tool."""


class KeptCause(Frozen):
    """A cause that was present or undecided, and the checks that it explained."""

    cause: str
    component: Component
    subjects: tuple[str, ...] = ()
    undecided: bool = False
    certainty: Certainty | None = None
    caused_by: str | None = None
    priority: Priority
    explains: tuple[str, ...] = ()


class State(Frozen):
    """How a platform was found: the slugs of the checks by their outcome, causes, components.

    Two runs that found the same have equal states. ``denied``: causes with something against them.
    """

    checks: Mapping[Outcome, tuple[str, ...]] = Field(default_factory=dict)
    causes: tuple[KeptCause, ...] = ()
    denied: tuple[str, ...] = ()
    components: Mapping[Component, Service] = Field(default_factory=dict)

    def outcomes(self) -> dict[str, Outcome]:
        """Each check with what became of it."""
        return {check: outcome for outcome, checks in self.checks.items() for check in checks}

    def present(self) -> tuple[KeptCause, ...]:
        """The causes that were present."""
        return tuple(c for c in self.causes if not c.undecided)


class OldCount(Frozen):
    """A score of the scripts that came before this tool: ``passed`` of ``total`` checks, in percent.

    ``from_fault``: how many of those passed because something was broken, where their report says so.
    """

    percent: float = Field(ge=0, le=100, allow_inf_nan=False)
    passed: int | None = Field(default=None, ge=0)
    total: int | None = Field(default=None, ge=1)
    from_fault: int | None = Field(default=None, ge=0)


class Run(Frozen):
    """What is kept of one run. Times are UTC, durations seconds.

    ``reasons``: why a check did not pass, by slug, cut. ``latency``: how long whole answers took, by
    method, host, path and status. ``parts``: where the time of at most 20 answers of each part of the way
    went, and ``objective_ms`` the target's ``[slo] p95_ms``; files of version 1 have neither.
    ``old_count``: what a report of the former scripts counted, by area, ``suite`` for all of it; such a run
    has no state, and nothing but its scores is known.
    """

    schema_version: Literal[1, 2]
    target: str
    started_at: Utc
    duration_s: float = 0.0
    trigger: Trigger = "manual"
    tool_version: str = ""
    verified_sha: str | None = None
    expected_interval_s: float | None = None
    interrupted: str | None = None
    requests_sent: int = 0
    state: State = State()
    reasons: Mapping[str, str] = Field(default_factory=dict)
    unexplained: tuple[str, ...] = ()
    score: Score = Score()
    latency: Mapping[str, Histogram] = Field(default_factory=dict)
    parts: Mapping[str, Phases] = Field(default_factory=dict)
    objective_ms: float | None = None
    old_count: Mapping[str, OldCount] = Field(default_factory=dict)


class LegacyRun(Frozen):
    """Version 0: the scores that were read from a report written before there was a history."""

    schema_version: Literal[0]
    target: str
    started_at: Utc
    old_count: Mapping[str, OldCount]

    def migrated(self) -> Run:
        """The same as a run of this version."""
        return Run(
            schema_version=VERSION,
            target=self.target,
            started_at=self.started_at,
            old_count=self.old_count,
        )


class _Versioned(BaseModel):
    model_config = ConfigDict(extra="ignore")
    schema_version: int


def text_of(run: Run) -> str:
    """The run as the text of its file: ASCII, a line for each field, always the same for the same run.

    What came from a report of the former scripts is written in version 0, as it was read.
    """
    kept: Run | LegacyRun = run
    if run.old_count:
        kept = LegacyRun(
            schema_version=LEGACY_VERSION,
            target=run.target,
            started_at=run.started_at,
            old_count=run.old_count,
        )
    fields = kept.model_dump(mode="json", exclude_defaults=True)
    lines = [f"{_compact(name)}:{_compact(fields[name])}" for name in sorted(fields)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def read(text: str) -> Run:
    """The run that a file's text holds, whatever version wrote it.

    Raises NewerVersionError for one newer than this, HistoryError for what is no run at all.
    """
    try:
        return Run.model_validate_json(text)
    except ValidationError as error:
        return _of_another_version(text, error)


def _of_another_version(text: str, error: ValidationError) -> Run:
    try:
        version = _Versioned.model_validate_json(text).schema_version
        if version > VERSION:
            msg = f"it is of version {version}, and this hokusai-probe reads up to {VERSION}"
            raise NewerVersionError(msg)
        if version == LEGACY_VERSION:
            return LegacyRun.model_validate_json(text).migrated()
    except ValidationError as other:
        error = other
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole file"
    msg = f"{where}: {first['msg']}"
    raise HistoryError(msg) from None


def place(run: Run, text: str | None = None) -> str:
    """Where a run's file belongs in a history: target, year, month, day, and a name from its content.

    ``text``: the file's own, where it is already known.
    """
    digest = hashlib.sha256((text if text is not None else text_of(run)).encode()).hexdigest()[:12]
    at = run.started_at.astimezone(UTC)
    return f"{folder_of(run.target)}/{at:%Y/%m/%d}/{at:%Y%m%dT%H%M%SZ}-{digest}.json"


def folder_of(target: str) -> str:
    """The folder of a target: its name where any file system takes that, else made safe, with a digest."""
    safe = _UNSAFE.sub("-", target.lower()).lstrip(".-")[:_LARGEST_NAME]
    if safe == target and safe not in {"", RESERVED}:
        return safe
    return f"{safe or 'target'}-{hashlib.sha256(target.encode(errors='backslashreplace')).hexdigest()[:8]}"


RESERVED = "corrupt"
"""The folder for what could not be read."""
