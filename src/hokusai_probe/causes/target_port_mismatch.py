"""Registered on a port where nobody listens."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._keys import auth_serves
from hokusai_probe.causes._symptoms import HOST_OF_SERVICE, service_claim
from hokusai_probe.causes._tasks import rollback
from hokusai_probe.causes._words import describe_health, group_of
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts, TargetSeen
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.topology import NAMES, SERVICES


@cause(
    component="load-balancer",
    priority="critical",
    effort="minutes",
    entails=("auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "security-group-blocks-load-balancer": "there the connection is dropped, not refused: 504 after the "
        "load balancer's connect timeout, and the reason is Target.Timeout",
        "tasks-crash-at-start": "there the ECS service runs fewer tasks than it should",
        "target-group-empty": "there nothing is registered at all: 503",
    },
    source="INC-15; AWS: Troubleshoot your Application Load Balancers, HTTP 502 (target refused or reset)",
)
def target_port_mismatch(
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
    groups: TargetGroupsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The target is registered on a port that its container does not listen on.

    The load balancer's connections are refused at once, so it answers 502 within a fraction of a second
    while ECS counts the task as running. The registration, the target group's port or the container's
    port mapping was changed without the others.
    """
    if hosts.bare:
        return
    for service in SERVICES if groups else HOST_OF_SERVICE:
        group, place = group_of(groups, service)
        definition = definitions.of(service) if definitions else None
        wrong = _misplaced(group, definition) if group and definition else []
        # MLflow is reached past its group, by its private name: that works on, or fails for another reason
        serves = service == "auth" and auth_serves(validation)
        seen = service_claim(hosts, None, paths, service, (502, 504), serves=serves)
        found = mismatched(group, definition)
        left_over = found is None and bool(wrong)
        outside = (seen,) if service in HOST_OF_SERVICE and not left_over else ()
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",),
            claims=(
                *outside,
                claim(
                    _sentence(service, group, definition),
                    found,
                    by=TargetGroupsFacts,
                    fact=f"{place}.targets[{group.targets.index(wrong[0])}].port" if group and wrong else "",
                    value=wrong[0].port if wrong else None,
                    telling=True,
                    aws_cli=describe_health(group, service),
                ),
            ),
            remedy=_remedy(group, definition, service),
            covers=rollback(ecs, tasks, service),
        )


def mismatched(group: Group | None, definition: TaskDefinition | None) -> bool | None:
    """Whether targets are registered and none of them on a port of the container; None: not known.

    Nor is it said where a dead one on a wrong port was left beside others: the load balancer passes it by, so
    that nothing fails for it, and yet it cannot be denied.
    """
    if group is None or group.failure is not None or definition is None or not definition.ports:
        return None
    if any(t.port in definition.ports for t in group.targets if t.state != "draining"):
        return None if any(t.state == "unhealthy" for t in _misplaced(group, definition)) else False
    return any(t.state != "draining" for t in group.targets)


def _misplaced(group: Group, definition: TaskDefinition) -> list[TargetSeen]:
    """Targets on a wrong port. One that is draining is on its way out already."""
    return [t for t in group.targets if t.port not in definition.ports and t.state != "draining"]


def _sentence(service: str, group: Group | None, definition: TaskDefinition | None) -> str:
    if group is None or definition is None or not definition.ports:
        return f"the target of the {NAMES[service]} is registered on a port that its container does not have"
    registered = ", ".join(f"{t.id}:{t.port}" for t in group.targets) or "nothing"
    mapped = ", ".join(str(p) for p in definition.ports)
    return f"{group.name} has {registered} registered; its task definition maps port {mapped}"


def _remedy(group: Group | None, definition: TaskDefinition | None, service: str) -> Remedy | None:
    """Registered before anything is taken out, so that half of it does no harm."""
    if group is None or definition is None or not definition.ports:
        return None
    port, wrong = definition.ports[0], _misplaced(group, definition)
    if not wrong:
        return None
    right = dict.fromkeys(_move("register", group, t.id, port) for t in wrong)
    removed = (_move("deregister", group, t.id, t.port) for t in wrong)
    back = (_move("register", group, t.id, t.port) for t in wrong)
    return Remedy(
        kind="automatic",
        summary=f"Register the task on port {port}, which its task definition maps, and remove the wrong "
        "entry.",
        before=(describe_health(group, service),),
        aws_cli=(*right, *removed),
        terraform=f'# aws_lb_target_group "{group.name}" and the service\'s load_balancer block\n'
        f"port = {port}\n",
        rollback="\n".join(back),
        also_touches="ECS registers new tasks by the service's load_balancer block: if the wrong port stands "
        "there, the next deployment brings it back.",
        verify="hokusai-probe verify target-port-mismatch",
    )


def _move(verb: str, group: Group, address: str, port: int) -> str:
    return (
        f"aws elbv2 {verb}-targets --target-group-arn {quote(group.arn)} "
        f"--targets {quote(f'Id={address},Port={port}')}"
    )
