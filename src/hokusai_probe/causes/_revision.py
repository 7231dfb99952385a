"""A variable of a task definition set anew: the commands that register a revision and deploy it."""

from __future__ import annotations

from shlex import quote

from hokusai_probe.causes._words import one_line, readiness, ready, update_service, wait_for, word
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.task_definitions import TaskDefinition

# what DescribeTaskDefinition returns and RegisterTaskDefinition does not take
_READ_ONLY = (
    "taskDefinitionArn revision status requiresAttributes compatibilities registeredAt registeredBy "
    "deregisteredAt"
)
_OPEN = (
    "import json, sys; container, *given = sys.argv[1:]; "
    f'read_only = "{_READ_ONLY}".split(); '
    "new = {k: v for k, v in json.load(sys.stdin).items() if k not in read_only}; "
    'one = next(c for c in new["containerDefinitions"] if c["name"] == container); '
)
_CLOSE = "; json.dump(new, sys.stdout)"
# from both lists: ECS refuses a revision in which one name stands in both
_TAKE_OUT = (
    'lists = [k for k in ("environment", "secrets") if k in one]; '
    'one.update({k: [e for e in one[k] if e["name"] != given[0]] for k in lists}); '
)
_SET = _TAKE_OUT + 'one.setdefault("environment", []).append({"name": given[0], "value": given[1]})'
_SET_REFERENCE = _TAKE_OUT + 'one.setdefault("secrets", []).append({"name": given[0], "valueFrom": given[1]})'


def set_variable(
    definition: TaskDefinition | None,
    ecs: EcsServicesFacts | None,
    service: str,
    variable: tuple[str, str],
    *,
    summary: str,
    verify: str,
) -> Remedy:
    """Register a revision with one variable changed and deploy it. ``variable``: name and word of a command.

    The present definition goes to a file, without what RegisterTaskDefinition does not take.
    """
    return register(definition, ecs, service, _SET, *variable, summary=summary, verify=verify)


def set_secret(
    definition: TaskDefinition | None,
    ecs: EcsServicesFacts | None,
    service: str,
    secret: tuple[str, str],
    *,
    summary: str,
    verify: str,
) -> Remedy:
    """Register a revision that fills one variable from a secret or parameter, and deploy it.

    ``secret``: name and, as a word of a command, where it comes from.
    """
    return register(definition, ecs, service, _SET_REFERENCE, *secret, summary=summary, verify=verify)


def _family(definition: TaskDefinition | None) -> str | None:
    """The family, which update-service takes for its newest revision."""
    return definition.arn.rsplit("/", 1)[-1].partition(":")[0] if definition else None


def register(
    definition: TaskDefinition | None,
    ecs: EcsServicesFacts | None,
    service: str,
    change: str,
    *words: str,
    summary: str,
    verify: str,
) -> Remedy:
    """Register a revision with a change, and deploy it.

    ``change``: Python that is given ``new``, the whole definition, ``one``, the container that serves, and
    ``given``, the words of a command that follow.
    """
    arn = word(definition.arn if definition else None, f"{service.upper()}_DEFINITION")
    container = word(definition.container if definition else None, f"{service.upper()}_CONTAINER")
    family = word(_family(definition), f"{service.upper()}_FAMILY")
    describe = f"aws ecs describe-task-definition --task-definition {arn}"
    changed = f"python3 -c {quote(_OPEN + change + _CLOSE)} {' '.join((container, *words))}"
    commands = (
        f"{describe} --query taskDefinition --output json | {changed} > {service}.json",
        f"aws ecs register-task-definition --cli-input-json file://{service}.json",
        update_service(ecs, service, f"--task-definition {family}"),
    )
    return Remedy(
        kind=readiness(*commands),
        summary=summary,
        before=(one_line(describe),),
        aws_cli=ready(*commands),
        after=(wait_for(ecs, service),),
        rollback=one_line(update_service(ecs, service, f"--task-definition {arn}")),
        also_touches=f"A deployment replaces the tasks. The file {service}.json is left behind.",
        verify=verify,
    )
