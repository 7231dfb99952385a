"""Observe, then judge. The only place that runs authors' functions, and the only broad ``except``.

Observing is concurrent: a look starts as soon as the looks it reads from are done and the checks it
comes after have passed. Every look has a deadline of its own, the run has one for all, and a run that
is cut short undoes what it created and keeps what it gathered. Judging is pure.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError

from hokusai_probe import topology
from hokusai_probe.declare import Catalogue, Cause, Check, Need, Parameter, Probe, Sentence
from hokusai_probe.looking import Journal, Look
from hokusai_probe.model import (
    PROBE_OF_FACTS,
    SAFETY_CLASSES,
    Area,
    Blocked,
    CannotTell,
    Facts,
    NotApplicable,
    Observation,
    RecordedFacts,
    SkipKind,
    Target,
    Verdict,
    VerdictStatus,
    Wrong,
)
from hokusai_probe.turns import AHEAD

NO_AWS = "AWS is not looked at: the target has no [aws], or --no-aws"
CUT_SHORT = "the run was cut short before this look was done"
MANY = 5  # looks that wait for one: then it goes ahead
HEAD_START_S = 0.25  # after it the rest begins, too; at a host what goes ahead still has the next free turn
CHEAP = 20  # requests; a witness is asked for its word, not to measure: what repeats requests is none
UNDO_S = 5.0  # a cancelled GitHub job is killed 10 s after its first signal; half of that is ours


class OurTrouble(Exception):  # noqa: N818  # it is not an error of the platform, and the name says so
    """A look or a judgement of ours went wrong; carries the reason and nothing else."""


class Progress(Protocol):
    """Told when a look starts and when it is done."""

    def planned(self, areas: Mapping[str, Area]) -> None:
        """Looks are about to be taken: their slugs, each with its area."""

    def started(self, probe: str) -> None:
        """A look has begun."""

    def done(self, observation: Observation) -> None:
        """A look is over."""


class Silent:
    """Progress that says nothing."""

    def planned(self, areas: Mapping[str, Area]) -> None:
        """Say nothing."""

    def started(self, probe: str) -> None:
        """Say nothing."""

    def done(self, observation: Observation) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a look is not taken."""

    kind: SkipKind
    reason: str
    waited_for: str | None = None


# --- choosing ---------------------------------------------------------------------------------------


def selected(catalogue: Catalogue, only: Iterable[str], skip: Iterable[str]) -> frozenset[str]:
    """Slugs of the checks whose verdicts are wanted: those that ``only`` names less those of ``skip``.

    A word names an area, a look or a check.
    """
    wanted, unwanted = set(only), set(skip)
    return frozenset(
        c.slug
        for c in catalogue.checks.values()
        if (not wanted or wanted & _names(c)) and not unwanted & _names(c)
    )


def _names(check: Check) -> set[str]:
    return {check.slug, check.probe, check.area}


def selectors(catalogue: Catalogue) -> frozenset[str]:
    """Every word that ``--only`` and ``--skip`` understand."""
    return frozenset().union(*(_names(c) for c in catalogue.checks.values()), catalogue.probes)


def wanted_probes(
    catalogue: Catalogue, only: Iterable[str], skip: Iterable[str], checks: frozenset[str]
) -> frozenset[str]:
    """The looks to take: those of the wanted checks, those named, whatever these read from, and witnesses.

    Where areas or checks are chosen, what fails in them may have its cause elsewhere, such as in a
    certificate. Who names looks wants these looks.
    """
    names, without = set(only), set(skip)
    direct = {slug for c in checks for slug in _looks_of(catalogue.checks[c])}
    first = [p for p in catalogue.probes.values() if p.round == 1 or p.slug in names]
    named = {p.slug for p in first if not names or names & {p.slug, p.area}}
    if checks and names - set(catalogue.probes):
        named |= _witnesses(catalogue)
    direct |= named - {p.slug for p in catalogue.probes.values() if without & {p.slug, p.area}}
    return frozenset().union(direct, *(looks_before(catalogue, slug) for slug in direct))


def _witnesses(catalogue: Catalogue) -> set[str]:
    """The cheap looks from outside that only read, where a cause reads what they saw."""
    asked = {PROBE_OF_FACTS.get(p.wants) for c in catalogue.causes.values() for p in c.parameters}
    return {
        p.slug
        for p in catalogue.probes.values()
        if p.slug in asked
        and p.safety == "read"
        and "aws" not in p.needs
        and p.cost <= CHEAP
        and p.round == 1
    }


