"""A parameter that a task needs at its start and that does not exist."""

import re
from collections.abc import Iterator

from hokusai_probe.causes._tasks import (
    CONSEQUENCES,
    PARAMETER,
    Seen,
    cases,
    or_not_there,
    refused_in_vain,
    stopped_tasks,
)
from hokusai_probe.causes._words import one_line, ready, update_service, wait_for, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts, StoppedTask
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.secrets_and_parameters import (
    SecretsAndParametersFacts,
    is_secret,
    parameter_name,
)
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

_NAMED = re.compile(r"invalid ssm parameters: (?P<names>[^\s,]+)")


@cause(
    component="secrets",
    priority="critical",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "secret-missing-or-misnamed": "there it is a secret of Secrets Manager",
        "execution-role-lacks-permission": "there what the task is refused exists",
    },
    source="INC-26; AWS: Resolve Amazon ECS ResourceInitializationError errors, invalid ssm parameters",
)
def parameter_missing(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    definitions: TaskDefinitionsFacts | None,
    stores: SecretsAndParametersFacts | None,
) -> Iterator[Case]:
    """The task definition refers to a parameter of SSM that does not exist.

    ``ResourceInitializationError ... unable to retrieve secrets from ssm ... invalid ssm parameters:
    NAME``. New revisions stop before they start; where the old revision goes on serving, nothing outside
    shows it.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for case in cases(
        seen,
        "parameter does not exist",
        "no-parameter",
        remedy=lambda service, task: _remedy(seen, _name(task, definitions, stores, service), service),
    ):
        gone = _gone(definitions.of(case.subject) if definitions else None, stores, case.subject)
        vain = refused_in_vain(seen, case, stores, PARAMETER)
        if vain is not None:
            yield vain.model_copy(update={"breaks": (*vain.breaks, "secrets/parameters")})
            continue
        yield or_not_there(seen, case, gone, "secrets/parameters")


def _lost(one: TaskDefinition | None, stores: SecretsAndParametersFacts | None) -> str | None:
    """The first variable whose parameter does not exist."""
    refs = one.secret_refs.items() if one else ()
    return next((n for n, ref in refs if stores and not is_secret(ref) and stores.missing(ref)), None)


def _gone(one: TaskDefinition | None, stores: SecretsAndParametersFacts | None, service: str) -> Claim:
    name = _lost(one, stores)
    known = one is not None and stores is not None and stores.parameters_failure is None
    return claim(
        f"{name} is to come from the parameter {one.secret_refs[name]}, which does not exist"
        if one and name
        else "SSM does not have a parameter that the task definition refers to",
        name is not None if known else None,
        by=TaskDefinitionsFacts,
        fact=f"definitions.{service}.secret_refs.{name}" if name else "",
        value=one.secret_refs[name] if one and name else None,
        telling=True,
        aws_cli="aws ssm describe-parameters --query 'Parameters[].[Name,LastModifiedDate]'",
    )


def _name(
    task: StoppedTask | None,
    definitions: TaskDefinitionsFacts | None,
    stores: SecretsAndParametersFacts | None,
    service: str,
) -> str | None:
    """The parameter's name: as the task said it, or as the revision in use has it."""
    said = _NAMED.search(task.reason) if task else None
    one = definitions.of(service) if definitions else None
    lost = _lost(one, stores)
    return said["names"] if said else parameter_name(one.secret_refs[lost]) if one and lost else None


def _remedy(seen: Seen, name: str | None, service: str) -> Remedy:
    parameter = word(name, "PARAMETER_NAME")
    put = f"aws ssm put-parameter --name {parameter} --type String --value {word(None, 'PARAMETER_VALUE')}"
    return Remedy(
        kind="needs-value",
        summary=f"Create the parameter{f' {name}' if name else ''} (as SecureString, if it is a secret), "
        "and deploy again.",
        before=(stopped_tasks(seen.ecs, service),),
        aws_cli=ready(put, update_service(seen.ecs, service, "--force-new-deployment")),
        terraform='# resource "aws_ssm_parameter"\n',
        after=(wait_for(seen.ecs, service),),
        rollback=one_line(f"aws ssm delete-parameter --name {parameter}"),
        also_touches="Whatever else reads this parameter. A revision that was rolled back must be deployed "
        "again.",
        verify="hokusai-probe verify parameter-missing",
    )
