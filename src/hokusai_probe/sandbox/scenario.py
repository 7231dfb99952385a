"""Scenario files: a named state of the sandbox and what a run against it must find.

A scenario is TOML. Everything is checked before anything starts: unknown keys, unknown names in braces,
unknown behaviours. Each refusal is one sentence that names the file, the key and what is allowed.
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hokusai_probe.sandbox import names
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
        "artifact-path-untranslated",
        "artifacts-disabled",
        "auth-header-dropped",
        "invalid-key-accepted",
        "key-sent-in-body",
        "route-missing",
    )
)
"""The known defects that can be switched on."""

PLANNED_BEHAVIOURS = frozenset(
    {
        "admin-only",
        "api-2.0-mount-strips-prefix",
        "artifacts-on-task-disk",
        "breaker-stuck-open",
        "event-loop-blocked",
        "file-store",
        "health-constant",
        "health-uses-other-tls",
        "mlflow-open-from-outside",
        "ready-200-when-not",
        "webhook-secret-wrong",
    }
)
"""Behaviours of the scenario contract that are not in this version."""

ServiceName = Literal["auth", "gateway", "mlflow", "cache", "database", "storage"]
ServiceAction = Literal["deploy", "restart", "stop", "crash", "hang"]
_REVISION_KEYS = ("env", "unset", "secrets", "unset_secrets", "image")


class ScenarioError(ValueError):
    """A scenario that cannot be used; the text is one sentence for its author."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known word, nothing when none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


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
                raise ValueError(sentence)
        return data


class Backends(_Part):
    """Where MLflow keeps its data. Postgres is not in this version."""

    database: Literal["sqlite", "postgres"] = "sqlite"
    storage: Literal["local", "s3"] = "local"

    @field_validator("database")
    @classmethod
    def _is_built(cls, value: str) -> str:
        if value == "postgres":
            sentence = "the database 'postgres' is not in this version; use 'sqlite'"
            raise ValueError(sentence)
        return value


class SeedRegistry(_Part):
    """How many of other people's experiments and models MLflow holds before the first step."""

    experiments: int = Field(default=0, ge=0, le=1000)
    models: int = Field(default=0, ge=0, le=1000)


class Given(_Part):
    """The situation of the prober itself."""

    key: Literal["valid", "admin", "read-only", "other-service", "unknown", "expired", "none"] = "valid"
    aws: Literal["full", "none", "missing", "refused"] = "full"
    clock_offset_s: float = 0.0

    @model_validator(mode="after")
    def _is_built(self) -> Self:
        if self.aws == "refused":
            sentence = "aws = 'refused' is not in this version; use full, none or missing"
            raise ValueError(sentence)
        if self.clock_offset_s:
            sentence = "a clock_offset_s other than 0 is not in this version"
            raise ValueError(sentence)
        return self


class AwsStep(_Part):
    """One call of a boto3 client, with names in braces in its parameters."""

    kind: Literal["aws"]
    service: str
    call: str
    params: dict[str, object] = Field(default_factory=dict)
    save: str = Field(default="", pattern=r"^([A-Za-z_]\w*)?$")


class CrashWith(_Part):
    """How a crashed container looked: its exit code, the reason given, the last lines of its log."""

    exit_code: int = Field(default=1, ge=0, le=255)
    reason: str = "Essential container in task exited"
    log: tuple[str, ...] = ()


