"""An execution role that may not do what a task needs at its start."""

import json
import re
from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._tasks import (
    CONSEQUENCES,
    PARAMETER,
    SECRET,
    Seen,
    cases,
    refused,
    refused_and_missing,
    stopped_tasks,
)
from hokusai_probe.causes._words import one_line, readiness, ready, update_service, wait_for, word
from hokusai_probe.declare import Case, cause
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
    secret_arn,
)
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

_NO_NARROWER = re.compile("ecr:GetAuthorizationToken|logs:")
_TOGETHER = (
    (
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchGetImage",
    ),
    ("logs:CreateLogStream", "logs:PutLogEvents"),
)


@cause(
    component="ecs",
    priority="critical",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "secret-missing-or-misnamed": "there the stopped reason says ResourceNotFound, not AccessDenied",
        "parameter-missing": "there it says invalid ssm parameters",
        "image-cannot-be-pulled": "there the image is not found",
    },
    source="INC-36; AWS: Resolve Amazon ECS ResourceInitializationError errors; task execution IAM role",
)
def execution_role_lacks_permission(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    definitions: TaskDefinitionsFacts | None,
    stores: SecretsAndParametersFacts | None,
) -> Iterator[Case]:
    """The execution role lacks a permission that ECS needs before it can start the container.

    ``ResourceInitializationError: unable to pull secrets or registry auth ... AccessDeniedException: User ...
    assumed-role/... is not authorized to perform: secretsmanager:GetSecretValue`` (or ssm:GetParameters,
    logs:CreateLogStream, kms:Decrypt); for the image ``CannotPullContainerError ... 403 Forbidden``. There
    is no log stream: nothing ever ran. It is the execution role, not the task role.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    for case in cases(
        seen,
        "execution role may not do what the task needs before it starts",
        "denied",
        remedy=lambda service, task: _remedy(seen, definitions, service, task),
    ):
        missing = refused_and_missing(seen.newest(case.subject)[1], stores)
        yield _not_telling(case) if missing else case


def _not_telling(case: Case) -> Case:
    """What does not exist is refused as well where the policy names what it allows."""
    open_ = case.claims[-1].model_copy(update={"holds": None, "telling": False})
    return case.model_copy(update={"claims": (*case.claims[:-1], open_)})


def _remedy(
    seen: Seen, definitions: TaskDefinitionsFacts | None, service: str, task: StoppedTask | None
) -> Remedy:
    one = definitions.of(service) if definitions else None
    role = word(_name(one), "EXECUTION_ROLE")
    allow = _allowed(task, one)
    deploy = update_service(seen.ecs, service, "--force-new-deployment")
    put = (
        f"aws iam put-role-policy --role-name {role} --policy-name ecs-task-start "
        f"--policy-document {quote(json.dumps({'Version': '2012-10-17', 'Statement': allow}))}"
    )
    return Remedy(
        kind=readiness(put, deploy) if allow and not _too_wide(allow) else "needs-value",
        summary="Give the execution role what it was refused, and deploy again. Narrow the policy to what "
        "the task definition names; a secret under a key of its own needs kms:Decrypt as well.",
        before=(stopped_tasks(seen.ecs, service), one_line(f"aws iam list-role-policies --role-name {role}")),
        aws_cli=ready(*((put,) if allow else ()), deploy),
        terraform='# resource "aws_iam_role_policy" of the execution role\n',
        after=(wait_for(seen.ecs, service),),
        rollback=one_line(f"aws iam delete-role-policy --role-name {role} --policy-name ecs-task-start"),
        also_touches="Every service whose tasks start with this role.",
        verify="hokusai-probe verify execution-role-lacks-permission",
    )


def _name(one: TaskDefinition | None) -> str | None:
    return one.execution_role.rpartition("/")[2] if one and one.execution_role else None


def _allowed(task: StoppedTask | None, one: TaskDefinition | None) -> list[dict[str, object]]:
    """The statement that allows what was refused, as far as the stopped reason says what that is.

    ECS asks for one thing after another: what a task mostly needs next to it is allowed along with it.
    """
    said = f"{task.reason} {task.container_reason}" if task else ""
    denied = refused(task)
    action = denied[0] if denied else "ecr:BatchGetImage" if "CannotPull" in said else ""
    resource = denied[1] if denied and not action.startswith("ecr:") else "*"
    if not action:
        return []
    actions = next((kind for kind in _TOGETHER if action in kind), (action,))
    return [{"Effect": "Allow", "Action": list(actions), "Resource": _of_its_kind(resource, one)}]


def _too_wide(allow: list[dict[str, object]]) -> bool:
    """A person narrows what would allow all of a kind; ECR's login and a group's streams have no names."""
    return any("*" in str(s["Resource"]) and not _NO_NARROWER.search(str(s["Action"])) for s in allow)


def _of_its_kind(resource: str, one: TaskDefinition | None) -> str | list[str]:
    """What was refused, and what else of its kind the task definition names; the streams of a log group."""
    refs = one.secret_refs.values() if one else ()
    if SECRET in resource:
        return _one_or_more(resource, *(secret_arn(r) for r in refs if is_secret(r)))
    if PARAMETER in resource:
        prefix = resource.partition(PARAMETER)[0] + PARAMETER
        names = (parameter_name(r).lstrip("/") for r in refs if not is_secret(r))
        return _one_or_more(resource, *(prefix + name for name in names))
    group, stream, _ = resource.partition(":log-stream:")
    return f"{group}:*" if stream else resource


def _one_or_more(*resources: str) -> str | list[str]:
    found = list(dict.fromkeys(resources))
    return found[0] if len(found) == 1 else found
