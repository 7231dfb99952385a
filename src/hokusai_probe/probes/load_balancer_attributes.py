"""How long each load balancer waits for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hokusai_probe.aws import AwsAnswer, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable, Target
from hokusai_probe.probes.listener_rules import ListenerRulesFacts

IDLE = "idle_timeout.timeout_seconds"
CONNECT_S = 10.0
"""How long every Application Load Balancer tries to connect; not a setting (AWS: HTTP 504)."""


class LoadBalancerAttributesFacts(Facts):
    """The idle timeout of each load balancer by the platform's name for it, in seconds as AWS has it.

    ``failures``: why one could not be read.
    """

    idle_s: Mapping[str, float] = {}
    failures: Mapping[str, AwsFailure] = {}


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=3)
async def load_balancer_attributes(look: Look, rules: ListenerRulesFacts) -> LoadBalancerAttributesFacts:
    """The load balancers' idle timeouts: elasticloadbalancing:DescribeLoadBalancerAttributes."""
    arns = {key: one.arn for key, one in rules.balancers.items() if one.arn}
    answers = await asyncio.gather(
        *(
            look.cloud().call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)
            for arn in arns.values()
        )
    )
    found = dict(zip(arns, answers, strict=True))
    return LoadBalancerAttributesFacts(
        idle_s={key: s for key, a in found.items() if (s := idle_seconds(a)) is not None},
        failures={key: a.failure for key, a in found.items() if a.failure is not None},
    )


def idle_seconds(answer: AwsAnswer) -> float | None:
    """The idle timeout in an answer, None where it does not say."""
    listed = answer.data.get("Attributes", ())
    return next((float(a["Value"]) for a in listed if a.get("Key") == IDLE), None)


def longest_s(target: Target, balancer: str) -> float:
    """How long a request behind a load balancer may take by the platform's own limits, in AWS's seconds.

    The target's limits are as they pass there. Where its load balancers do not connect for the ten seconds
    that every one does, its clocks run at another pace, and all of its limits with them.
    """
    limits = target.timeouts
    own = limits.gateway_auth_s if balancer == "auth" else limits.gateway_proxy_s
    return own * CONNECT_S / limits.load_balancer_connect_s


@check(hop="rule.mlflow/idle-timeout")
def registry_load_balancer_waits_long_enough(facts: LoadBalancerAttributesFacts, target: Target) -> Sentence:
    """The registry's load balancer waits at least as long as the gateway waits for MLflow."""
    return _waits(facts, target, "registry")


@check(hop="validation/idle-timeout")
def auth_load_balancer_waits_long_enough(facts: LoadBalancerAttributesFacts, target: Target) -> Sentence:
    """The auth host's load balancer waits at least as long as the gateway waits for the auth service."""
    return _waits(facts, target, "auth")


def _waits(facts: LoadBalancerAttributesFacts, target: Target, balancer: str) -> Sentence:
    failure, idle_s = facts.failures.get(balancer), facts.idle_s.get(balancer)
    if failure is not None:
        return CannotTell(reason=f"elasticloadbalancing:DescribeLoadBalancerAttributes: {failure.kind}")
    if idle_s is None:
        return NotApplicable(reason=f"the target names no {balancer} load balancer that could be read")
    longest = longest_s(target, balancer)
    if idle_s >= longest:
        return None
    return f"it gives up after {idle_s:g} s; what is behind it may take {longest:g} s"
