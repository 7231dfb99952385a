"""What outside eyes see when nothing deeper can be seen."""

from collections.abc import Iterator

from hokusai_probe.causes._down import down_at
from hokusai_probe.declare import Case, cause
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="auth",
    priority="critical",
    effort="hours",
    fallback=True,
    look_alikes={
        "target-port-mismatch": "seen in the registered targets' ports",
        "ecs-service-missing": "seen in the ECS service",
        "target-group-empty": "seen in the target group",
    },
    source="INC-08, INC-15",
)
def auth_service_down(
    hosts: HostsFacts, ecs: EcsServicesFacts | None, groups: TargetGroupsFacts | None
) -> Iterator[Case]:
    """The auth service does not answer, and nothing deeper that would explain it is seen.

    No key can be validated: the gateway answers 503, or in the 2025-08 era 401
    `Authentication service error`.
    """
    yield from down_at(hosts, "auth", "auth", ecs, groups)
