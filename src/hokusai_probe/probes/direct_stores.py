"""Database and cache, greeted where the target says that they can be reached from here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Resolution
from hokusai_probe.knock import OF, Heard, Protocol, heard
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes.cache_cluster import CacheClusterFacts
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts

_OURSELVES = frozenset({"localhost", "127.0.0.1", "::1"})
_SILENT = frozenset({"dns", "unreachable", "connect-timeout", "timeout", "reset"})


class StoreSeen(Frozen):
    """What is said at the address that the target gives for a store.

    ``heard`` None: the name has no address. ``answers``: a server of the store's own protocol spoke.
    """

    place: str
    protocol: Protocol
    resolution: Resolution
    heard: Heard | None = None

    @property
    def answers(self) -> bool:
        """Whether a server of the right kind spoke."""
        return self.heard is not None and self.heard.word in OF[self.protocol]

    @property
    def kind(self) -> str:
        """Why it did not: the kind of the failure, or ``other`` where something else spoke."""
        failure = self.resolution.failure or (self.heard.failure if self.heard else None)
        return failure.kind if failure else "other"

    @property
    def words(self) -> str:
        """Why it did not, for a sentence."""
        failure = self.resolution.failure or (self.heard.failure if self.heard else None)
        name = {"postgres": "Postgres", "redis": "Redis"}[self.protocol]
        return f"{self.place}: {failure.detail if failure else f'what answers is no {name}'}"


class DirectStoresFacts(Facts):
    """The stores that the target gives an address for; None: it gives none."""

    database: StoreSeen | None = None
    cache: StoreSeen | None = None


@probe(area="data", cost=0)
async def direct_stores(look: Look) -> DirectStoresFacts:
    """Whether Postgres and Redis answer us, where ``[network]`` of the target says that they can be reached.

    One greeting each, which is answered before anybody logs in: no user, no password, no key. A cache that
    says nothing to plain words is greeted once more over TLS.
    """
    network = look.target.network
    database, cache = await asyncio.gather(
        _seen(look, network.database, "postgres"), _seen(look, network.cache, "redis")
    )
    return DirectStoresFacts(database=database, cache=cache)


async def _seen(look: Look, place: str | None, protocol: Protocol) -> StoreSeen | None:
    if place is None:
        return None
    parts = urlsplit(f"//{place}")
    name, port = parts.hostname or "", parts.port or 0
    found = await look.http.lookup(name)
    if found.failure is not None:
        return StoreSeen(place=place, protocol=protocol, resolution=found)
    said = await heard(protocol, name, found.addresses[0], port, look.target.timeouts.connect_s)
    return StoreSeen(place=place, protocol=protocol, resolution=found, heard=said)


# --- checks -----------------------------------------------------------------------------------------


@check(hop="database")
def database_answers_directly(
    facts: DirectStoresFacts, stores: GatewayStoresFacts | None, instance: DatabaseInstanceFacts | None
) -> Sentence:
    """Postgres answers at the address that the target gives for the database.

    What RDS says (database-is-available) is one thing and what answers is another: a way that is shut off
    fails here alone. Without AWS this is the only look at the database
    itself, where all others hear of it from who uses it.
    """
    reached = stores is not None and stores.database
    available = instance is not None and instance.available
    return _judged(facts.database, "database", reached=reached, available=available)


@check(hop="cache")
def cache_answers_directly(
    facts: DirectStoresFacts, stores: GatewayStoresFacts | None, cache: CacheClusterFacts | None
) -> Sentence:
    """Redis answers at the address that the target gives for the cache."""
    reached = stores is not None and stores.cache is not None and stores.cache != "unhealthy"
    available = cache is not None and cache.available
    return _judged(facts.cache, "cache", reached=reached, available=available)


def _judged(seen: StoreSeen | None, store: str, *, reached: bool | None, available: bool | None) -> Sentence:
    """What is not reached from here may be well: whoever says so outweighs our silence."""
    if seen is None:
        return NotApplicable(reason=f"the target gives no address of the {store}")
    if seen.answers:
        return None
    doubt = next(_doubts(seen, reached=bool(reached), available=bool(available)), None)
    return CannotTell(reason=f"{seen.words}; {doubt}") if doubt else seen.words


def _doubts(seen: StoreSeen, *, reached: bool, available: bool) -> Iterator[str]:
    if seen.kind == "refused" and urlsplit(f"//{seen.place}").hostname in _OURSELVES:
        yield "nothing listens on this machine, so the tunnel may not be up"
    if reached:
        yield "yet the gateway reaches it, so it is the way from here, or the address"
    if available and seen.kind in _SILENT:
        yield "yet AWS says that it is available, so it may be the way from here"
