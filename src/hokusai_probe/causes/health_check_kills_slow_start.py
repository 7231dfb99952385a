"""A start that takes longer than the health check waits."""

import re
from collections.abc import Iterator
from datetime import timedelta

from hokusai_probe.causes._tasks import CONSEQUENCES, NOW_AND_THEN, Seen, stopped_tasks
from hokusai_probe.causes._words import ready, update_service, wait_for, whose
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts

_STARTING = re.compile(
    r"waiting for application startup|connecting|starting|loading|initiali[sz]|migrat|importing",
    re.IGNORECASE,
)
_STARTED = re.compile(
    r"startup complete|running on http|listening (at|on)|serving on|accepting conn", re.IGNORECASE
)
_SERVED_OR_FAILED = re.compile(
    r"\b(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /|error|exception|traceback|fatal|critical|timed? ?out",
    re.IGNORECASE,
)
"""Lines of requests that were served, and of what went wrong: a start that is only slow has none."""
_A_START = timedelta(minutes=10)
"""So long a start may take; a task that lived for twice as long had started."""


@cause(
    component="ecs",
    priority="critical",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "health-check-path-wrong": "there the service answers, but not as the check wants",
        "tasks-crash-at-start": "there the program ends by itself",
        "task-out-of-memory": "there 137 comes with OutOfMemoryError",
        "gateway-event-loop-blocked": "there the start is long over",
    },
    source="INC-11; AWS: Task failed container health checks, Task failed ELB health checks",
)
def health_check_kills_slow_start(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """ECS kills the task for its health checks while the program is still starting.

    ``Task failed container health checks`` or ``Task failed ELB health checks in (target-group ...)``,
    again and again, exit code 137 or 143 from the signal; the log ends in the middle of the start, without
    a traceback. Seen from outside: 502 and 503 in waves.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for service in seen.subjects():
        yield Case(
            subject=service,
            breaks=seen.breaks(service),
            claims=(
                *seen.outside(service, NOW_AND_THEN),
                seen.died(
                    service, "tasks are stopped for their health checks", "health", many=2, telling=False
                ),
                _still_starting(seen, service),
            ),
            remedy=_remedy(seen, service),
        )


def _still_starting(seen: Seen, service: str) -> Claim:
    """Telling: a short life whose last words are of a start, and none says that it is over.

    Open where a request was served or something went wrong, or a start that long is hard to believe.
    """
    place, task = seen.newest(service)
    words = task.last_words if task else ()
    over = any(_STARTED.search(line) for line in words)
    last = next((line for line in reversed(words) if line.strip()), "")
    life = task.life if task else timedelta()
    more = life > _A_START or any(_SERVED_OR_FAILED.search(line) for line in words)
    starting = None if more or not _STARTING.search(last) else True
    return claim(
        f"{whose(service)} log ends in the middle of the start" + (f": {last}" if last else ""),
        seen.of_kind(service, "health") and (False if over or life >= 2 * _A_START else starting),
        by=EcsTasksFacts,
        fact=f"{place}.last_words" if task else "",
        value=list(words) if task else None,
        telling=True,
        aws_cli=stopped_tasks(seen.ecs, service),
    )


def _remedy(seen: Seen, service: str) -> Remedy:
    patience = update_service(
        seen.ecs, service, "--health-check-grace-period-seconds 300 --force-new-deployment"
    )
    return Remedy(
        kind="needs-value",
        summary="Let ECS wait five minutes before it counts health checks, raise startPeriod of the "
        "container's own check in the task definition, and find out what the start waits for: connects "
        "without a timeout, mostly.",
        before=(stopped_tasks(seen.ecs, service),),
        aws_cli=ready(patience),
        terraform='# resource "aws_ecs_service"\nhealth_check_grace_period_seconds = 300\n',
        after=(wait_for(seen.ecs, service),),
        rollback="Set --health-check-grace-period-seconds to what it was.",
        also_touches="A task that is really ill is replaced later.",
        verify="hokusai-probe verify health-check-kills-slow-start",
    )
