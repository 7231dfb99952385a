"""What tests of the control side share: a prober of a running sandbox, and who is left of one."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import dns.message
import dns.query

from hokusai_probe.sandbox import Box


class Prober:
    """Asks a running sandbox from outside, as the target file says."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.target: dict[str, Any] = tomllib.loads(box.target_file.read_text())
        self._tls = ssl.create_default_context(cafile=self.target["tls"]["ca_file"])

    def resolve(self, name: str) -> list[str]:
        """The addresses of a name; [] when it does not exist."""
        ip, port = self.target["network"]["resolver"].split(":")
        answer = dns.query.udp(dns.message.make_query(name, "A"), ip, port=int(port), timeout=2)
        return [record.address for part in answer.answer for record in part]

    def ask(
        self, host: str, path: str, *, method: str = "GET", body: bytes | None = None, key: str | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one HTTPS request; with the sandbox's key unless another is given."""
        name, port = self.target["hosts"][host].removeprefix("https://").split(":")
        key = self.box.environment.get("HOKUSAI_API_KEY", "") if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        raw = socket.create_connection((self.resolve(name)[0], int(port)), timeout=8)
        connection = http.client.HTTPSConnection(name, int(port))
        with contextlib.closing(connection):
            connection.sock = self._tls.wrap_socket(raw, server_hostname=name)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    @contextlib.contextmanager
    def aws(self, service: str) -> Iterator[Any]:
        """A boto3 client of the sandbox's control plane."""
        client = boto3.session.Session().client(
            service,
            region_name=self.target["aws"]["region"],
            endpoint_url=self.target["aws"]["endpoint_url"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        with contextlib.closing(client):
            yield client

    def describe(self, service: str) -> dict[str, Any]:
        """DescribeServices of one of auth, gateway, mlflow."""
        names = self.box.names
        with self.aws("ecs") as ecs:
            found = ecs.describe_services(cluster=names["cluster"], services=[names[f"service.{service}"]])
        return dict(found["services"][0])

    def tasks(self, service: str, status: str = "RUNNING") -> list[dict[str, Any]]:
        """DescribeTasks of one of auth, gateway, mlflow."""
        names = self.box.names
        with self.aws("ecs") as ecs:
            arns = ecs.list_tasks(
                cluster=names["cluster"], serviceName=names[f"service.{service}"], desiredStatus=status
            )["taskArns"]
            if not arns:
                return []
            return list(ecs.describe_tasks(cluster=names["cluster"], tasks=arns)["tasks"])

    def health(self, service: str) -> list[tuple[str, int, str, str]]:
        """DescribeTargetHealth: (address, port, state, reason) of each target."""
        with self.aws("elbv2") as elbv2:
            found = elbv2.describe_target_health(TargetGroupArn=self.box.names[f"target_group.{service}"])
        return [
            (
                one["Target"]["Id"],
                one["Target"]["Port"],
                one["TargetHealth"]["State"],
                one["TargetHealth"].get("Reason", ""),
            )
            for one in found["TargetHealthDescriptions"]
        ]

    def serving(self, service: str) -> list[tuple[str, int, str, str]]:
        """As `health`, without the targets that are draining, which AWS shows for minutes."""
        return [one for one in self.health(service) if one[2] != "draining"]


def ip_of(task: dict[str, Any]) -> str:
    """The private address of a task, as DescribeTasks gives it."""
    details = task["attachments"][0]["details"]
    return next(str(one["value"]) for one in details if one["name"] == "privateIPv4Address")


def accepts(ip: str, port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((ip, port)) == 0


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def processes_with(mark: str) -> list[str]:
    """The command lines of living processes whose environment holds this text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return [line for line in found if str(os.getpid()) not in line]


def said(line: str | bytes) -> dict[str, Any]:
    """A line of the host's protocol."""
    return dict(json.loads(line))
