"""A rule forwards to the wrong service."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._rules import (
    Routed,
    Way,
    another_service_answers,
    belonging,
    describe,
    group_for,
    heard,
    meant,
    place_of,
    routed,
    ways,
)
from hokusai_probe.causes._words import readiness, ready, whose
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.listener_rules import Listener, ListenerRulesFacts, Rule
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts, forsaken_for


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    look_alikes={
        "listener-rule-shadowed": "there a narrower rule leads to the right service, and comes too late",
        "listener-rule-missing": "there the load balancer answers itself, in plain text",
        "gateway-route-missing": "there the rule leads to the gateway, which asks for a key first",
        "gateway-translates-path-wrongly": "there a key is asked for first, and plain REST calls work",
    },
    source="INC-16, INC-07",
)
def listener_rule_wrong_target_group(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """A listener rule sends the path to another service's target group.

    That service answers in its own way: MLflow with an HTML 404 that asks for no key, the gateway with
    401 on whatever path. Adding a rule of the same kind again would only repeat the fault (INC-16).
    """
    for way in ways(hosts, target, rules, api, paths):
        found = routed(rules, ecs, target, way, groups)
        if _stands_in(found, groups, rules, way.service):
            continue
        seen = another_service_answers(way, heard(way, hosts, api, paths), hosts, paths, validation)
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=way.breaks,
            claims=(
                *_symptoms(found, seen),
                _leads_elsewhere(way, found, meant(found, way, ecs, target)),
            ),
            remedy=_remedy(way, found, group_for(way, found, rules, ecs)),
        )


def _stands_in(
    found: Routed, groups: TargetGroupsFacts | None, rules: ListenerRulesFacts | None, service: str
) -> bool:
    """It leads to what took the place of the service's own group: `target-group-detached` names that."""
    group = forsaken_for(groups, rules, service) if groups else None
    return group is not None and found.https is not None and group.arn in found.https.action.target_groups


def _symptoms(found: Routed, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """What was seen from outside. Where several groups take turns, good answers prove nothing."""
    shared = found.https is not None and len(found.https.action.target_groups) > 1
    return tuple(c.model_copy(update={"holds": c.holds or None}) for c in claims) if shared else claims


def _leads_elsewhere(way: Way, found: Routed, shadowed: Rule | None) -> Claim:
    place = place_of(way, found, 443, found.https)
    text = f"a rule sends {way.path} to another service's target group"
    if found.https and found.balancer and found.owner:
        rule = f"rule {found.https.priority} of {found.balancer.name}"
        text = f"{rule} sends {way.path} to {belonging(found.owner)}"
    return claim(
        text,
        None
        if found.owner is None
        else found.owner not in {way.service, way.service_too} and shadowed is None,
        by=ListenerRulesFacts,
        fact=f"{place}.action.target_groups" if place else "",
        value=list(found.https.action.target_groups) if found.https else None,
        telling=True,
        aws_cli=describe(way, found),
    )


def _remedy(way: Way, found: Routed, group: str) -> Remedy | None:
    rule, listener = found.https, found.listener(443)
    if rule is None or listener is None:
        return None
    before = rule.action.target_groups
    change = _change(listener, rule, group)
    return Remedy(
        kind=readiness(change),
        summary=f"Point the rule for {way.path} at {whose(way.service)} target group.",
        before=(describe(way, found),),
        aws_cli=ready(change),
        terraform=f"# in the aws_lb_listener_rule for {way.path}\naction {{\n"
        f'  type             = "forward"\n  target_group_arn = {_hcl(group, way)}\n}}\n',
        rollback=_change(listener, rule, quote(before[0]))
        if len(before) == 1
        else "Give the rule the actions again that the first command showed.",
        also_touches="Every path that this rule matches.",
        verify="hokusai-probe verify listener-rule-wrong-target-group",
    )


def _change(listener: Listener, rule: Rule, group: str) -> str:
    """The AWS CLI call that points a rule elsewhere. AWS: a default rule is changed with its listener."""
    action = f"Type=forward,TargetGroupArn={group}"
    if rule.priority == "default":
        return f"aws elbv2 modify-listener --listener-arn {quote(listener.arn)} --default-actions {action}"
    return f"aws elbv2 modify-rule --rule-arn {quote(rule.arn)} --actions {action}"


def _hcl(group: str, way: Way) -> str:
    return f"aws_lb_target_group.{way.service}.arn" if "$" in group else f'"{group}"'
