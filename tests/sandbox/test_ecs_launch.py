"""What keeps a container from being started, in the words of AWS."""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.ecs.models import TaskDefinition
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends

from hokusai_probe.sandbox import image_registry, roles
from hokusai_probe.sandbox.ecs_launch import (
    CannotAssumeRoleError,
    CannotStartError,
    Launch,
    check_roles,
    prepare,
)
from hokusai_probe.sandbox.identity import REGION, Identity

IDENTITY = Identity.of(31)
ACCOUNT = IDENTITY.account
ROLES = roles.Roles(
    roles.role_arn(ACCOUNT, IDENTITY.named("ecs-execution")),
    roles.role_arn(ACCOUNT, IDENTITY.named("ecs-task")),
)
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/{IDENTITY.named('ecs-execution')}/t1"
GOOD = IDENTITY.image("gateway", "good")
GROUP = "/ecs/hokusai-api-x"
PARAMETER = "/hokusai/x/redis/port"

ASM = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
    "failed: unable to retrieve secret from asm: service call has been retried 1 time(s): "
)
SSM = ASM.replace("secret from asm", "secrets from ssm")
LOGGER = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
    "failed to create Cloudwatch log stream: "
)
PULL = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
REQUEST = " status code: 400, request id: R"


@pytest.fixture
def secret() -> Iterator[str]:
    """An account with the platform's roles, images, a log group, a parameter and this secret."""
    with mock_aws():
        roles.create(IDENTITY)
        image_registry.create(IDENTITY)
        logs_backends[ACCOUNT][REGION].create_log_group(GROUP, {})
        _client("ssm").put_parameter(Name=PARAMETER, Value="6379", Type="String")
        content = json.dumps({"password": "sandbox", "port": 5432})
        made = _client("secretsmanager").create_secret(Name="hokusai/app-secrets/x", SecretString=content)
        yield made["ARN"]


@functools.cache
def _client(service: str) -> Any:
    return boto3.client(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)


