"""The service registers with a target group that no load balancer uses."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._symptoms import HOST_OF_SERVICE, service_claim
from hokusai_probe.causes._words import one_line, readiness, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts, Rule
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts, forsaken_for
from hokusai_probe.topology import NAMES, SERVICES


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    entails=("target-group-empty", "auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "target-group-empty": "there the service's own group is forwarded to, and nothing is in it",
        "ecs-service-missing": "there ECS has no such service",
        "listener-rule-wrong-target-group": "there the load balancer forwards to another service's group",
        "listener-rule-missing": "there the load balancer forwards nowhere and answers itself",
        "tasks-crash-at-start": "there the tasks do not stay up; here they do, and are never asked",
    },
    source="INC-13; AWS: Target.NotInUse; The target group does not have an associated load balancer",
)
def target_group_detached(
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    groups: TargetGroupsFacts | None,
    rules: ListenerRulesFacts | None,
) -> Iterator[Case]:
    """The target group of the service belongs to no load balancer.

    The tasks run and are registered, their state is ``unused`` (``Target.NotInUse``), and the load balancer
    forwards to another group, in which nobody is: 503. UpdateService refuses with ``The target group ... does
    not have an associated load balancer``. After a migration, look which of two sets of groups is in use.
    """
    if hosts.bare:
        return
    for service in SERVICES:
        own = next(iter(groups.detached(service)), None) if groups else None
        other = forsaken_for(groups, rules, service) if groups else None
        outside = service_claim(hosts, None, paths, service, (503,))
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}", *(("listeners/rules",) if other else ())),
            claims=(
                *((outside,) if service in HOST_OF_SERVICE else ()),
                _unused(groups, own, other, service),
            ),
            remedy=_remedy(rules, own, other),
        )


def _unused(groups: TargetGroupsFacts | None, own: Group | None, other: Group | None, service: str) -> Claim:
    """Refuted by a group in use; open where no rule forwards to nobody, for then something else is wrong."""
    name = own.name if own else f"the target group of the {NAMES[service]}"
    known = groups is not None and groups.failure is None
    used = bool(groups and groups.of(service))
    sent = (
        f"; what asks for the {NAMES[service]} is sent to {other.name}, which has no target" if other else ""
    )
    return claim(
        f"{name} belongs to no load balancer{sent}",
        False if known and used else (True if own and other else None),
        by=TargetGroupsFacts,
        fact=f"groups[{groups.groups.index(own)}].attached" if groups and own else "",
        value=own.attached if own else None,
        telling=True,
        aws_cli=_describe(own, service),
    )


def _describe(own: Group | None, service: str) -> str:
    arn = word(own.arn if own else None, f"{service.upper()}_GROUP")
    return one_line(f"aws elbv2 describe-target-groups --target-group-arns {arn}")


def _remedy(rules: ListenerRulesFacts | None, own: Group | None, other: Group | None) -> Remedy | None:
    if rules is None or own is None or other is None:
        return None
    moved = list(_forwarding(rules, other.arn))
    commands = tuple(_change(listener, rule, own.arn) for listener, rule in moved)
    return Remedy(
        kind=readiness(*commands),
        summary=f"Have the load balancer forward to {own.name}, with which the service registers.",
        before=(_describe(own, own.service or ""),),
        aws_cli=commands,
        terraform="# in the aws_lb_listener and its aws_lb_listener_rule\naction {\n"
        f'  type             = "forward"\n  target_group_arn = "{own.arn}"\n}}\n',
        rollback="\n".join(_change(listener, rule, other.arn) for listener, rule in moved),
        also_touches=f"Every path that leads to {other.name}. The other way, moving the service to "
        f"{other.name}, is a change of the ECS service's load balancers and a deployment.",
        verify="hokusai-probe verify target-group-detached",
    )


def _forwarding(rules: ListenerRulesFacts, arn: str) -> Iterator[tuple[str, Rule]]:
    """The rules that forward to a group, with their listener's ARN."""
    for balancer in rules.balancers.values():
        for listener in balancer.listeners:
            yield from ((listener.arn, r) for r in listener.rules if arn in r.action.target_groups)


def _change(listener: str, rule: Rule, arn: str) -> str:
    """A default rule is changed with its listener."""
    action = f"Type=forward,TargetGroupArn={quote(arn)}"
    if rule.priority == "default":
        return f"aws elbv2 modify-listener --listener-arn {quote(listener)} --default-actions {action}"
    return f"aws elbv2 modify-rule --rule-arn {quote(rule.arn)} --actions {action}"
