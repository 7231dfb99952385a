"""What must hold before ECS starts a container: role, secrets, log group, image. In the words of AWS.

The order is Fargate's: credentials of the execution role, registry token and secrets, log driver, image. The
sentences are those that DescribeTasks gives as ``stoppedReason``. Sources: the ECS developer guide, "Resolve
Amazon ECS ResourceInitializationError errors" and "CannotPullContainer task errors in Amazon ECS", re:Post
"How do I troubleshoot issues related to Secrets Manager secrets in Amazon ECS", and messages as users quote
them (aws/containers-roadmap 2493, aws/copilot-cli 4504 and 5752). Left out: the task's own way to those
services (subnet routes, endpoints, egress rules).
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.ecs.models import TaskDefinition
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from hokusai_probe.sandbox import iam, image_registry, log_shipping
from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.image_registry import Found

_RESOURCES = "ResourceInitializationError: unable to pull secrets or registry auth: "
_RETRIEVAL = f"{_RESOURCES}execution resource retrieval failed: "
_RETRIED = "service call has been retried 1 time(s): "
_LOGGER = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
    "failed to create Cloudwatch log stream: "
)
_MARKED = "You can't perform this operation on the secret because it was marked for deletion."


class CannotStartError(Exception):
    """ECS would not start this task; the text is its stopped reason."""


class CannotAssumeRoleError(Exception):
    """ECS does not even make a task, because it cannot assume a role; the text is the service event's."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What a task is started with."""

    image: Found
    secrets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Caller:
    """The execution role's session, as which ECS asks."""

    account: str
    role: str
    task_id: str

    def refusal(self, action: str, resource: str) -> str:
        """IAM's message when the role may not do this, "" when it may."""
        if iam.permits(self.account, self.role, action, resource):
            return ""
        session = f"arn:aws:sts::{self.account}:assumed-role/{self.role.rpartition('/')[2]}/{self.task_id}"
        why = iam.refusal(self.account, self.role, action, resource)
        said = f"User: {session} is not authorized to perform: {action} on resource: {resource} {why}"
        return f"AccessDeniedException: {said}{_request()}"


def check_roles(account: str, revision: TaskDefinition) -> None:
    """Raise unless ECS can assume the roles of a revision.

    Raises:
        CannotAssumeRoleError: A role is not there, or does not trust ECS tasks.

    """
    for role in (getattr(revision, "execution_role_arn", ""), getattr(revision, "task_role_arn", "")):
        if role and not iam.assumable(account, role):
            sentence = (
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify "
                "that the role being passed has the proper trust relationship and permissions and that your "
                "IAM user has permissions to pass this role."
            )
            raise CannotAssumeRoleError(sentence)


def prepare(account: str, revision: TaskDefinition, images: Mapping[str, str], task_id: str) -> Launch:
    """Everything that a task of this revision is started with.

    Args:
        account: The AWS account.
        revision: The task definition.
        images: What kind of image each URI of the platform is.
        task_id: The id of the task, which names the role's session and the log stream.

    Raises:
        CannotStartError: Something is missing or refused.

    """
    caller = _Caller(account, getattr(revision, "execution_role_arn", ""), task_id)
    container: Mapping[str, Any] = revision.container_definitions[0]
    in_ecr = image_registry.repository_arn(container["image"])
    if in_ecr and (said := caller.refusal("ecr:GetAuthorizationToken", "*")):
        sentence = f"{_RETRIEVAL}unable to retrieve ecr registry auth: {_RETRIED}{said}"
        raise CannotStartError(sentence)
    secrets = {entry["name"]: _value(caller, entry["valueFrom"]) for entry in container.get("secrets", [])}
    _check_logger(caller, container)
    return Launch(_image(caller, container["image"], images), secrets)


def _value(caller: _Caller, value_from: str) -> str:
    return _secret(caller, value_from) if ":secretsmanager:" in value_from else _parameter(caller, value_from)


def _secret(caller: _Caller, value_from: str) -> str:
    """A secret's value, or one key of its JSON: ``arn:key:stage:version``, the last three optional."""
    parts = value_from.split(":")
    arn, (key, stage, version) = ":".join(parts[:7]), (*parts[7:10], "", "", "")[:3]
    text = _secret_text(caller, arn, stage or "AWSCURRENT", version)
    if not key:
        return text
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or key not in content:
        sentence = f"retrieved secret from Secrets Manager did not contain json key {key}"
        raise CannotStartError(_no_secret(sentence))
    value = content[key]
    return value if isinstance(value, str) else json.dumps(value)


