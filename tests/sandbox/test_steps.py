"""Steps of a scenario, applied to an ECS service on a bench."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ecs_bench import CLUSTER, SERVICE, Bench, bench

from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.names import Names
from hokusai_probe.sandbox.scenario import ScenarioError, ServiceStep
from hokusai_probe.sandbox.steps import Steps

_PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/x"
_SIDECAR = {"name": "agent", "image": "public.ecr.aws/x/agent:1", "essential": False}

Apply = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with one service whose container has a variable and a secret; it wants no task."""
    with bench(tmp_path, monkeypatch) as made:
        secrets = [{"name": "TOKEN", "valueFrom": _PARAMETER}]
        made.create(desired=0, environment={"LEVEL": "info"}, secrets=secrets)
        yield made


@pytest.fixture
def apply(here: Bench, tmp_path: Path) -> Apply:
    """Applies a deploy step with these keys; returns the revision that the service has then."""
    saved: dict[str, object] = {"it": {"Ports": [{"In": 1}]}}
    fixed = {"cluster": CLUSTER, "service.gateway": SERVICE}
    others: Any = (None, None, None)  # cache, database and storage, of which no step here speaks
    endpoint = f"https://ecs.{REGION}.amazonaws.com"  # moto answers in its place
    steps = Steps(endpoint, Names(fixed, {}, saved), saved, here.reconciler, tmp_path / "faults", *others)

    def deploy(keys: dict[str, Any]) -> dict[str, Any]:
        step = {"kind": "service", "service": "gateway", "action": "deploy", **keys}
        steps.apply(1, ServiceStep.model_validate(step))
        return _revision(here)

    return deploy


def _revision(here: Bench) -> dict[str, Any]:
    arn = here.service()["taskDefinition"]
    return dict(here.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])


def _given(revision: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Variables and secrets of the first container."""
    first = revision["containerDefinitions"][0]
    variables = {entry["name"]: entry["value"] for entry in first["environment"]}
    return variables, {entry["name"]: entry["valueFrom"] for entry in first["secrets"]}


@pytest.mark.parametrize(
    ("keys", "given"),
    [
        ({"env": {"TOKEN": "plain"}}, ({"LEVEL": "info", "TOKEN": "plain"}, {})),
        ({"secrets": {"LEVEL": "y"}}, ({}, {"TOKEN": _PARAMETER, "LEVEL": "y"})),
        ({"unset": ("LEVEL",), "unset_secrets": ("TOKEN",)}, ({}, {})),
        (
            {"env": {"PORTS": "{saved.it.Ports}"}},
            ({"LEVEL": "info", "PORTS": '[{"In": 1}]'}, {"TOKEN": _PARAMETER}),
        ),
    ],
)
def test_a_name_is_a_variable_or_a_secret(
    apply: Apply, keys: dict[str, Any], given: tuple[dict[str, str], dict[str, str]]
) -> None:
    """What a step sets takes the place of what had the name; ECS refuses a name that is both."""
    assert _given(apply(keys)) == given


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"unset": ("LEVLE",)},
            "step 1: unset: the running revision has no variable 'LEVLE'; did you mean 'LEVEL'?",
        ),
        ({"unset": ("TOKEN",)}, "step 1: unset: the running revision has no variable 'TOKEN'"),
        ({"unset_secrets": ("LEVEL",)}, "step 1: unset_secrets: the running revision has no secret 'LEVEL'"),
    ],
)
def test_what_is_not_there_cannot_be_unset(apply: Apply, keys: dict[str, Any], sentence: str) -> None:
    """A step without an effect is a mistake of its author."""
    with pytest.raises(ScenarioError) as caught:
        apply(keys)
    assert str(caught.value) == sentence


def test_a_new_revision_keeps_everything_else(here: Bench, apply: Apply) -> None:
    """Other containers, volumes and the platform stay; the first container has the new variable."""
    before = _revision(here)
    first = before["containerDefinitions"][0]
    made = here.ecs.register_task_definition(
        family="api", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="512", memory="1024",
        executionRoleArn=here.roles.execution, taskRoleArn=here.roles.task,
        containerDefinitions=[first, _SIDECAR], volumes=[{"name": "scratch"}],
        runtimePlatform={"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    )["taskDefinition"]  # fmt: skip
    here.update(taskDefinition=made["taskDefinitionArn"])
    running = _revision(here)
    after = apply({"env": {"NEW": "1"}})
    added = [*first["environment"], {"name": "NEW", "value": "1"}]
    others = running["containerDefinitions"][1:]
    assert [one["name"] for one in others] == ["agent"]
    assert _lasting(after) == _lasting(running) | {
        "containerDefinitions": [running["containerDefinitions"][0] | {"environment": added}, *others]
    }


def _lasting(revision: dict[str, Any]) -> dict[str, Any]:
    """A revision without what each registration makes anew."""
    return {
        key: value
        for key, value in revision.items()
        if key not in ("taskDefinitionArn", "revision", "registeredAt")
    }
