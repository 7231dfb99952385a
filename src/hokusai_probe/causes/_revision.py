"""A variable of a task definition set anew: the commands that register a revision and deploy it."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from shlex import quote, split

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
    "pairs = dict(zip(given[::2], given[1::2])); "
    'lists = [k for k in ("environment", "secrets") if k in one]; '
    'one.update({k: [e for e in one[k] if e["name"] not in pairs] for k in lists}); '
)
_PUT_IN = 'one.setdefault("{list}", []).extend({{"name": n, "{value}": v}} for n, v in pairs.items())'
_SET = _TAKE_OUT + _PUT_IN.format(list="environment", value="value")
_SET_REFERENCE = _TAKE_OUT + _PUT_IN.format(list="secrets", value="valueFrom")


def set_variable(
    definition: TaskDefinition | None,
    ecs: EcsServicesFacts | None,
    service: str,
    variable: tuple[str, str],
    *,
    summary: str,
    verify: str,
    shown: str = "",
    doubt: str = "",
) -> Remedy:
    """Register a revision with one variable changed and deploy it. ``variable``: name and word of a command.

    The present definition goes to a file, without what RegisterTaskDefinition does not take. ``shown``: the
    value for Terraform. ``doubt``: as for :func:`register`.
    """
    said = register(definition, ecs, service, _SET, *variable, summary=summary, verify=verify, doubt=doubt)
    return said.model_copy(update={"terraform": _block({variable[0]: shown})}) if shown else said


def set_variables(
    definition: TaskDefinition | None,
    ecs: EcsServicesFacts | None,
    service: str,
    variables: Mapping[str, str],
    *,
    summary: str,
    verify: str,
) -> Remedy:
    """One revision with several variables changed, and its deployment. Values are words of a command."""
    words = (part for pair in variables.items() for part in pair)
    said = register(definition, ecs, service, _SET, *words, summary=summary, verify=verify)
    values = {name: " ".join(split(value)) for name, value in variables.items()}
    return said.model_copy(update={"terraform": _block(values)})


def _block(values: Mapping[str, str]) -> str:
    """Variables as Terraform has them."""
    lines = (f'  {{ name = "{name}", value = {_string(value)} }},\n' for name, value in values.items())
    return f"# in the container's definition\nenvironment = [\n{''.join(lines)}]\n"


def _string(value: str) -> str:
    """A string of Terraform: quotes are escaped as in JSON, and ${ and %{ would begin a template."""
    return dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def set_secret(
    definition: TaskDefinition | None,
    ecs: EcsServicesFacts | None,
    service: str,
    secret: tuple[str, str],
    *,
    summary: str,
    verify: str,
    doubt: str = "",
) -> Remedy:
    """Register a revision that fills one variable from a secret or parameter, and deploy it.

    ``secret``: name and, as a word of a command, where it comes from. ``doubt``: as for :func:`register`.
    """
    return register(
        definition, ecs, service, _SET_REFERENCE, *secret, summary=summary, verify=verify, doubt=doubt
    )


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
    doubt: str = "",
) -> Remedy:
    """Register a revision with a change, and deploy it.

    ``change``: Python that is given ``new``, the whole definition, ``one``, the container that serves, and
    ``given``, the words of a command that follow. ``doubt``: what would make it wrong, where only a person
    knows whether it is so; nobody else may then decide to do it.
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
        kind=readiness(*commands) if not doubt else "needs-value",
        summary=f"Unless {doubt}: {summary}" if doubt else summary,
        before=(one_line(describe),),
        aws_cli=ready(*commands),
        after=(wait_for(ecs, service),),
        rollback=one_line(update_service(ecs, service, f"--task-definition {arn}")),
        also_touches=f"A deployment replaces the tasks. The file {service}.json is left behind.",
        verify=verify,
    )
