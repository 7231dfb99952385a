"""MLflow: the real server behind the real gateway, the load balancer, DNS and TLS."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime
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

from hokusai_probe.sandbox import postgres
from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.database import Database, StorePlaces
from hokusai_probe.sandbox.dns import DnsServer
from hokusai_probe.sandbox.faults import Fault, write_table
from hokusai_probe.sandbox.health import HealthChecks
from hokusai_probe.sandbox.load_balancer import LoadBalancer
from hokusai_probe.sandbox.postgres import Postgres
from hokusai_probe.sandbox.services import mlflow, mlflow_way
from hokusai_probe.sandbox.services.mlflow import cache_directory, server_environment
from hokusai_probe.sandbox.services.settings import SettingsError
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
    full = server_environment(task)
    assert {name: value for name, value in full.items() if name.startswith("_MLFLOW_S")} == {
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_FILE_STORE": "sqlite:////s/m.db",
        "_MLFLOW_SERVER_REGISTRY_STORE": "sqlite:////s/m.db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "s3://bucket/b",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "s3://bucket/a",
        "_MLFLOW_STATIC_PREFIX": "/mlflow",
    }
    bare = server_environment({})
    assert bare["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] == "./mlartifacts"
    assert "_MLFLOW_SERVER_FILE_STORE" not in bare
    for off in (
        server_environment({"MLFLOW_SERVE_ARTIFACTS": "false"}),
        server_environment({}, frozenset({"artifacts-disabled"})),
    ):
        assert "_MLFLOW_SERVER_SERVE_ARTIFACTS" not in off


@pytest.mark.parametrize(
    ("store", "secrets", "used"),
    [
        ("postgresql://mlflow@db:5432/m", {"DB_PASSWORD": "a/b"}, "postgresql://mlflow:a%2Fb@db:5432/m"),
        ("postgresql://mlflow:own@db/m", {"DB_PASSWORD": "other"}, "postgresql://mlflow:own@db/m"),
        ("postgresql://mlflow@db/m", {}, "postgresql://mlflow@db/m"),
    ],
)
def test_the_password_of_the_database(store: str, secrets: dict[str, str], used: str) -> None:
    """A URI without a password takes the secret's, escaped; one that has its own keeps it."""
    found = server_environment({"BACKEND_STORE_URI": store} | secrets)
    assert found["_MLFLOW_SERVER_FILE_STORE"] == found["_MLFLOW_SERVER_REGISTRY_STORE"] == used


@pytest.mark.parametrize(
    ("address", "door"),
    [
        ("127.1.2.30", "127.1.2.31"),
        ("127.1.2.25", "127.1.2.25"),
        ("127.9.9.30", "127.9.9.30"),
        ("10.0.1.173", "127.1.2.32"),
        ("2001:db8::1", "127.1.2.32"),
    ],
)
def test_where_mlflows_connections_go(address: str, door: str) -> None:
    """To the database by MLflow's own door; never out of loopback."""
    assert mlflow_way.door(address, "127.1.2.40") == door


@asynchronous
async def test_names_lead_where_dns_says(tmp_path: Path) -> None:
    """Each look-up asks the sandbox's DNS anew; faults of the edge change names for MLflow alone."""
    net, faults, plane = network(), tmp_path / "faults.json", FakePlane()
    names = DnsServer(f"{net}.10", plane, faults)
    way = mlflow_way.Way(f"{net}.40", faults, 10.0)
    waiting = asyncio.create_task(asyncio.to_thread(address, way, "db.z.test"))
    plane.names = {"db.z.test": [f"{net}.30"], "other.test": ["10.1.2.3"]}
    mlflow_way.write(faults, (f"{net}.10", await names.start()))
    asked = ("db.z.test", "other.test", "none.test", "localhost", "10.0.1.173")
    plain = [await waiting, *[await asyncio.to_thread(address, way, host) for host in asked[1:]]]
    told = []
    for do in ({"nxdomain": True}, {"address": "127.0.0.9"}):
        fault = {"edge": "mlflow->database", "match": {"host": "db.*"}, "do": do}
        write_table(faults, [Fault.model_validate(fault)])
        told.append([await asyncio.to_thread(address, way, host) for host in asked[:2]])
    await names.close()
    assert plain == [f"{net}.30", "10.1.2.3", "none.test is unknown", f"{net}.40", "10.0.1.173"]
    assert told == [["db.z.test is unknown", "10.1.2.3"], ["127.0.0.9", "10.1.2.3"]]
    assert (way.connect_timeout_s, mlflow_way.Way("127.1.2.3", faults, 200.0).connect_timeout_s) == (13, 2)


def address(way: mlflow_way.Way, host: str) -> str:
    """What a host leads to, or that it does not."""
    try:
        return way.address(host)
    except mlflow_way.NameUnknownError:
        return f"{host} is unknown"


@pytest.mark.parametrize("text", ["[1]", "no JSON"])
def test_secrets_that_are_none(text: str, tmp_path: Path) -> None:
    """A file of secrets that holds no object is refused in a sentence that names it; no file is no secret."""
    path = tmp_path / "secrets.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"SANDBOX_SECRETS names .*, which holds no JSON object"):
        mlflow.secrets_of({"SANDBOX_SECRETS": str(path)})
    assert mlflow.secrets_of({"SANDBOX_SECRETS": str(tmp_path / "none")}) == {}


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


