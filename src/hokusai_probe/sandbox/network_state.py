"""What the control plane says of the network, and the file that tells every process of the sandbox.

The reader looks at moto's security groups and network ACLs in this process, at the load balancers' and the
stores' groups, and at the tasks that run, with the groups and subnets of their services. Where AWS would
place a part in one of two subnets, `placement` says which; load balancers have a node in each of theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.elasticache.models import elasticache_backends
from moto.rds.models import rds_backends

from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.early import CACHE_HOST
from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.network import (
    CACHE,
    CLIENT,
    CLIENT_ADDRESS,
    CLIENT_VPN,
    DATABASE,
    ELB_EPHEMERAL,
    SITE,
    STORAGE,
    VACANT,
    AclRule,
    GroupRule,
    NetworkTable,
    Node,
    Part,
    Rules,
    SecurityGroup,
    Snapshot,
    compiled,
    load_balancer,
    outside,
    write_network,
)
from hokusai_probe.sandbox.placement import HOME
from hokusai_probe.sandbox.served_ecs import TaskRecord
from hokusai_probe.sandbox.state import Endpoint
from hokusai_probe.sandbox.tasks import Runtime

BALANCER_HOSTS = {"auth": 2, "registry": 3, "main": 4}
"""Where the load balancers listen for the client, in the sandbox's network."""

INNER_OFFSET = 10
"""How much further on they listen for the sandbox's own parts."""

SITE_HOST, STORAGE_HOST, DATABASE_HOST = 6, 22, 30
_CLIENT_VPN_HOST = 34

_SITE_ADDRESS, _STORAGE_ADDRESS = "203.0.113.6", "203.0.113.22"

Fronts = Mapping[str, Mapping[int, Endpoint]]


def balancer_ips(network: str) -> dict[str, str]:
    """The address of each load balancer for the client, by its key."""
    return {key: f"{network}.{host}" for key, host in BALANCER_HOSTS.items()}


def inner_ips(network: str) -> dict[str, str]:
    """What leads the sandbox's own parts to the load balancers, by the addresses for the client."""
    return {f"{network}.{host}": f"{network}.{host + INNER_OFFSET}" for host in BALANCER_HOSTS.values()}


