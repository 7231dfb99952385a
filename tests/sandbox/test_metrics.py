"""The load balancers' metrics: what counts where, statistics, and CloudWatch's three calls about them."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from aws_kit import Kit, refusal, served
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.metrics import (
    Answered,
    BalancerMetrics,
    Recorder,
    Span,
    StatisticError,
    Wanted,
    load_balancer_of,
    periods,
    statistic,
    target_group_of,
    values_of,
)

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
BALANCER, GROUP = (
    f"{ARN}:loadbalancer/app/registry/50dc6c495c0c9188",
    f"{ARN}:targetgroup/api/73e2d6bc24d8a067",
)
LB, TG = "app/registry/50dc6c495c0c9188", "targetgroup/api/73e2d6bc24d8a067"
ALONE = frozenset({("LoadBalancer", LB)})
BOTH = ALONE | {("TargetGroup", TG)}
NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


def test_dimensions_are_the_ends_of_the_arns() -> None:
    """As CloudWatch's documentation shows them."""
    assert (load_balancer_of(BALANCER), target_group_of(GROUP)) == (LB, TG)


def answered(status: int, group: str = TG, **more: Any) -> Answered:
    """A request that was answered at noon."""
    by_target = more.pop("by_target", True)
    return Answered(NOON, LB, group, status, by_target, more.pop("seconds", 0.0), **more)


@pytest.mark.parametrize(
    ("answer", "metrics"),
    [
        (
            answered(200, seconds=0.25),
            {"RequestCount": BOTH, "HTTPCode_Target_2XX_Count": BOTH, "TargetResponseTime": BOTH},
        ),
        (
            answered(503),
            {"RequestCount": BOTH, "HTTPCode_Target_5XX_Count": BOTH, "TargetResponseTime": BOTH},
        ),
        (
            answered(502, by_target=False, unreachable=True),
            {
                "RequestCount": BOTH,
                "HTTPCode_ELB_5XX_Count": ALONE,
                "HTTPCode_ELB_502_Count": ALONE,
                "TargetConnectionErrorCount": BOTH,
            },
        ),
        (
            answered(504, by_target=False),
            {"RequestCount": BOTH, "HTTPCode_ELB_5XX_Count": ALONE, "HTTPCode_ELB_504_Count": ALONE},
        ),
        (
            answered(503, "", by_target=False),
            {"HTTPCode_ELB_5XX_Count": ALONE, "HTTPCode_ELB_503_Count": ALONE},
        ),
        (
            answered(301, "", by_target=False, action="redirect"),
            {"HTTPCode_ELB_3XX_Count": ALONE, "HTTP_Redirect_Count": ALONE},
        ),
        (
            answered(404, "", by_target=False, action="fixed-response"),
            {"HTTPCode_ELB_4XX_Count": ALONE, "HTTP_Fixed_Response_Count": ALONE},
        ),
        (
            answered(200, "", by_target=False, action="fixed-response"),
            {"HTTP_Fixed_Response_Count": ALONE},
        ),
    ],
)
def test_what_an_answer_counts_as(answer: Answered, metrics: dict[str, frozenset[tuple[str, str]]]) -> None:
    """The target's codes and the load balancer's own apart; a request counts once a target was chosen."""
    values = list(values_of(answer))
    assert {value.metric: value.dimensions[-1] for value in values} == metrics
    assert all(value.dimensions[0] == ALONE for value in values)
    assert [value.value for value in values if value.metric != "TargetResponseTime"] == [1.0] * (
        len(values) - ("TargetResponseTime" in metrics)
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("SampleCount", 4.0), ("Sum", 10.0), ("Average", 2.5), ("Minimum", 1.0), ("Maximum", 4.0),
        ("p0", 1.0), ("p50", 2.5), ("p90", 3.7), ("p99.9", 3.997), ("p100", 4.0),
    ],
)  # fmt: skip
def test_statistics(name: str, wanted: float) -> None:
    """Of the values 1 to 4."""
    assert math.isclose(statistic(name, [3.0, 1.0, 4.0, 2.0]), wanted)


