"""The requests of the scripts that came before, in their order: ``python tests/bench.py old-suite``.

What they asked is known from the platform's contract, section 9, of which each function names its part;
what they made of the answers is not repeated, for that was mostly wrong. Where the contract is silent on
how often something was asked, it is asked once, and no wait is added that it does not state: so this is the
least that they can have done. They opened a connection for each request (``requests.get``), one request
after the other.

Left out, in their favour: starting nine interpreters, training a model (9.3, stage 1), and what never
reached the platform because it was aimed at ``localhost:8000`` (9.5, 9.6); those requests go to the
platform's own host here.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from bench_page import Part, Row, spread
from bench_registration import addresses

from hokusai_probe import config, sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.model import Target
from hokusai_probe.runner import run

API = "/api/mlflow/api/2.0/mlflow"
Json = dict[str, object]
LEFT_OUT = (
    "tests/bench_old_suite.py says which section of the platform's contract each request is from, and what "
    "is left out in their favour: nine interpreters, a training, and judging."
)


class OldSuite:
    """The scripts one after the other. ``sent`` counts their requests, ``aws_calls`` those of the AWS CLI."""

    def __init__(self, target: Target, key: str, environment: Mapping[str, str]) -> None:
        self._hosts = dict[str, str](target.hosts.present())
        self._verify = target.tls.ca_file or True
        self._key = key
        self._aws = target.aws
        self._environment = environment
        self.sent = self.aws_calls = 0

    def run(self) -> None:
        """In the order of 9.7. Of scripts 7 and 8 it names the first call of one and its way on."""
        self.infrastructure()
        self.authentication()
        self.registration()
        self.endpoints()
        self.routing("registry")
        self.health()
        self.real_registration()

    def _ask(self, method: str, path: str, host: str = "registry", **more: Any) -> requests.Response:
        self.sent += 1
        url = self._hosts[host] + path
        return requests.request(method, url, timeout=30, verify=self._verify, **more)

    def _with_key(self, method: str, path: str, **more: Any) -> requests.Response:
        return self._ask(method, path, headers={"Authorization": f"Bearer {self._key}"}, **more)

    def infrastructure(self) -> None:
        """9.1: eleven checks, three of them by the AWS CLI, and three times five samples of latency."""
        for host, paths in {
            "auth": ("/", "/health"),
            "registry": ("/", "/health"),
            "api": ("/health",),
        }.items():
            for path in paths:
                self._ask("GET", path, host)
        for service in ("auth", "gateway", "mlflow"):
            self._describe(service)
        for path in ("/api/mlflow/health", "/api/mlflow/version", f"{API}/experiments/search"):
            self._ask("GET", path)
        for host in ("auth", "registry", "api"):
            for _ in range(5):
                self._ask("GET", "/health", host)

    def _describe(self, service: str) -> None:
        """``aws ecs describe-services``, a process each."""
        if self._aws is None:
            return
        self.aws_calls += 1
        which = ["--cluster", self._aws.cluster or "", "--services", self._aws.services[service]]
        aws = str(Path(sys.executable).with_name("aws"))
        command = [aws, "ecs", "describe-services", "--region", self._aws.region, *which]
        endpoint = ["--endpoint-url", self._aws.endpoint_url] if self._aws.endpoint_url else []
        subprocess.run(
            [*command, *endpoint], env=dict(self._environment), capture_output=True, check=True, timeout=60
        )

    def authentication(self) -> None:
        """9.2: twenty that count; the last is up to twenty requests, until one is refused with 429."""
        search = f"{API}/experiments/search"
        self._with_key("GET", search)
        for value in (None, f"bearer {self._key}", f"Bearer{self._key}", f"Bearer  {self._key}"):
            self._ask("GET", search, headers={"Authorization": value} if value else {})
        for name in ("X-API-Key", "x-api-key", "X-API-KEY", "X-Api-Key"):
            self._ask("GET", search, headers={name: self._key})
        self._ask("GET", "/health", "auth")
        self._with_key("GET", "/api/experiments")
        for number in range(6):
            self._ask("GET", search, headers={"Authorization": f"Bearer hk_test_invalid_{number}"})
        for _ in range(2):  # the first request, and the one that was to come from the cache
            self._with_key("GET", search)
        for _ in range(20):
            if self._with_key("GET", search).status_code == 429:
                break

    def registration(self) -> None:
        """9.3: stages 2 to 6. The model is refused (tags as an object), so that stage 5 is never tried."""
        name = f"old-suite-{os.urandom(4).hex()}"
        made = self._with_key("POST", f"{API}/experiments/create", json={"name": name})
        self._with_key("POST", f"{API}/experiments/search", json={"max_results": 5})
        run_id = self._new_run(str(made.json().get("experiment_id", "0")))
        self._with_key("POST", f"{API}/registered-models/create", json={"name": name, "tags": {"a": "b"}})
        store = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts"
        self._with_key("POST", f"{store}/{run_id}/model.pkl", files={"file": b"model"})

    def _new_run(self, experiment: str) -> str:
        """A run with a metric, a parameter and its last status."""
        moment = int(time.time() * 1000)
        made = self._with_key(
            "POST", f"{API}/runs/create", json={"experiment_id": experiment, "start_time": moment}
        )
        run_id = str(made.json()["run"]["info"]["run_id"])
        metric: Json = {"run_id": run_id, "key": "accuracy", "value": 0.9, "timestamp": moment}
        self._with_key("POST", f"{API}/runs/log-metric", json=metric)
        self._with_key("POST", f"{API}/runs/log-parameter", json={"run_id": run_id, "key": "a", "value": "b"})
        self._with_key("POST", f"{API}/runs/update", json={"run_id": run_id, "status": "FINISHED"})
        return run_id

    def endpoints(self) -> None:
        """9.4: eleven paths, any status but 404 being good enough."""
        calls = ("experiments/search", "runs/create", "model-versions/create", "experiments/get-by-name")
        for path in (
            *(f"{API}/{call}" for call in calls), "/api/models/register", "/api/models", "/api/health",
            "/api/health/mlflow", "/api/health/mlflow/detailed", "/api/2.0/mlflow/experiments/search",
            "/mlflow/api/2.0/mlflow/experiments/search",
        ):  # fmt: skip
            self._with_key("GET", path)

    def routing(self, host: str) -> None:
        """9.5: five results, the fourth of which is a registration without tags."""
        self._ask("GET", "/mlflow/health/mlflow", host)
        for prefix in ("/mlflow", "/api/mlflow"):
            self._with_key("GET", f"{prefix}/api/2.0/mlflow/experiments/search", params={"max_results": 1})
        self._with_key("GET", f"{API}/registered-models/search")
        name = f"old-suite-{os.urandom(4).hex()}"
        made = self._with_key("POST", f"{API}/experiments/create", json={"name": name})
        started: Json = {"experiment_id": made.json()["experiment_id"], "start_time": int(time.time() * 1000)}
        found = self._with_key("POST", f"{API}/runs/create", json=started)
        metric: Json = {
            "run_id": found.json()["run"]["info"]["run_id"],
            "key": "m",
            "value": 1.0,
            "timestamp": 0,
        }
        self._with_key("POST", f"{API}/runs/log-metric", json=metric)
        self._with_key("POST", f"{API}/registered-models/create", json={"name": name})
        self._with_key("GET", "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/no/such/artifact")

    def health(self) -> None:
        """9.6: three paths, two of which never existed."""
        for path in ("/mlflow/health/mlflow", "/mlflow/health/mlflow/detailed", "/health"):
            self._ask("GET", path)

    def real_registration(self) -> None:
        """9.7, the eighth: a search without max_results, then the other prefix, where its client gives up."""
        self._with_key("GET", f"{API}/experiments/search")
        self._with_key("GET", "/mlflow/api/2.0/mlflow/experiments/search")


@contextmanager
def resolved(found: Mapping[str, str]) -> Iterator[None]:
    """Names that the sandbox's own resolver knows, for libraries that ask the system's."""
    lookup: Callable[..., Any] = socket.getaddrinfo

    def told(host: Any, *arguments: Any, **more: Any) -> Any:
        return lookup(found.get(host, host), *arguments, **more)

    socket.getaddrinfo = told
    try:
        yield
    finally:
        socket.getaddrinfo = lookup


def measured(runs: int) -> Part:
    """By turns on one warm sandbox: the old scripts, this tool as it looks, and as it writes too."""
    old: list[float] = []
    ours: dict[str, list[float]] = {"read": [], "all": []}
    sent = {"old": 0, "aws": 0, "read": 0, "all": 0}
    with sandbox.start("healthy") as box:
        environment = {**bare_environment(), **box.environment}
        target = config.load(str(box.target_file), environment)
        reading = target.model_copy(update={"allow": target.allow.model_copy(update={"classes": ("read",)})})
        run(target, environment=environment)
        for _ in range(runs):
            suite = OldSuite(target, environment[target.key.env], environment)
            with resolved(addresses(target, "auth", "registry", "api")):
                began = time.perf_counter()
                suite.run()
                old.append(time.perf_counter() - began)
            sent |= {"old": suite.sent, "aws": suite.aws_calls}
            for name, one in (("read", reading), ("all", target)):
                report = run(one, environment=environment)
                ours[name].append(report.duration_s)
                sent[name] = report.requests_sent
    return _part(old, ours, sent)


def _part(old: list[float], ours: Mapping[str, list[float]], sent: Mapping[str, int]) -> Part:
    least = statistics.median(old)
    named = {"read": "A run of class read", "all": "A run of all classes"}
    return Part(
        "old-suite",
        "Beside the scripts that came before",
        (
            Row(f"Their requests: {sent['old']}, and {sent['aws']} of the AWS CLI", spread(old)),
            *(
                Row(
                    f"{named[name]}: {sent[name]} requests",
                    spread(seconds),
                    "theirs",
                    statistics.median(seconds) / least,
                )
                for name, seconds in ours.items()
            ),
        ),
        (LEFT_OUT, "They asked one thing after the other, a connection for each; a run up to six at a time."),
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps([row._asdict() for row in measured(1).rows], indent=2) + "\n")
