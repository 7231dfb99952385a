"""The load balancer may not connect to the task."""

from collections.abc import Iterator

from hokusai_probe.answers import responder
from hokusai_probe.causes._network import barred, open_up, times_out
from hokusai_probe.causes._symptoms import HOST_OF_SERVICE, balancer_says
from hokusai_probe.causes._tasks import rollback
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.model import HostName
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.security_groups import BALANCER, Edge, SecurityGroupsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST, NAMES, SERVICE_OF_HOST, SERVICES

HOSTS_OF_ALL: tuple[HostName, ...] = ("auth", "registry", "api")
STATUSES = (504, 503)


@cause(
    component="network",
    priority="critical",
    effort="minutes",
    entails=("auth-service-down", "gateway-down", "mlflow-down", "ecs-service-short-of-tasks"),
    look_alikes={
        "network-acl-blocks-subnet": "there the security groups let it through",
        "target-port-mismatch": "there the container does not have the port that is registered",
        "gateway-event-loop-blocked": "there the container's log has the load balancer's requests, late",
        "target-group-empty": "there nothing is registered",
    },
    source="INC-14; AWS: Troubleshoot your Application Load Balancers, HTTP 504; Target.Timeout",
)
def security_group_blocks_load_balancer(
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    groups: TargetGroupsFacts | None,
    facts: SecurityGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The task's security group does not admit the load balancer on the container's port.

    Packets vanish: ``504 Gateway Time-out`` after the load balancer's ten seconds, targets unhealthy with
    ``Target.Timeout: Request timed out``, and no line of the health checker in the container's log. ECS
    replaces the task for ever, and while none is registered it is 503. The same where the load balancer's
    own group does not let it out.
    """
    if hosts.bare:
        return
    for service in SERVICES:
        edges = facts.between(BALANCER, service) if facts else ()
        bars = tuple(e for e in edges if facts and facts.lets(e) is False)
        behind = _hosts_behind(bars) if facts and edges else _silent(hosts, service)
        whole = set(behind) >= {h for h in hosts.hosts if SERVICE_OF_HOST[h] == service}
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",) if whole else _broken(service, behind),
            claims=(
                *_outside(hosts, paths, service, behind),
                times_out(groups, service, all_ways=len(bars) == len(edges) > 0),
                barred(
                    facts,
                    edges,
                    f"the security group of the {NAMES[service]} does not admit the load balancer",
                ),
            ),
            remedy=open_up(facts, bars, "security-group-blocks-load-balancer"),
            covers=rollback(ecs, tasks, service),
        )


def _broken(service: str, behind: tuple[HostName, ...]) -> tuple[str, ...]:
    """What fails where other load balancers get through."""
    return (f"target-group.{service}/security-groups", *(f"public.{host}" for host in behind))


def _hosts_behind(bars: tuple[Edge, ...]) -> tuple[HostName, ...]:
    """The hosts of those load balancers that are barred."""
    keys = {e.source.removeprefix(BALANCER) for e in bars}
    return tuple(host for host in HOSTS_OF_ALL if LOAD_BALANCER_OF_HOST[host] in keys)


def _silent(hosts: HostsFacts, service: str) -> tuple[HostName, ...]:
    """Where the rules were not read: the hosts of a service whose load balancers answer for it."""
    seen = {host: hosts.health(host) for host in HOSTS_OF_ALL if SERVICE_OF_HOST[host] == service}
    return tuple(h for h, a in seen.items() if a and a.status in STATUSES and responder(a) == "load-balancer")


def _outside(
    hosts: HostsFacts, paths: PublicPathsFacts | None, service: str, behind: tuple[HostName, ...]
) -> tuple[Claim, ...]:
    """What is seen at a barred host; MLflow's own target is not asked from outside."""
    if service not in HOST_OF_SERVICE:
        return ()
    host = next(iter(behind), HOST_OF_SERVICE[service])
    others = paths.answers if paths and host == "registry" else ()
    return (balancer_says(hosts, host, STATUSES, others),)
