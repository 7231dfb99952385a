"""A task that is killed because it needs more memory than it has."""

from collections.abc import Iterator

from hokusai_probe.causes._revision import register
from hokusai_probe.causes._tasks import CONSEQUENCES, NOW_AND_THEN, Seen, stopped_tasks
from hokusai_probe.causes._words import whose
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts


@cause(
    component="ecs",
    priority="critical",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "tasks-crash-at-start": "there the program exits by itself, with another code and a traceback",
        "health-check-kills-slow-start": "there 137 comes from the SIGKILL after a failed health check",
    },
    source="AWS: Stopped tasks error messages, OutOfMemoryError: Container killed due to memory usage",
)
def task_out_of_memory(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Iterator[Case]:
    """The container is killed because it uses more memory than its limit.

    ``OutOfMemoryError: Container killed due to memory usage``, exit code 137, and a log that ends in the
    middle of a line. 137 alone is any SIGKILL; the container's reason decides.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for service in seen.subjects():
        yield Case(
            subject=service,
            breaks=seen.breaks(service),
            claims=(
                *seen.outside(service, NOW_AND_THEN),
                seen.died(service, "container is killed because of the memory that it uses", "memory"),
            ),
            remedy=_remedy(seen, definitions, service),
        )


_TWICE = 'new.update(memory=str(2 * int(new["memory"]))); one.update(memory=int(new["memory"]))'


def _remedy(seen: Seen, definitions: TaskDefinitionsFacts | None, service: str) -> Remedy:
    return register(
        definitions.of(service) if definitions else None,
        seen.ecs,
        service,
        _TWICE,
        summary=f"Give {whose(service)} task twice its memory, and find out what uses it. Fargate knows 2 "
        "to 8 GB for each whole CPU (up to 4 GB for half, 2 GB for a quarter): beyond that raise cpu as "
        "well.",
        verify="hokusai-probe verify task-out-of-memory",
    ).model_copy(update={"kind": "needs-value", "before": (stopped_tasks(seen.ecs, service),)})
