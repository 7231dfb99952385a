"""Waiting for a deployment to be through before anything is judged: ``run --settle``.

Reads ECS and the target groups, nothing else, and ends when there is nothing left to wait for, or the time
is up. A rollout that has failed, a service that is not there, and AWS's refusal are no reasons to wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hokusai_probe.aws import AwsDoor
from hokusai_probe.model import AwsTarget

EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Settled:
    """How waiting ended.

    ``open``: what was still under way, empty when all is settled; ``failure``: why AWS could not be asked.
    """

    seconds: float
    waited_for: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    failure: str = ""

    def __str__(self) -> str:
        """One sentence for whoever waits."""
        if self.failure:
            return f"not waited: {self.failure}"
        if self.open:
            return f"not settled after {self.seconds:.0f} s, judged all the same: {'; '.join(self.open)}"
        if not self.waited_for:
            return "nothing to wait for: no rollout is under way"
        return f"settled after {self.seconds:.0f} s; waited for {'; '.join(self.waited_for)}"


async def settle(
    aws: AwsDoor,
    target: AwsTarget,
    seconds: float,
    stop: asyncio.Event,
    *,
    every_s: float = EVERY_S,
    note: Callable[[str], None] = lambda _: None,
) -> Settled:
    """Wait until no rollout is under way and no target is new, ``seconds`` at most or until ``stop``.

    ``note`` is told, once each, what is waited for. Never raises for what AWS does.
    """
    began, waited = time.monotonic(), dict[str, None]()
    while True:
        under_way = await _under_way(aws, target)
        spent = time.monotonic() - began
        if isinstance(under_way, str):
            return Settled(spent, tuple(waited), failure=under_way)
        if not under_way or spent >= seconds or stop.is_set():
            return Settled(spent, tuple(waited), under_way)
        for what in under_way:
            if what not in waited:
                note(f"waiting for {what}")
            waited[what] = None
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(every_s, max(seconds - spent, 0.01)))


async def _under_way(aws: AwsDoor, target: AwsTarget) -> tuple[str, ...] | str:
    """What is still under way; a sentence where AWS could not be asked."""
    if not target.services:
        return "the target names no ECS services"
    answer = await aws.call(
        "ecs",
        "describe_services",
        cluster=target.cluster or "default",
        services=list(target.services.values()),
    )
    if answer.failure is not None:
        return f"ecs:DescribeServices: {answer.failure.kind} ({answer.failure.detail})"
    services = answer.data["services"]
    groups = tuple(dict.fromkeys(arn for service in services for arn in _groups(service)))
    health = await asyncio.gather(
        *(aws.call("elbv2", "describe_target_health", TargetGroupArn=arn) for arn in groups)
    )
    targets = [h.data.get("TargetHealthDescriptions", ()) for h in health]
    return unsettled(services, dict(zip(groups, targets, strict=True)))


def _groups(service: Mapping[str, Any]) -> Iterable[str]:
    return (str(b["targetGroupArn"]) for b in service.get("loadBalancers", ()) if "targetGroupArn" in b)


def unsettled(
    services: Iterable[Mapping[str, Any]], targets: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[str, ...]:
    """What is under way, by DescribeServices and DescribeTargetHealth, as phrases. Pure.

    A target that drains gets no new requests and one that is unhealthy stays so: neither is waited for.
    """
    found = [text for service in services if (text := _rollout(service))]
    new = {
        arn: sum(1 for t in group if t.get("TargetHealth", {}).get("State") == "initial")
        for arn, group in targets.items()
    }
    found += [f"{_name(arn)}: first health checks of {count} targets" for arn, count in new.items() if count]
    return tuple(found)


def _rollout(service: Mapping[str, Any]) -> str:
    """What of a service is under way. ECS gives up by itself: FAILED is an end."""
    deployments = service.get("deployments", ())
    states = {str(d.get("rolloutState", "COMPLETED")) for d in deployments}
    primary: Mapping[str, Any] = next((d for d in deployments if d.get("status") == "PRIMARY"), {})
    if service.get("status") == "INACTIVE" or primary.get("rolloutState") == "FAILED":
        return ""
    if "IN_PROGRESS" in states or int(service.get("pendingCount") or 0):
        return f"{service.get('serviceName')}: rollout of {_name(str(primary.get('taskDefinition', '')))}"
    return ""


def _name(arn: str) -> str:
    """The part of an ARN that people know."""
    return arn.split(":", 5)[-1].removeprefix("targetgroup/").split("/")[0 if "targetgroup" in arn else -1]
