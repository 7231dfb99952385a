"""The alarms that somebody set on the platform, and which of them are raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hokusai_probe.aws import AwsFailure, Said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import AwsTarget, CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts

_ABOUT_TARGETS = frozenset({"HealthyHostCount", "UnHealthyHostCount"})


class Alarm(Frozen):
    """One metric alarm. ``state``: OK, ALARM or INSUFFICIENT_DATA, since ``since`` (UTC)."""

    name: str
    state: str
    metric: str
    dimensions: Mapping[str, str] = {}
    reason: str = ""
    since: Utc | None = None


class AlarmsFacts(Facts):
    """The alarms on parts of the target; those of others in the account are left out."""

    alarms: tuple[Alarm, ...] = ()
    failure: AwsFailure | None = None


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=1)
async def alarms(look: Look, _identity: AwsIdentityFacts, groups: TargetGroupsFacts) -> AlarmsFacts:
    """Alarms on the platform's parts: cloudwatch:DescribeAlarms."""
    aws = look.cloud()
    answer = await aws.pages("cloudwatch", "describe_alarms", "MetricAlarms")
    if answer.failure is not None:
        return AlarmsFacts(failure=answer.failure)
    assert look.target.aws is not None
    ours = names_of(look.target.aws, groups)
    found = (alarm(item, aws.said) for item in answer.data["MetricAlarms"])
    return AlarmsFacts(alarms=tuple(a for a in found if is_about(a, ours)))


def names_of(target: AwsTarget, groups: TargetGroupsFacts) -> frozenset[str]:
    """What parts of the target are called in dimensions of metrics."""
    named = (target.cluster, target.database, target.cache, target.bucket)
    registered = (g.name for g in groups.groups if g.service)
    listed = (*named, *target.services.values(), *target.load_balancers.values(), *registered)
    return frozenset(name for name in listed if name)


def is_about(one: Alarm, names: frozenset[str]) -> bool:
    """Whether a dimension names one of these, alone or as in ``app/NAME/ID``."""
    return any(part in names for value in one.dimensions.values() for part in value.split("/"))


def alarm(item: Mapping[str, Any], said: Said) -> Alarm:
    """One alarm as DescribeAlarms has it."""
    return Alarm(
        name=str(item["AlarmName"]),
        state=str(item.get("StateValue", "")),
        metric=str(item.get("MetricName", "")),
        dimensions={str(d["Name"]): str(d["Value"]) for d in item.get("Dimensions", ())},
        reason=said(str(item.get("StateReason", "")), 300),
        since=item.get("StateUpdatedTimestamp"),
    )


@check(hop="traffic")
def no_alarm_is_raised(facts: AlarmsFacts, groups: TargetGroupsFacts) -> Sentence:
    """No alarm on a part of the platform is in state ALARM.

    Alarms come minutes late, and go minutes late: one about targets that are healthy now is not counted.
    """
    if facts.failure is not None:
        return CannotTell(reason=f"cloudwatch:DescribeAlarms: {facts.failure.kind}")
    if not facts.alarms:
        return NotApplicable(reason="no alarm names a part of the platform")
    raised = [a for a in facts.alarms if a.state == "ALARM"]
    standing = [a for a in raised if not _is_over(a, groups)]
    if standing:
        return "; ".join(f"{a.name} is raised: {a.metric}: {a.reason}" for a in standing)
    if raised:
        late = ", ".join(a.name for a in raised)
        return CannotTell(reason=f"{late}: raised, and its targets are healthy now")
    return None


def _is_over(one: Alarm, groups: TargetGroupsFacts) -> bool:
    """About a target group whose targets are all healthy."""
    named = one.dimensions.get("TargetGroup", "").split("/")
    group = next((g for g in groups.groups if g.name in named), None)
    if one.metric not in _ABOUT_TARGETS or group is None or not group.targets:
        return False
    return all(t.state in {"healthy", "draining"} for t in group.targets)
