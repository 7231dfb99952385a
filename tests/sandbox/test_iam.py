"""What roles permit, against IAM's rules."""

import json
from collections.abc import Iterator

import pytest
from moto.iam.models import IAMBackend, iam_backends

from hokusai_probe.sandbox import roles
from hokusai_probe.sandbox.iam import allows, assumable, permits, refusal
from hokusai_probe.sandbox.identity import Identity

ACCOUNT = "210987654321"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:hokusai/app-AbCdEf"
GET = "secretsmanager:GetSecretValue"


def _statement(**more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": GET, "Resource": "*", **more}


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ([], False),
        ([_statement()], True),
        ([_statement(Action="SECRETSMANAGER:getsecretvalue")], True),
        ([_statement(Action=["s3:*", "secretsmanager:Get*"])], True),
        ([_statement(Action="secretsmanager:GetSecretValu?")], True),
        ([_statement(Action="secretsmanager:Get")], False),
        ([_statement(Resource="arn:aws:secretsmanager:*:*:secret:hokusai/*")], True),
        ([_statement(Resource="arn:aws:secretsmanager:*:*:secret:HOKUSAI/*")], False),
        ([_statement(Resource=["arn:aws:s3:::x", f"{SECRET[:-6]}??????"])], True),
        ([_statement(), _statement(Effect="Deny")], False),
        ([_statement(), _statement(Effect="Deny", Resource="arn:aws:s3:::x")], True),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "secretsmanager:*", "Resource": "*"}], False),
        ([_statement(), {"Effect": "Deny", "Action": "*", "NotResource": SECRET}], True),
        ([_statement(), {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::x"}], False),
        ([_statement(Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})], False),
        ([_statement(Condition={"StringNotEquals": {"aws:SourceVpc": "vpc-1"}})], True),
        ([_statement(Condition={"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}})], True),
        ([_statement(Condition={"Null": {"aws:SourceVpc": "true"}})], True),
        ([_statement(), _statement(Effect="Deny", Condition={"Bool": {"aws:Secure": "false"}})], True),
    ],
)  # fmt: skip
def test_a_policy_allows_what_iam_would(policy: list[dict[str, object]], allowed: bool) -> None:
    """Implicit deny, explicit deny, wildcards, case, the Not elements, and conditions nobody fulfils."""
    assert allows(policy, GET, SECRET) is allowed


@pytest.fixture
def iam() -> Iterator[IAMBackend]:
    """IAM of an account of its own."""
    backend = iam_backends[ACCOUNT]["aws"]
    yield backend
    backend.reset()


def _document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _role(iam: IAMBackend, trusted: str = "ecs-tasks.amazonaws.com", boundary: str | None = None) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": [trusted]}, "Action": "sts:AssumeRole"}
    return str(iam.create_role("reader", _document(trust), "/", boundary, "", [], "3600").arn)


def test_inline_and_attached_policies_count_together(iam: IAMBackend) -> None:
    """An attached policy allows, an inline one denies: denied, and IAM's message says why."""
    role = _role(iam)
    assert not permits(ACCOUNT, role, GET, SECRET)
    assert refusal(ACCOUNT, role, GET, SECRET) == f"because no identity-based policy allows the {GET} action"
    policy = iam.create_policy("", "/", _document(_statement()), "read", [])
    iam.attach_role_policy(policy.arn, "reader")
    assert permits(ACCOUNT, role, GET, SECRET)
    assert permits(ACCOUNT, "reader", GET, SECRET)
    iam.put_role_policy("reader", "no", _document(_statement(Effect="Deny")))
    assert not permits(ACCOUNT, role, GET, SECRET)
    assert refusal(ACCOUNT, role, GET, SECRET) == "with an explicit deny in an identity-based policy"


def test_a_boundary_limits_what_policies_allow(iam: IAMBackend) -> None:
    """Both have to allow."""
    boundary = iam.create_policy("", "/", _document(_statement(Action="s3:*")), "boundary", [])
    role = _role(iam, boundary=boundary.arn)
    iam.put_role_policy("reader", "all", _document(_statement(Action="*")))
    assert permits(ACCOUNT, role, "s3:GetObject", "arn:aws:s3:::x/y")
    assert not permits(ACCOUNT, role, GET, SECRET)


def test_a_role_that_is_not_there_permits_nothing(iam: IAMBackend) -> None:
    """Neither can it be assumed."""
    missing = roles.role_arn(ACCOUNT, "missing")
    assert not permits(ACCOUNT, missing, GET, SECRET)
    assert not assumable(ACCOUNT, missing)
    assert list(iam.roles) == []


@pytest.mark.parametrize(
    ("trusted", "can"), [("ecs-tasks.amazonaws.com", True), ("ec2.amazonaws.com", False)]
)
def test_ecs_assumes_roles_that_trust_it(iam: IAMBackend, trusted: str, can: bool) -> None:
    """The trust policy decides, not what the role may do."""
    assert assumable(ACCOUNT, _role(iam, trusted)) is can


def test_the_roles_of_the_platform() -> None:
    """The execution role reads what a start needs and nothing else; the task role works on the buckets."""
    identity = Identity.of(5)
    made = roles.create(identity)
    account = identity.account
    secret = f"arn:aws:secretsmanager:us-east-1:{account}:secret:hokusai/app-secrets/x-AbCdEf"
    stream = f"arn:aws:logs:us-east-1:{account}:log-group:/ecs/hokusai-api-x:log-stream:ecs/c/t"
    asked = {
        GET: secret,
        "ssm:GetParameters": f"arn:aws:ssm:us-east-1:{account}:parameter/hokusai/x/redis/port",
        "logs:CreateLogStream": stream,
        "ecr:GetAuthorizationToken": "*",
        "ecr:BatchGetImage": f"arn:aws:ecr:us-east-1:{account}:repository/hokusai-api",
    }
    assert all(permits(account, made.execution, action, arn) for action, arn in asked.items())
    assert not any(permits(account, made.task, action, arn) for action, arn in asked.items())
    assert permits(account, made.task, "s3:PutObject", "arn:aws:s3:::hokusai-mlflow-artifacts-x/a/b")
    assert not permits(account, made.execution, "s3:PutObject", "arn:aws:s3:::hokusai-mlflow-artifacts-x/a")
    assert made.names == {
        "role.execution": identity.named("ecs-execution"),
        "role.task": identity.named("ecs-task"),
    }
