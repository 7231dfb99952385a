"""The ECS services: do they exist, do as many tasks run as are wanted, where do they register."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.aws_identity import AwsIdentityFacts

_TELLS = re.compile(r"deployment|rolling back|unable|failed|unhealthy", re.IGNORECASE)
MOST_EVENTS = 30
STUCK = 2
"""So many failed tasks of a deployment under way are no accident."""


class Rollout(Frozen):
    """One deployment. ``state``: IN_PROGRESS, COMPLETED or FAILED; ``failed``: so many tasks in a row."""

    id: str
    status: str = ""
    revision: str = ""
    state: str = ""
    why: str = ""
    failed: int = 0
    created_at: Utc | None = None


class ServiceEvent(Frozen):
    """One event of a service in the words of ECS, without the service's name in front."""

    at: Utc
    text: str


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
    rollouts: tuple[Rollout, ...] = ()
    history: tuple[ServiceEvent, ...] = ()

    @property
    def short(self) -> bool:
        """It is there and runs fewer tasks than are wanted."""
        return not self.gone and self.running < self.desired

    @property
    def primary(self) -> Rollout | None:
        """The deployment that ECS carries out, or carried out last."""
        return next((one for one in self.rollouts if one.status == "PRIMARY"), None)

    @property
    def rolled_back(self) -> int | None:
        """Place in ``history`` of the event with which the present deployment took a failed one's place.

        A deployment that somebody made after that is another story, and has none.
        """
        for place, event in enumerate(self.history):
            if "rolling back to deployment" in event.text:
                return place if self._still(event) else None
        return None

    def _still(self, event: ServiceEvent) -> bool:
        now = self.primary
        return now is not None and (
            now.id in event.text or (now.created_at is not None and now.created_at <= event.at)
        )

    @property
    def stalled(self) -> bool:
        """Its present deployment has failed, or keeps failing."""
        now = self.primary
        return now is not None and (
            now.state == "FAILED" or (now.state != "COMPLETED" and now.failed >= STUCK)
        )

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
        rollouts=tuple(_rollout(d) for d in _list(item.get("deployments")) if isinstance(d, Mapping)),
        history=_history(str(item["serviceName"]), _list(item.get("events"))),
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


def _rollout(item: Mapping[str, Any]) -> Rollout:
    return Rollout(
        id=str(item.get("id", "")),
        status=str(item.get("status", "")),
        revision=str(item.get("taskDefinition", "")),
        state=str(item.get("rolloutState", "")),
        why=str(item.get("rolloutStateReason", "")),
        failed=_number(item.get("failedTasks")),
        created_at=item.get("createdAt"),
    )


def _history(name: str, events: Sequence[object]) -> tuple[ServiceEvent, ...]:
    """The newest events that tell of deployments and of trouble, newest first."""
    seen = (e for e in events if isinstance(e, Mapping) and _TELLS.search(str(e.get("message", ""))))
    told = [
        ServiceEvent(at=e["createdAt"], text=str(e["message"]).removeprefix(f"(service {name}) "))
        for e in seen
    ]
    return tuple(sorted(told, key=lambda e: e.at, reverse=True)[:MOST_EVENTS])


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


@check(hop="deployments/rollout")
def deployments_went_through(facts: EcsServicesFacts) -> Sentence:
    """The last deployment of each ECS service went through: none failed or was rolled back.

    A service that was rolled back serves as before, so that nothing outside shows it (INC-39, INC-43).
    """
    if facts.failure is not None:
        return CannotTell(reason=f"ecs:DescribeServices: {facts.failure.kind}")
    there = [one for one in facts.services.values() if not one.gone]
    if not there:
        return NotApplicable(reason="there is no ECS service that could be deployed")
    return "; ".join(said for one in there if (said := _outcome(one))) or None


def _outcome(one: EcsService) -> str:
    if one.rolled_back is not None:
        return f"{one.name} was rolled back: {one.history[one.rolled_back].text}"
    if one.stalled and one.primary is not None:
        return f"the deployment {one.primary.id} of {one.name} fails: {one.primary.failed} failed tasks"
    return ""
