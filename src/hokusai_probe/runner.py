"""One run from target to report, and the same without looking: the judging of a recorded run again."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from hokusai_probe import config, engine, second_round
from hokusai_probe.declare import Catalogue, catalogue
from hokusai_probe.diagnose import blamed, diagnose
from hokusai_probe.errors import ProbeError
from hokusai_probe.keys import Keys, secrets_in
from hokusai_probe.looking import Look
from hokusai_probe.model import (
    Area,
    Error,
    Facts,
    Frozen,
    Observation,
    Report,
    SafetyClass,
    Target,
    Trigger,
    Verdict,
)
from hokusai_probe.redact import Redactor
from hokusai_probe.score import score

RUN_S = 300.0


class UsageError(ProbeError, ValueError):
    """The call itself cannot be carried out: an unknown selector, or a loop that is already running."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is to be done. ``run_s``: seconds for the whole of it."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    aws: bool = True
    allow: tuple[SafetyClass, ...] = ()
    trigger: Trigger = "manual"
    run_s: float = RUN_S
    verified_sha: str | None = None
    expected_interval_s: float | None = None


@dataclass(slots=True)
class Control:
    """How a run is watched and cut short: set ``stop``, and say why in ``signal``."""

    progress: engine.Progress = field(default_factory=engine.Silent)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    signal: str | None = None
    note: Callable[[str], None] = lambda _: None


class Looked(Frozen):
    """One look by itself: its facts (None when it was not taken), and its checks' verdicts."""

    observation: Observation
    facts: Facts | None
    verdicts: tuple[Verdict, ...]


def targeted(target: Target | str | Path, environment: Mapping[str, str]) -> Target:
    """The target itself, or the one that a file, a URL or a shipped name stands for. Raises ConfigError."""
    return target if isinstance(target, Target) else config.load(target, environment)


async def arun(
    target: Target | str | Path,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    aws: bool = True,
    allow: Iterable[SafetyClass] = (),
    environment: Mapping[str, str] | None = None,
) -> Report:
    """The same as :func:`run`, for code inside a running event loop, such as a notebook."""
    options = Options(only=tuple(only), skip=tuple(skip), aws=aws, allow=tuple(allow))
    return await carry_out(target, options, environment=environment)


async def carry_out(
    target: Target | str | Path,
    options: Options,
    *,
    control: Control | None = None,
    environment: Mapping[str, str] | None = None,
) -> Report:
    """One run with all its settings, watched and cut short through ``control``.

    Raises ConfigError, BadKey or UsageError before the first request when something of ours is unusable.
    """
    where = os.environ if environment is None else environment
    chosen, found = targeted(target, where), catalogue()
    check_selectors(found, (*options.only, *options.skip))
    control = control or Control()
    redactor = Redactor(secrets_in(chosen.key, where))
    began = datetime.now(UTC)
    wanted = engine.selected(found, options.only, options.skip)
    probes = engine.wanted_probes(found, options.only, options.skip, wanted)
    observations, sent = await _observe(found, chosen, options, control, where, redactor, probes)
    return conclude(
        redactor.model(chosen),
        observations,
        wanted,
        began=began,
        options=options,
        requests_sent=sent,
        duration_s=(datetime.now(UTC) - began).total_seconds(),
        interrupted=control.signal,
    )


async def _observe(
    found: Catalogue,
    target: Target,
    options: Options,
    control: Control,
    environment: Mapping[str, str],
    redactor: Redactor,
    probes: frozenset[str],
) -> tuple[tuple[Observation, ...], int]:
    from hokusai_probe.aws import AwsDoor
    from hokusai_probe.http import HttpDoor

    keys = Keys.read(target.key, environment)
    for note in keys.notes:
        control.note(note)
    cloud = None
    if target.aws is not None and options.aws:
        cloud = AwsDoor(target.aws, redactor, environment)
    door = HttpDoor(target, keys, redactor)
    look = Look.new(target, door, cloud, keys, secrets.token_hex(4))
    allowed = engine.allowed_classes(target, options.allow)
    observer = engine.Observer(found, look, allowed, control.progress)
    observer.prepare(probes)
    until = time.monotonic() + options.run_s
    async with cloud or nullcontext(), door:
        seen = await observer.observe(probes, control.stop, options.run_s)
        first = tuple(redactor.model(o) for o in seen)
        open_yet = {} if control.stop.is_set() else _to_settle(found, target, options, first)
        second = await observer.observe_again(open_yet, control.stop, max(0.0, until - time.monotonic()))
    return (*first, *(redactor.model(o) for o in second)), door.requests_sent


def _to_settle(
    found: Catalogue, target: Target, options: Options, seen: Sequence[Observation]
) -> dict[str, tuple[str, ...]]:
    """The looks of the second round and the causes that each may settle; none where looks were named."""
    if options.only and set(options.only) <= set(found.probes):
        return {}
    verdicts = engine.judge(found, seen, target, frozenset(found.checks))
    if not any(v.status in {"fail", "error"} for v in verdicts):
        return {}
    concluded = diagnose(found, seen, verdicts, target)
    taken = frozenset(o.probe for o in seen)
    unwanted = {p.slug for p in found.probes.values() if {p.slug, p.area} & {*options.skip}}
    planned = second_round.plan(found, concluded.diagnoses, taken)
    return {p.probe: p.causes for p in planned if p.probe not in unwanted}


