"""No address for a host."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._words import one_line, ready, word
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.http import Failure
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST

# RFC 8020 and 2308: the zone's own word that there is nothing; a silence is nobody's word
SAYS_NOTHING_THERE = frozenset({"nxdomain", "no-address"})
OUR_RESOLVER = claim(
    "our own resolver works: another name resolves",
    None,
    by=HostsFacts,
    aws_cli="aws route53 list-hosted-zones",
)


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
    hosts: HostsFacts, rules: ListenerRulesFacts | None, target: Target
) -> Iterator[Case]:
    """A host of the target has no address: its record is gone, or the zone is.

    Nothing behind the name can be reached, and nothing is known about it. A resolver that is silent or
    broken says nothing of the record. If no host of the target resolves, our own is as likely.
    """
    some_resolve = any(seen.resolution.failure is None for seen in hosts.hosts.values())
    for name, seen in hosts.hosts.items():
        failure = seen.resolution.failure
        yield Case(
            subject=name,
            breaks=(f"dns.{name}",),
            claims=(
                *(() if some_resolve else (OUR_RESOLVER,)),
                claim(
                    f"{seen.resolution.name} has no address",
                    _no_address(failure),
                    by=HostsFacts,
                    fact=f"hosts.{name}.resolution.failure.code" if failure else "",
                    value=failure.code if failure else None,
                    telling=some_resolve,
                    aws_cli=_records(seen.resolution.name),
                ),
            ),
            remedy=_remedy(name, seen.resolution.name, rules, target),
        )


def _no_address(failure: Failure | None) -> bool | None:
    if failure is None:
        return False
    return True if failure.kind == "dns" and failure.code in SAYS_NOTHING_THERE else None


def _records(name: str) -> str:
    zone, query = word(None, "HOSTED_ZONE"), f"ResourceRecordSets[?Name=='{name}.']"
    return one_line(f'aws route53 list-resource-record-sets --hosted-zone-id {zone} --query "{query}"')


def _remedy(host: str, name: str, rules: ListenerRulesFacts | None, target: Target) -> Remedy:
    return Remedy(
        kind="needs-value",
        summary=f"Make the alias record {name} again, which leads to its load balancer.",
        before=("aws route53 list-hosted-zones", _balancer(host, rules, target)),
        aws_cli=ready(_change("UPSERT", host, name, rules)),
        rollback=one_line(_change("DELETE", host, name, rules)),
        also_touches="Resolvers may remember the absence for the zone's negative TTL.",
        verify="hokusai-probe verify host-does-not-resolve",
    )


def _balancer(host: str, rules: ListenerRulesFacts | None, target: Target) -> str:
    """What shows the load balancer's DNS name and the zone that an alias to it names."""
    key = LOAD_BALANCER_OF_HOST[host]
    found = rules.of_host(host) if rules else None
    named = found.name if found else (target.aws.load_balancers.get(key) if target.aws else None)
    names = f" --names {quote(named)}" if named else ""
    return (
        f"aws elbv2 describe-load-balancers{names} "
        "--query 'LoadBalancers[].[LoadBalancerName,DNSName,CanonicalHostedZoneId]'"
    )


def _change(action: str, host: str, name: str, rules: ListenerRulesFacts | None) -> str:
    """The variables stand outside the single quotes of the JSON, so that the shell fills them in."""
    found = rules.of_host(host) if rules else None
    zone, alias = word(None, "ALIAS_ZONE"), word(found.dns_name if found else None, f"{host.upper()}_ALIAS")
    before = (
        f'{{"Changes":[{{"Action":"{action}","ResourceRecordSet":{{"Name":"{name}","Type":"A",'
        '"AliasTarget":{"EvaluateTargetHealth":false,"HostedZoneId":"'
    )
    batch = f"""'{before}'{zone}'","DNSName":"'{alias}'"}}}}}}]}}'"""
    return (
        f"aws route53 change-resource-record-sets --hosted-zone-id {word(None, 'HOSTED_ZONE')} "
        f"--change-batch {batch}"
    )
