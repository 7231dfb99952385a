"""What is wrong in a report, by the key of the issue that it needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hokusai_probe import topology
from hokusai_probe.model import Component, Diagnosis, Report, Verdict
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import moment

NOT_OURS_TO_MEND: frozenset[Component] = frozenset({"client", "probe"})


@dataclass(frozen=True, slots=True)
class Need:
    """A reason for an issue: what is wrong under one key."""

    key: str
    component: Component
    roots: tuple[answer.Root, ...] = ()
    checks: tuple[Verdict, ...] = ()
    undecided: tuple[Diagnosis, ...] = ()
    withheld: int = 0
    muted: str = ""


@dataclass(slots=True)
class _Gathered:
    component: Component
    roots: list[answer.Root] = field(default_factory=list)
    checks: list[Verdict] = field(default_factory=list)
    withheld: int = 0


def needs(report: Report) -> tuple[Need, ...]:
    """What is wrong in one report, by key, the most urgent first; muted needs say so."""
    gathered: dict[str, _Gathered] = {}
    muted: dict[str, tuple[Component, str]] = {}
    for root in _our_roots(report):
        key = _key(report, root.diagnosis)
        mute = _mute(report, cause=root.diagnosis.cause)
        if mute:
            muted[key] = (root.diagnosis.component, mute)
            continue
        _gather_root(gathered.setdefault(key, _Gathered(root.diagnosis.component)), root)
    for verdict in _first_unexplained(report):
        key = f"{_target_key(report)}/{verdict.component}"
        mute = _mute(report, check=verdict.check)
        if mute:
            muted.setdefault(key, (verdict.component, mute))
            continue
        gathered.setdefault(key, _Gathered(verdict.component)).checks.append(verdict)
    silent = [Need(k, c, muted=why) for k, (c, why) in muted.items() if k not in gathered]
    return (*(_need(report, k, g) for k, g in gathered.items()), *silent)


def _our_roots(report: Report) -> Iterable[answer.Root]:
    return (r for r in answer.roots(report) if r.diagnosis.component not in NOT_OURS_TO_MEND)


def _gather_root(where: _Gathered, root: answer.Root) -> None:
    if root.diagnosis.sensitive:
        where.withheld += 1
        return
    shown = tuple(d for d in root.consequences if not d.sensitive)
    where.roots.append(replace(root, consequences=shown))
    where.withheld += len(root.consequences) - len(shown)


def _need(report: Report, key: str, found: _Gathered) -> Need:
    checks = {v.check for v in found.checks}
    rivals = tuple(d for d in report.undecided() if checks & set(d.explains) and not d.sensitive)
    return Need(key, found.component, tuple(found.roots), tuple(found.checks), rivals, found.withheld)


def _key(report: Report, found: Diagnosis) -> str:
    key = f"{_target_key(report)}/{found.component}"
    by_cause = report.configuration.issues.group_by == "cause" and not found.sensitive
    return f"{key}/{_safe(found.cause.lower())}" if by_cause else key


def _target_key(report: Report) -> str:
    return _safe(report.target)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80] or "-"


def _mute(report: Report, *, cause: str | None = None, check: str | None = None) -> str:
    for mute in report.configuration.issues.mute:
        named = (cause is not None and mute.cause == cause) or (check is not None and mute.check == check)
        if named and mute.until > report.started_at:
            return f"muted until {moment(mute.until)}: {mute.because}"
    return ""


def _first_unexplained(report: Report) -> tuple[Verdict, ...]:
    """Failing checks that nothing present explains, less those that only follow from another of them."""
    explained = {check for d in report.present() for check in d.explains} | _secret(report)
    left = [v for v in report.with_status("fail") if v.check not in explained]
    hops = {v.hop for v in left if topology.known(v.hop)}
    firsts = [v for v in left if not _follows(v.hop, hops)]
    return tuple(v for v in firsts if v.component not in NOT_OURS_TO_MEND)


def _follows(hop: str, hops: Iterable[str]) -> bool:
    if not topology.known(hop):
        return False
    return any(other != hop and topology.rests_on(hop, other) for other in hops)


def _secret(report: Report) -> frozenset[str]:
    """Checks whose very failure would tell of a sensitive cause."""
    told = {c for d in report.present() if not d.sensitive for c in d.explains}
    hidden = {c for d in (*report.present(), *report.undecided()) if d.sensitive for c in d.explains}
    return frozenset(hidden - told)
