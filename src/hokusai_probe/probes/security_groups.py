"""The security groups of everything that the platform connects, and who must be let in where."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from hokusai_probe.aws import AwsAnswer, AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import AwsTarget, CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes._firewall import GroupRule, Part, SecurityGroup, Way, admits, rules_of
from hokusai_probe.probes._variables import BACKEND
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.service_discovery import PRIVATE_ENDINGS, is_ip
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.topology import SERVICES

BALANCER = "load-balancer."
_DATABASES = ("postgresql", "postgres", "mysql")


class Edge(Frozen):
    """A connection that must come about: from one part to a port of another."""

    source: str
    target: str
    port: int


class Blocked(Frozen):
    """Where an edge ends: at the rules of which part, in which direction. ``group``: its first group."""

    part: str
    way: Way
    group: str


class SecurityGroupsFacts(Facts):
    """Parts by name (``load-balancer.KEY``, services, ``cache``, ``database``), and groups by id.

    ``edges``: who must reach whom, by what forwards where and by the addresses that services are given.
    ``cidrs``: the address block of each subnet. ``failure``: the groups could not be read; ``unread``: why
    parts could not, by name.
    """

    parts: Mapping[str, Part] = {}
    groups: Mapping[str, SecurityGroup] = {}
    edges: tuple[Edge, ...] = ()
    cidrs: Mapping[str, str] = {}
    unread: Mapping[str, AwsFailure] = {}
    failure: AwsFailure | None = None

    def between(self, sources: str, target: str) -> tuple[Edge, ...]:
        """The edges to a part from those whose name begins so."""
        return tuple(e for e in self.edges if e.target == target and e.source.startswith(sources))

    def lets(self, edge: Edge) -> bool | None:
        """Whether the groups of both ends let an edge come about; None: not to be told."""
        ways = self._going(edge), self._coming(edge)
        if False in ways:
            return False
        return None if None in ways else True

    def blocked(self, edge: Edge) -> Blocked | None:
        """Which end's rules end it; None where none does."""
        source, target = self.parts.get(edge.source), self.parts.get(edge.target)
        if target and self._coming(edge) is False:
            return Blocked(part=edge.target, way="ingress", group=target.groups[0])
        if source and self._going(edge) is False:
            return Blocked(part=edge.source, way="egress", group=source.groups[0])
        return None

    def _coming(self, edge: Edge) -> bool | None:
        return self._admitted(edge.target, "ingress", edge.source, edge.port)

    def _going(self, edge: Edge) -> bool | None:
        return self._admitted(edge.source, "egress", edge.target, edge.port)

    def _admitted(self, part: str, way: Way, peer: str, port: int) -> bool | None:
        own, other = self.parts.get(part), self.parts.get(peer)
        rules = rules_of(self.groups, own, way) if own else None
        if rules is None or other is None:
            return None
        return admits(rules, port, other, self._addresses(other))

    def _addresses(self, part: Part) -> tuple[str, ...]:
        known = all(subnet in self.cidrs for subnet in part.subnets)
        return tuple(self.cidrs[subnet] for subnet in part.subnets) if known else ()


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=9)
async def security_groups(
    look: Look, ecs: EcsServicesFacts, targets: TargetGroupsFacts, definitions: TaskDefinitionsFacts
) -> SecurityGroupsFacts:
    """Security groups of load balancers, services, cache and database, and where those are.

    ecs:ListTasks and DescribeTasks, elasticloadbalancing:DescribeLoadBalancers, rds:DescribeDBInstances,
    elasticache:DescribeCacheClusters and DescribeCacheSubnetGroups, ec2:DescribeSecurityGroups and
    DescribeSubnets.
    """
    aws, named = look.cloud(), look.target.aws
    assert named is not None
    found = await asyncio.gather(
        _balancers(aws, named), _tasks(aws, ecs), _database(aws, named), _cache(aws, named)
    )
    parts: dict[str, Part] = {}
    unread: dict[str, AwsFailure] = {}
    for some, failures in found:
        parts |= some
        unread |= failures
    ids = sorted({group for part in parts.values() for group in part.groups})
    places = sorted({subnet for part in parts.values() for subnet in part.subnets})
    groups, subnets = await asyncio.gather(_groups(aws, ids), _subnets(aws, places))
    if groups.failure is not None:
        return SecurityGroupsFacts(parts=parts, unread=unread, failure=groups.failure)
    zones = {str(s["SubnetId"]): str(s.get("AvailabilityZone")) for s in subnets.data.get("Subnets", ())}
    return SecurityGroupsFacts(
        parts={name: _where_it_is(part, zones) for name, part in parts.items()},
        groups={str(g["GroupId"]): security_group(g) for g in groups.data["SecurityGroups"]},
        edges=tuple(_edges(parts, named, targets, definitions)),
        cidrs={str(s["SubnetId"]): str(s["CidrBlock"]) for s in subnets.data.get("Subnets", ())},
        unread=unread,
    )


