"""How long answers take, and where the time goes; looked at more closely where they come unevenly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Frozen, NotApplicable, Wrong
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.no_key import NoKeyFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts, is_public

CONSTANT = ("/live", "/version", "/metrics", "/openapi.json", "/docs", "/redoc")
"""Paths whose answers need nothing but the gateway itself (contract 4 and 5)."""

HELD_S, APART_S = 0.25, 0.15
BEATS, PAUSE_S = 8, 0.2
LEAST_HELD = 3


class Beat(Frozen):
    """Two constant paths of the gateway and the auth host's ``/health``, asked at the same moment. Seconds.

    None: no answer, or there is no such host.
    """

    one: float | None
    other: float | None
    auth: float | None = None

    @property
    def held(self) -> bool:
        """Both waited long and until the same moment, while the auth host answered at once."""
        if self.one is None or self.other is None or self.auth is None:
            return False
        least = min(self.one, self.other)
        return least >= HELD_S and abs(self.one - self.other) <= APART_S and self.auth <= least / 2

    @property
    def quick(self) -> bool:
        """Both were answered at once."""
        return max(self.one or HELD_S, self.other or HELD_S) < HELD_S


class LatencyFacts(Facts):
    """Seconds that answers took.

    ``parts``: one answer of each part of the way, as other looks had them: ``auth`` (edge and auth service),
    ``constant`` (edge and gateway), ``no-key`` (and its middleware), ``key`` (and the auth service) and
    ``search`` (and MLflow). ``constants``: every constant path by itself. ``beats``: asked one after the
    other, only where the gateway's answers came unevenly. ``asked``: the two paths of a beat.
    """

    parts: Mapping[str, float] = {}
    constants: Mapping[str, float] = {}
    asked: tuple[str, ...] = ()
    beats: tuple[Beat, ...] = ()
    reproduce: str = ""

    @property
    def held(self) -> int:
        """How many beats were held up."""
        return sum(beat.held for beat in self.beats)

    @property
    def uneven(self) -> bool:
        """Whether constant paths are slow together and quick together, by turns."""
        return self.held >= LEAST_HELD and any(beat.quick for beat in self.beats)


@probe(area="performance", cost=3 * BEATS)
async def latency(
    look: Look,
    hosts: HostsFacts,
    paths: PublicPathsFacts,
    no_key: NoKeyFacts | None,
    forms: KeyFormsFacts | None,
    api: MlflowApiFacts | None,
) -> LatencyFacts:
    """How long the answers took that other looks were given, and whether they come evenly.

    Sends nothing where they do. Else it asks two of the gateway's constant paths and the auth host together,
    up to eight times: where both wait until the same moment and the auth host does not, the gateway stands
    still.
    """
    ours = [a for a in (*paths.answers, *_answers(no_key, forms)) if a.status is not None]
    constants = {a.path: a.elapsed_s for a in _constant(paths)}
    chosen = (*constants, *constants)[:2]
    suspicious = bool(chosen) and not hosts.bare and _uneven([a.elapsed_s for a in ours])
    beats = await _beats(look, chosen, hosts) if suspicious else ()
    return LatencyFacts(
        parts={n: round(a.elapsed_s, 4) for n, a in _parts(hosts, paths, no_key, forms, api) if a.answered},
        constants={path: round(seconds, 4) for path, seconds in constants.items()},
        asked=chosen,
        beats=beats,
        reproduce=next((a.curl() for a in paths.public if a.path in chosen), ""),
    )


def _constant(paths: PublicPathsFacts) -> Iterator[Answer]:
    """The gateway's own answers at its constant paths. A load balancer's page has another pace."""
    yield from (a for a in paths.public if a.path in CONSTANT and is_public(a) and a.status == 200)


def _answers(no_key: NoKeyFacts | None, forms: KeyFormsFacts | None) -> Iterator[Answer]:
    if no_key is not None:
        yield no_key.answer
    yield from forms.answers.values() if forms else ()


def _parts(
    hosts: HostsFacts,
    paths: PublicPathsFacts,
    no_key: NoKeyFacts | None,
    forms: KeyFormsFacts | None,
    api: MlflowApiFacts | None,
) -> Iterator[tuple[str, Answer]]:
    auth = hosts.health("auth")
    if auth is not None:
        yield "auth", auth
    constant = list(_constant(paths))
    if constant:
        yield "constant", min(constant, key=lambda a: a.elapsed_s)
    if no_key is not None:
        yield "no-key", no_key.answer
    if forms is not None and "bearer" in forms.answers:
        yield "key", forms.answers["bearer"]
    if api is not None and api.works:
        yield "search", api.search


def _uneven(seconds: list[float]) -> bool:
    return bool(seconds) and max(seconds) >= max(HELD_S, 5 * min(seconds))


async def _beats(look: Look, chosen: tuple[str, ...], hosts: HostsFacts) -> tuple[Beat, ...]:
    """Beats until they are many enough; the first three of them quick: there is nothing to see."""
    found: list[Beat] = []
    while len(found) < BEATS and not (len(found) == 3 and all(beat.quick for beat in found)):
        found.append(await _beat(look, chosen, with_auth=hosts.health("auth") is not None))
        await asyncio.sleep(PAUSE_S)
    return tuple(found)


async def _beat(look: Look, chosen: tuple[str, ...], *, with_auth: bool) -> Beat:
    asked = [look.http.send("GET", "registry", path) for path in chosen]
    control = [look.http.send("GET", "auth", "/health")] if with_auth else []
    seconds = [round(a.elapsed_s, 4) if a.answered else None for a in await asyncio.gather(*asked, *control)]
    return Beat(one=seconds[0], other=seconds[1], auth=seconds[2] if with_auth else None)


@check(hop="gateway/pace")
def gateway_answers_evenly(facts: LatencyFacts) -> Sentence:
    """Constant paths of the gateway are not held up together, again and again."""
    if not facts.constants:
        return NotApplicable(reason="none of the target's public paths is known to be constant and answers")
    if not facts.uneven:
        return None
    longest = max(beat.one or 0.0 for beat in facts.beats if beat.held)
    return Wrong(
        reason=f"{' and '.join(facts.asked)} were held up together {facts.held} of {len(facts.beats)} times, "
        f"for up to {longest:.2f} s, while the auth host answered at once",
        reproduce=facts.reproduce,
    )
