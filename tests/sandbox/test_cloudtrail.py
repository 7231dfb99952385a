"""The event history: which calls it holds, how they are named, what they show, and how they are looked up."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_kit import KEYS, Kit, aws_client, refusal, served
from botocore.exceptions import ClientError

from hokusai_probe.sandbox.aws_calls import Call
from hokusai_probe.sandbox.aws_server import ADMIN, PROBER
from hokusai_probe.sandbox.cloudtrail import Question, page
from hokusai_probe.sandbox.cloudtrail_event import Event, Resource, shown_params

HUSH = "hush-nobody-may-see-this"


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    """A control plane that records from the start."""
    with served() as plane:
        plane.history.start()
        yield plane


def newest(kit: Kit) -> Event:
    """The event of the last call."""
    return kit.history.events()[0]


def record(kit: Kit) -> dict[str, Any]:
    """The last call's event as CloudTrail's own JSON."""
    return dict(json.loads(newest(kit).document))


BUCKET = "bucket-of-the-history"
ROLE = json.dumps({"Version": "2012-10-17", "Statement": []})
BLOCK = {"BlockPublicAcls": True}

WRITES: list[tuple[str, Callable[[Any], object], str, str]] = [
    ("ec2", lambda c: c.create_vpc(CidrBlock="10.0.0.0/16"), "CreateVpc", "ec2"),
    ("ecs", lambda c: c.create_cluster(clusterName="c"), "CreateCluster", "ecs"),
    (
        "elbv2",
        lambda c: c.create_target_group(Name="t", TargetType="lambda"),
        "CreateTargetGroup",
        "elasticloadbalancing",
    ),
    (
        "rds",
        lambda c: c.create_db_parameter_group(
            DBParameterGroupName="p", DBParameterGroupFamily="postgres15", Description="d"
        ),
        "CreateDBParameterGroup",
        "rds",
    ),
    (
        "elasticache",
        lambda c: c.create_cache_subnet_group(
            CacheSubnetGroupName="s", CacheSubnetGroupDescription="d", SubnetIds=["subnet-1"]
        ),
        "CreateCacheSubnetGroup",
        "elasticache",
    ),
    ("iam", lambda c: c.create_role(RoleName="r", AssumeRolePolicyDocument=ROLE), "CreateRole", "iam"),
    ("cloudwatch", lambda c: c.delete_alarms(AlarmNames=["a"]), "DeleteAlarms", "monitoring"),
    ("logs", lambda c: c.create_log_group(logGroupName="/g"), "CreateLogGroup", "logs"),
    (
        "secretsmanager",
        lambda c: c.create_secret(Name="s", SecretString=HUSH),
        "CreateSecret",
        "secretsmanager",
    ),
    ("ssm", lambda c: c.put_parameter(Name="/p", Value=HUSH, Type="String"), "PutParameter", "ssm"),
    ("acm", lambda c: c.request_certificate(DomainName="x.test"), "RequestCertificate", "acm"),
    (
        "servicediscovery",
        lambda c: c.create_http_namespace(Name="n"),
        "CreateHttpNamespace",
        "servicediscovery",
    ),
    (
        "route53",
        lambda c: c.create_hosted_zone(Name="x.test", CallerReference="1"),
        "CreateHostedZone",
        "route53",
    ),
    ("ecr", lambda c: c.create_repository(repositoryName="repository"), "CreateRepository", "ecr"),
    (
        "application-autoscaling",
        lambda c: c.deregister_scalable_target(
            ServiceNamespace="ecs",
            ResourceId="service/c/s",
            ScalableDimension="ecs:service:DesiredCount",
        ),
        "DeregisterScalableTarget",
        "autoscaling",
    ),
    ("s3", lambda c: c.create_bucket(Bucket=BUCKET), "CreateBucket", "s3"),
    (
        "s3",
        lambda c: c.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=BLOCK),
        "PutBucketPublicAccessBlock",
        "s3",
    ),
    (
        "sts",
        lambda c: c.assume_role(RoleArn="arn:aws:iam::1:role/r", RoleSessionName="me"),
        "AssumeRole",
        "sts",
    ),
]
"""One call of each service that the platform is made of, in every protocol of AWS."""


@pytest.mark.parametrize(("service", "call", "name", "source"), WRITES)
def test_each_service_is_named_as_cloudtrail_names_it(
    kit: Kit, service: str, call: Callable[[Any], object], name: str, source: str
) -> None:
    """Event name and source are AWS's, whatever protocol the service speaks, refused calls included."""
    with suppress(ClientError):
        call(kit.client(service))
    event = newest(kit)
    assert (event.name, event.source, event.user) == (name, f"{source}.amazonaws.com", ADMIN)


