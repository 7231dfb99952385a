"""How moto's records become what the data plane reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto.elbv2.models as elbv2_models
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from hokusai_probe.sandbox import control_plane
from hokusai_probe.sandbox.control_plane import MotoControlPlane, ServedTargetGroup
from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.state import Condition, Health, RegisteredTarget

HERE = {"Id": "127.9.9.41", "Port": 8000}
GONE = ("unused", "Target.NotRegistered")
DRAINING = ("draining", "Target.DeregistrationInProgress")
HEALTHY = ("healthy", None)


@pytest.mark.parametrize(
    ("record", "condition"),
    [
        (
            {"Field": "path-pattern", "Values": ["/a", "/b/*"]},
            Condition("path-pattern", ("/a", "/b/*")),
        ),
        (
            {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.test"]}},
            Condition("host-header", ("*.test",)),
        ),
        (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Env", "Values": ["dev"]}},
            Condition("http-header", ("dev",), "X-Env"),
        ),
        (
            {
                "Field": "query-string",
                "QueryStringConfig": {"Values": [{"Key": "v", "Value": "1"}, {"Value": "x"}]},
            },
            Condition("query-string", ("v=1", "x")),
        ),
    ],
)
def test_conditions_in_both_of_their_forms(record: dict[str, object], condition: Condition) -> None:
    """The short form with Values and the one with a configuration mean the same."""
    assert control_plane._condition(record) == condition


@pytest.mark.parametrize(
    ("action", "groups"),
    [
        ({"TargetGroupArn": "a"}, (("a", 1),)),
        (
            {
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": "a", "Weight": 3}, {"TargetGroupArn": "b"}]
                }
            },
            (("a", 3), ("b", 1)),
        ),
        ({}, ()),
    ],
)
def test_forwards_with_and_without_weights(
    action: dict[str, object], groups: tuple[tuple[str, int], ...]
) -> None:
    """One group counts as weight 1, as AWS has it."""
    assert control_plane._forwards(action) == groups


# --- draining ---


class Group:
    """A target group of moto's whose targets are all healthy, and whose clock stands still.

    A delay of 300 s, which is AWS's default, is over after 60 s here.
    """

    def __init__(self, directory: Path) -> None:
        self.elbv2: Any = boto3.client("elbv2", region_name=REGION)
        vpc = boto3.client("ec2", region_name=REGION).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        made = self.elbv2.create_target_group(
            Name="g", Protocol="HTTP", Port=8000, TargetType="ip", VpcId=vpc
        )
        self.arn = made["TargetGroups"][0]["TargetGroupArn"]
        self.plane = MotoControlPlane(DEFAULT_ACCOUNT_ID, 5.0, directory, {})
        self.now_s = 1000.0

    def register(self, *targets: dict[str, Any]) -> None:
        """RegisterTargets."""
        self.elbv2.register_targets(TargetGroupArn=self.arn, Targets=list(targets))

    def deregister(self, *targets: dict[str, Any]) -> None:
        """DeregisterTargets."""
        self.elbv2.deregister_targets(TargetGroupArn=self.arn, Targets=list(targets))

    def health(self, *targets: dict[str, Any]) -> list[tuple[int, str, str | None]]:
        """DescribeTargetHealth: port, state and reason, of the targets asked for or of all."""
        asked = {"Targets": list(targets)} if targets else {}
        found = self.elbv2.describe_target_health(TargetGroupArn=self.arn, **asked)
        return [
            (one["Target"]["Port"], one["TargetHealth"]["State"], one["TargetHealth"].get("Reason"))
            for one in found["TargetHealthDescriptions"]
        ]

    def targets(self) -> tuple[RegisteredTarget, ...]:
        """What the load balancer sees."""
        group = self.plane.target_group(self.arn)
        assert group is not None
        return group.targets


@pytest.fixture
def drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    """The group, with one target."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # hundreds of images, of no use here
    monkeypatch.setattr(elbv2_models, "FakeTargetGroup", ServedTargetGroup)
    monkeypatch.setattr(ServedTargetGroup, "health_of", lambda *_: Health("healthy"), raising=False)
    monkeypatch.setattr(ServedTargetGroup, "time_scale", 5.0)
    with mock_aws():
        group = Group(tmp_path)
        monkeypatch.setattr(ServedTargetGroup, "clock", lambda: group.now_s)
        group.register(HERE)
        yield group


def test_a_deregistered_target_drains_and_is_gone(drained: Group) -> None:
    """It is shown as draining for the delay and gets nothing new; then it is not registered."""
    before = drained.health(), drained.targets()
    drained.deregister(HERE)
    during = drained.health(), drained.health(HERE), drained.targets()
    drained.now_s += 60
    after = drained.health(), drained.health(HERE), drained.targets()
    assert before == ([(8000, *HEALTHY)], (RegisteredTarget("127.9.9.41", 8000),))
    draining = [(8000, *DRAINING)]
    assert during == (draining, draining, (RegisteredTarget("127.9.9.41", 8000, draining=True),))
    assert after == ([], [(8000, *GONE)], ())


