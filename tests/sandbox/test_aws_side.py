"""AWS in a whole sandbox: what a scenario did is in the history, what went through is in the metrics."""

import email.utils
import http.client
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_kit import aws_client, refusal
from control_side import Prober

from hokusai_probe.sandbox import Box, start

DENIED = """
name = "role-without-its-rights"
summary = "The task role lost its rights on the buckets"
backends = { storage = "s3" }
[[step]]
kind = "aws"
service = "iam"
call = "delete_role_policy"
params = { RoleName = "{role.task}", PolicyName = "buckets" }
"""

REFUSED = """
name = "refused-and-ahead"
summary = "None of the prober's keys is known, and its clock is ahead"
given = { key = "unknown", aws = "refused", clock_offset_s = 400.0 }
"""

pytestmark = pytest.mark.xdist_group("aws-side")

ARTIFACT = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/a/b.txt"


def client_of(box: Box, service: str) -> Any:
    """A boto3 client with what the sandbox gave the prober."""
    endpoint = Prober(box).target["aws"]["endpoint_url"]
    return aws_client(service, endpoint, box.environment["AWS_ACCESS_KEY_ID"])


@pytest.fixture(scope="module")
def denied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A sandbox on S3 whose task role may do nothing there any more."""
    with start(scenario_file(tmp_path_factory, DENIED)) as box:
        yield box


def scenario_file(directories: pytest.TempPathFactory, text: str) -> Path:
    """A scenario as a file."""
    path = directories.mktemp("scenario") / "scenario.toml"
    path.write_text(text)
    return path


def test_the_role_decides_about_artifacts(denied: Box) -> None:
    """MLflow's upload fails and nothing is in the bucket, though the prober may look into it."""
    prober = Prober(denied)
    status, _ = prober.ask("registry", ARTIFACT, method="PUT", body=b"x")
    left = client_of(denied, "s3").list_objects_v2(Bucket=denied.names["bucket.artifacts"])["KeyCount"]
    assert (status, left) == (500, 0)


def test_the_history_holds_what_the_scenario_did_and_what_the_prober_asks(denied: Box) -> None:
    """Not what built the platform."""
    cloudtrail = client_of(denied, "cloudtrail")
    client_of(denied, "ecs").list_clusters()
    writes = cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}]
    )["Events"]
    reads = cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ListClusters"}]
    )["Events"]
    identity = client_of(denied, "sts").get_caller_identity()["Arn"]
    got = [(one["EventName"], one["Username"], one["Resources"][0]["ResourceName"]) for one in writes]
    assert got == [("DeleteRolePolicy", "infra-admin", denied.names["role.task"])]
    assert {one["Username"] for one in reads} == {"hokusai-probe"}
    assert identity == f"arn:aws:iam::{denied.names['account']}:user/hokusai-probe"


def test_the_metrics_count_what_went_through_the_load_balancer(denied: Box) -> None:
    """One request more is one more, its target's 500 is the target's, and the hosts are healthy."""
    dimension = denied.names["load_balancer.registry"].rpartition(":loadbalancer/")[2]
    group = denied.names["target_group.gateway"].rpartition(":")[2]
    alone = [{"Name": "LoadBalancer", "Value": dimension}]
    both = [*alone, {"Name": "TargetGroup", "Value": group}]
    before = count(denied, "RequestCount", alone), count(denied, "HTTPCode_Target_5XX_Count", both)
    Prober(denied).ask("registry", ARTIFACT, method="PUT", body=b"x")
    after = count(denied, "RequestCount", alone), count(denied, "HTTPCode_Target_5XX_Count", both)
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 1]
    assert count(denied, "HealthyHostCount", both, "Maximum") == 1


def count(box: Box, metric: str, dimensions: list[dict[str, str]], stat: str = "Sum") -> float:
    """A statistic over the last ten minutes; 0 where there are no data."""
    now = datetime.now(UTC)
    points = client_of(box, "cloudwatch").get_metric_statistics(
        Namespace="AWS/ApplicationELB",
        MetricName=metric,
        Dimensions=dimensions,
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=[stat],
    )["Datapoints"]
    return sum(point[stat] for point in points)


def test_refused_keys_and_a_clock_that_is_ahead(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The environment holds keys that look right and are not; every answer is dated by the platform."""
    search = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=100"
    with start(scenario_file(tmp_path_factory, REFUSED)) as box:
        prober = Prober(box)
        code = refusal(client_of(box, "ecs").list_clusters)[1]
        key = box.environment["HOKUSAI_API_KEY"]
        statuses = [prober.ask("registry", search)[0], prober.ask("registry", "/health")[0]]
        dates = [date_of(prober, host) for host in ("registry", "auth", "api")]
    behind = [(datetime.now(UTC) - date).total_seconds() for date in dates]
    assert code == "UnrecognizedClientException"
    assert (key.startswith("hk_test_"), statuses) == (True, [401, 200])
    assert behind == [pytest.approx(400, abs=30)] * 3


def date_of(prober: Prober, host: str) -> datetime:
    """The Date of a host's answer."""
    name, port = prober.target["hosts"][host].removeprefix("https://").split(":")
    raw = socket.create_connection((prober.resolve(name)[0], int(port)), timeout=8)
    with prober._tls.wrap_socket(raw, server_hostname=name) as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        head = http.client.HTTPResponse(connection)
        head.begin()
        return email.utils.parsedate_to_datetime(head.headers["Date"])