READS: list[tuple[str, Callable[[Any], object], str]] = [
    ("ec2", lambda c: c.describe_vpcs(), "DescribeVpcs"),
    ("ecs", lambda c: c.list_clusters(), "ListClusters"),
    ("iam", lambda c: c.list_users(), "ListUsers"),
    ("secretsmanager", lambda c: c.get_secret_value(SecretId="s"), "GetSecretValue"),
    ("sts", lambda c: c.get_caller_identity(), "GetCallerIdentity"),
]


@pytest.mark.parametrize(("service", "call", "name"), READS)
def test_reads_are_events_too_and_say_so(
    kit: Kit, service: str, call: Callable[[Any], object], name: str
) -> None:
    """Management events are reads as well as writes; the prober is a user of its own."""
    with suppress(ClientError):
        call(kit.client(service, PROBER))
    event = newest(kit)
    assert (event.name, event.read_only, event.user) == (name, True, PROBER)


def test_writes_are_not_read_only(kit: Kit) -> None:
    """A change says so in the event and in its record."""
    kit.client("ecs").create_cluster(clusterName="written")
    assert (newest(kit).read_only, record(kit)["readOnly"]) == (False, False)


def test_data_events_are_not_in_the_history(kit: Kit) -> None:
    """Objects of S3, log events and metric data leave no trace, nor does what nobody signed."""
    s3, logs = kit.client("s3"), kit.client("logs")
    s3.create_bucket(Bucket="data-events")
    logs.create_log_group(logGroupName="/data")
    logs.create_log_stream(logGroupName="/data", logStreamName="s")
    before = kit.history.events()
    s3.put_object(Bucket="data-events", Key="k", Body=b"x")
    s3.list_objects_v2(Bucket="data-events")
    s3.delete_object(Bucket="data-events", Key="k")
    logs.put_log_events(logGroupName="/data", logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}])
    kit.client("cloudwatch").put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}])
    assert kit.history.events() == before


def test_what_happened_before_the_start_is_not_shown() -> None:
    """The history begins when the platform is up."""
    with served() as plane:
        plane.client("ecs").create_cluster(clusterName="before")
        plane.history.start()
        plane.client("ecs").create_cluster(clusterName="after")
        assert [record(plane)["requestParameters"], len(plane.history.events())] == [
            {"clusterName": "after"},
            1,
        ]


def test_the_record_is_whole(kit: Kit) -> None:
    """Who, what, when, on what, as the user guide has it."""
    ec2 = kit.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    pairs, ranges = [{"GroupId": group}], [{"CidrIp": "10.0.0.0/8"}]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 81,
        "UserIdGroupPairs": pairs,
        "IpRanges": ranges,
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    got = record(kit)
    for volatile in ("eventTime", "requestID", "eventID", "userAgent"):
        assert got.pop(volatile)
    principal = got["userIdentity"].pop("principalId")
    assert principal
    assert got == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "arn": f"arn:aws:iam::{kit.account}:user/infra-admin",
            "accountId": kit.account,
            "accessKeyId": KEYS[ADMIN],
            "userName": "infra-admin",
        },
        "eventSource": "ec2.amazonaws.com",
        "eventName": "AuthorizeSecurityGroupIngress",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "requestParameters": {
            "groupId": group,
            "ipPermissions": {
                "items": [
                    {
                        "ipProtocol": "tcp",
                        "fromPort": 80,
                        "toPort": 81,
                        "groups": {"items": [{"groupId": group}]},
                        "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]},
                    }
                ]
            },
        },
        "responseElements": None,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": kit.account,
        "eventCategory": "Management",
    }


