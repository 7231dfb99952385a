"""The AWS control plane of the sandbox: a moto server, its gaps closed, and in-process reading of its state.

What moto 5.2 lacks is added by subclasses that `install` puts in moto's place:

* `ServedTargetGroup`: DescribeTargetHealth tells what the health checks saw (moto: always healthy), two ports
  of one address are two targets, as the API reference of RegisterTargets has it (moto: one per Id), a target
  that is deregistered drains first (moto: gone at once), and DescribeTargetGroups names the load balancers
  that forward to the group now (moto: one entry for each rule that ever did).
* `served_cache`: ModifyReplicationGroup moves the cache into other security groups (moto: ignored).
* `served_ecs.ServedEcs`: tasks that exist and deployments that the reconciler carries out.

Everything else of moto is used as it is. State lives in moto's backends; `MotoControlPlane` only reads it.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import moto.elbv2.models as elbv2_models
from moto.acm.models import acm_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import (
    ELBv2Backend,
    FakeHealthStatus,
    FakeListener,
    FakeLoadBalancer,
    FakeTargetGroup,
    elbv2_backends,
)
from moto.route53.models import route53_backends
from moto.servicediscovery.models import ServiceDiscoveryBackend, servicediscovery_backends

from hokusai_probe.sandbox import served_cache
from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.served_ecs import ServedEcs
from hokusai_probe.sandbox.state import (
    Action,
    Condition,
    ConditionField,
    Health,
    Listener,
    RegisteredTarget,
    Rule,
    TargetGroup,
)

SERVICE_TAG = "Service"
"""The tag of a target group that says which service it is meant for."""

_IDLE_TIMEOUT_S = 60.0
_MOST_NAMES = 8  # as many as a resolver follows: a name may lead to itself
_CONNECT_TIMEOUT_S = 10.0
_DEREGISTRATION_DELAY_S = 300.0
_REGISTERING = Health("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
_DRAINING = Health("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")

_DRAINED_AT = "DrainedAt"
"""The key of a draining target's record: when it is gone, by the group's clock."""

HealthOf = Callable[[str, str, int], Health]


class ServedTargetGroup(FakeTargetGroup):
    """moto's target group with targets by address and port, with real health, and with draining.

    Sources: "Deregistration delay" of the user guide for Application Load Balancers (a target is draining
    until the delay is over, whether or not anything is in flight) and DeregisterTargets of the API reference
    (a target that does not exist is no error; one that was registered with a port is deregistered with it).
    """

    health_of: ClassVar[HealthOf]
    time_scale: ClassVar[float] = 1.0
    clock: ClassVar[Callable[[], float]] = time.monotonic

    @property
    def load_balancer_arns(self) -> list[str]:
        """The load balancers with a listener or rule that forwards to this group, as they are now."""
        account, region = self.arn.split(":")[4], self.arn.split(":")[3]
        balancers = list(elbv2_backends[account][region].load_balancers.values())
        return [balancer.arn for balancer in balancers if self.arn in _forwarded_to(balancer)]

    @load_balancer_arns.setter
    def load_balancer_arns(self, arns: list[str]) -> None:
        """What moto notes down is not kept: it would outlive the rule."""

    @property
    def targets(self) -> dict[str, dict[str, Any]]:
        """What is registered, by ``address:port``, what is still draining included."""
        now = type(self).clock()
        for key, target in list(self._targets.items()):
            if target.get(_DRAINED_AT, now + 1) <= now:
                self._targets.pop(key, None)
        return self._targets

    @targets.setter
    def targets(self, targets: dict[str, dict[str, Any]]) -> None:
        self._targets = targets

    def register(self, targets: list[dict[str, Any]]) -> None:
        """Add targets; the port defaults to the group's. One that drains is a target again."""
        for target in targets:
            port = self._port_of(target)
            self.targets[f"{target['Id']}:{port}"] = {"Id": target["Id"], "Port": port}

    def deregister(self, targets: list[dict[str, Any]]) -> None:
        """Have targets drain; the port defaults to the group's."""
        drained_at = type(self).clock() + self._delay_s()
        for target in targets:
            known = self.targets.get(f"{target['Id']}:{self._port_of(target)}")
            if known is not None:
                known.setdefault(_DRAINED_AT, drained_at)

    def _port_of(self, target: Mapping[str, Any]) -> int:
        return int(target.get("Port", self.port))

    def _delay_s(self) -> float:
        set_to = self.attributes.get("deregistration_delay.timeout_seconds")
        return float(str(set_to or _DEREGISTRATION_DELAY_S)) / type(self).time_scale

    def health_for(  # moto also hands over its EC2, for targets that are instances
        self,
        target: dict[str, Any],
        ec2_backend: object,  # noqa: ARG002
    ) -> FakeHealthStatus:
        """What DescribeTargetHealth says of one target."""
        port = self._port_of(target)
        health = self._health(target["Id"], port)
        reason, description = health.reason or None, health.description or None
        return FakeHealthStatus(
            target["Id"], str(port), self.health_check_port, health.state, reason, description
        )

    def _health(self, ip: str, port: int) -> Health:
        known = self.targets.get(f"{ip}:{port}")
        if known is None:
            return _not_registered()
        return _DRAINING if _DRAINED_AT in known else type(self).health_of(self.arn, ip, port)


