"""ECS as the sandbox's control plane serves it: moto's, with tasks that exist and deployments that happen.

ListTasks and DescribeTasks show the tasks that really run (moto starts none for a service), UpdateService
opens a deployment and leaves the counts to the reconciler (moto sets runningCount to what was asked for),
StopTask is a request to the reconciler, and a deleted service is MISSING at once, which AWS reaches after a
while as INACTIVE.
"""

import dataclasses
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.ecs.exceptions import EcsClientException, ECSException
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.moto_api._internal import mock_random

_OPENS_DEPLOYMENT = ("network_configuration", "load_balancers", "service_registries", "platform_version")
"""Parameters of UpdateService that open a deployment when they change, besides the task definition."""

_DEPLOYMENT_DEFAULTS = {"maximumPercent": 200, "minimumHealthyPercent": 100}


class ClusterContainsServicesError(ECSException):
    """The answer to DeleteCluster while there are services."""

    def __init__(self) -> None:
        text = "The Cluster cannot be deleted while Services are active."
        super().__init__("ClusterContainsServicesException", text)


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container as DescribeTasks shows it."""

    container_arn: str
    task_arn: str
    name: str
    image: str
    last_status: str
    exit_code: int | None = None
    reason: str | None = None
    health_status: str = "UNKNOWN"
    image_digest: str | None = None
    runtime_id: str | None = None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as DescribeTasks shows it. Replaced, never changed, when its state moves."""

    task_arn: str
    cluster_arn: str
    task_definition_arn: str
    group: str
    started_by: str
    containers: tuple[ContainerRecord, ...]
    attachments: tuple[dict[str, object], ...]
    created_at: datetime
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    connectivity: str | None = None
    connectivity_at: datetime | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    launch_type: str = "FARGATE"
    platform_version: str = "1.4.0"
    platform_family: str = "Linux"
    cpu: str | None = None
    memory: str | None = None
    health_status: str = "UNKNOWN"
    tags: tuple[dict[str, str], ...] = ()
    container_instance_arn: str | None = None

    @property
    def ip(self) -> str:
        """The private address of the task's network interface."""
        details = self.attachments[0]["details"]
        assert isinstance(details, list)
        return next(str(part["value"]) for part in details if part["name"] == "privateIPv4Address")


