"""A host's name leads to something that is not this platform's load balancer."""

import json
from collections.abc import Iterator
from shlex import quote

from pydantic import JsonValue

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._records import (
    change_record,
    describe_balancer,
    fronted,
    leads_there,
    list_records,
    placed,
)
from hokusai_probe.causes._words import answered, one_line, readiness, ready
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer, Resolution
from hokusai_probe.model import HostName, Remedy, Target
from hokusai_probe.probes.dns_records import DnsRecordsFacts, HostRecords, apart, well
from hokusai_probe.probes.hosts import UNCONNECTED, HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts


@cause(
    component="dns",
    priority="critical",
    effort="minutes",
    entails=(
        "auth-service-down",
        "gateway-down",
        "mlflow-down",
        "certificate-wrong-name",
        "certificate-untrusted",
        "certificate-expired",
    ),
    look_alikes={
        "certificate-wrong-name": "there the load balancer itself is reached, and shows a wrong certificate",
        "https-listener-missing": "there the load balancer itself is reached, and does not listen",
        "host-does-not-resolve": "there the name has no address at all",
    },
    source="INC-40; AWS: Routing traffic to an ELB load balancer (Route 53)",
)
def host_resolves_to_wrong_place(
    hosts: HostsFacts, rules: ListenerRulesFacts | None, records: DnsRecordsFacts | None, target: Target
) -> Iterator[Case]:
    """A host's name leads elsewhere: to another site, a load balancer that is gone, or an address of old.

    Who answers there answers in another way, with another certificate, or not at all. A resolver that
    remembers an old record looks the same until the record's time to live is over.
    """
    for host, seen in hosts.hosts.items() if not hosts.bare else ():
        one = placed(records, host)
        yield Case(
            subject=host,
            breaks=(f"dns.{host}", "names/place"),
            claims=(_somebody_else(host, seen.health), _elsewhere(host, seen.resolution, one)),
            remedy=_remedy(host, seen.resolution, rules, one, target),  # type: ignore[arg-type]  # keys are hosts
        )


def _somebody_else(host: str, answer: Answer) -> Claim:
    return answered(
        f"what answers at the {host} host is not its load balancer: {said(answer)}",
        False if well(answer, host) or _is_ours(answer) else (True if _is_strange(answer) else None),
        answer,
        f"hosts.{host}.health",
        by=HostsFacts,
    )


def _is_ours(answer: Answer) -> bool:
    """A certificate that does not hold for its dates alone is of a known issuer, and for this host."""
    failure = answer.failure
    return failure is not None and failure.kind == "tls" and failure.code in {"expired", "not-yet-valid"}


def _is_strange(answer: Answer) -> bool:
    """No connection, somebody else's certificate, or words that nobody of the platform uses."""
    if answer.failure is not None and answer.status is None:
        return answer.failure.kind in UNCONNECTED | {"tls", "reset", "malformed"}
    return responder(answer) not in {"load-balancer", "nobody"}


def _elsewhere(host: str, resolution: Resolution, one: HostRecords | None) -> Claim:
    """Certain where Route 53 has the name's record; a service in front has addresses of its own."""
    known = one is not None and bool(one.records)
    addresses: list[JsonValue] = list(resolution.addresses)
    there = f", and its load balancer is at {', '.join(one.balancer_addresses)}" if one else ""
    return claim(
        f"{resolution.name} leads to {', '.join(resolution.addresses) or 'no address'}{there}",
        None if one is None or fronted(one) else apart(one, resolution.addresses),
        by=DnsRecordsFacts if one is None else HostsFacts,
        fact="" if one is None else f"hosts.{host}.resolution.addresses",
        value=addresses if one else None,
        telling=known,
        aws_cli=one_line(list_records(resolution.name, one)),
    )


def _remedy(
    host: HostName,
    resolution: Resolution,
    rules: ListenerRulesFacts | None,
    one: HostRecords | None,
    target: Target,
) -> Remedy:
    if one is not None and leads_there(one):
        return _resolver(host, resolution, rules, one, target)
    change = change_record("UPSERT", host, resolution.name, rules, one)
    return Remedy(
        kind=readiness(change),
        summary=f"Have {resolution.name} lead to its load balancer again.",
        before=(one_line(list_records(resolution.name, one)), describe_balancer(host, rules, target)),
        aws_cli=ready(change),
        terraform="# in the aws_route53_record of this name\nalias {\n"
        f"  name                   = aws_lb.{host}.dns_name\n"
        f"  zone_id                = aws_lb.{host}.zone_id\n"
        "  evaluate_target_health = false\n}\n",
        rollback=_back(resolution.name, one),
        also_touches="Every client of this name, once its time to live is over.",
        verify="hokusai-probe verify host-resolves-to-wrong-place",
    )


def _resolver(
    host: HostName,
    resolution: Resolution,
    rules: ListenerRulesFacts | None,
    one: HostRecords,
    target: Target,
) -> Remedy:
    """The record is right: whoever was asked remembers another, or has one of its own."""
    return Remedy(
        kind="outside-aws",
        summary=f"The record of {resolution.name} leads to its load balancer already. Wait for its time to "
        "live; then look at the resolver that this run asked, and at hosts files where it ran.",
        before=(one_line(list_records(resolution.name, one)), describe_balancer(host, rules, target)),
        also_touches="Everybody who asks the same resolver.",
        verify="hokusai-probe verify host-resolves-to-wrong-place",
    )


def _back(name: str, one: HostRecords | None) -> str:
    """The change that restores the first record's values; an alias needs the zone of what it led to."""
    record = one.records[0] if one and one.records else None
    if one is None or record is None or record.alias or not one.zone:
        return "Make the record again that the first command showed."
    kept = {
        "Name": name,
        "Type": record.type,
        "TTL": 60,
        "ResourceRecords": [{"Value": value} for value in record.values],
    }
    batch = quote(json.dumps({"Changes": [{"Action": "UPSERT", "ResourceRecordSet": kept}]}))
    return (
        f"aws route53 change-resource-record-sets --hosted-zone-id {quote(one.zone)} --change-batch {batch}"
    )
