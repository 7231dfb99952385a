"""The database of one sandbox: the RDS instance that the control plane knows, and the server behind it.

Every sandbox has a real Postgres, because the gateway looks at it also where MLflow keeps its data in sqlite.
The control plane decides (`Database.follow`): an instance that is stopped is shut down and its packets
vanish, one that is deleted loses its name, a new master password is the server's (ModifyDBInstance), and
``max_connections`` of its parameter group holds from the next reboot or start on, as RDS has it for static
parameters ("Working with parameter groups", RDS user guide).

There are three doors: one for the gateway and everybody else, one for MLflow, whose way leads there alone
(`services.mlflow`): libpq cannot choose the address it connects from, and each way has its own faults. The
third is for a prober in the VPC (`network.CLIENT_VPN`).
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hokusai_probe.sandbox.blackhole import BlackHole
from hokusai_probe.sandbox.database_front import Door, Engine, Facts, condition_of
from hokusai_probe.sandbox.faults import FaultTable
from hokusai_probe.sandbox.identity import DATABASE_PORT, REGION
from hokusai_probe.sandbox.network import CLIENT_VPN, NetworkView
from hokusai_probe.sandbox.postgres import DEFAULT_MAX_CONNECTIONS, Postgres, PostgresBrokenError
from hokusai_probe.sandbox.services.mlflow_way import DATABASE_HOST, DOOR_HOST, NOWHERE_HOST

if TYPE_CHECKING:
    from moto.rds.models import DBInstance

PROBER_DATABASE_HOST = 33
"""Where a prober in the VPC finds the database."""

PROBER_EDGE = "client->database"
_MASTER = "mlflow"
_RUNNING = frozenset(
    {
        "available", "backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth",
        "configuring-log-exports", "maintenance", "modifying", "moving-to-vpc", "renaming",
        "resetting-master-credentials", "storage-config-upgrade", "storage-initialization",
        "storage-optimization", "upgrading",
    }
)  # fmt: skip
"""The states in which an instance answers ("Viewing Amazon RDS DB instance status", RDS user guide)."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What the control plane says of the instance.

    Attributes:
        host: The name of its endpoint.
        status: In the words of DescribeDBInstances.
        password: The master user's.
        max_connections: Of its parameter group.
        reboots: How often it was rebooted.

    """

    host: str
    status: str
    password: str
    max_connections: int
    reboots: int

    @property
    def runs(self) -> bool:
        """Whether its server is to run."""
        return self.status in _RUNNING


class Instances:
    """Reads the control plane's database instance, and has its reboots counted: moto's do nothing."""

    def __init__(self, account: str, identifier: str) -> None:
        from moto.rds.models import RDSBackend, rds_backends

        self._backend: Any = rds_backends[account][REGION]
        self._identifier = identifier
        self._known: DBInstance | None = None
        self._reboots = 0
        answered = RDSBackend.reboot_db_instance

        def reboot(backend: Any, db_instance_identifier: str) -> "DBInstance":
            found = answered(backend, db_instance_identifier)
            self._reboots += found is self._known
            return found

        RDSBackend.reboot_db_instance = reboot  # type: ignore[method-assign,assignment]

    def read(self) -> Instance | None:
        """The instance as it is, also under a new name; None when it was deleted or is not there yet."""
        databases = self._backend.databases
        if self._known is None:
            self._known = databases.get(self._identifier)
        if self._known is None or not any(one is self._known for one in list(databases.values())):
            return None
        found = self._known
        return Instance(
            host=found.address.lower(),
            status=str(found.status),
            password=str(found._master_user_password),  # noqa: SLF001 - what AWS shows nobody
            max_connections=self._max_connections(found),
            reboots=self._reboots,
        )

    def _max_connections(self, found: "DBInstance") -> int:
        group = self._backend.db_parameter_groups.get(found.db_parameter_group_name or "")
        value = group.parameters.get("max_connections", {}).get("ParameterValue", "") if group else ""
        return int(value) if str(value).isdecimal() else DEFAULT_MAX_CONNECTIONS


@dataclass(frozen=True, slots=True)
class StorePlaces:
    """Where a store is and what it is told.

    Attributes:
        network: The sandbox's network, ``127.A.B``.
        host: The name of the endpoint at the start.
        faults: The fault table.
        decisions: What the network lets through.
        time_scale: How many times faster than the platform.

    """

    network: str
    host: str
    faults: Path
    decisions: Path
    time_scale: float


class Database:
    """The database.

    Args:
        postgres: Its server, started.
        places: Where it is.
        addresses: The names that the DNS server knows beside the control plane's; kept in step.

    """

    def __init__(self, postgres: Postgres, places: StorePlaces, addresses: dict[str, str]) -> None:
        self._postgres = postgres
        self._places = places
        self._addresses = addresses
        self._view = NetworkView(places.decisions)
        self._others = self._door(DATABASE_HOST, "gateway->database")
        self._mlflows = self._door(DOOR_HOST, "mlflow->database")
        self._probers = self._door(PROBER_DATABASE_HOST, PROBER_EDGE)
        self._nowhere = BlackHole()
        self._read: Callable[[], Instance | None] | None = None
        self._instance: Instance | None = None
        self._is_there = True
        self._engine: Engine = "up"
        self._name = places.host.lower()

    def _door(self, host: int, edge: str) -> Door:
        places = self._places
        return Door(
            f"{places.network}.{host}",
            DATABASE_PORT,
            edge,
            places.host,
            self._postgres.socket,
            FaultTable(places.faults),
            places.time_scale,
        )

    async def start(self, stack: AsyncExitStack) -> None:
        """Open the doors as soon as the server answers; the name leads there from then on.

        Raises:
            PostgresBrokenError: The server does not come up.

        """
        stack.push_async_callback(self._close)
        await asyncio.to_thread(self._postgres.wait)
        self._nowhere.open(f"{self._places.network}.{NOWHERE_HOST}", DATABASE_PORT)
        self._addresses[self._name] = self._others.address
        await self._show()

    def watch(self, read: Callable[[], Instance | None]) -> None:
        """Follow the control plane's instance from now on."""
        self._instance = read()
        self._read = read

    async def follow(self) -> None:
        """Do what the control plane says, and open or shut the doors as it follows from everything."""
        if self._read is not None:
            found = self._read()
            if found != self._instance:
                await asyncio.to_thread(self._obey, self._instance, found)
                self._instance = found
        if self._engine == "up" and self._is_there and not self._postgres.alive:
            self._engine = "down"
        await self._show()

    async def _show(self) -> None:
        denied = self._view.dropped(_MASTER, self._others.address, DATABASE_PORT)
        barred = self._view.dropped(CLIENT_VPN, self._others.address, DATABASE_PORT)
        await self._others.show(condition_of(self._facts(self._others, dropped=False)))
        await self._mlflows.show(condition_of(self._facts(self._mlflows, dropped=denied)))
        await self._probers.show(condition_of(self._facts(self._probers, dropped=barred)))

    def _facts(self, door: Door, *, dropped: bool) -> Facts:
        return Facts(self._is_there, self._engine, door.standing(), dropped)

    def _obey(self, before: Instance | None, now: Instance | None) -> None:
        self._rename(now)
        runs = now is not None and now.runs
        if not runs:
            self._postgres.stop()
        elif now is not None and (not self._is_there or before is None or before.reboots != now.reboots):
            self._start_anew(now.max_connections)
        self._is_there = runs
        if before and now and runs and before.password != now.password:
            self._postgres.set_password(_MASTER, now.password)

    def _rename(self, now: Instance | None) -> None:
        self._addresses.pop(self._name, None)
        if now is not None:
            self._name = now.host
            self._addresses[self._name] = self._others.address

    def _start_anew(self, max_connections: int) -> None:
        """Settings that the server does not accept leave it down, as RDS's incompatible-parameters does."""
        self._postgres.stop()
        self._postgres.start(max_connections)
        try:
            self._postgres.wait()
        except PostgresBrokenError:
            self._engine = "down"
        else:
            self._engine = "up"

    # What scenario steps ask for

    @property
    def stopped(self) -> bool:
        """Whether the control plane says that it is stopped."""
        found = self._read() if self._read else None
        return found is not None and found.status == "stopped"

    def crash(self) -> None:
        """Have the server die; it stays dead until `restart`, and the control plane says nothing of it."""
        self._postgres.kill()
        self._engine = "down"

    def hang(self) -> None:
        """Freeze it: connects succeed, nothing is answered."""
        self._engine = "hanging"

    def restart(self) -> None:
        """Start it again, whatever became of it, unless the control plane says that it is stopped."""
        if self._is_there:
            self._start_anew(self._instance.max_connections if self._instance else DEFAULT_MAX_CONNECTIONS)

    async def _close(self) -> None:
        await self._others.close()
        await self._mlflows.close()
        await self._probers.close()
        self._nowhere.close()
        self._postgres.kill()