def _revision(image: str = GOOD, role: str = ROLES.execution, **secrets: str) -> TaskDefinition:
    options = {"awslogs-group": GROUP, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
    container = {
        "name": "hokusai-api",
        "image": image,
        "secrets": [{"name": name, "valueFrom": value} for name, value in secrets.items()],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    return TaskDefinition(
        "api", 1, [container], ACCOUNT, REGION, execution_role_arn=role, task_role_arn=ROLES.task
    )


def _prepare(revision: TaskDefinition) -> Launch:
    return prepare(ACCOUNT, revision, IDENTITY.images(), "t1")


def _refusal(revision: TaskDefinition) -> str:
    with pytest.raises(CannotStartError) as caught:
        _prepare(revision)
    return re.sub(r"request id: [0-9a-f-]{36}", "request id: R", str(caught.value))


def _take_away(policy: str) -> None:
    iam_backends[ACCOUNT]["aws"].delete_role_policy(IDENTITY.named("ecs-execution"), policy)


def _denied(action: str, resource: str) -> str:
    return (
        f"AccessDeniedException: User: {SESSION} is not authorized to perform: {action} on resource: "
        f"{resource} because no identity-based policy allows the {action} action{REQUEST}"
    )


def test_secrets_and_parameters_are_resolved(secret: str) -> None:
    """A whole secret, a key of its JSON, a key of a stage, a value that is no text, a parameter, its ARN."""
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{PARAMETER}"
    launch = _prepare(
        _revision(
            WHOLE=secret,
            KEY=f"{secret}:password::",
            SHORT=f"{secret[:-7]}:password::",
            STAGE=f"{secret}:password:AWSCURRENT:",
            NUMBER=f"{secret}:port::",
            PARAMETER=PARAMETER,
            ARN=arn,
        )
    )
    assert launch.secrets == {
        "WHOLE": '{"password": "sandbox", "port": 5432}',
        "KEY": "sandbox",
        "SHORT": "sandbox",
        "STAGE": "sandbox",
        "NUMBER": "5432",
        "PARAMETER": "6379",
        "ARN": "6379",
    }
    assert launch.image.kind == "good"


def test_a_secret_that_is_not_there_or_lacks_the_key(secret: str) -> None:
    """Never the value of anything; the name of what is missing."""
    missing = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:hokusai/auth-RANDOM"
    fetch = f"failed to fetch secret {missing} from secrets manager: "
    not_found = "ResourceNotFoundException: Secrets Manager can't find the specified secret."
    assert _refusal(_revision(X=missing)) == f"{ASM}{fetch}{not_found}{REQUEST}"
    assert _refusal(_revision(X=f"{secret}:nothing::")) == (
        f"{ASM}retrieved secret from Secrets Manager did not contain json key nothing"
    )
    stage = f"failed to fetch secret {secret} from secrets manager: "
    assert _refusal(_revision(X=f"{secret}:password:AWSPENDING:")) == f"{ASM}{stage}{not_found}{REQUEST}"


def test_a_secret_that_is_scheduled_for_deletion(secret: str) -> None:
    """It is there, and cannot be read."""
    _client("secretsmanager").delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    assert _refusal(_revision(X=f"{secret}:password::")) == (
        f"{ASM}failed to fetch secret {secret} from secrets manager: InvalidRequestException: You can't "
        f"perform this operation on the secret because it was marked for deletion.{REQUEST}"
    )


def test_a_role_that_may_not_read_a_secret(secret: str) -> None:
    """IAM's message, with the session as which ECS asked; an explicit deny reads differently."""
    _take_away("secrets")
    denied = _denied("secretsmanager:GetSecretValue", secret)
    assert _refusal(_revision(X=f"{secret}:password::")) == (
        f"{ASM}failed to fetch secret {secret} from secrets manager: {denied}"
    )
    deny = {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}
    iam_backends[ACCOUNT]["aws"].put_role_policy(
        IDENTITY.named("ecs-execution"), "no", json.dumps({"Version": "2012-10-17", "Statement": deny})
    )
    assert _refusal(_revision(X=secret)).endswith(
        f"on resource: {secret} with an explicit deny in an identity-based policy{REQUEST}"
    )


def test_parameters(secret: str) -> None:
    """One that is not there; one that the role may not read."""
    assert secret
    assert _refusal(_revision(X="/hokusai/x/nothing")) == f"{SSM}invalid ssm parameters: /hokusai/x/nothing"
    _client("ssm").put_parameter(Name="plain", Value="text", Type="String")
    plain = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/plain"
    assert _prepare(_revision(X=plain, Y="plain")).secrets == {"X": "text", "Y": "text"}
    _take_away("parameters")
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{PARAMETER}"
    assert _refusal(_revision(X=PARAMETER)) == f"{SSM}{_denied('ssm:GetParameters', arn)}"


def test_the_log_stream(secret: str) -> None:
    """A group that is not there; one in which the role may not make a stream."""
    assert secret
    logs_backends[ACCOUNT][REGION].delete_log_group(GROUP)
    assert _refusal(_revision()) == (
        f"{LOGGER}ResourceNotFoundException: The specified log group does not exist. : exit status 1"
    )
    _take_away("logs")
    stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:log-stream:ecs/hokusai-api/t1"
    assert _refusal(_revision()) == f"{LOGGER}{_denied('logs:CreateLogStream', stream)} : exit status 1"


def test_images(secret: str) -> None:
    """One that was never pushed; one that the role may not pull; a registry that gives no token."""
    assert secret
    missing = IDENTITY.image("gateway", "missing")
    assert _refusal(_revision(missing)) == f"{PULL}{missing}: {missing}: not found"
    assert _refusal(_revision("docker.io/a/b:1")) == f"{PULL}docker.io/a/b:1: docker.io/a/b:1: not found"
    iam, name = iam_backends[ACCOUNT]["aws"], IDENTITY.named("ecs-execution")
    token = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    iam.put_role_policy(name, "images", json.dumps({"Version": "2012-10-17", "Statement": [token]}))
    registry, _, path = GOOD.partition("/")
    head = f"https://{registry}/v2/{path.partition(':')[0]}/manifests/{path.partition(':')[2]}"
    assert _refusal(_revision()) == (
        f"{PULL}{GOOD}: unexpected status from HEAD request to {head}: 403 Forbidden"
    )
    _take_away("images")
    assert _refusal(_revision()) == (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
        "failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): "
        f"{_denied('ecr:GetAuthorizationToken', '*')}"
    )


def test_roles_must_trust_ecs(secret: str) -> None:
    """A role that is not there, and one for somebody else, make no task; no role at all is no matter."""
    assert secret
    check_roles(ACCOUNT, _revision())
    missing = roles.role_arn(ACCOUNT, "missing")
    with pytest.raises(
        CannotAssumeRoleError, match=f"unable to assume the role '{missing}' that was provided"
    ):
        check_roles(ACCOUNT, _revision(role=missing))
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam_backends[ACCOUNT]["aws"].update_assume_role_policy(
        IDENTITY.named("ecs-task"), json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    with pytest.raises(CannotAssumeRoleError):
        check_roles(ACCOUNT, _revision())
    check_roles(ACCOUNT, TaskDefinition("api", 1, [{}], ACCOUNT, REGION))
