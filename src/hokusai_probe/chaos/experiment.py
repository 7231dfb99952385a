"""Experiments: what is broken, how it is mended again, and what must come of it. Read from TOML; pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Frozen, SafetyClass

EXPERIMENTS = Path(__file__).with_name("experiments")
OURS = ("upload", "disk", "kill-probe", "sweep", "request", "limits")
"""The kinds of steps that are not the sandbox's own."""
SANDBOX = ("aws", "service", "fault")

UserKind = Literal["read", "register", "transfer"]
USER_KINDS: tuple[UserKind, ...] = get_args(UserKind)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class ExperimentError(ProbeError):
    """An experiment that cannot be used; the text is one sentence that names the file and the place."""


class Upload(Frozen):
    """One large artifact that a user begins to store, whatever comes next. ``mib``: its size in MiB."""

    mib: int = Field(24, ge=1, le=256)


class DiskStep(Frozen):
    """The disk of MLflow's artifacts: ``small`` before anything is stored, then ``full``, then ``free``."""

    state: Literal["small", "full", "free"]


class RequestStep(Frozen):
    """A request with the user's key to the registry host, which must be answered 200."""

    method: Literal["GET", "POST"] = "GET"
    path: str = Field(pattern=r"^/")


class Nothing(Frozen):
    """A step that takes no settings."""


class _Anything(BaseModel):
    """The settings of the sandbox's own steps, which it checks itself."""


_SETTINGS: Mapping[str, type[BaseModel]] = {
    "upload": Upload,
    "disk": DiskStep,
    "request": RequestStep,
    "kill-probe": Nothing,
    "sweep": Nothing,
    "limits": Nothing,
}


class Step(Frozen):
    """One step: when it is due, in seconds since the first, and what it is.

    ``kind`` is one of the sandbox's (aws, service, fault), whose keys are those of its scenario files, or one
    of ours: ``upload``, ``disk``, ``kill-probe``, ``sweep`` (what a killed probe left), ``request``,
    ``limits`` (ask each limited route until it refuses). ``settings`` are its other keys.
    """

    kind: str
    at_s: float = Field(0.0, ge=0.0, le=120.0)
    settings: Mapping[str, object] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: object) -> object:
        if not isinstance(data, Mapping) or set(data) <= {"kind", "at_s", "settings"}:
            return data
        rest = {key: value for key, value in data.items() if key not in ("kind", "at_s")}
        return {key: data[key] for key in ("kind", "at_s") if key in data} | {"settings": rest}

    @model_validator(mode="after")
    def _is_known(self) -> Step:
        if self.kind not in (*OURS, *SANDBOX):
            msg = f"unknown kind {self.kind!r}{_hint(self.kind, (*OURS, *SANDBOX))}"
            raise ValueError(msg)
        try:
            _SETTINGS.get(self.kind, _Anything).model_validate(self.settings)
        except ValidationError as error:
            raise ValueError(_wrong_setting(self.kind, error)) from None
        return self

    @property
    def is_ours(self) -> bool:
        """Whether it is carried out from outside, not by the sandbox."""
        return self.kind in OURS

    def for_sandbox(self) -> dict[str, object]:
        """The step as a scenario file has it."""
        return {"kind": self.kind, **self.settings}


class Limit(Frozen):
    """A rate limit that the contract names: requests in so many platform seconds for one remote address."""

    method: Literal["GET", "POST"]
    path: str = Field(pattern=r"^/")
    body: Mapping[str, object] | None = None
    requests: int = Field(ge=1, le=200)
    window_s: float = Field(60.0, gt=0.0)


class Expect(Frozen):
    """What must come of it.

    ``causes``: those that must be named before the rollback; empty: none can be, and none may. ``accept``:
    others that may be named meanwhile. ``detected``: whether a check must fail, or must not; "either" where
    that is a matter of luck. ``could``: the least share of what users try, by kind, that must work during the
    fault.
    """

    causes: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    detected: bool | Literal["either"] = True
    could: Mapping[UserKind, float] = Field(default_factory=dict)


