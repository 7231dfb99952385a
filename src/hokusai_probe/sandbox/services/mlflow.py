"""MLflow: the real tracking server, in one process, fast to start.

``mlflow server`` starts uvicorn in a second process and a job runner besides, and migrates a new database
step by step: 5 to 7 seconds. Here uvicorn runs ``mlflow.server.fastapi_app:app`` in this process, and a new
sqlite database starts as a copy of a migrated one that is made once per MLflow version.

What ``mlflow server`` tells its worker goes through private variables; found by experiment on 3.17.2:

- ``_MLFLOW_SERVER_FILE_STORE`` and ``_MLFLOW_SERVER_REGISTRY_STORE``: ``--backend-store-uri``.
- ``_MLFLOW_SERVER_SERVE_ARTIFACTS``: ``true`` serves the artifact proxy, unset is ``--no-serve-artifacts``.
- ``_MLFLOW_SERVER_ARTIFACT_DESTINATION``: ``--artifacts-destination``, where the proxy keeps its bytes.
- ``_MLFLOW_SERVER_ARTIFACT_ROOT``: ``--default-artifact-root``, the URI that new experiments get.
- ``_MLFLOW_STATIC_PREFIX``: ``--static-prefix``; unlike the others it lacks the word SERVER.

MLFLOW_SERVER_ALLOWED_HOSTS is public and read as it is. All of them must be set before the first import of
``mlflow.server``, which reads them while it is imported.
"""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from hokusai_probe.sandbox.services.settings import Settings, SettingsError

_SQLITE = "sqlite:///"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "_MLFLOW_SGI_NAME": "uvicorn",
}


def server_environment(
    environment: Mapping[str, str], state: Path, behaviours: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The variables that the server needs, from those of the task definition.

    BACKEND_STORE_URI, DEFAULT_ARTIFACT_ROOT, ARTIFACTS_DESTINATION, MLFLOW_SERVE_ARTIFACTS and
    MLFLOW_STATIC_PREFIX are obeyed. Without BACKEND_STORE_URI MLflow uses its own default in ``state``;
    without ARTIFACTS_DESTINATION artifacts go to a directory in ``state``, the task's own disk. The behaviour
    ``artifacts-disabled`` is the flag ``--no-serve-artifacts``.
    """
    switch = environment.get("MLFLOW_SERVE_ARTIFACTS", "true").lower()
    serves = switch != "false" and "artifacts-disabled" not in behaviours
    store = environment.get("BACKEND_STORE_URI", "")
    private = {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true" if serves else "",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": environment.get("ARTIFACTS_DESTINATION")
        or (state / "mlartifacts").as_uri(),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": environment.get("DEFAULT_ARTIFACT_ROOT") or "mlflow-artifacts:/",
        "_MLFLOW_STATIC_PREFIX": environment.get("MLFLOW_STATIC_PREFIX", ""),
    }
    return _QUIET | {name: value for name, value in private.items() if value}


def sqlite_path(store: str) -> Path | None:
    """The file of a sqlite URI, None for any other store."""
    return Path(store.removeprefix(_SQLITE)) if store.startswith(_SQLITE) else None


def cache_directory() -> Path:
    """Where migrated databases are kept: the user's cache directory, else the system's temporary one."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        directory = Path(home) / "hokusai-probe"
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        directory = Path(tempfile.gettempdir()) / f"hokusai-probe-{os.getuid()}"
        directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def template(directory: Path) -> Path:
    """A migrated, empty sqlite database for the installed MLflow, made on first use.

    Starts at the same time wait for one another; whoever comes first makes it.
    """
    target = directory / f"mlflow-{version('mlflow-skinny')}.sqlite"
    if target.exists():
        return target
    with (directory / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _migrate(target)
    return target


def _migrate(target: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch) / "new.sqlite"
        engine = create_sqlalchemy_engine(f"{_SQLITE}{fresh}")  # type: ignore[no-untyped-call]
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
        engine.dispose()
        fresh.replace(target)


def prepare_database(store: str, directory: Path) -> None:
    """Put a migrated database where a sqlite URI says, unless one is there."""
    path = sqlite_path(store)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template(directory), path)


def _open_stores() -> None:
    """Connect to the database before the port opens, as ``mlflow server`` does."""
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(
        os.environ.get("_MLFLOW_SERVER_FILE_STORE"),
        os.environ.get("_MLFLOW_SERVER_REGISTRY_STORE"),
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"],
    )


def main() -> None:
    """Run the server until SIGTERM."""
    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    settings.state.mkdir(parents=True, exist_ok=True)
    os.chdir(settings.state)
    os.environ.update(server_environment(os.environ, settings.state.resolve(), settings.behaviours))
    prepare_database(os.environ.get("BACKEND_STORE_URI", ""), cache_directory())
    _open_stores()
    import uvicorn

    host, port = settings.bind
    uvicorn.run(
        "mlflow.server.fastapi_app:app", host=host, port=port, timeout_graceful_shutdown=1, access_log=True
    )


if __name__ == "__main__":
    main()
