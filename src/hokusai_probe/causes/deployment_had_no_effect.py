"""A deployment that changed nothing of what runs."""

from collections.abc import Iterator
from datetime import timedelta

from hokusai_probe.causes._words import one_line, readiness, ready, update_service, wait_for, whose, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.images import ImagesFacts
from hokusai_probe.probes.revisions import Family, RevisionsFacts, number, used_name

GRACE = timedelta(minutes=3)


@cause(
    component="deployment",
    priority="high",
    effort="minutes",
    entails=(),
    look_alikes={
        "deployment-rolled-back": "there ECS tried, and took it back",
        "gateway-route-missing": "there what is deployed lacks the route",
    },
    source="INC-22, INC-27",
)
def deployment_had_no_effect(
    ecs: EcsServicesFacts,
    revisions: RevisionsFacts | None,
    images: ImagesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """Something newer was registered or pushed, and the service still runs what is older.

    The pipeline is green and behaviour does not change. Either the family has a newer revision that nobody
    asked ECS to deploy, or the tag that the revision names was moved to a newer image after the tasks were
    started: ECS looks at a tag only when it starts a task. ``/version`` is a constant and cannot tell.
    Minutes after its registration a revision may still be deployed by whoever registered it.
    """
    for service, one in ecs.services.items():
        if not one.gone and one.desired:
            yield _by_revision(service, one, ecs, revisions, tasks)
            yield _by_image(service, ecs, images, tasks)


def _by_revision(
    service: str,
    one: EcsService,
    ecs: EcsServicesFacts,
    revisions: RevisionsFacts | None,
    tasks: EcsTasksFacts | None,
) -> Case:
    family = revisions.families.get(service) if revisions else None
    newest = number(family.newest.arn) if family else None
    deploy = update_service(
        ecs, service, f"--task-definition {word(family.name if family else None, 'FAMILY')}"
    )
    return Case(
        subject=service,
        breaks=("deployments/newest",),
        claims=(
            claim(
                f"{whose(service)} service runs {used_name(one)}, and nobody has asked ECS to deploy "
                f"revision {newest}",
                None if family is None else family.waiting(one),
                by=RevisionsFacts,
                fact=f"families.{service}.newest.arn" if family else "",
                value=family.newest.arn if family else None,
                telling=True,
            ),
        ),
        remedy=_remedy(
            ecs,
            service,
            (*_patience(family, tasks), deploy),
            f"Deploy revision {newest} of {whose(service)} task definition, or deregister it if it is not "
            "wanted.",
            one_line(
                update_service(ecs, service, f"--task-definition {word(one.task_definition, 'FAMILY')}")
            ),
        ),
    )


def _patience(family: Family | None, tasks: EcsTasksFacts | None) -> tuple[str, ...]:
    """A word of warning where the revision is so young that whoever registered it may be at work yet."""
    since = family.newest.registered_at if family else None
    if since is None or tasks is None or tasks.asked_at - since > GRACE:
        return ()
    later = f"look again {int(GRACE.total_seconds() // 60)} minutes later"
    return (f"# registered at {since:%H:%M:%S} UTC: a pipeline may be about to deploy it; {later}",)


def _by_image(
    service: str, ecs: EcsServicesFacts, images: ImagesFacts | None, tasks: EcsTasksFacts | None
) -> Case:
    return Case(
        subject=service,
        breaks=("deployments/images",),
        claims=(_older(service, images, tasks),),
        remedy=_remedy(
            ecs,
            service,
            (update_service(ecs, service, "--force-new-deployment"),),
            f"Deploy {whose(service)} revision again: new tasks pull what the tag names now. Better, name "
            "images by digest or by a tag that is never moved.",
            "Move the tag back to the image before, and deploy once more.",
        ),
    )


def _older(service: str, images: ImagesFacts | None, tasks: EcsTasksFacts | None) -> Claim:
    place = images.newer(service, tasks) if images else None
    task = tasks.services[service].running[place] if tasks and place is not None else None
    image = images.images.get(service) if images else None
    return claim(
        f"a task of {whose(service)} service runs {task.digest}, and {image.uri} is a newer image by now"
        if task and image
        else f"{whose(service)} tasks run an older image than their tag names",
        None if image is None or image.failure is not None or tasks is None else task is not None,
        by=EcsTasksFacts,
        fact=f"services.{service}.running[{place}].digest" if task else "",
        value=task.digest if task else None,
        telling=True,
    )


def _remedy(
    ecs: EcsServicesFacts, service: str, deploy: tuple[str, ...], summary: str, rollback: str
) -> Remedy:
    return Remedy(
        kind=readiness(*deploy),
        summary=summary,
        aws_cli=ready(*deploy),
        after=(wait_for(ecs, service),),
        rollback=rollback,
        also_touches="A deployment replaces the tasks. See why the pipeline did not do it.",
        verify="hokusai-probe verify deployment-had-no-effect",
    )
