"""How a run speaks for or against an issue, read off what a history keeps of it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hokusai_probe.config import interval
from hokusai_probe.history.condense import state_of
from hokusai_probe.history.index import Point, Seen
from hokusai_probe.history.runs import KeptCause, State
from hokusai_probe.issues.needs import NOT_OURS_TO_MEND, Telling, first_hops, key_of_cause, prefix
from hokusai_probe.model import Report, Target, Verdict


@dataclass(frozen=True, slots=True)
class Signs:
    """What of one run belongs to one key: causes with what suffered from them, and checks without a cause.

    ``marks``: what must be seen again for the same to be seen again: causes, and checks that failed.
    ``sure``: whether one of the causes was confirmed inside the run.
    """

    causes: Mapping[str, frozenset[str]]
    checks: frozenset[str]
    marks: frozenset[str]
    sure: bool


@dataclass(slots=True)
class Reader:
    """Reads signs out of states. Runs that found the same share a state, which is then read once.

    What may not be told is no sign: else a muted check would confirm the flake of another.
    """

    telling: Telling
    verdicts: Mapping[str, Verdict]
    _read: dict[int, tuple[State, Mapping[str, Signs]]] = field(default_factory=dict)

    def signs(self, state: State) -> Mapping[str, Signs]:
        """What is wrong in a state, by key."""
        known = self._read.get(id(state))
        if known is None:
            known = self._read[id(state)] = (state, self._signs(state))
        return known[1]

    def _signs(self, state: State) -> Mapping[str, Signs]:
        failing = frozenset(state.checks.get("fail", ()))
        present = state.present()
        if not failing and not present:
            return {}
        by_key: defaultdict[str, list[KeptCause]] = defaultdict(list)
        told = [cause for cause in present if not self.telling.withholds(cause.cause, cause.component)]
        for cause in _firsts(told):
            if cause.component not in NOT_OURS_TO_MEND and not self.telling.mute(cause=cause.cause):
                by_key[self._key(cause)].append(cause)
        unsure = (c for c in state.causes if c.undecided and c.cause in self.telling.sensitive)
        hidden = frozenset(c for cause in unsure for c in cause.explains)
        checks = self._unexplained(failing - {c for cause in present for c in cause.explains}, hidden)
        keys = dict.fromkeys((*by_key, *checks))
        suffering = failing | frozenset(state.checks.get("blocked", ()))
        return {key: _signs(by_key[key], frozenset(checks.get(key, ())), suffering) for key in keys}

    def _key(self, cause: KeptCause) -> str:
        sensitive = cause.cause in self.telling.sensitive
        return key_of_cause(self.telling.target, cause.component, cause.cause, sensitive=sensitive)

    def _unexplained(self, left: Iterable[str], hidden: frozenset[str]) -> dict[str, list[str]]:
        """Failing checks by the key of who must act; one that no report of now knows belongs to nobody.

        ``hidden``: those that would tell of a sensitive cause, wherever that must not be told.
        """
        known = [self.verdicts[check] for check in left if check in self.verdicts]
        known = [v for v in known if self.telling.is_private(v.component) or v.check not in hidden]
        firsts = first_hops(v.hop for v in known)
        found: defaultdict[str, list[str]] = defaultdict(list)
        for verdict in known:
            mine = verdict.hop in firsts and verdict.component not in NOT_OURS_TO_MEND
            if mine and not self.telling.mute(check=verdict.check):
                found[f"{prefix(self.telling.target.name)}{verdict.component}"].append(verdict.check)
        return found


def _signs(causes: Iterable[KeptCause], checks: frozenset[str], suffering: frozenset[str]) -> Signs:
    """A cause also explains checks that no run here ever judges; only those count that failed or waited."""
    found = {cause.cause: frozenset(cause.explains) & suffering for cause in causes}
    sure = any(cause.certainty == "confirmed" for cause in causes)
    return Signs(found, checks, frozenset(found).union(checks, *found.values()), sure)


def _firsts(causes: Iterable[KeptCause]) -> Iterator[KeptCause]:
    """Those that no other of them caused; of a circle, all that hangs on it."""
    by_cause = {cause.cause: cause for cause in causes}
    for cause in by_cause.values():
        if cause.caused_by not in by_cause or _is_endless(cause, by_cause):
            yield cause


def _is_endless(cause: KeptCause, by_cause: Mapping[str, KeptCause]) -> bool:
    passed: set[str] = set()
    above: KeptCause | None = cause
    while above is not None and above.cause not in passed:
        passed.add(above.cause)
        above = by_cause.get(above.caused_by or "")
    return above is not None


@dataclass(frozen=True, slots=True)
class Counting:
    """Which runs of a target may speak for or against anything."""

    windows: tuple[tuple[datetime, datetime], ...]

    @classmethod
    def at(cls, target: Target) -> Counting:
        """By the target's maintenance windows."""
        return cls(tuple(interval(window) for window in target.issues.maintenance))

    def why_not(self, run: Seen) -> str:
        """Why a run counts for nothing, empty where it counts."""
        if run.interrupted:
            return "the run was interrupted, so it does not know all"
        if any(start <= run.started_at <= end for start, end in self.windows):
            return "the run was made during announced maintenance"
        judged = run.state.checks.get("pass") or run.state.checks.get("fail")
        return "" if judged else "the run judged nothing"


def is_well(state: State, causes: Mapping[str, frozenset[str]], checks: frozenset[str]) -> bool:
    """Whether a state speaks against all of these: the checks pass, and the causes are gone for certain.

    A cause is gone when something speaks against it, or when all passes that suffered from it. That a run
    did not name it, or left it undecided, proves nothing.
    """
    passing = frozenset(state.checks.get("pass", ()))
    named = {cause.cause for cause in state.causes}
    return checks <= passing and all(
        slug_ not in named and (slug_ in state.denied or (bool(suffering) and suffering <= passing))
        for slug_, suffering in causes.items()
    )


def is_bad(state: State, causes: Mapping[str, frozenset[str]], checks: frozenset[str]) -> bool:
    """Whether a state shows any of these: a cause is present, or a check fails that it is about."""
    failing = frozenset(state.checks.get("fail", ()))
    named = any(cause.cause in causes for cause in state.present())
    return named or bool(failing & checks.union(*causes.values()))


def seen(report: Report) -> Point:
    """A report as a run of a history."""
    return Point(
        place="",
        started_at=report.started_at,
        trigger=report.trigger,
        expected_interval_s=report.expected_interval_s,
        state=state_of(report),
        interrupted=report.interrupted,
    )
