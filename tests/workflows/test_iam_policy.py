"""The policy in docs/iam-policy.json allows what the code asks AWS for: no call less, and none more."""

import ast
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import Session

import hokusai_probe
from hokusai_probe.aws import _must_read

SOURCE = Path(hokusai_probe.__path__[0])
POLICY = json.loads((Path(__file__).parents[2] / "docs" / "iam-policy.json").read_text(encoding="utf-8"))
DOOR = {"call", "pages"}
# IAM's names where they are not those of the call
PREFIXES = {"cloudwatch": "cloudwatch"}
ACTIONS = {
    ("s3", "HeadBucket"): "ListBucket",
    ("s3", "ListObjectVersions"): "ListBucketVersions",
    ("s3", "GetBucketEncryption"): "GetEncryptionConfiguration",
    ("s3", "GetPublicAccessBlock"): "GetBucketPublicAccessBlock",
    ("s3", "GetBucketLifecycleConfiguration"): "GetLifecycleConfiguration",
}
NEED_NO_PERMISSION = {"sts:GetCallerIdentity"}


@cache
def aws() -> Session:
    """What botocore knows of the services."""
    return Session()


@cache
def services() -> frozenset[str]:
    """The names of AWS's services, as the door is given them."""
    return frozenset(aws().get_available_services())


def calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Service and method of every call through the AWS door in a module."""
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in DOOR:
                yield from _asked(node, function)


def _asked(node: ast.Call, function: ast.AST) -> Iterator[tuple[str, str]]:
    words = [part for one in node.args for part in (one.value.elts if _spread(one) else [one])]  # type: ignore[attr-defined]
    is_plain = bool(words) and isinstance(words[0], ast.Constant)
    assert is_plain or _is_mlflow(node), f"{ast.unparse(node)}: which service that is cannot be told"
    service = words[0].value if is_plain else None
    if service not in services():
        return
    if isinstance(words[1], ast.Constant):
        yield service, words[1].value
        return
    # the method is a variable: whatever in this function is a method of the service
    methods = {xform_name(name) for name in aws().get_service_model(service).operation_names}
    named = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant)} & methods
    assert named, f"{ast.unparse(node)}: which method that is cannot be told from its function"
    yield from ((service, name) for name in named)


def _is_mlflow(node: ast.Call) -> bool:
    """Whether it is the other door with such methods, whose first word is one of HTTP's, or a kind of it."""
    return ast.unparse(node.func).endswith(("rest.call", "super().call"))


def _spread(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred) and isinstance(node.value, ast.Tuple | ast.List)


def action(service: str, method: str) -> str:
    """The IAM action that allows a method of botocore's."""
    model = aws().get_service_model(service)
    operation = next(name for name in model.operation_names if xform_name(name) == method)
    prefix = PREFIXES.get(service, model.signing_name)
    return f"{prefix}:{ACTIONS.get((service, operation), operation)}"


@pytest.mark.parametrize("words", ['service, "list_tasks"', 'service="ecs", method="list_tasks"', "*words"])
def test_a_call_that_cannot_be_read_is_refused(words: str) -> None:
    """A service that stands elsewhere would be missing in the policy, and nobody would know."""
    with pytest.raises(AssertionError, match="which service that is cannot be told"):
        set(calls(ast.parse(f"async def f(aws, service, words):\n    await aws.call({words})")))


@cache
def asked() -> frozenset[tuple[str, str]]:
    """Every call that the package makes outside the sandbox."""
    files = (p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0] != "sandbox")
    return frozenset(one for file in files for one in calls(ast.parse(file.read_text(encoding="utf-8"))))


def actions(effect: str) -> list[str]:
    """All actions of the statements of one effect."""
    return [name for one in POLICY["Statement"] if one["Effect"] == effect for name in one["Action"]]


def test_the_policy_allows_what_the_code_asks_for() -> None:
    """Both ways: a look that asks for more must say so there, and what nobody asks for must go."""
    wanted = {action(*one) for one in asked()} - NEED_NO_PERMISSION

    assert sorted(actions("Allow")) == sorted(wanted)


def test_no_call_through_the_door_is_overlooked() -> None:
    """Every mention of a method that the door would let through, beside a service's name, was understood."""
    found = {method for _, method in asked()}
    overlooked = set()
    for file in (SOURCE / "probes").glob("*.py"):
        words = {n.value for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Constant)}
        for service in words & services():
            methods = {xform_name(n) for n in aws().get_service_model(service).operation_names}
            overlooked |= (words & methods) - found

    assert overlooked == set()
    assert len(found) > 30


def test_what_is_denied_is_not_asked_for() -> None:
    """Values of secrets, contents of objects and shells stay closed, whatever other policies allow."""
    denied = actions("Deny")

    assert [a for a in actions("Allow") for pattern in denied if fnmatch(a, pattern)] == []
    assert {"secretsmanager:GetSecretValue", "ssm:GetParameter*", "kms:Decrypt", "s3:GetObject*"} <= {*denied}


def test_every_call_only_reads() -> None:
    """The door would refuse any other before it is sent."""
    for _, method in asked():
        _must_read(method)


def test_logs_and_buckets_are_named() -> None:
    """What shows contents is allowed on named resources only; a list of names may be of everything."""
    wide: dict[str, Any] = {
        name: one["Resource"]
        for one in POLICY["Statement"]
        if one["Effect"] == "Allow" and one["Resource"] == "*"
        for name in one["Action"]
    }

    assert [a for a in wide if a.startswith(("logs:", "s3:", "ecr:"))] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('async def f(aws):\n    await aws.call("ecs", "list_tasks", cluster=1)', {("ecs", "list_tasks")}),
        ('async def f(a):\n    a.pages(*("logs", "get_log_events", "e"))', {("logs", "get_log_events")}),
        (
            'async def f(c):\n    for m in ("get_bucket_policy", "x"):\n        c().call("s3", m)',
            {("s3", "get_bucket_policy")},
        ),
        ('async def f(rest):\n    await rest.call("GET", "runs/get")', set()),
    ],
    ids=["plain", "spread", "variable", "another door"],
)  # fmt: skip
def test_the_finder_finds(source: str, found: set[tuple[str, str]]) -> None:
    """The ways in which looks write their calls."""
    assert set(calls(ast.parse(source))) == found
