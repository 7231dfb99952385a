"""The tasks of the sandbox's ECS: a process each, with an address, targets, a Cloud Map instance and a log.

Whoever decides (`ecs.Reconciler`) starts and ends them here; what happened is put into the control plane as
records that DescribeTasks shows, in the words of AWS. A stopped task stays visible for an hour of the
platform's time, as the ECS developer guide promises ("Viewing Amazon ECS stopped task errors").
"""

import contextlib
import dataclasses
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.ecs.models import TaskDefinition

from hokusai_probe.sandbox import ecs_health, ecs_launch, image_registry, processes, tasks
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.ecs_health import Ailment, Check, Checked, ContainerChecks
from hokusai_probe.sandbox.ecs_launch import CannotStartError, Launch
from hokusai_probe.sandbox.ecs_plan import Seen, Wish
from hokusai_probe.sandbox.ecs_publish import Publisher
from hokusai_probe.sandbox.identity import PORTS, REGION, Identity
from hokusai_probe.sandbox.log_shipping import Tail, stream_of, write
from hokusai_probe.sandbox.placement import placed_in
from hokusai_probe.sandbox.served_ecs import ContainerRecord, TaskRecord
from hokusai_probe.sandbox.state import Health
from hokusai_probe.sandbox.tasks import FIRST_TASK_HOST, LAST_TASK_HOST, Runtime, Warm

STOPPED_TASK_S = 3600.0
"""How long a stopped task is shown, in seconds of the platform."""

BY_SCHEDULER, BY_USER = "ServiceSchedulerInitiated", "UserInitiated"
EXITED, FAILED_TO_START = "EssentialContainerExited", "TaskFailedToStart"
ESSENTIAL_EXITED = "Essential container in task exited"

_TERMINATED, _KILLED = 143, 137
_OUT_OF_MEMORY = "OutOfMemoryError"
_NO_MEMORY = f"{_OUT_OF_MEMORY}: Container killed due to memory usage"
_ACCEPTS_S = 0.2
_STOP_S = 0.3
_READY = frozenset({"healthy", "unused"})


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a task stops, as DescribeTasks tells it."""

    reason: str
    stop_code: str = BY_SCHEDULER
    exit_code: int | None = _TERMINATED
    container_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Crash:
    """How a container dies each time: the modelled outcome of a scenario's ``crash``."""

    exit_code: int
    reason: str
    log: tuple[str, ...]

    @property
    def ending(self) -> Ending:
        """What DescribeTasks says. Out of memory is the container's reason, not the task's."""
        if self.reason.startswith(_OUT_OF_MEMORY):
            return Ending(ESSENTIAL_EXITED, EXITED, self.exit_code, self.reason)
        return Ending(self.reason, EXITED, self.exit_code)


@dataclass(slots=True)
class Running:
    """A task that runs. Times by the monotonic clock."""

    record: TaskRecord
    service: str
    deployment: str
    child: processes.Child
    tail: Tail
    port: int
    started: float
    check: Check | None = None
    checked: Checked | None = None
    listens_since: float | None = None
    frozen: bool = False
    healthy: bool = False
    ailment: Ailment | None = None
    given_up: Ailment | None = None  # for good: ECS replaces what it once marked unhealthy
    targets: list[tuple[str, int]] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    unhealthy_since: dict[str, float] = field(default_factory=dict)

    @property
    def seen(self) -> Seen:
        """What the plan needs to know."""
        return Seen(self.record.task_arn, self.deployment, self.healthy, unhealthy=bool(self.given_up))


def utc_now() -> datetime:
    """The time that records carry."""
    return datetime.now(UTC)


