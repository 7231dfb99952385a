"""A rule forwards to the wrong service."""

from collections.abc import Iterator

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._rules import Routed, Way, answer_on, describe, routed, ways
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

SERVICES_THAT_ANSWER = ("auth", "gateway", "mlflow")


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    look_alikes={
        "listener-rule-missing": "there the load balancer answers itself, in plain text",
        "gateway-route-missing": "there the 404 is the gateway's JSON and a key is asked for first",
        "gateway-translates-path-wrongly": "there a key is asked for first, and plain REST calls work",
    },
    source="INC-16, INC-07",
)
def listener_rule_wrong_target_group(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    validation: KeyValidationFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """A listener rule sends the path to another service's target group.

    That service answers in its own way: MLflow with an HTML 404 that asks for no key, the gateway with
    401 on whatever path. Adding a rule of the same kind again would only repeat the fault (INC-16).
    """
    for way in ways(hosts, target):
        found = routed(rules, ecs, target, way)
        wrong = None if found.owner is None else found.owner != way.service
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=(way.hop,),
            claims=(
                _gateway_at_auth(validation)
                if way.host == "auth"
                else _another_answers(way, answer_on(way, hosts, api)),
                claim(
                    f"rule {found.https.priority} of {found.balancer.name} sends {way.path} to the "
                    f"{found.owner}'s target group"
                    if found.https and found.balancer
                    else f"a rule sends {way.path} to another service's target group",
                    wrong,
                    by=ListenerRulesFacts,
                    fact=f"balancers.{way.host}.listeners[443].rules",
                    value=found.https.arn if found.https else None,
                    telling=True,
                    aws_cli=describe(way, found),
                ),
            ),
            remedy=_remedy(way, found, ecs),
        )


def _gateway_at_auth(validation: KeyValidationFacts | None) -> Claim:
    """The gateway asks for a key on any path, real or not; the auth service has no such path."""
    answer = validation.unknown_path if validation else None
    holds = None
    if answer is not None and answer.status in {401, 404}:
        holds = answer.status == 401 and detail(answer) == "API key required"
    return claim(
        "the gateway answers under the auth host's /api" + (f": {said(answer)}" if answer else ""),
        holds,
        by=KeyValidationFacts,
        fact="unknown_path.status",
        value=answer.status if answer else None,
    )


def _another_answers(way: Way, answer: Answer | None) -> Claim:
    holds = None
    if answer is not None:
        who = responder(answer)
        misplaced = who in SERVICES_THAT_ANSWER and who != way.service and answer.status == 404
        holds = True if misplaced else (False if answer.status == 200 else None)
    return claim(
        f"another service answers on {way.path}" + (f": {said(answer)}" if answer else ""),
        holds,
        by=MlflowApiFacts if way.host == "registry" else HostsFacts,
        fact="search.status" if way.host == "registry" else f"hosts.{way.host}.health.status",
        value=answer.status if answer else None,
    )


def _remedy(way: Way, found: Routed, ecs: EcsServicesFacts | None) -> Remedy | None:
    right = ecs.services[way.service].target_groups if ecs and way.service in ecs.services else ()
    if found.https is None or not right:
        return None
    groups = found.https.action.target_groups
    modify = f"aws elbv2 modify-rule --rule-arn {found.https.arn} --actions Type=forward,TargetGroupArn="
    return Remedy(
        kind="automatic",
        summary=f"Point the rule for {way.pattern} at the {way.service}'s target group.",
        before=(f"aws elbv2 describe-rules --rule-arns {found.https.arn}",),
        aws_cli=(f"{modify}{right[0]}",),
        terraform=f"# in the aws_lb_listener_rule for {way.pattern}\naction {{\n"
        f'  type             = "forward"\n  target_group_arn = "{right[0]}"\n}}\n',
        rollback=f"{modify}{groups[0]}" if groups else "",
        also_touches="Every path that this rule matches.",
        verify="hokusai-probe verify listener-rule-wrong-target-group",
    )
