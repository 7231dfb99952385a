"""From what was recorded of an experiment to what it comes to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Literal

from pydantic import Field

from hokusai_probe.chaos.experiment import USER_KINDS, Experiment, Limit, UserKind
from hokusai_probe.chaos.facts import BreakerSeen, LimitSeen, Recorded, Sighting, Used
from hokusai_probe.model import Frozen

Outcome = Literal["completed", "deviated", "not-started", "rollback-failed", "interrupted", "skipped"]

BREAKER_TOLERANCE_S = 1.5
"""How far from its setting a breaker's rest may be seen: it is asked a few times a second."""
WINDOW_TOLERANCE_S = 2.0

SIGNALS: Mapping[str, int] = {"SIGINT": 130, "SIGTERM": 143}


class Share(Frozen):
    """How much of what users tried worked."""

    worked: int
    tried: int

    @property
    def part(self) -> float | None:
        """Between 0 and 1; None where nothing was tried."""
        return self.worked / self.tried if self.tried else None


class BreakerFound(Frozen):
    """The breaker as it was seen from outside; seconds as they pass here, None where it was not seen.

    ``opened_after``: failures that it had counted when it first said that it is open; ``still_closed``: the
    most with which it said before that it is not. Others look at MLflow as well, so there may be some between
    the two. ``rested_s``: from the first until it tried again. ``closed_s``: until it said that it is closed.
    """

    opened_after: int | None = None
    still_closed: int = 0
    rested_s: float | None = None
    closed_s: float | None = None


class Result(Frozen):
    """What one experiment comes to.

    ``reasons``: why it deviated, did not start, was skipped, or why the rollback counts as failed. Seconds:
    ``detected_s`` and ``named_s`` (all causes that are wanted) since the first step of the method,
    ``recovered_s`` since the end of the rollback, ``users_recovered_s`` the same for users alone; None: it
    did not happen. ``named``: causes in the order in which they were named during the fault. ``could``: what
    users could do then. ``lost``: what the platform had acknowledged and does not have any more, by name.
    ``torn``: artifacts of which a part is there though nobody was told that they are stored.
    ``unaccounted``: what nobody could look up; ``accounted``: how many acknowledged things were looked up.
    """

    name: str
    summary: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    detected_s: float | None = None
    named_s: float | None = None
    named: tuple[str, ...] = ()
    could: Mapping[UserKind, Share] = Field(default_factory=dict)
    recovered_s: float | None = None
    users_recovered_s: float | None = None
    accounted: int = 0
    lost: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    unaccounted: tuple[str, ...] = ()
    breaker: BreakerFound | None = None
    recorded: Recorded


def judge(seen: Recorded) -> Result:
    """The result of one experiment."""
    outcome, reasons = _outcome(seen)
    return Result(
        name=seen.experiment.name,
        summary=seen.experiment.summary,
        outcome=outcome,
        reasons=reasons,
        detected_s=detected_s(seen),
        named_s=named_s(seen),
        named=tuple(named(seen)),
        could=could(seen),
        recovered_s=recovered_s(seen),
        users_recovered_s=users_recovered_s(seen),
        accounted=sum(one.fate in ("kept", "lost") for one in seen.kept),
        lost=_names(seen, "lost"),
        torn=_names(seen, "torn"),
        unaccounted=_names(seen, "unknown"),
        breaker=breaker(seen.breaker, seen.rollback_ended_s) if seen.experiment.breaker else None,
        recorded=seen,
    )


def _outcome(seen: Recorded) -> tuple[Outcome, tuple[str, ...]]:
    if seen.skipped is not None:
        return "skipped", (seen.skipped,)
    if failed := tuple(_rollback_troubles(seen)):
        return "rollback-failed", failed
    if seen.interrupted is not None:
        return "interrupted", (f"{seen.interrupted} came; all was rolled back",)
    if seen.fault_began_s is None:
        return "not-started", seen.not_started or ("it was not begun",)
    reasons = tuple(_deviations(seen))
    return ("deviated", reasons) if reasons else ("completed", ())


