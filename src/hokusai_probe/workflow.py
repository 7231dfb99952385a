"""What a workflow was asked for, and whether more than one job is needed. Pure.

Whoever starts a workflow from outside may write what they like into its inputs and its payload. Nothing of
that goes on as it came: a target is a line of the repository's own list, areas are words that exist, a
commit is hexadecimal, a number is within bounds; everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from hokusai_probe.errors import ProbeError
from hokusai_probe.history.index import Seen
from hokusai_probe.history.runs import State, folder_of
from hokusai_probe.model import Area, Frozen, Trigger
from hokusai_probe.text import one_line

SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
DEFAULT_TARGET = "hokusai-probe.toml"
LONGEST_WAIT_S = 900.0
AFTER_A_DEPLOY_S = 600.0
"""How long a run after a deployment waits for the rollout, unless it is asked for something else."""
MORE_LOOKS = 2
"""Runs for which issues are looked after beyond the ones that close them: a write may have failed."""

_AREAS = get_args(Area)
_SPACE = re.compile(r"\s")


class RequestError(ProbeError, ValueError):
    """What was asked for is refused; the text says which part and what is allowed, never what stood there."""


class Asked(Frozen):
    """What somebody asked for, as it came. Empty means: not said. ``settle_s``: seconds."""

    target: str = Field("", max_length=200)
    areas: str = Field("", max_length=200)
    sha: str = Field("", max_length=64)
    settle_s: float | None = Field(None, ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)


class _Announced(Asked):
    sha: str = Field(max_length=64)


class _Dispatch(BaseModel):
    client_payload: _Announced


class Request(Frozen):
    """What the run is to do, every word of it ours. ``every_s``: when the next one is due, None for never."""

    target: str
    only: tuple[Area, ...] = ()
    trigger: Trigger = "manual"
    verified_sha: str = ""
    settle_s: float = 0.0
    every_s: float | None = None
    fail_on: Literal["failure", "trouble"] = "failure"

    def outputs(self) -> dict[str, str]:
        """The same as outputs of a step: one line each. ``name`` is the target's, fit for a file's."""
        return {
            "target": self.target,
            "name": folder_of(self.target),
            "only": ",".join(self.only),
            "trigger": self.trigger,
            "sha": self.verified_sha,
            "settle": f"{self.settle_s:g}",
            "every": "" if self.every_s is None else f"{self.every_s:g}",
            "fail-on": self.fail_on,
        }


def targets(text: str) -> tuple[str, ...]:
    """The targets that a repository's list allows, the first being the default: a line each, ``#`` comments.

    Raises RequestError when it names none, or one with white space in it.
    """
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    found = tuple(line for line in lines if line)
    if not found:
        msg = "the list of targets names none: write a file, a URL or a shipped name on a line of its own"
        raise RequestError(msg)
    wrong = [one for one in found if _SPACE.search(one) or one_line(one) != one or one.startswith("-")]
    if wrong:
        msg = f"the list of targets has a line that is no target: {one_line(wrong[0])[:60]!r}"
        raise RequestError(msg)
    return found


def announced(event: str) -> Asked:
    """What a ``repository_dispatch`` asks for, from the text of its event. Raises RequestError."""
    try:
        return _Dispatch.model_validate_json(event).client_payload
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        part = ".".join(str(one) for one in first["loc"] if str(one) in _PAYLOAD) or "the event"
        msg = f"{part} is refused: {first['msg']}; the payload takes {', '.join(Asked.model_fields)}"
        raise RequestError(msg) from None


_PAYLOAD = {"client_payload", *Asked.model_fields}


def asked(*, target: str, areas: str, sha: str, settle_s: str) -> Asked:
    """What the inputs of a workflow ask for. Raises RequestError."""
    values = {"target": target, "areas": areas, "sha": sha, "settle_s": settle_s.strip() or None}
    try:
        return Asked.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        msg = f"{first['loc'][0]} is refused: {first['msg']}"
        raise RequestError(msg) from None


def filled(inputs: Asked, payload: Asked) -> Asked:
    """What the inputs of a caller's workflow leave open, said by a payload. Raises RequestError.

    The caller's repository has fixed its inputs, so a payload that says otherwise is refused.
    """
    said = {name: value for name, value in payload if value not in {"", None}}
    fixed = {name: value for name, value in inputs if value not in {"", None}}
    wrong = [name for name in fixed if said.get(name, fixed[name]) != fixed[name]]
    if wrong:
        msg = f"client_payload.{wrong[0]} is refused: the workflow that takes the dispatch says another one"
        raise RequestError(msg)
    return Asked.model_validate({**said, **fixed})


def interval(text: str) -> float | None:
    """Seconds between two runs of a schedule, None for an empty text. Raises RequestError."""
    if not text.strip():
        return None
    if not _NUMBER.fullmatch(text.strip()):
        msg = "how often the schedule comes is not a number of seconds"
        raise RequestError(msg)
    return float(text)


_NUMBER = re.compile(r"[1-9][0-9]{0,7}")


def request(
    asked: Asked,
    event: str,
    allowed: Sequence[str],
    *,
    trigger: Trigger | None = None,
    every_s: float | None = None,
) -> Request:
    """What is to be done about ``asked``, in a workflow that GitHub's ``event`` started.

    ``trigger`` overrules what the event says; ``every_s`` is how often the schedule comes, in seconds.
    After a deployment a run waits for the rollout. On a schedule its exit code says whether the probe did
    its work, else whether the platform is well. Raises RequestError.
    """
    why = trigger or _TRIGGERS.get(event, "manual")
    waits = AFTER_A_DEPLOY_S if why == "deploy" else 0.0
    return Request(
        target=_target(asked.target.strip(), allowed),
        only=_areas(asked.areas),
        trigger=why,
        verified_sha=_sha(asked.sha.strip()),
        settle_s=waits if asked.settle_s is None else asked.settle_s,
        every_s=every_s if why == "schedule" else None,
        fail_on="trouble" if why == "schedule" else "failure",
    )


_TRIGGERS: dict[str, Trigger] = {"schedule": "schedule", "repository_dispatch": "deploy"}


def _target(asked: str, allowed: Sequence[str]) -> str:
    found = [one for one in allowed if asked in {"", one}]
    if not found:
        msg = f"the target is not on this repository's list, which has {', '.join(allowed)}"
        raise RequestError(msg)
    return found[0]


def _areas(asked: str) -> tuple[Area, ...]:
    words = {word.strip() for word in asked.split(",")} - {""}
    if words - set(_AREAS):
        msg = f"an area that does not exist is asked for; there are {', '.join(_AREAS)}"
        raise RequestError(msg)
    return tuple(area for area in _AREAS if area in words)


def _sha(asked: str) -> str:
    if asked and not SHA.fullmatch(asked):
        msg = "the commit is not one: 40 or 64 hexadecimal digits in small letters are"
        raise RequestError(msg)
    return asked


def issues_need_a_look(runs: Sequence[Seen], close_runs: int, open_runs: int) -> str:
    """Why a job for the issues must follow the last of these runs, the earliest first; empty where none must.

    The platform was found in another state within as many runs as it takes to open or close an issue and some
    more, something wrong being one of the two; or this is the first run of its day (UTC), which is when
    whatever went wrong with an issue is put right. While all stays as it is, there is nothing to write.
    """
    if not runs:
        return "nothing is known yet"
    last, before = runs[-1], runs[:-1]
    lately = [run.state for run in runs[-(max(open_runs, close_runs) + MORE_LOOKS + 1) :]]
    if any(map(is_bad, lately)) and (len(lately) > len(before) or any(map(_differ, lately, lately[1:]))):
        return "something is wrong" if is_bad(last.state) else "something was wrong lately"
    if not any(run.started_at.date() == last.started_at.date() for run in before):
        return "this is the first run of the day"
    return ""


def _differ(one: State, other: State) -> bool:
    """Whether an issue could say something else: other failures or causes, or another way to fail."""
    return (one.causes, one.checks.get("fail")) != (other.causes, other.checks.get("fail"))


def is_bad(state: State) -> bool:
    """Whether a run found anything that an issue could be about. A run that told nothing did not."""
    return bool(state.causes or state.checks.get("fail"))
