"""Each public host: does its name resolve, and who answers ``/health`` without a key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from hokusai_probe.answers import Responder, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, Resolution
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, HostName, NotApplicable, Target, Utc, Wrong

EXPECTED: Mapping[str, Responder] = {"auth": "auth", "registry": "gateway", "api": "gateway"}


class HostSeen(Frozen):
    """One host: its name's addresses and what ``GET /health`` answered, when by our clock."""

    resolution: Resolution
    health: Answer
    at: Utc | None = None


class HostsFacts(Facts):
    """What each host of the target answered. ``bare``: the target has no gateway that we know of."""

    hosts: Mapping[str, HostSeen]
    bare: bool

    def health(self, host: str) -> Answer | None:
        """What the host answered, None where the target has no such host."""
        seen = self.hosts.get(host)
        return seen.health if seen else None


def is_bare(target: Target) -> bool:
    """Whether the target may be a plain MLflow server: it has no auth service that we know of."""
    return target.hosts.auth is None


@probe(area="infrastructure", cost=4)
async def hosts(look: Look) -> HostsFacts:
    """Who answers at each public host.

    Resolves the name through the target's resolver and asks ``/health`` without a key. A plain
    MLflow server answers ``OK`` there; behind a prefix its health path carries the prefix.
    """
    names = tuple(look.target.hosts.present())
    seen = await asyncio.gather(*(_host(look, name) for name in names))
    return HostsFacts(hosts=dict(zip(names, seen, strict=True)), bare=is_bare(look.target))


async def _host(look: Look, host: HostName) -> HostSeen:
    resolution, health = await asyncio.gather(look.http.resolve(host), look.http.send("GET", host, "/health"))
    at = datetime.now(UTC)
    prefix = look.target.paths.mlflow if is_bare(look.target) else None
    if prefix and health.status is not None and not _well(health, host, bare=True):
        health, at = await look.http.send("GET", host, f"{prefix}/health"), datetime.now(UTC)
    return HostSeen(resolution=resolution, health=health, at=at)


def _well(answer: Answer, host: str, *, bare: bool) -> bool:
    expected = {"mlflow", "gateway"} if bare else {EXPECTED[host]}
    return (answer.status == 200 and responder(answer) in expected) or _says_unwell(answer)


def _says_unwell(answer: Answer) -> bool:
    """The gateway's own 503: it is there, and names what it lacks (contract 5); other checks judge that."""
    body = answer.json()
    services = body.get("services") if isinstance(body, Mapping) else None
    return answer.status == 503 and isinstance(services, Mapping) and "mlflow" in services


def _complaint(facts: HostsFacts, host: str) -> Sentence:
    answer = facts.health(host)
    if answer is None:
        return NotApplicable(reason=f"the target has no {host} host")
    if _well(answer, host, bare=facts.bare):
        return None
    return Wrong(reason=f"GET {answer.url}: {said(answer)}", reproduce=answer.curl())


@check(hop="public.auth")
def auth_host_answers(facts: HostsFacts) -> Sentence:
    """The auth host answers, and it is the auth service that does."""
    return _complaint(facts, "auth")


@check(hop="public.registry")
def registry_host_answers(facts: HostsFacts) -> Sentence:
    """The registry host answers, and it is the gateway that does (on a plain server: MLflow)."""
    return _complaint(facts, "registry")


@check(hop="public.api")
def api_host_answers(facts: HostsFacts) -> Sentence:
    """The api host answers, and it is the gateway that does."""
    return _complaint(facts, "api")


UNCONNECTED = frozenset({"refused", "unreachable", "connect-timeout"})


@check(hop="listeners")
def hosts_take_connections(facts: HostsFacts) -> Sentence:
    """Each host takes connections, whoever answers then."""
    if facts.bare:
        return NotApplicable(reason="a plain server has no listener apart from itself")
    shut = [s.health for s in facts.hosts.values() if _kind(s) in UNCONNECTED]
    unresolved = [name for name, s in facts.hosts.items() if _kind(s) == "dns"]
    if shut:
        return Wrong(reason="; ".join(f"{a.url}: {said(a)}" for a in shut), reproduce=shut[0].curl())
    if unresolved:
        return CannotTell(reason=f"{' and '.join(unresolved)}: the name has no address")
    return None


def _kind(seen: HostSeen) -> str | None:
    return seen.health.failure.kind if seen.health.failure else None
