"""The target groups, the targets registered with them, and what their health checks say."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST, SERVICE_OF_HOST

PORTS = {8000: "auth", 8001: "gateway", 5000: "mlflow"}  # the containers' ports, the same in every era

TRAFFIC_PORT = "traffic-port"


class TargetSeen(Frozen):
    """One registered target and its health in the words of DescribeTargetHealth."""

    id: str
    port: int
    state: str
    reason: str = ""
    description: str = ""


class Group(Frozen):
    """One target group. ``service`` is the platform's name for whose tasks register here, if known.

    ``load_balancers``: names of those that forward to it. ``health_port``: a number, or ``traffic-port`` for
    each target's own. Protocols are HTTP or HTTPS; empty where they are not known.
    """

    arn: str
    name: str
    port: int
    health_path: str
    matcher: str
    attached: bool
    protocol: str = ""
    health_port: str = TRAFFIC_PORT
    health_protocol: str = ""
    service: str | None
    load_balancers: tuple[str, ...] = ()
    targets: tuple[TargetSeen, ...] = ()
    failure: AwsFailure | None = None

    @property
    def serves(self) -> bool:
        """Whether the load balancer's own check finds a target healthy."""
        return any(target.state == "healthy" for target in self.targets)


class TargetGroupsFacts(Facts):
    """The target groups of the target's services and of its load balancers."""

    groups: tuple[Group, ...] = ()
    failure: AwsFailure | None = None

    def of(self, service: str) -> tuple[Group, ...]:
        """The attached groups that a service's tasks register with."""
        return tuple(g for g in self.groups if g.service == service and g.attached)

    def serves(self, service: str) -> bool | None:
        """Whether a load balancer's own check finds a task of a service healthy; None: no group is known."""
        found = self.of(service)
        return any(group.serves for group in found) if found else None

    def detached(self, service: str) -> tuple[Group, ...]:
        """The groups that a service's tasks register with and no load balancer uses."""
        return tuple(g for g in self.groups if g.service == service and not g.attached)

    def balancers(self, service: str) -> frozenset[str]:
        """The names of the load balancers that forward to a service."""
        return frozenset(name for g in self.of(service) for name in g.load_balancers)


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=8)
async def target_groups(look: Look, _identity: AwsIdentityFacts, ecs: EcsServicesFacts) -> TargetGroupsFacts:
    """Target groups and target health.

    elasticloadbalancing:DescribeTargetGroups and DescribeTargetHealth. Whose group it is comes from the
    ECS service; of a service that is gone, from the group's port and the load balancer it hangs on. Of the
    account's groups only those are kept, and asked for their health, that an ECS service of the target names
    or a load balancer of the target uses.
    """
    aws, balancers = look.cloud(), look.target.aws.load_balancers if look.target.aws else {}
    answer = await aws.pages("elbv2", "describe_target_groups", "TargetGroups")
    if answer.failure is not None:
        return TargetGroupsFacts(failure=answer.failure)
    named = [_group(item, ecs, balancers) for item in answer.data["TargetGroups"]]
    ours = [g for g in named if g.service is not None or {*g.load_balancers} & {*balancers.values()}]
    return TargetGroupsFacts(groups=tuple(await asyncio.gather(*(_with_targets(aws, g) for g in ours))))


async def _with_targets(aws: AwsDoor, group: Group) -> Group:
    health = await aws.call("elbv2", "describe_target_health", TargetGroupArn=group.arn)
    targets = tuple(_target(t) for t in health.data["TargetHealthDescriptions"]) if health.data else ()
    return group.model_copy(update={"targets": targets, "failure": health.failure})


def _group(item: Mapping[str, object], ecs: EcsServicesFacts, balancers: Mapping[str, str]) -> Group:
    """A group as DescribeTargetGroups has it; ``balancers``: names of the target's load balancers by key."""
    arn, hangs_on = str(item["TargetGroupArn"]), _names(item.get("LoadBalancerArns"))
    matcher, port = item.get("Matcher"), int(str(item.get("Port") or 0))
    return Group(
        arn=arn,
        name=str(item["TargetGroupName"]),
        port=port,
        health_path=str(item.get("HealthCheckPath", "")),
        matcher=str(matcher.get("HttpCode", "")) if isinstance(matcher, Mapping) else "",
        protocol=str(item.get("Protocol") or ""),
        health_port=str(item.get("HealthCheckPort") or TRAFFIC_PORT),
        health_protocol=str(item.get("HealthCheckProtocol") or ""),
        attached=bool(item.get("LoadBalancerArns")),
        load_balancers=hangs_on,
        service=_registering(arn, ecs)
        or _left_behind(port, {k for k, n in balancers.items() if n in hangs_on}, ecs),
    )


