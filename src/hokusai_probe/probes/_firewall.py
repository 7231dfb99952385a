"""Whether security groups and network ACLs let one part of the platform connect to another. Pure.

Sources, all of the Amazon VPC user guide: "Security group rules" (what no rule allows is denied; a rule that
names a group means whatever is in that group; answers need no rule), "Network ACL rules" (the lowest number
that matches decides; answers need a rule of their own; looked at where traffic leaves or enters a subnet) and
"Ephemeral ports" (Linux 32768-60999, load balancers and NAT gateways 1024-65535).

Three answers: yes, no, and not to be told from what was read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from hokusai_probe.model import Frozen

Way = Literal["ingress", "egress"]
Covers = Literal["all", "some", "none"]

ANYWHERE = "0.0.0.0/0"
LAST = 32767
"""The number of the rule that every ACL ends with."""
LINUX, BALANCER = (32768, 60999), (1024, 65535)
_TCP = frozenset({"-1", "6", "tcp"})


class GroupRule(Frozen):
    """A rule of a security group. Ports are None where the rule is for all protocols (``-1``)."""

    protocol: str
    from_port: int | None = None
    to_port: int | None = None
    cidrs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    prefix_lists: tuple[str, ...] = ()

    def is_for(self, port: int) -> bool:
        """Whether it speaks of a TCP port."""
        return self.protocol in _TCP and _holds(self.protocol, (self.from_port, self.to_port), (port, port))


class SecurityGroup(Frozen):
    """A security group and its rules."""

    name: str = ""
    ingress: tuple[GroupRule, ...] = ()
    egress: tuple[GroupRule, ...] = ()

    def rules(self, way: Way) -> tuple[GroupRule, ...]:
        """Those of one direction."""
        return self.ingress if way == "ingress" else self.egress


class AclEntry(Frozen):
    """A numbered rule of a network ACL. Ports are None where it is for all of them."""

    number: int
    allow: bool
    egress: bool
    protocol: str
    cidr: str
    from_port: int | None = None
    to_port: int | None = None


class Part(Frozen):
    """Something that connects or is connected to, and where it is.

    ``groups``: ids of its security groups. ``subnets``: those it is in, or may be in. ``zone``: its
    availability zone where AWS says which. ``port``: where it listens. ``balancer``: it is a load balancer.
    """

    groups: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    zone: str = ""
    port: int | None = None
    balancer: bool = False

    @property
    def ephemeral(self) -> tuple[int, int]:
        """The ports from which it connects."""
        return BALANCER if self.balancer else LINUX


def admits(rules: Iterable[GroupRule], port: int, peer: Part, cidrs: Sequence[str]) -> bool | None:
    """Whether some rule allows a TCP port to or from a peer whose addresses lie in ``cidrs``.

    None: a prefix list, or a block that holds some of the peer's addresses, may or may not.
    """
    said = [_rule_admits(rule, peer, cidrs) for rule in rules if rule.is_for(port)]
    if True in said:
        return True
    return None if None in said else False


def _rule_admits(rule: GroupRule, peer: Part, cidrs: Sequence[str]) -> bool | None:
    if set(rule.groups) & set(peer.groups):
        return True
    covered = {covers(cidr, cidrs) for cidr in rule.cidrs}
    if "all" in covered:
        return True
    return None if "some" in covered or rule.prefix_lists else False


def covers(cidr: str, others: Sequence[str]) -> Covers:
    """How much of some blocks of addresses one block holds; ``some`` where the others are not known."""
    if cidr == ANYWHERE:
        return "all"
    try:
        one = ipaddress.ip_network(cidr, strict=False)
        found = [ipaddress.ip_network(other, strict=False) for other in others]
    except ValueError:
        return "some"
    if found and all(n.version == one.version and n.subnet_of(one) for n in found):  # type: ignore[arg-type]
        return "all"
    return "some" if not found or any(n.overlaps(one) for n in found) else "none"


def refusing(entries: Iterable[AclEntry], cidr: str, ports: tuple[int, int], *, egress: bool) -> int | None:
    """The number of the rule by which an ACL refuses some of a range of TCP ports for peers in a block.

    The lowest number that matches decides. None: all is let through, or it cannot be told because a rule for
    some of the peers stands before. Where no rule matches it is the last one's, ``*``.
    """
    open_yet, unsure = [ports], False
    for entry in sorted(entries, key=lambda e: e.number):
        held = covers(entry.cidr, (cidr,)) if _speaks_of(entry, open_yet, egress=egress) else "none"
        if held == "all" and not entry.allow:
            return None if unsure else entry.number
        if held == "all":
            open_yet = _without(open_yet, entry)
        unsure = unsure or held == "some"
    return LAST if open_yet and not unsure else None


def _speaks_of(entry: AclEntry, ports: Iterable[tuple[int, int]], *, egress: bool) -> bool:
    low, high = _span(entry)
    met = any(low <= end and start <= high for start, end in ports)
    return entry.egress == egress and entry.protocol in _TCP and met


def _span(entry: AclEntry) -> tuple[int, int]:
    if entry.protocol == "-1" or entry.from_port is None or entry.to_port is None:
        return 0, 65535
    return entry.from_port, entry.to_port


def _without(ports: Iterable[tuple[int, int]], entry: AclEntry) -> list[tuple[int, int]]:
    """Ranges of ports less those that a rule is for."""
    low, high = _span(entry)
    below = [(start, min(end, low - 1)) for start, end in ports]
    above = [(max(start, high + 1), end) for start, end in ports]
    return [(start, end) for start, end in (*below, *above) if start <= end]


def _holds(protocol: str, span: tuple[int | None, int | None], ports: tuple[int, int]) -> bool:
    """Whether a rule's range of ports holds all of another."""
    low, high = span
    if protocol == "-1" or low is None or high is None:
        return True
    return low <= ports[0] and ports[1] <= high


def rules_of(groups: Mapping[str, SecurityGroup], part: Part, way: Way) -> tuple[GroupRule, ...] | None:
    """The rules of all of a part's groups; None where it has none, or one was not read."""
    if not part.groups or any(group not in groups for group in part.groups):
        return None
    return tuple(rule for group in part.groups for rule in groups[group].rules(way))


def pairs(source: Iterable[str], target: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each subnet of one part with each of another that lies across a boundary."""
    others = tuple(target)
    return ((a, b) for a in source for b in others if a != b)
