"""No rule takes a required path."""

from collections.abc import Iterator

from hokusai_probe.causes._rules import Routed, Way, answer_on, balancer_answers_404, describe, routed, ways
from hokusai_probe.causes.listener_rules_only_on_http import only_on_http
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts


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
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """No rule takes the path, so the listener's default answers it with a fixed response.

    The load balancer's own plain-text 404, on this path only or on all that have no rule.
    """
    for way in ways(hosts, target):
        found = routed(rules, ecs, target, way)
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=(way.hop,),
            claims=(
                balancer_answers_404(way, answer_on(way, hosts, api)),
                claim(
                    f"no rule on port 443 takes {way.path}, and none on port 80",
                    _missing(found),
                    by=ListenerRulesFacts,
                    fact=f"balancers.{way.host}.listeners[443].rules",
                    value=[*_priorities(found)],
                    telling=True,
                    aws_cli=describe(way, found),
                ),
            ),
            remedy=_remedy(way, found, ecs),
        )


def _priorities(found: Routed) -> list[str]:
    listener = found.listener(443)
    return [r.priority for r in listener.rules] if listener else []


def _missing(found: Routed) -> bool | None:
    if found.https is None:
        return None
    on_http = only_on_http(found)
    return None if on_http is None else found.https.action.type != "forward" and not on_http


def _remedy(way: Way, found: Routed, ecs: EcsServicesFacts | None) -> Remedy | None:
    listener = found.listener(443)
    right = ecs.services[way.service].target_groups if ecs and way.service in ecs.services else ()
    if listener is None or not right:
        return None
    taken = {r.priority for r in listener.rules}
    priority = next(n for n in range(110, 50_000, 10) if str(n) not in taken)
    create = (
        f"aws elbv2 create-rule --listener-arn {listener.arn} --priority {priority} "
        f"--conditions Field=path-pattern,Values='{way.pattern}' "
        f"--actions Type=forward,TargetGroupArn={right[0]}"
    )
    return Remedy(
        kind="automatic",
        summary=f"Add a rule on port 443 that sends {way.pattern} to the {way.service}'s target group.",
        before=(describe(way, found),),
        aws_cli=(create,),
        rollback="aws elbv2 delete-rule --rule-arn <the ARN that create-rule printed>",
        also_touches="Nothing: the default answered these paths.",
        verify="hokusai-probe verify listener-rule-missing",
    )
