"""REDIS_URL does not fit the cache: no scheme, or the wrong one for its encryption."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._cache import (
    PLACE,
    VARIABLE,
    address,
    describe_gateway,
    gateway_of,
    right_url,
)
from hokusai_probe.causes._revision import set_variables
from hokusai_probe.causes._tasks import OF_CACHE, toll
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.cache_cluster import CacheClusterFacts, url_complaint
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.latency import HELD_S, LatencyFacts, Sample
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="gateway",
    priority="medium",
    effort="minutes",
    entails=("auth-cache-off",),
    look_alikes={
        "auth-cache-off": "there REDIS_URL is right, and the gateway does not use it",
        "cache-unreachable": "there Redis does not answer, whatever the address looks like",
        "parameter-missing": "there the parameter that REDIS_URL comes from does not exist",
    },
    source="INC-26, INC-39, L-03; redis-py: Redis.from_url takes redis://, rediss:// and unix://",
)
def cache_url_lacks_scheme_or_tls(
    latency: LatencyFacts | None,
    definitions: TaskDefinitionsFacts | None,
    cache: CacheClusterFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The gateway's REDIS_URL is a bare host name, or speaks plain text where TLS is on (or the reverse).

    ``ValueError: Redis URL must specify one of the following schemes (redis://, rediss://, unix://)`` in its
    log, once, at the start. Then there is no cache: every call is validated at the auth service, while
    /health, which reads REDIS_HOST and REDIS_PORT, says that redis is healthy. Where one side waits for the
    other's TLS, every request with a key is slow. That alone can be seen from outside.
    """
    if definitions is None and latency is not None and latency.again.get("key"):
        yield _from_outside(latency.again["key"])
    gateway = gateway_of(definitions)
    url = address(gateway, VARIABLE)
    if url is None:
        return
    complaint = url_complaint(url, cache or CacheClusterFacts())
    yield Case(
        subject="gateway",
        breaks=("gateway-to-cache/url", "gateway-to-cache/effect", "pace.key"),
        claims=(
            claim(
                f"{VARIABLE} is {url}, which {complaint or 'does not fit the cache'}",
                complaint is not None,
                by=TaskDefinitionsFacts,
                fact=f"{PLACE}.{VARIABLE}",
                value=url,
                telling=True,
                aws_cli=describe_gateway(gateway),
            ),
        ),
        remedy=_remedy(gateway, cache, ecs),
        covers=toll(ecs, tasks, OF_CACHE, "gateway").covers,
    )


def _from_outside(again: tuple[Sample, ...]) -> Case:
    """The time that keys take, which other defects of the way to the cache cost as well."""
    least = min(range(len(again)), key=lambda n: again[n].seconds or 0.0)
    took = again[least].seconds
    return Case(
        subject="gateway",
        breaks=("gateway-to-cache/url", "gateway-to-cache/effect", "pace.key"),
        claims=(
            claim(
                f"a request with a key takes {took or 0.0:.2f} s and more, however often it is sent",
                all(sample.late(HELD_S) for sample in again),
                by=LatencyFacts,
                fact=f"again.key[{least}].seconds",
                value=took,
            ),
            claim(
                f"{VARIABLE} does not fit the cache",
                None,
                by=TaskDefinitionsFacts,
                aws_cli=describe_gateway(None),
            ),
        ),
        remedy=_remedy(None, None, None),
    )


def _remedy(
    gateway: TaskDefinition | None, cache: CacheClusterFacts | None, ecs: EcsServicesFacts | None
) -> Remedy:
    """With a token the address holds a secret, which no command of ours writes down."""
    verify = "hokusai-probe verify cache-url-lacks-scheme-or-tls"
    url = right_url(cache)
    if url is None:
        scheme = "rediss" if cache and cache.tls else "redis"
        return Remedy(
            kind="needs-value",
            summary=f"Write the cache's whole address (scheme {scheme}, host, port, its auth token as the "
            "password) into a secret; let the gateway's REDIS_URL come from it, and deploy.",
            verify=verify,
        )
    summary = f"Set {VARIABLE} to {url} for the gateway, and deploy it."
    return set_variables(gateway, ecs, "gateway", {VARIABLE: quote(url)}, summary=summary, verify=verify)