def _not_registered() -> Health:
    return Health("unused", "Target.NotRegistered", "Target is not registered to the target group")


def install(health_of: HealthOf, time_scale: float = 1.0) -> None:
    """Close moto's gaps in this process. Call it before the first request.

    Args:
        health_of: The health of a registered target, by target group, address and port.
        time_scale: How many platform seconds one sandbox second stands for.

    """
    ServedTargetGroup.health_of = staticmethod(health_of)
    ServedTargetGroup.time_scale = time_scale
    elbv2_models.FakeTargetGroup = ServedTargetGroup  # type: ignore[misc]
    ecs_backends.backend = ServedEcs
    served_cache.install()


class MotoControlPlane:
    """Reads moto's state: what `state.ControlPlane` promises to the data plane.

    Args:
        account: The AWS account.
        time_scale: How many platform seconds one sandbox second stands for.
        certificates: A directory in which certificates are unpacked.
        balancer_ips: Address of each load balancer by its key (auth, registry, main).

    """

    def __init__(
        self,
        account: str,
        time_scale: float,
        certificates: Path,
        balancer_ips: Mapping[str, str],
    ) -> None:
        self._account = account
        self._region = REGION
        self._time_scale = time_scale
        self._certificates = certificates
        self._balancer_ips = balancer_ips
        self._health: Mapping[tuple[str, str, int], Health] = {}
        self.balancers: dict[str, str] = {}  # key -> load balancer ARN
        self.extra_addresses: dict[str, str] = {}  # names of stores that moto invents -> address

    @property
    def elbv2(self) -> ELBv2Backend:
        """Moto's load balancers."""
        return elbv2_backends[self._account][self._region]

    @property
    def ecs(self) -> ServedEcs:
        """Moto's ECS, as `install` replaced it."""
        backend = ecs_backends[self._account][self._region]
        assert isinstance(backend, ServedEcs)
        return backend

    @property
    def discovery(self) -> ServiceDiscoveryBackend:
        """Moto's Cloud Map."""
        return servicediscovery_backends[self._account][self._region]

    def show_health(self, results: Mapping[tuple[str, str, int], Health]) -> None:
        """Answer DescribeTargetHealth from these results, which may go on changing."""
        self._health = results

    def health_of(self, arn: str, ip: str, port: int) -> Health:
        """The health of a registered target; not yet checked is ``initial``."""
        return self._health.get((arn, ip, port), _REGISTERING)

    def listeners(self, load_balancer: str) -> Sequence[Listener]:
        """See `state.ControlPlane`."""
        found = self.elbv2.load_balancers.get(self.balancers.get(load_balancer, ""))
        if found is None:
            return ()
        return tuple(_listener(load_balancer, listener) for listener in list(found.listeners.values()))

    def target_group(self, arn: str) -> TargetGroup | None:
        """See `state.ControlPlane`."""
        found = self.elbv2.target_groups.get(arn)
        return None if found is None else self._target_group(found, self._attached())

    def target_groups(self) -> Sequence[TargetGroup]:
        """See `state.ControlPlane`."""
        attached = self._attached()
        return tuple(self._target_group(group, attached) for group in list(self.elbv2.target_groups.values()))

    def idle_timeout_s(self, load_balancer: str) -> float:
        """See `state.ControlPlane`; 60 s where nothing is set (AWS's default)."""
        found = self.elbv2.load_balancers.get(self.balancers.get(load_balancer, ""))
        value = found.attrs.get("idle_timeout.timeout_seconds") if found else None
        return float(value or _IDLE_TIMEOUT_S) / self._time_scale

    def connect_timeout_s(self) -> float:
        """See `state.ControlPlane`; AWS waits 10 s."""
        return _CONNECT_TIMEOUT_S / self._time_scale

    def certificate(self, arn: str) -> tuple[Path, Path] | None:
        """See `state.ControlPlane`."""
        bundle = acm_backends[self._account][self._region]._certificates.get(arn)  # noqa: SLF001 - no public reader
        if bundle is None:
            return None
        stem = hashlib.sha256(bundle.cert).hexdigest()[:16]
        chain, key = self._certificates / f"{stem}.pem", self._certificates / f"{stem}.key"
        if not key.exists():
            chain.write_bytes(bundle.cert)
            key.write_bytes(bundle.key)
        return chain, key

    def addresses(self, name: str) -> Sequence[str]:
        """See `state.ControlPlane`."""
        return self._found(name, _MOST_NAMES)

    def _found(self, name: str, more: int) -> Sequence[str]:
        """The addresses of a name that may lead to others, but not to more than so many."""
        wanted = name.rstrip(".").lower()
        if wanted in self.extra_addresses:
            return (self.extra_addresses[wanted],)
        return self._balancer_addresses(wanted) or self._discovered(wanted) or self._recorded(wanted, more)

    def _balancer_addresses(self, name: str) -> tuple[str, ...]:
        """Of a load balancer's own name, also with the ``dualstack.`` that the console writes before it."""
        for key, arn in self.balancers.items():
            balancer = self.elbv2.load_balancers.get(arn)
            if balancer is not None and balancer.dns_name.lower() == name.removeprefix("dualstack."):
                return (self._balancer_ips[key],)
        return ()

    def _discovered(self, name: str) -> tuple[str, ...]:
        for service in list(self.discovery.services.values()):
            namespace = self.discovery.namespaces.get(service.namespace_id)
            if namespace is not None and f"{service.name}.{namespace.name}".lower() == name:
                return tuple(found.attributes["AWS_INSTANCE_IPV4"] for found in list(service.instances))
        return ()

    def _recorded(self, name: str, more: int) -> tuple[str, ...]:
        for zone in list(route53_backends[self._account]["aws"].zones.values()):
            for record in list(zone.rrsets):
                if record.type in ("A", "CNAME") and record.name.rstrip(".").lower() == name:
                    return self._answer(record, more)
        return ()

    def _answer(self, record: Any, more: int) -> tuple[str, ...]:
        values = tuple(_record_values(record.records))
        if record.type == "A" and not record.alias_target:
            return values
        others = (record.alias_target["DNSName"],) if record.alias_target else values
        return tuple(ip for other in others for ip in self._found(other, more - 1)) if more else ()

    def _attached(self) -> Mapping[str, frozenset[str]]:
        """The load balancers' keys by the target group that they forward to; "" for one without a key."""
        keys = {arn: key for key, arn in self.balancers.items()}
        found: dict[str, frozenset[str]] = {}
        for balancer in list(self.elbv2.load_balancers.values()):
            for group in _forwarded_to(balancer):
                found[group] = found.get(group, frozenset()) | {keys.get(balancer.arn, "")}
        return found

    def _target_group(self, group: FakeTargetGroup, attached: Mapping[str, frozenset[str]]) -> TargetGroup:
        tags = self.elbv2.tagging_service.get_tag_dict_for_resource(group.arn)
        port = str(group.health_check_port)
        return TargetGroup(
            arn=group.arn,
            name=group.name,
            service=tags.get(SERVICE_TAG, ""),
            targets=tuple(_target(target) for target in list(group.targets.values())),
            health_path=group.health_check_path or "/",
            health_port=int(port) if port.isdigit() else None,
            matcher=str(group.matcher.get("HttpCode", "200")),
            health_timeout_s=float(group.health_check_timeout_seconds) / self._time_scale,
            attached=group.arn in attached,
            load_balancers=tuple(sorted(attached.get(group.arn, frozenset()) - {""})),
            scheme=_scheme(group.protocol),
            health_scheme=_scheme(group.health_check_protocol),
        )