def conclude(
    target: Target,
    observations: Iterable[Observation],
    wanted: frozenset[str],
    *,
    began: datetime,
    options: Options = Options(),
    requests_sent: int = 0,
    duration_s: float = 0.0,
    interrupted: str | None = None,
) -> Report:
    """Judge, diagnose and score observations. Pure but for the catalogue it reads."""
    found = catalogue()
    seen = engine.typed(found, observations)
    everything = engine.judge(found, seen, target, frozenset(found.checks))
    concluded = diagnose(found, seen, everything, target)
    verdicts = _wanted(blamed(found, everything, concluded.diagnoses), wanted)
    return Report(
        target=target.name,
        configuration=target,
        trigger=options.trigger,
        started_at=began,
        duration_s=round(duration_s, 3),
        tool_version=version("hokusai-probe"),
        expected_interval_s=options.expected_interval_s,
        verified_sha=options.verified_sha,
        requests_sent=requests_sent,
        interrupted=interrupted,
        observations=seen,
        verdicts=verdicts,
        diagnoses=concluded.diagnoses,
        unexplained=tuple(slug for slug in concluded.unexplained if slug in wanted),
        errors=(*concluded.errors, *_left_behind(seen)),
        score=score(verdicts),
    )


def _wanted(verdicts: Iterable[Verdict], wanted: frozenset[str]) -> tuple[Verdict, ...]:
    """The verdicts that were asked for; one that waits for a check that was not says what is wrong there."""
    judged = {v.check: v for v in verdicts}
    return tuple(
        v.model_copy(update={"reason": f"{v.reason}: {judged[v.waited_for].reason}"})
        if v.waited_for in judged and v.waited_for not in wanted
        else v
        for v in judged.values()
        if v.check in wanted
    )


def _left_behind(observations: Iterable[Observation]) -> tuple[Error, ...]:
    """What a run created and could not remove: a finding about us, whatever the platform did."""
    left = (sentence for o in observations for sentence in getattr(o.facts, "leftovers", ()))
    return tuple(Error(where="left behind", reason=sentence) for sentence in left)


def replay(report: Report, *, aws: bool = True) -> Report:
    """The report of the same observations, judged and diagnosed by this version. Sends nothing.

    The checks are those that have a verdict; all, where observations come without any. Without ``aws``
    what was seen through AWS is left out, as if the run had not looked there. Raises UsageError when two
    observations are of one look and round.
    """
    _refuse_doubles(report.observations)
    judged = frozenset(v.check for v in report.verdicts)
    seen = report.observations if aws else engine.without_aws(catalogue(), report.observations)
    return conclude(
        report.configuration,
        seen,
        judged if judged or not report.observations else frozenset(catalogue().checks),
        began=report.started_at,
        options=Options(
            trigger=report.trigger,
            verified_sha=report.verified_sha,
            expected_interval_s=report.expected_interval_s,
        ),
        requests_sent=report.requests_sent,
        duration_s=report.duration_s,
        interrupted=report.interrupted,
    )


def _refuse_doubles(observations: Iterable[Observation]) -> None:
    seen = Counter((o.probe, o.round) for o in observations)
    for (probe, number), count in seen.items():
        if count > 1:
            msg = f"the report has {count} observations of {probe!r} in round {number}, where one is wanted"
            raise UsageError(msg)


def check_selectors(found: Catalogue, words: Iterable[str]) -> None:
    """Refuse a word that means nothing. An area without a check yet means what it says: none."""
    known = engine.selectors(found) | set(get_args(Area))
    for word in words:
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            msg = f"{word!r} is no area, look or check{hint}; `hokusai-probe checks` lists them"
            raise UsageError(msg)


def run(
    target: Target | str | Path,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    aws: bool = True,
    allow: Iterable[SafetyClass] = (),
    environment: Mapping[str, str] | None = None,
) -> Report:
    """Look, judge and diagnose, and wait for it. In a running event loop use ``await arun(...)``.

    ``target`` is a TOML file, a URL, the name of a target that ships, or a Target. ``only`` and ``skip``
    name areas, looks or checks. ``allow`` adds safety classes to those of the target. Keys come from
    ``environment``, by default the process's own. Returns the report; what the platform does never raises.
    Raises ConfigError, BadKey or UsageError, before the first request, when something of ours is unusable.
    """
    _refuse_running_loop()
    looking = arun(target, only=only, skip=skip, aws=aws, allow=allow, environment=environment)
    return asyncio.run(looking)


def look(probe: str, target: Target | str | Path, *, environment: Mapping[str, str] | None = None) -> Looked:
    """Take one look and judge it, with the looks that it needs. Raises UsageError for an unknown slug."""
    if probe not in catalogue().probes:
        check_selectors(catalogue(), (probe,))
        msg = f"{probe!r} is not a look; `hokusai-probe checks` lists the looks"
        raise UsageError(msg)
    report = run(target, only=(probe,), environment=environment)
    seen = next(o for o in report.observations if o.probe == probe)
    verdicts = tuple(v for v in report.verdicts if v.probe == probe)
    return Looked(observation=seen, facts=seen.facts, verdicts=verdicts)


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    msg = "an event loop is running already (a notebook?): use `await hokusai_probe.arun(...)`"
    raise UsageError(msg)