def _rollback_troubles(seen: Recorded) -> Iterator[str]:
    yield from seen.rollback_errors
    if seen.fault_began_s is None or seen.rollback_errors:
        return
    if seen.rollback_ended_s is None or recovered_s(seen) is None:
        last = seen.sightings[-1] if seen.sightings else None
        still = (*last.failing, *last.errors) if last else ()
        yield f"the steady state did not come back: {', '.join(still[:5]) or 'users still fail'}"


# --- what is measured ---------------------------------------------------------------------------------


def detected_s(seen: Recorded) -> float | None:
    """When looks that ended during the fault first had a failing check."""
    return next((_since(seen, one) for one in _during(seen) if one.failing), None)


def named(seen: Recorded) -> list[str]:
    """The causes that looks named which began and ended during the fault, in that order, each once."""
    return list(dict.fromkeys(cause for one in _begun_during(seen) for cause in one.causes))


def named_s(seen: Recorded) -> float | None:
    """When the last one of the wanted causes was first named; None also where none is wanted.

    Where an experiment says of what a cause must be named, only that counts.
    """
    wanted = seen.experiment.expect.causes
    each = ([_since(seen, s) for s in _begun_during(seen) if _names_it(seen, s, c)] for c in wanted)
    first = [min(moments, default=None) for moments in each]
    known = [moment for moment in first if moment is not None]
    return max(known) if wanted and len(known) == len(first) else None


def could(seen: Recorded) -> dict[UserKind, Share]:
    """What users tried during the fault, by kind, and how much of it worked."""
    if seen.fault_began_s is None:
        return {}
    tried = used_during(seen)
    return {kind: _share(u for u in tried if u.kind == kind) for kind in USER_KINDS}


def used_during(seen: Recorded) -> list[Used]:
    """What users were to begin during the fault."""
    if seen.fault_began_s is None:
        return []
    return [u for u in seen.used if seen.fault_began_s <= u.at_s < _fault_end(seen)]


def recovered_s(seen: Recorded) -> float | None:
    """Seconds from the end of the rollback until looks found all well and users had no more trouble."""
    users = users_recovered_s(seen)
    if seen.rollback_ended_s is None or users is None:
        return None
    after = [one for one in seen.sightings if one.began_s >= seen.rollback_ended_s]
    troubled = [i for i, one in enumerate(after) if not one.is_well]
    steady = after[troubled[-1] + 1 :] if troubled else after
    return max(steady[0].ended_s - seen.rollback_ended_s, users) if steady else None


def users_recovered_s(seen: Recorded) -> float | None:
    """Seconds from the end of the rollback until each kind of use works from then on; None: one does not.

    Where one had failed, until the first that worked was done; where none did, 0.
    """
    if seen.rollback_ended_s is None:
        return None
    each = [_kind_recovered_s(seen, kind, seen.rollback_ended_s) for kind in USER_KINDS]
    known = [moment for moment in each if moment is not None]
    return max(known) if len(known) == len(each) else None


def _kind_recovered_s(seen: Recorded, kind: UserKind, since: float) -> float | None:
    after = [u for u in seen.used if u.kind == kind and u.at_s >= since]
    failed = [i for i, u in enumerate(after) if not u.worked]
    good = after[failed[-1] + 1 :] if failed else after
    if not good:
        return None
    return good[0].at_s + good[0].took_s - since if failed else 0.0


def breaker(asked: Sequence[BreakerSeen], rolled_back_s: float | None) -> BreakerFound:
    """What the answers of ``/health/mlflow`` say of the breaker.

    Open is what says so, or a 5xx of which the state is unknown: the platform's own form of it (contract 5).
    It has rested when it first says anything else, and is closed when it says that, after the rollback.
    """
    opened = next((one for one in asked if _is_open(one)), None)
    if opened is None:
        return BreakerFound()
    before = max((one.failures or 0 for one in asked if one.at_s < opened.at_s), default=0)
    later = [one for one in asked if one.at_s > opened.at_s and one.status is not None]
    rested = next((one.at_s for one in later if not _is_open(one)), None)
    closed = [one.at_s for one in later if one.state == "CLOSED" and one.at_s >= (rolled_back_s or 0.0)]
    return BreakerFound(
        opened_after=opened.failures or before + 1,
        still_closed=before,
        rested_s=rested - opened.at_s if rested is not None else None,
        closed_s=closed[0] - opened.at_s if closed else None,
    )


