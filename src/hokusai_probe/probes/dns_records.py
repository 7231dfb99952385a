"""Where the hosts' names ought to lead: the records in Route 53, and the load balancers' own addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from hokusai_probe.answers import responder
from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, HostName, NotApplicable
from hokusai_probe.probes.hosts import EXPECTED, HostsFacts
from hokusai_probe.probes.listener_rules import Balancer, ListenerRulesFacts, host_name


class Record(Frozen):
    """An A, AAAA or CNAME record: the name that it is an alias of, or its values."""

    type: str
    alias: str = ""
    values: tuple[str, ...] = ()


class HostRecords(Frozen):
    """Where one host's name ought to lead, and what Route 53 has of it.

    ``balancer_addresses`` are those of the load balancer's own name; ``zone`` is the id of the public zone
    that holds the host's, None where the account has none.
    """

    name: str
    balancer: str = ""
    balancer_addresses: tuple[str, ...] = ()
    zone: str | None = None
    records: tuple[Record, ...] = ()
    failure: AwsFailure | None = None


class DnsRecordsFacts(Facts):
    """The hosts whose load balancer is known. ``failure``: why the zones could not be read."""

    hosts: Mapping[str, HostRecords]
    failure: AwsFailure | None = None


@probe(area="infrastructure", needs=("aws",), cost=4)
async def dns_records(look: Look, rules: ListenerRulesFacts) -> DnsRecordsFacts:
    """Where the hosts' names ought to lead.

    Resolves the load balancers' own names, and asks route53:ListHostedZones and ListResourceRecordSets.
    Addresses of a load balancer change; those of two questions put a moment apart still have some in common.
    """
    aws = look.cloud()
    zones = await aws.pages("route53", "list_hosted_zones", "HostedZones")
    public = [z for z in zones.data.get("HostedZones", ()) if not z.get("Config", {}).get("PrivateZone")]
    placed = {h: b for h in look.target.hosts.present() if (b := rules.of_host(h)) is not None}
    found = await asyncio.gather(*(_host(look, aws, h, b, public) for h, b in placed.items()))
    return DnsRecordsFacts(hosts=dict(zip(placed, found, strict=True)), failure=zones.failure)


async def _host(
    look: Look, aws: AwsDoor, host: HostName, balancer: Balancer, zones: Iterable[Mapping[str, object]]
) -> HostRecords:
    name = host_name(look.target, host)
    there = await look.http.lookup(balancer.dns_name)
    placed = HostRecords(name=name, balancer=balancer.dns_name, balancer_addresses=there.addresses)
    zone = _zone_of(name, zones)
    if zone is None:
        return placed
    answer = await aws.call(
        "route53", "list_resource_record_sets", HostedZoneId=zone, StartRecordName=name, MaxItems="10"
    )
    records = tuple(_record(r) for r in answer.data.get("ResourceRecordSets", ()) if _is_of(name, r))
    return placed.model_copy(update={"zone": zone, "records": records, "failure": answer.failure})


def _zone_of(name: str, zones: Iterable[Mapping[str, object]]) -> str | None:
    """The id of the zone with the longest name that the host's ends in."""
    holding = [z for z in zones if f".{name}.".endswith(f".{str(z.get('Name', '')).rstrip('.')}.")]
    best = max(holding, key=lambda z: len(str(z["Name"])), default=None)
    return str(best["Id"]).rpartition("/")[2] if best else None


def _is_of(name: str, item: Mapping[str, object]) -> bool:
    return str(item.get("Name", "")).rstrip(".").lower() == name and item.get("Type") in {
        "A",
        "AAAA",
        "CNAME",
    }


def _record(item: Mapping[str, object]) -> Record:
    alias, listed = item.get("AliasTarget"), item.get("ResourceRecords")
    values = [str(v.get("Value", "")) for v in listed] if isinstance(listed, list) else []
    name = str(alias.get("DNSName", "")) if isinstance(alias, Mapping) else ""
    return Record(
        type=str(item.get("Type", "")),
        alias=name.rstrip(".").lower().removeprefix("dualstack."),
        values=tuple(values),
    )


def well(answer: Answer, host: str) -> bool:
    """Whether the service that a host is for answers there, whatever it says."""
    return responder(answer) == EXPECTED[host]


def apart(placed: HostRecords, addresses: Iterable[str]) -> bool | None:
    """Whether a name's addresses have none in common with its load balancer's; None: some are not known."""
    found, there = set(addresses), set(placed.balancer_addresses)
    return not found & there if found and there else None


# --- checks -----------------------------------------------------------------------------------------


@check(hop="names/place")
def names_lead_to_their_load_balancers(facts: DnsRecordsFacts, hosts: HostsFacts) -> Sentence:
    """Each host's name leads to its load balancer, or to something that passes its service's answers on."""
    if not facts.hosts:
        return NotApplicable(reason="the target names no load balancer that AWS knows")
    bad = [
        f"{one.name} leads to {', '.join(hosts.hosts[host].resolution.addresses)}, "
        f"and its load balancer is at {', '.join(one.balancer_addresses)}"
        for host, one in facts.hosts.items()
        if apart(one, hosts.hosts[host].resolution.addresses) and not well(hosts.hosts[host].health, host)
    ]
    open_ones = [
        one.name
        for host, one in facts.hosts.items()
        if apart(one, hosts.hosts[host].resolution.addresses) is None
    ]
    if bad or not open_ones:
        return "; ".join(bad) or None
    return CannotTell(reason=f"the addresses are not known: {', '.join(open_ones)}")
