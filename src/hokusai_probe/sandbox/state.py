"""What the data plane reads of the control plane: the seam between the two halves of the sandbox.

The control plane (moto) is the only owner of state. The load balancer asks for it anew at each
request, so a rule changed with ``aws elbv2 modify-rule`` moves the very next request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

ActionType = Literal["forward", "redirect", "fixed-response"]
ConditionField = Literal[
    "host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip"
]
HealthState = Literal["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a listener rule; any of ``values`` satisfies it.

    ``name`` is the header's name for ``http-header``. A ``query-string`` value is ``key=value``,
    or ``value`` alone where the rule gives no key.
    """

    field: ConditionField
    values: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a rule. Which fields matter follows from ``type``."""

    type: ActionType
    target_groups: tuple[tuple[str, int], ...] = ()  # (target group ARN, weight)
    redirect: Mapping[str, str] = field(default_factory=dict)  # Protocol, Host, Port, Path, Query, StatusCode
    status: int = 0
    content_type: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A listener rule. ``priority`` is None for the listener's default."""

    arn: str
    priority: int | None
    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener with its rules in the order in which they are tried; the default comes last."""

    arn: str
    load_balancer: str  # auth, registry or main
    port: int  # as the control plane says: 80, 443
    protocol: Literal["HTTP", "HTTPS"]
    rules: tuple[Rule, ...]
    certificate_arn: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredTarget:
    """An address registered with a target group."""

    ip: str
    port: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """A target group, its health check and its targets. Times in seconds, already scaled."""

    arn: str
    name: str
    service: str  # auth, gateway, mlflow: which edge of the platform this is; "" if unknown
    targets: tuple[RegisteredTarget, ...]
    health_path: str
    health_port: int | None  # None: the target's own port
    matcher: str  # "200", "200,308", "200-299"
    health_timeout_s: float
    attached: bool  # some listener or rule forwards to it
    load_balancers: tuple[str, ...] = ()  # whose: auth, registry, main
    scheme: str = "http"  # in which the targets are spoken to
    health_scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Health:
    """The health of one target, in the words of DescribeTargetHealth."""

    state: HealthState
    reason: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a load balancer's listener really listens in this sandbox."""

    ip: str
    port: int


class ControlPlane(Protocol):
    """What the load balancer, the DNS server and the health checks need to know."""

    def listeners(self, load_balancer: str) -> Sequence[Listener]:
        """The load balancer's listeners as they are now."""
        ...

    def target_group(self, arn: str) -> TargetGroup | None:
        """The target group as it is now, None when it does not exist."""
        ...

    def target_groups(self) -> Sequence[TargetGroup]:
        """Every target group."""
        ...

    def idle_timeout_s(self, load_balancer: str) -> float:
        """The load balancer's idle timeout attribute, scaled to sandbox seconds."""
        ...

    def connect_timeout_s(self) -> float:
        """How long a load balancer waits for a target to accept; AWS: 10 s, scaled here."""
        ...

    def certificate(self, arn: str) -> tuple[Path, Path] | None:
        """Chain and key files of a certificate, None when the ARN is unknown."""
        ...

    def addresses(self, name: str) -> Sequence[str]:
        """What the DNS server answers for a name: public zone, load balancers' names, Cloud Map."""
        ...
