"""Scenario files: a named state of the sandbox and what a run against it must find.

A scenario is TOML. Everything is checked before anything starts: unknown keys, unknown names in braces,
unknown behaviours, steps that could have no effect. Each refusal is one sentence that names the file, the
line, the key and what is allowed.
"""

import difflib
import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from hokusai_probe.sandbox import names, scenario_names, toml_lines
from hokusai_probe.sandbox.faults import Fault, FaultError, parse_fault

SCENARIOS = Path(__file__).with_name("scenarios")

PRESETS: Mapping[str, tuple[str, ...]] = {
    "2025-08": (
        "outage-as-401",
        "public-paths-need-key",
        "preflight-needs-key",
        "no-scope-check",
        "cache-off",
        "health-status-500",
        "breaker-open-500",
        "is-valid-ignored",
    )
}
"""Sets of behaviours that a deployment of that month has and accepts."""

BEHAVIOURS = frozenset(
    (
        *PRESETS["2025-08"],
        "admin-only",
        "api-2.0-mount-strips-prefix",
        "artifact-path-untranslated",
        "artifacts-disabled",
        "artifacts-on-task-disk",
        "auth-header-dropped",
        "breaker-reset-open",
        "breaker-stuck-open",
        "event-loop-blocked",
        "file-store",
        "health-constant",
        "health-uses-other-tls",
        "invalid-key-accepted",
        "key-sent-in-body",
        "mlflow-open-from-outside",
        "ready-200-when-not",
        "route-missing",
        "webhook-secret-wrong",
    )
)
"""The known defects that can be switched on."""

ServiceName = Literal["auth", "gateway", "mlflow", "cache", "database", "storage"]
ServiceAction = Literal["deploy", "restart", "stop", "crash", "hang"]
_REFUSED: Final = "refused"
_UNKNOWN_KEY: Final = "unknown_key"
_NOT_ECS = ("cache", "database", "storage")
_REVISION_KEYS = ("env", "unset", "secrets", "unset_secrets", "image")
_SEED_LIMIT = 300
_TEN_YEARS_S = 10 * 365 * 86400.0
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


class ScenarioError(ValueError):
    """A scenario that cannot be used; the text is one sentence for its author."""


