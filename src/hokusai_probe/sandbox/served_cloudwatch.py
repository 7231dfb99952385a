"""CloudWatch as the sandbox's control plane serves it: moto's, with the load balancers' metrics.

moto 5.2 has no metrics of load balancers, and answers 500 to a percentile. GetMetricData, GetMetricStatistics
and ListMetrics of the namespace AWS/ApplicationELB are answered from a `metrics.Recorder`; everything else is
moto's.

Source: the API reference of GetMetricData (the start is rounded down to the minute; the end does not belong
to the range). Other than in AWS, where a minute takes a few to arrive, data are visible at once. Metric math
over these metrics is not there.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from moto.cloudwatch import urls
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from hokusai_probe.sandbox.metrics import (
    NAMESPACE,
    Recorder,
    Span,
    StatisticError,
    Wanted,
    periods,
    statistic,
)


class UnknownStatisticError(ServiceException):
    """A statistic that does not exist."""

    code = "ValidationError"


class StatisticsMissingError(ServiceException):
    """GetMetricStatistics without a statistic."""

    code = "InvalidParameterCombination"
    message = "Must specify either Statistics or ExtendedStatistics"


class ServedCloudWatch(CloudWatchResponse):
    """moto's CloudWatch with the load balancers' metrics."""

    recorder: ClassVar[Recorder]

    def get_metric_data(self) -> ActionResult:
        """Answer GetMetricData."""
        params = self._get_params()
        queries: Sequence[Mapping[str, Any]] = params.get("MetricDataQueries", [])
        own = {query["Id"]: self._own_data(query, params) for query in queries if _is_own(query)}
        rest = [query for query in queries if query["Id"] not in own]
        theirs = {found["id"]: found for found in self._their_data(rest)}
        found = own | theirs
        results = [found[query["Id"]] for query in queries if query["Id"] in found]
        shown = {query["Id"] for query in queries if query.get("ReturnData", True)}
        return ActionResult({"MetricDataResults": [one for one in results if one["id"] in shown]})

    def _their_data(self, queries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        if not queries:
            return ()
        self.params = {**self._get_params(), "MetricDataQueries": list(queries)}
        result: Any = super().get_metric_data().result
        found: Sequence[Mapping[str, Any]] = result["MetricDataResults"]
        return found

    def _own_data(self, query: Mapping[str, Any], params: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = query["MetricStat"]
        wanted = _wanted(asked["Metric"])
        span = _span(params, int(asked["Period"]))
        found = periods(type(self).recorder.values(wanted.metric), wanted, span)
        if (params.get("ScanBy") or "TimestampDescending") == "TimestampDescending":
            found.reverse()
        return {
            "id": query["Id"],
            "label": query.get("Label") or wanted.metric,
            "timestamps": [_naive(start) for start, _ in found],
            "values": [_statistic(asked["Stat"], values) for _, values in found],
            "status_code": "Complete",
        }

    def get_metric_statistics(self) -> ActionResult:
        """Answer GetMetricStatistics."""
        params = self._get_params()
        if params["Namespace"] != NAMESPACE:
            return super().get_metric_statistics()
        names = params.get("Statistics") or []
        extended = params.get("ExtendedStatistics") or []
        if not names and not extended:
            raise StatisticsMissingError
        wanted, span = _wanted(params), _span(params, int(params["Period"]))
        found = periods(type(self).recorder.values(wanted.metric), wanted, span)
        points = [_point(start, values, names, extended, params["MetricName"]) for start, values in found]
        return ActionResult({"Label": params["MetricName"], "Datapoints": points})

    def list_metrics(self) -> ActionResult:
        """Answer ListMetrics; the load balancers' come on the first page, before moto's."""
        params = self._get_params()
        result: Any = super().list_metrics().result
        if params.get("NextToken"):
            return ActionResult(result)
        own = [_as_metric(one) for one in type(self).recorder.metrics() if _is_listed(one, params)]
        return ActionResult({**result, "Metrics": [*own, *result["Metrics"]]})


def _is_own(query: Mapping[str, Any]) -> bool:
    return bool(query.get("MetricStat", {}).get("Metric", {}).get("Namespace") == NAMESPACE)


def _wanted(metric: Mapping[str, Any]) -> Wanted:
    dimensions = frozenset((one["Name"], one["Value"]) for one in metric.get("Dimensions") or ())
    return Wanted(metric["MetricName"], dimensions)


def _span(params: Mapping[str, Any], period_s: int) -> Span:
    return Span(_aware(params["StartTime"]), _aware(params["EndTime"]), period_s)


def _aware(moment: datetime) -> datetime:
    """A time of moto's, which has no zone and means UTC."""
    return moment.replace(tzinfo=UTC)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _statistic(name: str, values: Sequence[float]) -> float:
    try:
        return statistic(name, values)
    except StatisticError:
        sentence = f"The value {name} for parameter Stat is not supported."
        raise UnknownStatisticError(sentence) from None


def _point(
    start: datetime, values: Sequence[float], names: Sequence[str], extended: Sequence[str], metric: str
) -> dict[str, object]:
    unit = "Seconds" if metric == "TargetResponseTime" else "Count"
    point: dict[str, object] = {"Timestamp": _naive(start), "Unit": unit}
    point |= {name: _statistic(name, values) for name in names}
    more = {"ExtendedStatistics": {name: _statistic(name, values) for name in extended}} if extended else {}
    return point | more


def _is_listed(metric: Wanted, params: Mapping[str, Any]) -> bool:
    names = dict(metric.dimensions)
    return (
        params.get("Namespace") in (None, NAMESPACE)
        and params.get("MetricName") in (None, metric.metric)
        and all(
            one["Name"] in names and one.get("Value") in (None, names[one["Name"]])
            for one in params.get("Dimensions") or ()
        )
    )


def _as_metric(metric: Wanted) -> dict[str, object]:
    dimensions = [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions)]
    return {"Namespace": NAMESPACE, "MetricName": metric.metric, "Dimensions": dimensions}


def install(recorder: Recorder) -> None:
    """Have moto answer from what a recorder keeps. Call it before the first request."""
    ServedCloudWatch.recorder = recorder
    urls.url_paths = {"{0}/$": ServedCloudWatch.dispatch}
