"""The health check does not accept a good answer."""

import json
from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._health_checks import Refused, change, not_accepted, refused, works
from hokusai_probe.causes._tasks import rollback
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import SERVICES


@cause(
    component="load-balancer",
    priority="high",
    effort="minutes",
    entails=("ecs-service-short-of-tasks", "health-check-kills-slow-start"),
    look_alikes={
        "health-check-path-wrong": "there the service has no such path",
        "tasks-crash-at-start": "there the container's log has a traceback, and it exits by itself",
        "health-check-kills-slow-start": "there the checks time out or are refused until the start is over",
    },
    source="INC-01; AWS: Health checks for target groups (matcher); Target.ResponseCodeMismatch",
)
def health_check_matcher_too_narrow(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    groups: TargetGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The health check accepts too few codes: the service answers it with a redirect or asks for a key.

    MLflow with a static prefix answers ``308 Permanent Redirect`` on the prefix itself, a gateway 401 on a
    path that wants a key: both live. ``Health checks failed with these codes: [308]``, healthy tasks are
    killed in a loop, and their logs are clean.
    """
    if hosts.bare:
        return
    for service in SERVICES:
        found, working = refused(groups, service), works(hosts, api, groups, service)
        lives = found is not None and (found.code < 400 or found.code == 401)
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",),
            claims=(
                working,
                not_accepted(
                    groups,
                    service,
                    holds=lives if found else None,
                    telling=lives and working.holds is not False,
                ),
            ),
            remedy=_remedy(found) if lives else None,
            covers=rollback(ecs, tasks, service),
        )


def _remedy(found: Refused | None) -> Remedy | None:
    if found is None:
        return None
    wider = f"{found.group.matcher},{found.code}"
    return change(
        found,
        _matcher(wider),
        _matcher(found.group.matcher),
        summary=f"Have the health check of {found.group.name} accept {found.code} as well. Better "
        "still, have it ask a path that answers 200.",
        attribute=f'matcher = "{wider}"',
        verify="health-check-matcher-too-narrow",
    )


def _matcher(codes: str) -> str:
    """The CLI's option; as JSON, for in its shorthand a comma begins another value."""
    return "--matcher " + quote(json.dumps({"HttpCode": codes}))