class BackendMissingError(Exception):
    """A backend that a scenario asks for is not on this machine; the text says which and what to install."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known word, nothing when none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _refuse(sentence: str, *at: str | int) -> NoReturn:
    """Refuse a part of a scenario; ``at`` is the place of the culprit within that part."""
    raise PydanticCustomError(_REFUSED, "{sentence}", {"sentence": sentence, "at": at})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        allowed = sorted(info.alias or name for name, info in cls.model_fields.items())
        for key in data:
            if key not in allowed:
                hint = suggestion(str(key), allowed)
                sentence = f"unknown key {key!r}{hint} (allowed: {', '.join(allowed)})"
                raise PydanticCustomError(
                    _UNKNOWN_KEY, "{sentence}", {"sentence": sentence, "at": (str(key),)}
                )
        return data


class Backends(_Part):
    """Where MLflow keeps its data."""

    database: Literal["sqlite", "postgres"] = "sqlite"
    storage: Literal["local", "s3"] = "local"


class SeedRegistry(_Part):
    """How many of other people's experiments and models MLflow holds before the first step.

    At most 300 together. MLflow takes 23 to 57 ms for each (measured on 3.17.2, two cores, idle to busy).
    Several connections at once save a third and lose the order, and with it the ids that go with a seed.
    """

    experiments: int = Field(default=0, ge=0, strict=True)
    models: int = Field(default=0, ge=0, strict=True)

    @model_validator(mode="after")
    def _is_made_in_time(self) -> Self:
        if (wanted := self.experiments + self.models) > _SEED_LIMIT:
            _refuse(
                f"at most {_SEED_LIMIT} experiments and models together, not {wanted}: MLflow makes one at a"
                f" time, and {_SEED_LIMIT} take up to 20 s"
            )
        return self


class Given(_Part):
    """The situation of the prober itself.

    Attributes:
        key: Which key the prober holds.
        admin_key: Whether the target names an administrator's key beside it, for looks that issue keys.
        aws: Whether the target has AWS access, and whether AWS admits the prober.
        clock_offset_s: Seconds by which the prober's clock is ahead of the platform's; negative: behind.

    """

    key: Literal[
        "valid", "admin", "read-only", "other-service", "unknown", "expired", "malformed", "none"
    ] = "valid"
    admin_key: Literal["none", "valid"] = "none"
    aws: Literal["full", "none", "missing", "refused"] = "full"
    clock_offset_s: float = Field(default=0.0, ge=-_TEN_YEARS_S, le=_TEN_YEARS_S, strict=True)


class AwsStep(_Part):
    """One call of a boto3 client, with names in braces in its parameters."""

    kind: Literal["aws"]
    service: str
    call: str
    params: dict[str, object] = Field(default_factory=dict)
    save: str = Field(default="", pattern=r"^([A-Za-z_]\w*)?$")


class CrashWith(_Part):
    """How a crashed container looked: its exit code, the reason given, the last lines of its log."""

    exit_code: int = Field(default=1, ge=0, le=255, strict=True)
    reason: str = "Essential container in task exited"
    log: tuple[str, ...] = ()


class ServiceStep(_Part):
    """Something that happens to one service.

    ``deploy`` registers a revision and rolls it out; ``restart`` does the same at once. ``stop`` and
    ``crash`` take the processes away and the targets with them unless ``keep_target``; ``hang`` freezes
    them. A stopped or crashed service stays down until a new deployment starts it.

    A new revision is the running one with the first container changed. ECS refuses a name that is both a
    variable and a secret of a container (ClientException of RegisterTaskDefinition), so ``env`` takes the
    place of a secret of the same name and ``secrets`` that of a variable. What ``unset`` and
    ``unset_secrets`` name must be there.
    """

    kind: Literal["service"]
    service: ServiceName
    action: ServiceAction
    env: dict[str, str] = Field(default_factory=dict)
    unset: tuple[str, ...] = ()
    secrets: dict[str, str] = Field(default_factory=dict)
    unset_secrets: tuple[str, ...] = ()
    image: str = ""
    crash_with: CrashWith = Field(default_factory=CrashWith, alias="with")
    keep_target: bool = Field(default=False, strict=True)

    @property
    def changes_revision(self) -> bool:
        """Whether the step asks for another task definition than the running one."""
        return bool(self.env or self.unset or self.secrets or self.unset_secrets or self.image)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        first = next((key for key in _REVISION_KEYS if getattr(self, key)), "action")
        if self.service in _NOT_ECS and (self.action == "deploy" or self.changes_revision):
            _refuse(
                f"the {self.service} is no ECS service; it knows restart, stop, crash and hang alone", first
            )
        if self.changes_revision and self.action not in ("deploy", "restart"):
            _refuse(f"{', '.join(_REVISION_KEYS)} go with deploy and restart only", first)
        if "crash_with" in self.model_fields_set and self.action != "crash":
            _refuse("'with' goes with crash only", "with")
        if twice := sorted(self.env.keys() & self.secrets):
            _refuse(f"{twice[0]!r} is in env and in secrets; ECS allows a name in one of them", "secrets")
        if self.keep_target and self.action not in ("stop", "crash"):
            _refuse("'keep_target' goes with stop and crash only", "keep_target")
        return self


class FaultStep(BaseModel):
    """A fault on an edge, from here on."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["fault"]
    raw: dict[str, object]

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: Mapping[str, object]) -> object:
        keys = {name: value for name, value in data.items() if name != "kind"}
        try:
            parse_fault(keys)
        except FaultError as error:
            _refuse(str(error), *_place_in_fault(keys))
        return {"kind": data["kind"], "raw": keys}

    @property
    def edge(self) -> str:
        """The edge that the fault is on."""
        return str(self.raw["edge"])

    def fault(self, names_in_braces: names.Names) -> Fault:
        """The fault with the names in its match resolved.

        Raises:
            UnknownNameError: A name is not there.
            FaultError: The resolved match is no match.

        """
        return parse_fault({**self.raw, "match": names_in_braces.resolve(self.raw.get("match", {}))})