@pytest.mark.parametrize("name", ["p", "p101", "p-1", "average", "tm99", "pp50"])
def test_statistics_that_do_not_exist(name: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(StatisticError, match=name):
        statistic(name, [1.0])


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_percentiles_are_ordered_and_within_the_values(values: list[float], one: int, other: int) -> None:
    """A higher percentile is never lower, and none is outside what was measured."""
    low, high = sorted((one, other))
    found = statistic(f"p{low}", values), statistic(f"p{high}", values)
    assert min(values) <= found[0] <= found[1] + 1e-9
    assert found[1] <= max(values) + 1e-9


def found(seconds: Sequence[int], span: Span) -> list[tuple[int, int]]:
    """How many requests, so many seconds after noon each, are in which period, by its start after noon."""
    values = [
        value
        for second in seconds
        for value in values_of(Answered(NOON + timedelta(seconds=second), LB, TG, 200, True, 0.0))
    ]
    got = periods(values, Wanted("RequestCount", ALONE), span)
    return [(int((start - NOON).total_seconds()), len(counted)) for start, counted in got]


def span(start_s: int, end_s: int, period_s: int = 60) -> Span:
    """A range, in seconds after noon."""
    return Span(NOON + timedelta(seconds=start_s), NOON + timedelta(seconds=end_s), period_s)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (span(0, 180), [(0, 2), (120, 1)]),
        (span(59, 180), [(0, 2), (120, 1)]),
        (span(60, 180), [(120, 1)]),
        (span(0, 125), [(0, 2)]),
        (span(0, 126), [(0, 2), (120, 1)]),
        (span(0, 300, 300), [(0, 3)]),
        (span(-60, 240, 120), [(-60, 2), (60, 1)]),
        (span(200, 300), []),
    ],
)
def test_periods(asked: Span, wanted: list[tuple[int, int]]) -> None:
    """They begin with the range's first whole minute; the end is outside; empty ones are not there."""
    assert found([0, 59, 125], asked) == wanted


def test_other_dimensions_are_another_metric() -> None:
    """CloudWatch aggregates over no dimension: only the exact set finds anything."""
    values = list(values_of(answered(200)))
    whole = span(0, 60)
    assert len(periods(values, Wanted("RequestCount", BOTH), whole)) == 1
    assert periods(values, Wanted("RequestCount", frozenset({("TargetGroup", TG)})), whole) == []
    assert periods(values, Wanted("RequestCount", frozenset()), whole) == []
    assert periods(values, Wanted("HTTPCode_ELB_5XX_Count", ALONE), whole) == []


class Hand(PlatformClock):
    """A clock that is set by hand."""

    moment: ClassVar[datetime] = NOON

    def now(self) -> datetime:
        return type(self).moment


def test_health_is_noted_once_a_minute_and_when_it_changes() -> None:
    """Many looks at the same state are one value of each metric, until the next minute."""
    recorder = Recorder(Hand())
    for second, healthy in enumerate((2, 2, 2, 1, 1, 2)):
        Hand.moment = NOON + timedelta(seconds=second)
        recorder.hosts(BALANCER, GROUP, healthy, 2 - healthy)
    Hand.moment = NOON + timedelta(seconds=60)
    recorder.hosts(BALANCER, GROUP, 2, 0)
    got = {
        metric: [(int((one.at - NOON).total_seconds()), one.value) for one in recorder.values(metric)]
        for metric in ("HealthyHostCount", "UnHealthyHostCount")
    }
    assert got == {
        "HealthyHostCount": [(0, 2.0), (3, 1.0), (5, 2.0), (60, 2.0)],
        "UnHealthyHostCount": [(0, 0.0), (3, 1.0), (5, 0.0), (60, 0.0)],
    }
    assert {one.dimensions for one in recorder.metrics()} == {BOTH}


def test_a_load_balancer_counts_for_itself() -> None:
    """Its answers and its targets' under its own name."""
    recorder = Recorder()
    counted = BalancerMetrics(recorder, BALANCER)
    counted.by_target(GROUP, 200, 0.5)
    counted.own(503)
    counted.own(504, GROUP, unreachable=True)
    names = [(one.metric, len(one.dimensions)) for one in recorder.metrics()]
    assert names == [
        ("HTTPCode_ELB_503_Count", 1), ("HTTPCode_ELB_504_Count", 1), ("HTTPCode_ELB_5XX_Count", 1),
        ("HTTPCode_Target_2XX_Count", 1), ("HTTPCode_Target_2XX_Count", 2),
        ("RequestCount", 1), ("RequestCount", 2),
        ("TargetConnectionErrorCount", 1), ("TargetConnectionErrorCount", 2),
        ("TargetResponseTime", 1), ("TargetResponseTime", 2),
    ]  # fmt: skip


# CloudWatch


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    """A control plane whose load balancer answered twenty requests, one of them itself."""
    with served() as plane:
        counted = BalancerMetrics(plane.recorder, BALANCER)
        for number in range(20):
            counted.by_target(GROUP, 500 if number == 7 else 200, number / 10)
        counted.own(502, GROUP, unreachable=True)
        custom = [{"MetricName": "m", "Value": value} for value in (1.0, 3.0)]
        plane.client("cloudwatch").put_metric_data(Namespace="Custom", MetricData=custom)
        yield plane


def within() -> dict[str, datetime]:
    """The last few minutes, and the second that runs."""
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(seconds=5)}


