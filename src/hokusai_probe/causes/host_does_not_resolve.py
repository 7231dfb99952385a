"""No address for a host."""

from collections.abc import Iterator

from hokusai_probe.causes._records import change_record, describe_balancer, leads_there, list_records, placed
from hokusai_probe.causes._words import one_line, readiness, ready, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Failure
from hokusai_probe.model import HostName, Remedy, Target
from hokusai_probe.probes.control_host import ControlHostFacts
from hokusai_probe.probes.dns_records import DnsRecordsFacts, HostRecords
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts

# RFC 8020 and 2308: the zone's own word that there is nothing; a silence is nobody's word
SAYS_NOTHING_THERE = frozenset({"nxdomain", "no-address"})


@cause(
    component="dns",
    priority="critical",
    effort="minutes",
    entails=("auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "probe-has-no-network": "there no name resolves, not even one outside the platform",
        "host-resolves-to-wrong-place": "there the name resolves, to something else",
    },
    source="RFC 8020 (NXDOMAIN: there really is nothing underneath); contract 1",
)
def host_does_not_resolve(
    hosts: HostsFacts,
    control: ControlHostFacts | None,
    rules: ListenerRulesFacts | None,
    records: DnsRecordsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """A host of the target has no address: its record is gone, or the zone is.

    Nothing behind the name can be reached, and nothing is known about it. A resolver that is silent or
    broken says nothing of the record. If no host of the target resolves, our own is as likely.
    """
    some_resolve = any(seen.resolution.failure is None for seen in hosts.hosts.values())
    ours = _our_resolver(control)
    certain = some_resolve or ours.holds is True
    for name in (host for host in target.hosts.present() if host in hosts.hosts):
        seen = hosts.hosts[name]
        failure, record = seen.resolution.failure, placed(records, name)
        yield Case(
            subject=name,
            breaks=(f"dns.{name}",),
            claims=(
                *(() if some_resolve else (ours,)),
                claim(
                    f"{seen.resolution.name} has no address",
                    _no_address(failure),
                    by=HostsFacts,
                    fact=f"hosts.{name}.resolution.failure.code" if failure else "",
                    value=failure.code if failure else None,
                    telling=certain,
                    aws_cli=one_line(list_records(seen.resolution.name, record)),
                ),
            ),
            remedy=_remedy(name, seen.resolution.name, rules, record, target),
        )


def _no_address(failure: Failure | None) -> bool | None:
    if failure is None:
        return False
    return True if failure.kind == "dns" and failure.code in SAYS_NOTHING_THERE else None


def _our_resolver(control: ControlHostFacts | None) -> Claim:
    """That our own resolver works, which another name shows where none of the target's does."""
    resolution = control.resolution if control else None
    works = resolution is not None and resolution.failure is None
    return claim(
        "our own resolver works: another name resolves",
        None if resolution is None else works,
        by=ControlHostFacts,
        fact="resolution.name" if resolution else "",
        value=resolution.name if resolution else None,
        aws_cli="aws route53 list-hosted-zones",
    )


def _remedy(
    host: HostName,
    name: str,
    rules: ListenerRulesFacts | None,
    record: HostRecords | None,
    target: Target,
) -> Remedy:
    if record is not None and leads_there(record):
        return _delegation(host, name, rules, record, target)
    change = change_record("UPSERT", host, name, rules, record)
    return Remedy(
        kind=readiness(change),
        summary=f"Make the alias record {name} again, which leads to its load balancer.",
        before=("aws route53 list-hosted-zones", describe_balancer(host, rules, target)),
        aws_cli=ready(change),
        rollback=one_line(change_record("DELETE", host, name, rules, record)),
        also_touches="Resolvers may remember the absence for the zone's negative TTL.",
        verify="hokusai-probe verify host-does-not-resolve",
    )


def _delegation(
    host: HostName, name: str, rules: ListenerRulesFacts | None, record: HostRecords, target: Target
) -> Remedy:
    """The record is right, so whoever was asked does not get to see it."""
    zone = word(record.zone, "HOSTED_ZONE")
    return Remedy(
        kind="outside-aws",
        summary=f"Route 53 has the right record of {name}. If it is new, wait for the zone's negative TTL. "
        "Then see that the registrar names the zone's own name servers, and look at the resolver that was "
        "asked here.",
        before=(
            one_line(list_records(name, record)),
            f"aws route53 get-hosted-zone --id {zone} --query DelegationSet.NameServers",
            describe_balancer(host, rules, target),
        ),
        also_touches="Everybody who asks the same resolver; a delegation is everybody's.",
        verify="hokusai-probe verify host-does-not-resolve",
    )
