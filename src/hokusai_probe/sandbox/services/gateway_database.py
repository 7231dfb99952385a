"""Whether the gateway's database can be reached, asked with the real driver.

Contract 6: a connect may take 5 s, three are tried with pauses between them, then the fallback name of the
database. Here the fallback is tried only where a server answered and does not know the first name: one that
cannot be reached has no other database either. Names come from the sandbox's resolver, and an address outside
the sandbox, or behind a security group that does not admit the gateway, costs the timeout.

What is wrong is said in the driver's own words, which name host, port, user and database, never a password.
"""

import asyncio
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from hokusai_probe.sandbox.addresses import is_inside
from hokusai_probe.sandbox.services.settings import SettingsError
from hokusai_probe.sandbox.wire import NameUnknownError, Wire

CONNECT_TIMEOUT_S = 5.0
ATTEMPTS = 3
PAUSE_S = 1.0
"""Before the second attempt, in platform seconds; doubled before each further one."""

EDGE = "gateway->database"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is and as whom the gateway connects.

    The defaults for what is missing are those of the platform's code, not of its database (INC-21).
    """

    host: str
    port: int
    name: str
    fallback_name: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "DatabaseSettings":
        """DB_HOST, DB_PORT, DB_NAME, DB_FALLBACK_NAME, DB_USER and the secret DB_PASSWORD.

        Raises:
            SettingsError: The port is none.

        """
        port = variables.get("DB_PORT") or "5432"
        if not port.isdecimal() or not 0 < int(port) < 65536:
            sentence = f"DB_PORT must be a port, not {port!r}"
            raise SettingsError(sentence)
        return cls(
            host=variables.get("DB_HOST") or "localhost",
            port=int(port),
            name=variables.get("DB_NAME") or "mlflow",
            fallback_name=variables.get("DB_FALLBACK_NAME") or "mlflow",
            user=variables.get("DB_USER") or "postgres",
            password=variables.get("DB_PASSWORD", ""),
        )


class DatabaseError(Exception):
    """The database cannot be used; the text is the driver's."""


@dataclass(frozen=True, slots=True)
class DatabaseCheck:
    """What came of a check. ``error`` is None when a database was reached, ``warning`` says: the fallback."""

    error: str | None = None
    warning: str | None = None


class Database:
    """The gateway's database.

    Args:
        settings: Where it is.
        wire: The gateway's own: it resolves names, with the faults of the edge, and knows the network. The
            faults of connections are applied at the database's end.
        time_scale: How many times faster than the platform.

    """

    def __init__(self, settings: DatabaseSettings, wire: Wire, time_scale: float) -> None:
        self.settings = settings
        self._wire = wire
        self._time_scale = time_scale

    async def look(self, limit_s: float) -> str | None:
        """What is wrong with the database, None when it is well; one attempt within some seconds."""
        try:
            await self._connect(self.settings.name, limit_s)
        except DatabaseError as error:
            return str(error)
        return None

    async def check(self) -> DatabaseCheck:
        """Three attempts, then the fallback database."""
        last = await self._attempts()
        if last is None:
            return DatabaseCheck()
        if self._is_unknown(last) and await self._fallback_works():
            return DatabaseCheck(warning=f"Connected to fallback database: {self.settings.fallback_name}")
        return DatabaseCheck(error=f"Database connection failed after {ATTEMPTS} attempts: {last}")

    def _is_unknown(self, error: DatabaseError) -> bool:
        """Whether a server answered that it has no such database; libpq gives no SQLSTATE for that."""
        return f'database "{self.settings.name}" does not exist' in str(error)

    async def _attempts(self) -> DatabaseError | None:
        """None as soon as one succeeds, else what stopped the last."""
        limit_s = CONNECT_TIMEOUT_S / self._time_scale
        last = None
        for number in range(ATTEMPTS):
            if number:
                await asyncio.sleep(PAUSE_S * 2 ** (number - 1) / self._time_scale)
            try:
                await self._connect(self.settings.name, limit_s)
            except DatabaseError as error:
                last = error
            else:
                return None
        return last

    async def _fallback_works(self) -> bool:
        try:
            await self._connect(self.settings.fallback_name, CONNECT_TIMEOUT_S / self._time_scale)
        except DatabaseError:
            return False
        return True

    async def _connect(self, name: str, limit_s: float) -> None:
        """Connect to a database and let go of it again.

        Raises:
            DatabaseError: It cannot be done.

        """
        if "psycopg" not in sys.modules:  # a fifth of a second: too long for the start and for the event loop
            await asyncio.to_thread(importlib.import_module, "psycopg")
        try:
            async with asyncio.timeout(limit_s):
                address = await self._address(limit_s)
                await self._reachable(address, limit_s)
                await self._log_in(name, address)
        except TimeoutError:
            sentence = "connection timeout expired"
            raise DatabaseError(sentence) from None

    async def _address(self, limit_s: float) -> str:
        host = self.settings.host
        try:
            return (await self._wire.resolve(host, limit_s, EDGE))[0]
        except NameUnknownError:
            sentence = f"failed to resolve host {host!r}: [Errno -2] Name or service not known"
            raise DatabaseError(sentence) from None

    async def _reachable(self, address: str, limit_s: float) -> None:
        """Wait for ever, as far as the caller can tell, where no packet would arrive."""
        if not is_inside(address) or self._wire.dropped(address, self.settings.port):
            await asyncio.sleep(limit_s)
            raise TimeoutError

    async def _log_in(self, name: str, address: str) -> None:
        import psycopg

        try:
            connection = await psycopg.AsyncConnection.connect(
                host=self.settings.host,
                hostaddr=address,
                port=self.settings.port,
                dbname=name,
                user=self.settings.user,
                password=self.settings.password,
                application_name="hokusai-api",
                gssencmode="disable",
            )
        except psycopg.Error as error:
            raise DatabaseError(str(error)) from None
        await connection.close()