def opened(found: BreakerFound) -> str:
    """After how many failures the breaker opened, as far as that could be seen."""
    if found.opened_after is None:
        return "never opened"
    first = found.still_closed + 1
    some = f"{first} to {found.opened_after}" if first < found.opened_after else str(found.opened_after)
    return f"opened after {some} failures"


def _is_open(one: BreakerSeen) -> bool:
    return one.state == "OPEN" or (one.status is not None and one.status >= 500 and one.state == "UNKNOWN")


# --- what was expected --------------------------------------------------------------------------------


def _deviations(seen: Recorded) -> Iterator[str]:
    expect = seen.experiment.expect
    if seen.trouble:
        yield seen.trouble
    yield from _unmet_faults(seen)
    found = detected_s(seen)
    if expect.detected is True and found is None:
        yield "no check failed during the fault"
    if expect.detected is False and found is not None:
        failing = next(one.failing for one in _during(seen) if one.failing)
        yield f"a check failed though nothing that users have was broken: {', '.join(failing)}"
    yield from _wrong_causes(seen)
    yield from _too_little(seen)
    after = recovered_s(seen)
    if after is not None and after > seen.experiment.recover_within_s:
        yield f"recovered after {after:.0f} s, later than {seen.experiment.recover_within_s:g} s"
    yield from (f"lost: {name}" for name in _names(seen, "lost"))
    yield from (f"a part of it is there: {name}" for name in _names(seen, "torn"))
    yield from (f"nobody could tell what became of {name}" for name in _names(seen, "unknown"))
    if expect.cuts_uploads and all(one.worked for one in seen.uploads):
        yield "every upload was acknowledged: none was under way when it mattered"
    yield from _breaker_deviations(seen)
    yield from _limit_deviations(seen.experiment, seen.limits, seen.time_scale)


def _unmet_faults(seen: Recorded) -> Iterator[str]:
    """A fault that takes each so-manieth request proves nothing before it has taken one."""
    steps = [step for step in seen.experiment.method if step.kind == "fault"]
    every = [int(str(step.settings.get("every", 1))) for step in steps]
    if max(every, default=1) > 1 and (seen.counted or 0) < max(every):
        yield f"the fault met nothing: it takes each {max(every)}., and {seen.counted or 0} came by"


def _wrong_causes(seen: Recorded) -> Iterator[str]:
    expect, found = seen.experiment.expect, named(seen)
    for cause in expect.causes:
        if cause not in found:
            yield f"the cause {cause} was not named"
        elif not any(_names_it(seen, one, cause) for one in _begun_during(seen)):
            said = sorted({s for one in _begun_during(seen) for s in one.subjects.get(cause, ())})
            wanted = ", ".join(expect.subjects[cause])
            yield f"the cause {cause} was named of {', '.join(said) or 'nothing'}, and not of {wanted}"
    for cause in found:
        if cause not in (*expect.causes, *expect.accept):
            yield f"the cause {cause} was named, and it is not the one"


def _too_little(seen: Recorded) -> Iterator[str]:
    shares = could(seen)
    for kind, least in seen.experiment.expect.could.items():
        part = shares[kind].part if kind in shares else None
        if part is None or part < least:
            said = "was not tried" if part is None else f"worked in {100 * part:.0f} %"
            yield f"{kind} {said} during the fault, and at least {100 * least:.0f} % was expected"


