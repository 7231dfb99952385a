"""What load balancers counted and which alarms are raised, judged with what is met now."""

import pytest
from _facts import (
    DENIED,
    TARGET,
    api_facts,
    balancer_page,
    group,
    group_facts,
    hosts_facts,
    registered,
)
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts
from hokusai_probe.probes.alarms import Alarm, AlarmsFacts, alarm, hop_of, is_about, names_of
from hokusai_probe.probes.load_balancer_metrics import LoadBalancerMetricsFacts, Traffic, traffic
from hokusai_probe.text import clean

GATEWAY_TIME_OUT = balancer_page(504, "Gateway Time-out")
QUIET = LoadBalancerMetricsFacts(traffic={"registry": Traffic(requests=40)})
FAILING = LoadBalancerMetricsFacts(traffic={"registry": Traffic(requests=40, own_5xx=7)})
AT_GATEWAY = {"LoadBalancer": "app/registry/1", "TargetGroup": "targetgroup/gateway-tg/2"}
RAISED = Alarm(name="api-health", state="ALARM", metric="HealthyHostCount", dimensions=AT_GATEWAY, reason="0")
CPU = Alarm(name="rds-cpu", state="OK", metric="CPUUtilization", dimensions={"DBInstanceIdentifier": "db"})
LOW = Alarm(name="low", state="ALARM", metric="CPUUtilization", dimensions={"ServiceName": "s"}, scales=True)
UNWELL = group_facts(gateway=group("gateway", registered(8001, "unhealthy")))

ROWS: list[tuple[str, tuple[Facts, ...], Told]] = [
    ("registry-load-balancer-answers-for-nobody", (QUIET, hosts_facts(), api_facts()), PASS),
    (
        "registry-load-balancer-answers-for-nobody",
        (FAILING, hosts_facts(registry=GATEWAY_TIME_OUT)),
        failing(
            "requests answered by the load balancer itself with 5xx in 15 minutes: 7; we meet it, "
            "too: /health: 504 from the load balancer itself (text/html)"
        ),
    ),
    (
        "registry-load-balancer-answers-for-nobody",
        (FAILING, hosts_facts(), api_facts()),
        skipped("cannot-tell", "5xx of the load balancer in 15 minutes: 7; now nobody meets any"),
    ),
    (
        "registry-load-balancer-answers-for-nobody",
        (QUIET, hosts_facts(registry=GATEWAY_TIME_OUT)),
        skipped("cannot-tell", "what we meet has not been counted yet"),
    ),
    (
        "registry-load-balancer-answers-for-nobody",
        (LoadBalancerMetricsFacts(traffic={"registry": Traffic()}), hosts_facts()),
        skipped("cannot-tell", "CloudWatch has counted no request in 15 minutes"),
    ),
    (
        "registry-load-balancer-answers-for-nobody",
        (LoadBalancerMetricsFacts(failure=DENIED), hosts_facts()),
        skipped("cannot-tell", "cloudwatch:GetMetricData: denied"),
    ),
    (
        "auth-load-balancer-answers-for-nobody",
        (FAILING, hosts_facts(auth=GATEWAY_TIME_OUT)),
        skipped("not-applicable", "the target names no load balancer of this host that could be read"),
    ),
    (
        "api-load-balancer-answers-for-nobody",
        (LoadBalancerMetricsFacts(traffic={"main": Traffic(own_5xx=2)}), hosts_facts(api=GATEWAY_TIME_OUT)),
        failing(
            "requests answered by the load balancer itself with 5xx in 15 minutes: 2; we meet it, "
            "too: /health: 504 from the load balancer itself (text/html)"
        ),
    ),
    (
        "auth-load-balancer-answers-for-nobody",
        (
            LoadBalancerMetricsFacts(traffic={"auth": Traffic(requests=9), "main": Traffic(own_5xx=2)}),
            hosts_facts(api=GATEWAY_TIME_OUT),
        ),
        PASS,
    ),
    ("no-alarm-is-raised", (AlarmsFacts(alarms=(CPU,)), group_facts()), PASS),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(alarms=(RAISED, CPU)), UNWELL),
        failing("api-health is raised: HealthyHostCount: 0"),
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(alarms=(RAISED, CPU)), group_facts()),
        skipped("cannot-tell", "api-health: raised, and its targets are healthy now"),
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(alarms=(LOW, CPU)), group_facts()),
        PASS,
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(alarms=(LOW,)), group_facts()),
        skipped("not-applicable", "no alarm names a part of the platform"),
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(alarms=(CPU,), unplaced=("sum of errors",)), group_facts()),
        skipped("cannot-tell", "sum of errors: raised, and without a dimension that says what it is about"),
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(alarms=(CPU,), truncated=True), group_facts()),
        skipped("cannot-tell", "cloudwatch:DescribeAlarms has more than was read; none of that is raised"),
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(), group_facts()),
        skipped("not-applicable", "no alarm names a part of the platform"),
    ),
    (
        "no-alarm-is-raised",
        (AlarmsFacts(failure=DENIED), group_facts()),
        skipped("cannot-tell", "cloudwatch:DescribeAlarms: denied"),
    ),
]


