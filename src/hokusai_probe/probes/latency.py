"""How long answers take, and where the time goes; looked at more closely where they come late or unevenly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, KeyForm
from hokusai_probe.looking import Look
from hokusai_probe.model import Blocked, CannotTell, Facts, Frozen, NotApplicable, Target, Wrong
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_forms import UNKNOWN_PATH, KeyFormsFacts, let_in
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.no_key import NoKeyFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts, is_public

CONSTANT = ("/live", "/version", "/metrics", "/openapi.json", "/docs", "/redoc")
"""Paths whose answers need nothing but the gateway itself (contract 4 and 5)."""

HELD_S, APART_S = 0.25, 0.15
BEATS, PAUSE_S = 8, 0.2
LEAST_HELD = 3
AGAIN, AGREEING = 3, 2
MARGIN = 1.25
"""How far beyond the objective an answer must be before single samples say anything of a percentile."""


class Sample(Frozen):
    """One more answer of a part that came late, and a constant path asked at the same moment. Seconds.

    None: no answer, or no such path.
    """

    seconds: float | None
    beside: float | None = None

    def late(self, least_s: float) -> bool:
        """Whether it took longer, and a constant path less than half of it: so it is not us or the way."""
        if self.seconds is None or self.beside is None:
            return False
        return self.seconds > least_s and self.beside <= self.seconds / 2


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

    def late(self, least_s: float) -> bool:
        """Whether both were held up for longer than that."""
        return self.held and min(self.one or 0.0, self.other or 0.0) > least_s


class LatencyFacts(Facts):
    """Seconds that answers took.

    ``parts``: one answer of each part of the way, as other looks had them: ``auth`` (edge and auth service),
    ``constant`` (edge and gateway), ``no-key`` (and its middleware), ``key`` (and the auth service) and
    ``search`` (and MLflow). ``again``: ``key`` and ``search`` once more, one after the other until one is in
    time, only where the first was later than the objective: it may have had to wait for something to load.
    ``constants``: every constant path by itself. ``beats``: asked one after the other, only where the
    gateway's answers came unevenly. ``asked``: the two paths of a beat.
    """

    parts: Mapping[str, float] = {}
    again: Mapping[str, tuple[Sample, ...]] = {}
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


@probe(area="performance", cost=3 * BEATS + 4 * AGAIN)
async def latency(
    look: Look,
    hosts: HostsFacts,
    paths: PublicPathsFacts,
    no_key: NoKeyFacts | None,
    forms: KeyFormsFacts | None,
    api: MlflowApiFacts | None,
) -> LatencyFacts:
    """How long the answers took that other looks were given, and whether they come evenly and in time.

    Sends nothing where they do. Else it asks two of the gateway's constant paths and the auth host together,
    up to eight times: where both wait until the same moment and the auth host does not, the gateway stands
    still. What came later than ``[slo] p95_ms`` is asked for up to three times more, beside a constant path.
    Percentiles need load, which a run does not send.
    """
    ours = [a for a in (*paths.answers, *_answers(no_key, forms)) if a.status is not None]
    constants = {a.path: a.elapsed_s for a in _constant(paths)}
    chosen = (*constants, *constants)[:2]
    suspicious = bool(chosen) and not hosts.bare and _uneven([a.elapsed_s for a in ours])
    beats = await _beats(look, chosen, hosts) if suspicious else ()
    parts = {n: round(a.elapsed_s, 4) for n, a in _parts(hosts, paths, no_key, forms, api) if a.answered}
    return LatencyFacts(
        parts=parts,
        again=await _again(look, parts, _repeatable(forms, api), chosen),
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


Asked = tuple[str, KeyForm | None, tuple[tuple[str, str], ...]]


def _repeatable(forms: KeyFormsFacts | None, api: MlflowApiFacts | None) -> Iterator[tuple[str, Asked]]:
    """What can be asked for once more of the parts that were answered as they should be."""
    if forms is not None and let_in(forms.answers["bearer"]):
        yield "key", (UNKNOWN_PATH, "bearer", ())
    if api is not None and api.works:
        yield "search", (api.search.path, None, (("max_results", "1"),))


async def _again(
    look: Look, parts: Mapping[str, float], can: Iterable[tuple[str, Asked]], constant: tuple[str, ...]
) -> dict[str, tuple[Sample, ...]]:
    """More samples of the parts that came too late, one after the other: together they would be a load."""
    slo_s = _objective_s(look.target)
    if slo_s is None:
        return {}
    late = [(name, asked) for name, asked in can if parts.get(name, 0.0) > slo_s]
    return {name: await _samples(look, asked, constant[:1], slo_s) for name, asked in late}


async def _samples(look: Look, asked: Asked, constant: tuple[str, ...], slo_s: float) -> tuple[Sample, ...]:
    """Samples until one is in time, at most three."""
    path, form, query = asked
    found: list[Sample] = []
    while len(found) < AGAIN and not (found and (found[-1].seconds or slo_s + 1) <= slo_s):
        answers = await asyncio.gather(
            look.http.send("GET", "registry", path, key=form or look.key_form(), query=query),
            *(look.http.send("GET", "registry", one) for one in constant),
        )
        took = [round(a.elapsed_s, 4) if a.answered else None for a in answers]
        found.append(Sample(seconds=took[0], beside=took[1] if constant else None))
    return tuple(found)


def _objective_s(target: Target) -> float | None:
    return target.slo.p95_ms / 1000 if target.slo.p95_ms is not None else None


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


NO_OBJECTIVE = NotApplicable(reason="the target has no objective: [slo] p95_ms")


@check(hop="gateway/in-time")
def constant_paths_are_in_time(facts: LatencyFacts, target: Target) -> Sentence:
    """Constant paths of the gateway are not held up for longer than ``[slo] p95_ms``, twice and more.

    Beside ``gateway-answers-evenly``, which fails with it where the gateway stands still: that one knows no
    objective, and it fails as well where the gateway stands still for less.
    """
    slo_s = _objective_s(target)
    if slo_s is None:
        return NO_OBJECTIVE
    if not facts.constants:
        return NotApplicable(reason="none of the target's public paths is known to be constant and answers")
    late = [beat for beat in facts.beats if beat.late(slo_s * MARGIN)]
    if len(late) < AGREEING:
        return None
    took = " and ".join(f"{beat.one:.2f} s" for beat in late[:AGREEING])
    return Wrong(
        reason=f"{facts.asked[0]}, which is constant, took {took}; {_promised(slo_s)}",
        reproduce=facts.reproduce,
    )


@check(hop="pace.key")
def keys_are_judged_in_time(facts: LatencyFacts, forms: KeyFormsFacts | None, target: Target) -> Sentence:
    """A request with the key is answered within ``[slo] p95_ms``, where MLflow is not asked for anything."""
    if forms is None:
        return NotApplicable(reason="nothing was asked with a key")
    if not let_in(forms.answers["bearer"]):
        return Blocked(reason="the key is not let in", waited_for="bearer-is-accepted")
    return _in_time(facts, "key", target, forms.answers["bearer"])


@check(hop="pace.search")
def searches_are_in_time(facts: LatencyFacts, api: MlflowApiFacts | None, target: Target) -> Sentence:
    """A search for one experiment is answered within ``[slo] p95_ms``.

    Beside ``keys-are-judged-in-time``, which fails with it where judging the key takes the time; this one
    also where MLflow does.
    """
    if api is None:
        return NotApplicable(reason="MLflow was not asked")
    if not api.works:
        return Blocked(reason="searching does not work", waited_for="experiments-can-be-searched")
    return _in_time(facts, "search", target, api.search)


def _in_time(facts: LatencyFacts, part: str, target: Target, first: Answer) -> Sentence:
    """Late only where every sample is, the first and at least two more, each beside a quick constant path."""
    slo_s, again = _objective_s(target), facts.again.get(part, ())
    if slo_s is None:
        return NO_OBJECTIVE
    took = [first.elapsed_s, *(s.seconds for s in again if s.seconds is not None)]
    if min(took) <= slo_s:
        return None
    said = f"{first.path} took {' and '.join(f'{s:.2f} s' for s in took)}"
    if len(again) >= AGREEING and all(sample.late(slo_s * MARGIN) for sample in again):
        return Wrong(reason=f"{said}; {_promised(slo_s)}", reproduce=first.curl())
    return CannotTell(reason=f"{said}, which is too little, too near the objective, or our own slowness")


def _promised(slo_s: float) -> str:
    return f"the objective for 95 of 100 answers is {slo_s:g} s"
