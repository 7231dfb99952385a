r"""The nouns, frozen. Everything that crosses a boundary is one of these; nothing here does I/O.

    Target -> [probe] -> Observation -> [check] -> Verdict   --+
                                     \\-> [cause] -> Diagnosis -+-> Report

Authors of looks write a :class:`Facts` class and return it; they never build an Observation, a
Verdict or a Diagnosis, so they cannot build a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)

SCHEMA_VERSION = "1.0"

Area = Literal[
    "infrastructure", "authentication", "proxy", "registration", "errors", "performance",
    "resilience", "data", "audit",
]  # fmt: skip
Component = Literal[
    "probe", "client", "dns", "tls", "load-balancer", "network", "ecs", "auth", "gateway", "mlflow",
    "cache", "database", "storage", "secrets", "deployment", "site",
]  # fmt: skip
SafetyClass = Literal["read", "write", "hostile", "disruptive"]
VerdictStatus = Literal["pass", "fail", "error", "skip"]
SkipKind = Literal["blocked", "not-configured", "not-applicable", "cannot-tell"]
Blame = Literal["you", "them", "policy", "network", "probe"]
DiagnosisStatus = Literal["present", "undecided", "ruled_out"]
Certainty = Literal["confirmed", "likely"]
Effort = Literal["minutes", "hours", "days"]
Priority = Literal["critical", "high", "medium", "low"]
RemedyKind = Literal["automatic", "needs-value", "outside-aws"]
Trigger = Literal["schedule", "deploy", "manual"]

SAFETY_CLASSES: tuple[SafetyClass, ...] = ("read", "write", "hostile", "disruptive")


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = "a time without a zone: write it in UTC, ending in Z"
        raise ValueError(msg)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = "a time that in UTC is before the year 1 or after the year 9999"
        raise ValueError(msg) from None


Utc = Annotated[datetime, AfterValidator(_utc)]


class Frozen(BaseModel):
    """A value that cannot be changed and knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- Target ---------------------------------------------------------------------------------------


HostName = Literal["auth", "registry", "api"]
StoreName = Literal["database", "cache"]


class Hosts(Frozen):
    """Base URLs of the platform's public hosts, without a trailing slash. auth and api are optional."""

    registry: str
    auth: str | None = None
    api: str | None = None

    def present(self) -> dict[HostName, str]:
        """The hosts that this target has, by name."""
        urls: dict[HostName, str | None] = {"auth": self.auth, "registry": self.registry, "api": self.api}
        return {name: url for name, url in urls.items() if url is not None}


class Paths(Frozen):
    """Paths on the registry host. ``mlflow`` None means: find the prefix by looking.

    ``serving_model`` is the id of a model that is asked for a prediction; None: none is, for it is billed.
    """

    mlflow: str | None = "/api/mlflow"
    mlflow_direct: str | None = "/mlflow"
    public: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    serving_model: str | None = None


class KeyNames(Frozen):
    """Names of the environment variables that hold keys; the keys themselves are never in a Target."""

    env: str = "HOKUSAI_API_KEY"
    second_env: str = ""
    admin_env: str = ""


class AwsTarget(Frozen):
    """Where the platform lives in AWS. Names are those of the account, keyed by the platform's own."""

    region: str
    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    cluster: str | None = None
    services: Mapping[str, str] = Field(default_factory=dict)
    load_balancers: Mapping[str, str] = Field(default_factory=dict)
    database: str | None = None
    cache: str | None = None
    bucket: str | None = None
    trail: str | None = None


class Tls(Frozen):
    """An extra certificate authority to trust. Verification itself cannot be switched off."""

    ca_file: str | None = None


