"""The AWS door against an in-process control plane on the loopback."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import boto3
import pytest
from _servers import black_hole, free_port, http, says, serving
from botocore.config import Config

from hokusai_probe.aws import AwsAnswer, AwsDoor, AwsFailure
from hokusai_probe.model import AwsTarget
from hokusai_probe.redact import Redactor

pytestmark = pytest.mark.xdist_group("aws")

REGION = "us-east-1"
OFF = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
KEYS = {**OFF, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
Use = Callable[[AwsDoor], Awaitable[AwsAnswer]]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A moto server; stopped when the module is done."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for service, method in (("sts", "get_caller_identity"), ("ecs", "list_clusters")):
        getattr(_direct(f"http://{host}:{port}", service), method)()  # moto loads a service when first asked
    yield f"http://{host}:{port}"
    server.stop()


def _direct(endpoint: str, service: str) -> Any:
    """A client with which a test prepares the control plane."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(inject_host_prefix=False, proxies={}),
    )


def _through(
    endpoint: str | None, use: Use, environment: dict[str, str] | None = None, **target: Any
) -> AwsAnswer:
    aws = AwsTarget(region=REGION, endpoint_url=endpoint, **target)

    async def run() -> AwsAnswer:
        given = KEYS if environment is None else environment
        async with AwsDoor(aws, Redactor(["testing-secret"]), given, connect_s=0.4, read_s=10) as door:
            return await use(door)

    return asyncio.run(run())


async def _identity(door: AwsDoor) -> AwsAnswer:
    return await door.call("sts", "get_caller_identity")


async def _clusters(door: AwsDoor) -> AwsAnswer:
    return await door.call("ecs", "describe_clusters", clusters=["a"])


def test_a_call_gives_the_parsed_response(endpoint: str) -> None:
    """The data can be read and not changed, and is in no dump."""
    answer = _through(endpoint, _identity)
    assert answer.failure is None
    assert answer.data["Account"] == "123456789012"
    assert answer.model_dump() == {
        "service": "sts",
        "method": "get_caller_identity",
        "failure": None,
        "truncated": False,
    }
    with pytest.raises(TypeError):
        answer.data["Account"] = "x"  # type: ignore[index]


def test_calls_run_at_once_and_are_counted(endpoint: str) -> None:
    """Clients are made once per service, from any thread."""

    async def use(door: AwsDoor) -> AwsAnswer:
        answers = await asyncio.gather(
            *(_identity(door) for _ in range(6)), *(_clusters(door) for _ in range(6))
        )
        assert [a.failure for a in answers] == [None] * 12
        assert door.calls == 12
        return answers[0]

    _through(endpoint, use)


def _paged(pages: int) -> tuple[list[str], bool, int]:
    """What is read of a listing of so many pages, whether it was cut, and the calls that it took."""
    sent = 0

    async def page(writer: asyncio.StreamWriter, _: bytes) -> None:
        nonlocal sent
        sent += 1
        body = {"clusterArns": [f"c{sent}"], **({"nextToken": f"t{sent}"} if sent < pages else {})}
        writer.write(http(body=json.dumps(body).encode(), content_type="application/x-amz-json-1.1"))

    async def run() -> tuple[list[str], bool, int]:
        async with serving(page) as server:
            target = AwsTarget(region=REGION, endpoint_url=f"http://127.0.0.1:{server.port}")
            async with AwsDoor(target, Redactor(), KEYS) as door:
                answer = await door.pages("ecs", "list_clusters", "clusterArns")
                return answer.data["clusterArns"], answer.truncated, door.calls

    return asyncio.run(run())


def test_all_pages_are_read() -> None:
    """Every page's items in one list."""
    assert _paged(3) == (["c1", "c2", "c3"], False, 3)
    assert _paged(20) == ([f"c{i}" for i in range(1, 21)], False, 20)


def test_pages_are_bounded() -> None:
    """A listing that does not end is cut, and says so."""
    assert _paged(1000)[:2] == ([f"c{i}" for i in range(1, 21)], True)


def test_a_method_without_pages_is_one_page(endpoint: str) -> None:
    """A look need not know which calls AWS pages."""
    _direct(endpoint, "ecs").create_cluster(clusterName="c1")
    answer = _through(
        endpoint, lambda door: door.pages("ecs", "describe_clusters", "clusters", clusters=["c1"])
    )
    assert [c["clusterName"] for c in answer.data["clusters"]] == ["c1"]


