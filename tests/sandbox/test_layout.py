"""What follows from a seed, and the healthy platform as the control plane then shows it."""

import contextlib
import dataclasses
import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import moto.acm.models as acm_models
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from hokusai_probe.sandbox import names, served_acm, targetfile
from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.identity import Identity, Places, mlflow_environment
from hokusai_probe.sandbox.layout import Layout
from hokusai_probe.sandbox.state import Endpoint


def test_an_identity_follows_from_its_seed() -> None:
    """The same seed gives the same names; another seed gives others."""
    assert Identity.of(3) == Identity.of(3)
    one, other = Identity.of(3), Identity.of(4)
    assert {one.suffix, one.account, one.public_zone, one.private_zone}.isdisjoint(
        {other.suffix, other.account, other.public_zone, other.private_zone}
    )
    assert set(one.images()).isdisjoint(other.images())


def test_no_name_gives_the_seed_or_the_kind_of_image_away() -> None:
    """A prober cannot read from an image's tag that it crashes."""
    assert not any("crash" in uri or "missing" in uri for uri in Identity.of(3).images())


def test_mlflow_admits_the_hosts_that_ask_for_it() -> None:
    """Private name with and without port, task addresses, public hosts."""
    identity = Identity.of(3)
    environment = mlflow_environment(identity, Places("127.1.2", Path("/state"), "local"))
    zone, public = identity.private_zone, identity.public_zone
    assert environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",") == [
        f"mlflow.{zone}", f"mlflow.{zone}:*", "127.1.2.*", f"*.{public}*", "localhost", "127.0.0.1",
    ]  # fmt: skip
    assert environment["ARTIFACTS_DESTINATION"] == "file:///state/artifacts"


def test_keys_follow_from_the_seed_and_an_unknown_one_is_not_among_them() -> None:
    """Every key is fake and looks it."""
    known = targetfile.keys(5)
    values = {kind: str(entry["key"]) for kind, entry in known.items()}
    unknown = targetfile.given_key("unknown", known, 5)
    assert values == {kind: str(entry["key"]) for kind, entry in targetfile.keys(5).items()}
    assert all(value.startswith("hk_test_") for value in (*values.values(), unknown))
    assert unknown not in values.values()
    assert targetfile.given_key("none", known, 5) == ""


def test_the_target_file_is_toml_that_reads_back() -> None:
    """Tables at any depth, strings with quotes and back-slashes, arrays."""
    import tomllib

    content = {"name": 'a "b" \\ c', "t": {"n": 1.5, "on": True, "u": {"list": ["x", "y"]}}}
    assert tomllib.loads(targetfile.toml(content)) == content


# --- the platform, laid out ---


def _laid_out(directory: Path, endpoint: str, *, storage: str, is_open: bool) -> Layout:
    identity = dataclasses.replace(Identity.of(5), account=DEFAULT_ACCOUNT_ID)
    places = Places("127.9.9", directory / "mlflow", storage, mlflow_is_open=is_open)
    layout = Layout(endpoint, identity, places, Authority(directory / "ca.pem"))
    layout.start_mlflow()
    layout.edge()
    layout.rest(Endpoint("127.9.9.2", 443), "https://hokusai.test/")
    layout.furnish()
    return layout


