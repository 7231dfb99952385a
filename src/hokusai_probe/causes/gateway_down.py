"""What outside eyes see when nothing deeper can be seen."""

from collections.abc import Iterator

from hokusai_probe.causes._down import down_at
from hokusai_probe.causes._symptoms import serves_elsewhere
from hokusai_probe.declare import Case, cause
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="gateway",
    priority="critical",
    effort="hours",
    fallback=True,
    look_alikes={
        "ecs-service-missing": "seen in the ECS service",
        "target-group-empty": "seen in the target group",
        "listener-rules-only-on-http": "there the load balancer answers 404, not 5xx",
    },
    source="INC-12, INC-20",
)
def gateway_down(
    hosts: HostsFacts,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """The gateway does not answer, and nothing deeper that would explain it is seen.

    Everything behind it (keys, MLflow, registration) cannot be reached; nothing is known about those.
    A gateway that answers at another host runs: then a rule, a target group or a load balancer is at fault.
    So does one that a load balancer's own check finds healthy, whatever became of our requests.
    """
    if hosts.bare:
        return
    others = paths.answers if paths else ()
    serves = serves_elsewhere(hosts, "gateway") or bool(groups and groups.serves("gateway"))
    yield from down_at(hosts, "registry", "gateway", ecs, groups, others=others, serves=serves)
