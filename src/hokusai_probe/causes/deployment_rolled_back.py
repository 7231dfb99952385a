"""A deployment that ECS took back by itself."""

from collections.abc import Iterator

from hokusai_probe.causes._tasks import Seen, stopped_tasks
from hokusai_probe.causes._words import cluster, one_line, service_name, whose
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts, ending
from hokusai_probe.probes.hosts import HostsFacts


@cause(
    component="deployment",
    priority="high",
    effort="hours",
    entails=(),
    look_alikes={
        "deployment-had-no-effect": "there nobody asked ECS to deploy the new revision",
        "tasks-crash-at-start": "there nothing is left that serves",
        "parameter-missing": "there the stopped reason names what is missing",
    },
    source="INC-39, INC-43; AWS: How the Amazon ECS deployment circuit breaker detects failures",
)
def deployment_rolled_back(
    hosts: HostsFacts,
    ecs: EcsServicesFacts,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The deployment circuit breaker restored the revision before.

    ``deployment failed: tasks failed to start`` and ``rolling back to deployment`` in the events. The
    platform works as before and the new features never appear. Why the new tasks failed is in their stopped
    reasons, for an hour, and in their logs.
    """
    seen = Seen(hosts, None, None, ecs, tasks)
    for service in seen.subjects():
        one = ecs.services.get(service)
        if one is not None:
            yield Case(
                subject=service,
                breaks=("deployments/rollout",),
                claims=(_rolled_back(one, ecs, service), _why(seen, service)),
                remedy=_remedy(seen, service),
            )


def _rolled_back(one: EcsService, ecs: EcsServicesFacts, service: str) -> Claim:
    place = one.rolled_back
    said = one.history[place].text if place is not None else None
    return claim(
        f"ECS rolled {whose(service)} service back: {said}"
        if said
        else f"ECS rolled {whose(service)} service back",
        said is not None,
        by=EcsServicesFacts,
        fact=f"services.{service}.history[{place}].text" if said else "",
        value=said,
        telling=True,
        aws_cli=one_line(
            f"aws ecs describe-services {cluster(ecs)} --services {service_name(ecs, service)} "
            "--query 'services[].events[:20].message'"
        ),
    )


def _why(seen: Seen, service: str) -> Claim:
    """How the tasks of the new revision ended: evidence where it is seen, and nothing where it is not."""
    one, tasks = seen.service(service), seen.tasks
    dead = tasks.undeployed(service, one) if tasks and one else ()
    place, task = dead[0] if dead else (0, None)
    last = next((line for line in reversed(task.last_words) if line.strip()), "") if task else ""
    said = f": {ending(task)}{f'; last words: {last}' if last else ''}" if task else ""
    return claim(
        f"tasks of the deployment that failed stopped{said}",
        True if task else None,
        by=EcsTasksFacts,
        fact=f"services.{service}.stopped[{place}].reason" if task else "",
        value=task.reason if task else None,
        aws_cli=stopped_tasks(seen.ecs, service),
    )


def _remedy(seen: Seen, service: str) -> Remedy:
    name = service_name(seen.ecs, service)
    return Remedy(
        kind="needs-value",
        summary="Mend what stopped the tasks of the new revision, as the evidence has it, and deploy "
        "again. Nothing is to be restored: the old revision serves.",
        before=(
            stopped_tasks(seen.ecs, service),
            one_line(
                f"aws ecs describe-services {cluster(seen.ecs)} --services {name} "
                "--query 'services[].events[:20].[createdAt,message]' --output text"
            ),
        ),
        rollback="Nothing is changed.",
        also_touches="Whoever waits for the new revision believes that it runs.",
        verify="hokusai-probe verify deployment-rolled-back",
    )
