"""What the load balancers count, and the statistics of it.

Sources: "CloudWatch metrics for your Application Load Balancer" (names, dimensions, what counts as the
target's and what as the load balancer's own, reported only when there is something). Response times are what
a clock at the load balancer measures, in sandbox seconds. The dimension AvailabilityZone is not there, for a
load balancer of the sandbox has one node.
"""

import math
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from hokusai_probe.sandbox.clock import PlatformClock

NAMESPACE = "AWS/ApplicationELB"

Dimensions = frozenset[tuple[str, str]]

_MINUTE_S = 60
_MOST_VALUES = 100_000
_OWN_CODES = (500, 502, 503, 504)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that a load balancer answered.

    Attributes:
        at: When.
        load_balancer: Its dimension: ``app/NAME/ID``.
        target_group: The group's dimension, ``targetgroup/NAME/ID``; empty where no target was chosen.
        status: The HTTP status that the client got.
        by_target: Whether a target gave the answer.
        seconds: From the request's leaving the load balancer to the head of the target's answer.
        unreachable: Whether the connection to the target was not established.
        action: Which action of the listener answered: forward, redirect, fixed-response.

    """

    at: datetime
    load_balancer: str
    target_group: str
    status: int
    by_target: bool
    seconds: float
    unreachable: bool = False
    action: str = "forward"


@dataclass(frozen=True, slots=True)
class HostCount:
    """How many targets of a group were healthy at one moment."""

    at: datetime
    load_balancer: str
    target_group: str
    healthy: int
    unhealthy: int

    def says_the_same(self, other: "HostCount") -> bool:
        """Whether another look in the same minute saw the same."""
        mine, theirs = (one.at.replace(second=0, microsecond=0) for one in (self, other))
        return (mine, self.healthy, self.unhealthy) == (theirs, other.healthy, other.unhealthy)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of one metric."""

    at: datetime
    metric: str
    value: float
    dimensions: tuple[Dimensions, ...]
    unit: str = "Count"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which metric is asked for."""

    metric: str
    dimensions: Dimensions


class Recorder:
    """What the load balancers did, for as long as the sandbox lives. Safe to use from several threads.

    Args:
        clock: The platform's.

    """

    def __init__(self, clock: PlatformClock | None = None) -> None:
        self._clock = clock or PlatformClock()
        self._lock = threading.Lock()
        self._values: dict[str, deque[Value]] = {}
        self._hosts: dict[tuple[str, str], HostCount] = {}

    def count(
        self,
        load_balancer_arn: str,
        target_group_arn: str | None,
        status: int,
        *,
        by_target: bool,
        seconds: float = 0.0,
        unreachable: bool = False,
        action: str = "forward",
    ) -> None:
        """Count an answer.

        Args:
            load_balancer_arn: Whose.
            target_group_arn: Of the target that was chosen; None where none was.
            status: The HTTP status.
            by_target: Whether a target gave it.
            seconds: How long the target took to begin its answer.
            unreachable: Whether no connection to the target came about.
            action: Which action of the listener answered: forward, redirect, fixed-response.

        """
        group = target_group_of(target_group_arn) if target_group_arn else ""
        balancer = load_balancer_of(load_balancer_arn)
        now = self._clock.now()
        self._add(values_of(Answered(now, balancer, group, status, by_target, seconds, unreachable, action)))

    def hosts(self, load_balancer_arn: str, target_group_arn: str, healthy: int, unhealthy: int) -> None:
        """Note how many targets of a group are healthy and how many are not: once a minute, and changes."""
        balancer, group = load_balancer_of(load_balancer_arn), target_group_of(target_group_arn)
        count = HostCount(self._clock.now(), balancer, group, healthy, unhealthy)
        before = self._hosts.get((balancer, group))
        if before is None or not before.says_the_same(count):
            self._hosts[balancer, group] = count
            self._add(host_values(count))

    def values(self, metric: str) -> Sequence[Value]:
        """The values of one metric, in the order in which they came; the last hundred thousand."""
        with self._lock:
            return tuple(self._values.get(metric, ()))

    def metrics(self) -> Sequence[Wanted]:
        """Every metric that has a value, with each of its sets of dimensions, sorted."""
        with self._lock:
            return listed(value for values in self._values.values() for value in values)

    def _add(self, values: Iterable[Value]) -> None:
        with self._lock:
            for value in values:
                self._values.setdefault(value.metric, deque(maxlen=_MOST_VALUES)).append(value)


@dataclass(frozen=True, slots=True)
class BalancerMetrics:
    """Where one load balancer counts.

    Attributes:
        recorder: The sandbox's.
        arn: The load balancer's.

    """

    recorder: Recorder
    arn: str

    def by_target(self, group_arn: str, status: int, seconds: float) -> None:
        """Count a target's answer, which began after so many seconds."""
        self.recorder.count(self.arn, group_arn, status, by_target=True, seconds=seconds)

    def own(
        self, status: int, group_arn: str | None = None, *, unreachable: bool = False, action: str = "forward"
    ) -> None:
        """Count an answer of the load balancer's own; the group is that of the target that was chosen."""
        self.recorder.count(
            self.arn, group_arn, status, by_target=False, unreachable=unreachable, action=action
        )


