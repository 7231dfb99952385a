"""The load balancers' listeners and rules, and where a request would go by them."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Blocked, CannotTell, Facts, Frozen, HostName, NotApplicable, Target
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST

if TYPE_CHECKING:  # target groups are judged by the rules: importing them back would be a circle
    from hokusai_probe.probes.target_groups import TargetGroupsFacts

GATEWAY_PATH = "/api/mlflow/api/2.0/mlflow/experiments/search"


class Condition(Frozen):
    """One condition of a rule; any of its values satisfies it. ``name`` is that of a header."""

    field: str
    values: tuple[str, ...]
    name: str = ""


class Action(Frozen):
    """What a rule does: forward to target groups, redirect, or a fixed response with its status.

    ``target_groups`` are those that get requests, which a weight of 0 keeps from it.
    ``redirect`` is protocol and port of where a redirect leads, as AWS writes them: ``HTTPS:443``.
    """

    type: str
    target_groups: tuple[str, ...] = ()
    status: str = ""
    redirect: str = ""


class Rule(Frozen):
    """One rule. ``priority`` is ``default`` or a number as text, as AWS writes it."""

    arn: str
    priority: str
    conditions: tuple[Condition, ...]
    action: Action


class Listener(Frozen):
    """One listener; rules in the order in which they are tried, the default last.

    ``certificates``: ARNs of those that it names itself; more may be added to it for other host names.
    """

    arn: str
    port: int
    protocol: str
    rules: tuple[Rule, ...]
    certificates: tuple[str, ...] = ()


class Balancer(Frozen):
    """One load balancer with its listeners, or why it could not be read.

    ``zone_id`` is the hosted zone that an alias record to it names.
    """

    name: str
    arn: str = ""
    dns_name: str = ""
    zone_id: str = ""
    listeners: tuple[Listener, ...] = ()
    failure: AwsFailure | None = None

    def listener(self, port: int) -> Listener | None:
        """The listener on a port, None where there is none."""
        return next((one for one in self.listeners if one.port == port), None)


class ListenerRulesFacts(Facts):
    """The load balancers that the target names, by the platform's own name for them."""

    balancers: Mapping[str, Balancer]

    def of_host(self, host: str) -> Balancer | None:
        """The load balancer that serves a host of the target, if it could be read."""
        found = self.balancers.get(LOAD_BALANCER_OF_HOST[host])
        return found if found and found.failure is None else None


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=8)
async def listener_rules(look: Look, _identity: AwsIdentityFacts) -> ListenerRulesFacts:
    """Listeners and rules of the load balancers that the target names.

    elasticloadbalancing:DescribeLoadBalancers, DescribeListeners and DescribeRules.
    """
    names = look.target.aws.load_balancers if look.target.aws else {}
    found = await asyncio.gather(*(_balancer(look.cloud(), name) for name in names.values()))
    return ListenerRulesFacts(balancers=dict(zip(names, found, strict=True)))


async def _balancer(aws: AwsDoor, name: str) -> Balancer:
    answer = await aws.call("elbv2", "describe_load_balancers", Names=[name])
    if answer.failure is not None:
        return Balancer(name=name, failure=answer.failure)
    one = answer.data["LoadBalancers"][0]
    listeners = await aws.pages(
        "elbv2", "describe_listeners", "Listeners", LoadBalancerArn=one["LoadBalancerArn"]
    )
    if listeners.failure is not None:
        return Balancer(name=name, failure=listeners.failure)
    read = await asyncio.gather(*(_listener(aws, item) for item in listeners.data["Listeners"]))
    failure = next((f for f in read if isinstance(f, AwsFailure)), None)
    return Balancer(
        name=name,
        arn=one["LoadBalancerArn"],
        dns_name=one.get("DNSName", ""),
        zone_id=one.get("CanonicalHostedZoneId", ""),
        listeners=tuple(item for item in read if isinstance(item, Listener)),
        failure=failure,
    )