class Network(Frozen):
    """``resolver`` is ``address:port`` of a DNS server; ``control_host`` a URL known to be well.

    ``database`` and ``cache`` are ``host:port`` of the stores, for who looks from inside the VPC or through a
    tunnel: they are greeted there, without a user or a key. ``http_ports``: where the hosts take plain http,
    where that is not 80; nothing but where a path leads is asked there, without a key.
    """

    control_host: str | None = None
    resolver: str | None = None
    database: str | None = None
    cache: str | None = None
    http_ports: Mapping[HostName, Annotated[int, Field(ge=1, le=65535)]] = Field(default_factory=dict)

    def stores(self) -> dict[StoreName, str]:
        """The stores that have an address here, by name."""
        places: dict[StoreName, str | None] = {"database": self.database, "cache": self.cache}
        return {name: place for name, place in places.items() if place is not None}


class Timeouts(Frozen):
    """Seconds. The first two are ours; the others are the platform's own, as configured there."""

    connect_s: float = Field(5.0, gt=0)
    total_s: float = Field(20.0, gt=0, le=1e9, allow_inf_nan=False)
    load_balancer_connect_s: float = Field(10.0, gt=0)
    idle_s: float = Field(60.0, gt=0)
    gateway_auth_s: float = Field(5.0, gt=0)
    gateway_proxy_s: float = Field(30.0, gt=0)
    gateway_key_cache_s: float = Field(60.0, gt=0)


class Slo(Frozen):
    """Objectives. Milliseconds."""

    p95_ms: float | None = Field(1000.0, gt=0, allow_inf_nan=False)


class Allow(Frozen):
    """Classes of looks that may be taken at this target."""

    classes: tuple[SafetyClass, ...] = ("read",)


class Budget(Frozen):
    """Upper bounds for one run: requests sent and bytes received.

    ``artifact_bytes`` is the size of the large artifact that a run stores and removes again.
    """

    requests: int = Field(300, gt=0)
    bytes: int = Field(64 * 1024 * 1024, gt=0)
    artifact_bytes: int = Field(1024 * 1024, gt=0, le=256 * 1024 * 1024)


class LoadCaps(Frozen):
    """The most that one load test may send and keep under way; a target can only lower these.

    ``requests_per_s`` is an average over any of its stages, ``seconds`` the time in which requests are begun,
    ``bytes`` what is sent and received together. Nothing of the clearing up afterwards counts.
    """

    requests_per_s: float = Field(20.0, gt=0, le=20)
    seconds: float = Field(60.0, gt=0, le=60)
    requests: int = Field(1200, gt=0, le=1200)
    at_once: int = Field(10, gt=0, le=10)
    bytes: int = Field(50_000_000, gt=0, le=50_000_000)


class Owner(Frozen):
    """Who mends a component, and where its issue goes."""

    team: str = ""
    contact: str = ""
    github: str = ""
    repository: str = ""


class Mute(Frozen):
    """A check or cause that opens no issue until a date, and why."""

    check: str | None = None
    cause: str | None = None
    until: datetime
    because: str


class IssueSettings(Frozen):
    """When issues are opened and closed, and how they are labelled.

    ``private_repositories``: OWNER/NAME of those that only people may read who may know of sensitive causes;
    nowhere else is one written down.
    """

    confirm_runs: int = Field(2, ge=1)
    close_runs: int = Field(2, ge=1)
    group_by: Literal["component", "cause"] = "component"
    also_ours: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("hokusai-probe",)
    mute: tuple[Mute, ...] = ()
    maintenance: tuple[str, ...] = ()
    private_repositories: tuple[str, ...] = ()


class Accept(Frozen):
    """Behaviours of this deployment that are known and accepted: named in the report, never failing."""

    behaviours: tuple[str, ...] = ()


