"""The tasks of each ECS service: those that run, and what those that stopped died of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hokusai_probe.aws import AwsDoor, AwsFailure, Said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

Kind = Literal[
    "denied", "no-secret", "no-parameter", "start", "pull", "architecture", "exit", "memory", "health",
    "ended",
]  # fmt: skip
STAGE: Mapping[Kind, int] = {
    "denied": 0, "no-secret": 0, "no-parameter": 0, "start": 0, "pull": 1, "architecture": 2, "exit": 3,
    "memory": 3, "health": 4, "ended": 5,
}  # fmt: skip
"""How far a task came: what stops one early hides all that would have stopped it later."""

_DESCRIBED = 100  # DescribeTasks takes no more
MOST_STOPPED = 10
MOST_WORDS = 12
REPEATED = 2
_LONGEST = 300
_REASON = 1_000


class RunningTask(Frozen):
    """A task that runs. ``digest``: of the image that it was started from, "" where ECS does not say."""

    id: str
    revision: str
    image: str = ""
    digest: str = ""
    started_at: Utc | None = None


class StoppedTask(Frozen):
    """A task that stopped, as DescribeTasks tells it for about an hour.

    ``exit_code`` and ``container_reason`` are those of the container that serves. ``last_words``: the end of
    its log, read only for the newest of each service that did not end as it should.
    """

    id: str
    revision: str
    stop_code: str = ""
    reason: str = ""
    exit_code: int | None = None
    container_reason: str = ""
    created_at: Utc | None = None
    started_at: Utc | None = None
    stopped_at: Utc | None = None
    last_words: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What stopped it, by the texts that AWS documents ("Stopped tasks error messages")."""
        said = f"{self.reason} {self.container_reason}"
        if "CannotPull" in said:
            return _pull_kind(said)
        if "ResourceInitializationError" in said:
            return _init_kind(said)
        if "OutOfMemory" in said:
            return "memory"
        if "exec format error" in f"{said} {' '.join(self.last_words)}":
            return "architecture"
        if "health checks" in self.reason:
            return "health"
        if self.stop_code == "EssentialContainerExited" or self.reason.startswith("Essential container"):
            return "exit"
        return "start" if self.stop_code == "TaskFailedToStart" else "ended"

    @property
    def life(self) -> timedelta:
        """How long its container ran; nothing where it never started."""
        if self.started_at is None or self.stopped_at is None:
            return timedelta()
        return self.stopped_at - self.started_at


def _pull_kind(said: str) -> Kind:
    if "matching platform" in said:
        return "architecture"
    refused = ("403 Forbidden", "AccessDenied", "not authorized", "no basic auth credentials")
    return "denied" if any(word in said for word in refused) else "pull"


def _init_kind(said: str) -> Kind:
    if "AccessDenied" in said or "not authorized" in said:
        return "denied"
    if "invalid ssm parameters" in said or "ParameterNotFound" in said:
        return "no-parameter"
    secret = "ecrets manager" in said.lower() or "from asm" in said
    gone = ("ResourceNotFound", "can't find", "marked for deletion", "did not contain json key")
    return "no-secret" if secret and any(word in said for word in gone) else "start"


class ServiceTasks(Frozen):
    """The tasks of one service. ``stopped``: the newest ten, newest first, of all that ECS still shows."""

    running: tuple[RunningTask, ...] = ()
    stopped: tuple[StoppedTask, ...] = ()


