"""An image that ECS cannot pull."""

from collections.abc import Iterator

from hokusai_probe.causes._tasks import CONSEQUENCES, Seen, cases, or_not_there, stopped_tasks
from hokusai_probe.causes._words import one_line, previous_revision, ready, update_service, wait_for, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.images import ImagesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts


@cause(
    component="ecs",
    priority="critical",
    effort="hours",
    entails=CONSEQUENCES,
    look_alikes={
        "execution-role-lacks-permission": "there ECR answers 403 or AccessDenied, not that it has no such "
        "image",
        "image-wrong-architecture": "there the image is found and cannot be run",
    },
    source="AWS: CannotPullContainer task errors in Amazon ECS",
)
def image_cannot_be_pulled(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    images: ImagesFacts | None,
) -> Iterator[Case]:
    """The image that the task definition names cannot be pulled.

    ``CannotPullContainerError: ... not found``, ``manifest unknown``, ``repository does not exist``, ``i/o
    timeout``: a tag that was never pushed or was deleted by a lifecycle policy, or no way to the registry.
    Where ECR has no such image any more, tasks that run go on and the next one cannot start.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for case in cases(
        seen,
        "image cannot be pulled",
        "pull",
        remedy=lambda service, _: _remedy(seen, images, service),
    ):
        yield or_not_there(seen, case, _missing(images, case.subject), "images")


def _missing(images: ImagesFacts | None, service: str) -> Claim:
    image = images.images.get(service) if images else None
    return claim(
        f"ECR has no {image.uri}" if image else "ECR has no such image",
        None if image is None or image.failure is not None else image.missing,
        by=ImagesFacts,
        fact=f"images.{service}.missing" if image else "",
        value=image.missing if image else None,
        telling=True,
        aws_cli=_describe(images, service),
    )


def _describe(images: ImagesFacts | None, service: str) -> str | None:
    image = images.images.get(service) if images else None
    if image is None:
        return None
    return one_line(
        f"aws ecr describe-images --repository-name {word(image.repository, 'REPOSITORY')} "
        "--query 'sort_by(imageDetails,&imagePushedAt)[-5:].[imageTags,imagePushedAt]'"
    )


def _remedy(seen: Seen, images: ImagesFacts | None, service: str) -> Remedy:
    described, revision = _describe(images, service), word(None, f"{service.upper()}_REVISION")
    return Remedy(
        kind="needs-value",
        summary="Push the image under the tag that the task definition names, or deploy a revision whose "
        "image is there.",
        before=(stopped_tasks(seen.ecs, service), *((described,) if described else ())),
        aws_cli=ready(update_service(seen.ecs, service, f"--task-definition {revision}")),
        after=(wait_for(seen.ecs, service),),
        rollback=previous_revision(seen.ecs, service),
        also_touches="A deployment replaces the tasks.",
        verify="hokusai-probe verify image-cannot-be-pulled",
    )
