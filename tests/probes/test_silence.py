"""Every look over HTTP, taken where nobody answers, or always the same one whom no check is about.

The looks themselves are taken, so that what they conclude from their answers is concluded from these.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from _facts import HTML, TARGET, answer, bad_gateway, resolved, silence, unresolved

from hokusai_probe.declare import Catalogue, Probe
from hokusai_probe.engine import judge
from hokusai_probe.failures import Failure
from hokusai_probe.handshake import Shown
from hokusai_probe.http import Answer, HttpDoor, Resolution
from hokusai_probe.keys import Keys
from hokusai_probe.looking import Look
from hokusai_probe.model import PROBE_OF_FACTS, Facts, Observation, Paths
from hokusai_probe.redact import Redactor

PATHS = (
    *("/health", "/ready", "/live", "/version", "/metrics", "/docs", "/redoc", "/openapi.json"),
    "/api/health/mlflow",
)
PLATFORM = TARGET.model_copy(
    update={"paths": Paths(public=PATHS, required=TARGET.paths.required), "aws": None}
)
VARIABLES = {"HOKUSAI_API_KEY": "hk_test_a-key-that-nobody-was-ever-given"}
LOGIN = '<html><title>Sign in</title><form action="/login"><input type="password"></form></html>'

SENDERS: Mapping[str, Answer] = {
    "silence": silence("timeout", "no answer in 8 s"),
    "no name": silence("dns", "registry.hokus.ai: does not exist"),
    "load balancer": bad_gateway(),
    "CDN": answer(503, "<html><h1>Our site is being mended</h1></html>", HTML, headers={"server": "cdn"}),
    "login page": answer(200, LOGIN, HTML),
    "empty object": answer(body={}),
}

_ALWAYS = {"key-has-a-known-form": "it is about our own key, before anything is sent"}
_CONNECTED = _ALWAYS | {"hosts-take-connections": "whoever answers, or lets us wait, took the connection"}
_EMPTY = "MLflow writes a result with nothing in it as an empty object"
MAY_PASS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("silence", "load balancer", "CDN", "login page"), _CONNECTED),
    "no name": _ALWAYS,
    "empty object": _CONNECTED
    | {
        "experiments-can-be-searched": _EMPTY,
        "models-and-runs-can-be-searched": _EMPTY,
        "artifacts-can-be-listed": _EMPTY,
        "own-path-leads-to-mlflow": _EMPTY,
        "searches-are-in-time": _EMPTY,
    },
}
"""Sender -> check -> why the check may pass there."""


class OneSender(HttpDoor):
    """A door behind which the same answer comes to every request."""

    def __init__(self, given: Answer, keys: Keys) -> None:
        super().__init__(PLATFORM, keys, Redactor())
        self._given = given

    async def send(self, method: str, host: Any, path: str, **more: Any) -> Answer:
        """The same answer as always, to this request."""
        self.requests_sent += 1
        base = PLATFORM.hosts.present().get(host, "https://control.example")
        own = {"method": method, "path": path, "url": base + path, "key_form": more.get("key")}
        return self._given.model_copy(update=own)

    async def resolve(self, host: Any) -> Resolution:
        """A name with an address, unless names are what is gone."""
        return await self.lookup(str(host))

    async def lookup(self, name: str) -> Resolution:
        """The same for any name."""
        lost = self._given.failure is not None and self._given.failure.kind == "dns"
        return unresolved(name) if lost else resolved(name)

    async def certificate(self, host: Any, address: str) -> Shown:
        """No certificate is seen through this door."""
        return Shown(failure=Failure(kind="timeout", detail=f"{host} at {address}: no handshake"))


def over_http(real: Catalogue) -> list[Probe]:
    """Looks that send all they send through the door, each after those whose facts it reads."""
    left = {p.slug: p for p in real.probes.values() if "aws" not in p.needs and p.prepare is None}
    order: list[Probe] = []
    while ready := [p for p in left.values() if not set(p.prior()) & set(left)]:
        order += ready
        left = {slug: p for slug, p in left.items() if p not in ready}
    return order


async def seen(probes: Sequence[Probe], given: Answer) -> list[Observation]:
    """What each look sees; one that cannot do without another's facts is left out where these are not."""
    keys = Keys.read(PLATFORM.key, VARIABLES)
    facts: dict[str, Facts] = {}
    for probe in probes:
        look = Look.new(PLATFORM, OneSender(given, keys), None, keys, "0a1b2c3d")
        wants = {p.name: facts.get(PROBE_OF_FACTS.get(p.wants, "")) for p in probe.parameters}
        lacks = [p.name for p in probe.parameters if issubclass(p.wants, Facts) and not p.optional]
        if all(wants[name] is not None for name in lacks):
            own = {p.name: look for p in probe.parameters if p.wants is Look}
            facts[probe.slug] = await probe.function(**wants | own)
    now, why = "2025-08-05T09:27:00Z", {"duration_s": 0.1, "status": "seen"}
    return [Observation(probe=slug, started_at=now, facts=one, **why) for slug, one in facts.items()]


@pytest.mark.parametrize("sender", SENDERS)
def test_no_check_passes_on_who_is_not_the_platform(
    real: Catalogue, monkeypatch: pytest.MonkeyPatch, sender: str
) -> None:
    """A check passes on an answer of whom it is about, and on nothing else; the exceptions say why."""
    monkeypatch.setattr("hokusai_probe.probes.latency.PAUSE_S", 0.0)
    observations = asyncio.run(seen(over_http(real), SENDERS[sender]))
    wanted = frozenset(c.slug for o in observations for c in real.checks_of(o.probe))
    verdicts = judge(real, observations, PLATFORM, wanted)

    passed = {v.check for v in verdicts if v.status == "pass"}
    assert len(wanted) > 30
    assert passed == set(MAY_PASS[sender])
