"""A broader rule with a smaller number takes a path from the rule that was made for it."""

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from hokusai_probe.causes._rules import (
    Routed,
    Way,
    another_service_answers,
    belonging,
    describe,
    heard,
    meant,
    order,
    place_of,
    routed,
    shadowed,
    ways,
)
from hokusai_probe.causes._words import ready
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts, Rule
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    look_alikes={
        "listener-rule-wrong-target-group": "there no other rule would lead to the right service",
        "listener-rule-missing": "there the load balancer answers itself, in plain text",
    },
    source="INC-06; AWS: rules are tried in the order of their priority",
)
def listener_rule_shadowed(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """A broader rule has a smaller priority number, so the right rule is never reached.

    The other service answers in its own way, as with a rule that leads to the wrong target group; here the
    right rule is there, and only its number is too large.
    """
    for way in ways(hosts, target, rules, api, paths):
        found = routed(rules, ecs, target, way, groups)
        right = meant(found, way, ecs, target)
        rights = shadowed(found.https, way.host, rules, ecs, groups, target) if right and found.https else ()
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=way.breaks,
            claims=(
                *another_service_answers(way, heard(way, hosts, api, paths), hosts, paths, validation),
                _comes_first(way, found, right),
            ),
            remedy=_remedy(way, found, rights),
        )


def _comes_first(way: Way, found: Routed, right: Rule | None) -> Claim:
    text = f"a broader rule takes {way.path} before the rule that was made for it"
    if right and found.https and found.balancer:
        text = (
            f"rule {found.https.priority} of {found.balancer.name} {_does(found)} {way.path} before rule "
            f"{right.priority}, which was made for it"
        )
    return claim(
        text,
        _shadowed(found, right),
        by=ListenerRulesFacts,
        fact=f"{place}.priority" if (place := place_of(way, found, 443, found.https)) else "",
        value=found.https.priority if found.https else None,
        telling=True,
        aws_cli=describe(way, found),
    )


def _does(found: Routed) -> str:
    """What the rule that comes first does with a path, as words before it."""
    if found.https is not None and found.https.action.type != "forward":
        return f"answers with {found.https.action.type} {found.https.action.status}".rstrip() + " on"
    return f"sends to {belonging(found.owner)}"


def _shadowed(found: Routed, right: Rule | None) -> bool | None:
    """Not known where it is not known whose the target group is that a path leads to."""
    known = found.owner is not None or (found.https is not None and found.https.action.type != "forward")
    return right is not None if known else None


def _remedy(way: Way, found: Routed, rights: Sequence[Rule]) -> Remedy | None:
    listener, taking = found.listener(443), found.https
    if not rights or taking is None or listener is None:
        return None
    new = order(listener, taking, rights)
    if not new:
        return None
    return Remedy(
        kind="automatic",
        summary=_summary(taking, rights, new),
        before=(describe(way, found),),
        aws_cli=ready(_move(new)),
        terraform="".join(
            f"# in the aws_lb_listener_rule that is rule {rule.priority} now\npriority = {number}\n"
            for rule, number in new
        ),
        rollback=_move((rule, rule.priority) for rule, _ in new),
        also_touches="Every path that a moved rule matches.",
        verify="hokusai-probe verify listener-rule-shadowed",
    )


def _summary(taking: Rule, rights: Sequence[Rule], new: Sequence[tuple[Rule, str]]) -> str:
    moved = "; ".join(f"rule {rule.priority} gets the number {number}" for rule, number in new)
    after = ", ".join(rule.priority for rule in rights)
    why = (
        f"before rule {taking.priority}"
        if new[0][0] != taking
        else f"behind what it takes paths from: {after}"
    )
    return f"Have the rules tried in another order: {moved}, {why}."


def _move(new: Iterable[tuple[Rule, str]]) -> str:
    moved = " ".join(f"RuleArn={quote(rule.arn)},Priority={number}" for rule, number in new)
    return f"aws elbv2 set-rule-priorities --rule-priorities {moved}"