@pytest.mark.parametrize(("check", "facts", "expected"), ROWS)
def test_a_check_says_what_it_sees(
    real: Catalogue, check: str, facts: tuple[Facts, ...], expected: Told
) -> None:
    """What is late or over is neither passed nor failed."""
    assert told(verdict(real, check, *facts)) == expected


def test_the_numbers_of_one_load_balancer_are_picked_out_of_all() -> None:
    """Counts are summed over the minutes, the percentile is that of the slowest one."""
    results = {
        "requests_1": {"Values": [10.0, 2.0]},
        "own_5xx_1": {"Values": []},
        "target_5xx_1": {"Values": [1.0]},
        "p95_s_1": {"Values": [0.2, 0.7]},
        "requests_0": {"Values": [99.0]},
    }
    assert traffic(results, 1) == Traffic(requests=12, own_5xx=0, target_5xx=1, p95_s=0.7)
    assert traffic({}, 0) == Traffic()


def test_alarms_of_others_are_left_out() -> None:
    """A dimension names a part of the platform, alone or between slashes."""
    assert TARGET.aws is not None
    ours = names_of(TARGET.aws, group_facts())
    item = {"AlarmName": "a", "StateValue": "OK", "MetricName": "CPUUtilization"}
    named = item | {"Dimensions": [{"Name": "DBInstanceIdentifier", "Value": TARGET.aws.database}]}
    other = item | {"Dimensions": [{"Name": "DBInstanceIdentifier", "Value": "somebody-else"}]}
    grouped = item | {"Dimensions": [{"Name": "TargetGroup", "Value": "targetgroup/gateway-tg/1"}]}
    assert [is_about(alarm(one, clean), ours) for one in (named, other, grouped)] == [True, False, True]


ECS = {"ClusterName": "hokusai-development", "ServiceName": "hokusai-auth-development"}
POLICY = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:resource/ecs/service/c/s:policyName/p"


@pytest.mark.parametrize(
    ("more", "scales"),
    [
        ({"AlarmActions": [POLICY]}, True),
        ({"AlarmActions": [POLICY, "arn:aws:sns:us-east-1:123456789012:alerts"]}, False),
        ({"AlarmActions": [POLICY], "OKActions": ["arn:aws:sns:us-east-1:123456789012:alerts"]}, False),
        ({"AlarmName": "TargetTracking-service/c/s-AlarmLow-1"}, True),
        ({}, False),
    ],
)
def test_what_only_scales_is_told_from_what_calls_people(more: dict[str, object], *, scales: bool) -> None:
    """The low alarm of target tracking is raised whenever a service has little to do."""
    assert alarm({"AlarmName": "a", "StateValue": "ALARM"} | more, clean).scales is scales


def test_an_alarm_on_an_expression_is_about_what_its_metrics_are() -> None:
    """Metric math: the dimensions stand at the metrics, not at the alarm."""
    queries = [
        {"Id": "rate", "Expression": "bad/all"},
        *(
            {"Id": name, "MetricStat": {"Metric": {"MetricName": name, "Dimensions": [
                {"Name": "LoadBalancer", "Value": f"app/{where}/1"}]}}}
            for name, where in (("bad", "strange"), ("all", "ours"))
        ),
    ]  # fmt: skip
    found = alarm({"AlarmName": "a", "StateValue": "ALARM", "Metrics": queries}, clean)
    assert (found.metric, found.dimensions) == ("bad, all", {"LoadBalancer": "app/strange/1/app/ours/1"})
    assert is_about(found, frozenset({"ours"}))


@pytest.mark.parametrize(
    ("metric", "dimensions", "hop"),
    [
        ("HealthyHostCount", AT_GATEWAY, "target-group.gateway/alarms"),
        ("HTTPCode_Target_5XX_Count", AT_GATEWAY, None),
        ("CPUUtilization", ECS, "auth/alarms"),
        ("CPUUtilization", {"ClusterName": "hokusai-development"}, None),
        ("CPUUtilization", {"DBInstanceIdentifier": "hokusai-mlflow-development"}, "database/alarms"),
        ("RequestCount", {"LoadBalancer": "app/hokusai-auth-development/1"}, "public.auth/alarms"),
    ],
)
def test_an_alarm_is_explained_by_what_it_is_about(
    metric: str, dimensions: dict[str, str], hop: str | None
) -> None:
    """A cause elsewhere does not explain it."""
    one = Alarm(name="a", state="ALARM", metric=metric, dimensions=dimensions)
    assert hop_of(one, group_facts(), TARGET) == hop


def test_a_raised_alarm_has_the_hop_of_its_part(real: Catalogue) -> None:
    """And who must act for it; alarms on several parts stay with the check's own."""
    alone = verdict(real, "no-alarm-is-raised", AlarmsFacts(alarms=(RAISED, CPU)), UNWELL)
    raised = CPU.model_copy(update={"state": "ALARM"})
    both = verdict(real, "no-alarm-is-raised", AlarmsFacts(alarms=(RAISED, raised)), UNWELL)
    assert (alone.hop, alone.component) == ("target-group.gateway/alarms", "load-balancer")
    assert (both.hop, both.component) == ("traffic", "load-balancer")
