"""An ECS service that runs fewer tasks than it should, for no reason that has a name of its own."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from hokusai_probe.causes._tasks import Seen, stopped_tasks
from hokusai_probe.causes._words import (
    cluster,
    one_line,
    ready,
    service_name,
    update_service,
    wait_for,
    whose,
)
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts, ending
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts

_CANNOT = re.compile(r"unable|failed|unavailable", re.IGNORECASE)
_LATELY, _A_WHILE = timedelta(minutes=30), timedelta(minutes=3)


@cause(
    component="ecs",
    priority="critical",
    effort="hours",
    entails=(
        "deployment-rolled-back",
        "target-group-empty",
        "auth-service-down",
        "gateway-down",
        "mlflow-down",
    ),
    look_alikes={
        "ecs-service-scaled-to-zero": "there no task is wanted",
        "tasks-crash-at-start": "there tasks start and exit by themselves",
        "image-cannot-be-pulled": "there the stopped reason names the image",
        "execution-role-lacks-permission": "there the stopped reason says AccessDenied",
    },
    source="AWS: Amazon ECS service event messages (unable to place a task, unable to assume the role)",
)
def ecs_service_short_of_tasks(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """Fewer tasks run than are wanted, and none died of anything that has a name of its own.

    ECS cannot place or make them: ``was unable to place a task``, ``failed to launch a task``, ``was unable
    to assume the role``, ``capacity is unavailable``, or tasks were stopped and none came in their place.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for service in seen.subjects():
        one = seen.service(service)
        yield Case(
            subject=service,
            breaks=seen.breaks(service),
            claims=(*seen.outside(service), _short(one, ecs, service), _nameless(seen, service)),
            remedy=_remedy(seen, service),
        )


def _short(one: EcsService | None, ecs: EcsServicesFacts | None, service: str) -> Claim:
    return claim(
        f"{whose(service)} ECS service runs {one.running} of {one.desired} tasks"
        if one
        else f"{whose(service)} ECS service runs fewer tasks than it should",
        None if one is None else one.short,
        by=EcsServicesFacts,
        fact=f"services.{service}.running" if one else "",
        value=one.running if one else None,
        aws_cli=one_line(
            f"aws ecs describe-services {cluster(ecs)} --services {service_name(ecs, service)} "
            "--query 'services[].[desiredCount,runningCount,pendingCount,events[:5]]'"
        ),
    )


def _nameless(seen: Seen, service: str) -> Claim:
    """Telling: whatever else can be the matter is written into the reasons of tasks that stopped.

    Open while tasks are on their way, as in every deployment, unless ECS says that it cannot make them.
    """
    one, (place, task) = seen.service(service), seen.newest(service)
    known = seen.tasks is not None and one is not None and service in seen.tasks.services and one.short
    complaint = _complaint(one, seen.tasks)
    holds = None if not known or (task and task.kind == "health") else task is None or task.kind == "start"
    if holds and task is None and complaint is None and one and not _lasts(one, seen.tasks, service):
        holds = None
    if one is not None and not one.short:
        holds = False
    text = f"no task of {whose(service)} service died of anything that has a name of its own"
    if task is None and one is not None:
        event = complaint or 0
        says = one.history[event].text if one.history else None
        return claim(
            f"{text}; ECS says: {says}" if says else text,
            holds,
            by=EcsServicesFacts,
            fact=f"services.{service}.history[{event}].text" if says else f"services.{service}.running",
            value=says or one.running,
            telling=True,
            aws_cli=stopped_tasks(seen.ecs, service),
        )
    return claim(
        f"{text}: {ending(task)}" if task else text,
        holds,
        by=EcsTasksFacts,
        fact=f"{place}.reason" if task else "",
        value=task.reason if task else None,
        telling=True,
        aws_cli=stopped_tasks(seen.ecs, service),
    )


def _complaint(one: EcsService | None, tasks: EcsTasksFacts | None) -> int | None:
    """Place of the newest event of late with which ECS says that it cannot do something."""
    if one is None or tasks is None:
        return None
    lately = ((n, e) for n, e in enumerate(one.history) if tasks.asked_at - e.at <= _LATELY)
    return next((n for n, e in lately if _CANNOT.search(e.text)), None)


def _lasts(one: EcsService, tasks: EcsTasksFacts | None, service: str) -> bool:
    """Nothing is on its way, and has not been for a while: no deployment began, and no task stopped.

    Where ECS itself has left nobody running, that is an outage already, however young; a task that a person
    stopped is about to be replaced.
    """
    if tasks is None or one.pending > 0:
        return False
    stopped = tasks.services[service].stopped if service in tasks.services else ()
    if one.running == 0 and stopped and all(t.stop_code == "ServiceSchedulerInitiated" for t in stopped):
        return True
    moments: list[datetime | None] = [*(t.stopped_at for t in stopped), *(r.created_at for r in one.rollouts)]
    return all(m is None or tasks.asked_at - m >= _A_WHILE for m in moments)


def _remedy(seen: Seen, service: str) -> Remedy:
    deploy = update_service(seen.ecs, service, "--force-new-deployment")
    one = seen.service(service)
    told = f" ECS said last: {one.history[0].text}" if one and one.history else ""
    return Remedy(
        kind="needs-value",
        summary="See in the events what ECS cannot do (place a task, assume a role, make a log stream), mend "
        f"that, and deploy the same revision again.{told}",
        before=(stopped_tasks(seen.ecs, service),),
        aws_cli=ready(deploy),
        after=(wait_for(seen.ecs, service),),
        rollback="None needed: a deployment of the same revision changes nothing else.",
        also_touches="Tasks that still run are replaced.",
        verify="hokusai-probe verify ecs-service-short-of-tasks",
    )