def looks_before(catalogue: Catalogue, slug: str) -> frozenset[str]:
    """The looks that come before one: whose facts it reads, whose checks it waits for, and theirs."""
    found: set[str] = set()
    todo = [slug]
    while todo:
        fresh = set(_direct_before(catalogue, todo.pop())) - found
        found |= fresh
        todo.extend(fresh)
    return frozenset(found)


def _direct_before(catalogue: Catalogue, slug: str) -> tuple[str, ...]:
    probe = catalogue.probes[slug]
    return (*probe.prior(), *(look for c in probe.after for look in _looks_of(catalogue.checks[c])))


def _go_ahead(catalogue: Catalogue, slugs: Iterable[str]) -> frozenset[str]:
    """The looks from outside on which many others wait, and which wait for nobody else's."""
    before = {slug: {*_direct_before(catalogue, slug)} for slug in slugs}
    waiting = Counter(b for looks in before.values() for b in looks)
    many = {slug for slug in before if waiting[slug] >= MANY and "aws" not in catalogue.probes[slug].needs}
    return frozenset(slug for slug in many if before[slug] <= many)


def _looks_of(check: Check) -> tuple[str, ...]:
    """Every look whose facts a check reads."""
    return tuple(PROBE_OF_FACTS[p.wants] for p in check.parameters if p.wants in PROBE_OF_FACTS)


# --- observing --------------------------------------------------------------------------------------