def _scheme(protocol: str | None) -> str:
    return "https" if protocol == "HTTPS" else "http"


def _target(record: Mapping[str, Any]) -> RegisteredTarget:
    return RegisteredTarget(record["Id"], int(record["Port"]), draining=_DRAINED_AT in record)


def _forwarded_to(balancer: FakeLoadBalancer) -> Iterator[str]:
    for listener in list(balancer.listeners.values()):
        for rule in _rules(listener):
            yield from (arn for action in rule.actions for arn, _ in action.target_groups)


def _record_values(records: Sequence[Any]) -> Iterator[str]:
    for record in records or ():
        yield str(record["Value"] if isinstance(record, Mapping) else record)


def _listener(load_balancer: str, listener: FakeListener) -> Listener:
    return Listener(
        arn=listener.arn,
        load_balancer=load_balancer,
        port=int(listener.port),
        protocol="HTTPS" if listener.protocol == "HTTPS" else "HTTP",
        rules=tuple(_rules(listener)),
        certificate_arn=listener.certificate or "",
    )


def _rules(listener: FakeListener) -> list[Rule]:
    own_rules = listener._non_default_rules.values()  # noqa: SLF001 - `rules` mixes in the default's copy
    numbered = sorted(own_rules, key=lambda rule: int(rule.priority))
    default = Rule(listener.arn, None, (), tuple(_action(one) for one in listener.default_actions))
    return [*(_rule(rule) for rule in numbered), default]


