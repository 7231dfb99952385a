"""The ECS of the sandbox: makes processes, targets and Cloud Map follow what the control plane says.

Ten times a second the reconciler compares each service with its tasks and starts, stops and registers what is
missing (`plan` decides, the rest carries out). A task is an operating system process with an address of its
own. What happened is told back to the control plane: counts, deployments, events, tasks, log lines.

Left out on purpose: the deployment circuit breaker never rolls back here (services say so), and a service
that was stopped or crashed by a scenario stays down until a new deployment.
"""

import dataclasses
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.ecs.models import Service, TaskDefinition
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from hokusai_probe.sandbox import processes, tasks
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.identity import PORTS, REGION, Identity
from hokusai_probe.sandbox.served_ecs import ContainerRecord, TaskRecord
from hokusai_probe.sandbox.tasks import FIRST_TASK_HOST, LAST_TASK_HOST, Runtime, Warm

_REMEMBERED = 10
_EVENTS = 100
_LOG_LINES = 50
_BACKOFF_S = (0.3, 0.6, 1.2, 2.4, 5.0)
_SETTLED_FAILURES = 2
_ESSENTIAL_EXITED = "Essential container in task exited"
_SCALING = "Scaling activity initiated by (deployment {})"

_OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the control plane wants of one service."""

    name: str
    cluster: str
    desired: int
    revision: str
    deployment: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What matters of a running task for the plan."""

    arn: str
    deployment: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one service now."""

    start: int = 0
    stop: tuple[str, ...] = ()


def plan(wish: Wish, tasks: Sequence[Seen]) -> Plan:
    """Which tasks to start and stop: new ones first, old ones go once the new ones accept connections."""
    current = [task for task in tasks if task.deployment == wish.deployment]
    older = [task for task in tasks if task.deployment != wish.deployment]
    replaced = sum(task.ready for task in current) >= wish.desired
    surplus = current[wish.desired :] + (older if replaced else older[wish.desired :])
    return Plan(max(0, wish.desired - len(current)), tuple(task.arn for task in surplus))


@dataclass(slots=True)
class _Running:
    record: TaskRecord
    service: str
    deployment: str
    child: processes.Child
    log: Path
    port: int
    ready: bool = False
    targets: list[tuple[str, int]] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Failures:
    count: int = 0
    next_start: float = 0.0


class CannotStartError(Exception):
    """ECS would not start this task; the text is its stopped reason."""


class Reconciler:
    """Keeps the processes in step with the control plane. Thread-safe; call `tick` often.

    Args:
        plane: The control plane.
        runtime: What the tasks are told.
        identity: Whose account it is, and the seed of the task ids.
        warm: Programs that run already; whoever needs exactly one of them takes it over.

    """

    def __init__(
        self, plane: MotoControlPlane, runtime: Runtime, identity: Identity, warm: Sequence[Warm] = ()
    ) -> None:
        self._plane = plane
        self._runtime = runtime
        self._warm = list(warm)
        self._account = identity.account
        self._region = REGION
        self._random = random.Random(f"tasks {identity.seed}")  # noqa: S311 - ids, no secret
        self._event_ids = random.Random(f"events {identity.seed}")  # noqa: S311 - as above; their number varies
        self._running: dict[str, _Running] = {}
        self._failures: dict[str, _Failures] = {}  # by deployment
        self._kept: list[tuple[str, str, str, int]] = []  # service, address, target group, port
        self._held: dict[str, str] = {}  # service name -> deployment that stays down
        self._next_host = FIRST_TASK_HOST
        self._steady: dict[str, str] = {}
        self._lock = threading.RLock()
        self._closed = False

    # What scenario steps ask for

    def stop(self, service: str, *, keep_target: bool = False) -> None:
        """Take a service's processes away; they stay away until a new deployment."""
        self._end_all(service, "Task stopped by the scheduler", 143, keep_target=keep_target)

    def crash(
        self, service: str, exit_code: int, reason: str, log: Sequence[str], *, keep_target: bool
    ) -> None:
        """Have a service's processes die like this; they stay dead until a new deployment."""
        with self._lock:
            wish = self._wish(service)
            if wish is not None:
                revision = self._plane.ecs.describe_task_definition(wish.revision)
                for task in self._tasks_of(service):
                    self._write_log(revision, task.record, log)
            self._end_all(service, reason, exit_code, keep_target=keep_target)

    def hang(self, service: str) -> None:
        """Freeze a service's processes (SIGSTOP): connections are accepted by the kernel, nothing answers."""
        with self._lock:
            for task in self._tasks_of(service):
                task.child.signal(signal.SIGSTOP)

    def end_old(self, service: str) -> None:
        """Stop the processes of earlier deployments at once, without waiting for the new ones."""
        with self._lock:
            wish = self._wish(service)
            for task in self._tasks_of(service):
                if wish is None or task.deployment != wish.deployment:
                    self._end(task, "Task stopped by the scheduler", "ServiceSchedulerInitiated", 143)

    def newest(self, service: str) -> TaskRecord | None:
        """The newest task of a service, None when it never had one."""
        group = f"service:{service}"
        records = [record for record in self._plane.ecs.records() if record.group == group]
        return max(records, key=lambda record: record.created_at, default=None)

    def keeps_failing(self, service: str) -> bool:
        """Whether the service's newest deployment failed more than once without a task that serves."""
        wish = self._wish(service)
        return wish is not None and self._failures_of(wish.deployment).count >= _SETTLED_FAILURES

    def trouble(self, service: str) -> str | None:
        """Why a service does not serve, ending in its last log line; None when it does."""
        tasks = self._tasks_of(service)
        if any(task.ready for task in tasks):
            return None
        newest = self.newest(service)
        reason = newest.stopped_reason if newest and newest.stopped_reason else "nothing listens yet"
        lines = self._last_lines(service, newest) if newest else []
        return f"{reason}; last log line: {lines[0]}" if lines else reason

    def _last_lines(self, service: str, record: TaskRecord) -> list[str]:
        return processes.last_lines(self._runtime.log(self._runtime.services[service], record.ip), 1)

    def settled(self) -> bool:
        """Whether nothing is under way: each service runs as wished, is held down, or keeps failing."""
        with self._lock:
            wishes = {wish.name: wish for wish in self._wishes()}
            strays = any(task.service not in wishes for task in self._running.values())
            return not strays and all(self._is_settled(wish) for wish in wishes.values())

    def let_go_of_spares(self) -> None:
        """End the programs that nobody took over."""
        for spare in self._warm:
            spare.child.kill()
        self._warm.clear()

    def close(self) -> None:
        """Kill every process."""
        with self._lock:
            self._closed = True
            self.let_go_of_spares()
            for task in self._running.values():
                task.child.let_go()
            for task in self._running.values():
                task.child.kill()
            self._running.clear()

    # One round

    def tick(self) -> None:
        """Look once and do what is due."""
        with self._lock, self._plane.ecs.lock:
            if self._closed:
                return
            self._reap()
            self._obey_stop_requests()
            wishes = self._wishes()
            self._end_strays({wish.name for wish in wishes})
            for wish in wishes:
                self._carry_out(wish)
                self._publish(wish)

    def _wishes(self) -> list[Wish]:
        return [_wish(service) for service in list(self._plane.ecs.services.values())]

    def _wish(self, service: str) -> Wish | None:
        return next((wish for wish in self._wishes() if wish.name == service), None)

    def _tasks_of(self, service: str) -> list[_Running]:
        return [task for task in list(self._running.values()) if task.service == service]

    def _is_settled(self, wish: Wish) -> bool:
        tasks = self._tasks_of(wish.name)
        if self._held.get(wish.name) == wish.deployment:
            return not tasks
        if self._failures_of(wish.deployment).count >= _SETTLED_FAILURES:
            return True
        current = [task for task in tasks if task.deployment == wish.deployment and task.ready]
        return len(tasks) == len(current) == wish.desired

    def _reap(self) -> None:
        for task in list(self._running.values()):
            if not task.child.alive:
                self._died(task)
            elif not task.ready and _accepts(task.record.ip, task.port):
                task.ready = True
                self._failures.pop(task.deployment, None)

    def _died(self, task: _Running) -> None:
        self._fail(task.deployment)
        code = task.child.exit_code
        reason = _OUT_OF_MEMORY if code == 137 else None
        self._end(task, _ESSENTIAL_EXITED, "EssentialContainerExited", code, reason)

    def _fail(self, deployment: str) -> None:
        failures = self._failures.setdefault(deployment, _Failures())
        pause = _BACKOFF_S[min(failures.count, len(_BACKOFF_S) - 1)]
        failures.count += 1
        failures.next_start = time.monotonic() + pause

    def _failures_of(self, deployment: str) -> _Failures:
        return self._failures.get(deployment, _Failures())

    def _obey_stop_requests(self) -> None:
        requests = self._plane.ecs.stop_requests
        for arn in list(requests):
            reason = requests.pop(arn)
            if arn in self._running:
                self._end(self._running[arn], reason, "UserInitiated", 143)

    def _end_strays(self, known: set[str]) -> None:
        for task in list(self._running.values()):
            if task.service not in known:
                self._end(task, "Service deleted", "ServiceSchedulerInitiated", 143)

    def _carry_out(self, wish: Wish) -> None:
        held = self._held.get(wish.name) == wish.deployment
        seen = [Seen(arn, task.deployment, task.ready) for arn, task in self._running.items()
                if task.service == wish.name]  # fmt: skip
        todo = plan(wish, seen)
        for arn in todo.stop:
            self._end(self._running[arn], _SCALING.format(wish.deployment), "ServiceSchedulerInitiated", 143)
        waits = time.monotonic() < self._failures_of(wish.deployment).next_start
        if not held and not waits:
            for _ in range(todo.start):
                self._start(wish)

    # Starting

    def _start(self, wish: Wish) -> None:
        revision = self._plane.ecs.describe_task_definition(wish.revision)
        record = self._new_record(wish, revision)
        try:
            child = self._spawn(wish, revision, record.ip)
        except CannotStartError as error:
            self._fail(wish.deployment)
            self._plane.ecs.put_record(_stopped(record, "TaskFailedToStart", str(error), None, None))
            return
        now = datetime.now(UTC)
        containers = (dataclasses.replace(record.containers[0], last_status="RUNNING"),)
        record = dataclasses.replace(record, last_status="RUNNING", started_at=now, containers=containers)
        key = self._runtime.services[wish.name]
        log = self._runtime.log(key, record.ip)
        task = _Running(record, wish.name, wish.deployment, child, log, PORTS[key])
        self._running[record.task_arn] = task
        self._plane.ecs.put_record(record)
        self._tell(wish.name, f"has started 1 tasks: (task {_id(record)}).")
        self._register(wish, task)

    def _new_record(self, wish: Wish, revision: TaskDefinition) -> TaskRecord:
        identity = f"{self._random.getrandbits(128):032x}"
        arn = f"arn:aws:ecs:{self._region}:{self._account}:task/{wish.cluster.split('/')[-1]}/{identity}"
        container: Mapping[str, Any] = revision.container_definitions[0]
        return TaskRecord(
            task_arn=arn,
            cluster_arn=wish.cluster,
            task_definition_arn=revision.arn,
            group=f"service:{wish.name}",
            started_by=wish.deployment,
            containers=(
                ContainerRecord(
                    container_arn=arn.replace(":task/", ":container/")
                    + f"/{self._random.getrandbits(64):016x}",
                    task_arn=arn,
                    name=container["name"],
                    image=container["image"],
                    last_status="PENDING",
                ),
            ),
            attachments=(_interface(self._random, self._new_ip()),),
            created_at=datetime.now(UTC),
        )

    def _new_ip(self) -> str:
        used = {task.record.ip for task in self._running.values()}
        while True:
            ip = f"{self._runtime.network}.{self._next_host}"
            self._next_host = FIRST_TASK_HOST if self._next_host == LAST_TASK_HOST else self._next_host + 1
            if ip not in used:
                return ip

    def _spawn(self, wish: Wish, revision: TaskDefinition, ip: str) -> processes.Child:
        container: Mapping[str, Any] = revision.container_definitions[0]
        service = self._runtime.services[wish.name]
        kind = self._runtime.images.get(container["image"], "missing")
        if kind == "missing":
            reason = f"CannotPullContainerError: pull image manifest: {container['image']}: not found"
            raise CannotStartError(reason)
        variables = {entry["name"]: entry["value"] for entry in container.get("environment", [])}
        program = tasks.program(self._runtime, service, kind, ip, variables)
        secrets = self._resolved_secrets(container)
        warm = next((one for one in self._warm if one.program == program), None)
        if warm is not None:
            self._warm.remove(warm)
            return warm.child
        tasks.prepare(self._runtime, service, ip, secrets)
        return program.start()

    def _resolved_secrets(self, container: Mapping[str, Any]) -> dict[str, str]:
        return {secret["name"]: self._secret(secret["valueFrom"]) for secret in container.get("secrets", [])}

    def _secret(self, value_from: str) -> str:
        """The value behind a task definition's ``valueFrom``: a parameter, or a secret and its JSON key."""
        if ":secretsmanager:" not in value_from:
            return self._parameter(value_from)
        parts = value_from.split(":")
        arn, key = ":".join(parts[:7]), (parts[7] if len(parts) > 7 else "")
        backend = secretsmanager_backends[self._account][self._region]
        text = next((_current(found) for found in list(backend.secrets.values()) if found.arn == arn), None)
        if text is None:
            raise CannotStartError(
                _no_secret(arn, "ResourceNotFoundException: Secrets Manager can't find it")
            )
        if not key:
            return text
        value = json.loads(text).get(key)
        if value is None:
            raise CannotStartError(_no_secret(arn, f"retrieved secret did not contain json key {key}"))
        return str(value)

    def _parameter(self, value_from: str) -> str:
        name = value_from.split(":parameter", 1)[-1]
        found = ssm_backends[self._account][self._region].get_parameters([name])
        if name not in found:
            sentence = (
                "ResourceInitializationError: unable to pull secrets or registry auth: "
                f"invalid ssm parameters: {name}"
            )
            raise CannotStartError(sentence)
        return str(found[name].value)

    def _register(self, wish: Wish, task: _Running) -> None:
        service = self._service(wish.name)
        self._deregister_kept(wish.name)
        for entry in service.load_balancers:
            arn, port = entry["targetGroupArn"], int(entry["containerPort"])
            self._plane.elbv2.register_targets(arn, [{"Id": task.record.ip, "Port": port}])
            task.targets.append((arn, port))
            self._tell(wish.name, f"registered 1 targets in (target-group {arn})")
        for entry in service.service_registries:
            identity = entry["registryArn"].split("/")[-1]
            attributes = {"AWS_INSTANCE_IPV4": task.record.ip, "ECS_SERVICE_NAME": wish.name}
            self._plane.discovery.register_instance(identity, _id(task.record), "", attributes)
            task.instances.append(identity)

    # Ending

    def _end_all(self, service: str, reason: str, exit_code: int, *, keep_target: bool) -> None:
        with self._lock:
            wish = self._wish(service)
            if wish is not None:
                self._held[service] = wish.deployment
            for task in self._tasks_of(service):
                if keep_target:
                    self._kept += [(service, task.record.ip, arn, port) for arn, port in task.targets]
                    task.targets.clear()
                stop_code = "EssentialContainerExited" if reason != "Task stopped by the scheduler" else None
                self._end(task, reason, stop_code or "ServiceSchedulerInitiated", exit_code)

    def _end(
        self,
        task: _Running,
        reason: str,
        stop_code: str,
        exit_code: int | None,
        container_reason: str | None = None,
    ) -> None:
        task.child.kill()
        self._deregister(task)
        self._running.pop(task.record.task_arn, None)
        revision = self._plane.ecs.describe_task_definition(task.record.task_definition_arn)
        self._write_log(revision, task.record, processes.last_lines(task.log, _LOG_LINES))
        self._plane.ecs.put_record(_stopped(task.record, stop_code, reason, exit_code, container_reason))
        self._tell(task.service, f"has stopped 1 running tasks: (task {_id(task.record)}).")
        self._forget_old(task.record.group)

    def _deregister_kept(self, service: str) -> None:
        """The next task of a service takes the targets with it that a scenario left behind."""
        for kept in [one for one in self._kept if one[0] == service]:
            self._kept.remove(kept)
            self._deregister_target(*kept[1:])

    def _deregister_target(self, ip: str, arn: str, port: int) -> None:
        group = self._plane.elbv2.target_groups.get(arn)
        if group is not None and f"{ip}:{port}" in group.targets:
            group.deregister([{"Id": ip, "Port": port}])

    def _deregister(self, task: _Running) -> None:
        for arn, port in task.targets:
            self._deregister_target(task.record.ip, arn, port)
        for identity in task.instances:
            service = self._plane.discovery.services.get(identity)
            if service is not None and any(i.instance_id == _id(task.record) for i in service.instances):
                self._plane.discovery.deregister_instance(identity, _id(task.record))

    def _forget_old(self, group: str) -> None:
        stopped = [r for r in self._plane.ecs.records() if r.group == group and r.last_status == "STOPPED"]
        stopped.sort(key=lambda record: record.created_at)
        for record in stopped[:-_REMEMBERED]:
            self._plane.ecs.forget(record.task_arn)

    def _write_log(self, revision: TaskDefinition, record: TaskRecord, lines: Sequence[str]) -> None:
        container: Mapping[str, Any] = revision.container_definitions[0]
        options = container.get("logConfiguration", {}).get("options", {})
        backend = logs_backends[self._account][self._region]
        group = backend.groups.get(options.get("awslogs-group", ""))
        if group is None or not lines:
            return
        stream = f"ecs/{record.containers[0].name}/{_id(record)}"
        if stream not in group.streams:
            backend.create_log_stream(group.name, stream)
        now = int(time.time() * 1000)
        backend.put_log_events(group.name, stream, [{"timestamp": now, "message": line} for line in lines])

    # Telling

    def _service(self, name: str) -> Service:
        return next(service for service in self._plane.ecs.services.values() if service.name == name)

    def _tell(self, service: str, message: str) -> None:
        found = next((s for s in list(self._plane.ecs.services.values()) if s.name == service), None)
        if found is None:
            return
        identity = f"{self._event_ids.getrandbits(128):032x}"
        event = {"id": identity, "createdAt": datetime.now(UTC), "message": f"(service {service}) {message}"}
        found.events = [event, *found.events[: _EVENTS - 1]]

    def _publish(self, wish: Wish) -> None:
        service = self._service(wish.name)
        tasks = self._tasks_of(wish.name)
        service.running_count = len(tasks)
        service.pending_count = 0
        for deployment in service.deployments:
            self._publish_deployment(deployment, wish, tasks)
        live = {wish.deployment, *(task.deployment for task in tasks)}
        service.deployments = [one for one in service.deployments if one["id"] in live]
        cluster = self._plane.ecs.clusters[service.cluster_name]
        cluster.running_tasks_count = len(self._running)
        cluster.pending_tasks_count = 0
        self._tell_steady(wish, tasks)

    def _publish_deployment(self, deployment: dict[str, Any], wish: Wish, tasks: Sequence[_Running]) -> None:
        mine = [task for task in tasks if task.deployment == deployment["id"]]
        is_primary = deployment["id"] == wish.deployment
        complete = is_primary and len(mine) == len(tasks) == wish.desired and all(t.ready for t in mine)
        state = "COMPLETED" if complete or deployment["rolloutState"] == "COMPLETED" else "IN_PROGRESS"
        deployment.update(
            runningCount=len(mine),
            pendingCount=0,
            desiredCount=wish.desired if is_primary else 0,
            failedTasks=self._failures_of(deployment["id"]).count,
            rolloutState=state,
            rolloutStateReason=f"ECS deployment {deployment['id']} {state.lower().replace('_', ' ')}.",
        )

    def _tell_steady(self, wish: Wish, tasks: Sequence[_Running]) -> None:
        steady = len(tasks) == wish.desired and all(
            t.ready and t.deployment == wish.deployment for t in tasks
        )
        mark = f"{wish.deployment} {wish.desired} {sorted(task.record.task_arn for task in tasks)}"
        if steady and self._steady.get(wish.name) != mark:
            self._steady[wish.name] = mark
            self._tell(wish.name, "has reached a steady state.")