def _names(arns: object) -> tuple[str, ...]:
    """The names in ARNs of load balancers: ``...:loadbalancer/app/NAME/ID``."""
    listed = [str(arn) for arn in arns] if isinstance(arns, list) else []
    return tuple(dict.fromkeys(arn.split("/")[2] for arn in listed if arn.count("/") > 1))


def _registering(arn: str, ecs: EcsServicesFacts) -> str | None:
    """The service that registers its tasks with a group, or did until it was deleted."""
    return next((name for name, one in ecs.services.items() if arn in one.target_groups), None)


def _left_behind(port: int, balancers: Collection[str], ecs: EcsServicesFacts) -> str | None:
    """The service that is gone whose group it was: by the port, on a load balancer of the hosts it serves."""
    service = PORTS.get(port, "")
    one = ecs.services.get(service)
    fronts = {LOAD_BALANCER_OF_HOST[host] for host in hosts_of(service)}
    return service if one is not None and one.gone and fronts & {*balancers} else None


def hosts_of(service: str) -> list[str]:
    """The hosts whose load balancers forward to a service."""
    return [host for host, name in SERVICE_OF_HOST.items() if name == service] or ["registry"]


def _target(item: Mapping[str, Mapping[str, object]]) -> TargetSeen:
    health = item.get("TargetHealth", {})
    return TargetSeen(
        id=str(item["Target"]["Id"]),
        port=int(str(item["Target"].get("Port") or 0)),
        state=str(health.get("State", "")),
        reason=str(health.get("Reason", "")),
        description=str(health.get("Description", "")),
    )


def forsaken_for(facts: TargetGroupsFacts, rules: ListenerRulesFacts | None, service: str) -> Group | None:
    """The group without targets that a service's load balancers forward to, in place of the service's own.

    No ECS service registers with it. None: the service's own group is in use, or nothing forwards so.
    """
    if facts.of(service) or not facts.detached(service) or rules is None:
        return None
    forwarded = {arn for host in hosts_of(service) for arn in _forwarded(rules, host)}
    empty = (g for g in facts.groups if g.service is None and all(t.state == "draining" for t in g.targets))
    return next((g for g in empty if g.arn in forwarded), None)


def _forwarded(rules: ListenerRulesFacts, host: str) -> Iterator[str]:
    """The groups that a host's load balancer forwards to."""
    balancer = rules.of_host(host)
    for listener in balancer.listeners if balancer else ():
        yield from (arn for rule in listener.rules for arn in rule.action.target_groups)


def _unwell(facts: TargetGroupsFacts, service: str, rules: ListenerRulesFacts | None) -> Sentence:
    if facts.failure is not None:
        return CannotTell(reason=f"elasticloadbalancing:DescribeTargetGroups: {facts.failure.kind}")
    groups, detached = facts.of(service), facts.detached(service)
    if not groups and detached:
        return _unused(detached[0], forsaken_for(facts, rules, service))
    if not groups:
        return NotApplicable(reason=f"no ECS service registers {service} with a target group")
    unread = next((g for g in groups if g.failure is not None), None)
    if unread is not None and unread.failure is not None:
        return CannotTell(reason=f"{unread.name}: targets could not be read ({unread.failure.kind})")
    bad = [text for g in groups if (text := _group_unwell(g))]
    return "; ".join(bad) or None


def _unused(group: Group, forsaken: Group | None) -> Sentence:
    """Nobody checks targets that no load balancer uses; whether that is a defect, the rules say."""
    said = f"{group.name} belongs to no load balancer"
    if forsaken is None:
        return CannotTell(reason=f"{said}, so nobody checks its targets")
    return f"{said}; requests go to {forsaken.name}, which has no target"


def _group_unwell(group: Group) -> str:
    serving = [t for t in group.targets if t.state != "draining"]
    if not serving:
        return f"{group.name} has no registered target"
    if any(t.state == "healthy" for t in serving):
        return ""
    states = ", ".join(f"{t.id}:{t.port} {t.state} {t.reason} {t.description}".rstrip() for t in serving)
    return f"{group.name} has no healthy target: {states}"


@check(hop="target-group.auth")
def auth_targets_healthy(facts: TargetGroupsFacts, rules: ListenerRulesFacts | None) -> Sentence:
    """The auth target group has a healthy target."""
    return _unwell(facts, "auth", rules)


@check(hop="target-group.gateway")
def gateway_targets_healthy(facts: TargetGroupsFacts, rules: ListenerRulesFacts | None) -> Sentence:
    """The gateway's target group has a healthy target."""
    return _unwell(facts, "gateway", rules)


@check(hop="target-group.mlflow")
def mlflow_targets_healthy(facts: TargetGroupsFacts, rules: ListenerRulesFacts | None) -> Sentence:
    """MLflow's target group has a healthy target."""
    return _unwell(facts, "mlflow", rules)