class Tasks:
    """Starts, watches and ends tasks. Not thread-safe: the scheduler's own.

    Args:
        plane: The control plane.
        runtime: What the tasks are told.
        identity: Whose account it is, and the seed of the ids.
        warm: Programs that run already; whoever needs exactly one of them takes it over.
        publisher: Who tells what happened.
        now: The clock of the records.

    """

    def __init__(
        self,
        plane: MotoControlPlane,
        runtime: Runtime,
        identity: Identity,
        warm: Sequence[Warm],
        publisher: Publisher,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._plane = plane
        self._runtime = runtime
        self._account = identity.account
        self._random = random.Random(f"tasks {identity.seed}")  # noqa: S311 - ids, no secret
        self._warm = list(warm)
        self._publisher = publisher
        self._now = now
        self._checks = ContainerChecks()
        self._kept: list[tuple[str, str, str, int]] = []  # service, address, target group, port
        self._next_host = FIRST_TASK_HOST
        self.running: dict[str, Running] = {}

    def of(self, service: str) -> list[Running]:
        """The tasks of a service that run, oldest first."""
        return [task for task in list(self.running.values()) if task.service == service]

    # Starting

    def start(self, wish: Wish, deployment: str, revision_arn: str) -> bool:
        """Start a task; returns whether it came to run. What it failed on is shown as a stopped task.

        Raises:
            CannotAssumeRoleError: ECS cannot assume a role, and makes no task at all.

        """
        revision = self._plane.ecs.describe_task_definition(revision_arn)
        ecs_launch.check_roles(self._account, revision)
        record = self._new_record(wish, deployment, revision)
        try:
            launch = ecs_launch.prepare(self._account, revision, self._runtime.images, task_id(record))
        except CannotStartError as error:
            self._show_failure(record, str(error))
            return False
        self._run(wish, record, revision, launch)
        return True

    def crash(self, wish: Wish, crash: Crash) -> None:
        """Show a task that ran for a moment and died like this."""
        revision = self._plane.ecs.describe_task_definition(wish.revision)
        record = self._new_record(wish, wish.deployment, revision)
        image = image_registry.find(self._runtime.images, record.containers[0].image)
        record = self._at_work(record, image.digest if image else None)
        self._publisher.tell(wish.name, f"has started 1 tasks: (task {task_id(record)}).")
        self.log(record, crash.log)
        self._plane.ecs.put_record(_stopped(record, crash.ending, self._now()))

    def log(self, record: TaskRecord, lines: Sequence[str]) -> None:
        """Put lines into a task's log stream."""
        revision = self._plane.ecs.describe_task_definition(record.task_definition_arn)
        stream = stream_of(self._account, revision.container_definitions[0], task_id(record))
        if stream is not None:
            write(stream, lines)

    def _show_failure(self, record: TaskRecord, reason: str) -> None:
        pulled = reason if reason.startswith("CannotPull") else None
        ending = Ending(reason, FAILED_TO_START, None, pulled)
        self._plane.ecs.put_record(_stopped(record, ending, self._now()))

    def _run(self, wish: Wish, record: TaskRecord, revision: TaskDefinition, launch: Launch) -> None:
        key = self._runtime.services[wish.name]
        container: Mapping[str, Any] = revision.container_definitions[0]
        path = self._runtime.log(key, record.ip)
        before = path.stat().st_size if path.exists() else 0
        child, is_new = self._spawn(key, container, revision, record.ip, launch)
        tail = Tail(path, stream_of(self._account, container, task_id(record)), before if is_new else 0)
        record = self._at_work(record, launch.image.digest)
        now = time.monotonic()
        task = Running(record, wish.name, record.started_by, child, tail, PORTS[key], now)
        task.check = Check.of(container, self._runtime.time_scale)
        task.checked = ecs_health.first(task.check, now) if task.check else None
        self.running[record.task_arn] = task
        self._plane.ecs.put_record(record)
        self._publisher.tell(wish.name, f"has started 1 tasks: (task {task_id(record)}).")
        self._register(task)

    def _spawn(
        self, key: str, container: Mapping[str, Any], revision: TaskDefinition, ip: str, launch: Launch
    ) -> tuple[processes.Child, bool]:
        """The task's process, and whether it is a new one."""
        platform = getattr(revision, "runtime_platform", None) or {}
        kind = tasks.on_processor(launch.image.kind, platform.get("cpuArchitecture", ""))
        variables = {entry["name"]: entry["value"] for entry in container.get("environment", [])}
        program = tasks.program(self._runtime, key, kind, ip, variables)
        warm = next((one for one in self._warm if one.program == program), None)
        if warm is not None:
            self._warm.remove(warm)
            return warm.child, False
        tasks.prepare(self._runtime, key, ip, launch.secrets)
        return program.start(), True

    def _new_record(self, wish: Wish, deployment: str, revision: TaskDefinition) -> TaskRecord:
        identity = f"{self._random.getrandbits(128):032x}"
        arn = f"arn:aws:ecs:{REGION}:{self._account}:task/{wish.cluster.split('/')[-1]}/{identity}"
        container: Mapping[str, Any] = revision.container_definitions[0]
        return TaskRecord(
            task_arn=arn,
            cluster_arn=wish.cluster,
            task_definition_arn=revision.arn,
            group=f"service:{wish.name}",
            started_by=deployment,
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
            attachments=(_interface(self._random, self._new_ip(), self._subnet(wish.name)),),
            created_at=self._now(),
            cpu=revision.cpu,
            memory=revision.memory,
        )

    def _subnet(self, service: str) -> str:
        """The subnet that a service's tasks are placed in; empty where the service names none."""
        found = self._publisher.service(service)
        configuration = (found.network_configuration if found else None) or {}
        subnets = configuration.get("awsvpcConfiguration", {}).get("subnets", ())
        return placed_in(subnets, self._account, self._runtime.services.get(service, ""))

    def _at_work(self, record: TaskRecord, digest: str | None) -> TaskRecord:
        """The record of a task whose container has started."""
        now = self._now()
        container = dataclasses.replace(
            record.containers[0],
            last_status="RUNNING",
            image_digest=digest,
            runtime_id=f"{task_id(record)}-{self._random.getrandbits(32):010d}",
        )
        return dataclasses.replace(
            record,
            last_status="RUNNING",
            started_at=now,
            pull_started_at=record.created_at,
            pull_stopped_at=now,
            connectivity="CONNECTED",
            connectivity_at=record.created_at,
            containers=(container,),
        )

    def _new_ip(self) -> str:
        used = {task.record.ip for task in self.running.values()}
        while True:
            ip = f"{self._runtime.network}.{self._next_host}"
            self._next_host = FIRST_TASK_HOST if self._next_host == LAST_TASK_HOST else self._next_host + 1
            if ip not in used:
                return ip

    def _register(self, task: Running) -> None:
        service = self._publisher.service(task.service)
        if service is None:
            return
        self._deregister_kept(task.service)
        for entry in service.load_balancers:
            arn, port = entry["targetGroupArn"], int(entry["containerPort"])
            if arn in self._plane.elbv2.target_groups:
                self._plane.elbv2.register_targets(arn, [{"Id": task.record.ip, "Port": port}])
                task.targets.append((arn, port))
                self._publisher.tell(task.service, f"registered 1 targets in (target-group {arn})")
        for entry in service.service_registries:
            identity = entry["registryArn"].split("/")[-1]
            if identity in self._plane.discovery.services:
                attributes = {"AWS_INSTANCE_IPV4": task.record.ip, "ECS_SERVICE_NAME": task.service}
                self._plane.discovery.register_instance(identity, task_id(task.record), "", attributes)
                task.instances.append(identity)

    # Watching

    def watch(self, task: Running, now: float, grace_s: float) -> None:
        """Take in what is new about a task that is alive: output, listening, health."""
        task.tail.ship()
        if task.listens_since is None and _accepts(task.record.ip, task.port):
            task.listens_since = now
        self._check_container(task, now)
        self._look_at_targets(task, now, task.started + grace_s)
        if task.ailment is not None and now >= task.ailment.due and task.given_up is None:
            task.given_up = task.ailment
            task.healthy = False
            self._publisher.tell(task.service, task.given_up.event)

    def _check_container(self, task: Running, now: float) -> None:
        if task.check is None or task.checked is None:
            return
        before = task.checked.status
        arn, ip = task.record.task_arn, task.record.ip
        task.checked = self._checks.advance(arn, ip, task.check, task.checked, now)
        if task.checked.status != before:
            task.record = _with_health(task.record, task.checked.status)
            self._plane.ecs.put_record(task.record)

    def _look_at_targets(self, task: Running, now: float, grace_ends: float) -> None:
        verdicts = self._verdicts(task)
        for arn in set(task.unhealthy_since) - {arn for arn, health in verdicts.items() if _is_bad(health)}:
            del task.unhealthy_since[arn]
        ailments = [ecs_health.container_ailment(task.checked, task_id(task.record), grace_ends)]
        for arn, port in task.targets:
            if arn in verdicts and _is_bad(verdicts[arn]):
                since = task.unhealthy_since.setdefault(arn, now)
                due = max(grace_ends, since + self._verdict_s(arn))
                why = verdicts[arn].description
                ailments.append(ecs_health.target_ailment(arn, port, why, task_id(task.record), due))
        task.ailment = min((one for one in ailments if one), key=lambda one: one.due, default=None)
        task.healthy = _passes(task, [health.state for health in verdicts.values()])

    def _verdicts(self, task: Running) -> dict[str, Health]:
        """The health of a task's targets; one that somebody deregistered is no matter of ECS any more."""
        found = {}
        for arn, port in task.targets:
            group = self._plane.elbv2.target_groups.get(arn)
            health = self._plane.health_of(arn, task.record.ip, port)
            is_registered = group is not None and f"{task.record.ip}:{port}" in group.targets
            if is_registered and health.state != "draining":
                found[arn] = health
        return found

    def _verdict_s(self, arn: str) -> float:
        """How long AWS's load balancer takes to call a target unhealthy, scaled."""
        group = self._plane.elbv2.target_groups.get(arn)
        if group is None:
            return 0.0
        interval, threshold = group.health_check_interval_seconds, group.unhealthy_threshold_count
        return float(interval) * int(threshold) / self._runtime.time_scale

    # Ending

    def reap(self, task: Running) -> None:
        """Take in that a task's process ended by itself."""
        code = task.child.exit_code
        reason = _NO_MEMORY if code == _KILLED else None
        self.end(task, Ending(ESSENTIAL_EXITED, EXITED, code, reason))

    def end(self, task: Running, ending: Ending) -> None:
        """Take away what belongs to a task, then end its process, if it lives.

        In this order, as ECS does (developer guide, "Amazon ECS task lifecycle": deactivating comes before
        stopping): nothing new reaches a task that is going, and what is in flight is answered. Nor does it
        count as running then: whoever finds its target group empty finds the service short of a task, too.
        """
        self.running.pop(task.record.task_arn, None)
        self._plane.ecs.put_record(
            dataclasses.replace(task.record, last_status="DEACTIVATING", desired_status="STOPPED")
        )
        self._publisher.count_out(task.service, task.deployment)
        self._deregister(task)
        _stop(task.child)
        self._checks.forget(task.record.task_arn)
        task.tail.finish()
        self._plane.ecs.put_record(_stopped(task.record, ending, self._now()))
        if ending.stop_code != EXITED:
            self._publisher.tell(task.service, f"has stopped 1 running tasks: (task {task_id(task.record)}).")

    def keep_targets(self, task: Running) -> None:
        """Leave a task's targets registered when it ends; the service's next task takes them along."""
        self._kept += [(task.service, task.record.ip, arn, port) for arn, port in task.targets]
        task.targets.clear()

    def forget_old(self) -> None:
        """Show stopped tasks no longer once their hour is over."""
        oldest = self._now() - timedelta(seconds=STOPPED_TASK_S / self._runtime.time_scale)
        for record in self._plane.ecs.records():
            if record.stopped_at is not None and record.stopped_at < oldest:
                self._plane.ecs.forget(record.task_arn)

    def let_go_of_spares(self) -> None:
        """End the programs that nobody took over."""
        for spare in self._warm:
            spare.child.kill()
        self._warm.clear()

    def close(self) -> None:
        """Kill every process."""
        self.let_go_of_spares()
        self._checks.close()
        for task in self.running.values():
            task.child.let_go()
        for task in self.running.values():
            task.child.kill()
        self.running.clear()

    def _deregister_kept(self, service: str) -> None:
        for kept in [one for one in self._kept if one[0] == service]:
            self._kept.remove(kept)
            self._deregister_target(*kept[1:])

    def _deregister_target(self, ip: str, arn: str, port: int) -> bool:
        group = self._plane.elbv2.target_groups.get(arn)
        if group is None or f"{ip}:{port}" not in group.targets:
            return False
        group.deregister([{"Id": ip, "Port": port}])
        return True

    def _deregister(self, task: Running) -> None:
        for arn, port in task.targets:
            if self._deregister_target(task.record.ip, arn, port):
                self._publisher.tell(task.service, f"deregistered 1 targets in (target-group {arn})")
        for identity in task.instances:
            service = self._plane.discovery.services.get(identity)
            name = task_id(task.record)
            if service is not None and any(i.instance_id == name for i in service.instances):
                self._plane.discovery.deregister_instance(identity, name)


def _stop(child: processes.Child) -> None:
    """Have a process end by itself, and kill it where it does not: ECS waits, too, though for 30 s."""
    child.signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_S)
    child.kill()