def _place_in_fault(keys: Mapping[str, object]) -> tuple[str | int, ...]:
    """Where in a fault step the first error is; () for the step as a whole."""
    try:
        Fault.model_validate(keys)
    except ValidationError as error:
        return error.errors()[0]["loc"]
    return ()


Step = Annotated[AwsStep | ServiceStep | FaultStep, Field(discriminator="kind")]


class WithoutAws(_Part):
    """What a run without AWS must find."""

    causes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unexplained: bool = Field(default=False, strict=True)


class Expect(_Part):
    """What a run must find: exactly these causes as roots; none means healthy."""

    causes: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unexplained: bool = Field(default=False, strict=True)
    accept: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    without_aws: WithoutAws | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    lines: Mapping[toml_lines.Path, int]


class Scenario(_Part):
    """A scenario file."""

    _source: _Source | None = PrivateAttr(default=None)

    name: str
    summary: str = Field(min_length=1)
    preset: str = ""
    behaviours: tuple[str, ...] = ()
    backends: Backends = Backends()
    seed_registry: SeedRegistry = SeedRegistry()
    given: Given = Given()
    step: tuple[Step, ...] = ()
    expect: Expect = Expect()

    @property
    def accepted(self) -> tuple[str, ...]:
        """The behaviours that the target accepts: those of the preset, no others."""
        return PRESETS.get(self.preset, ())

    @property
    def switched_on(self) -> tuple[str, ...]:
        """Every behaviour that is on: the preset's, then the scenario's own."""
        return tuple(dict.fromkeys((*self.accepted, *self.behaviours)))

    @contextmanager
    def at_step(self, number: int) -> Iterator[None]:
        """Name file and line of a step (from 1) in a refusal that the block raises."""
        try:
            yield
        except ScenarioError as error:
            if self._source is None:
                raise
            line = toml_lines.line_of(self._source.lines, ("step", number - 1))
            sentence = f"{self._source.name}:{line}: {error}"
            raise ScenarioError(sentence) from None

    @model_validator(mode="after")
    def _keeps_its_source(self, info: ValidationInfo) -> Self:
        if isinstance(info.context, _Source):
            self._source = info.context
        return self

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not _NAME.fullmatch(self.name):
            _refuse(f"{self.name!r} is no name: lower-case letters, digits, '.' and '-'", "name")
        if self.preset and self.preset not in PRESETS:
            hint = suggestion(self.preset, PRESETS)
            _refuse(f"unknown preset {self.preset!r}{hint} (allowed: {', '.join(PRESETS)})", "preset")
        for position, value in enumerate(self.behaviours):
            if value not in BEHAVIOURS:
                hint = suggestion(value, BEHAVIOURS)
                _refuse(f"unknown behaviour {value!r}{hint}", "behaviours", position)
        self._check_names()
        self._check_backends()
        self._check_calls()
        return self

    def _check_names(self) -> None:
        known = names.ALWAYS | (names.WITH_S3 if self.backends.storage == "s3" else frozenset())
        saved: set[str] = set()
        for position, step in enumerate(self.step):
            for place, text in names.texts(with_names(step)):
                for problem in _problems(text, known, saved):
                    _refuse(problem, "step", position, *place)
            if isinstance(step, AwsStep) and step.save:
                saved.add(step.save)

    def _check_backends(self) -> None:
        """Refuse faults and actions on a store that this scenario does without: they would do nothing."""
        for position, step in enumerate(self.step):
            if isinstance(step, FaultStep):
                wanted, key = _BACKEND_OF_EDGE.get(step.edge), "edge"
            elif isinstance(step, ServiceStep) and step.service == "storage":
                wanted, key = ("storage", "s3"), "service"
            else:
                continue
            if wanted and getattr(self.backends, wanted[0]) != wanted[1]:
                needs = f'backends = {{ {wanted[0]} = "{wanted[1]}" }}'
                _refuse(f"nothing goes there without {needs}", "step", position, key)

    def _check_calls(self) -> None:
        for position, step in enumerate(self.step):
            if not isinstance(step, AwsStep):
                continue
            if step.service not in _aws_services():
                hint = suggestion(step.service, _aws_services())
                _refuse(f"AWS has no service {step.service!r}{hint}", "step", position, "service")
            if step.call not in (calls := _aws_calls(step.service)):
                hint = suggestion(step.call, calls)
                _refuse(f"{step.service} has no call {step.call!r}{hint}", "step", position, "call")


