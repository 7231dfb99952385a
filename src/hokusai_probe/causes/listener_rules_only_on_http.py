"""The path rules sit on port 80."""

from collections.abc import Iterator

from hokusai_probe.causes._rules import (
    Routed,
    Way,
    answer_on,
    balancer_answers_404,
    create_rule,
    describe,
    routed,
    ways,
)
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
        "listener-rule-missing": "there port 80 has no rule for the path either",
        "gateway-route-missing": "there the 404 is JSON, from the gateway",
        "gateway-down": "there the answer is 502, 503 or 504",
    },
    source="INC-17",
)
def listener_rules_only_on_http(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The path rules sit on port 80, which redirects; port 443 has only its fixed 404.

    Every path at the host answers the load balancer's own plain-text 404, and the target groups see no
    request at all. Before the redirect could be looked at, the rules on port 80 were right.
    """
    for way in ways(hosts, target):
        found = routed(rules, ecs, target, way)
        yield Case(
            subject=f"{way.host} {way.pattern}",
            breaks=(f"rule.{way.host}", way.hop),
            claims=(
                balancer_answers_404(way, answer_on(way, hosts, api)),
                claim(
                    f"port 443 has no rule for {way.path} and port 80 has one",
                    only_on_http(found),
                    by=ListenerRulesFacts,
                    fact=f"balancers.{way.host}.listeners[80].rules",
                    value=found.http.arn if found.http else None,
                    telling=True,
                    aws_cli=describe(way, found),
                ),
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
    if https is None or http is None:
        return None
    taken = {r.priority for r in https.rules}
    lost = [r for r in http.rules if r.action.type == "forward" and r.priority not in taken | {"default"}]
    return Remedy(
        kind="automatic",
        summary="Make the rules of port 80 on port 443.",
        before=(describe(way, found),),
        aws_cli=tuple(create_rule(https, r.priority, r) for r in lost),
        terraform="# in each rule of this host\nlistener_arn = aws_lb_listener.main_https.arn\n",
        rollback="aws elbv2 delete-rule --rule-arn <the ARN that create-rule printed>",
        also_touches="Nothing: port 443 answered these paths with a fixed 404.",
        verify="hokusai-probe verify listener-rules-only-on-http",
    )
