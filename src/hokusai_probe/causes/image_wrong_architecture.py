"""An image that was built for another processor."""

import re
from collections.abc import Iterator

from hokusai_probe.causes._tasks import CONSEQUENCES, Seen, cases, stopped_tasks
from hokusai_probe.causes._words import previous_revision, ready, update_service, wait_for, word
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

_SCRIPT = re.compile(r"(entry-?point|\.(sh|bash|py|pl|rb|js)\b)\S*:? exec format error", re.IGNORECASE)


@cause(
    component="deployment",
    priority="critical",
    effort="hours",
    entails=CONSEQUENCES,
    look_alikes={
        "tasks-crash-at-start": "there the program itself has something to say",
        "image-cannot-be-pulled": "there no image is found",
    },
    source="INC-10; AWS: How do I resolve the exec format error (re:Post); CannotPullContainer task errors",
)
def image_wrong_architecture(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Iterator[Case]:
    """The image was built for another processor than Fargate runs it on.

    ``exec format error`` is all that the log says, with exit code 1 within seconds; or
    ``CannotPullContainerError: image Manifest does not contain descriptor matching platform``. Mostly an
    ARM64 image from somebody's own machine, on X86_64, which is what Fargate runs unless the revision says
    ``runtimePlatform``. A script whose first line names no interpreter fails in the same words.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    found = cases(
        seen,
        "image cannot be run by the processor that it is started on",
        "architecture",
        beside=lambda service: (
            seen.last_words(service, "the log says so", lambda s: "exec format error" in s),
        ),
        remedy=lambda service, _: _remedy(seen, definitions, service),
    )
    yield from (_in_doubt(case) if _names_a_script(seen, case.subject) else case for case in found)


def _names_a_script(seen: Seen, service: str) -> bool:
    """Whether it is a script that cannot be run: one that names no interpreter fails in the same words."""
    task = seen.newest(service)[1]
    said = (task.reason, task.container_reason, *task.last_words) if task else ()
    return any(_SCRIPT.search(line) for line in said)


def _in_doubt(case: Case) -> Case:
    text = "the script's first line names an interpreter, which is for another processor"
    claims = (c.model_copy(update={"telling": False}) for c in case.claims)
    return case.model_copy(update={"claims": (*claims, claim(text, None, by=EcsTasksFacts))})


def _remedy(seen: Seen, definitions: TaskDefinitionsFacts | None, service: str) -> Remedy:
    one = definitions.of(service) if definitions else None
    processor = {"ARM64": "linux/arm64"}.get(one.architecture if one else "", "linux/amd64")
    revision = word(None, f"{service.upper()}_REVISION")
    return Remedy(
        kind="needs-value",
        summary=f"Build the image with --platform {processor} (docker buildx build --platform {processor} "
        "--push) and deploy it; until then deploy the revision before.",
        before=(stopped_tasks(seen.ecs, service),),
        aws_cli=ready(update_service(seen.ecs, service, f"--task-definition {revision}")),
        terraform='# resource "aws_ecs_task_definition"\nruntime_platform {\n  cpu_architecture = '
        '"X86_64"\n}\n',
        after=(wait_for(seen.ecs, service),),
        rollback=previous_revision(seen.ecs, service),
        also_touches="A deployment replaces the tasks.",
        verify="hokusai-probe verify image-wrong-architecture",
    )