class Observer:
    """Takes the wanted looks of one run."""

    def __init__(self, catalogue: Catalogue, look: Look, allowed: Iterable[str], progress: Progress) -> None:
        self._catalogue = catalogue
        self._look = look
        self._allowed = frozenset(allowed)
        self._progress = progress
        self._tasks: dict[str, asyncio.Task[Observation]] = {}
        self._seen: dict[str, Observation] = {}
        self._journals: dict[str, Journal] = {}

    def prepare(self, probes: Iterable[str]) -> None:
        """Have looks that nothing rules out yet make ready for what takes them long.

        Call it before anything else of the run. What goes wrong is left to the look itself to say.
        """
        for probe in (self._catalogue.probes[slug] for slug in sorted(probes)):
            if probe.prepare is not None and self._ruled_out(probe) is None:
                with suppress(OurTrouble), author(probe.slug):
                    probe.prepare()

    async def observe(
        self, probes: frozenset[str], stop: asyncio.Event, run_s: float
    ) -> tuple[Observation, ...]:
        """Take the looks. Ends when all are done, ``stop`` is set, or ``run_s`` seconds are over."""
        order = sorted(probes)
        self._progress.planned({slug: self._catalogue.probes[slug].area for slug in order})
        ahead = _go_ahead(self._catalogue, order)
        first = [self._begin(slug) for slug in order if slug in ahead]
        for slug in (s for s in order if s not in ahead):
            self._begin(slug, after=first)
        await self._until_done(stop, run_s)
        await asyncio.gather(*(journal.undo(UNDO_S) for journal in self._journals.values()))
        return tuple(self._noted(self._seen.get(slug) or _never_began(slug)) for slug in order)

    def _begin(
        self, slug: str, after: Sequence[asyncio.Task[Observation]] | None = None
    ) -> asyncio.Task[Observation]:
        """Begin a look: one that goes ahead at once, another one ``after`` those that do."""
        AHEAD.set(after is None)  # a task starts with what is set here
        task = asyncio.create_task(self._one(self._catalogue.probes[slug], after or ()), name=slug)
        self._tasks[slug] = task
        return task

    def _noted(self, seen: Observation) -> Observation:
        """A look that came to nothing says what it left behind; one that was seen has it in its facts."""
        journal = self._journals.get(seen.probe, Journal())
        left = ", ".join(f"{e.kind} {e.name}" for e in journal.entries() if not e.removed)
        if seen.status == "seen" or not left:
            return seen
        return seen.model_copy(update={"reason": f"{seen.reason}; not removed: {left}"})

    async def observe_again(
        self, causes: Mapping[str, tuple[str, ...]], stop: asyncio.Event, run_s: float
    ) -> tuple[Observation, ...]:
        """Take the looks of the second round: slug -> the causes it is to settle. Ends as the first does."""
        found = await self.observe(frozenset(causes), stop, run_s)
        return tuple(o.model_copy(update={"round": 2, "to_settle": causes[o.probe]}) for o in found)

    async def _until_done(self, stop: asyncio.Event, run_s: float) -> None:
        done = asyncio.create_task(self._all())
        stopped = asyncio.create_task(stop.wait())
        waiting: set[asyncio.Task[Any]] = {done, stopped}
        await asyncio.wait(waiting, timeout=run_s, return_when=asyncio.FIRST_COMPLETED)
        for task in (*waiting, *self._tasks.values()):
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._all()

    async def _all(self) -> None:
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _one(self, probe: Probe, first: Sequence[asyncio.Task[Observation]]) -> Observation:
        began, clock = datetime.now(UTC), time.monotonic()
        try:
            if first:
                await asyncio.wait(first, timeout=HEAD_START_S)
            outcome = await self._outcome(probe)
        except asyncio.CancelledError:
            outcome = OurTrouble(CUT_SHORT)
        seen = _observation(probe.slug, began, time.monotonic() - clock, outcome)
        self._seen[probe.slug] = seen
        self._progress.done(seen)
        return seen

    async def _outcome(self, probe: Probe) -> Facts | Skip | OurTrouble:
        for slug in _direct_before(self._catalogue, probe.slug):
            await asyncio.shield(self._tasks[slug])
        skip = self._ruled_out(probe) or self._missing_prior(probe) or self._blocked(probe)
        if skip is not None:
            return skip
        self._progress.started(probe.slug)
        return await self._take(probe)

    def _ruled_out(self, probe: Probe) -> Skip | None:
        """Why a look is not taken, whatever others see: it is not allowed, or lacks what it needs."""
        target, keys = self._look.target, self._look
        if probe.safety not in self._allowed:
            return Skip("not-configured", f"looks of class {probe.safety} are not allowed at this target")
        for need in probe.needs:
            missing = _missing(need, target, keys)
            if missing is not None:
                return missing
        return None

    def _missing_prior(self, probe: Probe) -> Skip | None:
        for parameter in probe.parameters:
            prior = self._seen.get(PROBE_OF_FACTS.get(parameter.wants, ""))
            if prior is not None and prior.status != "seen" and not parameter.optional:
                why = f"{prior.probe} was not seen: {prior.reason}"
                return Skip(prior.skip_kind or "blocked", why, prior.waited_for)
        return None

    def _blocked(self, probe: Probe) -> Skip | None:
        for slug in probe.after:
            verdict = _verdict(self._catalogue.checks[slug], self._seen, self._look.target)
            if verdict.status == "skip" and verdict.skip_kind in {"not-configured", "not-applicable"}:
                continue
            if verdict.status != "pass":
                return Skip("blocked", f"{slug} did not pass", verdict.waited_for or slug)
        return None

    async def _take(self, probe: Probe) -> Facts | OurTrouble:
        # one more than its requests can take: a look must not run out before its last request does
        seconds = probe.deadline_s or (probe.cost + 1) * self._look.target.timeouts.total_s
        try:
            async with asyncio.timeout(seconds):
                with author(probe.slug):
                    return await probe.function(**self._arguments(probe))
        except TimeoutError:
            return OurTrouble(f"the look was not done within its {seconds:g} s")
        except OurTrouble as trouble:
            return trouble

    def _arguments(self, probe: Probe) -> dict[str, Any]:
        journal = self._journals.setdefault(probe.slug, Journal())
        own = replace(self._look, journal=journal)
        given: dict[type, object] = {Look: own, Target: self._look.target}
        facts = _facts_by_class(self._seen.values())
        return {n.name: given.get(n.wants, facts.get(n.wants)) for n in probe.parameters}


