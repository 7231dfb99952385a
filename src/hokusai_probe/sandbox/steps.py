"""Applies the steps of a scenario to a running platform, in order."""

import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hokusai_probe.sandbox.database import Database
from hokusai_probe.sandbox.ecs import Reconciler
from hokusai_probe.sandbox.faults import Fault, FaultError, counted, write_table
from hokusai_probe.sandbox.layout import client
from hokusai_probe.sandbox.names import Names, UnknownNameError, as_text
from hokusai_probe.sandbox.processes import Child
from hokusai_probe.sandbox.scenario import AwsStep, FaultStep, ScenarioError, ServiceStep, suggestion
from hokusai_probe.sandbox.storage_door import Running, StorageDoor

_STORAGE: Mapping[str, Running] = {
    "stop": "stopped",
    "crash": "stopped",
    "hang": "hung",
    "restart": "running",
}
"""What storage is after each action. AWS has none of them: S3 cannot be stopped. Seen from MLflow it can."""

_KEPT = (
    "family", "networkMode", "requiresCompatibilities", "cpu", "memory", "executionRoleArn", "taskRoleArn",
    "volumes", "placementConstraints", "pidMode", "ipcMode", "proxyConfiguration", "inferenceAccelerators",
    "ephemeralStorage", "runtimePlatform", "enableFaultInjection",
)  # fmt: skip
"""What RegisterTaskDefinition takes of what DescribeTaskDefinition answers, but for the containers."""


class Steps:
    """Applies steps.

    Args:
        endpoint: The control plane's URL.
        names: What names in braces stand for.
        saved: Where ``save`` puts answers; the same mapping that ``names`` reads.
        reconciler: Who starts and stops the services.
        faults: The fault table's file.
        cache: Gives the cache's process and starts a new one.
        database: What can happen to the database's server.
        storage: What MLflow reaches S3 through.

    """

    def __init__(
        self,
        endpoint: str,
        names: Names,
        saved: dict[str, object],
        reconciler: Reconciler,
        faults: Path,
        cache: "Cache",
        database: Database,
        storage: StorageDoor,
    ) -> None:
        self._endpoint = endpoint
        self._names = names
        self._saved = saved
        self._reconciler = reconciler
        self._faults_path = faults
        self._faults: list[Fault] = []
        self._cache = cache
        self._database = database
        self._storage = storage

    def apply(self, number: int, step: AwsStep | ServiceStep | FaultStep) -> object:
        """Apply one step.

        Returns:
            What AWS answered; None for other steps.

        Raises:
            ScenarioError: The step cannot be applied; the sentence names it.

        """
        try:
            if isinstance(step, AwsStep):
                return self._call(step)
            if isinstance(step, ServiceStep):
                self._act(step)
            else:
                self._faults.append(step.fault(self._names))
                write_table(self._faults_path, self._faults)
        except (UnknownNameError, FaultError, ScenarioError) as error:
            sentence = f"step {number}: {error}"
            raise ScenarioError(sentence) from None
        return None

    def clear_faults(self) -> None:
        """Take back the faults of all steps so far."""
        self._faults.clear()
        write_table(self._faults_path, self._faults)

    def counted(self) -> int:
        """How often faults with ``every`` were matched so far."""
        return counted(self._faults_path)

    def _call(self, step: AwsStep) -> object:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            call = getattr(client(self._endpoint, step.service), step.call)
            answer: dict[str, object] = call(**_mapping(self._names.resolve(step.params)))
        except (BotoCoreError, ClientError, TypeError, AttributeError) as error:
            sentence = f"{step.service}.{step.call}: {' '.join(str(error).split())}"
            raise ScenarioError(sentence) from None
        if step.save:
            self._saved[step.save] = answer
        return {name: part for name, part in answer.items() if name != "ResponseMetadata"}

    def _act(self, step: ServiceStep) -> None:
        stores = {
            "cache": self._act_on_cache,
            "database": self._act_on_database,
            "storage": self._act_on_storage,
        }
        if step.service in stores:
            stores[step.service](step)
            return
        service = str(self._names.resolve(f"{{service.{step.service}}}"))
        if step.action in ("deploy", "restart"):
            self._deploy(step, service)
        elif step.action == "stop":
            self._reconciler.stop(service, keep_target=step.keep_target)
        elif step.action == "hang":
            self._reconciler.hang(service)
        else:
            how = step.crash_with
            self._reconciler.crash(service, how.exit_code, how.reason, how.log, keep_target=step.keep_target)

    def _deploy(self, step: ServiceStep, service: str) -> None:
        ecs = client(self._endpoint, "ecs")
        cluster = str(self._names.resolve("{cluster}"))
        update: dict[str, object] = {"forceNewDeployment": True}
        if step.changes_revision:
            found = ecs.describe_services(cluster=cluster, services=[service])["services"]
            if not found:
                sentence = f"the ECS service {service} does not exist any more"
                raise ScenarioError(sentence)
            running = ecs.describe_task_definition(taskDefinition=found[0]["taskDefinition"])[
                "taskDefinition"
            ]
            made = ecs.register_task_definition(**_revision(self._resolved(step), running))
            update = {"taskDefinition": made["taskDefinition"]["taskDefinitionArn"]}
        ecs.update_service(cluster=cluster, service=service, **update)
        if step.action == "restart":
            self._reconciler.end_old(service)

    def _resolved(self, step: ServiceStep) -> ServiceStep:
        named = {
            "env": _texts(self._names.resolve(step.env)),
            "secrets": _texts(self._names.resolve(step.secrets)),
        }
        return step.model_copy(update={**named, "image": as_text(self._names.resolve(step.image))})

    def _act_on_cache(self, step: ServiceStep) -> None:
        if step.action == "hang":
            self._cache.child.signal(signal.SIGSTOP)
            return
        self._cache.kill()
        if step.action == "restart":
            self._cache.restart()

    def _act_on_database(self, step: ServiceStep) -> None:
        """``stop`` is StopDBInstance, ``restart`` after it StartDBInstance; the rest is the server's own."""
        if step.action == "stop":
            self._tell_rds("stop_db_instance")
        elif step.action == "crash":
            self._database.crash()
        elif step.action == "hang":
            self._database.hang()
        elif self._database.stopped:
            self._tell_rds("start_db_instance")
        else:
            self._database.restart()

    def _tell_rds(self, call: str) -> None:
        params: dict[str, object] = {"DBInstanceIdentifier": "{database}"}
        self._call(AwsStep(kind="aws", service="rds", call=call, params=params))

    def _act_on_storage(self, step: ServiceStep) -> None:
        self._storage.running = _STORAGE[step.action]


