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

Each process has a disk of its own, as a Fargate task has: what MLflow keeps in its working directory is gone
with the task. That is where everything goes that no variable sends elsewhere. The secrets of the task
definition are variables like the others, as ECS has it; a Postgres URI without a password takes DB_PASSWORD.
"""

import fcntl
import gc
import json
import os
import shutil
import ssl
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hokusai_probe.sandbox.services import mlflow_imports, mlflow_way
from hokusai_probe.sandbox.services.settings import Settings, SettingsError

_SQLITE = "sqlite:///"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "_MLFLOW_SGI_NAME": "uvicorn",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def server_environment(
    environment: Mapping[str, str], behaviours: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The variables that the server needs, from those of the task definition.

    BACKEND_STORE_URI, DEFAULT_ARTIFACT_ROOT, ARTIFACTS_DESTINATION, MLFLOW_SERVE_ARTIFACTS and
    MLFLOW_STATIC_PREFIX are obeyed. Without BACKEND_STORE_URI or ARTIFACTS_DESTINATION MLflow uses its own
    defaults in the working directory. The behaviour ``artifacts-disabled`` is the flag
    ``--no-serve-artifacts``.
    """
    switch = environment.get("MLFLOW_SERVE_ARTIFACTS", "true").lower()
    serves = switch != "false" and "artifacts-disabled" not in behaviours
    store = environment.get("BACKEND_STORE_URI", "")
    if store.startswith("postgres"):
        store = mlflow_way.with_password(store, environment)
    private = {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true" if serves else "",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": environment.get("ARTIFACTS_DESTINATION") or "./mlartifacts",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": environment.get("DEFAULT_ARTIFACT_ROOT") or "mlflow-artifacts:/",
        "_MLFLOW_STATIC_PREFIX": environment.get("MLFLOW_STATIC_PREFIX", ""),
    }
    return _QUIET | {name: value for name, value in private.items() if value}


def tls_options(environment: Mapping[str, str], ca_file: Path | None) -> dict[str, Any]:
    """What makes uvicorn speak TLS: nothing, unless MLFLOW_MTLS_ENABLED is true (INC-44, INC-46).

    The certificate is the one that lies beside the sandbox's authority. MLFLOW_MTLS_CERT_REQS says whether
    clients have to show one: 2 they must, 1 they may (the repaired platform), 0 they are not asked.
    """
    if environment.get("MLFLOW_MTLS_ENABLED", "").lower() != "true" or ca_file is None:
        return {}
    certificates = ca_file.parent / "certificates"
    return {
        "ssl_certfile": certificates / "mlflow.pem",
        "ssl_keyfile": certificates / "mlflow.key",
        "ssl_ca_certs": str(ca_file),
        "ssl_cert_reqs": int(environment.get("MLFLOW_MTLS_CERT_REQS") or ssl.CERT_OPTIONAL),
    }


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The resolved secrets of the task definition, from the file that SANDBOX_SECRETS names; {} without one.

    Raises:
        SettingsError: The file is no JSON object.

    """
    path = Path(environment.get("SANDBOX_SECRETS") or os.devnull)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        sentence = f"SANDBOX_SECRETS names {path}, which holds no JSON object"
        raise SettingsError(sentence)
    return {str(name): str(value) for name, value in found.items()}


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
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch) / "new.sqlite"
        migrate(f"{_SQLITE}{fresh}")
        fresh.replace(target)


def migrate(uri: str) -> None:
    """Make MLflow's tables in an empty database."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    _initialize_tables(engine)
    engine.dispose()


def prepare_database(store: str, directory: Path) -> None:
    """Put a migrated database where a sqlite URI says, unless one is there.

    Raises FileNotFoundError where the directory above is gone: a server that comes up when its sandbox has
    just ended must not make it anew, for nobody would remove it.
    """
    path = sqlite_path(store)
    if path is None or path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(template(directory), path)


def _open_stores() -> None:
    """Connect to the database before the port opens, as ``mlflow server`` does."""
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(
        os.environ.get("_MLFLOW_SERVER_FILE_STORE"),
        os.environ.get("_MLFLOW_SERVER_REGISTRY_STORE"),
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"],
    )


def _application() -> Any:
    """MLflow's web application, with the stores connected; the collector has looked at nothing till now."""
    _open_stores()
    from mlflow.server.fastapi_app import app

    mlflow_imports.is_imported()
    gc.freeze()
    gc.enable()
    return app


def _enter_disk(state: Path) -> None:
    """Work in a directory that no other task has, nor the next one at this address.

    Raises FileNotFoundError where the sandbox is gone, as :func:`prepare_database` does.
    """
    state.mkdir(exist_ok=True)
    os.chdir(tempfile.mkdtemp(prefix="task-", dir=state.resolve()))


def main() -> None:
    """Run the server until SIGTERM."""
    gc.disable()
    try:
        settings = Settings.read(os.environ)
        os.environ.update(secrets_of(os.environ))
    except SettingsError as error:
        sys.exit(str(error))
    faults, ca_file = settings.faults.resolve(), settings.ca_file and settings.ca_file.resolve()
    _enter_disk(settings.state)
    os.environ.update(server_environment(os.environ, settings.behaviours))
    host, port = settings.bind
    os.environ.setdefault("MLFLOW_S3_ENDPOINT_URL", f"http://{mlflow_way.storage_door(host)}")
    prepare_database(os.environ.get("BACKEND_STORE_URI", ""), cache_directory())
    mlflow_way.install(mlflow_way.Way(host, faults, settings.time_scale))
    mlflow_imports.import_less()
    import uvicorn

    uvicorn.run(
        _application(),
        host=host,
        port=port,
        timeout_graceful_shutdown=1,
        access_log=True,
        **tls_options(os.environ, ca_file),
    )


if __name__ == "__main__":
    main()
