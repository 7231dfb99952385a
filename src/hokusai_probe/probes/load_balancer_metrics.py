"""What the load balancers counted in the last quarter of an hour, for everybody who asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hokusai_probe.answers import responder, said
from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Wrong
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST

WINDOW = timedelta(minutes=15)
_METRICS: Mapping[str, tuple[str, str]] = {
    "requests": ("RequestCount", "Sum"),
    "own_5xx": ("HTTPCode_ELB_5XX_Count", "Sum"),
    "target_5xx": ("HTTPCode_Target_5XX_Count", "Sum"),
    "p95_s": ("TargetResponseTime", "p95"),
}


class Traffic(Frozen):
    """One load balancer's last quarter of an hour.

    ``requests``: those sent to a target. ``own_5xx``: answered by itself with 5xx, ``target_5xx``: by a
    target. ``p95_s``: the 95th percentile of the targets' response times in its slowest minute, in seconds;
    None where nothing was counted.
    """

    requests: int = 0
    own_5xx: int = 0
    target_5xx: int = 0
    p95_s: float | None = None


class LoadBalancerMetricsFacts(Facts):
    """Traffic by the platform's name for the load balancer. ``complete``: CloudWatch gave all it has."""

    traffic: Mapping[str, Traffic] = {}
    complete: bool = True
    failure: AwsFailure | None = None


@probe(area="performance", needs=("aws",), after=("aws-knows-us",), cost=1)
async def load_balancer_metrics(
    look: Look, rules: ListenerRulesFacts, _hosts: HostsFacts, _api: MlflowApiFacts
) -> LoadBalancerMetricsFacts:
    """What the load balancers counted: cloudwatch:GetMetricData of AWS/ApplicationELB.

    Asked after hosts and API, so that what those meet may be counted already. Metrics come with a delay of
    minutes: their silence proves nothing, and what they show may be over.
    """
    names = {key: one.arn.partition(":loadbalancer/")[2] for key, one in rules.balancers.items() if one.arn}
    if not names:
        return LoadBalancerMetricsFacts()
    now = datetime.now(UTC)
    answer = await look.cloud().call(
        "cloudwatch",
        "get_metric_data",
        StartTime=now - WINDOW,
        EndTime=now + timedelta(minutes=1),
        MetricDataQueries=list(_queries(tuple(names.values()))),
    )
    if answer.failure is not None:
        return LoadBalancerMetricsFacts(failure=answer.failure)
    results = {str(r["Id"]): r for r in answer.data["MetricDataResults"]}
    return LoadBalancerMetricsFacts(
        traffic={key: traffic(results, number) for number, key in enumerate(names)},
        complete=all(r.get("StatusCode", "Complete") == "Complete" for r in results.values()),
    )


def _queries(balancers: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, balancer in enumerate(balancers):
        for field, (metric, statistic) in _METRICS.items():
            named = {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": metric,
                "Dimensions": [{"Name": "LoadBalancer", "Value": balancer}],
            }
            yield {
                "Id": f"{field}_{number}",
                "MetricStat": {"Metric": named, "Period": 60, "Stat": statistic},
            }


def traffic(results: Mapping[str, Mapping[str, Any]], number: int) -> Traffic:
    """One load balancer's numbers out of the results of all queries."""
    values = {field: results.get(f"{field}_{number}", {}).get("Values", []) for field in _METRICS}
    return Traffic(
        requests=round(sum(values["requests"])),
        own_5xx=round(sum(values["own_5xx"])),
        target_5xx=round(sum(values["target_5xx"])),
        p95_s=max(values["p95_s"], default=None),
    )


@check(hop="public.auth/traffic")
def auth_load_balancer_answers_for_nobody(facts: LoadBalancerMetricsFacts, hosts: HostsFacts) -> Sentence:
    """The auth host's load balancer does not answer 5xx in place of the service behind it.

    Counted for everybody; it fails only where we meet it, too, for what was counted may be over.
    """
    return _for_nobody("auth", facts, hosts, None)


@check(hop="traffic.registry")
def registry_load_balancer_answers_for_nobody(
    facts: LoadBalancerMetricsFacts, hosts: HostsFacts, api: MlflowApiFacts | None
) -> Sentence:
    """The registry's load balancer does not answer 5xx in place of the services behind it.

    Counted for everybody; it fails only where we meet it, too, for what was counted may be over.
    """
    return _for_nobody("registry", facts, hosts, api)


@check(hop="public.api/traffic")
def api_load_balancer_answers_for_nobody(facts: LoadBalancerMetricsFacts, hosts: HostsFacts) -> Sentence:
    """The api host's load balancer does not answer 5xx in place of the service behind it.

    Counted for everybody; it fails only where we meet it, too, for what was counted may be over.
    """
    return _for_nobody("api", facts, hosts, None)


def _for_nobody(
    host: str, facts: LoadBalancerMetricsFacts, hosts: HostsFacts, api: MlflowApiFacts | None
) -> Sentence:
    if facts.failure is not None:
        return CannotTell(reason=f"cloudwatch:GetMetricData: {facts.failure.kind}")
    counted = facts.traffic.get(LOAD_BALANCER_OF_HOST[host])
    if counted is None:
        return NotApplicable(reason="the target names no load balancer of this host that could be read")
    met = _met(host, hosts, api)
    if counted.own_5xx and met:
        return Wrong(
            reason="requests answered by the load balancer itself with 5xx in 15 minutes: "
            f"{counted.own_5xx}; we meet it, too: {met.path}: {said(met)}",
            reproduce=met.curl(),
        )
    return _unsure(counted, met)


def _met(host: str, hosts: HostsFacts, api: MlflowApiFacts | None) -> Answer | None:
    """A 5xx of the host's load balancer itself that we got: the last that was asked for."""
    health = [seen.health for key, seen in hosts.hosts.items() if key == host]
    own = [
        answer
        for answer in (*health, *((api.search,) if api else ()))
        if (answer.status or 0) >= 500 and responder(answer) == "load-balancer"
    ]
    return own[-1] if own else None


def _unsure(counted: Traffic, met: Answer | None) -> Sentence:
    if counted.own_5xx:
        return CannotTell(
            reason=f"5xx of the load balancer in 15 minutes: {counted.own_5xx}; now nobody meets any"
        )
    if met:
        return CannotTell(reason="what we meet has not been counted yet")
    if not counted.requests:
        return CannotTell(reason="CloudWatch has counted no request in 15 minutes")
    return None
