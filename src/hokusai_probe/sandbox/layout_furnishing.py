"""What belongs to the healthy platform and no service needs to start: buckets, alarms, trail, parameters.

No alarm is evaluated here: each shows what it shows on the healthy platform, whatever a scenario does then.
"""

import json
import random
from collections.abc import Mapping

from moto.cloudtrail.models import cloudtrail_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends

from hokusai_probe.sandbox.identity import REGION, Identity
from hokusai_probe.sandbox.layout_network import tag_list, tags
from hokusai_probe.sandbox.layout_stores import lay_bucket, put_parameter
from hokusai_probe.sandbox.names import SERVICES

_LOG_DAYS = 30
_CONTRACTS = ("model-registry-address", "delta-verifier-address", "token-manager-address")


def furnish(identity: Identity, names: Mapping[str, str]) -> None:
    """Create it all; the services, load balancers and stores are there."""
    for stem in ("pipeline-data", "contributions"):
        lay_bucket(identity, identity.named(stem), stem)
    _trail(identity)
    _alarms(identity, names)
    _parameters(identity)
    for service in SERVICES:
        group = names[f"log_group.{service}"]
        logs_backends[identity.account][REGION].groups[group].retention_in_days = _LOG_DAYS


def _trail(identity: Identity) -> None:
    bucket, name = identity.named("cloudtrail"), identity.trail()
    lay_bucket(identity, bucket, "cloudtrail")
    s3_backends[identity.account]["aws"].put_bucket_policy(bucket, _trail_may_write(identity, bucket))
    cloudtrail = cloudtrail_backends[identity.account][REGION]
    cloudtrail.create_trail(
        name,
        bucket,
        s3_key_prefix="",
        sns_topic_name="",
        is_global=True,
        is_multi_region=True,
        log_validation=True,
        is_org_trail=False,
        cw_log_group_arn="",
        cw_role_arn="",
        kms_key_id="",
        tags_list=tag_list(identity, "trail"),
    )
    cloudtrail.start_logging(name)


def _trail_may_write(identity: Identity, bucket: str) -> bytes:
    """The bucket policy of "Amazon S3 bucket policy for CloudTrail"."""
    arn, service = f"arn:aws:s3:::{bucket}", {"Service": "cloudtrail.amazonaws.com"}
    condition = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": arn},
            {
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:PutObject",
                "Resource": f"{arn}/AWSLogs/{identity.account}/*",
                "Condition": condition,
            },
        ],
    }
    return json.dumps(policy).encode()


def _alarms(identity: Identity, names: Mapping[str, str]) -> None:
    sns = sns_backends[identity.account][REGION]
    topic = sns.create_topic(identity.named("alerts"), tags=tags(identity, "alerts")).arn
    balancer = names["load_balancer.registry"].partition("loadbalancer/")[2]
    group = names["target_group.gateway"].rpartition(":")[2]
    served = {"TargetGroup": group, "LoadBalancer": balancer}
    _alarm(identity, topic, "api-health", "AWS/ApplicationELB", "HealthyHostCount", served, below=1.0)
    database = {"DBInstanceIdentifier": names["database"]}
    _alarm(identity, topic, "rds-cpu", "AWS/RDS", "CPUUtilization", database, above=80.0)
    certificate = {"CertificateArn": names["certificate.registry"]}
    expiry = ("certificate-expiry", "AWS/CertificateManager", "DaysToExpiry")
    _alarm(identity, topic, *expiry, certificate, below=30.0)


def _alarm(
    identity: Identity,
    topic: str,
    stem: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str],
    *,
    above: float | None = None,
    below: float | None = None,
) -> None:
    cloudwatch, name = cloudwatch_backends[identity.account][REGION], identity.named(stem)
    daily = namespace == "AWS/CertificateManager"
    cloudwatch.put_metric_alarm(
        name,
        namespace,
        metric,
        "LessThanThreshold" if above is None else "GreaterThanThreshold",
        evaluation_periods=1 if daily else 2,
        period=86400 if daily else 60,
        threshold=above if above is not None else below or 0.0,
        statistic="Minimum" if above is None else "Average",
        description=f"{metric} of the platform",
        dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        alarm_actions=[topic],
        ok_actions=[topic],
        treat_missing_data="notBreaching" if daily else "breaching",
        tags=tag_list(identity, stem),
    )
    cloudwatch.set_alarm_state(name, "Threshold not crossed", "{}", "OK")


def _parameters(identity: Identity) -> None:
    draw = random.Random(f"contracts {identity.seed}")  # noqa: S311 - addresses of nothing
    for stem in _CONTRACTS:
        address = f"0x{draw.getrandbits(160):040x}"
        put_parameter(identity, f"/hokusai/{identity.suffix}/contracts/{stem}", address)
    secretsmanager_backends[identity.account][REGION].create_secret(
        f"hokusai/api-keys/{identity.suffix}",
        '{"api_keys": "[]"}',
        None,
        "keys of the API's own clients",
        tag_list(identity, "api-keys"),
        None,
        None,
        [],
        force_overwrite=False,
    )