async def _listener(aws: AwsDoor, item: Mapping[str, object]) -> Listener | AwsFailure:
    arn = str(item["ListenerArn"])
    rules = await aws.pages("elbv2", "describe_rules", "Rules", ListenerArn=arn)
    if rules.failure is not None:
        return rules.failure
    ordered = sorted((_rule(r) for r in rules.data["Rules"]), key=_order)
    return Listener(
        arn=arn,
        port=int(str(item["Port"])),
        protocol=str(item["Protocol"]),
        rules=tuple(ordered),
        certificates=tuple(str(c["CertificateArn"]) for c in _items(item.get("Certificates"))),
    )


def _order(rule: Rule) -> int:
    return int(rule.priority) if rule.priority.isdigit() else 1_000_000


def _rule(item: Mapping[str, object]) -> Rule:
    actions = list(_items(item.get("Actions")))
    return Rule(
        arn=str(item["RuleArn"]),
        priority=str(item["Priority"]),
        conditions=tuple(_condition(c) for c in _items(item.get("Conditions"))),
        action=_action(actions[-1]) if actions else Action(type="none"),
    )


def _items(value: object) -> Iterable[Mapping[str, object]]:
    return (v for v in value if isinstance(v, Mapping)) if isinstance(value, list | tuple) else ()


_CONFIGS = (
    "HostHeaderConfig",
    "PathPatternConfig",
    "HttpHeaderConfig",
    "HttpRequestMethodConfig",
    "QueryStringConfig",
    "SourceIpConfig",
)


def _condition(item: Mapping[str, object]) -> Condition:
    configured = [c for name in _CONFIGS if isinstance(c := item.get(name), Mapping)]
    listed = [item.get("Values"), *(c.get("Values") for c in configured)]
    values = next((v for v in listed if isinstance(v, list) and v), [])
    names = (str(c["HttpHeaderName"]) for c in configured if c.get("HttpHeaderName"))
    return Condition(
        field=str(item["Field"]), values=tuple(_value(v) for v in values), name=next(names, "").lower()
    )


def _value(listed: object) -> str:
    """A value as text; one of a query is a pair, whose key may be left out: then any key will do."""
    if not isinstance(listed, Mapping):
        return str(listed)
    return f"{listed.get('Key') or _ANY_KEY}={listed.get('Value', '')}"


def _action(item: Mapping[str, object]) -> Action:
    forward = item.get("ForwardConfig")
    weighted = list(_items(forward.get("TargetGroups"))) if isinstance(forward, Mapping) else []
    groups = [str(g["TargetGroupArn"]) for g in weighted if g.get("Weight", 1) != 0]
    if not groups and item.get("TargetGroupArn"):
        groups = [str(item["TargetGroupArn"])]
    fixed = item.get("FixedResponseConfig")
    status = str(fixed.get("StatusCode", "")) if isinstance(fixed, Mapping) else ""
    away = item.get("RedirectConfig")
    redirect = f"{away.get('Protocol', '')}:{away.get('Port', '')}" if isinstance(away, Mapping) else ""
    return Action(type=str(item["Type"]), target_groups=tuple(groups), status=status, redirect=redirect)


NOBODY = "nobody"
"""Whose a target group is that no service registers with and that has no target."""


# --- where a request would go -----------------------------------------------------------------------

Certain = Literal["yes", "no", "unknown"]


def route(listener: Listener, host: str, path: str) -> Rule | None:
    """The rule that takes an outside request for ``path`` at ``host``; None when that cannot be told.

    It is a GET with the headers that every client sends. Conditions on the source address do not hold for
    an outside request where they name private addresses only, nor those on queries where they name
    parameters that no client of the platform sends. Others on queries, and those on headers that clients send
    with values of their own, cannot be told from here.
    Rules are tried in the order of their priority (AWS: "Listener rules for your Application Load Balancer").
    """
    for rule in listener.rules:
        takes = _takes(rule, host, path)
        if takes == "unknown":
            return None
        if takes == "yes":
            return rule
    return None


def _takes(rule: Rule, host: str, path: str) -> Certain:
    answers = [_holds(c, host, path) for c in rule.conditions]
    if "no" in answers:
        return "no"
    return "unknown" if "unknown" in answers else "yes"


