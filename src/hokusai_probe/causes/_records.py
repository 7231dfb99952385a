"""What the causes about names share: the record that a host ought to have, as commands."""

from __future__ import annotations

import json
from shlex import quote

from hokusai_probe.causes._words import word
from hokusai_probe.model import HostName, Target
from hokusai_probe.probes.dns_records import DnsRecordsFacts, HostRecords
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST


def placed(records: DnsRecordsFacts | None, host: str) -> HostRecords | None:
    """What Route 53 has of a host, None where nobody looked."""
    return records.hosts.get(host) if records else None


# what stands between a name and a load balancer on purpose, and has addresses of its own
IN_FRONT = (".cloudfront.net", ".awsglobalaccelerator.com", ".elb.amazonaws.com.cdn.cloudflare.net")


def fronted(one: HostRecords) -> bool:
    """Whether a host's name leads on purpose to something in front of its load balancer."""
    return any(r.alias.endswith(IN_FRONT) for r in one.records)


def leads_there(one: HostRecords) -> bool:
    """Whether all records of a name are aliases of its load balancer."""
    wanted = one.balancer.lower().rstrip(".")
    return bool(one.records and wanted) and all(r.alias == wanted for r in one.records)


def list_records(name: str, records: HostRecords | None) -> str:
    """The AWS CLI call that shows the records of a name. ``name`` has no dot at its end."""
    zone = word(records.zone if records else None, "HOSTED_ZONE")
    query = f"ResourceRecordSets[?Name=='{name}.']"
    return f'aws route53 list-resource-record-sets --hosted-zone-id {zone} --query "{query}"'


def describe_balancer(host: HostName, rules: ListenerRulesFacts | None, target: Target) -> str:
    """What shows the load balancer's DNS name and the zone that an alias to it names."""
    key = LOAD_BALANCER_OF_HOST[host]
    found = rules.of_host(host) if rules else None
    named = found.name if found else (target.aws.load_balancers.get(key) if target.aws else None)
    names = f" --names {quote(named)}" if named else ""
    return (
        f"aws elbv2 describe-load-balancers{names} "
        "--query 'LoadBalancers[].[LoadBalancerName,DNSName,CanonicalHostedZoneId]'"
    )


def change_record(
    action: str, host: HostName, name: str, rules: ListenerRulesFacts | None, records: HostRecords | None
) -> str:
    """The AWS CLI call that makes or removes the alias of a name to its load balancer.

    Variables stand outside the single quotes of the JSON, so that the shell fills them in.
    """
    found = rules.of_host(host) if rules else None
    zone = found.zone_id if found else ""
    alias = found.dns_name if found else ""
    before = (
        f'{{"Changes":[{{"Action":"{action}","ResourceRecordSet":{{"Name":{json.dumps(name)},"Type":"A",'
        '"AliasTarget":{"EvaluateTargetHealth":false,"HostedZoneId":"'
    )
    middle, after = '","DNSName":"', '"}}}]}'
    if zone and alias:
        batch = quote(f"{before}{zone}{middle}{alias}{after}")
    else:
        zone_word, alias_word = word(zone, "ALIAS_ZONE"), word(alias, f"{host.upper()}_ALIAS")
        batch = f"'{before}'{zone_word}'{middle}'{alias_word}'{after}'"
    public = word(records.zone if records else None, "HOSTED_ZONE")
    return f"aws route53 change-resource-record-sets --hosted-zone-id {public} --change-batch {batch}"