def _missing(need: Need, target: Target, look: Look) -> Skip | None:
    """What the target or the environment lacks for a look, as the reason to skip it."""
    lacks: Mapping[Need, tuple[bool, SkipKind, str]] = {
        "aws": (look.aws is None, "not-configured", NO_AWS),
        "key": (not look.may_send_key(), "not-configured", _no_key(look)),
        "second-key": (
            look.keys.second is None,
            "not-configured",
            "the target names no second key, or it is not set",
        ),
        "admin-key": (not look.may_send_admin_key(), "not-configured", _no_admin_key(look)),
        "auth-host": (target.hosts.auth is None, "not-applicable", "the target has no auth host"),
        "api-host": (target.hosts.api is None, "not-applicable", "the target has no api host"),
        "registration-extra": (
            need == "registration-extra" and not look.has_registration_extra(),
            "not-configured",
            "needs the extra: pip install 'hokusai-probe[registration]'",
        ),
    }
    absent, kind, reason = lacks[need]
    return Skip(kind, reason) if absent else None


def _no_admin_key(look: Look) -> str:
    if look.keys.admin is None:
        return "the target names no admin key, or it is not set"
    return f"the key in {look.target.key.admin_env} is not sent: the target's address is plain http"


def _no_key(look: Look) -> str:
    name = look.target.key.env
    if look.keys.main is None:
        return f"{name} is not set"
    return f"the key in {name} is not sent: the target's address is plain http"


def _observation(
    slug: str, began: datetime, seconds: float, outcome: Facts | Skip | OurTrouble
) -> Observation:
    common = {"probe": slug, "started_at": began, "duration_s": round(seconds, 4)}
    match outcome:
        case Facts():
            return Observation(**common, status="seen", facts=outcome)
        case Skip(kind, reason, waited_for):
            return Observation(
                **common, status="skipped", reason=reason, skip_kind=kind, waited_for=waited_for
            )
        case _:
            return Observation(**common, status="fault", reason=str(outcome))


def _never_began(slug: str) -> Observation:
    return _observation(slug, datetime.now(UTC), 0.0, OurTrouble(CUT_SHORT))


# --- reading recorded facts ------------------------------------------------------------------------