def _holds(condition: Condition, host: str, path: str) -> Certain:
    if not condition.values:
        return "unknown"  # regular expressions, or something that did not exist when this was written
    if condition.field == "path-pattern":
        return _any(condition.values, path)
    if condition.field == "host-header":
        return _any(tuple(v.lower() for v in condition.values), host.lower())
    if condition.field == "http-request-method":
        return "yes" if "GET" in condition.values else "no"
    if condition.field == "http-header" and condition.name not in _SENT_BY_ALL:
        return "no"
    if condition.field == "query-string":
        return "unknown" if any(_may_be_sent(value) for value in condition.values) else "no"
    return _from(condition.values) if condition.field == "source-ip" else "unknown"


_SENT_BY_ALL = frozenset({
    "", "host", "user-agent", "accept", "accept-encoding", "authorization", "x-api-key", "connection",
})  # fmt: skip


_ANY_KEY = "*"
_SENT_IN_QUERIES = frozenset({
    "max_results", "page_token", "filter", "order_by", "view_type", "name", "version", "alias", "key", "path",
    "experiment_id", "experiment_ids", "experiment_name", "run_id", "run_uuid", "run_ids", "metric_key",
    "metric_keys", "model_id", "stages", "user_id", "username", "api_key", "detailed",
})  # fmt: skip
"""Parameters of MLflow's REST API (its GET requests), and those of the gateway (contract 3.2, 4)."""


def _may_be_sent(pair: str) -> bool:
    """Whether a client may send such a parameter; AWS compares queries without regard to case."""
    key = pair.partition("=")[0].lower()
    return any(fnmatch.fnmatchcase(sent, _literal(key)) for sent in _SENT_IN_QUERIES)


def _from(networks: tuple[str, ...]) -> Certain:
    """Whether a request from anywhere comes from one of these networks."""
    if {"0.0.0.0/0", "::/0"} & set(networks):
        return "yes"
    return "no" if all(_private(n) for n in networks) else "unknown"


def _any(patterns: Iterable[str], text: str) -> Certain:
    return "yes" if any(fnmatch.fnmatchcase(text, _literal(p)) for p in patterns) else "no"


def _literal(pattern: str) -> str:
    """An AWS pattern knows * and ? only; square brackets are themselves."""
    return pattern.replace("[", "[[]")


def _private(network: str) -> bool:
    import ipaddress

    return ipaddress.ip_network(network, strict=False).is_private


def redirects_to_https(listener: Listener) -> bool:
    """Whether what no rule takes is sent on to https; ``#{protocol}`` would be http again.

    So does a redirect of which nothing else is known, as older records have it.
    """
    last = listener.rules[-1].action if listener.rules else Action(type="none")
    return last.type == "redirect" and last.redirect in {"HTTPS:443", ""}


# --- checks -----------------------------------------------------------------------------------------


def host_name(target: Target, host: HostName) -> str:
    """The bare host name of one of the target's hosts, empty where it has none."""
    return urlsplit(target.hosts.present().get(host, "")).hostname or ""


def _misrouted(
    facts: ListenerRulesFacts, ecs: EcsServicesFacts | None, target: Target, host: HostName, path: str
) -> Sentence:
    balancer = facts.of_host(host)
    if host not in target.hosts.present() or LOAD_BALANCER_OF_HOST[host] not in facts.balancers:
        return NotApplicable(reason=f"the target names no load balancer for the {host} host")
    if balancer is None:
        return CannotTell(reason=f"the {host} host's load balancer could not be read")
    listener = balancer.listener(443)
    if listener is None:
        return f"{balancer.name} has no listener on port 443"
    rule = route(listener, host_name(target, host), path)
    return _wrong_way(rule, ecs, "auth" if host == "auth" else "gateway", path)


def _wrong_way(rule: Rule | None, ecs: EcsServicesFacts | None, service: str, path: str) -> Sentence:
    if rule is None:
        return CannotTell(reason=f"the rules for {path} look at more than host and path")
    if rule.action.type != "forward":
        return f"rule {rule.priority} answers {path} with {rule.action.type} {rule.action.status}".rstrip()
    owner = owner_of(ecs, rule.action.target_groups, right=service)
    if owner == service:
        return None
    if owner is None:
        return _owner_unknown(ecs, service, path)
    return f"rule {rule.priority} sends {path} to the {owner} target group; it belongs to the {service}"


