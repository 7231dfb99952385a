"""No rule takes a required path."""

from collections.abc import Iterator

from hokusai_probe.causes._rules import (
    Routed,
    Way,
    balancer_answers_404,
    create_rule,
    delete_rule,
    describe,
    free_priority,
    group_for,
    heard,
    meant,
    place_of,
    routed,
    served_on_80,
    ways,
)
from hokusai_probe.causes._words import readiness, ready, whose
from hokusai_probe.causes.listener_rules_only_on_http import only_on_http
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import Condition, ListenerRulesFacts, Rule
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.plain_http import PlainHttpFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    look_alikes={
        "listener-rules-only-on-http": "there the rule exists, on port 80",
        "listener-rule-wrong-target-group": "there the rule exists and another service answers",
    },
    source="INC-17; AWS: Listener rules for your Application Load Balancer",
)
def listener_rule_missing(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    plain: PlainHttpFacts | None,
    target: Target,
) -> Iterator[Case]:
    """No rule takes the path, so the listener's default answers it with a fixed response.

    The load balancer's own plain-text 404, on this path only or on all that have no rule.
    """
    for way in ways(hosts, target, rules, api, paths):
        found = routed(rules, ecs, target, way, groups)
        refused = balancer_answers_404(way, heard(way, hosts, api, paths))
        place = place_of(way, found, 443, found.https)
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=way.breaks,
            claims=(
                refused,
                claim(
                    f"no rule on port 443 takes {way.path}, and none on port 80",
                    _missing(found, meant(found, way, ecs, target)),
                    by=ListenerRulesFacts,
                    fact=f"{place}.action.type" if place else "",
                    value=found.https.action.type if found.https else None,
                    telling=True,
                    aws_cli=describe(way, found),
                ),
                *served_on_80(way, found, plain, refused, wanted=False),
            ),
            remedy=_remedy(way, found, group_for(way, found, rules, ecs)),
        )


def _missing(found: Routed, shadowed: Rule | None) -> bool | None:
    """Not where a rule is there and comes too late: then another one only has too small a number."""
    if found.https is None:
        return None
    if shadowed is not None:
        return False
    on_http = only_on_http(found)
    return None if on_http is None else found.https.action.type != "forward" and not on_http


def _remedy(way: Way, found: Routed, group: str) -> Remedy | None:
    """The new rule comes before the one that answers now, if that is not the default."""
    listener = found.listener(443)
    taken = [r.priority for r in listener.rules] if listener else []
    priority = free_priority(taken, "110", before=found.https.priority if found.https else "")
    if listener is None or priority is None:
        return None
    condition = Condition(field="path-pattern", values=(way.pattern,))
    create = create_rule(listener, priority, [condition], group)
    return Remedy(
        kind=readiness(create),
        summary=f"Add a rule on port 443 that sends {way.pattern} to {whose(way.service)} target group.",
        before=(describe(way, found),),
        aws_cli=ready(create),
        rollback=delete_rule(listener, priority),
        also_touches="Nothing: the load balancer answered these paths itself.",
        verify="hokusai-probe verify listener-rule-missing",
    )