@functools.cache
def _aws_services() -> frozenset[str]:
    """The services that boto3 has a client for, from the data that botocore ships."""
    from botocore.loaders import Loader

    return frozenset(Loader().list_available_services("service-2"))


@functools.cache
def _aws_calls(service: str) -> frozenset[str]:
    """The methods of a service's client that are calls of its API."""
    from botocore import xform_name
    from botocore.loaders import Loader

    return frozenset(
        xform_name(name) for name in Loader().load_service_model(service, "service-2")["operations"]
    )


_BACKEND_OF_EDGE: Mapping[str, tuple[str, str]] = {
    "mlflow->database": ("database", "postgres"),
    "mlflow->storage": ("storage", "s3"),
}


def with_names(step: AwsStep | ServiceStep | FaultStep) -> Mapping[str, object]:
    """The parts of a step in which names in braces are resolved."""
    if isinstance(step, AwsStep):
        return {"params": step.params}
    if isinstance(step, ServiceStep):
        return {"env": step.env, "secrets": step.secrets, "image": step.image}
    return {"match": step.raw.get("match", {})}


def _problems(text: str, known: frozenset[str], saved: set[str]) -> Iterator[str]:
    """Why the names in braces of a text cannot be used here."""
    yield from names.mistakes(text)
    yield from filter(None, (_problem(name, known, saved) for name in names.references(text)))


def _problem(name: str, known: frozenset[str], saved: set[str]) -> str:
    """Why a name in braces cannot be used here; "" when it can."""
    if name.startswith("saved."):
        found = name.removeprefix("saved.") in saved
        return "" if found else f"{{{name}...}} is used, but no earlier step saves that"
    if name in names.WITH_S3 - known:
        return f'{{{name}}} exists only with backends = {{ storage = "s3" }}'
    return "" if name in known else str(names.unknown(name, known))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read and check a scenario.

    Args:
        name_or_path: The name of one that ships, or the path of a TOML file.

    Raises:
        ScenarioError: One sentence that says what is wrong where, and what is allowed.

    """
    path = _path_of(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        sentence = f"{path}: cannot be read: {error.strerror}"
        raise ScenarioError(sentence) from None
    except UnicodeDecodeError as error:
        sentence = f"{path}: not UTF-8: {error.reason} at byte {error.start}"
        raise ScenarioError(sentence) from None
    return parse_scenario(text, str(path))


def parse_scenario(text: str, source: str) -> Scenario:
    """Read and check the text of a scenario.

    Args:
        text: TOML.
        source: What an error calls it: a file's path.

    Raises:
        ScenarioError: ``SOURCE:LINE: `` and one sentence.

    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(_syntax(str(error), text, source)) from None
    known = toml_lines.lines(text)
    try:
        return Scenario.model_validate(content, context=_Source(source, known))
    except ValidationError as error:
        first = error.errors()[0]
        line = toml_lines.line_of(known, culprit(first))
        sentence = f"{source}:{line}: {_sentence(first)}"
        raise ScenarioError(sentence) from None