class EcsTasksFacts(Facts):
    """Tasks by the platform's name for the service; ``asked_at``: UTC, when ECS was asked."""

    asked_at: Utc
    services: Mapping[str, ServiceTasks] = {}
    failure: AwsFailure | None = None

    def dying(self, service: str, one: EcsService) -> tuple[tuple[int, StoppedTask], ...]:
        """The stopped tasks of the revision in use that did not end as they should, with their places.

        None where the tasks that run have outlived every one of them: that is over.
        """
        tasks = self.services.get(service)
        if tasks is None:
            return ()
        since = one.primary.created_at if one.primary else None
        dead = tuple(
            (place, task)
            for place, task in enumerate(tasks.stopped)
            if task.kind != "ended" and task.revision == one.task_definition and _after(task, since)
        )
        alive = [task for task in tasks.running if task.revision == one.task_definition]
        return dead if one.short or not self._outlived(alive, dead) else ()

    def _outlived(self, running: Iterable[RunningTask], dead: Iterable[tuple[int, StoppedTask]]) -> bool:
        longest = max((task.life for _, task in dead), default=timedelta())
        ages = [self.asked_at - task.started_at for task in running if task.started_at]
        return bool(ages) and min(ages) > longest

    def undeployed(self, service: str, one: EcsService) -> tuple[tuple[int, StoppedTask], ...]:
        """The stopped tasks with which a deployment of the service failed, with their places."""
        tasks, event = self.services.get(service), one.rolled_back
        end = one.history[event].at if event is not None else None
        since = one.primary.created_at if one.primary and one.stalled and end is None else None
        if tasks is None or (end is None and not one.stalled):
            return ()
        return tuple(
            (place, task)
            for place, task in enumerate(tasks.stopped)
            if task.kind != "ended" and _after(task, since) and _before(task, end)
        )


def _after(task: StoppedTask, moment: datetime | None) -> bool:
    return moment is None or task.created_at is None or task.created_at >= moment


def _before(task: StoppedTask, moment: datetime | None) -> bool:
    return moment is None or task.created_at is None or task.created_at <= moment


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=12)
async def ecs_tasks(
    look: Look, ecs: EcsServicesFacts, definitions: TaskDefinitionsFacts | None
) -> EcsTasksFacts:
    """The tasks of each service and why they stopped: ecs:ListTasks, DescribeTasks; logs:GetLogEvents.

    ECS shows a stopped task for about an hour. Of the newest one of each service that died, the last lines
    of its log are read as well: why a program ends is often said there and nowhere else.
    """
    asked_at, aws = datetime.now(UTC), look.cloud()
    there = {name: one for name, one in ecs.services.items() if not one.gone}
    found = await asyncio.gather(*(_tasks_of(aws, ecs.cluster, one) for one in there.values()))
    failure = next((f for f in found if isinstance(f, AwsFailure)), ecs.failure)
    services = {name: f for name, f in zip(there, found, strict=True) if isinstance(f, ServiceTasks)}
    heard = await asyncio.gather(
        *(
            _with_words(aws, tasks, definitions.of(name) if definitions else None)
            for name, tasks in services.items()
        )
    )
    return EcsTasksFacts(asked_at=asked_at, services=dict(zip(services, heard, strict=True)), failure=failure)


async def _tasks_of(aws: AwsDoor, cluster: str, one: EcsService) -> ServiceTasks | AwsFailure:
    listed = await asyncio.gather(
        *(
            aws.call("ecs", "list_tasks", cluster=cluster, serviceName=one.name, desiredStatus=status)
            for status in ("RUNNING", "STOPPED")
        )
    )
    failure = next((answer.failure for answer in listed if answer.failure), None)
    if failure is not None:
        return failure
    arns = [arn for answer in listed for arn in answer.data["taskArns"]][:_DESCRIBED]
    if not arns:
        return ServiceTasks()
    answer = await aws.call("ecs", "describe_tasks", cluster=cluster, tasks=arns)
    return answer.failure or sorted_out(answer.data["tasks"], one.container, aws.said)


def sorted_out(tasks: Iterable[Mapping[str, Any]], container: str, said: Said) -> ServiceTasks:
    """Tasks as DescribeTasks returns them, those that stopped newest first; ``container`` is what serves."""
    running, stopped = [], []
    for task in tasks:
        one = _container(task, container)
        if task.get("lastStatus") == "STOPPED":
            stopped.append(_stopped(task, one, said))
        elif task.get("desiredStatus") != "STOPPED":
            running.append(_running(task, one))
    newest = sorted(
        stopped, key=lambda t: (t.stopped_at or datetime.min.replace(tzinfo=UTC), t.id), reverse=True
    )
    return ServiceTasks(
        running=tuple(sorted(running, key=lambda t: t.id)), stopped=tuple(newest[:MOST_STOPPED])
    )


