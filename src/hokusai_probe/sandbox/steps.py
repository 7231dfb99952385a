"""Applies the steps of a scenario to a running platform, in order."""

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hokusai_probe.sandbox import scenario
from hokusai_probe.sandbox.database import Database
from hokusai_probe.sandbox.ecs import Reconciler
from hokusai_probe.sandbox.faults import Fault, FaultError, write_table
from hokusai_probe.sandbox.layout import client
from hokusai_probe.sandbox.names import Names, UnknownNameError
from hokusai_probe.sandbox.processes import Child
from hokusai_probe.sandbox.scenario import AwsStep, FaultStep, ScenarioError, ServiceStep
from hokusai_probe.sandbox.storage_door import Running, StorageDoor

_STORAGE: Mapping[str, Running] = {
    "stop": "stopped",
    "crash": "stopped",
    "hang": "hung",
    "restart": "running",
}
"""What storage is after each action. AWS has none of them: S3 cannot be stopped. Seen from MLflow it can."""


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

    def apply(self, number: int, step: AwsStep | ServiceStep | FaultStep) -> None:
        """Apply one step.

        Raises:
            ScenarioError: The step cannot be applied; the sentence names it.

        """
        try:
            if isinstance(step, AwsStep):
                self._call(step)
            elif isinstance(step, ServiceStep):
                self._act(step)
            else:
                self._faults.append(step.fault(self._names))
                write_table(self._faults_path, self._faults)
        except (UnknownNameError, FaultError, ScenarioError) as error:
            sentence = f"step {number}: {error}"
            raise ScenarioError(sentence) from None

    def _call(self, step: AwsStep) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, UnknownServiceError

        try:
            made = client(self._endpoint, step.service)
            answer = _method(made, step)(**_mapping(self._names.resolve(step.params)))
        except UnknownServiceError as error:
            hint = scenario.suggestion(step.service, str(error.kwargs["known_service_names"]).split(", "))
            sentence = f"AWS has no service {step.service!r}{hint}"
            raise ScenarioError(sentence) from None
        except (BotoCoreError, ClientError, TypeError) as error:
            sentence = f"{step.service}.{step.call}: {' '.join(str(error).split())}"
            raise ScenarioError(sentence) from None
        if step.save:
            self._saved[step.save] = answer

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
            made = ecs.register_task_definition(**self._revision(step, running))
            update = {"taskDefinition": made["taskDefinition"]["taskDefinitionArn"]}
        ecs.update_service(cluster=cluster, service=service, **update)
        if step.action == "restart":
            self._reconciler.end_old(service)

    def _revision(self, step: ServiceStep, running: Mapping[str, Any]) -> dict[str, object]:
        kept = ("family", "networkMode", "requiresCompatibilities", "cpu", "memory", "executionRoleArn",
                "taskRoleArn")  # fmt: skip
        container = dict(running["containerDefinitions"][0])
        environment = {entry["name"]: entry["value"] for entry in container["environment"]}
        environment |= _texts(self._names.resolve(step.env))
        secrets = {entry["name"]: entry["valueFrom"] for entry in container.get("secrets", [])}
        secrets |= _texts(self._names.resolve(step.secrets))
        container["environment"] = [
            {"name": name, "value": value} for name, value in environment.items() if name not in step.unset
        ]
        container["secrets"] = [
            {"name": name, "valueFrom": value}
            for name, value in secrets.items()
            if name not in step.unset_secrets
        ]
        if step.image:
            container["image"] = str(self._names.resolve(step.image))
        return {key: running[key] for key in kept if key in running} | {"containerDefinitions": [container]}

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


def _method(made: Any, step: AwsStep) -> Callable[..., object]:
    calls = sorted(made.meta.method_to_api_mapping)
    if step.call not in calls:
        sentence = f"{step.service} has no call {step.call!r}{scenario.suggestion(step.call, calls)}"
        raise ScenarioError(sentence)
    method: Callable[..., object] = getattr(made, step.call)
    return method


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _texts(value: object) -> dict[str, str]:
    return {name: str(text) for name, text in _mapping(value).items()}
