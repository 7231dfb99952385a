"""Experiments: what is broken, how it is mended again, and what must come of it. Read from TOML; pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Frozen, SafetyClass

EXPERIMENTS = Path(__file__).with_name("experiments")
OURS = ("upload", "disk", "connections", "kill-probe", "sweep", "request", "limits")
"""The kinds of steps that are not the sandbox's own."""
SANDBOX = ("aws", "service", "fault")

UserKind = Literal["read", "register", "transfer"]
USER_KINDS: tuple[UserKind, ...] = get_args(UserKind)

_REFUSED = "inconsistent"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


Place = tuple[int | str, ...]
"""Where something stands in a file: keys and positions, such as ``("method", 0, "service")``."""

Lines = Callable[[str, Place], int]
"""The line, from 1, of a place in a TOML text. Python's own reader forgets the lines."""


class ExperimentError(ProbeError):
    """An experiment that cannot be used; the text is one sentence that names the file and the place."""


class Upload(Frozen):
    """One large artifact that a user begins to store, whatever comes next. ``mib``: its size in MiB."""

    mib: int = Field(24, ge=1, le=256)


class DiskStep(Frozen):
    """The disk of MLflow's artifacts: ``small`` before anything is stored, then ``full``, then ``free``."""

    state: Literal["small", "full", "free"]


class ConnectionsStep(Frozen):
    """The database's connections: ``held``, all that anybody can have, or ``free`` again."""

    state: Literal["held", "free"]


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
    "connections": ConnectionsStep,
    "request": RequestStep,
    "kill-probe": Nothing,
    "sweep": Nothing,
    "limits": Nothing,
}


class Step(Frozen):
    """One step: when it is due, in seconds since the first, and what it is.

    ``kind`` is one of the sandbox's (aws, service, fault), whose keys are those of its scenario files, or one
    of ours: ``upload``, ``disk``, ``connections``, ``kill-probe``, ``sweep`` (what a killed probe left),
    ``request``, ``limits`` (ask each limited route until it refuses). ``settings`` are its other keys.
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
            known = (*SANDBOX, *OURS)
            msg = f"unknown kind {self.kind!r}{hint(self.kind, known)} (allowed: {', '.join(known)})"
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
    """A rate limit that the contract names: requests in so many platform seconds.

    It is one of a remote address, or with ``of_key`` of a key: one is issued for it by the sandbox's
    administrator, which may be used that often, and revoked again. ``passed_on``: what the gateway must
    answer to that key then, such as ``429, Retry-After: 60``.
    """

    host: Literal["registry", "auth"] = "registry"
    method: Literal["GET", "POST"]
    path: str = Field(pattern=r"^/")
    body: Mapping[str, object] | None = None
    requests: int = Field(ge=1, le=200)
    window_s: float = Field(60.0, gt=0.0)
    of_key: bool = False
    passed_on: str | None = None


class Expect(Frozen):
    """What must come of it.

    ``causes``: those that must be named before the rollback; empty: none can be, and none may. ``subjects``:
    of what one of them must be named, such as ``["mlflow"]``, and of nothing else. ``accept``: others that
    may be named meanwhile. ``detected``: whether a check must fail, or must not; "either" where that is a
    matter of luck. ``could``: the least share of what users try, by kind, that must work during the fault,
    from 0 to 1. ``cuts_uploads``: whether one ``upload`` at least must be cut short.
    """

    causes: tuple[str, ...] = ()
    subjects: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    accept: tuple[str, ...] = ()
    detected: bool | Literal["either"] = True
    could: Mapping[UserKind, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(default_factory=dict)
    cuts_uploads: bool = False


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
        for place, said in self._problems():
            raise PydanticCustomError(_REFUSED, "{said}", {"said": said, "at": place})
        return self

    def _problems(self) -> Iterator[tuple[Place, str]]:
        """What does not go together, with the place that is to be mended."""
        if not _NAME.fullmatch(self.name):
            yield ("name",), f"{self.name!r} is no name: lower-case letters, digits and '-'"
        if late := [n for n, step in enumerate(self.method) if step.at_s > self.hold_s]:
            yield ("method", late[0], "at_s"), f"it comes after the {self.hold_s:g} s of hold_s"
        for part, steps in (("given", self.given), ("rollback", self.rollback)):
            if timed := [n for n, step in enumerate(steps) if step.at_s]:
                yield (
                    (part, timed[0], "at_s"),
                    "only steps of the method have a time; these follow one another",
                )
        if any(step.kind == "limits" for step in self.method) != bool(self.limits):
            yield (), "a step of kind 'limits' and [[limits]] go together"
        yield from self._problems_of_expect()

    def _problems_of_expect(self) -> Iterator[tuple[Place, str]]:
        if self.expect.cuts_uploads and not any(step.kind == "upload" for step in self.method):
            yield ("expect", "cuts_uploads"), "there is no step of kind 'upload' that could be cut short"
        for cause in self.expect.subjects:
            if cause not in self.expect.causes:
                yield ("expect", "subjects", cause), "it is none of the causes that must be named"

    def sandbox_steps(self) -> list[tuple[Place, dict[str, object]]]:
        """What the sandbox itself is asked for, in order, each with its place in the file."""
        parts: Mapping[str, tuple[Step, ...]] = {
            "given": self.given, "method": self.method, "rollback": self.rollback,
        }  # fmt: skip
        return [
            ((part, number), step.for_sandbox())
            for part, steps in parts.items()
            for number, step in enumerate(steps)
            if not step.is_ours
        ]


def experiment_names() -> list[str]:
    """The names of the experiments that ship, sorted."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))


