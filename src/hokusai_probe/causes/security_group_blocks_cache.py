"""The gateway may not connect to the cache."""

from collections.abc import Iterator

from hokusai_probe.causes._network import barred, open_up, says_unwell, takes_the_gateway_along
from hokusai_probe.causes._tasks import OF_CACHE, toll
from hokusai_probe.declare import Case, cause
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.security_groups import SecurityGroupsFacts


@cause(
    component="network",
    priority="high",
    effort="minutes",
    entails=("cache-unreachable", "auth-cache-off"),
    look_alikes={
        "cache-unreachable": "there the rules let the gateway through and the cache does not answer",
        "cache-url-lacks-scheme-or-tls": "there REDIS_URL is no address that Redis's client takes",
        "auth-service-slow": "there requests without a key are fast",
    },
    source="INC-43; AWS: Security group rules",
)
def security_group_blocks_cache(
    health: HealthBodiesFacts | None,
    facts: SecurityGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """The cache's security group does not admit the gateway's.

    ElastiCache is available, ``/health`` says ``redis: unhealthy`` after its connect timeout, every key is
    validated at the auth service anew, and requests that look at Redis are slow. It came with services that
    moved into a new security group, which the cache's had never heard of.
    """
    edges = facts.between("gateway", "cache") if facts else ()
    taken = toll(ecs, tasks, OF_CACHE, "gateway")
    yield Case(
        subject="cache",
        breaks=("gateway-to-cache", *takes_the_gateway_along(health), *taken.breaks),
        claims=(
            says_unwell(health, "redis", "the gateway says of its cache"),
            barred(facts, edges, "the security group of the cache does not admit the gateway"),
        ),
        remedy=open_up(facts, edges, "security-group-blocks-cache"),
        covers=taken.covers,
    )
