"""What can start before the control plane is there: the cache, and MLflow, which takes longest.

Importing moto costs a second or two, MLflow's own start two more; side by side they cost the longer of the
two. MLflow's first task then takes over the process that runs already, if it is exactly the one it needs.
"""

import contextlib
import functools
import json
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.loaders

from hokusai_probe.sandbox import postgres, processes, targetfile, tasks
from hokusai_probe.sandbox.faults import write_table
from hokusai_probe.sandbox.identity import Identity, Places, mlflow_environment, mlflow_secrets
from hokusai_probe.sandbox.postgres import Postgres
from hokusai_probe.sandbox.scenario import BackendMissingError, Scenario
from hokusai_probe.sandbox.services import cache
from hokusai_probe.sandbox.services.mlflow import cache_directory
from hokusai_probe.sandbox.tasks import FIRST_TASK_HOST, Runtime, Warm

TIME_SCALE = 5.0
"""How many platform seconds one sandbox second stands for.

Five: at ten, the gateway's half second for the auth service runs out without any fault on two busy cores.
"""

CACHE_HOST, CACHE_PORT = 25, 6379

_CLAIM_HOST, _CLAIM_PORT = 1, 49151
_NETWORKS_TRIED = 100


class SandboxBrokenError(Exception):
    """A part of the sandbox itself did not come up; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Early:
    """What is there before the control plane."""

    identity: Identity
    places: Places
    runtime: Runtime
    claim: socket.socket
    cache: processes.Child
    warm: tuple[Warm, ...]
    database: Postgres
    leftovers: contextlib.ExitStack  # close it last

    def ip(self, host: int) -> str:
        """An address of this sandbox's network."""
        return f"{self.places.network}.{host}"

    def end(self) -> None:
        """End what was started here and wait until it is gone, whoever took it over; twice does no harm.

        Whoever outlived the removal of the directory would make it anew: MLflow does for its database.
        """
        for child in (self.cache, *(one.child for one in self.warm)):
            child.kill()


def begin(scenario: Scenario, seed: int, directory: Path) -> Early:
    """Claim a network, lay out the directory, start what can be started.

    Raises:
        SandboxBrokenError: No network can be claimed, or the database cannot be initialised.
        BackendMissingError: There is no Postgres on this machine.

    """
    network, claim = claim_network()
    for name in ("logs", "state", "secrets", "certificates"):
        (directory / name).mkdir()
    identity = Identity.of(seed)
    opened = "mlflow-open-from-outside" in scenario.switched_on
    backends = scenario.backends
    places = Places(
        network, directory / "state" / "mlflow", backends.storage, backends.database, mlflow_is_open=opened,
        forgotten=frozenset(scenario.switched_on),
    )  # fmt: skip
    runtime = Runtime(
        network=network,
        directory=directory,
        ca_file=directory / "ca.pem",
        behaviours=scenario.switched_on,
        time_scale=TIME_SCALE,
        images=identity.images(),
        services=identity.services(),
        clock_offset_s=scenario.given.clock_offset_s,
    )
    write_table(runtime.faults, [])
    runtime.keys.write_text(json.dumps(list(targetfile.keys(seed).values())), encoding="utf-8")
    leftovers = contextlib.ExitStack()
    database = _start_database(places, runtime, leftovers)
    warm = (_start_mlflow(identity, places, runtime),) if places.storage == "local" else ()
    started_cache = start_cache(runtime)
    share_service_models()
    return Early(identity, places, runtime, claim, started_cache, warm, database, leftovers)


def share_service_models() -> None:
    """Have botocore and moto read each AWS service's model once, not once per session: a second of start.

    The models come as plain dictionaries, which keep a file's order as well as botocore's own kind and are
    made in half the time, and moto's lists of regions come from one session. Call it before moto is imported,
    which takes references of its own.
    """
    botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)
    botocore.loaders.OrderedDict = dict  # type: ignore[assignment, misc]
    boto3.Session = functools.cache(boto3.Session)  # type: ignore[assignment, misc]
    _leave_out_instance_types()


def _leave_out_instance_types() -> None:
    """Spare moto its list of every machine type: 0.3 s of start, and nothing here runs on instances."""
    import moto.utilities.utils as moto_files

    read = moto_files.load_resource

    def load(resource: str) -> object:
        if "ec2/resources/instance_type" not in resource:
            return read(resource)
        return {} if resource.endswith("instance_types.json") else []

    moto_files.load_resource = load


def claim_network() -> tuple[str, socket.socket]:
    """A network 127.A.B that no other sandbox holds, and the socket that holds it.

    Raises:
        SandboxBrokenError: Every one of many tried is taken, or this system has no 127.0.0.0/8.

    """
    draw = random.SystemRandom()
    for _ in range(_NETWORKS_TRIED):
        network = f"127.{draw.randint(16, 250)}.{draw.randint(0, 255)}"
        claim = socket.socket()
        try:
            claim.bind((f"{network}.{_CLAIM_HOST}", _CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        return network, claim
    sentence = "no free network in 127.0.0.0/8: this system lets no address there be bound"
    raise SandboxBrokenError(sentence)


def start_cache(runtime: Runtime) -> processes.Child:
    """Start the cache's process."""
    state = runtime.state("cache")
    state.mkdir(exist_ok=True)
    command = cache.command(f"{runtime.network}.{CACHE_HOST}", CACHE_PORT, str(state))
    environment = processes.allowed_environment(os.environ)
    return processes.start(command, environment, runtime.directory / "logs" / "cache.log")


def _start_database(places: Places, runtime: Runtime, leftovers: contextlib.ExitStack) -> Postgres:
    """Start the database's server, of which MLflow may need nothing: the gateway always looks at it."""
    try:
        copied = postgres.template(cache_directory(), with_mlflow=places.database == "postgres")
    except postgres.PostgresMissingError as error:
        raise BackendMissingError(str(error)) from None
    except postgres.PostgresBrokenError as error:
        raise SandboxBrokenError(str(error)) from None
    directory = leftovers.enter_context(postgres.private_directory())
    server = Postgres(copied, directory, runtime.directory / "logs" / "database.log")
    server.start()
    return server


def _start_mlflow(identity: Identity, places: Places, runtime: Runtime) -> Warm:
    ip = f"{places.network}.{FIRST_TASK_HOST}"
    tasks.prepare(runtime, "mlflow", ip, mlflow_secrets(places))
    found = tasks.program(runtime, "mlflow", "good", ip, mlflow_environment(identity, places))
    return Warm(found, found.start())
