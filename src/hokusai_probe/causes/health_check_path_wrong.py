"""The health check asks the wrong path."""

from collections.abc import Iterator

from hokusai_probe.causes._health_checks import (
    Misdirected,
    Refused,
    change,
    good_path,
    misdirected,
    not_accepted,
    path_option,
    refused,
    works,
)
from hokusai_probe.causes._tasks import rollback
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.topology import SERVICES

_NO_SUCH_PATH = frozenset({400, 404, 405, 406, 410, 422})
_AMBIGUOUS = frozenset({500, 501, 502})


@cause(
    component="load-balancer",
    priority="high",
    effort="minutes",
    entails=("ecs-service-short-of-tasks", "health-check-kills-slow-start"),
    look_alikes={
        "health-check-matcher-too-narrow": "there the path exists and answers with a redirect or 401",
        "health-check-refused-by-host-guard": "there MLflow answers 403 to the health check's Host",
        "gateway-event-loop-blocked": "there the check times out",
        "tasks-crash-at-start": "there the container's log has a traceback",
    },
    source="INC-01, INC-31; AWS: TargetHealth, Target.ResponseCodeMismatch; fail open",
)
def health_check_path_wrong(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    groups: TargetGroupsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The target group's health check asks a path that the service does not have.

    ``Health checks failed with these codes: [404]`` while the service answers its callers: with no healthy
    target at all the load balancer asks them all the same (it fails open). ECS replaces the tasks again and
    again, each time after the grace period, with a log in which nothing is wrong. A check with a port of its
    own on which nobody listens, or over HTTPS where the service speaks HTTP, does the same.
    """
    if hosts.bare:
        return
    for service in SERVICES:
        found, missed = refused(groups, service), misdirected(groups, definitions, service)
        working = works(hosts, api, groups, service, missed=missed is not None)
        refusal = not_accepted(groups, service, holds=_says(found), telling=_is_telling(found, working))
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",),
            claims=(working, _misses(missed) if missed else refusal),
            remedy=_aim(missed) if missed else _remedy(found, good_path(definitions, service)),
            covers=rollback(ecs, tasks, service),
        )


def _misses(missed: Misdirected) -> Claim:
    return claim(
        missed.text,
        holds=True,
        by=TargetGroupsFacts,
        fact=f"{missed.place}.{missed.field}",
        value=missed.asked,
        telling=True,
    )


def _aim(missed: Misdirected) -> Remedy:
    return change(
        missed,
        missed.option(missed.right),
        missed.option(missed.asked),
        summary=f"Have the health check of {missed.group.name} ask as requests do: {missed.right}.",
        attribute=missed.attribute,
        verify="health-check-path-wrong",
    )


def _says(found: Refused | None) -> bool | None:
    """4xx of a router says it; an error of its own may be that path's alone; 503 speaks of what is behind."""
    if found is None or found.code in {503, 504}:
        return None
    return found.code in _NO_SUCH_PATH | _AMBIGUOUS


def _is_telling(found: Refused | None, working: Claim) -> bool:
    return found is not None and found.code in _NO_SUCH_PATH and working.holds is True


def _remedy(found: Refused | None, path: str | None) -> Remedy | None:
    if found is None or path == found.group.health_path:
        return None
    return change(
        found,
        path_option(path),
        path_option(found.group.health_path),
        summary=f"Have the health check of {found.group.name} ask {path or 'a path that the service has'}.",
        attribute=f'path = "{path or "/health"}"',
        verify="health-check-path-wrong",
    )
