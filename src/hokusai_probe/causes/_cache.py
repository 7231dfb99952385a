"""What the causes at the cache share: the gateway's addresses of it, and what it notices."""

from __future__ import annotations

from shlex import quote
from urllib.parse import urlsplit

from hokusai_probe.declare import Claim, claim
from hokusai_probe.probes.cache_cluster import CacheClusterFacts
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

VARIABLE, HOST_VARIABLE = "REDIS_URL", "REDIS_HOST"
PLACE = "definitions.gateway.addresses"


def gateway_of(definitions: TaskDefinitionsFacts | None) -> TaskDefinition | None:
    """The gateway's task definition, None where it was not read."""
    return definitions.of("gateway") if definitions else None


def address(gateway: TaskDefinition | None, name: str) -> str | None:
    """One of the gateway's variables; None where it has none, or one that is no address."""
    return gateway.addresses.get(name) if gateway else None


def host_in(value: str) -> str:
    """The host of an address, with or without a scheme."""
    parts = urlsplit(value if "://" in value else f"//{value}")
    return (parts.hostname or "").rstrip(".").lower()


def elsewhere(gateway: TaskDefinition | None, cache: CacheClusterFacts | None) -> tuple[str, ...]:
    """Variables of the gateway whose host is none of the cache's; () where either is not known."""
    if cache is None or not cache.hosts:
        return ()
    known = {host.lower() for host in cache.hosts}
    values = {name: address(gateway, name) for name in (HOST_VARIABLE, VARIABLE)}
    return tuple(name for name, value in values.items() if value and host_in(value) not in known)


def right_url(cache: CacheClusterFacts | None) -> str | None:
    """The address of the cache as the gateway should have it; None: it needs a token, or is not known."""
    if cache is None or not cache.hosts or cache.token:
        return None
    return f"{'rediss' if cache.tls else 'redis'}://{cache.hosts[0]}:{cache.port or 6379}/0"


def no_effect(effect: CacheEffectFacts | None) -> Claim:
    """Each call with the same key was validated anew."""
    effective = effect.effective if effect else None
    return claim(
        "calls with a key that was just validated are validated again",
        None if effective is None else not effective,
        by=CacheEffectFacts,
        fact="validations" if effect and effect.validations is not None else "",
        value=list(effect.validations) if effect and effect.validations is not None else None,
    )


def says_well(stores: GatewayStoresFacts | None) -> Claim:
    """The gateway says that Redis is well; not known where its health says nothing of it."""
    word = stores.cache if stores else None
    return claim(
        f"/health says that redis is {word or 'healthy'}",
        stores.cache_well if stores else None,
        by=GatewayStoresFacts,
        fact="cache" if word else "",
        value=word,
    )


def describe_cache(cache: CacheClusterFacts | None) -> str:
    """The AWS CLI call that shows the state of the cache."""
    which = f" --replication-group-id {quote(cache.name)}" if cache and cache.name else ""
    return f"aws elasticache describe-replication-groups{which}"


def describe_gateway(gateway: TaskDefinition | None) -> str | None:
    """The AWS CLI call that shows what the gateway is told."""
    return f"aws ecs describe-task-definition --task-definition {quote(gateway.arn)}" if gateway else None
