"""The ECS services: do they exist, do as many tasks run as are wanted, where do they register."""

from __future__ import annotations

from collections.abc import Mapping

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes.aws_identity import AwsIdentityFacts


class EcsService(Frozen):
    """One service as DescribeServices shows it. ``missing``: ECS does not know it."""

    name: str
    missing: bool = False
    status: str = ""
    desired: int = 0
    running: int = 0
    pending: int = 0
    deployments: int = 0
    task_definition: str = ""
    container: str = ""
    container_port: int | None = None
    target_groups: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """Not there, or deleted: an INACTIVE service is one that was deleted (AWS: DescribeServices)."""
        return self.missing or self.status == "INACTIVE"


class EcsServicesFacts(Facts):
    """The services that the target names, by the platform's own name for them."""

    cluster: str
    services: Mapping[str, EcsService] = {}
    failure: AwsFailure | None = None


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=1)
async def ecs_services(look: Look, _identity: AwsIdentityFacts) -> EcsServicesFacts:
    """The ECS services that the target names: ``ecs:DescribeServices``.

    A service that ECS does not know comes back among the failures as MISSING (INC-12).
    """
    aws = look.target.aws
    cluster, names = (aws.cluster or "default", dict(aws.services)) if aws else ("default", {})
    answer = await look.cloud().call(
        "ecs", "describe_services", cluster=cluster, services=list(names.values())
    )
    if answer.failure is not None:
        return EcsServicesFacts(cluster=cluster, failure=answer.failure)
    found = {str(s["serviceName"]): _service(s) for s in answer.data["services"]}
    return EcsServicesFacts(
        cluster=cluster,
        services={key: found.get(name, EcsService(name=name, missing=True)) for key, name in names.items()},
    )


def _service(item: Mapping[str, object]) -> EcsService:
    balancers = [b for b in _list(item.get("loadBalancers")) if isinstance(b, Mapping)]
    first = balancers[0] if balancers else {}
    return EcsService(
        name=str(item["serviceName"]),
        status=str(item.get("status", "")),
        desired=_number(item.get("desiredCount")),
        running=_number(item.get("runningCount")),
        pending=_number(item.get("pendingCount")),
        deployments=len(_list(item.get("deployments"))),
        task_definition=str(item.get("taskDefinition", "")),
        container=str(first.get("containerName", "")),
        container_port=_number(first["containerPort"]) if "containerPort" in first else None,
        target_groups=tuple(str(b["targetGroupArn"]) for b in balancers if "targetGroupArn" in b),
        events=tuple(str(e["message"]) for e in _list(item.get("events"))[:5] if isinstance(e, Mapping)),
        **_network(item.get("networkConfiguration")),
    )


def _network(configuration: object) -> dict[str, tuple[str, ...]]:
    """Where the service's tasks may be placed, and with which security groups."""
    found = configuration.get("awsvpcConfiguration") if isinstance(configuration, Mapping) else None
    inner = found if isinstance(found, Mapping) else {}
    return {
        "subnets": tuple(str(s) for s in _list(inner.get("subnets"))),
        "security_groups": tuple(str(g) for g in _list(inner.get("securityGroups"))),
    }


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _number(value: object) -> int:
    return int(str(value or 0))


def _short(facts: EcsServicesFacts, service: str) -> Sentence:
    if facts.failure is not None:
        return CannotTell(reason=f"ecs:DescribeServices: {facts.failure.kind}")
    one = facts.services.get(service)
    if one is None:
        return NotApplicable(reason=f"the target names no ECS service for {service}")
    if one.gone:
        return f"ECS has no service {one.name} in cluster {facts.cluster}"
    if one.desired == 0:
        return f"{one.name} is scaled to zero"
    if one.running < one.desired:
        return f"{one.name} runs {one.running} of {one.desired} tasks"
    return None


@check(hop="ecs.auth")
def auth_tasks_run(facts: EcsServicesFacts) -> Sentence:
    """The auth ECS service exists and runs the tasks it should."""
    return _short(facts, "auth")


@check(hop="ecs.gateway")
def gateway_tasks_run(facts: EcsServicesFacts) -> Sentence:
    """The gateway's ECS service exists and runs the tasks it should."""
    return _short(facts, "gateway")


@check(hop="ecs.mlflow")
def mlflow_tasks_run(facts: EcsServicesFacts) -> Sentence:
    """MLflow's ECS service exists and runs the tasks it should."""
    return _short(facts, "mlflow")
