"""What the three ``*-down`` causes share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from shlex import quote

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._words import (
    answered,
    cluster,
    describe_health,
    group_of,
    one_line,
    ready,
    service_name,
    word,
)
from hokusai_probe.declare import Case
from hokusai_probe.http import Answer
from hokusai_probe.model import HostName, Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import EXPECTED, UNCONNECTED, HostsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.topology import NAMES

NO_CONNECTION = frozenset({*UNCONNECTED, "reset"})
SILENCE = frozenset({*NO_CONNECTION, "timeout"})


def down_at(
    hosts: HostsFacts,
    host: HostName,
    service: str,
    ecs: EcsServicesFacts | None = None,
    groups: TargetGroupsFacts | None = None,
    *,
    others: Iterable[Answer] = (),
    serves: bool | None = None,
    doubted: bool = False,
    whole: bool = True,
    breaks: tuple[str, ...] = (),
) -> Iterator[Case]:
    """The case that a service does not answer at its host: 5xx from the load balancer, or nothing at all.

    ``others``: what else was asked there. A service that answers anything is not down, at most unsteady.
    ``serves``: it is known from elsewhere that it answers. ``doubted``: something speaks for that without
    proof, so that where no connection to its load balancer came about, the way may be at fault as well: a
    load balancer takes connections for a dead service, too, and answers 5xx. ``whole``: that its health is
    well says enough; where it does not, the rest was not looked at, and nothing is known.
    """
    answer = hosts.health(host)
    if answer is None:
        return
    well = answer.status == 200 and (hosts.bare or responder(answer) == EXPECTED[host])
    there = serves or any(responder(other) == EXPECTED[host] for other in others)
    silent = _silent(answer) and not (doubted and not_connected(answer))
    symptom = (False if whole else None) if well else (True if silent else None)
    yield Case(
        subject=service,
        breaks=breaks or (service,),
        claims=(
            answered(
                f"the {NAMES[service]} does not answer at {answer.url}: {said(answer)}",
                False if there else symptom,
                answer,
                f"hosts.{host}.health",
                by=HostsFacts,
            ),
        ),
        remedy=start_it(answer.url) if hosts.bare else look_deeper(service, ecs, groups),
    )


def start_it(url: str) -> Remedy:
    """A plain server that does not answer: nothing is known of what runs it."""
    return Remedy(
        kind="outside-aws",
        summary=f"See that a server runs and listens at {url}, and that the address is the right one.",
        before=(f"curl -sS -i {quote(url)}",),
        rollback="Nothing is changed.",
        verify="hokusai-probe run --only registry-host-answers",
    )


def look_deeper(
    service: str, ecs: EcsServicesFacts | None = None, groups: TargetGroupsFacts | None = None
) -> Remedy:
    """Where to look when outside eyes see no more than silence."""
    group, _ = group_of(groups, service)
    return Remedy(
        kind="needs-value",
        summary=f"Look at the {NAMES[service]}'s ECS service, its target group and its log; run again with "
        "AWS access to have the deeper cause named.",
        before=(
            one_line(f"aws ecs describe-services {cluster(ecs)} --services {service_name(ecs, service)}"),
            describe_health(group, service),
        ),
        aws_cli=ready(f"aws logs tail {word(None, f'{service.upper()}_LOGS')} --since 1h"),
        rollback="Nothing is changed.",
        verify=f"hokusai-probe run --only {'auth' if service == 'auth' else 'registry'}-host-answers",
    )


def not_connected(answer: Answer) -> bool:
    """No connection to a load balancer came about, or none that lasted: it takes those for dead services."""
    return answer.failure is not None and answer.failure.kind in NO_CONNECTION


def _silent(answer: Answer) -> bool:
    """Nobody home. A name that is not found or a certificate that is no good says nothing of the service."""
    if answer.status is None:
        return answer.failure is not None and answer.failure.kind in SILENCE
    return answer.status in {502, 503, 504} and responder(answer) == "load-balancer"