@asynchronous
async def test_what_is_on_the_task_disk_goes_with_the_task(tmp_path: Path) -> None:
    """Without a store and a destination MLflow is well, takes everything, and has lost it at the next start.

    The artifact root in S3 changes nothing for what comes through the proxy (contract 4.2).
    """
    bind = (f"{network()}.42", 5000)
    settings = {
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{bind[0]}:5000",
        "DEFAULT_ARTIFACT_ROOT": "s3://bucket/artifacts",
    }
    api = f"http://{bind[0]}:5000/mlflow/api/2.0"
    seen = []
    for _ in range(2):
        with Service("mlflow", tmp_path, bind, **settings) as process:
            await asyncio.to_thread(process.wait)
            async with aiohttp.ClientSession() as session:
                seen.append([await ask(session, *each) for each in on_disk(api)])
    assert [[status for status, _ in each] for each in seen] == [[200, 404, 200, 200, 200]] * 2
    roots = [json.loads(each[2][1])["experiment"]["artifact_location"] for each in seen]
    assert all(root.startswith("s3://bucket/artifacts/") for root in roots)


def on_disk(api: str) -> list[tuple[str, str, dict[str, object]]]:
    """Make an experiment and an artifact that may not be there yet, and read both back."""
    artifact, name = f"{api}/mlflow-artifacts/artifacts/1/a", {"name": "kept?"}
    return [
        ("POST", f"{api}/mlflow/experiments/create", {"json": name}),
        ("GET", artifact, {}),
        ("GET", f"{api}/mlflow/experiments/get-by-name?experiment_name=kept?", {}),
        ("PUT", artifact, {"data": b"a"}),
        ("GET", artifact, {}),
    ]


async def ask(
    session: aiohttp.ClientSession, method: str, url: str, parts: dict[str, object]
) -> tuple[int, str]:
    """Status and body."""
    async with session.request(method, url, **parts) as answer:
        return answer.status, await answer.text()


@asynchronous
async def test_mlflow_on_postgres_over_tls(tmp_path: Path) -> None:
    """With a wrong password nothing listens and libpq's words are in the log; with the right one all is well.

    MLFLOW_MTLS_ENABLED puts TLS on the port, with a certificate of the sandbox's authority.
    """
    async with store(tmp_path) as (net, settings):
        bind, words = (f"{net}.42", 5000), 'password authentication failed for user "mlflow"'
        with Service("mlflow", tmp_path, bind, **settings, DB_PASSWORD="hk_test_old") as process:
            await asyncio.to_thread(until, lambda: words in process.log)
            refused = await asyncio.to_thread(listens, bind)
        with Service("mlflow", tmp_path, bind, **settings, **secret(tmp_path)) as process:
            await asyncio.to_thread(process.wait)
            tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
            url = f"https://{bind[0]}:5000/mlflow/api/2.0/mlflow/experiments/search?max_results=9"
            async with aiohttp.ClientSession() as session:
                parts = {"ssl": tls, "server_hostname": "mlflow.z.local"}
                status, body = await ask(session, "GET", url, parts)
    assert not refused
    assert f'connection to server at "{net}.30", port 5432 failed: FATAL' in process.log
    assert (status, [one["name"] for one in json.loads(body)["experiments"]]) == (200, ["Default"])


@asynccontextmanager
async def store(directory: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A database with MLflow's tables, DNS and certificates; gives the network and MLflow's variables."""
    net, faults, plane = network(), directory / "faults.json", FakePlane()
    (directory / "certificates").mkdir()
    authority = Authority(directory / "ca.pem", datetime.now(UTC))
    authority.write("mlflow.z.local", directory / "certificates", "mlflow")
    plane.names = {"db.z.test": [f"{net}.30"]}
    names = DnsServer(f"{net}.10", plane, faults)
    mlflow_way.write(faults, (f"{net}.10", await names.start()))
    settings = {
        "BACKEND_STORE_URI": "postgresql://mlflow@db.z.test:5432/mlflow_db",
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
        "MLFLOW_MTLS_ENABLED": "true",
        "SANDBOX_FAULTS": str(faults),
        "SANDBOX_CA": str(directory / "ca.pem"),
    }
    async with AsyncExitStack() as stack:
        copied = await asyncio.to_thread(postgres.template, cache_directory(), with_mlflow=True)
        place = stack.enter_context(postgres.private_directory())
        server = Postgres(copied, place, directory / "database.log")
        server.start()
        stack.push_async_callback(names.close)
        places = StorePlaces(net, "db.z.test", faults, directory / "network.json", 10.0)
        await Database(server, places, {}).start(stack)
        yield net, settings


def secret(directory: Path) -> dict[str, str]:
    """The right password as the task's secret."""
    path = directory / "secrets.json"
    path.write_text('{"DB_PASSWORD": "hk_test_database_mlflow"}')
    return {"SANDBOX_SECRETS": str(path)}


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listens(address: tuple[str, int]) -> bool:
    """Whether somebody does."""
    with socket.socket() as client:
        return client.connect_ex(address) == 0


async def plainly(session: aiohttp.ClientSession, where: str, host: str) -> tuple[int, str]:
    """Status and body of a GET under a Host of one's choice."""
    async with session.get(where, headers={"Host": host}) as answer:
        return answer.status, await answer.text()


def test_a_server_that_comes_too_late_makes_no_directory_anew(tmp_path: Path) -> None:
    """Its sandbox is gone, with all its files: whatever it made would be nobody's to remove."""
    gone = tmp_path / "sandbox" / "state" / "mlflow"

    with pytest.raises(FileNotFoundError):
        mlflow.prepare_database(f"sqlite:///{gone}/mlflow.db", tmp_path)
    with pytest.raises(FileNotFoundError):
        mlflow._enter_disk(gone)
    assert list(tmp_path.iterdir()) == []
