"""Where MLflow is told to keep what it is given: its backend store and its artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

BACKEND = ("BACKEND_STORE_URI", "MLFLOW_BACKEND_STORE_URI")
DESTINATION = ("ARTIFACTS_DESTINATION", "MLFLOW_ARTIFACTS_DESTINATION")
ROOT = ("DEFAULT_ARTIFACT_ROOT", "MLFLOW_DEFAULT_ARTIFACT_ROOT")
BACKEND_FLAG, DESTINATION_FLAG = "--backend-store-uri", "--artifacts-destination"

Backend = Literal["database", "task-disk", "unset", "unknown"]

_DATABASE = re.compile(r"(postgres(ql)?|mysql|mssql|oracle)(\+\w+)?://")
_ABSOLUTE = re.compile(r"sqlite:////|file:///(?!/)|/")  # may be a mounted volume


class MlflowStoresFacts(Facts):
    """What MLflow's task definition says. Values without user-info; None: the variable is not there.

    ``flags``: long options of the container's command and entry point, names alone; an option goes before
    a variable. ``hidden``: variables whose value is a secret, or is not an address that may be read.
    ``backend``: where runs and models are kept: a database, the task's own disk (gone with the task),
    nothing said (``unset``: MLflow's default is the task's disk), or not known.
    """

    definition: str = ""
    flags: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    store_uri: str | None = None
    destination: str | None = None
    root: str | None = None
    backend: Backend = "unknown"

    @property
    def buckets(self) -> tuple[str, ...]:
        """``s3://bucket/prefix`` addresses under which MLflow itself keeps artifacts, the surest first."""
        return tuple(u for u in (self.destination, self.root) if u and u.startswith("s3://"))


@probe(area="data", needs=("aws",), after=("aws-knows-us",), cost=1)
async def mlflow_stores(look: Look, definitions: TaskDefinitionsFacts) -> MlflowStoresFacts:
    """The stores of MLflow's running revision: ecs:DescribeTaskDefinition, for the options of its command.

    Of the command only the names of options are kept: their values may hold a password (INC-37).
    """
    mlflow = definitions.of("mlflow")
    if mlflow is None:
        return MlflowStoresFacts()
    answer = await look.cloud().call("ecs", "describe_task_definition", taskDefinition=mlflow.arn)
    containers = answer.data["taskDefinition"]["containerDefinitions"] if answer.data else ()
    return stores_of(mlflow, _flags(containers, mlflow.container))


def _flags(containers: Iterable[Mapping[str, Any]], name: str) -> tuple[str, ...]:
    one = next((c for c in containers if c.get("name") == name), {})
    words = " ".join((*one.get("entryPoint", ()), *one.get("command", ())))
    return tuple(dict.fromkeys(re.findall(r"--[a-z][a-z-]+", words)))


def stores_of(mlflow: TaskDefinition, flags: tuple[str, ...] = ()) -> MlflowStoresFacts:
    """The facts in a task definition and the options of its command."""
    given = {*mlflow.names, *mlflow.secrets}
    hidden = tuple(sorted(n for n in (*BACKEND, *DESTINATION, *ROOT) if n in given - set(mlflow.addresses)))
    store = _value(mlflow, BACKEND)
    told = BACKEND_FLAG in flags or any(name in hidden for name in BACKEND)
    return MlflowStoresFacts(
        definition=mlflow.arn,
        flags=flags,
        hidden=hidden,
        store_uri=store,
        destination=_value(mlflow, DESTINATION),
        root=_value(mlflow, ROOT),
        backend="unknown" if told else _backend(store),
    )


def _value(mlflow: TaskDefinition, names: Iterable[str]) -> str | None:
    return next((mlflow.addresses[name] for name in names if name in mlflow.addresses), None)


def _backend(uri: str | None) -> Backend:
    """Where a backend store lies. An absolute path may be a volume that outlives the task."""
    if not uri:
        return "unset"
    if _DATABASE.match(uri):
        return "database"
    if _ABSOLUTE.match(uri) or uri.startswith(("http:", "https:", "databricks")):
        return "unknown"
    return "task-disk"


@check(hop="mlflow/backend-store", behaviour="file-store")
def mlflow_keeps_its_data_off_the_task(facts: MlflowStoresFacts) -> Sentence:
    """MLflow is given a backend store that outlives its task."""
    if not facts.definition:
        return NotApplicable(reason="MLflow has no task definition that could be read")
    if facts.backend == "unset":
        return f"{BACKEND[0]} is not set: MLflow keeps experiments and models on its task's own disk"
    if facts.backend == "task-disk":
        return f"{BACKEND[0]} is {facts.store_uri}, on the task's own disk"
    if facts.backend == "database":
        return None
    return CannotTell(reason=f"where MLflow's data lie is not seen from here ({facts.store_uri or 'hidden'})")