class Target(Frozen):
    """One deployment of the platform, as configuration names it."""

    name: str
    hosts: Hosts
    paths: Paths = Paths()
    key: KeyNames = KeyNames()
    aws: AwsTarget | None = None
    tls: Tls = Tls()
    network: Network = Network()
    timeouts: Timeouts = Timeouts()
    slo: Slo = Slo()
    criteria: Mapping[str, float] = Field(default_factory=dict)
    allow: Allow = Allow()
    budget: Budget = Budget()
    load: LoadCaps = LoadCaps()
    owners: Mapping[str, Owner] = Field(default_factory=dict)
    issues: IssueSettings = IssueSettings()
    accept: Accept = Accept()


# --- Looking --------------------------------------------------------------------------------------


class Facts(Frozen):
    """What one look can see. Refusals, timeouts, denials and odd bodies of the platform are facts."""

    @property
    def probe(self) -> str:
        """The slug of the look that returns this class."""
        return PROBE_OF_FACTS.get(type(self), type(self).__name__)


PROBE_OF_FACTS: dict[type[Facts], str] = {}


class RecordedFacts(Facts):
    """Facts as a report's JSON holds them, before the look that knows their class has read them."""

    model_config = ConfigDict(frozen=True, extra="allow")


def _recorded(facts: Any) -> Any:
    return RecordedFacts.model_validate(facts) if isinstance(facts, dict) else facts


AnyFacts = Annotated[
    SerializeAsAny[Facts],
    BeforeValidator(_recorded),
    WithJsonSchema({"type": "object", "description": "The facts of the look; each look has its own."}),
]


class Observation(Frozen):
    """One look: seen with its facts, fault (our own trouble), or skipped with the reason.

    ``waited_for`` is the check that had to pass first and did not. ``to_settle``: of the second round,
    the causes that were open and that it was taken for.
    """

    probe: str
    round: Literal[1, 2] = 1
    started_at: Utc
    duration_s: float
    status: Literal["seen", "fault", "skipped"]
    facts: AnyFacts | None = None
    reason: str | None = None
    skip_kind: SkipKind | None = None
    waited_for: str | None = None
    to_settle: tuple[str, ...] = ()


# --- Judging --------------------------------------------------------------------------------------


class CannotTell(Frozen):
    """A check's third answer: the facts are there and do not decide."""

    reason: str


class NotApplicable(Frozen):
    """A check's fourth answer: this target has nothing that the check could be about."""

    reason: str


class Blocked(Frozen):
    """A check's fifth answer: an earlier step of the same look failed, so this one was not tried.

    ``waited_for`` is the check that says what is wrong with that step.
    """

    reason: str
    waited_for: str | None = None


class Wrong(Frozen):
    """A check's complaint with what reproduces it. A plain string serves where nothing does.

    ``hop``: what is found broken, where the facts tell it more closely than the check's own hop does.
    """

    reason: str
    reproduce: str | None = None
    hop: str | None = None


class Verdict(Frozen):
    """What a check says of the facts. A check of our own side complains as ``error``, never as ``fail``."""

    check: str
    title: str
    area: Area
    component: Component
    hop: str
    status: VerdictStatus
    skip_kind: SkipKind | None = None
    reason: str = ""
    probe: str
    waited_for: str | None = None
    blame: Blame | None = None
    reproduce: str | None = None


class Evidence(Frozen):
    """One fact for a diagnosis: which look, which of its facts, its value, and what that says."""

    probe: str
    fact: str
    value: JsonValue
    text: str


class Settling(Frozen):
    """A look that would decide, and the AWS CLI call that shows the same to a person."""

    look: str
    aws_cli: str | None = None


class Remedy(Frozen):
    """How to mend it. ``aws_cli`` lines can be pasted as they are when ``kind`` is automatic.

    needs-value: a person must fill in what only they know. outside-aws: code, another account, a person.
    """

    kind: RemedyKind
    summary: str
    before: tuple[str, ...] = ()
    aws_cli: tuple[str, ...] = ()
    terraform: str = ""
    after: tuple[str, ...] = ()
    rollback: str = ""
    also_touches: str = ""
    verify: str = ""


