"""What the causes about listener rules share: the ways that must lead somewhere, and where they lead."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import HostName, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import (
    GATEWAY_PATH,
    Balancer,
    Listener,
    ListenerRulesFacts,
    Rule,
    host_name,
    owner_of,
    route,
)
from hokusai_probe.probes.mlflow_api import MlflowApiFacts


@dataclass(frozen=True, slots=True)
class Way:
    """A path at a host that must lead to a service, and the hop that its rule is."""

    host: HostName
    path: str
    pattern: str
    service: str
    hop: str


WAYS = (
    Way("auth", "/api/v1/keys/validate", "/api/v1/*", "auth", "rule.auth"),
    Way("registry", GATEWAY_PATH, "/api/mlflow/*", "gateway", "rule.mlflow"),
    Way("api", "/health", "/health", "gateway", "rule.api"),
)


@dataclass(frozen=True, slots=True)
class Routed:
    """Where the rules of both listeners take a way. None: not known, or there is none."""

    balancer: Balancer | None
    https: Rule | None = None
    http: Rule | None = None
    owner: str | None = None

    def listener(self, port: int) -> Listener | None:
        """The load balancer's listener on a port."""
        return self.balancer.listener(port) if self.balancer else None


def routed(
    rules: ListenerRulesFacts | None, ecs: EcsServicesFacts | None, target: Target, way: Way
) -> Routed:
    """Where a way leads by the rules that were read."""
    balancer = rules.of_host(way.host) if rules else None
    if balancer is None:
        return Routed(None)
    name = host_name(target, way.host)
    https, http = (balancer.listener(port) for port in (443, 80))
    rule = route(https, name, way.path) if https else None
    return Routed(
        balancer,
        rule,
        route(http, name, way.path) if http else None,
        owner_of(ecs, rule.action.target_groups) if rule else None,
    )


def ways(hosts: HostsFacts, target: Target) -> tuple[Way, ...]:
    """The ways of a target's hosts; a plain server has no rules."""
    return () if hosts.bare else tuple(w for w in WAYS if w.host in target.hosts.present())


def answer_on(way: Way, hosts: HostsFacts, api: MlflowApiFacts | None) -> Answer | None:
    """What outside eyes saw on a way, or on the one nearest to it."""
    if way.host == "registry":
        return api.search if api else None
    return hosts.health(way.host)


def balancer_answers_404(way: Way, answer: Answer | None) -> Claim:
    """That the load balancer itself answers 404 with a fixed response (INC-17)."""
    holds = None
    if answer is not None:
        mine = answer.status == 404 and responder(answer) in {"load-balancer", "unknown"}
        holds = True if mine and answer.content_type == "text/plain" else _else(way, answer)
    return claim(
        f"the {way.host} host's load balancer answers {way.path} itself"
        + (f": {said(answer)}" if answer else ""),
        holds,
        by=MlflowApiFacts if way.host == "registry" else HostsFacts,
        fact="search.status" if way.host == "registry" else f"hosts.{way.host}.health.status",
        value=answer.status if answer else None,
    )


def _else(way: Way, answer: Answer) -> bool | None:
    """No, if the service behind the rule answered; hidden otherwise."""
    return False if responder(answer) == way.service else None


def describe(way: Way, found: Routed) -> str:
    """The AWS CLI call that shows the rules of a way."""
    listener = found.listener(443)
    arn = listener.arn if listener else f"<port 443 listener of the {way.host} host's load balancer>"
    return f"aws elbv2 describe-rules --listener-arn {arn}"


def create_rule(listener: Listener, priority: str, rule: Rule) -> str:
    """The AWS CLI call that makes the same rule on a listener."""
    conditions = [{"Field": c.field, "Values": list(c.values)} for c in rule.conditions]
    actions = [{"Type": "forward", "TargetGroupArn": rule.action.target_groups[0]}]
    return (
        f"aws elbv2 create-rule --listener-arn {listener.arn} --priority {priority} "
        f"--conditions '{json.dumps(conditions)}' --actions '{json.dumps(actions)}'"
    )
