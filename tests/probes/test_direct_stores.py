"""Database and cache, greeted directly: what is asked, and whose word weighs more than our silence."""

import asyncio
from typing import Any

import pytest
from _facts import TARGET, answer
from _servers import LOCAL, accepting, speaks
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.failures import Failure
from hokusai_probe.http import HttpDoor, Resolution
from hokusai_probe.keys import Keys
from hokusai_probe.knock import Heard, Protocol
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Network
from hokusai_probe.probes.cache_cluster import CacheClusterFacts
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.direct_stores import DirectStoresFacts, StoreSeen, direct_stores
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.redact import Redactor

FOUND = Resolution(name="s.example", addresses=("10.0.1.9",))
NO_NAME = Resolution(name="s.example", failure=Failure(kind="dns", detail="s.example: no such name"))
GONE = Failure(kind="connect-timeout", detail="connecting to 10.0.1.9:1 timed out")
REFUSED = Failure(kind="refused", detail="connecting to 10.0.1.9:1 was refused")
CLOSED = Failure(kind="reset", detail="the connection was taken and closed without a word")
OTHER = "s.example:1: what answers is no Postgres"
YET_AWS = "yet AWS says that it is available, so it may be the way from here"
YET_GATEWAY = "yet the gateway reaches it, so it is the way from here, or the address"


def store(protocol: Protocol, place: str = "s.example:1", **said: Any) -> StoreSeen:
    """A store that says this."""
    return StoreSeen(place=place, protocol=protocol, resolution=FOUND, heard=Heard(**said))


def gateway(*, database: bool | None = None, cache: str | None = None) -> Facts:
    """What the gateway says of its stores."""
    return GatewayStoresFacts(health=answer(), ready=answer(), database=database, cache=cache)


RDS = {name: DatabaseInstanceFacts(name="db", status=name) for name in ("available", "stopped")}
REDIS = CacheClusterFacts(name="c", status="available")
NOBODY = store("postgres", failure=GONE)

DATABASE: list[tuple[StoreSeen | None, list[Facts], Told]] = [
    (None, [], skipped("not-applicable", "the target gives no address of the database")),
    (store("postgres", connected=True, word="tls"), [RDS["stopped"]], PASS),
    (store("postgres", connected=True, word="no-tls"), [], PASS),
    (
        store("postgres", connected=True, word="other"),
        [],
        failing(OTHER),
    ),
    (
        store("postgres", connected=True, word="other"),
        [gateway(database=True)],
        skipped("cannot-tell", f"{OTHER}; {YET_GATEWAY}"),
    ),
    (NOBODY, [], failing(f"s.example:1: {GONE.detail}")),
    (NOBODY, [RDS["stopped"], gateway(database=False)], failing(f"s.example:1: {GONE.detail}")),
    (NOBODY, [RDS["available"]], skipped("cannot-tell", f"s.example:1: {GONE.detail}; {YET_AWS}")),
    (NOBODY, [gateway(database=True)], skipped("cannot-tell", f"s.example:1: {GONE.detail}; {YET_GATEWAY}")),
    (
        store("postgres", connected=True, failure=CLOSED),
        [RDS["available"]],
        skipped("cannot-tell", f"s.example:1: {CLOSED.detail}; {YET_AWS}"),
    ),
    (
        store("postgres", failure=REFUSED),
        [RDS["available"], gateway(database=False)],
        failing(f"s.example:1: {REFUSED.detail}"),
    ),
    (
        store("postgres", "localhost:1", failure=REFUSED),
        [],
        skipped(
            "cannot-tell",
            f"localhost:1: {REFUSED.detail}; nothing listens on this machine, so the tunnel may not be up",
        ),
    ),
    (
        StoreSeen(place="s.example:1", protocol="postgres", resolution=NO_NAME),
        [],
        failing("s.example:1: s.example: no such name"),
    ),
]


@pytest.mark.parametrize(("seen", "others", "expected"), DATABASE)
def test_the_database_fails_where_nobody_knows_better(
    real: Catalogue, seen: StoreSeen | None, others: list[Facts], expected: Told
) -> None:
    """Who reaches it outweighs our silence; a refusal weighs more than AWS's word, but not from ourselves."""
    facts = DirectStoresFacts(database=seen)
    assert told(verdict(real, "database-answers-directly", facts, *others)) == expected


CACHE: list[tuple[StoreSeen | None, list[Facts], Told]] = [
    (None, [], skipped("not-applicable", "the target gives no address of the cache")),
    (store("redis", connected=True, word="pong"), [], PASS),
    (store("redis", connected=True, word="login", secure=True), [gateway(cache="unhealthy")], PASS),
    (store("redis", connected=True, word="error"), [], PASS),
    (store("redis", connected=True, word="other"), [], failing("s.example:1: what answers is no Redis")),
    (store("redis", failure=REFUSED), [REDIS], failing(f"s.example:1: {REFUSED.detail}")),
    (store("redis", failure=GONE), [REDIS], skipped("cannot-tell", f"s.example:1: {GONE.detail}; {YET_AWS}")),
    (
        store("redis", failure=REFUSED),
        [gateway(cache="healthy")],
        skipped("cannot-tell", f"s.example:1: {REFUSED.detail}; {YET_GATEWAY}"),
    ),
    (store("redis", failure=GONE), [gateway(cache="unhealthy")], failing(f"s.example:1: {GONE.detail}")),
]


@pytest.mark.parametrize(("seen", "others", "expected"), CACHE)
def test_the_cache_fails_where_nobody_knows_better(
    real: Catalogue, seen: StoreSeen | None, others: list[Facts], expected: Told
) -> None:
    """A cache that asks for a password answers."""
    facts = DirectStoresFacts(cache=seen)
    assert told(verdict(real, "cache-answers-directly", facts, *others)) == expected


def looked(network: Network) -> DirectStoresFacts:
    """What the look sees where the target gives these addresses."""
    target = TARGET.model_copy(update={"network": network})

    async def run() -> DirectStoresFacts:
        keys, redactor = Keys(), Redactor()
        async with HttpDoor(target, keys, redactor) as door:
            return await direct_stores(Look.new(target, door, None, keys, "r"))

    return asyncio.run(run())


def test_who_gives_no_address_is_not_asked() -> None:
    """Nothing is sent anywhere."""
    assert looked(Network()) == DirectStoresFacts()


def test_both_are_greeted_at_their_addresses() -> None:
    """Each with its own protocol, at the first address of the name."""

    async def run() -> DirectStoresFacts:
        async with accepting(speaks(b"N")) as database, accepting(speaks(b"-NOAUTH\r\n")) as cache:
            network = Network(database=f"{LOCAL}:{database}", cache=f"{LOCAL}:{cache}")
            return await asyncio.to_thread(looked, network)

    found = asyncio.run(run())
    assert found.database is not None
    assert found.cache is not None
    assert (found.database.heard, found.database.answers) == (Heard(connected=True, word="no-tls"), True)
    assert (found.cache.heard, found.cache.answers) == (Heard(connected=True, word="login"), True)
