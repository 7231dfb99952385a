"""The ECS service is not there."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._symptoms import nobody_serves
from hokusai_probe.causes._words import cluster, group_of, one_line, ready, service_name, wait_for, word
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import NAMES, SERVICES


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
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
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
                nobody_serves(hosts, api, paths, validation, service),
                claim(
                    f"ECS has no service {one.name} in cluster {ecs.cluster}"
                    if one and ecs
                    else f"ECS has no service for the {NAMES[service]}",
                    one and one.gone,
                    by=EcsServicesFacts,
                    fact=f"services.{service}.{'missing' if one.missing else 'status'}" if one else "",
                    value=(one.missing or one.status) if one else None,
                    telling=True,
                    aws_cli=_describe(ecs, service),
                ),
            ),
            remedy=_remedy(ecs, one, groups, service),
        )


def _describe(ecs: EcsServicesFacts | None, service: str) -> str:
    name = service_name(ecs, service)
    return one_line(f"aws ecs describe-services {cluster(ecs)} --services {name}")


def _remedy(
    ecs: EcsServicesFacts | None, one: EcsService | None, groups: TargetGroupsFacts | None, service: str
) -> Remedy | None:
    if ecs is None or one is None:
        return None
    delete = f"aws ecs delete-service {cluster(ecs)} --service {quote(one.name)} --force"
    return Remedy(
        kind="needs-value",
        summary=f"Create the service {one.name} again, from Terraform if it is described there.",
        before=(
            f"aws ecs list-services {cluster(ecs)}",
            "aws ecs list-task-definitions --status ACTIVE --sort DESC",
        ),
        aws_cli=ready(_create(ecs, one, groups, service)),
        terraform=f'# resource "aws_ecs_service" for {one.name}\n',
        after=(wait_for(ecs, service),),
        rollback=delete,
        also_touches="Every path that leads to this service.",
        verify="hokusai-probe verify ecs-service-missing",
    )


def _create(ecs: EcsServicesFacts, one: EcsService, groups: TargetGroupsFacts | None, service: str) -> str:
    """What ECS keeps of a deleted service is filled in; of one that it does not know, nothing is kept."""
    group, blank = group_of(groups, service)[0], service.upper()
    arn = next(iter(one.target_groups), group.arn if group else None)
    family = one.task_definition.rsplit("/", 1)[-1].partition(":")[0]
    port = one.container_port or (group.port if group else None)
    network = f"awsvpcConfiguration={{subnets=[$SUBNETS],securityGroups=[${blank}_SECURITY_GROUP]}}"
    return (
        f"aws ecs create-service {cluster(ecs)} --service-name {quote(one.name)} "
        f"--task-definition {word(family, f'{blank}_FAMILY')} --desired-count 1 --launch-type FARGATE "
        f'--network-configuration "{network}" '
        f"--load-balancers targetGroupArn={word(arn, f'{blank}_GROUP')},"
        f"containerName={word(one.container, f'{blank}_CONTAINER')},"
        f"containerPort={word(port, f'{blank}_PORT')}"
    )
