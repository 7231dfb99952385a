"""The cache in ElastiCache: is it there, where does it answer, and does it ask for TLS and a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hokusai_probe.aws import AwsAnswer, AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

ANSWERS = frozenset({"available", "modifying", "snapshotting"})
SILENT = frozenset(
    {"creating", "create-failed", "deleting", "deleted", "restore-failed", "incompatible-network"}
)


class CacheClusterFacts(Facts):
    """The replication group, or the single cluster, that the target names. ``name`` None: it names none.

    ``status`` None: it was not seen; with ``failure`` not-found it does not exist. ``hosts``: every name
    under which it answers, the primary endpoint first. ``tls`` and ``token``: whether transit encryption
    and an auth token are on, None where AWS does not say. ``tls_preferred``: both TLS and plain are taken.
    """

    name: str | None = None
    status: str | None = None
    hosts: tuple[str, ...] = ()
    port: int = 0
    tls: bool | None = None
    tls_preferred: bool = False
    token: bool | None = None
    encrypted_at_rest: bool | None = None
    failure: AwsFailure | None = None

    @property
    def missing(self) -> bool:
        """AWS says that there is neither a replication group nor a cluster of this name."""
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
async def cache_cluster(look: Look, _identity: AwsIdentityFacts) -> CacheClusterFacts:
    """The cache: elasticache:DescribeReplicationGroups; of one that is none, DescribeCacheClusters."""
    name = look.target.aws.cache if look.target.aws else None
    if not name:
        return CacheClusterFacts()
    aws = look.cloud()
    group = await aws.call("elasticache", "describe_replication_groups", ReplicationGroupId=name)
    if group.failure is None:
        return CacheClusterFacts(name=name, **_group(group.data["ReplicationGroups"][0]))
    if group.failure.kind != "not-found":
        return CacheClusterFacts(name=name, failure=group.failure)
    return _single(name, await _cluster(aws, name))


async def _cluster(aws: AwsDoor, name: str) -> AwsAnswer:
    return await aws.call(
        "elasticache", "describe_cache_clusters", CacheClusterId=name, ShowCacheNodeInfo=True
    )


def _single(name: str, answer: AwsAnswer) -> CacheClusterFacts:
    """A cluster without a replication group: a plain Redis of one node, or Memcached."""
    if answer.failure is not None:
        return CacheClusterFacts(name=name, failure=answer.failure)
    item = answer.data["CacheClusters"][0]
    ends = [e for n in item.get("CacheNodes", ()) if (e := n.get("Endpoint"))]
    return CacheClusterFacts(
        name=name, status=str(item.get("CacheClusterStatus", "")), **_places(ends), **_security(item)
    )


def _group(item: Mapping[str, Any]) -> dict[str, Any]:
    """Primary, configuration and reader endpoints, and those of the nodes."""
    nodes = item.get("NodeGroups", ())
    ends = [item.get("ConfigurationEndpoint"), *(n.get("PrimaryEndpoint") for n in nodes)]
    ends += [n.get("ReaderEndpoint") for n in nodes]
    ends += [m.get("ReadEndpoint") for n in nodes for m in n.get("NodeGroupMembers", ())]
    return {"status": str(item.get("Status", "")), **_places([e for e in ends if e]), **_security(item)}


def _places(endpoints: list[Mapping[str, Any]]) -> dict[str, Any]:
    hosts = dict.fromkeys(str(e["Address"]) for e in endpoints if e.get("Address"))
    port = next((int(e["Port"]) for e in endpoints if e.get("Port")), 0)
    return {"hosts": tuple(hosts), "port": port}


def _security(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tls": item.get("TransitEncryptionEnabled"),
        "tls_preferred": item.get("TransitEncryptionMode") == "preferred",
        "token": item.get("AuthTokenEnabled"),
        "encrypted_at_rest": item.get("AtRestEncryptionEnabled"),
    }


@check(hop="cache")
def cache_is_available(facts: CacheClusterFacts) -> Sentence:
    """The cache exists in ElastiCache and is in a state in which it takes connections."""
    if facts.name is None:
        return NotApplicable(reason="the target names no cache")
    if facts.missing:
        return f"ElastiCache has neither a replication group nor a cluster {facts.name}"
    if facts.failure is not None:
        return CannotTell(reason=f"elasticache:DescribeReplicationGroups: {facts.failure.kind}")
    if facts.available is None:
        return CannotTell(reason=f"{facts.name} is {facts.status!r}, which says nothing of connections")
    return None if facts.available else f"{facts.name} is {facts.status}"


def url_complaint(url: str, facts: CacheClusterFacts) -> str | None:
    """Why this address cannot be that of the cache, whatever host it names; None where it can."""
    scheme, divided, _ = url.partition("://")
    if not divided:
        return "has no scheme, and redis-py takes none without redis:// or rediss://"
    if scheme not in {"redis", "rediss"}:
        return f"has the scheme {scheme}, which is none of Redis's"
    if scheme == "redis" and facts.tls and not facts.tls_preferred:
        return "speaks plain text to a cache with transit encryption"
    if scheme == "rediss" and facts.tls is False:
        return "speaks TLS to a cache without transit encryption"
    return None


@check(hop="gateway-to-cache/url")
def redis_url_fits_the_cache(facts: CacheClusterFacts, definitions: TaskDefinitionsFacts) -> Sentence:
    """The gateway's REDIS_URL has a scheme, and the one that the cache's encryption asks for."""
    gateway = definitions.of("gateway")
    url = gateway.addresses.get("REDIS_URL") if gateway else None
    if url is None:
        return CannotTell(reason="the gateway has no REDIS_URL that could be read")
    complaint = url_complaint(url, facts)
    return f"REDIS_URL is {url}, which {complaint}" if complaint else None
