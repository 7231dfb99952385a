"""The ECS service is not there."""

from collections.abc import Iterator

from hokusai_probe.causes._symptoms import service_claim
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import SERVICES


@cause(
    component="ecs",
    priority="critical",
    effort="hours",
    entails=("target-group-empty", "auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "target-group-empty": "there the service exists and runs its tasks",
        "ecs-service-scaled-to-zero": "there the service exists with a desired count of 0",
        "target-group-detached": "there the target group belongs to no load balancer",
    },
    source="INC-12; AWS: DescribeServices (failures with reason MISSING; deleted services are INACTIVE)",
)
def ecs_service_missing(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """ECS does not have the service at all.

    Nothing registers with the target group, so the load balancer answers 503 on every path by itself.
    After a migration, look for a service of an older name before calling it absent.
    """
    if hosts.bare:
        return
    for service in SERVICES:
        one = ecs.services.get(service) if ecs and ecs.failure is None else None
        yield Case(
            subject=service,
            breaks=(f"ecs.{service}",),
            claims=(
                service_claim(hosts, api, service, (503,)),
                claim(
                    f"ECS has no service {one.name} in cluster {ecs.cluster}"
                    if one and ecs
                    else f"ECS has no service for {service}",
                    one and one.gone,
                    by=EcsServicesFacts,
                    fact=f"services.{service}.{'missing' if one and one.missing else 'status'}",
                    value=(one.missing or one.status) if one else None,
                    telling=True,
                    aws_cli=_describe(ecs, one),
                ),
            ),
            remedy=_remedy(ecs, one, groups, service),
        )


def _describe(ecs: EcsServicesFacts | None, one: EcsService | None) -> str:
    cluster = ecs.cluster if ecs else "<cluster>"
    return f"aws ecs describe-services --cluster {cluster} --services {one.name if one else '<service>'}"


def _remedy(
    ecs: EcsServicesFacts | None, one: EcsService | None, groups: TargetGroupsFacts | None, service: str
) -> Remedy | None:
    if ecs is None or one is None:
        return None
    group = next((g.arn for g in (groups.groups if groups else ()) if g.service == service), "<target group>")
    create = (
        f"aws ecs create-service --cluster {ecs.cluster} --service-name {one.name} "
        "--task-definition <family> --desired-count 1 --launch-type FARGATE "
        "--network-configuration 'awsvpcConfiguration={subnets=[<subnets>],securityGroups=[<group>]}' "
        f"--load-balancers targetGroupArn={group},containerName=<container>,containerPort=<port>"
    )
    return Remedy(
        kind="needs-value",
        summary=f"Create the service {one.name} again, from Terraform if it is described there.",
        before=(
            f"aws ecs list-services --cluster {ecs.cluster}",
            "aws ecs list-task-definitions --status ACTIVE --sort DESC",
        ),
        aws_cli=(create,),
        terraform=f'# resource "aws_ecs_service" for {one.name}\n',
        after=(f"aws ecs wait services-stable --cluster {ecs.cluster} --services {one.name}",),
        rollback=f"aws ecs delete-service --cluster {ecs.cluster} --service {one.name} --force",
        also_touches="Every path that leads to this service.",
        verify="hokusai-probe verify ecs-service-missing",
    )
