"""Redis does not answer the gateway."""

from collections.abc import Iterator
from shlex import quote

from pydantic import JsonValue

from hokusai_probe.causes._cache import (
    HOST_VARIABLE,
    PLACE,
    VARIABLE,
    address,
    describe_cache,
    describe_gateway,
    elsewhere,
    gateway_of,
    right_url,
)
from hokusai_probe.causes._revision import set_variables
from hokusai_probe.causes._stores import where_it_shows
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.cache_cluster import CacheClusterFacts
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="cache",
    priority="medium",
    effort="hours",
    entails=("auth-cache-off",),
    look_alikes={
        "security-group-blocks-cache": "there the cache's security group does not admit the gateway",
        "cache-url-lacks-scheme-or-tls": "there /health reads other variables, and says that redis is well",
        "auth-cache-off": "there /health says that redis is well, and no call is spared",
        "auth-service-slow": "there validating itself is slow; here there is only more of it",
    },
    source="INC-26, INC-43; contract 3.5 and 5",
)
def cache_unreachable(
    stores: GatewayStoresFacts,
    cache: CacheClusterFacts | None,
    effect: CacheEffectFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The gateway gets no answer from Redis: the cache is gone, or asked at a wrong address.

    /health is 200 and degraded, ``"redis": "unhealthy"``; ``redis.exceptions.ConnectionError``, ``Error 111
    connecting to``, ``Timeout connecting to server``. Calls work, and each costs a validation at the auth
    service; with blocking calls on the event loop, every path takes seconds (INC-43).
    """
    gateway = gateway_of(definitions)
    wrong = elsewhere(gateway, cache)
    symptom = _symptom(stores, effect, wrong)
    yield Case(
        subject="cache",
        breaks=("cache", "gateway-to-cache"),
        claims=(
            *where_it_shows(symptom, *(_led_astray(stores, gateway, name) for name in wrong)),
            _state(cache, symptom),
        ),
        remedy=_remedy(gateway, cache, ecs, wrong),
    )


def _symptom(stores: GatewayStoresFacts, effect: CacheEffectFacts | None, wrong: tuple[str, ...]) -> Claim:
    """The gateway says so; or keys are not remembered, and are kept at an address that is not Redis's."""
    lost = VARIABLE in wrong and effect is not None and effect.effective is False
    if lost and effect is not None and stores.cache_well is not False:
        text: str = "no key is remembered"
        value: JsonValue = list(effect.validations or ())
        return claim(text, holds=True, by=CacheEffectFacts, fact="validations", value=value)
    unwell = None if stores.cache_well is None else not stores.cache_well
    word = "cache" if stores.cache else ""
    text = (
        "the gateway gets no answer from Redis, and says so twice"
        if stores.asked_again
        else "redis is unwell"
    )
    return claim(text, unwell, by=GatewayStoresFacts, fact=word, value=stores.cache)


def _led_astray(stores: GatewayStoresFacts, gateway: TaskDefinition | None, name: str) -> Claim:
    """A name that is none of ElastiCache's counts where the gateway gets no answer; an alias may be well."""
    value = address(gateway, name)
    concerned = stores.cache_well is False or name == VARIABLE
    return claim(
        f"{name} is {value}, which is none of the cache's endpoints",
        True if concerned else None,
        by=type(stores) if not gateway else TaskDefinitionsFacts,
        fact=f"{PLACE}.{name}",
        value=value,
        aws_cli=describe_gateway(gateway),
    )


def _state(cache: CacheClusterFacts | None, symptom: Claim) -> Claim:
    """Whether ElastiCache says anything: unavailable is proof, available leaves only the way there."""
    known = cache is not None and (cache.missing or cache.status is not None)
    gone = cache is not None and cache.missing
    state = "not there" if gone else cache.status if cache else None
    return claim(
        f"ElastiCache says that {cache.name} is {state}"
        if cache and known
        else "ElastiCache shows its state",
        True if known and (symptom.holds or not cache or cache.available is False) else None,
        by=CacheClusterFacts,
        fact="failure.kind" if gone else "status" if known else "",
        value="not-found" if gone else cache.status if cache and known else None,
        telling=cache is not None and cache.available is False,
        aws_cli=describe_cache(cache),
    )


def _remedy(
    gateway: TaskDefinition | None,
    cache: CacheClusterFacts | None,
    ecs: EcsServicesFacts | None,
    wrong: tuple[str, ...],
) -> Remedy:
    verify = "hokusai-probe verify cache-unreachable"
    url = right_url(cache)
    if wrong and cache is not None and cache.hosts and (url or VARIABLE not in wrong):
        right = {HOST_VARIABLE: cache.hosts[0], VARIABLE: url or ""}
        values = {name: quote(right[name]) for name in wrong}
        summary = f"Lead the gateway to {cache.name}: {', '.join(values)} name another host. Deploy it."
        return set_variables(gateway, ecs, "gateway", values, summary=summary, verify=verify)
    name = cache.name if cache else None
    events = f" --source-identifier {quote(name)} --source-type replication-group" if name else ""
    return Remedy(
        kind="needs-value",
        summary="See what ElastiCache says of the cache and its nodes, and restore it if it is gone; if it "
        "is available, look at the way from the gateway's tasks to its port.",
        before=(describe_cache(cache), f"aws elasticache describe-events{events} --duration 1440"),
        also_touches="The gateway works without a cache; the auth service bears every call meanwhile.",
        verify=verify,
    )