class Diagnosis(Frozen):
    """A cause present, undecided or ruled out."""

    cause: str
    component: Component
    affected: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    status: DiagnosisStatus
    certainty: Certainty | None = None
    caused_by: str | None = None
    because: str
    evidence: tuple[Evidence, ...] = ()
    explains: tuple[str, ...] = ()
    settled_by: tuple[Settling, ...] = ()
    priority: Priority
    effort: Effort
    sensitive: bool = False
    remedy: Remedy | None = None


class AreaScore(Frozen):
    """Counts of verdicts. percent = passed / (passed + failed + errors + blocked), None for none."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    blocked: int = 0
    skipped: int = 0

    @property
    def percent(self) -> float | None:
        """Percent of what should have been judged that passed, one decimal; None when that is nothing."""
        judged = self.passed + self.failed + self.errors + self.blocked
        return round(100 * self.passed / judged, 1) if judged else None

    @model_serializer(mode="wrap")
    def _with_percent(self, handler: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        return {**handler(self), "percent": self.percent}


def _without_percent(score: Any) -> Any:
    return {k: v for k, v in score.items() if k != "percent"} if isinstance(score, dict) else score


AnyScore = Annotated[AreaScore, BeforeValidator(_without_percent)]


class Score(Frozen):
    """The overall count and one per area."""

    overall: AnyScore = AreaScore()
    areas: Mapping[str, AnyScore] = Field(default_factory=dict)


class Error(Frozen):
    """Our own trouble outside a look: which part of the tool, and what happened to it."""

    where: str
    reason: str


class Report(Frozen):
    """Observations, verdicts, diagnoses and score of one run: all that renderers and issues see.

    Times are UTC, durations seconds. ``target`` is the target's name and ``configuration`` the whole of
    it, so that a recorded run can be judged again. ``interrupted`` is the signal's name when the run
    was cut short.
    """

    schema_version: str = SCHEMA_VERSION
    target: str
    configuration: Target
    trigger: Trigger = "manual"
    started_at: Utc
    duration_s: float
    tool_version: str
    expected_interval_s: float | None = None
    verified_sha: str | None = None
    requests_sent: int = 0
    interrupted: str | None = None
    observations: tuple[Observation, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    unexplained: tuple[str, ...] = ()
    errors: tuple[Error, ...] = ()
    score: Score = Score()

    def __repr__(self) -> str:
        """One line. All that a report holds fills screens; and asyncio writes it out whenever a run ends."""
        causes = ", ".join(d.cause for d in self.roots()) or "no cause"
        when = f"{self.started_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"<Report of {self.target} at {when}: {self.score.overall}; {causes}>"

    def present(self) -> tuple[Diagnosis, ...]:
        """Diagnoses that are present, roots before consequences."""
        return tuple(d for d in self.diagnoses if d.status == "present")

    def roots(self) -> tuple[Diagnosis, ...]:
        """Present diagnoses that no other diagnosis caused."""
        return tuple(d for d in self.present() if d.caused_by is None)

    def undecided(self) -> tuple[Diagnosis, ...]:
        """Diagnoses that fit what was seen and that no look has settled."""
        return tuple(d for d in self.diagnoses if d.status == "undecided")

    def with_status(self, status: VerdictStatus) -> tuple[Verdict, ...]:
        """The verdicts of one status, in report order."""
        return tuple(v for v in self.verdicts if v.status == status)

    def to_json(self) -> str:
        """The report as JSON in the published schema, ending in a newline."""
        return self.model_dump_json(indent=2) + "\n"

    def to_markdown(self) -> str:
        """The full report, MODEL_REGISTRATION_TEST_REPORT.md, as Markdown."""
        from hokusai_probe.reports import markdown  # the nouns must not need their renderers to load

        return markdown.render(self)

    @classmethod
    def read(cls, text: str) -> Self:
        """A report from its JSON. Raises pydantic.ValidationError."""
        return cls.model_validate_json(text)