def without_aws(catalogue: Catalogue, observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations as a run without AWS would have them: looks through AWS skipped. Pure."""
    return tuple(_not_through_aws(catalogue.probes.get(o.probe), o) for o in observations)


def _not_through_aws(probe: Probe | None, observation: Observation) -> Observation:
    if probe is None or "aws" not in probe.needs:
        return observation
    skipped = {"status": "skipped", "facts": None, "reason": NO_AWS, "skip_kind": "not-configured"}
    return observation.model_copy(update=skipped | {"waited_for": None, "duration_s": 0.0})


def typed(catalogue: Catalogue, observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Observations whose facts have their own class again, as a replay needs them.

    Facts that today's class cannot read become a fault that says so; nothing else is lost.
    """
    return tuple(_typed(catalogue.probes.get(o.probe), o) for o in observations)


def _typed(probe: Probe | None, observation: Observation) -> Observation:
    if not isinstance(observation.facts, RecordedFacts):
        return observation
    if probe is None:
        return _unreadable(observation, "this version has no such look")
    try:
        facts = probe.facts.model_validate(observation.facts.model_dump())
    except ValidationError as trouble:
        where = ".".join(str(part) for part in trouble.errors()[0]["loc"])
        return _unreadable(observation, f"the recorded facts cannot be read at {where!r}")
    return observation.model_copy(update={"facts": facts})


def _unreadable(observation: Observation, reason: str) -> Observation:
    return observation.model_copy(update={"status": "fault", "facts": None, "reason": reason})


def _facts_by_class(observations: Iterable[Observation]) -> dict[type, object]:
    return {type(o.facts): o.facts for o in observations if o.facts is not None}


# --- judging ----------------------------------------------------------------------------------------


def judge(
    catalogue: Catalogue, observations: Sequence[Observation], target: Target, wanted: frozenset[str]
) -> tuple[Verdict, ...]:
    """One verdict for each wanted check of each look that was considered, in catalogue order. Pure."""
    seen = {o.probe: o for o in observations}
    return tuple(
        _verdict(check, seen, target)
        for check in catalogue.checks.values()
        if check.slug in wanted and check.probe in seen
    )


@dataclass(frozen=True, slots=True)
class Judgement:
    """A check's answer before it is a verdict."""

    status: VerdictStatus
    kind: SkipKind | None = None
    reason: str = ""
    reproduce: str | None = None
    waited_for: str | None = None
    hop: str | None = None


def _verdict(check: Check, seen: Mapping[str, Observation], target: Target) -> Verdict:
    judged = _settled(check, _judgement(check, seen, target), target)
    return Verdict(
        check=check.slug,
        title=check.title,
        area=check.area,
        component=topology.component(judged.hop) if judged.hop else check.component,
        hop=judged.hop or check.hop,
        status=judged.status,
        skip_kind=judged.kind,
        reason=judged.reason,
        probe=check.probe,
        waited_for=judged.waited_for,
        reproduce=judged.reproduce,
    )


def _settled(check: Check, judged: Judgement, target: Target) -> Judgement:
    """What the target accepts does not fail; what is wrong on our own side is not a failure of theirs."""
    if judged.status != "fail":
        return judged
    if check.behaviour is not None and check.behaviour in target.accept.behaviours:
        reason = f"accepted by the target ({check.behaviour}): {judged.reason}"
        return Judgement("skip", "not-applicable", reason)
    return replace(judged, status="error") if check.component == "probe" else judged


def _judgement(check: Check, seen: Mapping[str, Observation], target: Target) -> Judgement:
    unseen = _unseen(check, seen)
    if unseen is not None:
        return unseen
    try:
        with author(check.slug):
            said = check.function(**_given(check.parameters, seen, target))
    except OurTrouble as trouble:
        return Judgement("error", None, str(trouble))
    return _heard(said)


_SKIPS: Mapping[type, SkipKind] = {
    CannotTell: "cannot-tell",
    NotApplicable: "not-applicable",
}


def _heard(said: Sentence) -> Judgement:
    match said:
        case None:
            return Judgement("pass")
        case str():
            return Judgement("fail", None, said)
        case Wrong(reason=reason, reproduce=reproduce, hop=hop):
            return Judgement("fail", None, reason, reproduce, None, hop)
        case Blocked(reason=reason, waited_for=waited_for):
            return Judgement("skip", "blocked", reason, None, waited_for)
    return Judgement("skip", _SKIPS[type(said)], said.reason)


def _unseen(check: Check, seen: Mapping[str, Observation]) -> Judgement | None:
    required = [PROBE_OF_FACTS.get(p.wants) for p in check.parameters if not p.optional]
    looks = (seen.get(slug, slug) for slug in required if slug is not None)
    return next((j for look in looks if (j := _without(look)) is not None), None)


def _without(looked: Observation | str) -> Judgement | None:
    match looked:
        case str():
            return Judgement("skip", "blocked", f"{looked} was not looked at")
        case Observation(status="fault"):
            return Judgement("error", None, f"{looked.probe}: {looked.reason}")
        case Observation(status="skipped"):
            return Judgement("skip", looked.skip_kind, looked.reason or "", None, looked.waited_for)
    return None


def _given(
    parameters: Iterable[Parameter], seen: Mapping[str, Observation], target: Target
) -> dict[str, Any]:
    return {p.name: target if p.wants is Target else _facts_of(seen, p.wants) for p in parameters}


def _facts_of(seen: Mapping[str, Observation], wanted: type) -> Facts | None:
    observation = seen.get(PROBE_OF_FACTS.get(wanted, ""))
    facts = observation.facts if observation is not None else None
    return facts if isinstance(facts, wanted) else None


@contextmanager
def author(slug: str) -> Iterator[None]:
    """Run an author's code; whatever it raises becomes :class:`OurTrouble` with its reason."""
    try:
        yield
    except Exception as trouble:  # noqa: BLE001  # the one broad except: an author's mistake must not end a run
        msg = f"{slug} itself failed: {type(trouble).__name__}: {trouble}"
        raise OurTrouble(msg) from None


def arguments_of(cause: Cause, seen: Mapping[str, Observation], target: Target) -> dict[str, Any] | None:
    """What a cause is called with, by what was seen of each look; None when facts that it needs were not."""
    given = _given(cause.parameters, seen, target)
    lacking = any(given[p.name] is None and not p.optional for p in cause.parameters)
    return None if lacking else given


def allowed_classes(target: Target, extra: Iterable[str]) -> tuple[str, ...]:
    """The safety classes of this run: what the target's file allows, and what the command line added."""
    wanted = {*target.allow.classes, *extra}
    return tuple(c for c in SAFETY_CLASSES if c in wanted)