def test_a_refused_call_says_why(kit: Kit) -> None:
    """Error code and message of the answer; EC2's codes with their prefix."""
    said = refusal(lambda: kit.client("ecs").update_service(cluster="nowhere", service="x"))
    ecs = record(kit)
    refusal(lambda: kit.client("ec2").delete_vpc(VpcId="vpc-00000000000000000"))
    ec2 = record(kit)
    assert (ecs["errorCode"], ecs["errorMessage"]) == said[1:]
    assert ec2["errorCode"] == "Client.InvalidVpcID.NotFound"


def test_an_assumed_role_is_named_by_its_session(kit: Kit) -> None:
    """Temporary keys belong to the role's session."""
    kit.client("iam").create_role(RoleName="worn", AssumeRolePolicyDocument=ROLE)
    arn = f"arn:aws:iam::{kit.account}:role/worn"
    keys = kit.client("sts").assume_role(RoleArn=arn, RoleSessionName="by-me")["Credentials"]
    aws_client("ecs", kit.endpoint, keys["AccessKeyId"]).create_cluster(clusterName="by-a-role")
    identity = record(kit)["userIdentity"]
    assert (newest(kit).user, identity["type"]) == ("by-me", "AssumedRole")
    assert identity["arn"] == f"arn:aws:sts::{kit.account}:assumed-role/worn/by-me"


