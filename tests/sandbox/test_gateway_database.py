"""The gateway and its database: the driver's words, three attempts, the fallback, the health endpoints."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from data_side import NOBODY, asynchronous, network, raw_target
from gateway_side import Around, database, gateway

from hokusai_probe.sandbox.blackhole import BlackHole
from hokusai_probe.sandbox.faults import Do, Fault, FaultTable, write_table
from hokusai_probe.sandbox.services.gateway_database import Database, DatabaseCheck, DatabaseSettings
from hokusai_probe.sandbox.services.gateway_health import overall
from hokusai_probe.sandbox.services.settings import SettingsError
from hokusai_probe.sandbox.wire import Wire

SCALE = 50.0
SECRET = "hk_test_password"
REFUSED = "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?"


@asynccontextmanager
async def client(
    host: str, directory: Path, *, scale: float = SCALE, **settings: object
) -> AsyncIterator[Database]:
    """The gateway's database client, for a database mlflow_db on some host."""
    values: dict[str, object] = {
        "host": host,
        "port": 5432,
        "name": "mlflow_db",
        "fallback_name": "mlflow",
        "user": "mlflow",
        "password": SECRET,
    }
    wire = Wire(FaultTable(directory / "faults.json"), NOBODY, scale)
    async with wire:
        yield Database(DatabaseSettings(**(values | settings)), wire, scale)


def test_the_settings() -> None:
    """The task's variables, with the defaults of the platform's code; the password is not shown."""
    given = {"DB_HOST": "db", "DB_PORT": "1", "DB_NAME": "n", "DB_USER": "u", "DB_PASSWORD": SECRET}
    assert DatabaseSettings.read(given) == DatabaseSettings("db", 1, "n", "mlflow", "u", SECRET)
    assert DatabaseSettings.read({}) == DatabaseSettings(
        "localhost", 5432, "mlflow", "mlflow", "postgres", ""
    )
    assert SECRET not in repr(DatabaseSettings.read(given))


@pytest.mark.parametrize("port", ["many", "0", "65536", "-1"])
def test_a_port_that_is_none(port: str) -> None:
    """A sentence that names the variable."""
    with pytest.raises(SettingsError) as error:
        DatabaseSettings.read({"DB_PORT": port})
    assert str(error.value) == f"DB_PORT must be a port, not {port!r}"


@asynchronous
async def test_what_the_driver_says(tmp_path: Path) -> None:
    """Nothing when it is well; else the server's or libpq's own words, with host and user, no password."""
    ip = f"{network()}.30"
    prefix = f'connection failed: connection to server at "{ip}", port'
    async with (
        database(ip, "mlflow_db"),
        client(ip, tmp_path) as good,
        client(ip, tmp_path, name="mlflow") as name,
        client(ip, tmp_path, user="who") as user,
    ):
        said = [await one.look(1.0) for one in (good, name, user)]
    async with client(ip, tmp_path, port=5433) as refused:
        said.append(await refused.look(1.0))
    assert said == [
        None,
        f'{prefix} 5432 failed: FATAL:  database "mlflow" does not exist',
        f'{prefix} 5432 failed: FATAL:  role "who" does not exist',
        f"{prefix} 5433 failed: {REFUSED}",
    ]


@asynccontextmanager
async def silence(kind: str) -> AsyncIterator[tuple[str, int]]:
    """Where nobody answers."""
    ip = f"{network()}.30"
    if kind == "outside":
        yield "10.0.1.5", 5432
    elif kind == "black hole":
        with BlackHole() as hole:
            yield ip, hole.open(ip, 0)
    else:
        async with raw_target(ip, None) as port:
            yield ip, port


