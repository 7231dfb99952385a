"""The gateway's event loop is held up."""

from collections.abc import Iterator

from hokusai_probe.causes._words import describe_health, group_of, one_line, previous_revision, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.latency import LatencyFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts


@cause(
    component="gateway",
    priority="high",
    effort="days",
    look_alikes={
        "security-group-blocks-load-balancer": "there nothing ever reaches the gateway",
        "auth-service-slow": "there paths that need no key are quick",
        "gateway-down": "there nothing is answered between",
        "auth-service-down": "there the auth host itself does not answer",
    },
    source="INC-31",
)
def gateway_event_loop_blocked(
    latency: LatencyFacts,
    groups: TargetGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Iterator[Case]:
    """Something blocking is called on the gateway's event loop: everything stands still, then goes on.

    Sporadic timeouts on all paths at once, also on constant ones such as ``/health/alb`` or ``/live``, with
    200s between. ``Authentication service timeout`` although the auth service is quick: the gateway's own
    clock ran on while it stood still. Its target is unhealthy now and then (``Target.Timeout``) while its log
    shows late 200s, and its CPU is idle. A blocking MLflow client, a Redis or a database driver called from
    an ``async`` handler does that.
    """
    yield Case(
        subject="gateway",
        breaks=("gateway",),
        claims=(_held(latency), _between(latency)),
        remedy=_remedy(ecs, groups, definitions),
    )


def _held(latency: LatencyFacts) -> Claim:
    number = next((n for n, beat in enumerate(latency.beats) if beat.held), None)
    return claim(
        f"{' and '.join(latency.asked)}, which are constant, wait until the same moment, {latency.held} of "
        f"{len(latency.beats)} times, while the auth host answers at once",
        latency.uneven if latency.constants else None,
        by=LatencyFacts,
        fact=f"beats[{number}].one" if number is not None else "",
        value=latency.beats[number].one if number is not None else None,
        telling=True,
    )


def _between(latency: LatencyFacts) -> Claim:
    number = next((n for n, beat in enumerate(latency.beats) if beat.quick), None)
    return claim(
        "between, they are answered at once",
        number is not None if latency.beats else None,
        by=LatencyFacts,
        fact=f"beats[{number}].one" if number is not None else "",
        value=latency.beats[number].one if number is not None else None,
    )


def _remedy(
    ecs: EcsServicesFacts | None, groups: TargetGroupsFacts | None, definitions: TaskDefinitionsFacts | None
) -> Remedy:
    """Code; a second task only shares the load out."""
    gateway = definitions.of("gateway") if definitions else None
    group = word(gateway.log_group if gateway else None, "GATEWAY_LOGS")
    return Remedy(
        kind="outside-aws",
        summary="Call blocking clients (MLflow's, Redis, the database driver) in a thread or use their "
        "asynchronous forms. Until then a dependency that is slow holds up everybody: see which one is, in "
        "the gateway's log at the moments when it stands still.",
        before=(
            one_line(f"aws logs tail {group} --since 15m"),
            describe_health(group_of(groups, "gateway")[0], "gateway"),
        ),
        rollback=previous_revision(ecs, "gateway"),
        also_touches="Every path of the gateway.",
        verify="hokusai-probe verify gateway-event-loop-blocked",
    )