@pytest.mark.parametrize(
    ("service", "params", "shown"),
    [
        (
            "rds",
            {"DBInstanceIdentifier": "db", "MasterUserPassword": HUSH},
            {"dBInstanceIdentifier": "db", "masterUserPassword": "****"},
        ),
        ("secretsmanager", {"SecretId": "s", "SecretString": HUSH}, {"secretId": "s"}),
        (
            "ssm",
            {"Name": "/p", "Value": HUSH},
            {"name": "/p", "value": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        ),
        ("acm", {"PrivateKey": HUSH.encode(), "CertificateArn": "arn"}, {"certificateArn": "arn"}),
        ("elasticache", {"AuthToken": HUSH, "Port": 1}, {"authToken": "****", "port": 1}),
        ("iam", {"UserName": "u", "Password": HUSH}, {"userName": "u"}),
        (
            "ecs",
            {"containerDefinitions": [{"environment": [{"name": "A", "value": HUSH}]}]},
            {
                "containerDefinitions": [
                    {"environment": [{"name": "A", "value": "HIDDEN_DUE_TO_SECURITY_REASONS"}]}
                ]
            },
        ),
    ],
)
def test_secrets_are_not_shown(service: str, params: dict[str, object], shown: dict[str, object]) -> None:
    """Left out, starred or hidden; names begin in lower case."""
    assert shown_params(Call(service, service, "Any", params)) == shown


def test_no_secret_of_any_call_is_in_the_history(kit: Kit) -> None:
    """Through real requests: secrets, parameters, passwords, environments."""
    kit.client("secretsmanager").create_secret(Name="real", SecretString=HUSH)
    kit.client("secretsmanager").put_secret_value(SecretId="real", SecretString=HUSH)
    kit.client("ssm").put_parameter(Name="/real", Value=HUSH, Type="SecureString")
    environment = [{"name": "TOKEN", "value": HUSH}]
    container = {"name": "c", "image": "i", "memory": 1, "environment": environment}
    kit.client("ecs").register_task_definition(family="f", containerDefinitions=[container])
    assert [event.name for event in kit.history.events()[:4]] == [
        "RegisterTaskDefinition",
        "PutParameter",
        "PutSecretValue",
        "CreateSecret",
    ]
    assert HUSH not in str(kit.history.events())


def look_up(kit: Kit, **params: object) -> list[str]:
    """The names of the events that LookupEvents gives, all pages."""
    pages = kit.client("cloudtrail").get_paginator("lookup_events").paginate(**params)
    return [event["EventName"] for part in pages for event in part["Events"]]


def by(key: str, value: str) -> list[dict[str, str]]:
    """One lookup attribute."""
    return [{"AttributeKey": key, "AttributeValue": value}]


@pytest.fixture
def told() -> Iterator[Kit]:
    """A control plane with a short story: two users, three services, a read."""
    with served() as plane:
        plane.history.start()
        plane.client("ecs").create_cluster(clusterName="first")
        plane.client("logs", PROBER).create_log_group(logGroupName="/told")
        plane.client("secretsmanager").create_secret(Name="told", SecretString=HUSH)
        plane.client("secretsmanager").delete_secret(SecretId="told")
        plane.client("ecs", PROBER).list_clusters()
        yield plane


def test_looking_up_by_every_attribute(told: Kit) -> None:
    """Newest first; one attribute selects."""
    everything = ["ListClusters", "DeleteSecret", "CreateSecret", "CreateLogGroup", "CreateCluster"]
    newest_id = newest(told).id
    assert look_up(told) == everything
    assert look_up(told, LookupAttributes=by("EventName", "CreateSecret")) == ["CreateSecret"]
    assert look_up(told, LookupAttributes=by("EventSource", "ecs.amazonaws.com")) == [
        "ListClusters",
        "CreateCluster",
    ]
    assert look_up(told, LookupAttributes=by("ResourceName", "told")) == ["DeleteSecret", "CreateSecret"]
    assert look_up(told, LookupAttributes=by("ResourceType", "AWS::Logs::LogGroup")) == ["CreateLogGroup"]
    assert look_up(told, LookupAttributes=by("Username", PROBER)) == ["ListClusters", "CreateLogGroup"]
    assert look_up(told, LookupAttributes=by("AccessKeyId", KEYS[PROBER])) == [
        "ListClusters",
        "CreateLogGroup",
    ]
    assert look_up(told, LookupAttributes=by("EventId", newest_id)) == ["ListClusters"]
    assert look_up(told, LookupAttributes=by("ReadOnly", "false")) == everything[1:]


def test_looking_up_by_time(told: Kit) -> None:
    """Both ends belong to the range."""
    now = datetime.now(UTC)
    past, ahead = now - timedelta(hours=1), now + timedelta(hours=1)
    assert len(look_up(told, StartTime=past, EndTime=ahead)) == 5
    assert look_up(told, StartTime=ahead) == []
    assert look_up(told, EndTime=past) == []


def test_what_boto3_reads_of_an_event(told: Kit) -> None:
    """All members of the API reference."""
    cloudtrail = told.client("cloudtrail")
    got = cloudtrail.lookup_events(LookupAttributes=by("EventName", "DeleteSecret"))["Events"][0]
    when = got.pop("EventTime")
    assert abs((datetime.now(UTC) - when).total_seconds()) < 30
    document = json.loads(got.pop("CloudTrailEvent"))
    assert document["eventID"] == got.pop("EventId")
    assert document["eventTime"] == when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert got == {
        "EventName": "DeleteSecret",
        "ReadOnly": "false",
        "AccessKeyId": KEYS[ADMIN],
        "EventSource": "secretsmanager.amazonaws.com",
        "Username": ADMIN,
        "Resources": [{"ResourceName": "told", "ResourceType": "AWS::SecretsManager::Secret"}],
    }


def test_the_platforms_clock_dates_the_events() -> None:
    """Where the platform's clock is behind, so are its events."""
    with served(offset_s=4000) as plane:
        plane.history.start()
        plane.client("ecs").list_clusters()
        behind = datetime.now(UTC) - newest(plane).time
    assert behind.total_seconds() == pytest.approx(4000, abs=5)


def test_pages_follow_one_another_while_events_come_in(told: Kit) -> None:
    """A token goes on after the last event shown, wherever that is by now."""
    cloudtrail = told.client("cloudtrail")
    first = cloudtrail.lookup_events(MaxResults=2)
    told.client("ecs").create_cluster(clusterName="meanwhile")
    second = cloudtrail.lookup_events(MaxResults=2, NextToken=first["NextToken"])
    third = cloudtrail.lookup_events(MaxResults=2, NextToken=second["NextToken"])
    names = [[event["EventName"] for event in one["Events"]] for one in (first, second, third)]
    assert names == [["ListClusters", "DeleteSecret"], ["CreateSecret", "CreateLogGroup"], ["CreateCluster"]]
    assert "NextToken" not in third


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"NextToken": "made-up"}, "InvalidNextTokenException"),
        (
            {"StartTime": datetime(2026, 1, 2, tzinfo=UTC), "EndTime": datetime(2026, 1, 1, tzinfo=UTC)},
            "InvalidTimeRangeException",
        ),
        (
            {"LookupAttributes": by("EventName", "a") + by("ReadOnly", "true")},
            "InvalidLookupAttributesException",
        ),
    ],
)
def test_questions_that_lookup_events_refuses(kit: Kit, params: dict[str, object], code: str) -> None:
    """Each with its own error."""
    assert refusal(lambda: kit.client("cloudtrail").lookup_events(**params))[1] == code


