"""The gateway does not use its cache, although everything about it is well."""

from collections.abc import Iterator

from hokusai_probe.causes._cache import (
    PLACE,
    VARIABLE,
    address,
    describe_gateway,
    elsewhere,
    gateway_of,
    no_effect,
    says_well,
)
from hokusai_probe.causes._stores import where_it_shows
from hokusai_probe.causes._words import readiness, ready, update_service, wait_for
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.cache_cluster import CacheClusterFacts, url_complaint
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="gateway",
    priority="medium",
    effort="hours",
    look_alikes={
        "cache-unreachable": "there /health says that redis is unhealthy",
        "cache-url-lacks-scheme-or-tls": "there REDIS_URL cannot be the cache's",
        "auth-service-slow": "there one validation is slow; here each call has one",
    },
    source="L-03; contract 3.5",
)
def auth_cache_off(
    effect: CacheEffectFacts,
    stores: GatewayStoresFacts | None,
    definitions: TaskDefinitionsFacts | None,
    cache: CacheClusterFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """Every call is validated at the auth service; /health says that redis is well, and REDIS_URL is right.

    The cache was switched off in code, or its client was made once, failed, and stayed None: a failed first
    PING at the start is enough. An outage of the auth service is then one of every call at once, and each
    call is some milliseconds slower.
    """
    gateway = gateway_of(definitions)
    yield Case(
        subject="gateway",
        breaks=("gateway-to-cache/effect",),
        claims=where_it_shows(no_effect(effect), says_well(stores), _url_is_right(gateway, cache)),
        remedy=_remedy(ecs),
    )


def _url_is_right(gateway: TaskDefinition | None, cache: CacheClusterFacts | None) -> Claim:
    """An address with nothing wrong in it, at one of the cache's own hosts."""
    url = address(gateway, VARIABLE)
    known = url is not None and cache is not None and bool(cache.hosts)
    wrong = bool(url and cache and (url_complaint(url, cache) or VARIABLE in elsewhere(gateway, cache)))
    return claim(
        f"{VARIABLE} is {url}, the cache's own address" if known else f"{VARIABLE} is the cache's address",
        not wrong if known else None,
        by=TaskDefinitionsFacts,
        fact=f"{PLACE}.{VARIABLE}" if known else "",
        value=url if known else None,
        aws_cli=describe_gateway(gateway),
    )


def _remedy(ecs: EcsServicesFacts | None) -> Remedy:
    """A new start makes a new client; where the code is at fault, it does not help."""
    deploy = update_service(ecs, "gateway", "--force-new-deployment")
    return Remedy(
        kind="needs-value" if readiness(deploy) == "needs-value" else "outside-aws",
        summary="Start the gateway anew, which makes its Redis client anew. If calls are validated each time "
        "even then, the cache is off in code: have the client made on use, and its failure said in /health.",
        before=ready(deploy),
        after=(wait_for(ecs, "gateway"),),
        also_touches="The gateway's running task is replaced.",
        verify="hokusai-probe verify auth-cache-off",
    )