def _container(task: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    containers = list(task.get("containers", ()))
    named = next((c for c in containers if c.get("name") == name), None)
    return named or (containers[0] if containers else {})


def _running(task: Mapping[str, Any], container: Mapping[str, Any]) -> RunningTask:
    return RunningTask(
        id=_id(task),
        revision=str(task.get("taskDefinitionArn", "")),
        image=str(container.get("image", "")),
        digest=str(container.get("imageDigest", "")),
        started_at=task.get("startedAt"),
    )


def _stopped(task: Mapping[str, Any], container: Mapping[str, Any], said: Said) -> StoppedTask:
    return StoppedTask(
        id=_id(task),
        revision=str(task.get("taskDefinitionArn", "")),
        stop_code=str(task.get("stopCode", "")),
        reason=said(str(task.get("stoppedReason", "")), _REASON),
        exit_code=container.get("exitCode"),
        container_reason=said(str(container.get("reason") or ""), _REASON),
        created_at=task.get("createdAt"),
        started_at=task.get("startedAt"),
        stopped_at=task.get("stoppedAt"),
    )


def _id(task: Mapping[str, Any]) -> str:
    return str(task["taskArn"]).rpartition("/")[2]


async def _with_words(aws: AwsDoor, tasks: ServiceTasks, logs: TaskDefinition | None) -> ServiceTasks:
    """The tasks, the newest that started and died with the end of its log."""
    dead = next((t for t in tasks.stopped if t.kind != "ended" and t.started_at is not None), None)
    if dead is None or logs is None or not (logs.log_group and logs.log_prefix):
        return tasks
    stream = f"{logs.log_prefix}/{logs.container}/{dead.id}"
    answer = await aws.call(
        "logs", "get_log_events", logGroupName=logs.log_group, logStreamName=stream, limit=MOST_WORDS
    )
    if answer.failure is not None:
        return tasks
    words = tuple(aws.said(str(event["message"]), _LONGEST) for event in answer.data["events"][-MOST_WORDS:])
    heard = (
        task.model_copy(update={"last_words": words}) if task is dead else task for task in tasks.stopped
    )
    return tasks.model_copy(update={"stopped": tuple(heard)})


def _stay_up(facts: EcsTasksFacts, ecs: EcsServicesFacts, service: str) -> Sentence:
    one = ecs.services.get(service)
    if one is None or one.gone:
        return NotApplicable(reason=f"there is no ECS service for {service}")
    if service not in facts.services:
        return CannotTell(
            reason=f"ecs:ListTasks or ecs:DescribeTasks: "
            f"{facts.failure.kind if facts.failure else 'no answer'}"
        )
    dead = [task for _, task in facts.dying(service, one) if task.kind != "health"]
    running = bool(facts.services[service].running)
    if len(dead) < (REPEATED if running or not one.desired else 1):
        return None if running else _none_runs(one)
    if len(dead) == 1:
        return f"no task of {one.name} runs, and the last one stopped by itself: {ending(dead[0])}"
    return f"{len(dead)} tasks of {one.name} stopped by themselves, the last one: {ending(dead[0])}"


def _none_runs(one: EcsService) -> Sentence:
    if not one.desired:
        return NotApplicable(reason=f"no task of {one.name} is wanted")
    return CannotTell(reason=f"no task of {one.name} runs, and none is seen to have stopped by itself")


def ending(task: StoppedTask) -> str:
    """Why a task stopped, as one phrase."""
    code = f", exit code {task.exit_code}" if task.exit_code is not None else ""
    why = (
        f" ({task.container_reason})"
        if task.container_reason and task.container_reason != task.reason
        else ""
    )
    return f"{task.reason}{code}{why}"


@check(hop="ecs.auth/tasks")
def auth_tasks_stay_up(facts: EcsTasksFacts, ecs: EcsServicesFacts) -> Sentence:
    """The auth service's tasks start and stay up.

    A service that dies every few minutes runs as many tasks as it should whenever nobody looks closely.
    """
    return _stay_up(facts, ecs, "auth")


@check(hop="ecs.gateway/tasks")
def gateway_tasks_stay_up(facts: EcsTasksFacts, ecs: EcsServicesFacts) -> Sentence:
    """The gateway's tasks start and stay up."""
    return _stay_up(facts, ecs, "gateway")


@check(hop="ecs.mlflow/tasks")
def mlflow_tasks_stay_up(facts: EcsTasksFacts, ecs: EcsServicesFacts) -> Sentence:
    """MLflow's tasks start and stay up."""
    return _stay_up(facts, ecs, "mlflow")