class NetworkWatch:
    """Keeps the network's file in step with the control plane.

    Args:
        plane: The control plane.
        names: The names in braces: vpc, subnet.a, subnet.b, security_group.cache and so on. May still grow.
        runtime: The sandbox's network, its services, and where the file goes (``decisions``).
        fronts: Where the load balancers' listeners really listen, by key and listener port. May change.

    """

    def __init__(
        self, plane: MotoControlPlane, names: Mapping[str, str], runtime: Runtime, fronts: Fronts
    ) -> None:
        self._plane = plane
        self._names = names
        self._services = runtime.services
        self._network = runtime.network
        self._path = runtime.decisions
        self._fronts = fronts
        self._written: Snapshot | None = None

    def refresh(self) -> None:
        """Write the file anew if anything changed; a fraction of a millisecond if nothing did."""
        snapshot = self.snapshot()
        if snapshot != self._written:
            write_network(self._path, compiled(snapshot))
            self._written = snapshot

    def table(self) -> NetworkTable:
        """Who can connect to whom at this moment."""
        return compiled(self.snapshot())

    def snapshot(self) -> Snapshot:
        """What the control plane says now."""
        records = self._plane.ecs.records()
        running = sorted(self._tasks(records, "RUNNING"), key=lambda found: found[1].created_at)
        tasks = [self._task(service, record) for service, record in running]
        addresses = {record.ip: VACANT for _, record in self._tasks(records, "STOPPED")}
        for (service, record), part in zip(running, tasks, strict=True):
            addresses |= {record.ip: part.name, service: part.name}
        balancers = list(self._balancers())
        return Snapshot(
            rules=Rules(self._groups(), self._acls()),
            parts=(outside(CLIENT, CLIENT_ADDRESS), *balancers, *tasks, *self._others()),
            addresses=addresses | self._fixed_addresses(),
            fronts=self._front_ports(),
        )

    # Parts

    def _tasks(self, records: Sequence[TaskRecord], status: str) -> Iterator[tuple[str, TaskRecord]]:
        for record in records:
            service = self._services.get(record.group.removeprefix("service:"))
            if service is not None and (record.last_status == status):
                yield service, record

    def _task(self, service: str, record: TaskRecord) -> Part:
        configuration = self._awsvpc(record.group.removeprefix("service:"))
        subnet = self._one_of(configuration.get("subnets", ()), HOME[service])
        return Part(
            name=f"{service}/{record.ip}",
            nodes=(self._node(record.ip, subnet),),
            groups=self._or_default(configuration.get("securityGroups", ())),
        )

    def _awsvpc(self, name: str) -> Mapping[str, Sequence[str]]:
        for service in list(self._plane.ecs.services.values()):
            if service.name == name:
                return dict((service.network_configuration or {}).get("awsvpcConfiguration", {}))
        return {}

    def _one_of(self, subnets: Sequence[str], home: str) -> str:
        """The subnet in which a task is placed: its home if it may be there, else the first it may."""
        wanted = self._names.get(f"subnet.{home}", "")
        return wanted if not subnets or wanted in subnets else subnets[0]

    def _balancers(self) -> Iterator[Part]:
        for key, host in BALANCER_HOSTS.items():
            found = self._plane.elbv2.load_balancers.get(self._plane.balancers.get(key, ""))
            if found is not None:
                ip = f"{self._network}.{host}"
                yield Part(
                    name=load_balancer(key),
                    nodes=tuple(self._node(ip, subnet.id) for subnet in found.subnets),
                    groups=self._or_default(found.security_groups),
                    public="" if found.scheme == "internal" else f"203.0.113.{host}",
                    ephemeral=ELB_EPHEMERAL,
                )

    def _others(self) -> Iterator[Part]:
        yield outside(SITE, _SITE_ADDRESS)
        yield outside(STORAGE, _STORAGE_ADDRESS)
        yield self._store(CACHE, CACHE_HOST, self._cache_groups())
        yield self._store(DATABASE, DATABASE_HOST, self._database_groups())
        yield self._store(CLIENT_VPN, _CLIENT_VPN_HOST, ())

    def _store(self, name: str, host: int, groups: Sequence[str]) -> Part:
        node = self._node(f"{self._network}.{host}", self._names.get(f"subnet.{HOME[name]}", ""))
        own = groups or [self._names.get(f"security_group.{name}", "")]
        return Part(name, (node,), frozenset(own) - {""})

    def _cache_groups(self) -> Sequence[str]:
        backend = elasticache_backends[self._account][REGION]
        found = backend.replication_groups.get(self._names.get("cache", ""))
        return list(found.security_group_ids or ()) if found is not None else []

    def _database_groups(self) -> Sequence[str]:
        backend = rds_backends[self._account][REGION]
        found = backend.databases.get(self._names.get("database", ""))
        return list(found.vpc_security_group_ids) if found is not None else []

    def _node(self, ip: str, subnet: str) -> Node:
        """Where a part is: at its address here, and at the same host number in its subnet."""
        found = next((zone[subnet] for zone in list(self._ec2.subnets.values()) if subnet in zone), None)
        if found is None:
            return Node((ip,), subnet)
        return Node((ip, f"{found.cidr_block.rpartition('.')[0]}.{ip.rpartition('.')[2]}"), subnet)

    def _fixed_addresses(self) -> dict[str, str]:
        fixed = {SITE_HOST: SITE, STORAGE_HOST: STORAGE, CACHE_HOST: CACHE, DATABASE_HOST: DATABASE}
        for key, host in BALANCER_HOSTS.items():
            fixed |= {host: load_balancer(key), host + INNER_OFFSET: load_balancer(key)}
        return {f"{self._network}.{host}": name for host, name in fixed.items()}

    def _front_ports(self) -> dict[str, int]:
        return {
            f"{self._network}.{BALANCER_HOSTS[key] + offset}:{endpoint.port}": port
            for key, endpoints in list(self._fronts.items())
            for port, endpoint in endpoints.items()
            for offset in (0, INNER_OFFSET)
        }

    # Rules

    @property
    def _account(self) -> str:
        return str(self._plane.ecs.account_id)

    @property
    def _ec2(self) -> EC2Backend:
        return ec2_backends[self._account][REGION]

    def _groups(self) -> dict[str, SecurityGroup]:
        return {
            group.id: SecurityGroup(
                tuple(_group_rule(rule) for rule in list(group.ingress_rules)),
                tuple(_group_rule(rule) for rule in list(group.egress_rules)),
            )
            for groups in list(self._ec2.groups.values())
            for group in list(groups.values())
        }

    def _or_default(self, groups: Sequence[str]) -> frozenset[str]:
        """The groups given, or the VPC's default one, which AWS takes when none is."""
        own = list(self._ec2.groups.get(self._names.get("vpc", ""), {}).values())
        return frozenset(groups) or frozenset(group.id for group in own if group.name == "default")

    def _acls(self) -> dict[str, tuple[AclRule, ...]]:
        return {
            str(association.subnet_id): tuple(_acl_rule(entry) for entry in list(acl.network_acl_entries))
            for acl in list(self._ec2.network_acls.values())
            for association in acl.associations
        }


def _group_rule(rule: Any) -> GroupRule:
    return GroupRule(
        protocol=rule.ip_protocol,
        from_port=int(rule.from_port or 0),
        to_port=int(rule.to_port or 0),
        cidr=rule.cidr_ipv4 or "",
        group=(rule.referenced_group_info or {}).get("GroupId", ""),
    )


def _acl_rule(entry: Any) -> AclRule:
    low, high = entry.port_range_from, entry.port_range_to
    return AclRule(
        number=int(entry.rule_number),
        allow=entry.rule_action == "allow",
        egress=_is_true(entry.egress),
        protocol=str(entry.protocol),
        cidr=entry.cidr_block or "",
        from_port=0 if low is None else int(low),
        to_port=65535 if high is None else int(high),
    )


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