class ServedEcs(EC2ContainerServiceBackend):
    """moto's ECS with tasks that exist and deployments that the reconciler carries out."""

    __module__ = EC2ContainerServiceBackend.__module__  # moto finds a backend's URLs by its module's name

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.stop_requests: dict[str, str] = {}
        self.lock = threading.RLock()

    def records(self) -> list[TaskRecord]:
        """Every task of a service, stopped ones included as long as they are remembered."""
        found: list[object] = [task for tasks in list(self.tasks.values()) for task in list(tasks.values())]
        return [task for task in found if isinstance(task, TaskRecord)]

    def put_record(self, record: TaskRecord) -> None:
        """Show a task as it is now."""
        cluster = record.cluster_arn.split("/")[-1]
        self.tasks.setdefault(cluster, {})[record.task_arn] = record  # type: ignore[assignment]

    def forget(self, task_arn: str) -> None:
        """Show a stopped task no longer."""
        for tasks in self.tasks.values():
            tasks.pop(task_arn, None)

    def list_tasks(
        self,
        cluster_str: str | None = None,
        container_instance: str | None = None,
        family: str | None = None,
        started_by: str | None = None,
        service_name: str | None = None,
        desiredStatus: str | None = None,  # noqa: N803 - moto's name
    ) -> list[Any]:
        """ListTasks: those meant to run unless ``desiredStatus`` says STOPPED."""
        found = super().list_tasks(
            cluster_str, container_instance, family, started_by, None, desiredStatus or "RUNNING"
        )
        if not service_name:
            return found
        group = f"service:{service_name.split('/')[-1]}"
        return [task for task in found if task.group == group]

    def describe_tasks(self, cluster_str: str, tasks: list[str]) -> list[Any]:
        """DescribeTasks, without moving any task's state."""
        cluster = self._get_cluster(cluster_str)
        wanted = {task.split("/")[-1] for task in tasks}
        known = list(self.tasks.get(cluster.name, {}).values())
        return [task for task in known if task.task_arn.split("/")[-1] in wanted]

    def stop_task(self, cluster_str: str, task_str: str, reason: str) -> Any:
        """StopTask: the reconciler stops the process; the answer shows the task on its way."""
        found = self.describe_tasks(cluster_str, [task_str])
        if not found or not isinstance(found[0], TaskRecord):
            return super().stop_task(cluster_str, task_str, reason)
        said = reason or "Task stopped by user"
        stopping = dataclasses.replace(
            found[0],
            desired_status="STOPPED",
            stopping_at=datetime.now(UTC),
            stop_code="UserInitiated",
            stopped_reason=said,
        )
        self.put_record(stopping)
        self.stop_requests[stopping.task_arn] = said
        return stopping

    def register_task_definition(self, *args: Any, **kwargs: Any) -> Any:
        """RegisterTaskDefinition, which says when that was (moto: nothing)."""
        revision: Any = super().register_task_definition(*args, **kwargs)
        revision.registered_at = datetime.now(UTC)
        return revision

    def create_service(self, *args: Any, **kwargs: Any) -> Service:
        """CreateService; nothing runs yet."""
        with self.lock:
            service = super().create_service(*args, **kwargs)
            service.pending_count = 0
            return service

    def update_service(self, service_properties: dict[str, Any]) -> Service:
        """UpdateService: a change of what tasks are started with opens a deployment, as does forcing one.

        What the deployment configuration leaves out stays as it was.
        """
        forced = bool(service_properties.pop("force_new_deployment", False))
        with self.lock:
            name = service_properties["service"].split("/")[-1]
            service = self._get_service(service_properties.get("cluster", "default"), name)
            self._check_active(service_properties.get("task_definition"))
            forced |= any(_changes(service, key, service_properties) for key in _OPENS_DEPLOYMENT)
            _keep_the_rest(service, service_properties)
            before, running, pending = service.task_definition, service.running_count, service.pending_count
            super().update_service(service_properties)
            service.running_count, service.pending_count = running, pending
            self._open_deployment(service, before, forced=forced)
            return service

    def _check_active(self, revision: str | None) -> None:
        if revision and self.describe_task_definition(revision).status != "ACTIVE":
            sentence = "TaskDefinition is inactive"
            raise EcsClientException(sentence)

    def _open_deployment(self, service: Service, before: str | None, *, forced: bool) -> None:
        service.task_definition = self.describe_task_definition(str(service.task_definition)).arn
        primary = service.deployments[0]
        primary.update(desiredCount=service.desired_count, updatedAt=datetime.now(UTC))
        if service.task_definition == before and not forced:
            return
        identity = f"ecs-svc/{mock_random.randint(10**18, 10**19)}"
        now = datetime.now(UTC)
        opened = {
            "id": identity,
            "status": "PRIMARY",
            "taskDefinition": service.task_definition,
            "networkConfiguration": service.network_configuration,
            "createdAt": now,
            "updatedAt": now,
            "failedTasks": 0,
            "rolloutState": "IN_PROGRESS",
        }
        primary["status"] = "ACTIVE"
        service.deployments.insert(0, {**primary, **opened})

    def delete_cluster(self, cluster_str: str) -> Any:
        """DeleteCluster: refused while the cluster has services (moto: INACTIVE, services or not)."""
        cluster = self._get_cluster(cluster_str)
        if any(service.cluster_name == cluster.name for service in list(self.services.values())):
            raise ClusterContainsServicesError
        return super().delete_cluster(cluster_str)

    def delete_task_definitions(self, task_definitions: list[str]) -> Any:
        """DeleteTaskDefinitions: they are DELETE_IN_PROGRESS, and services go on with them (moto: gone)."""
        deleted, failures = super().delete_task_definitions(task_definitions)
        for revision in deleted:
            self.task_definitions[revision.family][revision.revision] = revision
        return deleted, failures

    def delete_service(self, cluster_name: str, service_name: str, force: bool) -> Service:  # noqa: FBT001
        """DeleteService: the answer shows it DRAINING, the next look finds it MISSING."""
        with self.lock:
            service = super().delete_service(cluster_name, service_name, force)
            service.status = "DRAINING"
            self.services.pop(f"{service.cluster_name}:{service.name}", None)
            return service


def _changes(service: Service, key: str, properties: dict[str, Any]) -> bool:
    return properties.get(key) is not None and properties[key] != getattr(service, key, None)


def _keep_the_rest(service: Service, properties: dict[str, Any]) -> None:
    """Complete a deployment configuration with what it leaves out."""
    given = properties.get("deployment_configuration")
    if given is not None:
        before = getattr(service, "deployment_configuration", None) or _DEPLOYMENT_DEFAULTS
        properties["deployment_configuration"] = before | given