def _breaker_deviations(seen: Recorded) -> Iterator[str]:
    if not seen.experiment.breaker:
        return
    found, wanted = breaker(seen.breaker, seen.rollback_ended_s), seen.breaker_settings
    if found.opened_after is None:
        yield "the breaker was never seen open"
    elif wanted is not None and not found.still_closed < wanted.failures <= found.opened_after:
        yield f"the breaker {opened(found)}, and {wanted.source} says {wanted.failures}"
    if found.closed_s is None:
        yield "the breaker was not seen to close again"
    if wanted is None or found.rested_s is None or _was_reset(seen.experiment):
        return
    rest = wanted.recovery_s / seen.time_scale
    if abs(found.rested_s - rest) > BREAKER_TOLERANCE_S:
        yield f"the breaker rested {found.rested_s:.1f} s, and {wanted.source} says {rest:g} s"


def _was_reset(experiment: Experiment) -> bool:
    steps = (*experiment.method, *experiment.rollback)
    return any(step.settings.get("path") == "/health/mlflow/reset" for step in steps)


def _limit_deviations(experiment: Experiment, seen: Iterable[LimitSeen], time_scale: float) -> Iterator[str]:
    for one, wanted in zip_longest(seen, experiment.limits):
        if one is None:
            yield f"{wanted.method} {wanted.path}: it was not asked until it refuses"
        else:
            yield from _limit_deviation(one, wanted, time_scale)


def _limit_deviation(one: LimitSeen, wanted: Limit, time_scale: float) -> Iterator[str]:
    window, route = wanted.window_s / time_scale, f"{one.method} {one.path}"
    if not one.refused:
        yield f"{route}: no limit was seen within {one.sent} requests in {one.seconds:.1f} s"
        return
    if one.taken != wanted.requests:
        yield f"{route}: {one.taken} requests were taken before the first 429, not {wanted.requests}"
    if one.passed_on != wanted.passed_on:
        yield f"{route}: the gateway passes that on as {one.passed_on}, not as {wanted.passed_on}"
    if not one.waited:
        return
    if one.let_in_s is None:
        yield f"{route}: it let nobody in again"
    elif abs(one.let_in_s - window) > WINDOW_TOLERANCE_S:
        yield f"{route}: it let in again after {one.let_in_s:.1f} s, not {window:g} s"


# --- parts --------------------------------------------------------------------------------------------


def _during(seen: Recorded) -> list[Sighting]:
    """Looks that ended during the fault."""
    if seen.fault_began_s is None:
        return []
    return [s for s in seen.sightings if seen.fault_began_s <= s.ended_s <= _fault_end(seen)]


def _begun_during(seen: Recorded) -> list[Sighting]:
    """Looks that began and ended during the fault: others saw half of one state and half of another."""
    return [one for one in _during(seen) if one.began_s >= (seen.fault_began_s or 0.0)]


def _names_it(seen: Recorded, one: Sighting, cause: str) -> bool:
    """Whether looks named a cause, of all that it must be named of and of nothing else."""
    wanted = seen.experiment.expect.subjects.get(cause)
    return cause in one.causes and (wanted is None or set(one.subjects.get(cause, ())) == set(wanted))


def _fault_end(seen: Recorded) -> float:
    return seen.ended_s if seen.rollback_began_s is None else seen.rollback_began_s


def _since(seen: Recorded, one: Sighting) -> float:
    return one.ended_s - (seen.fault_began_s or 0.0)


def _share(used: Iterable[Used]) -> Share:
    tried = [u.worked for u in used]
    return Share(worked=sum(tried), tried=len(tried))


def _names(seen: Recorded, fate: str) -> tuple[str, ...]:
    return tuple(f"{one.kind} {one.name}" for one in seen.kept if one.fate == fate)


def exit_code(results: Iterable[Result]) -> int:
    """0 all as expected, or skipped; 1 deviated; 3 not started, or all skipped; 4 a rollback failed.

    A signal's own code where one came and everything was rolled back.
    """
    found = list(results)
    outcomes = {one.outcome for one in found}
    if "rollback-failed" in outcomes:
        return 4
    signals = [s for one in found if (s := one.recorded.interrupted) is not None]
    if signals:
        return SIGNALS.get(signals[0], 130)
    if "not-started" in outcomes or outcomes <= {"skipped"}:
        return 3
    return 1 if "deviated" in outcomes else 0