def test_insight_events_there_are_none(kit: Kit) -> None:
    """The one category that can be asked for beside management events is empty."""
    assert look_up(kit, EventCategory="insight") == []


def test_a_region_has_its_own_events() -> None:
    """Events are looked up where they happened."""
    event = Event(
        "1", "CreateVpc", "ec2.amazonaws.com", datetime(2026, 1, 1, tzinfo=UTC), False, "u", "k",
        "us-east-1", (Resource("vpc-1"),), "{}",
    )  # fmt: skip
    assert page([event], Question("us-east-1"), 50, "") == ([event], "")
    assert page([event], Question("us-west-2"), 50, "") == ([], "")


def test_simulating_what_a_principal_may_do(kit: Kit) -> None:
    """Allowed, denied by nobody's leave, denied outright; for roles and for the sandbox's own users."""
    iam = kit.client("iam")
    iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=ROLE)
    statements = [
        {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"},
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/private"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName="simulated", PolicyName="p", PolicyDocument=policy)
    role, user = (f"arn:aws:iam::{kit.account}:{name}" for name in ("role/simulated", f"user/{PROBER}"))

    def decisions(arn: str, *actions: str, resource: str = "*") -> list[str]:
        answer = iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=list(actions), ResourceArns=[resource]
        )
        return [one["EvalDecision"] for one in answer["EvaluationResults"]]

    assert decisions(role, "s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::b/k") == [
        "allowed",
        "implicitDeny",
    ]
    assert decisions(role, "s3:GetObject", resource="arn:aws:s3:::b/private") == ["explicitDeny"]
    assert decisions(user, "ecs:DescribeServices", "ecs:UpdateService", "secretsmanager:GetSecretValue") == [
        "allowed",
        "implicitDeny",
        "explicitDeny",
    ]
    custom = iam.simulate_custom_policy(PolicyInputList=[policy], ActionNames=["s3:GetObject"])
    assert [one["EvalDecision"] for one in custom["EvaluationResults"]] == ["implicitDeny"]
    nobody = f"arn:aws:iam::{kit.account}:role/nobody"
    assert refusal(lambda: decisions(nobody, "s3:GetObject"))[:2] == (404, "NoSuchEntity")


def test_lists_of_what_never_happened_are_empty(kit: Kit) -> None:
    """Calls that the control plane alone would answer with a 500."""
    scaling = kit.client("application-autoscaling")
    assert scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"] == []
    assert kit.client("elasticache").describe_events()["Events"] == []
    assert kit.client("rds").describe_events()["Events"] == []