def _wish(service: Service) -> Wish:
    return Wish(
        name=service.name,
        cluster=service.cluster_arn,
        desired=int(service.desired_count),
        revision=str(service.task_definition),
        deployment=str(service.deployments[0]["id"]),
    )


def _stopped(
    record: TaskRecord, stop_code: str, reason: str, exit_code: int | None, container_reason: str | None
) -> TaskRecord:
    now = datetime.now(UTC)
    container = dataclasses.replace(
        record.containers[0], last_status="STOPPED", exit_code=exit_code, reason=container_reason
    )
    return dataclasses.replace(
        record,
        last_status="STOPPED",
        desired_status="STOPPED",
        stopping_at=now,
        stopped_at=now,
        stop_code=stop_code,
        stopped_reason=reason,
        containers=(container,),
    )


def _interface(ids: random.Random, ip: str) -> dict[str, object]:
    return {
        "id": f"{ids.getrandbits(64):016x}",
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED",
        "details": [
            {"name": "networkInterfaceId", "value": f"eni-{ids.getrandbits(68):017x}"},
            {"name": "privateIPv4Address", "value": ip},
        ],
    }


def _id(record: TaskRecord) -> str:
    return record.task_arn.split("/")[-1]


def _accepts(ip: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.2)
        return client.connect_ex((ip, port)) == 0


def _current(secret: Any) -> str:
    return str(secret.versions[secret.default_version_id]["secret_string"])


def _no_secret(arn: str, why: str) -> str:
    return (
        "ResourceInitializationError: unable to pull secrets or registry auth: "
        f"unable to retrieve secret from asm: {arn}: {why}"
    )