def _secret_text(caller: _Caller, arn: str, stage: str, version: str) -> str:
    failed = f"failed to fetch secret {arn} from secrets manager: "
    if said := caller.refusal("secretsmanager:GetSecretValue", arn):
        raise CannotStartError(_no_secret(failed + said))
    found = _stored_secret(caller.account, arn)
    versions = found.versions.values() if found is not None else ()
    value = next((one for one in versions if _is_version(one, stage, version)), None)
    if found is None or value is None:
        sentence = "ResourceNotFoundException: Secrets Manager can't find the specified secret."
        raise CannotStartError(_no_secret(f"{failed}{sentence}{_request()}"))
    if found.deleted_date is not None:
        raise CannotStartError(_no_secret(f"{failed}InvalidRequestException: {_MARKED}{_request()}"))
    return str(value.get("secret_string", ""))


def _stored_secret(account: str, arn: str) -> Any:
    """A secret by its ARN; the six characters that Secrets Manager adds may be left out, as on AWS."""
    stored = list(secretsmanager_backends[account][REGION].secrets.values())
    return next((one for one in stored if arn in (one.arn, one.arn[:-7])), None)


def _is_version(value: Mapping[str, Any], stage: str, version: str) -> bool:
    return value["version_id"] == version if version else stage in value.get("version_stages", ())


def _no_secret(why: str) -> str:
    return f"{_RETRIEVAL}unable to retrieve secret from asm: {_RETRIED}{why}"


def _parameter(caller: _Caller, value_from: str) -> str:
    name = _parameter_name(caller, value_from)
    failed = f"{_RETRIEVAL}unable to retrieve secrets from ssm: {_RETRIED}"
    arn = f"arn:aws:ssm:{REGION}:{caller.account}:parameter/{name.removeprefix('/')}"
    if said := caller.refusal("ssm:GetParameters", arn):
        raise CannotStartError(failed + said)
    found = ssm_backends[caller.account][REGION].get_parameters([name])
    if name not in found:
        sentence = f"{failed}invalid ssm parameters: {name}"
        raise CannotStartError(sentence)
    return str(found[name].value)


def _parameter_name(caller: _Caller, value_from: str) -> str:
    """The name in ``valueFrom``, which may be an ARN; an ARN does not tell ``/name`` from ``name``."""
    arn, is_arn, name = value_from.partition(":parameter/")
    if not is_arn:
        return arn
    return name if name in ssm_backends[caller.account][REGION].get_parameters([name]) else f"/{name}"


def _check_logger(caller: _Caller, container: Mapping[str, Any]) -> None:
    stream = log_shipping.stream_of(caller.account, container, caller.task_id)
    if stream is None:
        return
    logs = f"arn:aws:logs:{stream.region}:{caller.account}:log-group:{stream.group}:log-stream:{stream.name}"
    said = caller.refusal("logs:CreateLogStream", logs)
    if not said and not log_shipping.group_exists(stream):
        said = "ResourceNotFoundException: The specified log group does not exist."
    if said:
        sentence = f"{_LOGGER}{said} : exit status 1"
        raise CannotStartError(sentence)


def _image(caller: _Caller, uri: str, images: Mapping[str, str]) -> Found:
    failed = (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
    )
    arn = image_registry.repository_arn(uri)
    if arn and caller.refusal("ecr:BatchGetImage", arn):
        registry, _, path = uri.partition("/")
        repository, _, tag = path.partition(":")
        head = f"https://{registry}/v2/{repository}/manifests/{tag or 'latest'}"
        sentence = f"{failed}{uri}: unexpected status from HEAD request to {head}: 403 Forbidden"
        raise CannotStartError(sentence)
    found = image_registry.find(images, uri)
    if found is None:
        sentence = f"{failed}{uri}: {uri}: not found"
        raise CannotStartError(sentence)
    return found


def _request() -> str:
    """What every error of an AWS API ends in."""
    return f" status code: 400, request id: {uuid.uuid4()}"
