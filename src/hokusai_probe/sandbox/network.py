"""Which connections security groups and network ACLs let through. Pure, but for the file of the outcome.

Sources, all of the Amazon VPC and EC2 user guides:

* "Control traffic to your AWS resources using security groups" and "Security group rules": everything is
  denied that no rule allows; all rules are looked at, in no order; a rule that names a security group means
  the private addresses of whatever is in that group.
* "Security group connection tracking": groups are stateful, so answers need no rule of their own.
* "Control subnet traffic with network ACLs" and "Network ACL rules": rules in the order of their numbers,
  the first that matches decides, ``*`` denies; stateless, so answers need a rule for the caller's ephemeral
  ports; evaluated where traffic enters or leaves a subnet, hence not between two parts of one subnet.
* "Ephemeral ports": Linux 32768-61000, Elastic Load Balancing and NAT gateways 1024-65535.

A packet that is not let through vanishes: the caller's connect times out.

Four simplifications. A load balancer reaches, and is reached at, whatever one of its nodes does: AWS takes a
zone whose node sees no healthy target out of the load balancer's name ("Target group health"). A range of
ephemeral ports that is open in part counts as closed, where AWS would drop some connections. The next request
feels that a rule is gone, where AWS lets a connection that stands run on until it times out. Prefix lists
admit nobody.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from hokusai_probe.sandbox import shared_files

Ports = tuple[tuple[int, int], ...]
"""Ranges of TCP ports, both ends included, ascending, apart from one another."""

ALL_PORTS: Ports = ((0, 65535),)
LINUX_EPHEMERAL = (32768, 61000)
ELB_EPHEMERAL = (1024, 65535)
HTTPS = 443

CLIENT, CACHE, DATABASE, SITE, STORAGE = "client", "cache", "database", "site", "storage"
"""Parts that are not tasks. Load balancers are ``load-balancer.KEY``, tasks ``SERVICE/ADDRESS``."""

CLIENT_VPN = "client-vpn"
"""Where a prober is that looks at the stores themselves: the network interface of an AWS Client VPN endpoint.

What comes through it has the endpoint's address in its subnet and is judged by the endpoint's security groups
("Client VPN authorization rules" and "Security groups", AWS Client VPN administrator guide).
"""

CLIENT_ADDRESS, NAT_ADDRESS = "198.51.100.7", "198.51.100.8"
"""Where the prober and the tasks' NAT gateway are on the internet (RFC 5737: for documentation)."""

VACANT = "vacant"
"""The part of an address that a task had once and nobody has now: nothing answers there."""

FILE = "network.json"

_TCP = frozenset({"-1", "6", "tcp"})


def load_balancer(key: str) -> str:
    """The part's name of a load balancer: auth, registry, main."""
    return f"load-balancer.{key}"


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A rule of a security group; the peer is a CIDR or a group."""

    protocol: str
    from_port: int
    to_port: int
    cidr: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group's rules."""

    ingress: tuple[GroupRule, ...] = ()
    egress: tuple[GroupRule, ...] = ()


@dataclass(frozen=True, slots=True)
class AclRule:
    """A numbered rule of a network ACL."""

    number: int
    allow: bool
    egress: bool
    protocol: str
    cidr: str
    from_port: int = 0
    to_port: int = 65535