def test_what_does_not_exist_is_not_found(endpoint: str) -> None:
    """Each service says it in its own words."""

    async def use(door: AwsDoor) -> AwsAnswer:
        found = [
            await door.call("elbv2", "describe_load_balancers", Names=["absent"]),
            await door.call("rds", "describe_db_instances", DBInstanceIdentifier="absent"),
            await door.call("s3", "head_bucket", Bucket="absent-bucket"),
            await door.call("ecs", "describe_task_definition", taskDefinition="absent"),
            await door.call("logs", "filter_log_events", logGroupName="absent"),
            await door.call("servicediscovery", "get_namespace", Id="absent"),
        ]
        assert [a.failure.kind if a.failure else None for a in found] == ["not-found"] * 6
        return found[0]

    answer = _through(endpoint, use)
    assert answer.failure is not None
    assert answer.failure.code == "LoadBalancerNotFound"


def test_environments_keep_addresses_only(endpoint: str) -> None:
    """Names stay, for the names alone tell what is set; of values only addresses, without user-info."""
    variables = {
        "MLFLOW_SERVER_URL": "http://user:pw@mlflow.local:5000/mlflow?token=x#y",
        "DB_HOST": "db.local",
        "DB_PORT": "5432",
        "AUTH_SERVICE_ID": "platform",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*.example,10.*:5000",
        "DATABASE_URL": "postgresql://u:p@db:5432/mlflow",
        "API_KEY": "hk_test_1234567890",
        "SLACK_WEBHOOK_URL": "https://hooks.example/T0/B0/secret",
        "SECRET_KEY": "x",
        "DEBUG": "true",
        "ODD_URL": "not an address, but a sentence",
    }
    client = _direct(endpoint, "ecs")
    container = {
        "name": "main",
        "image": "i",
        "memory": 64,
        "environment": [{"name": n, "value": v} for n, v in variables.items()],
    }
    client.register_task_definition(family="f", containerDefinitions=[container])
    answer = _through(endpoint, lambda door: door.call("ecs", "describe_task_definition", taskDefinition="f"))
    environment = answer.data["taskDefinition"]["containerDefinitions"][0]["environment"]
    assert sorted(v["name"] for v in environment) == sorted(variables)
    assert {v["name"]: v["value"] for v in environment if "value" in v} == {
        "MLFLOW_SERVER_URL": "http://mlflow.local:5000/mlflow",
        "DB_HOST": "db.local",
        "DB_PORT": "5432",
        "AUTH_SERVICE_ID": "platform",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*.example,10.*:5000",
        "DATABASE_URL": "postgresql://db:5432/mlflow",
    }


@pytest.mark.parametrize(
    "method",
    [
        "create_cluster", "delete_bucket", "update_service", "put_object", "assume_role", "run_task",
        "get_secret_value", "get_parameter", "get_parameters", "get_parameters_by_path", "get_object",
        "get_object_attributes", "get_authorization_token", "get_session_token", "get_password_data",
        "batch_get_secret_value", "get_credentials_for_identity", "execute_command", "Describe_x",
        "__class__",
    ],
)  # fmt: skip
def test_only_reading_methods_are_called(method: str) -> None:
    """Whatever a look asks for, nothing is changed and no secret is read; nothing is even connected to."""
    with pytest.raises(ValueError, match="only reads"):
        _through("http://127.0.0.1:9", lambda door: door.call("ecs", method))


def test_missing_credentials() -> None:
    """Nothing in the environment that was given: said so, whatever this process's own environment holds."""
    answer = _through(f"http://127.0.0.1:{free_port()}", _identity, OFF)
    assert answer.failure == AwsFailure(
        kind="credentials-missing", code="NoCredentialsError", detail="Unable to locate credentials"
    )


