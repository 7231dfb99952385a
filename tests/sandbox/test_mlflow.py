"""MLflow: the real server behind the real gateway, the load balancer, DNS and TLS."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from itertools import product
from pathlib import Path

import aiohttp
import pytest
from data_side import (
    FakePlane,
    Service,
    asynchronous,
    certificate,
    default,
    forward,
    group,
    network,
    path,
    rule,
)

from hokusai_probe.sandbox.dns import DnsServer
from hokusai_probe.sandbox.health import HealthChecks
from hokusai_probe.sandbox.load_balancer import LoadBalancer
from hokusai_probe.sandbox.services import mlflow
from hokusai_probe.sandbox.services.mlflow import server_environment
from hokusai_probe.sandbox.state import Condition, Health, Listener

KEYS = [
    {"key": "hk_test_good", "user_id": "u1", "scopes": ["model:read", "model:write"]},
    {"key": "hk_test_reader", "user_id": "u2", "scopes": ["model:read"]},
]
ARTIFACT = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/1/x/model.bin"


def test_the_private_variables_follow_the_task_definition() -> None:
    """Each of the contract's variables has its private counterpart; artifacts can be switched off."""
    task = {
        "BACKEND_STORE_URI": "sqlite:////s/m.db",
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        "DEFAULT_ARTIFACT_ROOT": "s3://bucket/a",
        "ARTIFACTS_DESTINATION": "s3://bucket/b",
    }
    full = server_environment(task, Path("/s"))
    assert {name: value for name, value in full.items() if name.startswith("_MLFLOW_S")} == {
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_FILE_STORE": "sqlite:////s/m.db",
        "_MLFLOW_SERVER_REGISTRY_STORE": "sqlite:////s/m.db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "s3://bucket/b",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "s3://bucket/a",
        "_MLFLOW_STATIC_PREFIX": "/mlflow",
    }
    bare = server_environment({}, Path("/s"))
    assert bare["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] == "file:///s/mlartifacts"
    for off in (
        server_environment({"MLFLOW_SERVE_ARTIFACTS": "false"}, Path("/s")),
        server_environment({}, Path("/s"), frozenset({"artifacts-disabled"})),
    ):
        assert "_MLFLOW_SERVER_SERVE_ARTIFACTS" not in off


def test_the_template_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts at the same time and later ones share one migrated database."""
    made = []

    def migrate(path: Path) -> None:
        made.append(path)
        time.sleep(0.1)
        path.write_bytes(b"migrated")

    monkeypatch.setattr(mlflow, "_migrate", migrate)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(mlflow.template, [tmp_path] * 4))
    assert made == [paths[0]]
    assert paths == [mlflow.template(tmp_path)] * 4
    assert paths[0].read_bytes() == b"migrated"


class Platform:
    """A platform in miniature and a client of its registry host."""

    def __init__(self, directory: Path) -> None:
        self.net = network()
        self.directory = directory
        self.plane = FakePlane(idle_s=6.0, connect_s=1.0)
        self.ends: dict[str, int] = {}

    async def ask(
        self, method: str, where: str, key: str | None = "hk_test_good", **parts: object
    ) -> tuple[int, str, bytes]:
        """Status, content type and body, over HTTPS."""
        host = f"registry.z.test:{self.ends['registry']}"
        headers = {"Host": host} | ({"Authorization": f"Bearer {key}"} if key else {})
        tls = ssl.create_default_context(cafile=self.directory / "ca.pem")
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                f"https://{self.net}.3:{self.ends['registry']}{where}",
                headers=headers,
                ssl=tls,
                server_hostname="registry.z.test",
                **parts,
            ) as answer,
        ):
            return answer.status, answer.headers.get("Content-Type", ""), await answer.read()

    def processes(self, resolver: tuple[str, int]) -> list[Service]:
        """The four services, not started."""
        directory, net = self.directory, self.net
        (directory / "keys.json").write_text(json.dumps(KEYS))
        common = {
            "SANDBOX_RESOLVER": f"{resolver[0]}:{resolver[1]}",
            "SANDBOX_CA": str(directory / "ca.pem"),
            "SANDBOX_FAULTS": str(directory / "faults.json"),
            "SANDBOX_TIME_SCALE": "3",  # a busy machine must not look like a slow platform
        }
        gateway = {
            "MLFLOW_SERVER_URL": "http://mlflow.z.local:5000/mlflow",
            "HOKUSAI_AUTH_SERVICE_URL": f"https://auth.z.test:{self.ends['auth']}",
            "REDIS_URL": f"redis://{net}.25:6379",
        }
        store = {
            "BACKEND_STORE_URI": f"sqlite:///{directory}/mlflow.db",
            "MLFLOW_STATIC_PREFIX": "/mlflow",
            "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow.z.local:5000",
        }
        keys = str(directory / "keys.json")
        return [
            Service("mlflow", directory, (f"{net}.42", 5000), **store, **common),
            Service("cache", directory, (f"{net}.25", 6379)),
            Service("auth", directory, (f"{net}.40", 8000), SANDBOX_KEYS=keys, **common),
            Service("gateway", directory, (f"{net}.41", 8001), **gateway, **common),
        ]


@asynccontextmanager
async def platform(directory: Path) -> AsyncIterator[tuple[Platform, HealthChecks]]:
    """Everything of the data side, started and settled."""
    box = Platform(directory)
    net, plane, table = box.net, box.plane, directory / "faults.json"
    _, plane.certificates["c"] = certificate(directory, "auth.z.test", "registry.z.test")
    plane.names = {"auth.z.test": [f"{net}.2"], "mlflow.z.local": [f"{net}.42"]}
    plane.groups = [
        group("auth", (f"{net}.40", 8000), service="auth", health_timeout_s=3.0),
        group("gateway", (f"{net}.41", 8001), service="gateway", health_timeout_s=3.0),
        group(
            "mlflow",
            (f"{net}.42", 5000),
            service="mlflow",
            health_path="/mlflow/health",
            health_timeout_s=3.0,
        ),
    ]
    inside = Condition("source-ip", ("10.0.0.0/8",))
    registry = (
        rule(100, forward("mlflow"), path("/mlflow", "/mlflow/*"), inside),
        rule(110, forward("gateway"), path("/api/mlflow/*")),
        default(forward("gateway")),
    )
    plane.listening = [
        Listener("a", "auth", 443, "HTTPS", (default(forward("auth")),), "c"),
        Listener("r", "registry", 443, "HTTPS", registry, "c"),
    ]
    server = DnsServer(f"{net}.10", plane, table)
    resolver = (f"{net}.10", await server.start())
    checks = HealthChecks(plane, table, resolver, 10.0)
    balancers = [
        LoadBalancer(name, f"{net}.{number}", plane, table, resolver, 10.0, checks.results)
        for name, number in (("auth", 2), ("registry", 3))
    ]
    for balancer in balancers:
        box.ends[balancer.name] = (await balancer.start())[443].port
    with ExitStack() as stack:
        services = [stack.enter_context(each) for each in box.processes(resolver)]
        for each in services:
            await asyncio.to_thread(each.wait)
        await checks.settle()
        yield box, checks
    for balancer in balancers:
        await balancer.close()
    await checks.close()
    await server.close()


@asynchronous
async def test_a_model_goes_all_the_way_to_a_real_mlflow(tmp_path: Path) -> None:
    """Reading and writing, REST and artifacts, with a key, without one and with one that may only read."""
    async with platform(tmp_path) as (box, checks):
        health = {arn: state for (arn, _, _), state in checks.results.items()}
        status, _, body = await box.ask("GET", "/health", None)
        search = "/api/2.0/mlflow/experiments/search?max_results=1"
        found = [
            (await box.ask("GET", mount))[0] for mount in (f"/api/mlflow{search}", f"/mlflow{search}", search)
        ]
        without = await box.ask("GET", f"/api/mlflow{search}", None)
        create = "/api/mlflow/api/2.0/mlflow/registered-models/create"
        made = await box.ask("POST", create, json={"name": "m"})
        denied = await box.ask("POST", create, "hk_test_reader", json={"name": "n"})
        again = await box.ask("POST", create, json={"name": "m"})
        content = bytes(range(256)) * 4096
        put = await box.ask("PUT", ARTIFACT, data=content)
        got = await box.ask("GET", ARTIFACT, "hk_test_reader")
        absent = await box.ask("GET", ARTIFACT + ".none")
        wrong = await box.ask("GET", "/api/mlflow/health/mlflow")
    assert health == dict.fromkeys(("auth", "gateway", "mlflow"), Health("healthy"))
    assert (status, json.loads(body)["services"]["mlflow"]) == (200, "healthy")
    assert found == [200, 200, 200]
    assert without == (401, "application/json", b'{"detail":"API key required"}')
    assert (made[0], again[0]) == (200, 400)
    assert json.loads(again[2])["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert (denied[0], json.loads(denied[2])["error"]) == (403, "FORBIDDEN")
    assert put == (200, "application/json", b"{}")
    assert (got[0], got[2]) == (200, content)
    assert (absent[0], json.loads(absent[2])["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert (wrong[0], json.loads(wrong[2])) == (
        404,
        {
            "error_code": "RESOURCE_NOT_FOUND",
            "message": "The requested resource was not found: /health/mlflow",
        },
    )


@asynchronous
async def test_what_a_misconfigured_mlflow_says(tmp_path: Path) -> None:
    """The real server's own words for artifacts switched off and for a Host that it does not know."""
    bind = (f"{network()}.42", 5000)
    settings = {
        "BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow.z.local:5000",
        "SANDBOX_BEHAVIOURS": "artifacts-disabled",
    }
    artifact = "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a"
    search = "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"
    asks = list(product(("mlflow.z.local:5000", "other:5000"), (artifact, search, "/mlflow/health")))
    with Service("mlflow", tmp_path, bind, **settings) as process:
        await asyncio.to_thread(process.wait)
        async with aiohttp.ClientSession(f"http://{bind[0]}:5000") as session:
            seen = [await plainly(session, where, host) for host, where in asks]
    assert [status for status, _ in seen] == [503, 200, 200, 403, 403, 200]
    assert "--serve-artifacts" in seen[0][1]
    assert seen[3][1] == seen[4][1] == "Invalid Host header - possible DNS rebinding attack detected"


async def plainly(session: aiohttp.ClientSession, where: str, host: str) -> tuple[int, str]:
    """Status and body of a GET under a Host of one's choice."""
    async with session.get(where, headers={"Host": host}) as answer:
        return answer.status, await answer.text()