class ServiceStep(_Part):
    """Something that happens to one service.

    ``deploy`` registers a revision and rolls it out; ``restart`` does the same at once. ``stop`` and
    ``crash`` take the processes away and the targets with them unless ``keep_target``; ``hang`` freezes
    them. A stopped or crashed service stays down until a new deployment starts it.
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
    keep_target: bool = False

    @property
    def changes_revision(self) -> bool:
        """Whether the step asks for another task definition than the running one."""
        return bool(self.env or self.unset or self.secrets or self.unset_secrets or self.image)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.service in ("database", "storage"):
            sentence = f"steps on the service {self.service!r} are not in this version"
            raise ValueError(sentence)
        if self.service == "cache" and (self.action == "deploy" or self.changes_revision):
            sentence = "the cache is no ECS service; it knows restart, stop, crash and hang alone"
            raise ValueError(sentence)
        if self.changes_revision and self.action not in ("deploy", "restart"):
            sentence = f"{', '.join(_REVISION_KEYS)} go with deploy and restart only"
            raise ValueError(sentence)
        if "crash_with" in self.model_fields_set and self.action != "crash":
            sentence = "'with' goes with crash only"
            raise ValueError(sentence)
        if self.keep_target and self.action not in ("stop", "crash"):
            sentence = "'keep_target' goes with stop and crash only"
            raise ValueError(sentence)
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
            raise ValueError(str(error)) from None
        return {"kind": data["kind"], "raw": keys}

    def fault(self, names_in_braces: names.Names) -> Fault:
        """The fault with the names in its match resolved.

        Raises:
            UnknownNameError: A name is not there.
            FaultError: The resolved match is no match.

        """
        return parse_fault({**self.raw, "match": names_in_braces.resolve(self.raw.get("match", {}))})


Step = Annotated[AwsStep | ServiceStep | FaultStep, Field(discriminator="kind")]


class WithoutAws(_Part):
    """What a run without AWS must find."""

    causes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unexplained: bool = False


class Expect(_Part):
    """What a run must find: exactly these causes as roots; none means healthy."""

    causes: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unexplained: bool = False
    accept: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    without_aws: WithoutAws | None = None


class Scenario(_Part):
    """A scenario file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
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

    @field_validator("preset")
    @classmethod
    def _is_a_preset(cls, value: str) -> str:
        if value and value not in PRESETS:
            sentence = f"unknown preset {value!r} (allowed: {', '.join(PRESETS)})"
            raise ValueError(sentence)
        return value

    @field_validator("behaviours")
    @classmethod
    def _are_behaviours(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if value in PLANNED_BEHAVIOURS:
                sentence = f"the behaviour {value!r} is not in this version"
                raise ValueError(sentence)
            if value not in BEHAVIOURS:
                sentence = f"unknown behaviour {value!r}{suggestion(value, BEHAVIOURS)}"
                raise ValueError(sentence)
        return values

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = names.ALWAYS | (names.WITH_S3 if self.backends.storage == "s3" else frozenset())
        saved: set[str] = set()
        for number, step in enumerate(self.step, start=1):
            for name in _references(step):
                _check_reference(name, known, saved, number)
            if isinstance(step, AwsStep) and step.save:
                saved.add(step.save)
        return self


def _references(step: AwsStep | ServiceStep | FaultStep) -> Iterator[str]:
    for text in names.texts(with_names(step)):
        yield from names.references(text)


def with_names(step: AwsStep | ServiceStep | FaultStep) -> Mapping[str, object]:
    """The parts of a step in which names in braces are resolved."""
    if isinstance(step, AwsStep):
        return {"params": step.params}
    if isinstance(step, ServiceStep):
        return {"env": step.env, "secrets": step.secrets, "image": step.image}
    return {"match": step.raw.get("match", {})}


def _check_reference(name: str, known: frozenset[str], saved: set[str], number: int) -> None:
    if name.startswith("saved."):
        if name.removeprefix("saved.") not in saved:
            sentence = f"step {number} uses {{{name}...}}, but no earlier step saves that"
            raise ValueError(sentence)
    elif name in names.WITH_S3 - known:
        sentence = f'step {number}: {{{name}}} exists only with backends = {{ storage = "s3" }}'
        raise ValueError(sentence)
    elif name not in known:
        sentence = f"step {number}: {names.unknown(name, known)}"
        raise ValueError(sentence)


def scenario_names() -> list[str]:
    """The names of the scenarios that ship, sorted."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read and check a scenario.

    Args:
        name_or_path: The name of one that ships, or the path of a TOML file.

    Raises:
        ScenarioError: One sentence that says what is wrong where, and what is allowed.

    """
    path = _path_of(name_or_path)
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        sentence = f"{path}: cannot be read: {error.strerror}"
        raise ScenarioError(sentence) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        sentence = f"{path}: not TOML: {error}"
        raise ScenarioError(sentence) from None
    except ValidationError as error:
        sentence = f"{path}: {_sentence(error)}"
        raise ScenarioError(sentence) from None


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


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    text = first["msg"].removeprefix("Value error, ")
    place = _place(first["loc"])
    return f"{place}: {text}" if place else text


def _place(loc: Sequence[int | str]) -> str:
    """``step 2: params`` for the location of an error; the discriminator's own entry is left out."""
    parts = [str(part) for part in loc]
    if len(parts) > 1 and parts[0] == "step":
        parts[:3] = [f"step {int(parts[1]) + 1}"]
    return ": ".join(parts)
