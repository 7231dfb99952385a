"""What the control plane's own records say of the network, read from moto in this process."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends

from hokusai_probe.sandbox import served_cache
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.network import CLIENT, CLIENT_VPN, NetworkView
from hokusai_probe.sandbox.network_state import NetworkWatch
from hokusai_probe.sandbox.served_ecs import ContainerRecord, ServedEcs, TaskRecord
from hokusai_probe.sandbox.state import Endpoint
from hokusai_probe.sandbox.tasks import Runtime

NET = "127.9.9"
GATEWAY, MLFLOW = f"{NET}.41", f"{NET}.40"


@dataclass
class Place:
    """A small platform in moto: two subnets, a load balancer, a gateway and an MLflow that run."""

    plane: MotoControlPlane
    names: dict[str, str]
    runtime: Runtime

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return boto3.client(service, region_name=REGION)

    def watch(self) -> NetworkWatch:
        """What writes the file."""
        return NetworkWatch(
            self.plane, self.names, self.runtime, {"auth": {443: Endpoint(f"{NET}.2", 40443)}}
        )

    def dropped(self, source: str, ip: str, port: int) -> bool:
        """What a process of the sandbox sees now."""
        self.watch().refresh()
        return NetworkView(self.runtime.decisions).dropped(source, ip, port)

    def admit(self, group: str, port: int, **source: Any) -> None:
        """Add an ingress rule."""
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port} | source
        self.client("ec2").authorize_security_group_ingress(
            GroupId=self.names[f"security_group.{group}"], IpPermissions=[permission]
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The platform, its network closed but for egress and open ACLs."""
    monkeypatch.setattr(ecs_backends, "backend", ServedEcs)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # hundreds of images, of no use here
    with mock_aws():
        ecs_backends.reset()
        plane = MotoControlPlane(DEFAULT_ACCOUNT_ID, 5.0, tmp_path, {"auth": f"{NET}.2"})
        yield made(plane, tmp_path)
    monkeypatch.setattr(ecs_backends, "backend", EC2ContainerServiceBackend)
    ecs_backends.reset()


def made(plane: MotoControlPlane, directory: Path) -> Place:
    """Create the platform."""
    runtime = Runtime(
        NET, directory, directory / "ca.pem", (), 5.0, {}, {"api-service": "gateway", "ml-service": "mlflow"}
    )
    place = Place(plane, {}, runtime)
    ec2 = place.client("ec2")
    place.names["vpc"] = vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for letter, third in (("a", 1), ("b", 2)):
        subnet = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{third}.0/24", AvailabilityZone=f"{REGION}{letter}"
        )
        place.names[f"subnet.{letter}"] = subnet["Subnet"]["SubnetId"]
    for key in ("load-balancer", "gateway", "mlflow", "cache", "database"):
        group = ec2.create_security_group(GroupName=key, Description=key, VpcId=vpc)
        place.names[f"security_group.{key}"] = group["GroupId"]
    subnets = [place.names["subnet.a"], place.names["subnet.b"]]
    balancer = place.client("elbv2").create_load_balancer(
        Name="auth", Subnets=subnets, SecurityGroups=[place.names["security_group.load-balancer"]]
    )["LoadBalancers"][0]
    plane.balancers["auth"] = balancer["LoadBalancerArn"]
    place.client("ecs").create_cluster(clusterName="c")
    for name, key, ip in (("api-service", "gateway", GATEWAY), ("ml-service", "mlflow", MLFLOW)):
        run(place, name, ip, subnets, [place.names[f"security_group.{key}"]])
    return place


def run(place: Place, name: str, ip: str, subnets: list[str], groups: list[str]) -> None:
    """Create a service and a task of it that runs."""
    ecs = place.client("ecs")
    ecs.register_task_definition(
        family=name, networkMode="awsvpc", containerDefinitions=[{"name": "x", "image": "x", "memory": 1}]
    )
    ecs.create_service(
        cluster="c",
        serviceName=name,
        taskDefinition=name,
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}},
    )
    place.plane.ecs.put_record(record(name, ip))