def _rule(rule: Any) -> Rule:
    return Rule(
        arn=rule.arn,
        priority=int(rule.priority),
        conditions=tuple(_condition(condition) for condition in rule.conditions),
        actions=tuple(_action(action) for action in rule.actions),
    )


_CONFIGS: Mapping[ConditionField, str] = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


def _condition(data: Mapping[str, Any]) -> Condition:
    field: ConditionField = data["Field"]
    config = data.get(_CONFIGS[field], {})
    values = config.get("Values") or data.get("Values") or ()
    return Condition(
        field, tuple(_condition_value(value) for value in values), config.get("HttpHeaderName", "")
    )


def _condition_value(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    return f"{value['Key']}={value['Value']}" if value.get("Key") else value["Value"]


def _action(action: Any) -> Action:
    data: Mapping[str, Any] = action.data
    fixed = data.get("FixedResponseConfig", {})
    return Action(
        type=data["Type"],
        target_groups=_forwards(data),
        redirect=dict(data.get("RedirectConfig", {})),
        status=int(fixed.get("StatusCode", 0)),
        content_type=fixed.get("ContentType", ""),
        body=fixed.get("MessageBody", ""),
    )


def _forwards(data: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    groups = data.get("ForwardConfig", {}).get("TargetGroups", [])
    if groups:
        return tuple((group["TargetGroupArn"], int(group.get("Weight", 1))) for group in groups)
    return ((data["TargetGroupArn"], 1),) if data.get("TargetGroupArn") else ()