def _owner_unknown(ecs: EcsServicesFacts | None, service: str, path: str) -> Sentence:
    """Whose group it is comes from the ECS service; of one that is gone nothing can be said."""
    one = ecs.services.get(service) if ecs else None
    reason = f"whose target group {path} leads to is not known"
    if one is not None and one.gone:
        return Blocked(reason=f"{reason}: {one.name} is gone", waited_for=f"{service}-tasks-run")
    return CannotTell(reason=reason)


def owners_of(
    ecs: EcsServicesFacts | None, groups: Iterable[str], known: TargetGroupsFacts | None = None
) -> tuple[str, ...] | None:
    """Who gets what is sent to these target groups: services, or nobody; None: one of them is not known.

    A group is a service's when ECS registers its tasks there, or when somebody else registered the same
    addresses. A group without any target is nobody's, as long as each service has one of its own.
    """
    found = tuple(_owner(ecs, arn, known) for arn in groups)
    return None if None in found or not found else tuple(dict.fromkeys(o for o in found if o))


def _owner(ecs: EcsServicesFacts | None, arn: str, known: TargetGroupsFacts | None) -> str | None:
    services = ecs.services if ecs else {}
    mine = next((name for name, s in services.items() if arn in s.target_groups), None)
    group = next((g for g in known.groups if g.arn == arn), None) if known else None
    if mine or known is None or group is None or group.failure is not None:
        return mine
    addresses = {t.id for t in group.targets}
    same = (name for name in services if addresses & {t.id for g in known.of(name) for t in g.targets})
    settled = services and all(s.target_groups for s in services.values())
    return next(same, NOBODY if settled and not addresses else None)


def owner_of(
    ecs: EcsServicesFacts | None,
    groups: Iterable[str],
    known: TargetGroupsFacts | None = None,
    right: str = "",
) -> str | None:
    """The one who gets what is sent to these target groups, as `owners_of`; of several, not the right."""
    found = owners_of(ecs, groups, known) or ()
    return next((one for one in found if one != right), next(iter(found), None))


@check(hop="rule.auth")
def auth_rules_lead_to_auth(
    facts: ListenerRulesFacts, ecs: EcsServicesFacts | None, target: Target
) -> Sentence:
    """By its rules the auth host sends key validation to the auth service."""
    return _misrouted(facts, ecs, target, "auth", "/api/v1/keys/validate")


@check(hop="rule.mlflow")
def registry_rules_lead_to_gateway(
    facts: ListenerRulesFacts, ecs: EcsServicesFacts | None, target: Target
) -> Sentence:
    """By its rules the registry host sends MLflow's API paths to the gateway."""
    return _misrouted(facts, ecs, target, "registry", GATEWAY_PATH)


@check(hop="rule.api")
def api_rules_lead_to_gateway(
    facts: ListenerRulesFacts, ecs: EcsServicesFacts | None, target: Target
) -> Sentence:
    """By its rules the api host sends its paths to the gateway."""
    return _misrouted(facts, ecs, target, "api", "/health")


@check(hop="listeners/redirect")
def plain_http_is_redirected(facts: ListenerRulesFacts, target: Target) -> Sentence:
    """Each load balancer sends plain http on to https (contract 1), by its rules."""
    hosts = [h for h in target.hosts.present() if LOAD_BALANCER_OF_HOST[h] in facts.balancers]
    read = [b for h in hosts if (b := facts.of_host(h)) is not None]
    bad = "; ".join(f"{b.name} {plain_http(b)}" for b in read if plain_http(b))
    if bad or not hosts:
        return bad or NotApplicable(reason="the target names no load balancer of its hosts")
    return None if len(read) == len(hosts) else CannotTell(reason="not every load balancer could be read")


def plain_http(balancer: Balancer) -> str:
    """What is wrong with a load balancer's port 80, as words that follow its name; empty: nothing is."""
    listener = balancer.listener(80)
    if listener is None:
        return "has no listener on port 80 that would send plain http on to https"
    if redirects_to_https(listener):
        return ""
    return f"answers plain http on port 80 with {_said(listener)} in place of a redirect to https"


def _said(listener: Listener) -> str:
    last = listener.rules[-1].action if listener.rules else Action(type="none")
    return f"{last.type} {last.redirect or last.status}".strip()
