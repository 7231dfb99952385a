"""Where MLflow is told to keep what it is given: its backend store and its artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable
from hokusai_probe.probes._variables import BACKEND, DESTINATION, PARTS_OF_AN_ADDRESS, ROOT, STORES
from hokusai_probe.probes.revisions import RevisionsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

BACKEND_FLAG, DESTINATION_FLAG = "--backend-store-uri", "--artifacts-destination"

Backend = Literal["database", "task-disk", "unset", "unknown"]

_DATABASE = re.compile(r"(postgres(ql)?|mysql|mssql|oracle)(\+\w+)?://")
_SERVES = re.compile(r"\bmlflow(?:\.cli)?\s+(?:server|ui)\b")
_ABSOLUTE = re.compile(r"sqlite:////|file:///(?!/)|/")  # may be a mounted volume


class MlflowStoresFacts(Facts):
    """What MLflow's task definition says. Values without user-info; None: the variable is not there.

    ``flags``: long options of the container's command and entry point, names alone; an option goes before
    a variable. ``hidden``: variables whose value is a secret, or is not an address that may be read.
    ``command_read``: the command could be read, be it that there is none. ``parts``: variables of which the
    image may make the address of a store that no variable names.
    ``backend``: where runs and models are kept: a database, the task's own disk (gone with the task),
    nothing said (``unset``: MLflow's default is the task's disk), or not known. Where the image could make an
    address, ``unset`` is said only of a command that starts MLflow's server without one, and of a revision
    that lost the variable.
    """

    definition: str = ""
    flags: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    store_uri: str | None = None
    destination: str | None = None
    root: str | None = None
    backend: Backend = "unknown"
    command_read: bool = True
    parts: tuple[str, ...] = ()

    @property
    def buckets(self) -> tuple[str, ...]:
        """``s3://bucket/prefix`` addresses under which MLflow itself keeps artifacts, the surest first."""
        return tuple(u for u in (self.destination, self.root) if u and u.startswith("s3://"))


@probe(area="data", needs=("aws",), after=("aws-knows-us",), cost=1)
async def mlflow_stores(
    look: Look, definitions: TaskDefinitionsFacts, families: RevisionsFacts | None
) -> MlflowStoresFacts:
    """The stores of MLflow's running revision: ecs:DescribeTaskDefinition, for the options of its command.

    Of the command only the names of options are kept: their values may hold a password (INC-37).
    """
    mlflow = definitions.of("mlflow")
    if mlflow is None:
        return MlflowStoresFacts()
    answer = await look.cloud().call("ecs", "describe_task_definition", taskDefinition=mlflow.arn)
    family = families.families.get("mlflow") if families else None
    had = any({*BACKEND} & {*one.names, *one.secrets} for one in (family.earlier if family else ()))
    containers = answer.data["taskDefinition"]["containerDefinitions"] if answer.data else None
    command = None if containers is None else _command(containers, mlflow)
    return stores_of(mlflow, command, lost=had)


def _command(containers: Iterable[Mapping[str, Any]], mlflow: TaskDefinition) -> str:
    """What the container runs in place of its image's own command; "" where it runs that one."""
    one = next((c for c in containers if c.get("name") == mlflow.container), {})
    return " ".join((*(one.get("entryPoint") or ()), *(one.get("command") or ())))


def stores_of(mlflow: TaskDefinition, command: str | None = "", *, lost: bool = False) -> MlflowStoresFacts:
    """The facts in a task definition and its command, None where that could not be read.

    ``lost``: an earlier revision had a variable for the backend store.
    """
    given, words = {*mlflow.names, *mlflow.secrets}, command or ""
    flags = tuple(dict.fromkeys(re.findall(r"--[a-z][a-z-]+", words)))
    hidden = tuple(sorted(n for n in STORES if n in given - set(mlflow.addresses)))
    parts = tuple(sorted(n for n in given - {*STORES} if PARTS_OF_AN_ADDRESS.fullmatch(n)))
    store = _value(mlflow, BACKEND)
    told = BACKEND_FLAG in flags or any(name in hidden or name in words for name in BACKEND)
    open_yet = command is None or not (lost or _SERVES.search(words) or not (parts or words))
    return MlflowStoresFacts(
        definition=mlflow.arn,
        flags=flags,
        hidden=hidden,
        store_uri=store,
        destination=_value(mlflow, DESTINATION),
        root=_value(mlflow, ROOT),
        backend="unknown" if told or (not store and open_yet) else _backend(store),
        command_read=command is not None,
        parts=parts,
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
    made = f"the image may make the address of {', '.join(facts.parts)}" if facts.parts else "hidden"
    why = facts.store_uri or made
    return CannotTell(reason=f"where MLflow's data lie is not seen from here ({why})")
