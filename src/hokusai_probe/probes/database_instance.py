"""The RDS instance: is it there, is it available, and what would a client have to say to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hokusai_probe.aws import AwsFailure, Said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.aws_identity import AwsIdentityFacts

EVENTS_MINUTES = 24 * 60
MOST_EVENTS = 20

# "Viewing Amazon RDS DB instance status", RDS user guide
ANSWERS = frozenset({
    "available", "backing-up", "configuring-activity-stream", "configuring-enhanced-monitoring",
    "configuring-iam-database-auth", "configuring-log-exports", "converting-to-vpc", "maintenance",
    "modifying",
    "moving-to-vpc", "renaming", "resetting-master-credentials", "storage-config-upgrade",
    "storage-initialization", "storage-optimization", "upgrading",
})  # fmt: skip
SILENT = frozenset({
    "creating", "deleting", "failed", "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable", "incompatible-create", "incompatible-network",
    "incompatible-option-group", "incompatible-parameters", "incompatible-restore", "insufficient-capacity",
    "rebooting", "restore-error", "starting", "stopped", "stopping", "storage-full",
})  # fmt: skip


class InstanceEvent(Frozen):
    """One event of the instance: when (UTC) and AWS's words, at most 300 characters."""

    at: Utc
    text: str


class DatabaseInstanceFacts(Facts):
    """The instance that the target names, as DescribeDBInstances shows it. ``name`` None: it names none.

    ``status`` None: it was not seen; with ``failure`` not-found it does not exist. ``database`` and
    ``master`` are the names given at its creation. ``events``: of the last day, newest last;
    ``events_failure`` says why there are none.
    """

    name: str | None = None
    status: str | None = None
    host: str = ""
    port: int = 0
    engine: str = ""
    database: str = ""
    master: str = ""
    instance_class: str = ""
    allocated_gib: int = 0
    public: bool = False
    encrypted: bool = False
    backup_days: int = 0
    security_groups: tuple[str, ...] = ()
    events: tuple[InstanceEvent, ...] = ()
    events_failure: AwsFailure | None = None
    failure: AwsFailure | None = None

    @property
    def missing(self) -> bool:
        """AWS says that there is no such instance."""
        return self.failure is not None and self.failure.kind == "not-found"

    @property
    def available(self) -> bool | None:
        """Whether it takes connections; None where that was not seen or the status is not a known one."""
        if self.missing:
            return False
        if self.status in ANSWERS:
            return True
        return False if self.status in SILENT else None


@probe(area="data", needs=("aws",), after=("aws-knows-us",), cost=2)
async def database_instance(look: Look, _identity: AwsIdentityFacts) -> DatabaseInstanceFacts:
    """The RDS instance and what happened to it lately: rds:DescribeDBInstances, DescribeEvents."""
    name = look.target.aws.database if look.target.aws else None
    if not name:
        return DatabaseInstanceFacts()
    aws = look.cloud()
    found, events = await asyncio.gather(
        aws.call("rds", "describe_db_instances", DBInstanceIdentifier=name),
        aws.call(
            "rds",
            "describe_events",
            SourceIdentifier=name,
            SourceType="db-instance",
            Duration=EVENTS_MINUTES,
        ),
    )
    happened = {
        "events": _events(events.data.get("Events", ()), aws.said),
        "events_failure": events.failure,
    }
    if found.failure is not None:
        return DatabaseInstanceFacts(name=name, failure=found.failure, **happened)
    return DatabaseInstanceFacts(name=name, **_instance(found.data["DBInstances"][0]), **happened)


def _instance(item: Mapping[str, Any]) -> dict[str, Any]:
    """What of an instance is kept. One that is being made has no endpoint yet."""
    endpoint = item.get("Endpoint") or {}
    return {
        "status": str(item.get("DBInstanceStatus", "")).lower(),
        "host": str(endpoint.get("Address", "")),
        "port": int(endpoint.get("Port") or 0),
        "engine": f"{item.get('Engine', '')} {item.get('EngineVersion', '')}".strip(),
        "database": str(item.get("DBName") or ""),
        "master": str(item.get("MasterUsername") or ""),
        "instance_class": str(item.get("DBInstanceClass", "")),
        "allocated_gib": int(item.get("AllocatedStorage") or 0),
        "public": bool(item.get("PubliclyAccessible")),
        "encrypted": bool(item.get("StorageEncrypted")),
        "backup_days": int(item.get("BackupRetentionPeriod") or 0),
        "security_groups": tuple(str(g["VpcSecurityGroupId"]) for g in item.get("VpcSecurityGroups", ())),
    }


def _events(items: Any, said: Said) -> tuple[InstanceEvent, ...]:
    newest = sorted(items, key=lambda item: item["Date"])[-MOST_EVENTS:]
    return tuple(InstanceEvent(at=i["Date"], text=said(str(i.get("Message", "")), 300)) for i in newest)


@check(hop="database")
def database_is_available(facts: DatabaseInstanceFacts) -> Sentence:
    """The RDS instance exists and is in a state in which it takes connections."""
    if facts.name is None:
        return NotApplicable(reason="the target names no database")
    if facts.missing:
        return f"RDS has no instance {facts.name}"
    if facts.failure is not None:
        return CannotTell(reason=f"rds:DescribeDBInstances: {facts.failure.kind}")
    if facts.available is None:
        return CannotTell(reason=f"{facts.name} is {facts.status!r}, which says nothing of connections")
    return None if facts.available else f"{facts.name} is {facts.status}"