@dataclass(frozen=True, slots=True)
class Rules:
    """Every security group by its id, and the network ACL of each subnet."""

    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    acls: Mapping[str, tuple[AclRule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """Where a part is: the addresses that rules may know it by, and its subnet; none on the internet."""

    addresses: tuple[str, ...]
    subnet: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that connects or is connected to.

    Attributes:
        name: What the table calls it.
        nodes: Where it is; a load balancer is in several subnets.
        groups: Its security groups.
        inside: Whether it is in the VPC: only then groups and ACLs apply to it.
        public: The internet address that everybody reaches it at, even from inside; empty: none.
        ephemeral: The ports from which it connects.

    """

    name: str
    nodes: tuple[Node, ...]
    groups: frozenset[str] = frozenset()
    inside: bool = True
    public: str = ""
    ephemeral: tuple[int, int] = LINUX_EPHEMERAL


def outside(name: str, address: str, ephemeral: tuple[int, int] = LINUX_EPHEMERAL) -> Part:
    """A part on the internet."""
    return Part(name, (Node((address,)),), inside=False, ephemeral=ephemeral)


_NAT = outside("nat", NAT_ADDRESS, ELB_EPHEMERAL)


def allowed(rules: Rules, from_part: Part, to_part: Part, port: int) -> bool:
    """Whether a connection to a TCP port is let through, and its answers back."""
    return within(open_ports(rules, from_part, to_part), port)


def open_ports(rules: Rules, from_part: Part, to_part: Part) -> Ports:
    """The TCP ports of one part to which another can connect.

    From inside the VPC a public load balancer is on the internet: the connection leaves to its public address
    and comes back in from the NAT gateway's, so that no rule which names a group lets it in.
    """
    if to_part.public and from_part.inside:
        out = _nodes_ports(rules, from_part, outside("internet", to_part.public))
        return both(out, _nodes_ports(rules, _NAT, to_part))
    return _nodes_ports(rules, from_part, to_part)


def _nodes_ports(rules: Rules, source: Part, target: Part) -> Ports:
    ranges = [
        span
        for source_node in source.nodes
        for target_node in target.nodes
        for span in _node_ports(rules, (source, source_node), (target, target_node))
    ]
    return merged(ranges)


def _node_ports(rules: Rules, start: tuple[Part, Node], end: tuple[Part, Node]) -> Ports:
    (source, source_node), (target, target_node) = start, end
    ports = ALL_PORTS
    if source.inside:
        going = [rule for one in _groups(rules, source) for rule in one.egress]
        ports = both(ports, _group_ports(going, target, target_node))
    if target.inside:
        coming = [rule for one in _groups(rules, target) for rule in one.ingress]
        ports = both(ports, _group_ports(coming, source, source_node))
    if source_node.subnet == target_node.subnet:
        return ports
    crossing = both(
        _acl_ports(rules, source_node, target_node, source.ephemeral, leaves=True),
        _acl_ports(rules, target_node, source_node, source.ephemeral, leaves=False),
    )
    return both(ports, crossing)


def _groups(rules: Rules, part: Part) -> list[SecurityGroup]:
    return [rules.groups[group] for group in sorted(part.groups) if group in rules.groups]


def _group_ports(rules: Iterable[GroupRule], peer: Part, node: Node) -> Ports:
    return merged(
        _span(rule.protocol, rule.from_port, rule.to_port)
        for rule in rules
        if rule.protocol in _TCP and (rule.group in peer.groups or _contains(rule.cidr, node))
    )


def _acl_ports(rules: Rules, own: Node, peer: Node, ephemeral: tuple[int, int], *, leaves: bool) -> Ports:
    """What the ACL of a node's subnet lets through of connections that leave or enter it."""
    if not own.subnet:
        return ALL_PORTS
    acl = rules.acls.get(own.subnet, ())
    answers = acl_ports(acl, peer, egress=not leaves)
    if both((ephemeral,), answers) != (ephemeral,):
        return ()
    return acl_ports(acl, peer, egress=leaves)


def acl_ports(acl: Iterable[AclRule], peer: Node, *, egress: bool) -> Ports:
    """The ports that an ACL allows in one direction for one peer: the first rule that matches decides."""
    opened: list[tuple[int, int]] = []
    undecided = ALL_PORTS
    for rule in sorted(acl, key=lambda one: one.number):
        if rule.egress != egress or rule.protocol not in _TCP or not _contains(rule.cidr, peer):
            continue
        span = (_span(rule.protocol, rule.from_port, rule.to_port),)
        if rule.allow:
            opened += both(undecided, span)
        undecided = without(undecided, span[0])
    return merged(opened)


def _span(protocol: str, low: int, high: int) -> tuple[int, int]:
    return ALL_PORTS[0] if protocol == "-1" else (low, high)


def _contains(cidr: str, node: Node) -> bool:
    return bool(cidr) and any(_address(one) in _network(cidr) for one in node.addresses)


@lru_cache(maxsize=1024)
def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(cidr, strict=False)


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


# Ranges of ports


def within(ports: Iterable[tuple[int, int]], port: int) -> bool:
    """Whether a port is in one of the ranges."""
    return any(low <= port <= high for low, high in ports)


def merged(ranges: Iterable[tuple[int, int]]) -> Ports:
    """The same ports in as few ranges as possible, ascending."""
    kept: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if kept and low <= kept[-1][1] + 1:
            kept[-1] = (kept[-1][0], max(kept[-1][1], high))
        else:
            kept.append((low, high))
    return tuple(kept)


def both(one: Ports, other: Ports) -> Ports:
    """The ports that are in both."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return merged(pair for pair in pairs if pair[0] <= pair[1])


def without(ports: Ports, gone: tuple[int, int]) -> Ports:
    """The ports less one range."""
    below = both(ports, ((0, gone[0] - 1),)) if gone[0] > 0 else ()
    above = both(ports, ((gone[1] + 1, 65535),)) if gone[1] < 65535 else ()
    return merged((*below, *above))


# The outcome as a file


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the control plane says of the network at one moment.

    Attributes:
        rules: Security groups and ACLs.
        parts: Everything that can connect or be connected to.
        addresses: The part's name of each address; `VACANT` for one that nobody has any more. A service's
            name leads to its newest task.
        fronts: The listener's port behind each ``address:port`` that the system picked for it.

    """

    rules: Rules
    parts: tuple[Part, ...]
    addresses: Mapping[str, str]
    fronts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NetworkTable:
    """Who can connect to whom: the open ports by the names of both parts; a pair that is missing has none."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    fronts: Mapping[str, int] = field(default_factory=dict)
    opened: Mapping[str, Mapping[str, Ports]] = field(default_factory=dict)

    def lets(self, source: str, target: str, port: int) -> bool:
        """Whether a part can connect to a port of another. What the table does not know is open."""
        if target == VACANT:
            return False
        if source not in self.opened or target not in self.addresses.values():
            return True
        port = HTTPS if target in (SITE, STORAGE) else port
        return within(self.opened[source].get(target, ()), port)

    def dropped(self, source: str, to_ip: str, port: int) -> bool:
        """See `NetworkView.dropped`."""
        target = self.addresses.get(to_ip)
        listener = self.fronts.get(f"{to_ip}:{port}", port)
        return target is not None and not self.lets(self.addresses.get(source, source), target, listener)


def compiled(snapshot: Snapshot) -> NetworkTable:
    """The table that a snapshot amounts to. Stores and site connect to nobody, and nobody to the client."""
    opened = {
        source.name: {
            target.name: ports
            for target in snapshot.parts
            if target is not source
            and target.name not in (CLIENT, CLIENT_VPN)
            and (ports := open_ports(snapshot.rules, source, target))
        }
        for source in snapshot.parts
        if source.name not in (CACHE, DATABASE, SITE, STORAGE)
    }
    return NetworkTable(dict(snapshot.addresses), dict(snapshot.fronts), opened)


_FILE = TypeAdapter(NetworkTable)


def write_network(path: Path, table: NetworkTable) -> None:
    """Replace the file at once: a reader sees the old table or the new one, never half of it."""
    shared_files.replace(path, _FILE.dump_json(table))


class NetworkView:
    """The network as one process sees it: the table's file, read again whenever it changed.

    Every connector asks before it connects. No file: everything is open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._table = NetworkTable()

    def dropped(self, source: str, to_ip: str, port: int) -> bool:
        """Whether a connection's packets vanish: the caller has to wait out its connect timeout.

        Args:
            source: The caller: its own address (127.A.B.n), or the name of a part or service: ``client``,
                ``load-balancer.auth``, ``cache``, ``database``, ``mlflow``. One that is not known may
                connect.
            to_ip: The address to connect to. The address of a task that ended is nobody's: dropped. One that
                never was anybody's is open, so that the system refuses.
            port: The port to connect to; a load balancer's front port stands for its listener's. The site and
                the storage are asked on 443, whatever this says.

        """
        return self._read().dropped(source, to_ip, port)

    def lets(self, source: str, target: str, port: int) -> bool:
        """Whether one part can connect to a port of another, both by name, the port as listeners have it."""
        return self._read().lets(source, target, port)

    def part(self, ip: str) -> str:
        """The name of the part that has an address; empty when nobody is known there."""
        return self._read().addresses.get(ip, "")

    def service(self, ip: str) -> str:
        """The service whose task has an address: auth, gateway, mlflow; empty for anybody else."""
        name, separator, _ = self.part(ip).partition("/")
        return name if separator else ""

    def _read(self) -> NetworkTable:
        stamp = shared_files.stamp_of(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._table = NetworkTable() if stamp is None else _FILE.validate_json(self._path.read_bytes())
        return self._table
