"""The path rules sit on port 80."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._rules import (
    Routed,
    Way,
    balancer_answers_404,
    can_copy,
    create_rule,
    delete_rule,
    describe,
    free_priority,
    heard,
    place_of,
    routed,
    served_on_80,
    ways,
)
from hokusai_probe.causes._words import readiness
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import Listener, ListenerRulesFacts, Rule
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.plain_http import PlainHttpFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    look_alikes={
        "listener-rule-missing": "there port 80 has no rule for the path either",
        "gateway-route-missing": "there the 404 is JSON, from the gateway",
        "gateway-down": "there the answer is 502, 503 or 504",
    },
    source="INC-17",
)
def listener_rules_only_on_http(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    plain: PlainHttpFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The path rules sit on port 80, which redirects; port 443 has only its fixed 404.

    Every path at the host answers the load balancer's own plain-text 404, and the target groups see no
    request at all. Before the redirect could be looked at, the rules on port 80 were right.
    """
    for way in ways(hosts, target, rules, api, paths):
        found = routed(rules, ecs, target, way)
        refused = balancer_answers_404(way, heard(way, hosts, api, paths))
        place = place_of(way, found, 80, found.http)
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=(f"rule.{way.host}", *way.breaks),
            claims=(
                refused,
                claim(
                    f"port 443 has no rule for {way.path} and port 80 has one",
                    only_on_http(found),
                    by=ListenerRulesFacts,
                    fact=f"{place}.arn" if place else "",
                    value=found.http.arn if found.http else None,
                    telling=True,
                    aws_cli=describe(way, found),
                ),
                *served_on_80(way, found, plain, refused, wanted=True),
            ),
            remedy=_remedy(way, found),
        )


def only_on_http(found: Routed) -> bool | None:
    """Whether a rule of port 80 forwards what port 443 leaves to its default; None: not known."""
    if found.https is None:
        return None
    if found.https.action.type == "forward" or found.listener(80) is None:
        return False
    if found.http is None:
        return None
    return found.http.action.type == "forward" and found.http.priority != "default"


def _remedy(way: Way, found: Routed) -> Remedy | None:
    https, http = found.listener(443), found.listener(80)
    lost = _lost(https, http) if https and http else []
    if https is None or not lost:
        return None
    priorities = _priorities([r.priority for r in https.rules], lost)
    copies = [(r, p) for r, p in zip(lost, priorities, strict=True) if p and can_copy(r)]
    commands = (
        *(create_rule(https, p, r.conditions, quote(r.action.target_groups[0])) for r, p in copies),
        *(_by_hand(r) for r, p in zip(lost, priorities, strict=True) if not (p and can_copy(r))),
    )
    return Remedy(
        kind=readiness(*commands),
        summary="Make the rules of port 80 on port 443.",
        before=(describe(way, found),),
        aws_cli=commands,
        terraform="# in each rule of this host\nlistener_arn = aws_lb_listener.main_https.arn\n",
        rollback="\n".join(delete_rule(https, p) for _, p in copies) or "Delete the new rules again.",
        also_touches="Nothing: port 443 answered these paths with a fixed 404.",
        verify="hokusai-probe verify listener-rules-only-on-http",
    )


def _lost(https: Listener, http: Listener) -> list[Rule]:
    """The forwarding rules of port 80 that port 443 does not have, whatever their priority there."""
    there = [(r.conditions, r.action) for r in https.rules]
    return [
        r
        for r in http.rules
        if r.action.type == "forward" and r.priority != "default" and (r.conditions, r.action) not in there
    ]


def _priorities(taken: list[str], lost: list[Rule]) -> list[str | None]:
    """A free priority for each rule: its own, or the next after it and after the one before."""
    found: list[str | None] = []
    for rule in lost:
        last = next((p for p in reversed(found) if p), "0")
        wanted = str(max(int(rule.priority), int(last) + 1))
        found.append(free_priority([*taken, *(p for p in found if p)], wanted))
    return found


def _by_hand(rule: Rule) -> str:
    fields = ", ".join(c.field for c in rule.conditions)
    return f"# by hand: rule {rule.priority} of port 80 ({fields}), which says more than was read"