def record(name: str, ip: str) -> TaskRecord:
    """A task that runs."""
    arn = f"arn:aws:ecs:{REGION}:1:task/c/{ip}"
    return TaskRecord(
        task_arn=arn,
        cluster_arn="arn/c",
        task_definition_arn="arn",
        group=f"service:{name}",
        started_by="ecs-svc/1",
        containers=(ContainerRecord("arn", arn, "x", "x", "RUNNING"),),
        attachments=({"details": [{"name": "privateIPv4Address", "value": ip}]},),
        created_at=datetime.now(UTC),
        last_status="RUNNING",
    )


def test_rules_come_and_go_by_group_reference_and_cidr(place: Place) -> None:
    """Denied at first; a rule for the gateway's group or subnet opens its port; revoked, it is closed."""
    pair = {"UserIdGroupPairs": [{"GroupId": place.names["security_group.gateway"]}]}
    seen = [place.dropped(GATEWAY, MLFLOW, 5000)]
    place.admit("mlflow", 5000, **pair)
    seen.append(place.dropped(GATEWAY, MLFLOW, 5000))
    place.client("ec2").revoke_security_group_ingress(
        GroupId=place.names["security_group.mlflow"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 5000, "ToPort": 5000} | pair],
    )
    seen.append(place.dropped(GATEWAY, MLFLOW, 5000))
    place.admit("mlflow", 5000, IpRanges=[{"CidrIp": "10.0.1.0/24"}])
    seen.append(place.dropped(GATEWAY, MLFLOW, 5000))
    assert seen == [True, False, True, False]


def test_revoked_egress_closes_the_way_out(place: Place) -> None:
    """The rule that a new group gets for all egress can be taken away."""
    place.admit("mlflow", 5000, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    before = place.dropped(GATEWAY, MLFLOW, 5000)
    place.client("ec2").revoke_security_group_egress(
        GroupId=place.names["security_group.gateway"],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    assert (before, place.dropped(GATEWAY, MLFLOW, 5000)) == (False, True)


@pytest.mark.parametrize(
    ("egress", "ports"), [(False, {"From": 5000, "To": 5000}), (True, {"From": 1024, "To": 65535})]
)
def test_an_acl_of_mlflows_subnet_drops_port_or_answers(
    place: Place, egress: bool, ports: dict[str, int]
) -> None:
    """MLflow is in subnet b, the gateway in a: an entry of b's ACL cuts the gateway off, deleted it heals."""
    place.admit("mlflow", 5000, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    ec2 = place.client("ec2")
    wanted = {"Name": "association.subnet-id", "Values": [place.names["subnet.b"]]}
    acl = ec2.create_network_acl(VpcId=place.names["vpc"])["NetworkAcl"]["NetworkAclId"]
    for way in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=100, Protocol="-1", RuleAction="allow", Egress=way,
            CidrBlock="0.0.0.0/0",
        )  # fmt: skip
    (found,) = ec2.describe_network_acls(Filters=[wanted])["NetworkAcls"]
    (own,) = [a for a in found["Associations"] if a["SubnetId"] == place.names["subnet.b"]]
    ec2.replace_network_acl_association(AssociationId=own["NetworkAclAssociationId"], NetworkAclId=acl)
    seen = [place.dropped(GATEWAY, MLFLOW, 5000)]
    ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=50, Protocol="6", RuleAction="deny", Egress=egress,
        CidrBlock="0.0.0.0/0", PortRange=ports,
    )  # fmt: skip
    seen.append(place.dropped(GATEWAY, MLFLOW, 5000))
    ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=50, Egress=egress)
    seen.append(place.dropped(GATEWAY, MLFLOW, 5000))
    assert seen == [False, True, False]