def query(
    name: str, stat: str, *, both: bool = False, namespace: str = "AWS/ApplicationELB"
) -> dict[str, Any]:
    """One query of GetMetricData, its id made of metric and statistic."""
    dimensions = [{"Name": key, "Value": value} for key, value in sorted(BOTH if both else ALONE)]
    own = namespace == "AWS/ApplicationELB"
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions if own else []}
    label = f"{name}_{stat}".replace(".", "_").lower()
    return {"Id": label, "MetricStat": {"Metric": metric, "Period": 3600, "Stat": stat}}


def values(kit: Kit, *queries: dict[str, Any]) -> dict[str, list[float]]:
    """GetMetricData's values by the queries' ids."""
    answer = kit.client("cloudwatch").get_metric_data(MetricDataQueries=list(queries), **within())
    assert {one["StatusCode"] for one in answer["MetricDataResults"]} == {"Complete"}
    return {one["Id"]: one["Values"] for one in answer["MetricDataResults"]}


def test_metric_data(kit: Kit) -> None:
    """Sums, percentiles, nothing where nothing happened; in the order asked, moto's between them."""
    got = values(
        kit,
        query("RequestCount", "Sum"),
        query("m", "Sum", namespace="Custom"),
        query("TargetResponseTime", "p95", both=True),
        query("TargetResponseTime", "Maximum"),
        query("HTTPCode_Target_5XX_Count", "Sum"),
        query("HTTPCode_ELB_502_Count", "SampleCount"),
        query("HTTPCode_ELB_504_Count", "Sum"),
    )
    assert list(got.items()) == [
        ("requestcount_sum", [21.0]),
        ("m_sum", [4.0]),
        ("targetresponsetime_p95", [pytest.approx(1.805)]),
        ("targetresponsetime_maximum", [1.9]),
        ("httpcode_target_5xx_count_sum", [1.0]),
        ("httpcode_elb_502_count_samplecount", [1.0]),
        ("httpcode_elb_504_count_sum", []),
    ]


def test_data_that_are_not_to_be_returned_are_not(kit: Kit) -> None:
    """ReturnData counts for the load balancers' metrics as for others."""
    hidden = query("RequestCount", "Sum") | {"ReturnData": False}
    assert values(kit, hidden, query("RequestCount", "Average")) == {"requestcount_average": [1.0]}


def test_metric_statistics(kit: Kit) -> None:
    """Simple and extended statistics of one period, with the metric's unit."""
    answer = kit.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApplicationELB",
        MetricName="TargetResponseTime",
        Dimensions=[{"Name": "LoadBalancer", "Value": LB}],
        Period=3600,
        Statistics=["SampleCount", "Minimum"],
        ExtendedStatistics=["p50", "p99.9"],
        **within(),
    )
    stamp = answer["Datapoints"][0].pop("Timestamp")
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 400
    assert (answer["Label"], answer["Datapoints"]) == (
        "TargetResponseTime",
        [
            {
                "SampleCount": 20.0,
                "Minimum": 0.0,
                "Unit": "Seconds",
                "ExtendedStatistics": {"p50": pytest.approx(0.95), "p99.9": pytest.approx(1.8981)},
            }
        ],
    )


def test_listing_metrics(kit: Kit) -> None:
    """By namespace, name and dimension; without a filter the others are there as well."""
    cloudwatch = kit.client("cloudwatch")
    everything = [one["MetricName"] for one in cloudwatch.list_metrics()["Metrics"]]
    mine = cloudwatch.list_metrics(
        Namespace="AWS/ApplicationELB",
        MetricName="HTTPCode_Target_5XX_Count",
        Dimensions=[{"Name": "TargetGroup"}],
    )["Metrics"]
    others = cloudwatch.list_metrics(Dimensions=[{"Name": "LoadBalancer", "Value": "app/other/1"}])["Metrics"]
    assert ("m" in everything, "RequestCount" in everything, others) == (True, True, [])
    assert mine == [
        {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Dimensions": [{"Name": "LoadBalancer", "Value": LB}, {"Name": "TargetGroup", "Value": TG}],
        }
    ]


def test_what_cloudwatch_refuses(kit: Kit) -> None:
    """A statistic that does not exist, and none at all."""
    cloudwatch = kit.client("cloudwatch")
    asked = {"MetricDataQueries": [query("RequestCount", "median")], **within()}
    none = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Period": 60, **within()}
    assert refusal(lambda: cloudwatch.get_metric_data(**asked))[1:] == (
        "ValidationError",
        "The value median for parameter Stat is not supported.",
    )
    assert refusal(lambda: cloudwatch.get_metric_statistics(**none))[1] == "InvalidParameterCombination"
