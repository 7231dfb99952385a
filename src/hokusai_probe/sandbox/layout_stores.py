"""The healthy platform's stores: database, cache, buckets, parameters.

The cache is without transit encryption and without an auth token, unlike the platform's (contract 7.4). What
AWS says of it has to be what is there: the sandbox's Redis speaks plain TCP and the gateway's REDIS_URL says
``redis://``. A group that claims TLS beside that URL is a defect (INC-39), not a healthy platform.

Created in moto's backends themselves: five clients and their models, two of a megabyte, cost a quarter of a
second of every start. Moto's elastic cache wants every parameter of the API named; what is not said is None,
which is what moto's own request handlers pass for it.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from moto.ec2.models import ec2_backends
from moto.elasticache.models import CacheCluster, ReplicationGroup, elasticache_backends
from moto.rds.models import rds_backends
from moto.s3.models import s3_backends
from moto.ssm.models import ssm_backends

from hokusai_probe.sandbox.identity import REGION, Identity
from hokusai_probe.sandbox.layout_network import tag_list, tags
from hokusai_probe.sandbox.placement import HOME

_T = TypeVar("_T")

CACHE_PORT = 6379
_NODE_TYPE = "cache.t3.micro"
_NONCURRENT_DAYS = "90"


def lay_database(identity: Identity, names: Mapping[str, str], password: str) -> str:
    """Create the database instance; returns the host name of its endpoint."""
    rds = rds_backends[identity.account][REGION]
    group = identity.named("database-subnets")
    ec2 = ec2_backends[identity.account][REGION]
    subnets = [ec2.get_subnet(names[f"subnet.{letter}"]) for letter in "ab"]
    rds.create_subnet_group(group, "private subnets", subnets, tag_list(identity, "database-subnets"))
    made = rds.create_db_instance(
        {
            "db_instance_identifier": names["database"],
            "db_instance_class": "db.t3.micro",
            "engine": "postgres",
            "engine_version": "15.12",
            "license_model": "postgresql-license",
            "allocated_storage": 20,
            "storage_type": "gp3",
            "storage_encrypted": True,
            "db_name": "mlflow_db",
            "master_username": "mlflow",
            "master_user_password": password,
            "backup_retention_period": 7,
            "multi_az": False,
            "publicly_accessible": False,
            "db_subnet_group_name": group,
            "vpc_security_group_ids": [names["security_group.database"]],
            "tags": tag_list(identity, "mlflow"),
        }
    )
    return str(made.address)


def lay_cache(identity: Identity, names: Mapping[str, str]) -> str:
    """Create the replication group and its one node; returns the host name of the primary endpoint."""
    cache = elasticache_backends[identity.account][REGION]
    subnets, group = identity.named("cache-subnets"), names["cache"]
    placed: dict[str, object] = {
        "cache_subnet_group_name": subnets,
        "security_group_ids": [names["security_group.cache"]],
        "cache_node_type": _NODE_TYPE,
        "engine": "redis",
        "engine_version": "7.0",
        "port": CACHE_PORT,
        "tags": tag_list(identity, "redis"),
        "auto_minor_version_upgrade": True,
        "snapshot_retention_limit": 0,
    }
    cache.create_cache_subnet_group(subnets, "private subnets", [names["subnet.a"], names["subnet.b"]], [])
    made: ReplicationGroup = _call(
        cache.create_replication_group,
        placed
        | {
            "replication_group_id": group,
            "replication_group_description": "key validations",
            "num_cache_clusters": 1,
            "automatic_failover_enabled": False,
            "transit_encryption_enabled": False,
            "at_rest_encryption_enabled": True,
            "node_group_configuration": [],
            "log_delivery_configurations": [],
        },
    )
    node: dict[str, object] = {
        "cache_cluster_id": f"{group}-001",
        "replication_group_id": group,
        "num_cache_nodes": 1,
    }
    shown: CacheCluster = _call(cache.create_cache_cluster, placed | node)
    groups = [{"security_group_id": names["security_group.cache"], "status": "active"}]
    zone = f"{REGION}{HOME['cache']}"
    shown.preferred_availability_zone = zone
    made.node_groups[0]["node_group_members"][0]["preferred_availability_zone"] = zone
    shown.security_groups = groups  # type: ignore[attr-defined]  # moto keeps the ids and shows none
    return str(made.node_groups[0]["primary_endpoint_address"])


def lay_bucket(identity: Identity, bucket: str, stem: str, *, versioned: bool = False) -> None:
    """Create a bucket as the platform's Terraform does: encrypted, closed to the public.

    A versioned one forgets what is no longer current after 90 days (contract 7.4).
    """
    s3 = s3_backends[identity.account]["aws"]
    s3.create_bucket(bucket, REGION)
    s3.put_bucket_encryption(
        bucket, {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}}
    )
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(bucket, dict.fromkeys(blocked, "true"))
    s3.put_bucket_tagging(bucket, tags(identity, stem))
    if versioned:
        s3.put_bucket_versioning(bucket, "Enabled")
        s3.put_bucket_lifecycle_configuration(bucket, [_NONCURRENT_RULE])


def put_parameter(identity: Identity, name: str, value: str) -> None:
    """Create a parameter of type String. The client alone, with its model, would cost a tenth of a second."""
    ssm_backends[identity.account][REGION].put_parameter(
        name,
        "",
        value,
        "String",
        "",
        "",
        overwrite=False,
        tags=tag_list(identity, name.rpartition("/")[2]),
        data_type="text",
        tier="Standard",
        policies=None,
    )


_NONCURRENT_RULE: dict[str, object] = {
    "ID": "expire-noncurrent",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": _NONCURRENT_DAYS},
}


def _call(method: Callable[..., _T], said: Mapping[str, object]) -> _T:
    """Call a method of moto's that has no defaults: None for what is not said."""
    return method(**{name: said.get(name) for name in inspect.signature(method).parameters})
