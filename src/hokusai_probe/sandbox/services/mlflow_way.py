"""How MLflow's process reaches what it names: by the sandbox's DNS, and through doors of its own.

MLflow is the real server, and its database driver the real one: libpq resolves names by the system and cannot
choose the address that it connects from. So this takes its place in SQLAlchemy (`install`): each connection
asks the sandbox's DNS server anew, from the task's own address, and goes to the address that `door` gives.

MLflow may start before the DNS server does. Where that is stands in a file beside the fault table, which
`write` makes and the first connection waits for.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hokusai_probe.sandbox import shared_files
from hokusai_probe.sandbox.addresses import is_address, is_inside
from hokusai_probe.sandbox.faults import Do, FaultTable

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

FILE = "resolver.txt"
EDGE = "mlflow->database"

DATABASE_HOST, DOOR_HOST, NOWHERE_HOST = 30, 31, 32
"""Hosts of the sandbox's network: the database, MLflow's door to it, and where its packets vanish."""

CONNECT_TIMEOUT_S = 130.0
"""After how long psycopg gives up a connect that nobody answers, unless it is told another time."""

_STORAGE_HOST = 22
_PATIENCE_S = 30.0
_PAUSE_S = 0.02
_ASK_S = 2.0
_OWN_NAMES = frozenset({"localhost", "127.0.0.1"})


class NameUnknownError(Exception):
    """A host has no address."""


def write(faults: Path, resolver: tuple[str, int]) -> None:
    """Say where the DNS server is, to whoever was told where the fault table is."""
    shared_files.replace(faults.with_name(FILE), f"{resolver[0]}:{resolver[1]}".encode("ascii"))


def door(address: str, task: str) -> str:
    """Where a connection to an address really goes.

    Args:
        address: What the name resolves to.
        task: The task's own address, 127.A.B.n.

    Returns:
        The same on loopback; for the database MLflow's own door; for what is not on loopback, and so not in
        the sandbox, an address at which packets vanish, so that none leaves the machine.

    """
    network = task.rpartition(".")[0]
    if not is_inside(address):
        return f"{network}.{NOWHERE_HOST}"
    return f"{network}.{DOOR_HOST}" if address == f"{network}.{DATABASE_HOST}" else address


def storage_door(task: str) -> str:
    """The address of the sandbox's S3, for a task that nobody told another: never one outside."""
    return f"{task.rpartition('.')[0]}.{_STORAGE_HOST}"


@dataclass(frozen=True, slots=True)
class Way:
    """The way of one task.

    Attributes:
        task: Its own address.
        faults: The fault table's file.
        time_scale: How many times faster than the platform.

    """

    task: str
    faults: Path
    time_scale: float

    @property
    def connect_timeout_s(self) -> int:
        """When the driver gives a connect up: on the platform after two minutes, here never before 2 s."""
        return max(2, round(CONNECT_TIMEOUT_S / self.time_scale))

    def address(self, host: str) -> str:
        """What a host's name leads to now.

        Raises:
            NameUnknownError: The host has no address.

        """
        fault = FaultTable(self.faults).name(EDGE, host)
        if fault is not None:
            return _renamed(fault)
        if host in _OWN_NAMES:
            return self.task  # a task's localhost is the task, not this machine
        return host if is_address(host) else self._ask(host)

    def _ask(self, host: str) -> str:
        import dns.exception
        import dns.message
        import dns.query
        import dns.rdatatype

        server, port = self._resolver()
        try:
            query = dns.message.make_query(host, dns.rdatatype.A)
            answer = dns.query.udp(query, server, timeout=_ASK_S, port=port, source=self.task)
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise NameUnknownError(type(error).__name__) from error
        found = [str(one) for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for one in rrset]
        if not found:
            raise NameUnknownError(host)
        return found[0]

    def _resolver(self) -> tuple[str, int]:
        """Where the DNS server is; waits until somebody says so.

        Raises:
            NameUnknownError: Nobody does.

        """
        path, deadline = self.faults.with_name(FILE), time.monotonic() + _PATIENCE_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise NameUnknownError(FILE)
            time.sleep(_PAUSE_S)
        server, _, port = path.read_text(encoding="ascii").rpartition(":")
        return server, int(port)


def _renamed(fault: Do) -> str:
    if fault.address is None:
        reason = "the name does not exist"
        raise NameUnknownError(reason)
    return fault.address


def with_password(store: str, secrets: Mapping[str, str]) -> str:
    """A database URI with the password of the secret DB_PASSWORD, if it has none of its own."""
    from sqlalchemy.engine import make_url

    url: URL = make_url(store)
    if url.password is not None or "DB_PASSWORD" not in secrets:
        return store
    return url.set(password=secrets["DB_PASSWORD"]).render_as_string(hide_password=False)


def install(way: Way) -> None:
    """Have SQLAlchemy's connections to Postgres go this way.

    What goes wrong is an error of the driver in the driver's words, and with the address that the name leads
    to: the door is nobody's business.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def go(dialect: Any, _record: object, arguments: Sequence[object], parameters: dict[str, Any]) -> Any:
        if dialect.name != "postgresql" or "host" not in parameters:
            return None
        return _connection(way, dialect, arguments, parameters)

    event.listen(Engine, "do_connect", go)


def _connection(way: Way, dialect: Any, arguments: Sequence[object], parameters: Mapping[str, Any]) -> Any:
    import psycopg

    host = str(parameters["host"])
    try:
        address = way.address(host)
    except NameUnknownError:
        sentence = f"failed to resolve host {host!r}: [Errno -2] Name or service not known"
        raise psycopg.OperationalError(sentence) from None
    behind = door(address, way.task)
    try:
        limited = {"connect_timeout": way.connect_timeout_s, **parameters, "hostaddr": behind}
        return dialect.connect(*arguments, **limited)
    except psycopg.OperationalError as error:
        raise psycopg.OperationalError(str(error).replace(behind, address)) from None