def test_this_processs_environment_is_not_read(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, profiles and endpoints of the person who runs us do not reach a target that was given others."""
    strange = {
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "mine",
        "AWS_PROFILE": "absent",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_CONFIG_FILE": "/nonexistent",
    }
    for name, value in strange.items():
        monkeypatch.setenv(name, value)
    assert _through(endpoint, _identity).failure is None
    missing = _through(endpoint, _identity, OFF).failure
    assert missing is not None
    assert missing.kind == "credentials-missing"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "mine"


def test_a_profile_that_does_not_exist() -> None:
    """The target names a profile that the machine does not have."""
    failure = _through("http://127.0.0.1:9", _identity, profile="absent").failure
    assert failure is not None
    assert (failure.kind, failure.code) == ("credentials-missing", "ProfileNotFound")


def test_a_profile_of_the_environments_home(endpoint: str, tmp_path: Any) -> None:
    """Profiles are looked for in the home of the environment that was given."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[p]\naws_access_key_id = a\naws_secret_access_key = b\n")
    home = {**OFF, "HOME": str(tmp_path)}
    assert _through(endpoint, _identity, home, profile="p").failure is None


def test_a_role_is_assumed(endpoint: str) -> None:
    """Calls are made as the role that the target names."""
    answer = _through(endpoint, _identity, role_arn="arn:aws:iam::123456789012:role/probe")
    assert answer.failure is None
    assert answer.data["Arn"].endswith("assumed-role/probe/hokusai-probe")


def test_a_role_without_credentials() -> None:
    """No source credentials: the role cannot be assumed, and that is what is said."""
    failure = _through("http://127.0.0.1:9", _identity, OFF, role_arn="arn:aws:iam::1:role/x").failure
    assert failure is not None
    assert failure.kind == "credentials-missing"


def test_refused_connection() -> None:
    """Nobody listens at the endpoint."""
    failure = _through(f"http://127.0.0.1:{free_port()}", _identity).failure
    assert failure is not None
    assert (failure.kind, failure.code) == ("unreachable", "EndpointConnectionError")


def test_a_black_hole_costs_one_timeout() -> None:
    """The second call to a service that did not accept is not sent."""
    with black_hole() as port:

        async def use(door: AwsDoor) -> AwsAnswer:
            loop = asyncio.get_running_loop()
            await _identity(door)
            started = loop.time()
            answer = await _identity(door)
            assert loop.time() - started < 0.2
            return answer

        failure = _through(f"http://127.0.0.1:{port}", use).failure
    assert failure is not None
    assert (failure.kind, failure.code) == ("timeout", "ConnectTimeoutError")


def _error(code: str, message: str = "m", status: str = "400 Bad Request") -> bytes:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return http(status, body.encode(), content_type="text/xml")


@pytest.mark.parametrize(
    ("code", "kind", "times"),
    [
        ("AccessDenied", "denied", 1),
        ("UnauthorizedOperation", "denied", 1),
        ("InvalidClientTokenId", "credentials-refused", 1),
        ("ExpiredToken", "credentials-refused", 1),
        ("SignatureDoesNotMatch", "credentials-refused", 1),
        ("Throttling", "throttled", 2),
        ("InternalFailure", "error", 2),
        ("ValidationError", "error", 1),
    ],
)
def test_refusals_are_told_apart(code: str, kind: str, times: int) -> None:
    """By AWS's code; only what passes by itself is tried again, once. A secret in a message is redacted."""

    async def run() -> tuple[AwsFailure | None, int]:
        async with serving(says(_error(code, "key testing-secret"))) as server:
            target = AwsTarget(region=REGION, endpoint_url=f"http://127.0.0.1:{server.port}")
            async with AwsDoor(target, Redactor(["testing-secret"]), KEYS) as door:
                answer = await _identity(door)
                return answer.failure, len(server.heads)

    failure, heads = asyncio.run(run())
    assert failure == AwsFailure(kind=kind, code=code, detail="key [redacted]")
    assert heads == times


def test_silence_is_a_timeout() -> None:
    """Accepted and never answered."""

    async def run() -> AwsFailure | None:
        async with serving(says(b"")) as server:
            target = AwsTarget(region=REGION, endpoint_url=f"http://127.0.0.1:{server.port}")
            async with AwsDoor(target, Redactor(), KEYS, read_s=0.3) as door:
                return (await _identity(door)).failure

    failure = asyncio.run(run())
    assert failure is not None
    assert (failure.kind, failure.code) == ("timeout", "ReadTimeoutError")