def task_id(record: TaskRecord) -> str:
    """The last part of a task's ARN."""
    return record.task_arn.rpartition("/")[2]


def _is_bad(health: Health) -> bool:
    return health.state == "unhealthy"


def _passes(task: Running, states: Sequence[str]) -> bool:
    """Whether a task counts as healthy: it listens, its check passes, and so do all its targets."""
    contained = task.checked is None or task.checked.status == "HEALTHY"
    accepts = task.listens_since is not None and task.given_up is None
    return accepts and contained and all(state in _READY for state in states)


def _with_health(record: TaskRecord, status: str) -> TaskRecord:
    container = dataclasses.replace(record.containers[0], health_status=status)
    return dataclasses.replace(record, health_status=status, containers=(container,))


def _stopped(record: TaskRecord, ending: Ending, now: datetime) -> TaskRecord:
    container = dataclasses.replace(
        record.containers[0],
        last_status="STOPPED",
        exit_code=ending.exit_code,
        reason=ending.container_reason,
    )
    return dataclasses.replace(
        record,
        last_status="STOPPED",
        desired_status="STOPPED",
        stopping_at=now,
        execution_stopped_at=now if record.started_at else None,
        stopped_at=now,
        stop_code=ending.stop_code,
        stopped_reason=ending.reason,
        containers=(container,),
        attachments=tuple(part | {"status": "DELETED"} for part in record.attachments),
    )


def _interface(ids: random.Random, ip: str, subnet: str) -> dict[str, object]:
    placed = [{"name": "subnetId", "value": subnet}] if subnet else []
    return {
        "id": f"{ids.getrandbits(64):016x}",
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED",
        "details": [
            *placed,
            {"name": "networkInterfaceId", "value": f"eni-{ids.getrandbits(68):017x}"},
            {"name": "privateIPv4Address", "value": ip},
        ],
    }


def _accepts(ip: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(_ACCEPTS_S)
        return client.connect_ex((ip, port)) == 0
