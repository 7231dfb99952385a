"""A target group without targets, although the service runs."""

from collections.abc import Iterator

from hokusai_probe.causes._keys import auth_serves
from hokusai_probe.causes._symptoms import HOST_OF_SERVICE, service_claim
from hokusai_probe.causes._words import (
    cluster,
    describe_health,
    group_of,
    one_line,
    readiness,
    ready,
    service_name,
    update_service,
    wait_for,
)
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts
from hokusai_probe.topology import NAMES, SERVICES


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    entails=("auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "ecs-service-missing": "there ECS has no such service",
        "ecs-service-scaled-to-zero": "there no task is wanted",
        "target-port-mismatch": "there a target is registered, on a port where nobody listens: 502",
    },
    source="INC-08; AWS: HTTP 503, the target groups for the load balancer have no registered targets",
)
def target_group_empty(
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """The service runs its tasks and none of them is registered with the target group.

    The load balancer has nobody to ask and answers 503 by itself.
    """
    if hosts.bare:
        return
    for service in SERVICES if groups else HOST_OF_SERVICE:
        group, place = group_of(groups, service)
        running = ecs.services[service].running if ecs and service in ecs.services else None
        # MLflow is reached past its group, by its private name: that works on, or fails for another reason
        serves = service == "auth" and auth_serves(validation)
        seen = service_claim(hosts, None, paths, service, (503,), serves=serves)
        outside = (seen,) if service in HOST_OF_SERVICE else ()
        empty = _empty(group)
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",),
            claims=(
                *outside,
                claim(
                    f"{group.name if group else f'the target group of the {NAMES[service]}'} has no "
                    "registered target",
                    empty,
                    by=TargetGroupsFacts,
                    fact=f"{place}.targets" if group else "",
                    value=[t.model_dump(mode="json") for t in group.targets] if group else None,
                    telling=True,
                    aws_cli=describe_health(group, service),
                ),
                claim(
                    f"the {NAMES[service]} runs {running if running is not None else 'its'} task(s)",
                    # that it runs speaks for nothing by itself: it always should
                    False if running == 0 else (True if running and (outside or empty) else None),
                    by=EcsServicesFacts,
                    fact="" if running is None else f"services.{service}.running",
                    value=running,
                ),
            ),
            remedy=_remedy(ecs, service),
        )


def _remedy(ecs: EcsServicesFacts | None, service: str) -> Remedy:
    """A deployment, not an address: ECS registers the new task, and takes out what it replaces."""
    deploy = update_service(ecs, service, "--force-new-deployment")
    return Remedy(
        kind=readiness(deploy),
        summary="Deploy the same revision again: ECS registers the new task with the target group.",
        before=(one_line(f"aws ecs list-tasks {cluster(ecs)} --service-name {service_name(ecs, service)}"),),
        aws_cli=ready(deploy),
        after=(wait_for(ecs, service),),
        rollback="None needed: a deployment of the same revision changes nothing else.",
        also_touches="The running task is replaced.",
        verify="hokusai-probe verify target-group-empty",
    )


def _empty(group: Group | None) -> bool | None:
    """Whether nothing but what is leaving is registered; None where that could not be read."""
    if group is None or group.failure is not None:
        return None
    return all(t.state == "draining" for t in group.targets)
