"""The cache as a prober in the VPC finds it; the gateway reaches the server itself, and judges its own way.

A group that ElastiCache deletes takes its nodes along: packets vanish. A server that has ended refuses.
"""

from collections.abc import Callable, Mapping

from moto.elasticache.models import elasticache_backends

from hokusai_probe.sandbox.database import StorePlaces
from hokusai_probe.sandbox.database_front import Door, Engine, Facts, condition_of
from hokusai_probe.sandbox.early import CACHE_HOST, CACHE_PORT
from hokusai_probe.sandbox.faults import FaultTable
from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.network import CLIENT_VPN, NetworkView

PROBER_CACHE_HOST = 26
"""Where a prober in the VPC finds the cache."""

PROBER_EDGE = "client->cache"
_GONE = frozenset({"deleting", "deleted"})


class CacheFront:
    """The prober's door to the cache.

    Args:
        places: Where everything is.
        exists: Whether ElastiCache has the cache.
        alive: Whether its server runs.

    """

    def __init__(self, places: StorePlaces, exists: Callable[[], bool], alive: Callable[[], bool]) -> None:
        self._exists = exists
        self._alive = alive
        self._server = f"{places.network}.{CACHE_HOST}"
        self._view = NetworkView(places.decisions)
        self._door = Door(
            f"{places.network}.{PROBER_CACHE_HOST}",
            CACHE_PORT,
            PROBER_EDGE,
            places.host,
            (self._server, CACHE_PORT),
            FaultTable(places.faults),
            places.time_scale,
        )

    async def follow(self) -> None:
        """Open or shut the door as it follows from everything."""
        barred = self._view.dropped(CLIENT_VPN, self._server, CACHE_PORT)
        engine: Engine = "up" if self._alive() else "down"
        facts = Facts(self._exists(), engine, self._door.standing(), dropped=barred)
        await self._door.show(condition_of(facts))

    async def close(self) -> None:
        """Refuse everybody from now on."""
        await self._door.close()


def exists(account: str, names: Mapping[str, str]) -> bool:
    """Whether ElastiCache has the sandbox's replication group and is not deleting it."""
    found = elasticache_backends[account][REGION].replication_groups.get(names["cache"])
    return found is not None and str(found.status) not in _GONE
