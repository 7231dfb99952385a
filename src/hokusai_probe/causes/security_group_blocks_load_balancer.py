"""The load balancer may not connect to the task."""

from collections.abc import Iterator

from hokusai_probe.causes._network import barred, open_up, times_out
from hokusai_probe.causes._symptoms import HOST_OF_SERVICE, balancer_says
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.model import HostName
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.security_groups import BALANCER, Edge, SecurityGroupsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST, NAMES, SERVICES


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
        whole = len(bars) == len(edges)
        yield Case(
            subject=service,
            breaks=(f"target-group.{service}",) if whole else _hosts_behind(bars),
            claims=(
                *_outside(hosts, paths, service, bars),
                times_out(groups, service, all_ways=whole and bool(bars)),
                barred(
                    facts,
                    edges,
                    f"the security group of the {NAMES[service]} does not admit the load balancer",
                ),
            ),
            remedy=open_up(facts, bars, "security-group-blocks-load-balancer"),
        )


def _hosts_behind(bars: tuple[Edge, ...]) -> tuple[str, ...]:
    """The hosts of those load balancers that are barred, where others get through."""
    keys = {e.source.removeprefix(BALANCER) for e in bars}
    return tuple(f"public.{host}" for host, key in LOAD_BALANCER_OF_HOST.items() if key in keys)


def _outside(
    hosts: HostsFacts, paths: PublicPathsFacts | None, service: str, bars: tuple[Edge, ...]
) -> tuple[Claim, ...]:
    """What is seen at a host of a barred load balancer; MLflow's own target is not asked from outside."""
    if service not in HOST_OF_SERVICE:
        return ()
    keys = {e.source.removeprefix(BALANCER) for e in bars}
    hosts_of: tuple[HostName, ...] = ("auth", "registry", "api")
    host = next((h for h in hosts_of if LOAD_BALANCER_OF_HOST[h] in keys), HOST_OF_SERVICE[service])
    others = paths.answers if paths and host == "registry" else ()
    return (balancer_says(hosts, host, (504, 503), others),)