@pytest.mark.parametrize("kind", ["outside", "black hole", "says nothing"])
def test_a_database_that_does_not_answer(kind: str, tmp_path: Path) -> None:
    """Packets that vanish, a server that says nothing: the limit, then a timeout."""

    async def look() -> None:
        async with silence(kind) as (host, port), client(host, tmp_path, port=port) as lost:
            started = time.monotonic()
            said = await lost.look(0.2)
            took = time.monotonic() - started
        assert said == "connection timeout expired"
        assert 0.2 <= took < 1.0

    asynchronous(look)()


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (Do(nxdomain=True), "failed to resolve host '{ip}': [Errno -2] Name or service not known"),
        (
            Do(address="127.9.9.9"),
            f'connection failed: connection to server at "127.9.9.9", port 5432 failed: {REFUSED}',
        ),
    ],
)
def test_faults_of_the_databases_name(do: Do, expected: str, tmp_path: Path) -> None:
    """A name that is gone, and one that leads elsewhere."""

    async def look() -> None:
        ip = f"{network()}.30"
        write_table(tmp_path / "faults.json", [Fault(edge="gateway->database", do=do)])
        async with client(ip, tmp_path) as lost:
            assert await lost.look(1.0) == expected.format(ip=ip)

    asynchronous(look)()


@asynchronous
async def test_three_attempts_then_the_fallback(tmp_path: Path) -> None:
    """A database that comes up in time counts; one that is not known falls back; a dead one does not."""
    ip = f"{network()}.30"
    async with client(ip, tmp_path, scale=5.0) as patient:
        checking = asyncio.create_task(patient.check())
        await asyncio.sleep(0.05)
        async with database(ip, "mlflow_db"):
            late = await checking
    async with client(ip, tmp_path) as patient:
        dead = await patient.check()
        async with database(ip, "mlflow"):
            fallback = await patient.check()
        async with database(ip, "other"):
            nowhere = await patient.check()
    assert late == DatabaseCheck()
    assert dead.error is not None
    assert dead.error.startswith("Database connection failed after 3 attempts: connection failed: ")
    assert fallback == DatabaseCheck(warning="Connected to fallback database: mlflow")
    assert nowhere.error is not None
    assert nowhere.error.endswith('FATAL:  database "mlflow_db" does not exist')


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("healthy", "healthy"), "healthy"),
        (("healthy", "unhealthy"), "degraded"),
        (("unhealthy", "unhealthy"), "unhealthy"),
    ],
)
def test_the_overall_state(states: tuple[str, ...], expected: str) -> None:
    """Degraded as long as something is well."""
    assert overall({str(number): state for number, state in enumerate(states)}) == expected


@asynchronous
async def test_health_without_a_database(tmp_path: Path) -> None:
    """Degraded and 200; not ready, 503, with where it connects to and without the password (contract 5)."""
    variables = {"DB_PASSWORD": SECRET}
    async with gateway(tmp_path, "ready-200-when-not", time_scale=SCALE, variables=variables) as ask:
        health = await ask("GET", "/health", None)
        ready = await ask("GET", "/ready", None)
        host = f"{ask.around.net}.30"
    assert isinstance(health[1], dict)
    assert isinstance(ready[1], dict)
    checks = ready[1].pop("checks")
    error = checks[0].pop("error")
    assert (health[0], health[1]["status"], health[1]["services"]["postgres"]) == (
        200,
        "degraded",
        "unhealthy",
    )
    assert ready == (503, {"ready": False, "can_serve_traffic": False, "degraded_mode": False})
    assert checks == [
        {
            "name": "database",
            "passed": False,
            "critical": True,
            "connection_details": {
                "host": host,
                "port": 5432,
                "user": "mlflow",
                "primary_db": "mlflow_db",
                "fallback_db": "mlflow",
                "timeout": 5.0,
                "max_retries": 3,
            },
        },
        {"name": "mlflow", "passed": True, "error": None, "critical": False},
    ]
    assert "Connection refused" in error
    assert SECRET not in str((health, ready, error))


@asynchronous
async def test_ready_in_degraded_mode(tmp_path: Path) -> None:
    """Without MLflow alone the behaviour ready-200-when-not serves on, and says that it is not ready."""
    around = Around()
    async with (
        database(f"{around.net}.30", "mlflow_db"),
        gateway(
            tmp_path, "ready-200-when-not", around=around, mlflow_url="http://127.9.9.9:5000/mlflow"
        ) as ask,
    ):
        status, body = await ask("GET", "/ready", None)
    assert isinstance(body, dict)
    assert (status, [check["passed"] for check in body.pop("checks")], body) == (
        200,
        [True, False],
        {"ready": False, "can_serve_traffic": True, "degraded_mode": True},
    )