@contextlib.contextmanager
def _control_plane() -> Iterator[str]:
    """A control plane with nothing in it, before and after."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        _reset(host, port)
        yield f"http://{host}:{port}"
        _reset(host, port)
    finally:
        server.stop()


def _reset(host: str, port: int) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().status == 200


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """The platform with S3, and MLflow open from outside."""
    with pytest.MonkeyPatch.context() as patch, _control_plane() as endpoint:
        patch.setattr(acm_models, "CertBundle", served_acm.ServedCertificate)
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        yield _laid_out(tmp_path_factory.mktemp("laid"), endpoint, storage="s3", is_open=True)


def _only(answer: Mapping[str, Any], key: str) -> dict[str, Any]:
    (one,) = answer[key]
    return dict(one)


def _tags(value: Mapping[str, Any] | list[dict[str, str]]) -> set[str]:
    pairs = value.get("Tags", value.get("TagList", [])) if isinstance(value, Mapping) else value
    return {pair["Key"] for pair in pairs}


TAGS = {"Name", "Environment", "Project", "ManagedBy"}


def test_every_name_has_a_value(laid: Layout) -> None:
    """All but those of tasks, which change; with S3 the bucket too."""
    live = {name for name in names.ALWAYS if name.startswith(("task.", "task_definition."))}
    assert set(laid.names) == (names.ALWAYS | names.WITH_S3) - live
    assert all(laid.names.values())


def test_the_network(laid: Layout) -> None:
    """Tasks in private subnets that reach out through a NAT gateway, load balancers in public ones."""
    ec2, vpc = laid.client("ec2"), laid.names["vpc"]
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = {one["SubnetId"]: one["CidrBlock"] for one in ec2.describe_subnets(Filters=here)["Subnets"]}
    ways = {
        (subnets[link["SubnetId"]], route.get("GatewayId", route.get("NatGatewayId", "")).split("-")[0])
        for table in ec2.describe_route_tables(Filters=here)["RouteTables"]
        for link in table["Associations"]
        if not link["Main"]
        for route in table["Routes"]
    }
    inside, outside = ("10.0.1.0/24", "10.0.2.0/24"), ("10.0.101.0/24", "10.0.102.0/24")
    assert ways == {(net, way) for net in inside for way in ("local", "nat")} | {
        (net, way) for net in outside for way in ("local", "igw")
    }
    assert [subnets[laid.names[f"subnet.{letter}"]] for letter in "ab"] == list(inside)
    balancer = _only(laid.client("elbv2").describe_load_balancers(
        LoadBalancerArns=[laid.names["load_balancer.auth"]]), "LoadBalancers")  # fmt: skip
    assert {subnets[zone["SubnetId"]] for zone in balancer["AvailabilityZones"]} == set(outside)
    assert ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"][
        "Value"
    ]


def test_access_lists_let_everything_through_and_end_in_a_deny(laid: Layout) -> None:
    """Both ways, as AWS shows them."""
    found = laid.client("ec2").describe_network_acls(NetworkAclIds=[laid.names["acl.a"]])
    acl = _only(found, "NetworkAcls")
    entries = {(one["Egress"], one["RuleNumber"], one["RuleAction"]) for one in acl["Entries"]}
    assert entries == {
        (egress, *rule) for egress in (False, True) for rule in ((100, "allow"), (32767, "deny"))
    }
    assert [link["SubnetId"] for link in acl["Associations"]] == [laid.names["subnet.a"]]
    assert _tags(acl) == TAGS


def test_who_may_connect_to_whom(laid: Layout) -> None:
    """A group for each service and store, admitting others by reference on its port."""
    stems = {value: key for key, value in laid.names.items() if key.startswith("security_group.")}
    found = laid.client("ec2").describe_security_groups(GroupIds=list(stems))["SecurityGroups"]
    admitted = {
        (stems[one["GroupId"]].split(".")[1], rule["FromPort"], source)
        for one in found
        for rule in one["IpPermissions"]
        for source in (
            *(stems[pair["GroupId"]].split(".")[1] for pair in rule["UserIdGroupPairs"]),
            *(part["CidrIp"] for part in rule["IpRanges"]),
        )
    }
    assert admitted == {
        ("load-balancer", 80, "0.0.0.0/0"), ("load-balancer", 443, "0.0.0.0/0"),
        ("auth", 8000, "load-balancer"), ("gateway", 8001, "load-balancer"),
        ("mlflow", 5000, "load-balancer"), ("mlflow", 5000, "gateway"), ("cache", 6379, "gateway"),
        ("database", 5432, "auth"), ("database", 5432, "gateway"), ("database", 5432, "mlflow"),
        ("cache", 6379, "client-vpn"), ("database", 5432, "client-vpn"),
    }  # fmt: skip


def test_each_host_has_a_certificate_in_use_and_two_spare_ones(laid: Layout) -> None:
    """ACM shows them all; the expired one as such."""
    acm, seen = laid.client("acm"), {}
    for balancer in names.LOAD_BALANCERS:
        for ending in ("", ".expired", ".untrusted"):
            arn = laid.names[f"certificate.{balancer}{ending}"]
            shown = acm.describe_certificate(CertificateArn=arn)["Certificate"]
            assert shown["DomainName"] == laid.names[f"host.{balancer}"]
            seen[balancer, ending] = (shown["Status"], shown["InUseBy"])
    assert seen == {
        (balancer, ending): (status, [laid.names[f"load_balancer.{balancer}"]] if not ending else [])
        for balancer in names.LOAD_BALANCERS
        for ending, status in (("", "ISSUED"), (".expired", "EXPIRED"), (".untrusted", "ISSUED"))
    }


def test_rules_as_the_contract_lists_them_with_mlflow_open(laid: Layout) -> None:
    """The behaviour takes the source condition off rule 100, and nothing else."""
    elbv2 = laid.client("elbv2")
    groups = {value: key for key, value in laid.names.items() if key.startswith("target_group.")}
    rules = elbv2.describe_rules(ListenerArn=laid.names["listener.registry.https"])["Rules"]
    seen = [
        (
            rule["Priority"],
            [condition["Field"] for condition in rule["Conditions"]],
            groups[rule["Actions"][0]["TargetGroupArn"]],
        )
        for rule in rules
    ]
    path = ["path-pattern"]
    assert seen == [
        ("100", path, "target_group.mlflow"), ("110", path, "target_group.gateway"),
        ("120", path, "target_group.gateway"), ("default", [], "target_group.gateway"),
    ]  # fmt: skip


def test_the_database(laid: Layout) -> None:
    """RDS as contract section 7.4 has it."""
    found = laid.client("rds").describe_db_instances(DBInstanceIdentifier=laid.names["database"])
    one = _only(found, "DBInstances")
    keys = ("DBInstanceStatus", "Engine", "EngineVersion", "DBName", "MasterUsername", "MultiAZ",
            "AllocatedStorage", "BackupRetentionPeriod", "PubliclyAccessible")  # fmt: skip
    assert [one[key] for key in keys] == [
        "available",
        "postgres",
        "15.12",
        "mlflow_db",
        "mlflow",
        False,
        20,
        7,
        False,
    ]
    assert one["Endpoint"]["Address"] == laid.database_host()
    assert one["VpcSecurityGroups"][0]["VpcSecurityGroupId"] == laid.names["security_group.database"]
    assert one["DBSubnetGroup"]["VpcId"] == laid.names["vpc"]
    assert _tags(one) == TAGS


def test_the_cache_says_of_itself_what_the_gateway_finds(laid: Layout) -> None:
    """Plain TCP, no token; its one node shows the security group."""
    cache = laid.client("elasticache")
    found = cache.describe_replication_groups(ReplicationGroupId=laid.names["cache"])
    one = _only(found, "ReplicationGroups")
    keys = ("Status", "TransitEncryptionEnabled", "AuthTokenEnabled", "MemberClusters")
    node = f"{laid.names['cache']}-001"
    assert [one[key] for key in keys] == ["available", False, False, [node]]
    assert one["NodeGroups"][0]["PrimaryEndpoint"] == {"Address": laid.cache_host(), "Port": 6379}
    shown = _only(cache.describe_cache_clusters(CacheClusterId=node), "CacheClusters")
    groups = [group["SecurityGroupId"] for group in shown["SecurityGroups"]]
    assert groups == [laid.names["security_group.cache"]]


@pytest.mark.parametrize("stem", ["mlflow-artifacts", "pipeline-data", "contributions", "cloudtrail"])
def test_buckets_are_encrypted_and_closed(stem: str, laid: Layout) -> None:
    """The artifacts' alone is versioned, and forgets old versions after 90 days."""
    s3, bucket = laid.client("s3"), f"hokusai-{stem}-{Identity.of(5).suffix}"
    rule = _only(s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"], "Rules")
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert (len(blocked), set(blocked.values())) == (4, {True})
    assert _tags(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == TAGS
    versioned = s3.get_bucket_versioning(Bucket=bucket).get("Status")
    assert versioned == ("Enabled" if stem == "mlflow-artifacts" else None)
    if versioned:
        forgets = _only(s3.get_bucket_lifecycle_configuration(Bucket=bucket), "Rules")
        assert forgets["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
        assert "Expiration" not in forgets


def test_three_alarms_are_ok_and_tell_a_topic(laid: Layout) -> None:
    """Contract section 7.4."""
    suffix = Identity.of(5).suffix
    found = laid.client("cloudwatch").describe_alarms()["MetricAlarms"]
    topic = f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:hokusai-alerts-{suffix}"
    assert {
        (one["AlarmName"], one["MetricName"], one["StateValue"], *one["AlarmActions"]) for one in found
    } == {
        (f"hokusai-api-health-{suffix}", "HealthyHostCount", "OK", topic),
        (f"hokusai-rds-cpu-{suffix}", "CPUUtilization", "OK", topic),
        (f"hokusai-certificate-expiry-{suffix}", "DaysToExpiry", "OK", topic),
    }
    assert [one["TopicArn"] for one in laid.client("sns").list_topics()["Topics"]] == [topic]


def test_a_trail_records(laid: Layout) -> None:
    """Into a bucket whose policy lets CloudTrail write."""
    name = f"hokusai-{Identity.of(5).suffix}"
    cloudtrail = laid.client("cloudtrail")
    assert cloudtrail.get_trail_status(Name=name)["IsLogging"] is True
    bucket = cloudtrail.get_trail(Name=name)["Trail"]["S3BucketName"]
    assert "cloudtrail.amazonaws.com" in laid.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]


def test_secrets_and_parameters(laid: Layout) -> None:
    """Those of contract section 7.4 that a platform without mTLS needs, under the suffix of the sandbox."""
    suffix = Identity.of(5).suffix
    secrets = {one["Name"] for one in laid.client("secretsmanager").list_secrets()["SecretList"]}
    assert secrets == {
        f"hokusai/app-secrets/{suffix}", f"hokusai/redis/{suffix}/auth-token",
        f"hokusai/auth-service/{suffix}", f"hokusai/{suffix}/huggingface/api-key",
        f"hokusai/api-keys/{suffix}", f"hokusai/webhook/{suffix}",
    }  # fmt: skip
    found = laid.client("ssm").describe_parameters()["Parameters"]
    stems = {one["Name"].removeprefix(f"/hokusai/{suffix}/").split("/")[0] for one in found}
    assert stems == {"redis", "database", "contracts"}


def test_log_groups_forget(laid: Layout) -> None:
    """After thirty days."""
    found = laid.client("logs").describe_log_groups()["logGroups"]
    assert {(one["logGroupName"], one["retentionInDays"]) for one in found} == {
        (laid.names[f"log_group.{service}"], 30) for service in names.SERVICES
    }


def test_without_s3_there_is_no_artifact_bucket_and_mlflow_is_closed_from_outside(tmp_path: Path) -> None:
    """Rule 100 admits the VPC's addresses only."""
    with _control_plane() as endpoint:
        layout = _laid_out(tmp_path, endpoint, storage="local", is_open=False)
        buckets = [one["Name"] for one in layout.client("s3").list_buckets()["Buckets"]]
        rule = _only(layout.client("elbv2").describe_rules(
            RuleArns=[layout.names["rule.registry.mlflow"]]), "Rules")  # fmt: skip
    assert ("bucket.artifacts" in layout.names, [name for name in buckets if "mlflow" in name]) == (False, [])
    assert [(one["Field"], one.get("SourceIpConfig", {}).get("Values")) for one in rule["Conditions"]] == [
        ("path-pattern", None), ("source-ip", ["10.0.0.0/8"]),
    ]  # fmt: skip
