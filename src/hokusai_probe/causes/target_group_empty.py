"""A target group without targets, although the service runs."""

from collections.abc import Iterator

from hokusai_probe.causes._symptoms import service_claim
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts
from hokusai_probe.topology import SERVICES


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
    api: MlflowApiFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """The service runs its tasks and none of them is registered with the target group.

    The load balancer has nobody to ask and answers 503 by itself.
    """
    if hosts.bare:
        return
    for service in SERVICES:
        attached = groups.of(service) if groups else ()
        running = ecs.services[service].running if ecs and service in ecs.services else None
        group = attached[0] if attached else None
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",),
            claims=(
                service_claim(hosts, api, service, (503,)),
                claim(
                    f"{group.name if group else f'the {service} target group'} has no registered target",
                    _empty(group),
                    by=TargetGroupsFacts,
                    fact=f"groups[{group.name if group else service}].targets",
                    value=len(group.targets) if group else None,
                    telling=True,
                    aws_cli="aws elbv2 describe-target-health --target-group-arn "
                    + (group.arn if group else "<target group ARN>"),
                ),
                claim(
                    f"the {service} service runs {running if running is not None else 'its'} task(s)",
                    None if running is None else running > 0,
                    by=EcsServicesFacts,
                    fact=f"services.{service}.running",
                    value=running,
                ),
            ),
            remedy=Remedy(
                kind="needs-value",
                summary="Register the running task with the target group; a new deployment does that.",
                before=("aws ecs list-tasks --cluster <cluster> --service-name <service>",),
                aws_cli=(
                    "aws ecs update-service --cluster <cluster> --service <name> --force-new-deployment",
                ),
                rollback="None needed: a deployment of the same revision changes nothing else.",
                verify="hokusai-probe verify target-group-empty",
            ),
        )


def _empty(group: Group | None) -> bool | None:
    """Whether nothing but what is leaving is registered; None where that could not be read."""
    if group is None or group.failure is not None:
        return None
    return all(t.state == "draining" for t in group.targets)
