"""What the gateway says of its own connections to cache and database, asked again where it complains."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Wrong
from hokusai_probe.probes.health_bodies import HealthBodiesFacts

HEALTH, READY = "/health", "/ready"
_WELL, _UNWELL = "healthy", frozenset({"unhealthy", "degraded"})
"""What the gateway says where it looked. ``disabled``, ``unknown`` and the like are no statement."""
FALLBACK = "Connected to fallback database"

DatabaseTrouble = Literal[
    "login", "not-admitted", "no-database", "too-many", "refused", "no-name", "silent", "other"
]

# the words of libpq and of the server, in every driver alike (PostgreSQL: libpq, Appendix A "Error codes")
_WORDS: tuple[tuple[DatabaseTrouble, str], ...] = (
    ("too-many", r"too many clients|remaining connection slots|too many connections for"),
    ("login", r"password authentication failed|role \S+ does not exist|no password supplied"),
    # after login: where TLS is tried first, a wrong password is followed by a second try without it
    ("not-admitted", r"no pg_hba\.conf entry"),
    ("no-database", r"database \S+ does not exist|" + FALLBACK),
    ("no-name", r"failed to resolve|could not translate host name|name or service not known"),
    ("refused", r"connection refused"),
    ("silent", r"timeout|timed out|no route to host|unreachable|closed the connection|connection reset"),
)


def database_trouble(text: str) -> DatabaseTrouble:
    """What kind of trouble with a database these words speak of; ``other`` where they are none of the known.

    login: a server answered and knows neither user nor password. not-admitted: it lets nobody in this way,
    whatever the password (RDS with rds.force_ssl says so to a client without TLS). no-database: it has no
    such database.
    too-many: it has no connection to spare. refused, no-name, silent: no server answered at all.
    """
    found = (kind for kind, pattern in _WORDS if re.search(pattern, text, re.IGNORECASE))
    return next(found, "other")


class GatewayStoresFacts(Facts):
    """What the gateway said last. ``cache``: its own word, such as healthy, None: it says nothing.

    ``database``: whether it reaches its database, None where it does not say or contradicts itself;
    ``database_error`` its words, ``database_settings`` (host, port, user, primary_db, fallback_db as text)
    whom it asks. ``asked_again``: it had complained, and these are its second words.
    """

    health: Answer
    ready: Answer
    asked_again: bool = False
    cache: str | None = None
    database: bool | None = None
    database_error: str = ""
    database_settings: Mapping[str, str] = {}

    @property
    def cache_well(self) -> bool | None:
        """Whether Redis answers the gateway; None where there is no word of it, or none that says so."""
        return {_WELL: True, **dict.fromkeys(_UNWELL, False)}.get(self.cache or "")


@probe(area="data", needs=("auth-host",), cost=2)
async def gateway_stores(look: Look, bodies: HealthBodiesFacts) -> GatewayStoresFacts:
    """What /health and /ready say of cache and database.

    One complaint may be a hiccup, or the first connection after a start: what complains is asked once more.
    """
    health, ready = bodies.answers[HEALTH], bodies.answers[READY]
    complains = [_complains(health), _hiccup(ready)]
    second = await asyncio.gather(
        _again(look, health) if complains[0] else _same(health),
        _again(look, ready) if complains[1] else _same(ready),
    )
    return stores_seen(*second, asked_again=any(complains))


async def _again(look: Look, answer: Answer) -> Answer:
    return await look.http.send("GET", "registry", answer.path, key=look.key_form())


async def _same(answer: Answer) -> Answer:
    return answer


def _complains(health: Answer) -> bool:
    return bool(_UNWELL & set(_services(health).values()))


def _hiccup(ready: Answer) -> bool:
    """The database did not answer. A refusal that a server speaks, of a password say, is no hiccup."""
    found = _database_check(ready)
    trouble = database_trouble(str(found.get("error") or ""))
    return found.get("passed") is False and trouble in {"silent", "refused", "no-name", "other"}


def stores_seen(health: Answer, ready: Answer, *, asked_again: bool = False) -> GatewayStoresFacts:
    """The facts in two answers."""
    services = _services(health)
    return GatewayStoresFacts(
        health=health,
        ready=ready,
        asked_again=asked_again,
        cache=services.get("redis"),
        **_database(_database_check(ready), services.get("postgres")),
    )


def _database(found: Mapping[str, JsonValue], word: str | None) -> dict[str, Any]:
    """/ready goes before /health: it tries three times. Where only one of them is content, nobody knows."""
    said, details = str(found.get("error") or ""), found.get("connection_details")
    settings = {str(k): str(v) for k, v in details.items()} if isinstance(details, Mapping) else {}
    reached = found.get("passed") if isinstance(found.get("passed"), bool) else None
    if reached and said.startswith(FALLBACK):
        reached = False
    elif word in _UNWELL:
        reached = None if reached else False
    elif word == _WELL and reached is None:
        reached = True
    return {"database": reached, "database_error": said, "database_settings": settings}


def _body(answer: Answer) -> Mapping[str, JsonValue]:
    body = answer.json()
    return body if isinstance(body, Mapping) else {}


def _services(health: Answer) -> dict[str, str]:
    found = _body(health).get("services")
    words = found.items() if isinstance(found, Mapping) else ()
    return {str(name): word for name, word in words if isinstance(word, str)}


def _database_check(ready: Answer) -> Mapping[str, JsonValue]:
    checks = _body(ready).get("checks")
    listed = checks if isinstance(checks, list) else []
    return next((c for c in listed if isinstance(c, Mapping) and c.get("name") == "database"), {})


@check(hop="gateway-to-cache")
def gateway_reaches_its_cache(facts: GatewayStoresFacts) -> Sentence:
    """The gateway itself says that Redis answers it."""
    if facts.cache is None:
        return CannotTell(reason=f"{HEALTH} says nothing of redis ({_what(facts.health)})")
    if facts.cache_well is None:
        return CannotTell(reason=f"{HEALTH} says of redis: {facts.cache!r}")
    if facts.cache_well:
        return None
    return Wrong(reason=f"{HEALTH} says that redis is {facts.cache}", reproduce=facts.health.curl())


@check(hop="gateway-to-database")
def gateway_reaches_its_database(facts: GatewayStoresFacts) -> Sentence:
    """The gateway itself says that it can use its database, and not only the fallback."""
    if facts.database is None:
        return CannotTell(reason=f"{READY} and {HEALTH} do not both say whether the database can be used")
    if facts.database:
        return None
    said = facts.database_error or f"{HEALTH} says that postgres is unhealthy"
    return Wrong(reason=f"{READY}: {said}" if facts.database_error else said, reproduce=facts.ready.curl())


def _what(answer: Answer) -> str:
    return str(answer.status) if answer.failure is None else answer.failure.kind
