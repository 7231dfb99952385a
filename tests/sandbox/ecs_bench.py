"""A scheduler on a bench: the control plane's backends and real processes, without the rest of a sandbox."""

import functools
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from hokusai_probe.sandbox import control_plane, early, image_registry, roles, tasks
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.ecs import Reconciler
from hokusai_probe.sandbox.identity import PORTS, REGION, Identity
from hokusai_probe.sandbox.state import Health

HEALTHY = Health("healthy")
UNHEALTHY = Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")

SERVICE, CLUSTER, GROUP = "api", "bench", "/ecs/hokusai-api"
PORT = PORTS["gateway"]

_PROGRAM = """
import os, socket, sys, time
time.sleep(float(os.environ.get("SLEEP_S", "0")))
ip, _, port = os.environ["SANDBOX_BIND"].rpartition(":")
server = socket.create_server((ip, int(port)))
print("listening", flush=True)
while True:
    client, _ = server.accept()
    client.recv(65536)
    status = os.environ.get("STATUS", "200")
    client.sendall(f"HTTP/1.1 {status} x\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
    client.close()
"""


class Bench:
    """One service behind one target group; the test is the load balancer's health checks.

    Attributes:
        verdict: What the health checks say of a target that listens; of others they say that it is unhealthy.
        ahead: How far the clock of what ECS shows is ahead.

    """

    def __init__(self, directory: Path, network: str, time_scale: float) -> None:
        self.identity = Identity.of(11)
        self.verdict = HEALTHY
        self.ahead = timedelta()
        self._network = network
        self._health: dict[tuple[str, str, int], Health] = {}
        self.plane = MotoControlPlane(self.identity.account, time_scale, directory, {})
        control_plane.install(self.plane.health_of)
        self.plane.show_health(self._health)
        self.ecs, self.elbv2, self.logs = (_client(name) for name in ("ecs", "elbv2", "logs"))
        self.runtime = tasks.Runtime(
            network=network,
            directory=directory,
            ca_file=directory / "ca.pem",
            behaviours=(),
            time_scale=time_scale,
            images=self.identity.images(),
            services={SERVICE: "gateway"},
        )
        for name in ("logs", "state", "secrets"):
            (directory / name).mkdir()
        self._lay_out()
        self.reconciler = Reconciler(self.plane, self.runtime, self.identity, now=self.now)

    def now(self) -> datetime:
        """The clock of what ECS shows."""
        return datetime.now(UTC) + self.ahead

    def _lay_out(self) -> None:
        image_registry.create(self.identity)
        self.roles = roles.create(self.identity)
        vpc = _client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.group = self.elbv2.create_target_group(
            Name="api", Protocol="HTTP", Port=PORT, VpcId=vpc, TargetType="ip",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.logs.create_log_group(logGroupName=GROUP)

    def register(self, **more: Any) -> str:
        """Register a revision; ``environment`` is a mapping, ``executionRoleArn`` is the revision's own."""
        revision = {"executionRoleArn": self.roles.execution, "taskRoleArn": self.roles.task}
        revision |= {key: more.pop(key) for key in ("executionRoleArn", "runtimePlatform") if key in more}
        options = {"awslogs-group": GROUP, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
        environment = more.pop("environment", {})
        container = {
            "name": "hokusai-api",
            "image": self.identity.image("gateway", "good"),
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
            **more,
        }
        made = self.ecs.register_task_definition(
            family="api", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="512",
            memory="1024", containerDefinitions=[container], **revision,
        )  # fmt: skip
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def create(self, *, desired: int = 1, grace_s: int = 120, breaker: bool = True, **more: Any) -> None:
        """Create the service and wait until it is steady."""
        self.ecs.create_service(
            cluster=CLUSTER, serviceName=SERVICE, taskDefinition=self.register(**more), desiredCount=desired,
            launchType="FARGATE",
            loadBalancers=[{"targetGroupArn": self.group, "containerName": "api", "containerPort": PORT}],
        )  # fmt: skip
        self.update(
            healthCheckGracePeriodSeconds=grace_s,
            deploymentConfiguration={"deploymentCircuitBreaker": {"enable": breaker, "rollback": breaker}},
        )

    def update(self, **more: Any) -> None:
        """UpdateService."""
        self.ecs.update_service(cluster=CLUSTER, service=SERVICE, **more)

    def deploy(self, **more: Any) -> None:
        """A new revision, rolled out."""
        self.update(taskDefinition=self.register(**more))

    def tick(self) -> None:
        """One round of the scheduler and one of the health checks."""
        self.reconciler.tick()
        for target in list(self.plane.elbv2.target_groups[self.group].targets.values()):
            key = (self.group, target["Id"], int(target["Port"]))
            self._health[key] = self.verdict if _listens(key[1], key[2]) else UNHEALTHY

    def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> bool:
        """Rounds until a condition holds; whether it came to hold in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.tick()
            time.sleep(0.02)
        return True

    def settle(self) -> bool:
        """Rounds until the scheduler counts as settled."""
        self.tick()
        return self.until(self.reconciler.settled, 25.0)

    def service(self) -> dict[str, Any]:
        """DescribeServices."""
        found = self.ecs.describe_services(cluster=CLUSTER, services=[SERVICE])
        return dict(found["services"][0])

    def rollouts(self) -> list[tuple[str, str, int, int]]:
        """Status, state, failed and running tasks of each deployment."""
        return [
            (one["status"], one["rolloutState"], one["failedTasks"], one["runningCount"])
            for one in self.service()["deployments"]
        ]

    def events(self) -> list[str]:
        """Service events, oldest first, ids and ARNs taken out."""
        said = [event["message"] for event in self.service()["events"]]
        return [_plain(message) for message in reversed(said)]

    def tasks(self, status: str) -> list[dict[str, Any]]:
        """DescribeTasks of the tasks of this status, oldest first."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE, desiredStatus=status)["taskArns"]
        found = self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
        return sorted(found, key=lambda task: task["createdAt"])

    def endings(self) -> list[tuple[str, str, int | None]]:
        """Stop code, reason and exit code of each stopped task, oldest first."""
        return [
            (task["stopCode"], _plain(task["stoppedReason"]), task["containers"][0].get("exitCode"))
            for task in self.tasks("STOPPED")
            if task["lastStatus"] == "STOPPED"
        ]

    def output(self) -> list[str]:
        """The messages of the log group, in any order of streams."""
        found = self.logs.filter_log_events(logGroupName=GROUP)["events"]
        return [event["message"] for event in found]


@functools.cache
def _client(service: str) -> Any:
    """A client that is made once: reading AWS's models takes longer than most tests."""
    return boto3.client(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")


def _plain(message: str) -> str:
    message = re.sub(r"ecs-svc/\d+", "D", message)
    message = re.sub(r"\(task [0-9a-f]{32}\)", "(task T)", message)
    return re.sub(r"arn:aws:elasticloadbalancing:[^)\s]+", "G", message)


def _listens(ip: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.2)
        return client.connect_ex((ip, port)) == 0


def _command(_service: str, kind: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", tasks._FAILING_IMAGES.get(kind, _PROGRAM)]


@contextmanager
def bench(directory: Path, monkeypatch: pytest.MonkeyPatch, time_scale: float = 5.0) -> Iterator[Bench]:
    """A bench whose services run a small program of the test's in place of the platform's."""
    monkeypatch.setattr(tasks, "_command", _command)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", Identity.of(11).account)
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    network, claim = early.claim_network()
    with claim, mock_aws():
        made = Bench(directory, network, time_scale)
        try:
            yield made
        finally:
            made.reconciler.close()
