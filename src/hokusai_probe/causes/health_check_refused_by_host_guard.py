"""MLflow refuses the health check's Host header."""

from collections.abc import Iterator
from fnmatch import fnmatch

from hokusai_probe.causes._health_checks import Refused, change, good_path, not_accepted, path_option, refused
from hokusai_probe.causes._tasks import rollback
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

VARIABLE = "MLFLOW_SERVER_ALLOWED_HOSTS"


@cause(
    component="load-balancer",
    priority="high",
    effort="minutes",
    entails=("ecs-service-short-of-tasks", "health-check-kills-slow-start"),
    look_alikes={
        "mlflow-refuses-host": "there the gateway's requests are refused, too",
        "health-check-path-wrong": "there the answer is 404",
        "key-lacks-scope": "there the gateway refuses, with JSON",
    },
    source="MLflow 3.5 and later: --allowed-hosts; AWS: health checks carry the target's address as Host",
)
def health_check_refused_by_host_guard(
    hosts: HostsFacts,
    groups: TargetGroupsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """MLflow's Host check refuses the load balancer's health check.

    A load balancer sends ``Host: ADDRESS:PORT`` of the target and cannot send another. With a list of allowed
    hosts that lacks those addresses MLflow answers ``403 Invalid Host header - possible DNS rebinding attack
    detected``, except on its health path behind the static prefix.
    """
    if hosts.bare:
        return
    found = refused(groups, "mlflow")
    guarded = found is not None and found.code == 403
    yield Case(
        subject="mlflow",
        breaks=("target-group.mlflow",),
        claims=(
            not_accepted(groups, "mlflow", holds=guarded if found else None, telling=False),
            _not_listed(found, definitions),
        ),
        remedy=_remedy(found, good_path(definitions, "mlflow")) if guarded else None,
        covers=rollback(ecs, tasks, "mlflow"),
    )


def _not_listed(found: Refused | None, definitions: TaskDefinitionsFacts | None) -> Claim:
    mlflow = definitions.of("mlflow") if definitions else None
    listed = mlflow.addresses.get(VARIABLE) if mlflow else None
    target = found.group.targets[found.number] if found else None
    host = f"{target.id}:{target.port}" if target else "ADDRESS:PORT"
    return claim(
        f"{VARIABLE} does not list {host}",
        None if listed is None or target is None else not _allows(listed, host),
        by=TaskDefinitionsFacts,
        fact=f"definitions.mlflow.addresses.{VARIABLE}" if listed else "",
        value=listed,
        telling=True,
    )


def _allows(listed: str, host: str) -> bool:
    return any(fnmatch(host, one.strip()) for one in listed.split(","))


def _remedy(found: Refused | None, path: str | None) -> Remedy | None:
    if found is None or path == found.group.health_path:
        return None
    return change(
        found,
        path_option(path),
        path_option(found.group.health_path),
        summary="Have the health check ask MLflow's health path behind its static prefix, which the Host "
        f"check lets pass{f': {path}' if path else ''}; or add the subnets' addresses to {VARIABLE}.",
        attribute=f'path = "{path or "/mlflow/health"}"',
        verify="health-check-refused-by-host-guard",
    )
