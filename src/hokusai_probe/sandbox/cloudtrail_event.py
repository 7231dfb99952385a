"""An event of CloudTrail's history, made from a request to the control plane and its answer.

Sources: the CloudTrail user guide, "CloudTrail record contents for management, data, and network activity
events" and "Global service events"; the S3 user guide, "Amazon S3 CloudTrail events".

The history holds management events, reads as well as writes, and no data events: objects of S3, log events,
metric data. Secrets are left out of the parameters; a password of RDS or ElastiCache shows as ``****``, the
value of an SSM parameter or of a variable in a task definition's environment as hidden.
"""

import dataclasses
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from botocore.parsers import create_parser

from hokusai_probe.sandbox.aws_calls import Call, Raw, Scope, protocol_of, read_call

_GLOBAL = frozenset({"iam", "route53", "sts", "cloudfront"})
_GLOBAL_REGION = "us-east-1"
"""Where the events of services without a region are ("Global service events" of the user guide)."""

_SOURCES = {"api.ecr": "ecr", "application-autoscaling": "autoscaling"}
"""Event sources that are not the endpoint's name."""

_EVENT_NAMES = {
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
"""S3's own names of some events ("Amazon S3 CloudTrail events")."""

_DATA_CALLS = frozenset(
    {
        ("cloudwatch", "GetMetricData"),
        ("cloudwatch", "GetMetricStatistics"),
        ("cloudwatch", "GetMetricWidgetImage"),
        ("cloudwatch", "ListMetrics"),
        ("cloudwatch", "PutMetricData"),
        ("logs", "PutLogEvents"),
        ("servicediscovery", "DiscoverInstances"),
        ("servicediscovery", "DiscoverInstancesRevision"),
        ("sns", "Publish"),
        ("sqs", "ReceiveMessage"),
        ("sqs", "SendMessage"),
    }
)
_READS = re.compile(
    r"(Describe|Discover|Filter|Get|Head|List|Lookup|Search|Simulate|Test|Validate|View)[A-Z].*"
)
_RENAMED = {("ec2", "UserIdGroupPairs"): "groups"}
"""Parameters whose name in an event is not that of the API."""

_READS_TOO = frozenset({"AssumeRole", "BatchGetImage", "BatchCheckLayerAvailability"})

_DROPPED = re.compile(
    r"secret(string|binary)|private_?key|password|auth_?token|session_?token", re.IGNORECASE
)
_HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
_STARS = "****"

_TYPES: Mapping[str, Mapping[str, str]] = {
    "acm": {"CertificateArn": "AWS::ACM::Certificate"},
    "ec2": {
        "GroupId": "AWS::EC2::SecurityGroup",
        "InstanceId": "AWS::EC2::Instance",
        "NetworkAclId": "AWS::EC2::NetworkAcl",
        "RouteTableId": "AWS::EC2::RouteTable",
        "SubnetId": "AWS::EC2::Subnet",
        "VpcId": "AWS::EC2::VPC",
    },
    "ecs": {
        "cluster": "AWS::ECS::Cluster",
        "clusterName": "AWS::ECS::Cluster",
        "family": "AWS::ECS::TaskDefinition",
        "service": "AWS::ECS::Service",
        "serviceName": "AWS::ECS::Service",
        "task": "AWS::ECS::Task",
        "taskDefinition": "AWS::ECS::TaskDefinition",
    },
    "elasticache": {
        "CacheClusterId": "AWS::ElastiCache::CacheCluster",
        "ReplicationGroupId": "AWS::ElastiCache::ReplicationGroup",
    },
    "elbv2": {
        "CertificateArn": "AWS::ACM::Certificate",
        "ListenerArn": "AWS::ElasticLoadBalancingV2::Listener",
        "LoadBalancerArn": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "RuleArn": "AWS::ElasticLoadBalancingV2::ListenerRule",
        "TargetGroupArn": "AWS::ElasticLoadBalancingV2::TargetGroup",
    },
    "iam": {
        "PolicyArn": "AWS::IAM::Policy",
        "PolicyName": "AWS::IAM::Policy",
        "RoleName": "AWS::IAM::Role",
        "UserName": "AWS::IAM::User",
    },
    "logs": {"logGroupName": "AWS::Logs::LogGroup"},
    "rds": {"DBInstanceIdentifier": "AWS::RDS::DBInstance", "DBSnapshotIdentifier": "AWS::RDS::DBSnapshot"},
    "route53": {"HostedZoneId": "AWS::Route53::HostedZone"},
    "s3": {"Bucket": "AWS::S3::Bucket"},
    "secretsmanager": {"Name": "AWS::SecretsManager::Secret", "SecretId": "AWS::SecretsManager::Secret"},
    "servicediscovery": {
        "Id": "AWS::ServiceDiscovery::Service",
        "NamespaceId": "AWS::ServiceDiscovery::Namespace",
        "ServiceId": "AWS::ServiceDiscovery::Service",
    },
    "ssm": {"Name": "AWS::SSM::Parameter"},
}
"""Which parameters name resources, and of which type."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that a call names; ``type`` is empty where it is not known."""

    name: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the history."""

    id: str
    name: str
    source: str
    time: datetime  # UTC, whole seconds
    read_only: bool
    user: str
    access_key_id: str
    region: str
    resources: tuple[Resource, ...]
    document: str  # the whole event as JSON

    def has(self, attribute: str, value: str) -> bool:
        """Whether a lookup attribute of the event has this value."""
        if attribute == "ResourceName":
            return any(one.name == value for one in self.resources)
        if attribute == "ResourceType":
            return any(one.type == value for one in self.resources)
        own = {
            "EventId": self.id,
            "EventName": self.name,
            "EventSource": self.source,
            "ReadOnly": flag(self.read_only),
            "Username": self.user,
            "AccessKeyId": self.access_key_id,
        }
        return own[attribute] == value


ATTRIBUTES = frozenset(
    (
        "AccessKeyId",
        "EventId",
        "EventName",
        "EventSource",
        "ReadOnly",
        "ResourceName",
        "ResourceType",
        "Username",
    )
)
"""What LookupEvents can look up by."""


def flag(value: bool) -> str:  # noqa: FBT001 - its one argument is what it is about
    """``true`` or ``false``, as CloudTrail writes it."""
    return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A signed request and its answer, as they came."""

    at: datetime
    raw: Raw
    scope: Scope
    status: int
    headers: Mapping[str, str]
    body: bytes
    peer: str


def _is_management(call: Call) -> bool:
    if call.service == "s3":
        return "Bucket" in call.operation or "PublicAccessBlock" in call.operation
    return (call.service, call.operation) not in _DATA_CALLS


def event_of(exchange: Exchange, identity: Mapping[str, str]) -> Event | None:
    """The event of a call; None for a call that the history does not hold, or that nobody knows.

    Args:
        exchange: The call and its answer.
        identity: ``userIdentity`` of the record, without the access key.

    """
    call = read_call(exchange.raw, exchange.scope)
    if call is None or not _is_management(call):
        return None
    name = _EVENT_NAMES.get(call.operation, call.operation) if call.service == "s3" else call.operation
    event = Event(
        id=str(uuid.uuid4()),
        name=name,
        source=f"{_SOURCES.get(call.endpoint, call.endpoint)}.amazonaws.com",
        time=exchange.at,
        read_only=bool(_READS.fullmatch(name)) or name in _READS_TOO,
        user=identity.get("userName", "") or identity["arn"].rpartition("/")[2],
        access_key_id=exchange.scope.access_key_id,
        region=_GLOBAL_REGION if call.service in _GLOBAL else exchange.scope.region,
        resources=tuple(dict.fromkeys(_resources(call.params, _TYPES.get(call.service, {})))),
        document="",
    )
    return dataclasses.replace(event, document=json.dumps(_document(event, call, exchange, identity)))


def _document(
    event: Event, call: Call, exchange: Exchange, identity: Mapping[str, str]
) -> Mapping[str, object]:
    """The record as the user guide has it."""
    shown = shown_params(call)
    return {
        "eventVersion": "1.11",
        "userIdentity": {**identity, "accessKeyId": event.access_key_id},
        "eventTime": event.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": event.source,
        "eventName": event.name,
        "awsRegion": event.region,
        "sourceIPAddress": exchange.peer,
        "userAgent": exchange.raw.header("User-Agent"),
        **_error(exchange, call.service),
        "requestParameters": shown or None,
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": event.id,
        "readOnly": event.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": identity["accountId"],
        "eventCategory": "Management",
    }


def _error(exchange: Exchange, service: str) -> Mapping[str, str]:
    if exchange.status < 400:
        return {}
    protocol = protocol_of(exchange.scope, exchange.raw.header("Content-Type"))
    said = _parser("rest-xml" if protocol == "s3" else protocol).parse(
        {"status_code": exchange.status, "headers": _lower(exchange.headers), "body": exchange.body}, None
    )
    code, message = str(said["Error"].get("Code", "")), str(said["Error"].get("Message", ""))
    return {"errorCode": f"Client.{code}" if service == "ec2" else code, "errorMessage": message}


@lru_cache(maxsize=8)
def _parser(protocol: str) -> Any:
    return create_parser(protocol)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def shown_params(call: Call) -> Mapping[str, object]:
    """The parameters as an event shows them: names begin in lower case, secrets are left out or hidden."""
    shown = _shown(call.params, call)
    assert isinstance(shown, dict)
    return shown


def _shown(value: object, call: Call) -> object:
    if isinstance(value, Mapping):
        kept = {
            key: _hidden(key, part, call) for key, part in value.items() if not _is_dropped(key, part, call)
        }
        return {_name(key, call): _shown(part, call) for key, part in kept.items()}
    if isinstance(value, (list, tuple)):
        parts = [_shown(part, call) for part in value]
        return {"items": parts} if call.service == "ec2" else parts
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    return value


def _name(key: str, call: Call) -> str:
    return _RENAMED.get((call.service, key)) or f"{key[:1].lower()}{key[1:]}"


def _is_dropped(key: str, value: object, call: Call) -> bool:
    return isinstance(value, bytes) or (bool(_DROPPED.search(key)) and not _is_shown_as_stars(key, call))


def _is_shown_as_stars(key: str, call: Call) -> bool:
    return call.service in ("rds", "elasticache") and "name" not in key.lower()


def _hidden(key: str, value: object, call: Call) -> object:
    if _DROPPED.search(key):
        return _STARS
    if call.service == "ssm" and key == "Value":
        return _HIDDEN
    if call.service == "ecs" and key == "environment" and isinstance(value, Sequence):
        return [{"name": entry.get("name", ""), "value": _HIDDEN} for entry in value]
    return value


def _resources(value: object, types: Mapping[str, str], key: str = "") -> Iterator[Resource]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _resources(part, types, str(name))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _resources(part, types, key.removesuffix("s"))
    elif isinstance(value, str) and (key in types or value.startswith("arn:aws:")):
        yield Resource(value, types.get(key, ""))
