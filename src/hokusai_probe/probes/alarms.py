"""The alarms that somebody set on the platform, and which of them are raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hokusai_probe.aws import AwsFailure, Said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import AwsTarget, CannotTell, Facts, Frozen, NotApplicable, Target, Utc, Wrong
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts

_ABOUT_TARGETS = frozenset({"HealthyHostCount", "UnHealthyHostCount"})
_OF_BALANCERS = {"auth": "public.auth/alarms", "registry": "traffic.registry", "main": "public.api/alarms"}
# AWS: target tracking manages alarms of its own, and the low one is in ALARM whenever little is to do
_TARGET_TRACKING = "TargetTracking-"
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")


class Alarm(Frozen):
    """One metric alarm. ``state``: OK, ALARM or INSUFFICIENT_DATA, since ``since`` (UTC).

    ``dimensions``: of all its metrics; several values of one name with ``/`` between them. ``scales``: it
    does nothing but tell a scaling policy, which is no sign of trouble.
    """

    name: str
    state: str
    metric: str
    dimensions: Mapping[str, str] = {}
    reason: str = ""
    since: Utc | None = None
    scales: bool = False


class AlarmsFacts(Facts):
    """The alarms on parts of the target; those of others in the account are left out.

    ``unplaced``: names of raised alarms on what has no dimensions, such as a search over metrics.
    ``truncated``: the account has more alarms than were read.
    """

    alarms: tuple[Alarm, ...] = ()
    unplaced: tuple[str, ...] = ()
    truncated: bool = False
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
    found = [alarm(item, aws.said) for item in answer.data["MetricAlarms"]]
    return AlarmsFacts(
        alarms=tuple(a for a in found if is_about(a, ours)),
        unplaced=tuple(a.name for a in found if a.state == "ALARM" and not a.dimensions and not a.scales),
        truncated=answer.truncated,
    )


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
    """One alarm as DescribeAlarms has it: on one metric, or on an expression over several."""
    metrics = list(_metrics(item))
    dimensions: dict[str, str] = {}
    for one in (d for metric in metrics for d in metric.get("Dimensions", ())):
        name, value = str(one["Name"]), str(one["Value"])
        before = dimensions.get(name)
        dimensions[name] = value if before in {None, value} else f"{before}/{value}"
    return Alarm(
        name=str(item["AlarmName"]),
        state=str(item.get("StateValue", "")),
        metric=", ".join(dict.fromkeys(str(m["MetricName"]) for m in metrics if m.get("MetricName"))),
        dimensions=dimensions,
        reason=said(str(item.get("StateReason", "")), 300),
        since=item.get("StateUpdatedTimestamp"),
        scales=_only_scales(item),
    )


def _metrics(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield item
    yield from (query.get("MetricStat", {}).get("Metric", {}) for query in item.get("Metrics", ()))


def _only_scales(item: Mapping[str, Any]) -> bool:
    actions = [str(action) for kind in _ACTIONS for action in item.get(kind, ())]
    scaling = bool(actions) and all(":autoscaling:" in action for action in actions)
    return scaling or str(item["AlarmName"]).startswith(_TARGET_TRACKING)


@check(hop="traffic")
def no_alarm_is_raised(facts: AlarmsFacts, groups: TargetGroupsFacts, target: Target) -> Sentence:
    """No alarm on a part of the platform is in state ALARM.

    Alarms come minutes late, and go minutes late: one about targets that are healthy now is not counted.
    What only scales a service is no alarm for people, and is left out.
    """
    if facts.failure is not None:
        return CannotTell(reason=f"cloudwatch:DescribeAlarms: {facts.failure.kind}")
    watching = [a for a in facts.alarms if not a.scales]
    raised = [a for a in watching if a.state == "ALARM"]
    standing = [a for a in raised if not _is_over(a, groups)]
    if standing:
        hops = {hop_of(a, groups, target) for a in standing}
        return Wrong(
            reason="; ".join(f"{a.name} is raised: {a.metric}: {a.reason}" for a in standing),
            hop=hops.pop() if len(hops) == 1 else None,
        )
    if raised:
        late = ", ".join(a.name for a in raised)
        return CannotTell(reason=f"{late}: raised, and its targets are healthy now")
    return _none_raised(facts, watching)


def _none_raised(facts: AlarmsFacts, watching: list[Alarm]) -> Sentence:
    """No alarm that is known to be ours is raised: what that is worth."""
    if facts.unplaced:
        names = ", ".join(facts.unplaced[:3])
        return CannotTell(reason=f"{names}: raised, and without a dimension that says what it is about")
    if facts.truncated:
        return CannotTell(reason="cloudwatch:DescribeAlarms has more than was read; none of that is raised")
    if not watching:
        return NotApplicable(reason="no alarm names a part of the platform")
    return None


def hop_of(one: Alarm, groups: TargetGroupsFacts, target: Target) -> str | None:
    """What an alarm is about, as the hop that it finds broken; None where it may be anything.

    Errors and slow answers of the gateway may come from whatever it asks: they stay with the check's own hop.
    """
    named = one.dimensions
    group = next((g for g in groups.groups if g.name in named.get("TargetGroup", "").split("/")), None)
    if group is not None and group.service:
        unanswered = one.metric in _ABOUT_TARGETS or group.service != "gateway"
        return f"target-group.{group.service}/alarms" if unanswered else None
    found = (_hop_of_dimension(key, value, target.aws) for key, value in named.items() if target.aws)
    return next((hop for hop in found if hop), None)


def _hop_of_dimension(key: str, value: str, aws: AwsTarget) -> str | None:
    """A service and its load balancer may have one name: what is meant, the dimension's name tells."""
    parts: Mapping[str, Mapping[str | None, str]] = {
        "ServiceName": {name: f"{service}/alarms" for service, name in aws.services.items()},
        "LoadBalancer": {n: _OF_BALANCERS[k] for k, n in aws.load_balancers.items() if k in _OF_BALANCERS},
        "DBInstanceIdentifier": {aws.database: "database/alarms"},
        "ReplicationGroupId": {aws.cache: "cache/alarms"},
        "CacheClusterId": {aws.cache: "cache/alarms"},
        "BucketName": {aws.bucket: "storage/alarms"},
    }
    return next((hop for name, hop in parts.get(key, {}).items() if name in value.split("/")), None)


def _is_over(one: Alarm, groups: TargetGroupsFacts) -> bool:
    """About a target group whose targets are all healthy."""
    named = one.dimensions.get("TargetGroup", "").split("/")
    group = next((g for g in groups.groups if g.name in named), None)
    if one.metric not in _ABOUT_TARGETS or group is None or not group.targets:
        return False
    return all(t.state in {"healthy", "draining"} for t in group.targets)
