"""What the three ``*-down`` causes share."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Case, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import HostName, Remedy
from hokusai_probe.probes.hosts import EXPECTED, HostsFacts
from hokusai_probe.topology import NAMES

SILENCE = frozenset({"refused", "unreachable", "connect-timeout", "timeout", "reset"})


def down_at(
    hosts: HostsFacts, host: HostName, service: str, *, breaks: tuple[str, ...] = ()
) -> Iterator[Case]:
    """The case that a service does not answer at its host: 5xx from the load balancer, or nothing at all."""
    answer = hosts.health(host)
    if answer is None:
        return
    well = answer.status == 200 and (hosts.bare or responder(answer) == EXPECTED[host])
    yield Case(
        subject=service,
        breaks=breaks or (service,),
        claims=(
            claim(
                f"the {NAMES[service]} does not answer at {answer.url}: {said(answer)}",
                True if _silent(answer) else (False if well else None),
                by=HostsFacts,
                fact=f"hosts.{host}.health.status",
                value=answer.status,
            ),
        ),
        remedy=start_it(answer.url) if hosts.bare else look_deeper(service),
    )


def start_it(url: str) -> Remedy:
    """A plain server that does not answer: nothing is known of what runs it."""
    return Remedy(
        kind="outside-aws",
        summary=f"See that a server runs and listens at {url}, and that the address is the right one.",
        before=(f"curl -sS -i {url}",),
        rollback="Nothing is changed.",
        verify="hokusai-probe run --only registry-host-answers",
    )


def look_deeper(service: str) -> Remedy:
    """Where to look when outside eyes see no more than silence."""
    return Remedy(
        kind="needs-value",
        summary=f"Look at the {NAMES[service]}'s ECS service, its target group and its log; run again with "
        "AWS access to have the deeper cause named.",
        before=(
            f"aws ecs describe-services --cluster <cluster> --services <{service} service>",
            f"aws elbv2 describe-target-health --target-group-arn <{service} target group>",
        ),
        aws_cli=(f"aws logs tail <{service} log group> --since 1h",),
        rollback="Nothing is changed.",
        verify=f"hokusai-probe run --only {'auth' if service == 'auth' else 'registry'}-host-answers",
    )


def _silent(answer: Answer) -> bool:
    """Nobody home. A name that is not found or a certificate that is no good says nothing of the service."""
    if answer.status is None:
        return answer.failure is not None and answer.failure.kind in SILENCE
    return answer.status in {502, 503, 504} and responder(answer) == "load-balancer"