class Experiment(Frozen):
    """One experiment.

    ``source``: the contract's section or the incident that it stands for. ``sandbox``: the scenario in which
    it begins. ``looks``: areas, looks or checks that are looked at again and again; ``allow``: safety classes
    beside ``read``. ``given`` steps come before the steady state, ``method`` after it and after ``before_s``
    in which users work, so that it meets things and caches that are in use. ``hold_s`` is how long the fault
    lasts from the first of these, in seconds as they pass here; ``rollback`` follows whatever
    happens, and takes faults back by itself. ``recover_within_s`` after it all must be well.
    ``breaker``: read the breaker's state all the time. ``limits``: what the step ``limits`` asks.
    """

    name: str
    summary: str = Field(min_length=1)
    source: str = Field(min_length=1)
    sandbox: str = "healthy"
    looks: tuple[str, ...] = ("infrastructure", "authentication", "proxy", "data", "resilience")
    allow: tuple[SafetyClass, ...] = ()
    before_s: float = Field(3.0, ge=0.0, le=60.0)
    hold_s: float = Field(15.0, gt=0.0, le=120.0)
    recover_within_s: float = Field(30.0, gt=0.0, le=300.0)
    breaker: bool = False
    limits: tuple[Limit, ...] = ()
    given: tuple[Step, ...] = ()
    method: tuple[Step, ...] = ()
    rollback: tuple[Step, ...] = ()
    expect: Expect = Expect()

    @model_validator(mode="after")
    def _is_consistent(self) -> Experiment:
        if not _NAME.fullmatch(self.name):
            msg = f"{self.name!r} is no name: lower-case letters, digits and '-'"
            raise ValueError(msg)
        if any(step.at_s > self.hold_s for step in self.method):
            msg = f"a step of the method comes after the {self.hold_s:g} s of hold_s"
            raise ValueError(msg)
        if any(step.kind == "limits" for step in self.method) != bool(self.limits):
            msg = "a step of kind 'limits' and [[limits]] go together"
            raise ValueError(msg)
        return self

    def sandbox_steps(self) -> list[dict[str, object]]:
        """What the sandbox itself is asked for, in order: to be checked before it starts."""
        every = (*self.given, *self.method, *self.rollback)
        return [step.for_sandbox() for step in every if not step.is_ours]


def experiment_names() -> list[str]:
    """The names of the experiments that ship, sorted."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))


def load(name_or_path: str) -> Experiment:
    """The experiment that ships under a name, or that is in a file. Raises ExperimentError."""
    shipped = EXPERIMENTS / f"{name_or_path}.toml"
    path = shipped if shipped.is_file() and "/" not in name_or_path else Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        hint = _hint(name_or_path, experiment_names())
        msg = f"no experiment {name_or_path!r}{hint or ';'} `hokusai-probe chaos --list` lists them"
        raise ExperimentError(msg)
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        raise ExperimentError(msg) from None


def parse(text: str, source: str) -> Experiment:
    """The experiment that a TOML text describes; ``source`` is what an error calls it.

    Raises ExperimentError.
    """
    try:
        return Experiment.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        msg = f"{source}: not TOML: {error}"
        raise ExperimentError(msg) from None
    except ValidationError as error:
        msg = f"{source}: {_sentence(error)}"
        raise ExperimentError(msg) from None


def _wrong_setting(kind: str, error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"a {kind} step has no key {key!r}{_hint(key, list(_SETTINGS[kind].model_fields))}"
    return f"the {key} of a {kind} step: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _sentence(error: ValidationError) -> str:
    found = error.errors()
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    *before, last = first["loc"] or ("",)
    place = " ".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {place!r}{_hint(str(last), _keys(before))}"
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said[:1].lower()}{said[1:]}" if place else said


def _keys(place: list[int | str]) -> list[str]:
    inner: Mapping[str, type[Frozen]] = {"expect": Expect, "limits": Limit}
    model = inner.get(str(place[0]), Experiment) if place else Experiment
    return list(model.model_fields)


def _hint(word: str, known: tuple[str, ...] | list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