Found = tuple[dict[str, Part], dict[str, AwsFailure]]


async def _groups(aws: AwsDoor, ids: Sequence[str]) -> AwsAnswer:
    """By a filter: an id that does not exist would fail the whole call if it were asked for by name."""
    only = [{"Name": "group-id", "Values": list(ids)}]
    return await aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=only)


async def _subnets(aws: AwsDoor, ids: Sequence[str]) -> AwsAnswer:
    only = [{"Name": "subnet-id", "Values": list(ids)}]
    return await aws.pages("ec2", "describe_subnets", "Subnets", Filters=only)


async def _balancers(aws: AwsDoor, named: AwsTarget) -> Found:
    """All of the account's: a name that does not exist would fail the call for the others."""
    answer = await aws.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    if answer.failure is not None:
        return {}, {BALANCER + key: answer.failure for key in named.load_balancers}
    by_name = {str(item["LoadBalancerName"]): item for item in answer.data["LoadBalancers"]}
    found = {key: by_name[name] for key, name in named.load_balancers.items() if name in by_name}
    return {BALANCER + key: _balancer(item) for key, item in found.items()}, {}


def _balancer(item: Mapping[str, Any]) -> Part:
    return Part(
        groups=tuple(item.get("SecurityGroups", ())),
        subnets=tuple(str(zone["SubnetId"]) for zone in item.get("AvailabilityZones", ())),
        balancer=True,
    )


async def _tasks(aws: AwsDoor, ecs: EcsServicesFacts) -> Found:
    """The services, in the subnets of the tasks that run; where none does, in those they may run in."""
    listed = await aws.pages("ecs", "list_tasks", "taskArns", cluster=ecs.cluster)
    arns = list(listed.data["taskArns"][:100]) if listed.failure is None else []
    shown = await aws.call("ecs", "describe_tasks", cluster=ecs.cluster, tasks=arns) if arns else None
    running = shown.data.get("tasks", ()) if shown is not None else ()
    parts = {
        key: Part(
            groups=one.security_groups,
            subnets=task_subnets(running, one.name) or one.subnets,
            port=one.container_port,
        )
        for key, one in ecs.services.items()
        if not one.gone
    }
    return parts, {}


def task_subnets(tasks: Sequence[Mapping[str, Any]], service: str) -> tuple[str, ...]:
    """The subnets in which a service's tasks have their network interfaces."""
    details = (
        detail
        for task in tasks
        if task.get("group") == f"service:{service}" and task.get("lastStatus") == "RUNNING"
        for attachment in task.get("attachments", ())
        for detail in attachment.get("details", ())
    )
    return tuple(sorted({str(d["value"]) for d in details if d.get("name") == "subnetId"}))


async def _database(aws: AwsDoor, named: AwsTarget) -> Found:
    if not named.database:
        return {}, {}
    answer = await aws.call("rds", "describe_db_instances", DBInstanceIdentifier=named.database)
    if answer.failure is not None:
        return {}, {"database": answer.failure}
    one = answer.data["DBInstances"][0]
    zone = str(one.get("AvailabilityZone", ""))
    subnets = one.get("DBSubnetGroup", {}).get("Subnets", ())
    return {
        "database": Part(
            groups=tuple(str(g["VpcSecurityGroupId"]) for g in one.get("VpcSecurityGroups", ())),
            subnets=_in_zone(subnets, zone),
            zone=zone,
            port=one.get("Endpoint", {}).get("Port"),
        )
    }, {}


