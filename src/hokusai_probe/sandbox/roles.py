"""The two IAM roles of the platform's tasks, as the layout creates them.

``execution`` is what ECS itself uses before a container starts: pull the image, read secrets and parameters,
create the log stream. ``task`` is what the program in the container uses: the platform's buckets. Each
permission is an inline policy of its own, so that one can be taken away and put back (INC-36). They reach
over the whole account: a secret that does not exist is then not found, where a narrower policy would deny.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moto.iam.models import iam_backends

from hokusai_probe.sandbox.iam import TASKS_PRINCIPAL
from hokusai_probe.sandbox.identity import REGION, Identity


@dataclass(frozen=True, slots=True)
class Roles:
    """ARNs of the roles."""

    execution: str
    task: str

    @property
    def names(self) -> dict[str, str]:
        """What scenario files call the roles: by their names, as every call of IAM wants them."""
        return {"role.execution": _name(self.execution), "role.task": _name(self.task)}


def role_arn(account: str, name: str) -> str:
    """The ARN of a role of this name."""
    return f"arn:aws:iam::{account}:role/{name}"


def create(identity: Identity) -> Roles:
    """Create both roles, straight in the backend: a client of their own would cost a fifth of a second."""
    execution = _create(identity, "ecs-execution", _execution_policies(identity))
    task = _create(identity, "ecs-task", {"buckets": _BUCKETS})
    return Roles(execution, task)


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _create(identity: Identity, stem: str, policies: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    backend, name = iam_backends[identity.account]["aws"], identity.named(stem)
    trust = [{"Effect": "Allow", "Principal": {"Service": TASKS_PRINCIPAL}, "Action": "sts:AssumeRole"}]
    backend.create_role(name, _document(trust), "/", None, stem.replace("-", " "), [], "3600")
    for policy, statements in policies.items():
        backend.put_role_policy(name, policy, _document(statements))
    return role_arn(identity.account, name)


def _document(statements: Sequence[Mapping[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(actions: Sequence[str], resources: Sequence[str]) -> Mapping[str, object]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _execution_policies(identity: Identity) -> dict[str, Sequence[Mapping[str, object]]]:
    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{identity.account}:{resource}"

    pull = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
    streams = ("logs:CreateLogStream", "logs:PutLogEvents")
    return {
        "images": [
            _allow(["ecr:GetAuthorizationToken"], ["*"]),
            _allow(pull, [arn("ecr", "repository/*")]),
        ],
        "logs": [_allow(streams, [arn("logs", "log-group:*")])],
        "secrets": [_allow(["secretsmanager:GetSecretValue"], [arn("secretsmanager", "secret:*")])],
        "parameters": [_allow(["ssm:GetParameters"], [arn("ssm", "parameter/*")])],
    }


_BUCKETS: Sequence[Mapping[str, object]] = (
    _allow(["s3:ListBucket", "s3:GetBucketLocation"], ["arn:aws:s3:::hokusai-*"]),
    _allow(
        ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        ["arn:aws:s3:::hokusai-*/*"],
    ),
)
