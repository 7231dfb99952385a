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
from hokusai_probe.probes.alarms import Alarm, AlarmsFacts, alarm, is_about, names_of
from hokusai_probe.probes.load_balancer_metrics import LoadBalancerMetricsFacts, Traffic, traffic
from hokusai_probe.text import clean

GATEWAY_TIME_OUT = balancer_page(504, "Gateway Time-out")
QUIET = LoadBalancerMetricsFacts(traffic={"registry": Traffic(requests=40)})
FAILING = LoadBalancerMetricsFacts(traffic={"registry": Traffic(requests=40, own_5xx=7)})
AT_GATEWAY = {"LoadBalancer": "app/registry/1", "TargetGroup": "targetgroup/gateway-tg/2"}
RAISED = Alarm(name="api-health", state="ALARM", metric="HealthyHostCount", dimensions=AT_GATEWAY, reason="0")
CPU = Alarm(name="rds-cpu", state="OK", metric="CPUUtilization", dimensions={"DBInstanceIdentifier": "db"})
UNWELL = group_facts(gateway=group("gateway", registered(8001, "unhealthy")))

ROWS: list[tuple[str, tuple[Facts, ...], Told]] = [
    ("load-balancers-answer-for-nobody", (QUIET, hosts_facts(), api_facts()), PASS),
    (
        "load-balancers-answer-for-nobody",
        (FAILING, hosts_facts(registry=GATEWAY_TIME_OUT)),
        failing(
            "requests answered by load balancers themselves with 5xx in 15 minutes: registry 7; we meet it, "
            "too: /health: 504 from the load balancer itself (text/html)"
        ),
    ),
    (
        "load-balancers-answer-for-nobody",
        (FAILING, hosts_facts(), api_facts()),
        skipped("cannot-tell", "5xx of load balancers in 15 minutes: registry 7; now nobody meets any"),
    ),
    (
        "load-balancers-answer-for-nobody",
        (QUIET, hosts_facts(registry=GATEWAY_TIME_OUT)),
        skipped("cannot-tell", "what we meet has not been counted yet"),
    ),
    (
        "load-balancers-answer-for-nobody",
        (LoadBalancerMetricsFacts(traffic={"registry": Traffic()}), hosts_facts()),
        skipped("cannot-tell", "CloudWatch has counted no request in 15 minutes"),
    ),
    (
        "load-balancers-answer-for-nobody",
        (LoadBalancerMetricsFacts(failure=DENIED), hosts_facts()),
        skipped("cannot-tell", "cloudwatch:GetMetricData: denied"),
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
