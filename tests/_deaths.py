"""ECS made by hand: tasks that died, deployments that failed, revisions that lost something."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from _facts import PORTS, definition_facts, ecs_facts, inside

from hokusai_probe.model import Facts
from hokusai_probe.probes.ecs_services import Rollout, ServiceEvent
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts, RunningTask, ServiceTasks, StoppedTask
from hokusai_probe.probes.images import Image, ImagesFacts
from hokusai_probe.probes.revisions import Family, RevisionsFacts
from hokusai_probe.probes.secrets_and_parameters import SecretsAndParametersFacts, Stored
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

NOW = datetime(2025, 8, 5, 9, 27, tzinfo=UTC)
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret"
TOKEN = f"{ARN}:hokusai/redis-a1b2c3"

INIT = (
    "ResourceInitializationError: unable to pull secrets or registry auth: "
    "execution resource retrieval failed: "
)
DENIED_SECRET = (
    f"{INIT}unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch "
    f"secret {TOKEN} from secrets manager: AccessDeniedException: User: "
    "arn:aws:sts::123456789012:assumed-role/execution/1 is not authorized to perform: "
    f"secretsmanager:GetSecretValue on resource: {TOKEN} because no identity-based policy allows the "
    "secretsmanager:GetSecretValue action status code: 400"
)
NO_SECRET = (
    f"{INIT}unable to retrieve secret from asm: failed to fetch secret {TOKEN} from secrets manager: "
    "ResourceNotFoundException: Secrets Manager can't find the specified secret."
)
NO_KEY = (
    f"{INIT}unable to retrieve secret from asm: "
    "retrieved secret from Secrets Manager did not contain json key x"
)
NO_PARAMETER = f"{INIT}unable to retrieve secrets from ssm: invalid ssm parameters: /hokusai/redis/port"
NO_IMAGE = "CannotPullContainerError: pull image manifest has been retried 1 time(s): r/hokusai:x: not found"
NO_GROUP = (
    "ResourceInitializationError: failed to validate logger args: ResourceNotFoundException: no log group"
)
EXITED = "Essential container in task exited"
UNHEALTHY = "Task failed container health checks"
KILLED = "OutOfMemoryError: Container killed due to memory usage"


def minutes(ago: float) -> datetime:
    """So many minutes before now."""
    return NOW - timedelta(minutes=ago)


def dead(
    reason: str = EXITED, *words: str, ago: float = 5, life_s: float | None = 2, **more: Any
) -> StoppedTask:
    """A task that stopped so many minutes ago after a life of seconds; None: it never started."""
    end = minutes(ago)
    begun = end - timedelta(seconds=life_s) if life_s is not None else None
    code = "EssentialContainerExited" if life_s is not None else "TaskFailedToStart"
    given = {"id": f"t{ago:g}", "revision": "gateway:1", "stop_code": code, "reason": reason} | more
    return StoppedTask(
        created_at=(begun or end) - timedelta(seconds=10),
        started_at=begun,
        stopped_at=end,
        last_words=words,
        **given,
    )


def alive(service: str, ago: float = 600, **more: Any) -> RunningTask:
    """A task that has run for so many minutes."""
    return RunningTask(id="r1", revision=f"{service}:1", started_at=minutes(ago), **more)


def task_facts(**changed: ServiceTasks) -> EcsTasksFacts:
    """One old task for each service, some changed."""
    healthy = {s: ServiceTasks(running=(alive(s),)) for s in PORTS}
    return EcsTasksFacts(asked_at=NOW, services=healthy | changed)


def stopped(*tasks: StoppedTask, service: str = "gateway") -> ServiceTasks:
    """A service with no task left but these."""
    return ServiceTasks(stopped=tuple(t.model_copy(update={"revision": f"{service}:1"}) for t in tasks))


def _rollout(identity: int, state: str, ago: float, revision: str = "", **more: Any) -> Rollout:
    return Rollout(
        id=f"ecs-svc/{identity}",
        status="PRIMARY",
        state=state,
        created_at=minutes(ago),
        revision=revision,
        **more,
    )


ROLLED_BACK: Mapping[str, Any] = {
    "rollouts": (_rollout(1, "COMPLETED", 1000),),
    "history": (
        ServiceEvent(at=minutes(2), text="rolling back to deployment ecs-svc/1."),
        ServiceEvent(at=minutes(2), text="(deployment ecs-svc/2) deployment failed: tasks failed to start."),
    ),
}
DEPLOYED_SINCE: Mapping[str, Any] = {**ROLLED_BACK, "rollouts": (_rollout(3, "COMPLETED", 1),)}
STALLED: Mapping[str, Any] = {"rollouts": (_rollout(2, "IN_PROGRESS", 10, failed=3),)}
UNDER_WAY: Mapping[str, Any] = {"rollouts": (_rollout(2, "IN_PROGRESS", 10, failed=1),)}
DOWN: Mapping[str, Any] = {"running": 0, "rollouts": (_rollout(1, "COMPLETED", 1000),)}


def revision(number: int, service: str = "gateway", **more: Any) -> TaskDefinition:
    """A revision of a service's family."""
    return TaskDefinition(arn=f"{service}:{number}", container=service, ports=(PORTS[service],), **more)


def used_facts(**changed: TaskDefinition) -> TaskDefinitionsFacts:
    """The definitions in use, some changed."""
    return TaskDefinitionsFacts(definitions={**definition_facts().definitions, **changed})


def family_facts(**changed: Family) -> RevisionsFacts:
    """Families of one revision each, some changed."""
    return RevisionsFacts(families={s: Family(name=s, newest=revision(1, s)) for s in PORTS} | changed)


def image_facts(**changed: Mapping[str, Any]) -> ImagesFacts:
    """Images that are there, some changed."""
    return ImagesFacts(
        images={
            s: Image(
                **(
                    {"uri": f"r/{s}:x", "repository": s, "digest": "sha256:1", "pushed_at": minutes(900)}
                    | dict(m)
                )
            )
            for s, m in ({s: changed.get(s, {}) for s in PORTS}).items()
        }
    )


def store_facts(*secrets: str, parameters: tuple[str, ...] = ()) -> SecretsAndParametersFacts:
    """Secrets by ARN and parameters by name."""
    return SecretsAndParametersFacts(
        secrets=tuple(Stored(arn=a, name=a.rpartition(":")[2][:-7]) for a in secrets),
        parameters=tuple(Stored(arn="", name=n) for n in parameters),
    )


def ecs_inside(
    ecs: Mapping[str, Mapping[str, Any]] | None = None, tasks: EcsTasksFacts | None = None, **more: Facts
) -> dict[str, Facts]:
    """What AWS shows of a platform whose ECS is in this state."""
    given: dict[str, Facts] = {
        "ecs_services": ecs_facts(**(ecs or {})),
        "ecs_tasks": tasks or task_facts(),
        "revisions": family_facts(),
        "images": image_facts(),
        "secrets_and_parameters": store_facts(TOKEN),
    }
    return inside(**(given | more))