def load_balancer_of(arn: str) -> str:
    """The dimension's value of a load balancer: the end of its ARN, from ``app/`` on."""
    return arn.rpartition(":loadbalancer/")[2]


def target_group_of(arn: str) -> str:
    """The dimension's value of a target group: the end of its ARN, from ``targetgroup/`` on."""
    return arn.rpartition(":")[2]


# What an answer amounts to


def values_of(answered: Answered) -> Iterator[Value]:
    """The values that one answer adds to the metrics."""
    alone = frozenset({("LoadBalancer", answered.load_balancer)})
    group = alone | {("TargetGroup", answered.target_group)}
    every = (alone, group) if answered.target_group else (alone,)
    for metric in _own_metrics(answered):
        yield Value(answered.at, metric, 1.0, (alone,))
    for metric in _target_metrics(answered):
        yield Value(answered.at, metric, 1.0, every)
    if answered.by_target:
        yield Value(answered.at, "TargetResponseTime", answered.seconds, every, "Seconds")


def _own_metrics(answered: Answered) -> Iterator[str]:
    if answered.action == "redirect":
        yield "HTTP_Redirect_Count"
    if answered.action == "fixed-response":
        yield "HTTP_Fixed_Response_Count"
    if not answered.by_target and answered.status >= 300:
        yield f"HTTPCode_ELB_{answered.status // 100}XX_Count"
    if not answered.by_target and answered.status in _OWN_CODES:
        yield f"HTTPCode_ELB_{answered.status}_Count"


def _target_metrics(answered: Answered) -> Iterator[str]:
    if answered.target_group:
        yield "RequestCount"
    if answered.by_target:
        yield f"HTTPCode_Target_{answered.status // 100}XX_Count"
    if answered.unreachable:
        yield "TargetConnectionErrorCount"


def host_values(count: HostCount) -> Iterator[Value]:
    """The values of one look at a group's health."""
    both = frozenset({("LoadBalancer", count.load_balancer), ("TargetGroup", count.target_group)})
    yield Value(count.at, "HealthyHostCount", float(count.healthy), (both,))
    yield Value(count.at, "UnHealthyHostCount", float(count.unhealthy), (both,))


# Statistics


class StatisticError(ValueError):
    """A statistic that does not exist."""


_SIMPLE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SampleCount": lambda values: float(len(values)),
    "Sum": math.fsum,
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
}


def statistic(name: str, values: Sequence[float]) -> float:
    """A statistic of one value or more: SampleCount, Sum, Average, Minimum, Maximum or pNN.

    A percentile is interpolated between the two nearest values.

    Raises:
        StatisticError: There is no such statistic.

    """
    if name in _SIMPLE:
        return _SIMPLE[name](values)
    found = _PERCENTILE.fullmatch(name)
    if found is None:
        raise StatisticError(name)
    return _percentile(float(found[1]), sorted(values))


def _percentile(percent: float, ordered: Sequence[float]) -> float:
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time, divided into periods that begin with its first whole minute."""

    start: datetime
    end: datetime
    period_s: int

    def period_of(self, moment: datetime) -> datetime | None:
        """When the period began that a moment is in; None outside the range."""
        first = self.start - timedelta(seconds=self.start.timestamp() % _MINUTE_S)
        if not first <= moment < self.end:
            return None
        return moment - (moment - first) % timedelta(seconds=self.period_s)


def periods(values: Iterable[Value], wanted: Wanted, span: Span) -> list[tuple[datetime, list[float]]]:
    """The metric's values by the start of their period, ascending; periods without values are left out."""
    placed = [
        (period, value.value)
        for value in values
        if value.metric == wanted.metric
        and wanted.dimensions in value.dimensions
        and (period := span.period_of(value.at)) is not None
    ]
    grouped = groupby(sorted(placed), key=lambda pair: pair[0])
    return [(start, [value for _, value in pairs]) for start, pairs in grouped]


def listed(values: Iterable[Value]) -> list[Wanted]:
    """Every metric that has a value, with each of its sets of dimensions, sorted."""
    found = {Wanted(value.metric, dimensions) for value in values for dimensions in value.dimensions}
    return sorted(found, key=lambda one: (one.metric, len(one.dimensions), sorted(one.dimensions)))