def refusal(error: ValidationError) -> str:
    """The first thing that is wrong, as one sentence with its place."""
    return _sentence(error.errors()[0])


def step_refusal(error: ValidationError) -> tuple[str, tuple[str | int, ...]]:
    """The first thing that is wrong with a scenario's steps: a sentence without the step, and the place.

    The place is the step's number, from 0, and the keys that lead to the mistake in it.
    """
    first = error.errors()[0]
    within = _place([*_steps_as_written(first), *_refused_at(first)][2:])
    return (f"{within}: {_words(first)}" if within else _words(first)), culprit(first)[1:]


def _syntax(said: str, text: str, source: str) -> str:
    """The parser's own words behind the file's name and line; at the end of a text it gives no number."""
    place = _TOML_PLACE.search(said)
    line, column = (int(place[1]), f" at column {place[2]}") if place else (len(text.splitlines()) or 1, "")
    what = _TOML_PLACE.sub("", said).removesuffix(" (at end of document)")
    return f"{source}:{line}: not TOML{column}: {what}"


def _path_of(name_or_path: str | Path) -> Path:
    shipped = SCENARIOS / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and path.name == name_or_path and shipped.is_file():
        return shipped
    if path.suffix == ".toml" or path.is_file():
        return path
    hint = suggestion(str(name_or_path), scenario_names())
    sentence = f"no scenario {str(name_or_path)!r}{hint or ';'} `hokusai-probe scenarios` lists them"
    raise ScenarioError(sentence)


def _sentence(error: ErrorDetails) -> str:
    place = _place([*_steps_as_written(error), *_refused_at(error)])
    return f"{place}: {_words(error)}" if place else _words(error)


def _words(error: ErrorDetails) -> str:
    if error["type"] in (_REFUSED, _UNKNOWN_KEY):
        return str(error["msg"])
    if error["type"] in _PLAIN_WORDS:
        return _PLAIN_WORDS[error["type"]]
    if error["type"] == "union_tag_not_found":
        return "the key 'kind' is missing (allowed: aws, fault, service)"
    if error["type"] == "union_tag_invalid":
        kind = error["ctx"]["tag"]
        return f"unknown kind {kind!r}{suggestion(kind, _KINDS)} (allowed: {', '.join(_KINDS)})"
    given = error["input"]
    shown = f", not {given!r}" if isinstance(given, (str, int, float, bool)) else ""
    return f"{error['msg']}{shown}"


_KINDS = ("aws", "fault", "service")

_PLAIN_WORDS = {
    "missing": "is missing",
    "tuple_type": "must be an array",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
}


def _refused_at(error: ErrorDetails) -> tuple[str | int, ...]:
    """The place of a refusal within what refused it, when that is the scenario itself."""
    return _within(error) if error["type"] == _REFUSED and not error["loc"] else ()


def culprit(error: ErrorDetails) -> tuple[str | int, ...]:
    """Where in a scenario the mistake is: keys and positions from its root."""
    kind = ("kind",) if error["type"] == "union_tag_invalid" else ()
    return (*_steps_as_written(error), *_within(error), *kind)


def _within(error: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(error.get("ctx", {}).get("at", ()))


def _steps_as_written(error: ErrorDetails) -> tuple[str | int, ...]:
    """The location without what the discriminator adds to it: ``step 1 'aws' params`` is no such key."""
    loc = error["loc"]
    return (*loc[:2], *loc[3:]) if loc[:1] == ("step",) else loc


def _place(loc: Sequence[int | str]) -> str:
    """``step 2: params`` for a place in a scenario; positions in arrays are left to the line."""
    if len(loc) > 1 and loc[0] == "step":
        return ": ".join([f"step {int(loc[1]) + 1}", *(part for part in loc[2:] if isinstance(part, str))])
    return ": ".join(part for part in loc if isinstance(part, str))
