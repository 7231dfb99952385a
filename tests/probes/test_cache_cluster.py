"""The cache in ElastiCache, and whether the gateway's address fits it."""

from typing import Any

import pytest
from _facts import DENIED
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.aws import AwsAnswer, AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.cache_cluster import CacheClusterFacts, _group, _single
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

GONE = AwsFailure(kind="not-found", code="CacheClusterNotFound")
STATES: list[tuple[CacheClusterFacts, Told]] = [
    (CacheClusterFacts(name="c", status="available"), PASS),
    (CacheClusterFacts(name="c", status="modifying"), PASS),
    (CacheClusterFacts(name="c", status="deleting"), failing("c is deleting")),
    (
        CacheClusterFacts(name="c", failure=GONE),
        failing("ElastiCache has neither a replication group nor a cluster c"),
    ),
    (
        CacheClusterFacts(name="c", failure=DENIED),
        skipped("cannot-tell", "elasticache:DescribeReplicationGroups: denied"),
    ),
    (
        CacheClusterFacts(name="c", status="odd"),
        skipped("cannot-tell", "c is 'odd', which says nothing of connections"),
    ),
    (CacheClusterFacts(), skipped("not-applicable", "the target names no cache")),
]


@pytest.mark.parametrize(("facts", "expected"), STATES)
def test_the_state_of_the_cache_is_judged(real: Catalogue, facts: CacheClusterFacts, expected: Told) -> None:
    """It passes where connections are taken, fails where they are not, and says so where that is unknown."""
    assert told(verdict(real, "cache-is-available", facts)) == expected


def gateway(url: str | None) -> TaskDefinitionsFacts:
    """A gateway with this address of Redis."""
    variables = {} if url is None else {"REDIS_URL": url}
    return TaskDefinitionsFacts(definitions={"gateway": TaskDefinition(arn="g:1", addresses=variables)})


PLAIN, TLS = CacheClusterFacts(name="c", tls=False), CacheClusterFacts(name="c", tls=True)
BOTH = CacheClusterFacts(name="c", tls=True, tls_preferred=True)
URLS: list[tuple[str | None, CacheClusterFacts, Told]] = [
    ("redis://c.cache:6379/0", PLAIN, PASS),
    ("rediss://c.cache:6379/0", TLS, PASS),
    ("redis://c.cache:6379/0", BOTH, PASS),
    ("redis://c.cache:6379/0", CacheClusterFacts(name="c", failure=DENIED), PASS),
    (
        "c.cache",
        TLS,
        failing(
            "REDIS_URL is c.cache, which has no scheme, and redis-py takes none without redis:// or rediss://"
        ),
    ),
    (
        "redis://c.cache:6379",
        TLS,
        failing(
            "REDIS_URL is redis://c.cache:6379, which speaks plain text to a cache with transit encryption"
        ),
    ),
    (
        "rediss://c.cache:6379",
        PLAIN,
        failing("REDIS_URL is rediss://c.cache:6379, which speaks TLS to a cache without transit encryption"),
    ),
    (
        "http://c.cache",
        PLAIN,
        failing("REDIS_URL is http://c.cache, which has the scheme http, which is none of Redis's"),
    ),
    (None, PLAIN, skipped("cannot-tell", "the gateway has no REDIS_URL that could be read")),
]


@pytest.mark.parametrize(("url", "cache", "expected"), URLS)
def test_an_address_fits_the_cache_or_not(
    real: Catalogue, url: str | None, cache: CacheClusterFacts, expected: Told
) -> None:
    """A scheme is needed, and the one that the encryption asks for; what is unknown is no fault."""
    assert told(verdict(real, "redis-url-fits-the-cache", cache, gateway(url))) == expected


def test_every_endpoint_of_a_group_is_a_host_of_it() -> None:
    """The primary comes first; readers and nodes answer, too."""
    item: dict[str, Any] = {
        "Status": "available",
        "TransitEncryptionEnabled": True,
        "AuthTokenEnabled": True,
        "NodeGroups": [
            {
                "PrimaryEndpoint": {"Address": "master.c", "Port": 6379},
                "ReaderEndpoint": {"Address": "replica.c", "Port": 6379},
                "NodeGroupMembers": [{"ReadEndpoint": {"Address": "c-001", "Port": 6379}}, {}],
            }
        ],
    }
    assert CacheClusterFacts(name="c", **_group(item)) == CacheClusterFacts(
        name="c",
        status="available",
        hosts=("master.c", "replica.c", "c-001"),
        port=6379,
        tls=True,
        token=True,
    )


def test_a_cluster_without_a_group_is_read_from_its_nodes() -> None:
    """One node, its endpoint, and no word of encryption where AWS says none."""
    answer = AwsAnswer(service="elasticache", method="describe_cache_clusters")
    answer._data = {
        "CacheClusters": [
            {"CacheClusterStatus": "available", "CacheNodes": [{"Endpoint": {"Address": "c", "Port": 6380}}]}
        ]
    }
    assert _single("c", answer) == CacheClusterFacts(name="c", status="available", hosts=("c",), port=6380)
