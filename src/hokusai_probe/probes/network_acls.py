"""The network ACLs of the platform's subnets, and whether they let its traffic through, there and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes._firewall import ANYWHERE, LAST, LINUX, AclEntry, Part, pairs, refusing
from hokusai_probe.probes.security_groups import Edge, SecurityGroupsFacts

_HTTPS = (443, 443)


class Acl(Frozen):
    """One network ACL: its rules, the last one's ``*`` included."""

    name: str = ""
    entries: tuple[AclEntry, ...] = ()


class Dropped(Frozen):
    """What an ACL drops: of which subnet, in which direction, which ports, to or from which addresses.

    ``rule``: the number of the rule that refuses it.
    """

    acl: str
    rule: int
    subnet: str
    egress: bool
    ports: tuple[int, int]
    cidr: str

    def __str__(self) -> str:
        """As people say it."""
        low, high = self.ports
        what = f"port {low}" if low == high else f"ports {low}-{high}"
        way = f"out to {self.cidr}" if self.egress else f"in from {self.cidr}"
        rule = "*" if self.rule == LAST else str(self.rule)
        return f"rule {rule} of {self.acl} does not let {what} {way} ({self.subnet})"


class NetworkAclsFacts(Facts):
    """ACLs by id, and which one each subnet has. ``failure``: they could not be read."""

    acls: Mapping[str, Acl] = {}
    of_subnet: Mapping[str, str] = {}
    failure: AwsFailure | None = None

    def dropped(self, facts: SecurityGroupsFacts, edge: Edge) -> tuple[Dropped, ...]:
        """What drops an edge, or the answers to it; nothing where some pair of subnets lets it through.

        So a load balancer with a node that gets through is reached there: AWS takes the others out of its
        name. Traffic inside a subnet meets no ACL.
        """
        source, target = facts.parts.get(edge.source), facts.parts.get(edge.target)
        if source is None or target is None or set(source.subnets) & set(target.subnets):
            return ()
        ways = [
            tuple(self._drops(facts, source, (a, b), edge.port))
            for a, b in pairs(source.subnets, target.subnets)
        ]
        return tuple(drop for way in ways for drop in way) if all(ways) else ()

    def unread(self, facts: SecurityGroupsFacts, edges: Iterable[Edge]) -> tuple[str, ...]:
        """The ends of edges of whose way too little was read to say that nothing is dropped there.

        A part without a known subnet, or in one whose block of addresses or whose ACL is not known. Where
        both ends share a subnet nothing needs to be known of it.
        """
        found = [
            part for edge in edges for part in (edge.source, edge.target) if not self._joined(facts, edge)
        ]
        return tuple(dict.fromkeys(part for part in found if not self.places(facts, part)))

    def _joined(self, facts: SecurityGroupsFacts, edge: Edge) -> bool:
        source, target = facts.parts.get(edge.source), facts.parts.get(edge.target)
        return bool(source and target and set(source.subnets) & set(target.subnets))

    def places(self, facts: SecurityGroupsFacts, part: str) -> bool:
        """Whether all of a part's subnets are known, with their blocks of addresses and their ACLs."""
        one = facts.parts.get(part)
        subnets = one.subnets if one else ()
        known = (s in facts.cidrs and self.of_subnet.get(s) in self.acls for s in subnets)
        return bool(subnets) and all(known)

    def cut_from_auth(self, facts: SecurityGroupsFacts) -> tuple[Dropped, ...]:
        """What drops the gateway's requests to the auth host, which leave the VPC and come back in."""
        gateway = facts.parts.get("gateway")
        sides = ((True, _HTTPS), (False, LINUX))
        found = (
            self._drop(subnet, ANYWHERE, ports, egress=egress)
            for subnet in (gateway.subnets if gateway else ())
            for egress, ports in sides
        )
        return tuple(f for f in found if f is not None)

    def _drops(
        self, facts: SecurityGroupsFacts, source: Part, across: tuple[str, str], port: int
    ) -> Iterator[Dropped]:
        """In the order in which packets meet them: out, in, and the answers out and in."""
        here, there = across
        if here not in facts.cidrs or there not in facts.cidrs:
            return
        asked, answered = (port, port), source.ephemeral
        for subnet, peer, ports, egress in (
            (here, there, asked, True),
            (there, here, asked, False),
            (there, here, answered, True),
            (here, there, answered, False),
        ):
            found = self._drop(subnet, facts.cidrs[peer], ports, egress=egress)
            if found is not None:
                yield found

    def _drop(self, subnet: str, cidr: str, ports: tuple[int, int], *, egress: bool) -> Dropped | None:
        acl = self.of_subnet.get(subnet, "")
        if acl not in self.acls:
            return None
        rule = refusing(self.acls[acl].entries, cidr, ports, egress=egress)
        if rule is None:
            return None
        return Dropped(acl=acl, rule=rule, subnet=subnet, egress=egress, ports=ports, cidr=cidr)


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=1)
async def network_acls(look: Look, placed: SecurityGroupsFacts) -> NetworkAclsFacts:
    """Network ACLs of the subnets that the platform's parts are in: ec2:DescribeNetworkAcls."""
    subnets = sorted({subnet for part in placed.parts.values() for subnet in part.subnets})
    only = [{"Name": "association.subnet-id", "Values": subnets}]
    answer = await look.cloud().pages("ec2", "describe_network_acls", "NetworkAcls", Filters=only)
    if answer.failure is not None:
        return NetworkAclsFacts(failure=answer.failure)
    items = answer.data["NetworkAcls"]
    return NetworkAclsFacts(
        acls={str(item["NetworkAclId"]): network_acl(item) for item in items},
        of_subnet={
            str(one["SubnetId"]): str(item["NetworkAclId"])
            for item in items
            for one in item.get("Associations", ())
            if one.get("SubnetId") in subnets
        },
    )


def network_acl(item: Mapping[str, Any]) -> Acl:
    """One network ACL as DescribeNetworkAcls has it; rules for IPv6 alone are left out."""
    tags = {str(tag["Key"]): str(tag["Value"]) for tag in item.get("Tags", ())}
    return Acl(
        name=tags.get("Name", ""),
        entries=tuple(_entry(e) for e in item.get("Entries", ()) if "CidrBlock" in e),
    )


def _entry(item: Mapping[str, Any]) -> AclEntry:
    ports = item.get("PortRange", {})
    return AclEntry(
        number=int(item["RuleNumber"]),
        allow=item["RuleAction"] == "allow",
        egress=bool(item["Egress"]),
        protocol=str(item["Protocol"]),
        cidr=str(item["CidrBlock"]),
        from_port=ports.get("From"),
        to_port=ports.get("To"),
    )


@check(hop="subnets")
def network_acls_let_traffic_pass(facts: NetworkAclsFacts, placed: SecurityGroupsFacts) -> Sentence:
    """The subnets' network ACLs let the platform's connections through, and the answers back."""
    if facts.failure is not None:
        return CannotTell(reason=f"ec2:DescribeNetworkAcls: {facts.failure.kind}")
    drops = [d for edge in placed.edges for d in facts.dropped(placed, edge)]
    drops += facts.cut_from_auth(placed)
    if drops:
        return "; ".join(dict.fromkeys(str(d) for d in drops))
    unread = (*placed.unread, *facts.unread(placed, placed.edges))
    if unread or placed.failure is not None:
        return CannotTell(
            reason=f"it was not all read in which subnets, and behind which ACLs, these are: "
            f"{', '.join(dict.fromkeys(unread)) or 'all'}"
        )
    return None if placed.edges else NotApplicable(reason="nothing is known of who must reach whom")