def test_a_load_balancer_has_the_groups_that_it_is_given(place: Place) -> None:
    """SetSecurityGroups moves it into another group; its front port stands for the listener's."""
    place.admit("load-balancer", 443, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    before = place.dropped(CLIENT, f"{NET}.2", 40443)
    place.client("elbv2").set_security_groups(
        LoadBalancerArn=place.plane.balancers["auth"], SecurityGroups=[place.names["security_group.mlflow"]]
    )
    assert (before, place.dropped(CLIENT, f"{NET}.2", 40443)) == (False, True)


def test_a_cache_that_is_moved_to_another_group(place: Place) -> None:
    """ModifyReplicationGroup changes who may connect, and DescribeCacheClusters shows the new group."""
    served_cache.install()
    place.names["cache"] = "redis"
    cache = place.client("elasticache")
    cache.create_replication_group(
        ReplicationGroupId="redis",
        ReplicationGroupDescription="r",
        SecurityGroupIds=[place.names["security_group.cache"]],
    )
    cache.create_cache_cluster(
        CacheClusterId="redis-001", ReplicationGroupId="redis", CacheNodeType="cache.t3.micro",
        Engine="redis", NumCacheNodes=1,
    )  # fmt: skip
    place.admit("cache", 6379, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    before = place.dropped(GATEWAY, f"{NET}.25", 6379)
    other = place.names["security_group.database"]
    cache.modify_replication_group(ReplicationGroupId="redis", SecurityGroupIds=[other])
    (node,) = cache.describe_cache_clusters()["CacheClusters"]
    assert (before, place.dropped(GATEWAY, f"{NET}.25", 6379)) == (False, True)
    assert node["SecurityGroups"] == [{"SecurityGroupId": other, "Status": "active"}]


def test_a_prober_in_the_vpc_is_judged_like_anybody(place: Place) -> None:
    """Its Client VPN endpoint is in subnet a and has a security group, which a store admits or not."""
    group = place.client("ec2").create_security_group(
        GroupName="vpn", Description="vpn", VpcId=place.names["vpc"]
    )
    before = place.dropped(CLIENT_VPN, f"{NET}.25", 6379)
    place.names["security_group.client-vpn"] = group["GroupId"]
    place.admit("cache", 6379, UserIdGroupPairs=[{"GroupId": group["GroupId"]}])
    there = {part.name: part for part in place.watch().snapshot().parts}[CLIENT_VPN]
    assert (before, place.dropped(CLIENT_VPN, f"{NET}.25", 6379)) == (True, False)
    assert (there.nodes[0].subnet, there.groups) == (place.names["subnet.a"], {group["GroupId"]})


def test_a_task_is_where_its_service_says(place: Place) -> None:
    """With both subnets MLflow is in b; a service that names subnet a alone has its task there."""
    there = {part.name: part.nodes[0] for part in place.watch().snapshot().parts}
    assert there[f"mlflow/{MLFLOW}"].addresses == (MLFLOW, "10.0.2.40")
    service = next(s for s in place.plane.ecs.services.values() if s.name == "ml-service")
    service.network_configuration["awsvpcConfiguration"]["subnets"] = [place.names["subnet.a"]]
    there = {part.name: part.nodes[0] for part in place.watch().snapshot().parts}
    assert there[f"mlflow/{MLFLOW}"].addresses == (MLFLOW, "10.0.1.40")


def test_the_address_of_a_task_that_ended_is_nobodys(place: Place) -> None:
    """Packets to it vanish, as AWS's network drops what goes to an interface that is gone."""
    place.admit("mlflow", 5000, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    before = place.dropped(GATEWAY, MLFLOW, 5000)
    place.plane.ecs.put_record(dataclasses.replace(record("ml-service", MLFLOW), last_status="STOPPED"))
    ended = place.dropped(GATEWAY, MLFLOW, 5000)
    place.plane.ecs.put_record(
        dataclasses.replace(record("ml-service", MLFLOW), task_arn="arn:another", last_status="RUNNING")
    )
    assert (before, ended, place.dropped(GATEWAY, MLFLOW, 5000)) == (False, True, False)


def test_the_file_is_written_only_when_something_changed(place: Place) -> None:
    """A look that finds nothing new leaves the file alone."""
    watch, path = place.watch(), place.runtime.decisions
    watch.refresh()
    first = path.stat().st_ino
    watch.refresh()
    same = path.stat().st_ino
    place.admit("cache", 6379, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    watch.refresh()
    assert (first == same, path.stat().st_ino == same) == (True, False)
