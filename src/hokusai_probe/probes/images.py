"""The images of the task definitions in use: are they in ECR, and is what runs what was pushed last."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts, RunningTask
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Image(Frozen):
    """An image that a task definition names. ``missing``: ECR has no such repository, tag or digest.

    ``tags``: all that name it now. Where images are tagged with the commit that they were built from, the
    report tells which of them are of the commit under test. When a commit was made ECR does not know.
    """

    uri: str
    repository: str = ""
    missing: bool = False
    digest: str = ""
    pushed_at: Utc | None = None
    tags: tuple[str, ...] = ()
    failure: AwsFailure | None = None


class ImagesFacts(Facts):
    """Images by the platform's name for the service; one that is not in this region's ECR is not there."""

    images: Mapping[str, Image] = {}

    def newer(self, service: str, tasks: EcsTasksFacts | None) -> int | None:
        """Place of a task that runs another image than its tag names by now; None where there is none."""
        image, found = self.images.get(service), tasks.services.get(service) if tasks else None
        if image is None or found is None:
            return None
        return next((place for place, task in enumerate(found.running) if _is_older(task, image)), None)


def _is_older(task: RunningTask, image: Image) -> bool:
    """The tag was moved to another image after this task was started from the one that it named then."""
    known = task.image == image.uri and task.digest and image.digest and task.started_at and image.pushed_at
    return (
        bool(known)
        and task.digest != image.digest
        and bool(
            task.started_at and image.pushed_at and image.pushed_at >= task.started_at.replace(microsecond=0)
        )
    )


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=3)
async def images(look: Look, definitions: TaskDefinitionsFacts) -> ImagesFacts:
    """The images of the task definitions in use, as ECR has them now: ecr:DescribeImages.

    A tag is no proof of what runs (INC-29): what it names may have been pushed after the task was started.
    """
    region = look.target.aws.region if look.target.aws else ""
    named = {name: one.image for name in definitions.definitions if (one := definitions.of(name))}
    here = {name: uri for name, uri in named.items() if (m := _ECR.fullmatch(uri)) and m["region"] == region}
    found = await asyncio.gather(*(_image(look.cloud(), uri) for uri in here.values()))
    return ImagesFacts(images=dict(zip(here, found, strict=True)))


async def _image(aws: AwsDoor, uri: str) -> Image:
    parts = _ECR.fullmatch(uri)
    assert parts is not None
    wanted = {"imageDigest": parts["digest"]} if parts["digest"] else {"imageTag": parts["tag"] or "latest"}
    answer = await aws.call(
        "ecr",
        "describe_images",
        registryId=parts["account"],
        repositoryName=parts["repository"],
        imageIds=[wanted],
    )
    if answer.failure is not None:
        gone = answer.failure.kind == "not-found"
        failure = None if gone else answer.failure
        return Image(uri=uri, repository=parts["repository"], missing=gone, failure=failure)
    detail = answer.data["imageDetails"][0]
    return Image(
        uri=uri,
        repository=parts["repository"],
        digest=str(detail.get("imageDigest", "")),
        pushed_at=detail.get("imagePushedAt"),
        tags=tuple(str(tag) for tag in detail.get("imageTags", ())),
    )


def _unread(facts: ImagesFacts) -> Sentence:
    if not facts.images:
        return NotApplicable(reason="no task definition in use names an image in this region's ECR")
    kinds = {image.failure.kind for image in facts.images.values() if image.failure}
    return CannotTell(reason=f"ecr:DescribeImages: {', '.join(sorted(kinds))}") if kinds else None


@check(hop="images")
def images_exist(facts: ImagesFacts) -> Sentence:
    """The image that each task definition in use names can be found in ECR.

    Where it cannot, tasks that run go on and the next one cannot start.
    """
    missing = sorted({image.uri for image in facts.images.values() if image.missing})
    return f"ECR has no {', '.join(missing)}" if missing else _unread(facts)


@check(hop="deployments/images")
def newest_images_run(facts: ImagesFacts, tasks: EcsTasksFacts) -> Sentence:
    """No task runs another image than the one that its tag names by now."""
    older = {name: place for name in facts.images if (place := facts.newer(name, tasks)) is not None}
    said = (
        f"task {tasks.services[name].running[place].id} of the {name} service runs an older image than "
        f"{facts.images[name].uri} is by now"
        for name, place in older.items()
    )
    return "; ".join(said) or _unread(facts)
