"""A secret that a task needs at its start and that is not there."""

from collections.abc import Iterator

from hokusai_probe.causes._revision import set_secret
from hokusai_probe.causes._tasks import (
    CONSEQUENCES,
    SECRET,
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
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.secrets_and_parameters import SecretsAndParametersFacts, is_secret
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

_LIST = "aws secretsmanager list-secrets --query 'SecretList[].[Name,ARN,LastChangedDate,DeletedDate]'"


@cause(
    component="secrets",
    priority="critical",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "execution-role-lacks-permission": "there the stopped reason says AccessDenied; a narrow policy "
        "says so of a missing secret, too",
        "parameter-missing": "there it is a parameter of SSM",
        "task-definition-lacks-secret": "there the revision does not ask for it at all",
    },
    source="INC-38; AWS: Resolve Amazon ECS ResourceInitializationError errors",
)
def secret_missing_or_misnamed(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    definitions: TaskDefinitionsFacts | None,
    stores: SecretsAndParametersFacts | None,
) -> Iterator[Case]:
    """The task definition refers to a secret that does not exist, or to a key that it does not have.

    ``ResourceInitializationError ... unable to retrieve secret from asm ... ResourceNotFoundException:
    Secrets Manager can't find the specified secret``, ``did not contain json key``, ``marked for
    deletion``; a placeholder such as ``-RANDOM`` at the end of an ARN. Tasks that run already go on without
    noticing.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for case in cases(
        seen,
        "secret is not there",
        "no-secret",
        remedy=lambda service, _: _remedy(seen, _of(definitions, service), stores, service),
    ):
        gone = _gone(_of(definitions, case.subject), stores, case.subject)
        vain = refused_in_vain(seen, case, stores, SECRET)
        if vain is not None:
            yield vain.model_copy(update={"breaks": (*vain.breaks, "secrets/secrets-manager")})
            continue
        yield or_not_there(seen, case, gone, "secrets/secrets-manager")


def _of(definitions: TaskDefinitionsFacts | None, service: str) -> TaskDefinition | None:
    return definitions.of(service) if definitions else None


def _lost(one: TaskDefinition | None, stores: SecretsAndParametersFacts | None) -> str | None:
    """The first variable whose secret does not exist."""
    refs = one.secret_refs.items() if one else ()
    return next((n for n, ref in refs if stores and is_secret(ref) and stores.missing(ref)), None)


def _gone(one: TaskDefinition | None, stores: SecretsAndParametersFacts | None, service: str) -> Claim:
    name = _lost(one, stores)
    known = one is not None and stores is not None and stores.secrets_failure is None
    return claim(
        f"{name} is to come from {one.secret_refs[name]}, which Secrets Manager does not have"
        if one and name
        else "Secrets Manager does not have what the task definition refers to",
        name is not None if known else None,
        by=TaskDefinitionsFacts,
        fact=f"definitions.{service}.secret_refs.{name}" if name else "",
        value=one.secret_refs[name] if one and name else None,
        telling=True,
        aws_cli=_LIST,
    )


def _remedy(
    seen: Seen, one: TaskDefinition | None, stores: SecretsAndParametersFacts | None, service: str
) -> Remedy:
    name = _lost(one, stores)
    ref = one.secret_refs[name] if one and name else ""
    meant = stores.meant(ref) if stores and ref else None
    if name and meant:
        keys = ":".join(ref.split(":")[7:])
        right = f"{meant.arn}:{keys}" if keys else meant.arn
        return set_secret(
            one,
            seen.ecs,
            service,
            (name, word(right, "SECRET_ARN")),
            summary=f"Register a revision in which {name} comes from {right}, the one secret of that name, "
            "and deploy it.",
            verify="hokusai-probe verify secret-missing-or-misnamed",
        )
    return _create(seen, ref, service)


def _create(seen: Seen, ref: str, service: str) -> Remedy:
    wanted = word(ref.partition(":secret:")[2].partition(":")[0], "SECRET_NAME")
    deploy = update_service(seen.ecs, service, "--force-new-deployment")
    return Remedy(
        kind="needs-value",
        summary="Create the secret from a file that only you can read (or restore it, if it is only marked "
        "for deletion), and deploy again; its ARN ends in six characters that the task definition may "
        "leave out.",
        before=(
            stopped_tasks(seen.ecs, service),
            f"{_LIST} --include-planned-deletion",
        ),
        aws_cli=ready(
            f"aws secretsmanager create-secret --name {wanted} --secret-string file://secret.json", deploy
        ),
        terraform='# resource "aws_secretsmanager_secret", and its ARN in the secrets of the container\n',
        after=(wait_for(seen.ecs, service),),
        rollback=one_line(f"aws secretsmanager delete-secret --secret-id {wanted}"),
        also_touches="Whatever else reads this secret.",
        verify="hokusai-probe verify secret-missing-or-misnamed",
    )