@pytest.mark.parametrize(("seconds", "shown"), [("0", []), ("3000", [(8000, *DRAINING)])])
def test_the_groups_own_delay_counts(drained: Group, seconds: str, shown: list[object]) -> None:
    """The attribute deregistration_delay.timeout_seconds, scaled; 0 is no draining at all."""
    attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": seconds}
    drained.elbv2.modify_target_group_attributes(TargetGroupArn=drained.arn, Attributes=[attribute])
    drained.deregister(HERE)
    drained.now_s += 60
    assert drained.health() == shown


def test_registering_again_ends_the_draining(drained: Group) -> None:
    """A target that is wanted back is a target at once, and stays one."""
    drained.deregister(HERE)
    drained.register(HERE)
    seen = [drained.health()]
    drained.now_s += 60
    assert [*seen, drained.health()] == [[(8000, *HEALTHY)]] * 2


def test_deregistering_twice_or_nobody(drained: Group) -> None:
    """Neither is an error nor starts the delay anew; the port counts, and defaults to the group's."""
    drained.register({"Id": HERE["Id"], "Port": 9000})
    drained.deregister({"Id": HERE["Id"]})
    drained.now_s += 59
    drained.deregister(HERE, {"Id": "127.9.9.99", "Port": 1})
    during = drained.health()
    drained.now_s += 1
    assert (during, drained.health()) == (
        [(8000, *DRAINING), (9000, *HEALTHY)],
        [(9000, *HEALTHY)],
    )


def test_a_group_names_the_load_balancers_that_forward_to_it_now(drained: Group) -> None:
    """One entry however many rules lead there, and none once no rule does; moto would keep each for ever."""
    ec2, elbv2 = boto3.client("ec2", region_name=REGION), drained.elbv2
    vpc = elbv2.describe_target_groups()["TargetGroups"][0]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for n, zone in enumerate("ab")
    ]
    made = elbv2.create_load_balancer(Name="l", Subnets=[s["Subnet"]["SubnetId"] for s in subnets])
    balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": drained.arn}]
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward
    )["Listeners"][0]["ListenerArn"]
    path = [{"Field": "path-pattern", "Values": ["/a"]}]
    elbv2.create_rule(ListenerArn=listener, Priority=1, Conditions=path, Actions=forward)
    during = elbv2.describe_target_groups()["TargetGroups"][0]["LoadBalancerArns"]
    elbv2.delete_listener(ListenerArn=listener)
    after = elbv2.describe_target_groups()["TargetGroups"][0]["LoadBalancerArns"]
    assert (during, after) == ([balancer], [])


# --- names ---


def test_a_name_leads_over_aliases_and_cnames_to_a_load_balancer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `dualstack.`, as Route 53's console writes it, without, and not for ever."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        plane = MotoControlPlane(DEFAULT_ACCOUNT_ID, 5.0, tmp_path, {"auth": "127.9.9.2"})
        balancer = _balancer()
        plane.balancers["auth"] = balancer["LoadBalancerArn"]
        elb = balancer["DNSName"]
        alias = {"HostedZoneId": "Z35SXDOTRQ7X7K", "EvaluateTargetHealth": False}
        _records(
            {"Name": "plain.test", "Type": "A", "AliasTarget": alias | {"DNSName": elb}},
            {"Name": "both.test", "Type": "A", "AliasTarget": alias | {"DNSName": f"dualstack.{elb}"}},
            {"Name": "other.test", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "both.test"}]},
            {"Name": "round.test", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "round.test"}]},
            {"Name": "old.test", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.9"}]},
        )
        names = ("plain.test", "both.test", "OTHER.test.", "round.test", "old.test", "none.test")
        found = [tuple(plane.addresses(name)) for name in names]

    assert found == [("127.9.9.2",)] * 3 + [(), ("10.0.0.9",), ()]


def _balancer() -> dict[str, Any]:
    ec2, elbv2 = (boto3.client(name, region_name=REGION) for name in ("ec2", "elbv2"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for n, zone in enumerate("ab")
    ]
    placed = [one["Subnet"]["SubnetId"] for one in subnets]
    made: dict[str, Any] = elbv2.create_load_balancer(Name="auth", Subnets=placed)["LoadBalancers"][0]
    return made


def _records(*records: dict[str, Any]) -> None:
    route53: Any = boto3.client("route53", region_name=REGION)
    zone = route53.create_hosted_zone(Name="test", CallerReference="x")["HostedZone"]["Id"]
    for record in records:
        change = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
