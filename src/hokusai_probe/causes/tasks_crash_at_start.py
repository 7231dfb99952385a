"""A program that ends by itself soon after its start."""

import re
from collections.abc import Iterator
from datetime import timedelta

from hokusai_probe.causes._tasks import CONSEQUENCES, NOW_AND_THEN, Seen, stopped_tasks
from hokusai_probe.causes._words import previous_revision, ready, update_service, wait_for, whose, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.revisions import RevisionsFacts

SOON = timedelta(minutes=2)
_NOT_ITS_OWN = re.compile(
    r"password authentication|operationalerror|connection (refused|reset|timed out)|timed? ?out"
    r"|too many (clients|conn)|could not (connect|translate)|name or service not known|no such host"
    r"|relation .* does not exist|undefinedtable|access ?denied|nosuchbucket|certificate verify failed"
    r"|exec format error|no space left",
    re.IGNORECASE,
)
"""Words with which a program blames a neighbour, or what it was built for."""
_BY_SIGNAL = frozenset({137, 143})
"""Exit codes of SIGKILL and SIGTERM."""


@cause(
    component="ecs",
    priority="critical",
    effort="hours",
    entails=tuple(slug for slug in CONSEQUENCES if slug != "tasks-crash-at-start"),
    look_alikes={
        "image-wrong-architecture": "there the log says exec format error",
        "task-out-of-memory": "there the container's reason is OutOfMemoryError",
        "health-check-kills-slow-start": "there ECS ends the task, not the program",
        "mlflow-database-password-wrong": "there the log names the database",
        "task-definition-lacks-secret": "there the log names what the revision lost",
    },
    source="INC-10, INC-29, INC-35; AWS: Stopped tasks error messages, Essential container in task exited",
)
def tasks_crash_at_start(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    revisions: RevisionsFacts | None,
) -> Iterator[Case]:
    """The container exits by itself within seconds of its start, again and again.

    ``Essential container in task exited`` with an exit code, seconds after the start; the log has a
    traceback: ``ImportError``, ``ModuleNotFoundError``, ``SyntaxError``, a setting that cannot be read. Where
    the log names a neighbour that it could not reach or that refused it, that is the deeper cause.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for service in seen.subjects():
        own = _its_own(seen, service)
        yield Case(
            subject=service,
            breaks=seen.breaks(service),
            claims=(
                *seen.outside(service, NOW_AND_THEN),
                seen.died(
                    service, "tasks exit by themselves soon after their start", "exit", many=2, telling=False
                ),
                own,
            ),
            remedy=_remedy(seen, service, revisions),
        )


def _its_own(seen: Seen, service: str) -> Claim:
    """Telling: short lives, and no neighbour named in the last words. Not known where somebody is named.

    Nor where the log could not be read, or a signal ended it: 137 and 143 are somebody else's doing.
    """
    place, task = seen.newest(service)
    short, exits = task is not None and task.life <= SOON, seen.of_kind(service, "exit")
    words = task.last_words if task else ()
    killed = task is not None and task.exit_code in _BY_SIGNAL
    blamed = any(_NOT_ITS_OWN.search(line) for line in words)
    own = short and not blamed and not killed and any(line.strip() for line in words)
    last = next((line for line in reversed(words) if line.strip()), "")
    return claim(
        f"it says nothing of a neighbour before it ends; its last words: {last}"
        if last
        else f"{whose(service)} program ends for a reason of its own",
        exits and (True if own and not _serves_beside(seen, service) else None),
        by=EcsTasksFacts,
        fact=f"{place}.last_words" if task else "",
        value=list(words) if task else None,
        telling=True,
        aws_cli=stopped_tasks(seen.ecs, service),
    )


def _serves_beside(seen: Seen, service: str) -> bool:
    """The old revision serves: then it is the deployment that failed, and this is why."""
    one = seen.service(service)
    return one is not None and not one.short and one.rolled_back is not None


def _remedy(seen: Seen, service: str, revisions: RevisionsFacts | None) -> Remedy:
    family = revisions.families.get(service) if revisions else None
    before = family.earlier[0].arn if family and family.earlier else None
    revision = word(before, f"{service.upper()}_REVISION")
    return Remedy(
        kind="needs-value",
        summary="Read the last lines of the log, mend the program or its settings, build and deploy; until "
        "then deploy the revision before.",
        before=(stopped_tasks(seen.ecs, service),),
        aws_cli=ready(update_service(seen.ecs, service, f"--task-definition {revision}")),
        after=(wait_for(seen.ecs, service),),
        rollback=previous_revision(seen.ecs, service),
        also_touches="A deployment replaces the tasks.",
        verify="hokusai-probe verify tasks-crash-at-start",
    )
