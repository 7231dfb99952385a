"""Which target groups of an account are looked at, and whose they are."""

from collections.abc import Mapping
from typing import Any

from _facts import ELB, TARGET, ecs_facts, gone, group_arn
from test_ecs_looks import Cloud, seen_by

from hokusai_probe.model import AwsTarget
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts, target_groups

BALANCERS = (TARGET.aws or AwsTarget(region="")).load_balancers
STRANGE = "strangers-balancer"


def described(name: str, port: int, *balancers: str) -> dict[str, Any]:
    """A group as DescribeTargetGroups has it."""
    return {
        "TargetGroupArn": group_arn(name),
        "TargetGroupName": name,
        "Port": port,
        "LoadBalancerArns": [f"{ELB}:loadbalancer/app/{b}/0123456789abcdef" for b in balancers],
    }


def looked_at(
    *groups: Mapping[str, Any], **changed: Mapping[str, Any]
) -> tuple[TargetGroupsFacts, list[str]]:
    """What the look keeps of an account's groups, and those whose targets it asked for."""
    cloud = Cloud(
        {
            "describe_target_groups": {"TargetGroups": list(groups)},
            "describe_target_health": {"TargetHealthDescriptions": []},
        }
    )
    identity = AwsIdentityFacts(failure=None)
    found: TargetGroupsFacts = seen_by(target_groups, cloud, identity, ecs_facts(**changed))
    asked = [str(p["TargetGroupArn"]) for method, p in cloud.asked if method == "describe_target_health"]
    return found, [arn.split("/")[1] for arn in asked]


def test_groups_of_strangers_are_neither_asked_for_nor_kept() -> None:
    """Ours are those that an ECS service names, attached or not, and those of our load balancers."""
    found, asked = looked_at(
        described("auth", 8000),
        described("forsaken", 8001, BALANCERS["registry"]),
        described("theirs", 8000, STRANGE),
        described("leftover", 5000),
    )
    assert [(g.name, g.service) for g in found.groups] == [("auth", "auth"), ("forsaken", None)]
    assert asked == ["auth", "forsaken"]


def test_a_service_that_is_gone_is_known_by_its_port_on_its_own_balancer() -> None:
    """Neither a stranger's group nor one of another host's load balancer is taken for it."""
    found, _ = looked_at(
        described("strange", 8000, STRANGE),
        described("elsewhere", 8000, BALANCERS["main"]),
        described("left", 8000, BALANCERS["auth"]),
        auth=gone("auth"),
    )
    assert [(g.name, g.service) for g in found.groups] == [("elsewhere", None), ("left", "auth")]


def test_a_deleted_service_is_as_gone_as_a_missing_one() -> None:
    """ECS tells of a deleted service for a while as INACTIVE, without its load balancers."""
    deleted = gone("mlflow") | {"missing": False, "status": "INACTIVE"}
    found, _ = looked_at(described("left", 5000, BALANCERS["registry"]), mlflow=deleted)
    assert [(g.name, g.service) for g in found.groups] == [("left", "mlflow")]


def test_a_group_that_a_service_registers_with_is_never_another_ones() -> None:
    """That the auth service is gone is no claim to a group on its port that the gateway has."""
    named = {"target_groups": (group_arn("own"),)}
    found, _ = looked_at(described("own", 8000, BALANCERS["auth"]), auth=gone("auth"), gateway=named)
    assert [(g.name, g.service) for g in found.groups] == [("own", "gateway")]