def path_of(name_or_path: str) -> Path:
    """The file of the experiment that ships under a name, or the file named. Raises ExperimentError."""
    shipped = EXPERIMENTS / f"{name_or_path}.toml"
    path = shipped if shipped.is_file() and "/" not in name_or_path else Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        near = hint(name_or_path, experiment_names())
        msg = f"no experiment {name_or_path!r}{near or ';'} `hokusai-probe chaos --list` lists them"
        raise ExperimentError(msg)
    return path


def read(path: Path) -> str:
    """The text of an experiment's file. Raises ExperimentError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        raise ExperimentError(msg) from None


def load(name_or_path: str, lines: Lines | None = None) -> Experiment:
    """The experiment that ships under a name, or that is in a file. Raises ExperimentError."""
    path = path_of(name_or_path)
    return parse(read(path), str(path), lines)


def parse(text: str, source: str, lines: Lines | None = None) -> Experiment:
    """The experiment that a TOML text describes; ``source`` is what an error calls it.

    With ``lines`` an error names its line as well. Raises ExperimentError.
    """
    try:
        return Experiment.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        msg = f"{source}: not TOML: {error}"
        raise ExperimentError(msg) from None
    except ValidationError as error:
        first = _first(error)
        line = f":{lines(text, _place(first))}" if lines is not None else ""
        msg = f"{source}{line}: {_sentence(first)}"
        raise ExperimentError(msg) from None


def place_in_words(place: Iterable[int | str]) -> str:
    """A place for people, who count from 1: ``method 1 service``."""
    return " ".join(str(part + 1) if isinstance(part, int) else part for part in place)


def _wrong_setting(kind: str, error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"a step of kind {kind!r} has no key {key!r}{_allowed(key, _SETTINGS[kind])}"
    return f"the {key} of a step of kind {kind!r}: {_words(first)}"


def _first(error: ValidationError) -> ErrorDetails:
    """The mistake that is told: a key that is misspelt goes before the one that is missing for it."""
    found = error.errors()
    return next((one for one in found if one["type"] == "extra_forbidden"), found[0])


def _place(first: ErrorDetails) -> Place:
    return (*first["loc"], *first.get("ctx", {}).get("at", ()))


def _sentence(first: ErrorDetails) -> str:
    place = place_in_words(_place(first))
    if first["type"] == "extra_forbidden":
        *before, last = first["loc"]
        return f"unknown key {place!r}{_allowed(str(last), _model(before))}"
    return f"{place}: {_words(first)}" if place else _words(first)


def _words(first: ErrorDetails) -> str:
    if first["type"] == "missing":
        return "it is missing"
    said = first["msg"].removeprefix("Value error, ")
    return f"{said[:1].lower()}{said[1:]}"


def _model(place: list[int | str]) -> type[BaseModel]:
    """Whose keys stand at a place."""
    inner: Mapping[str, type[BaseModel]] = {"expect": Expect, "limits": Limit}
    return inner.get(str(place[0]), Experiment) if place else Experiment


def _allowed(key: str, model: type[BaseModel]) -> str:
    """The key that was meant, else those that there are."""
    known = list(model.model_fields)
    return hint(key, known) or f" (allowed: {', '.join(known) or 'none'})"


def hint(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known word, nothing when none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
