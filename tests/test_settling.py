"""Waiting for rollouts: what is waited for, when it ends, and what is said of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from _cloud import Said, WrittenDoor
from _facts import DENIED
from click.testing import CliRunner

from hokusai_probe.cli import main
from hokusai_probe.model import AwsTarget
from hokusai_probe.settling import Settled, settle, unsettled

TARGET = AwsTarget(region="us-east-1", cluster="c", services={"gateway": "api"})
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/api-tg/0123456789abcdef"


def service(*states: str, pending: int = 0, **more: Any) -> dict[str, Any]:
    """A service with one deployment per rollout state, the first of them the newest."""
    revision = "arn:aws:ecs:us-east-1:123456789012:task-definition/api:7"
    deployments = [
        {"status": "ACTIVE" if n else "PRIMARY", "rolloutState": state, "taskDefinition": revision}
        for n, state in enumerate(states)
    ]
    return {
        "serviceName": "api",
        "status": "ACTIVE",
        "pendingCount": pending,
        "deployments": deployments,
        "loadBalancers": [{"targetGroupArn": GROUP}],
    } | more


def target(state: str) -> dict[str, Any]:
    """A registered target in a state."""
    return {"Target": {"Id": "10.0.0.1"}, "TargetHealth": {"State": state}}


ROLLOUT = "api: rollout of api:7"


@pytest.mark.parametrize(
    ("services", "targets", "under_way"),
    [
        ([service("COMPLETED")], [target("healthy")], ()),
        ([service("IN_PROGRESS", "COMPLETED")], [target("healthy")], (ROLLOUT,)),
        ([service("COMPLETED", pending=1)], [], (ROLLOUT,)),
        ([service("FAILED", "COMPLETED")], [target("healthy")], ()),
        ([service("COMPLETED", status="INACTIVE", pending=1)], [], ()),
        ([], [], ()),
        ([service("COMPLETED")], [target("initial")], ("api-tg: first health checks of 1 targets",)),
        ([service("COMPLETED")], [target("draining"), target("unhealthy")], ()),
    ],
)
def test_what_is_waited_for(
    services: list[dict[str, Any]], targets: list[dict[str, Any]], under_way: tuple[str, ...]
) -> None:
    """Rollouts and targets in their first health checks; nothing that will stay as it is."""
    assert unsettled(services, {GROUP: targets}) == under_way


def waited(
    services: Sequence[Said], *, seconds: float = 5.0, stopped: bool = False
) -> tuple[Settled, list[str]]:
    """How waiting ends, and what was said meanwhile."""
    notes: list[str] = []

    async def run() -> Settled:
        stop = asyncio.Event()
        if stopped:
            stop.set()
        healthy = {"TargetHealthDescriptions": [target("healthy")]}
        with_door = WrittenDoor(describe_services=services, describe_target_health=[healthy])
        return await settle(with_door, TARGET, seconds, stop, every_s=0.01, note=notes.append)

    return asyncio.run(run()), notes


def test_waiting_ends_when_the_rollout_is_through() -> None:
    """It is said once what is waited for, and that it is over."""
    under_way = {"services": [service("IN_PROGRESS", "COMPLETED")]}
    found, notes = waited([under_way, under_way, {"services": [service("COMPLETED")]}])

    assert notes == [f"waiting for {ROLLOUT}"]
    assert str(found) == f"settled after 0 s; waited for {ROLLOUT}"


def test_waiting_is_bounded() -> None:
    """After its time it goes on, and says what is still open."""
    found, _ = waited([{"services": [service("IN_PROGRESS")]}], seconds=0.05)

    assert str(found) == f"not settled after 0 s, judged all the same: {ROLLOUT}"


def test_nothing_to_wait_for() -> None:
    """A quiet platform costs one look."""
    found, notes = waited([{"services": [service("COMPLETED")]}])

    assert (str(found), notes) == ("nothing to wait for: no rollout is under way", [])


def test_a_refusal_is_no_reason_to_wait() -> None:
    """Whoever may not read goes on at once, and says why."""
    found, _ = waited([DENIED])

    assert str(found) == "not waited: ecs:DescribeServices: denied (not authorised)"


def test_a_signal_ends_waiting() -> None:
    """Waiting stops with the run."""
    found, _ = waited([{"services": [service("IN_PROGRESS")]}], stopped=True, seconds=60.0)

    assert found.open == (ROLLOUT,)


def test_without_aws_there_is_nothing_to_wait_for() -> None:
    """--settle says so and goes on; the exit code is that of the run."""
    url = "http://127.0.0.1:9"
    found = CliRunner().invoke(main, ["run", url, "--settle", "30", "--only", "hosts", "--quiet"])

    assert "note: --settle waits for nothing: AWS is not looked at" in found.output
    assert found.exit_code == 1