async def _cache(aws: AwsDoor, named: AwsTarget) -> Found:
    if not named.cache:
        return {}, {}
    answer, places = await asyncio.gather(
        aws.pages("elasticache", "describe_cache_clusters", "CacheClusters", ShowCacheNodeInfo=True),
        aws.pages("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups"),
    )
    if answer.failure is not None:
        return {}, {"cache": answer.failure}
    named_so = (c.get("ReplicationGroupId") or c["CacheClusterId"] for c in answer.data["CacheClusters"])
    clusters = zip(named_so, answer.data["CacheClusters"], strict=True)
    one = next((item for name, item in clusters if name == named.cache), None)
    return ({"cache": _node(one, places.data.get("CacheSubnetGroups", ()))} if one else {}), {}


def _node(one: Mapping[str, Any], places: Sequence[Mapping[str, Any]]) -> Part:
    zone, name = str(one.get("PreferredAvailabilityZone", "")), one.get("CacheSubnetGroupName")
    group = next((p for p in places if p.get("CacheSubnetGroupName") == name), {})
    nodes = one.get("CacheNodes") or [{}]
    return Part(
        groups=tuple(str(g["SecurityGroupId"]) for g in one.get("SecurityGroups", ())),
        subnets=_in_zone(group.get("Subnets", ()), zone),
        zone=zone,
        port=nodes[0].get("Endpoint", {}).get("Port") or 6379,
    )


def _in_zone(subnets: Sequence[Mapping[str, Any]], zone: str) -> tuple[str, ...]:
    """Of a subnet group those in a zone; all of them where it does not say."""
    there = [s for s in subnets if s.get("SubnetAvailabilityZone", {}).get("Name") == zone]
    return tuple(str(s["SubnetIdentifier"]) for s in there or subnets)


def _where_it_is(part: Part, zones: Mapping[str, str]) -> Part:
    """A part that lies in one zone without the subnets of its group that lie in others, by EC2's word."""
    there = tuple(subnet for subnet in part.subnets if zones.get(subnet) == part.zone)
    return part.model_copy(update={"subnets": there}) if there else part


def security_group(item: Mapping[str, Any]) -> SecurityGroup:
    """One security group as DescribeSecurityGroups has it."""
    return SecurityGroup(
        name=str(item.get("GroupName", "")),
        ingress=tuple(_rule(r) for r in item.get("IpPermissions", ())),
        egress=tuple(_rule(r) for r in item.get("IpPermissionsEgress", ())),
    )


def _rule(item: Mapping[str, Any]) -> GroupRule:
    v4 = (r["CidrIp"] for r in item.get("IpRanges", ()))
    v6 = (r["CidrIpv6"] for r in item.get("Ipv6Ranges", ()))
    return GroupRule(
        protocol=str(item.get("IpProtocol", "")),
        from_port=item.get("FromPort"),
        to_port=item.get("ToPort"),
        cidrs=(*v4, *v6),
        groups=tuple(str(p["GroupId"]) for p in item.get("UserIdGroupPairs", ()) if "GroupId" in p),
        prefix_lists=tuple(str(p["PrefixListId"]) for p in item.get("PrefixListIds", ())),
    )


# --- who must reach whom ------------------------------------------------------------------------------


def _edges(
    parts: Mapping[str, Part],
    named: AwsTarget,
    targets: TargetGroupsFacts,
    definitions: TaskDefinitionsFacts,
) -> Iterator[Edge]:
    """The container's port, never the registered one: a wrong registration is not the groups' fault."""
    for service in SERVICES:
        port = parts[service].port if service in parts else None
        for key, name in named.load_balancers.items():
            if port and BALANCER + key in parts and name in targets.balancers(service):
                yield Edge(source=BALANCER + key, target=service, port=port)
    for source, target in _inner(definitions):
        port = parts[target].port if target in parts else None
        if source in parts and port:
            yield Edge(source=source, target=target, port=port)


def _inner(definitions: TaskDefinitionsFacts) -> Iterator[tuple[str, str]]:
    gateway, mlflow = definitions.of("gateway"), definitions.of("mlflow")
    if gateway is not None:
        if _is_private(gateway.addresses.get("MLFLOW_SERVER_URL", "")):
            yield "gateway", "mlflow"
        yield from (("gateway", store) for store in ("cache", "database"))
    if mlflow is not None and _has_database(mlflow):
        yield "mlflow", "database"


def _is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host.endswith(PRIVATE_ENDINGS) or is_ip(host)