class Cache:
    """The cache's process.

    Args:
        child: The running one.
        start: Starts another.

    """

    def __init__(self, child: Child, start: Callable[[], Child]) -> None:
        self._start = start
        self.child = child

    def kill(self) -> None:
        """End it."""
        self.child.kill()

    def restart(self) -> None:
        """Start another in its place."""
        self.child = self._start()


def _revision(step: ServiceStep, running: Mapping[str, Any]) -> dict[str, object]:
    """What RegisterTaskDefinition takes for the running revision with the first container changed.

    Raises:
        ScenarioError: The step unsets what the running revision does not have.

    """
    first, *others = running["containerDefinitions"]
    variables = {entry["name"]: entry["value"] for entry in first.get("environment", [])}
    secrets = {entry["name"]: entry["valueFrom"] for entry in first.get("secrets", [])}
    _check_unset("unset", "variable", step.unset, variables)
    _check_unset("unset_secrets", "secret", step.unset_secrets, secrets)
    variables = _without(variables | step.env, *step.unset, *step.secrets)
    secrets = _without(secrets | step.secrets, *step.unset_secrets, *step.env)
    changed = first | {
        "environment": [{"name": name, "value": value} for name, value in variables.items()],
        "secrets": [{"name": name, "valueFrom": value} for name, value in secrets.items()],
        "image": step.image or first["image"],
    }
    kept = {key: running[key] for key in _KEPT if key in running}
    return kept | {"containerDefinitions": [changed, *others]}


def _check_unset(key: str, kind: str, wanted: Iterable[str], there: Mapping[str, str]) -> None:
    for name in wanted:
        if name not in there:
            hint = suggestion(name, there)
            sentence = f"{key}: the running revision has no {kind} {name!r}{hint}"
            raise ScenarioError(sentence)


def _without(entries: Mapping[str, str], *left_out: str) -> dict[str, str]:
    return {name: value for name, value in entries.items() if name not in left_out}


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _texts(value: object) -> dict[str, str]:
    return {name: as_text(text) for name, text in _mapping(value).items()}