def _has_database(mlflow: TaskDefinition) -> bool:
    """Whether MLflow's store is a database server; where only a secret says so, it is taken to be."""
    said = next((mlflow.addresses[name] for name in BACKEND if name in mlflow.addresses), None)
    if said is None:
        return any(name in mlflow.secrets for name in BACKEND)
    return said.partition(":")[0].partition("+")[0] in _DATABASES


# --- checks -------------------------------------------------------------------------------------------


def _barred(facts: SecurityGroupsFacts, sources: str, target: str, *, works: bool = False) -> Sentence:
    """What bars the edges to a part. ``works``: it is seen to be reached, whatever the rules say."""
    if facts.failure is not None:
        return CannotTell(reason=f"ec2:DescribeSecurityGroups: {facts.failure.kind}")
    unread = next(((n, f) for n, f in facts.unread.items() if n == target or n.startswith(sources)), None)
    if unread is not None:
        return CannotTell(reason=f"the security groups of {unread[0]} could not be read ({unread[1].kind})")
    edges = facts.between(sources, target)
    if not edges:
        return NotApplicable(reason=f"nothing here connects from {sources.rstrip('.')} to {target}")
    bars = [said for e in edges if (said := _bar(facts, e))]
    if bars and works:
        return CannotTell(reason="; ".join(bars) + ", and yet it is reached")
    if bars:
        return "; ".join(bars)
    if any(facts.lets(e) is None for e in edges):
        return CannotTell(
            reason=f"the rules between {sources.rstrip('.')} and {target} could not all be read"
        )
    return None


def _bar(facts: SecurityGroupsFacts, edge: Edge) -> str:
    found = facts.blocked(edge)
    return bar(facts, edge, found) if found else ""


def bar(facts: SecurityGroupsFacts, edge: Edge, found: Blocked) -> str:
    """What bars an edge, as one sentence."""
    name = f"{found.group} ({facts.groups[found.group].name})"
    if found.way == "ingress":
        return f"{name} of {edge.target} does not admit {edge.source} on port {edge.port}"
    return f"{name} of {edge.source} does not let it out to {edge.target} on port {edge.port}"


@check(hop="target-group.auth/security-groups")
def auth_admits_its_load_balancer(facts: SecurityGroupsFacts) -> Sentence:
    """Security groups let the load balancer connect to the auth service's port."""
    return _barred(facts, BALANCER, "auth")


@check(hop="target-group.gateway/security-groups")
def gateway_admits_its_load_balancers(facts: SecurityGroupsFacts) -> Sentence:
    """Security groups let the load balancers connect to the gateway's port."""
    return _barred(facts, BALANCER, "gateway")


@check(hop="target-group.mlflow/security-groups")
def mlflow_admits_its_load_balancer(facts: SecurityGroupsFacts) -> Sentence:
    """Security groups let the load balancer connect to MLflow's port."""
    return _barred(facts, BALANCER, "mlflow")


@check(hop="gateway-to-mlflow/security-groups")
def mlflow_admits_the_gateway(facts: SecurityGroupsFacts, api: MlflowApiFacts | None) -> Sentence:
    """Security groups let the gateway connect to MLflow's port."""
    return _barred(facts, "gateway", "mlflow", works=bool(api and api.works))


@check(hop="gateway-to-cache/security-groups", area="data")
def cache_admits_the_gateway(facts: SecurityGroupsFacts, health: HealthBodiesFacts | None) -> Sentence:
    """Security groups let the gateway connect to the cache."""
    return _barred(facts, "gateway", "cache", works=says_well(health, "redis"))


@check(hop="gateway-to-database/security-groups", area="data")
def database_admits_the_gateway(facts: SecurityGroupsFacts, health: HealthBodiesFacts | None) -> Sentence:
    """Security groups let the gateway connect to the database."""
    return _barred(facts, "gateway", "database", works=says_well(health, "postgres"))


@check(hop="mlflow-to-database/security-groups", area="data")
def database_admits_mlflow(facts: SecurityGroupsFacts, api: MlflowApiFacts | None) -> Sentence:
    """Security groups let MLflow connect to its database."""
    return _barred(facts, "mlflow", "database", works=bool(api and api.works))


def says_well(health: HealthBodiesFacts | None, service: str) -> bool:
    """Whether the gateway's own health says of something that it is well."""
    return health is not None and health.services.get(service) == "healthy"
