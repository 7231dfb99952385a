"""What is wrong in one report, by the key of the issue that it needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hokusai_probe import topology
from hokusai_probe.issues.known import About, same_repository
from hokusai_probe.model import Component, Diagnosis, Report, Target, Verdict
from hokusai_probe.reports import answer
from hokusai_probe.reports.discretion import secret
from hokusai_probe.reports.layout import moment

NOT_OURS_TO_MEND: frozenset[Component] = frozenset({"client", "probe"})
EDGE: frozenset[Component] = frozenset({"dns", "tls", "load-balancer"})
"""What stands before all else: while it is broken, what lies behind it cannot be seen."""


@dataclass(frozen=True, slots=True)
class Need:
    """A reason for an issue: what is wrong under one key, and where the issue belongs.

    ``behind``: failing checks that nothing explains and that cannot be judged while this lasts. ``withheld``:
    sensitive causes that must not be written there. ``muted``: why nothing is to be said, empty otherwise.
    """

    key: str
    component: Component
    repository: str = ""
    roots: tuple[answer.Root, ...] = ()
    checks: tuple[Verdict, ...] = ()
    behind: tuple[str, ...] = ()
    undecided: tuple[Diagnosis, ...] = ()
    withheld: int = 0
    muted: str = ""


@dataclass(slots=True)
class _Gathered:
    component: Component
    repository: str
    private: bool
    roots: list[answer.Root] = field(default_factory=list)
    checks: list[Verdict] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    withheld: int = 0

    def is_sure(self) -> bool:
        """Whether a cause of it was seen for certain, whatever stands before it."""
        return any(r.diagnosis.certainty == "confirmed" for r in self.roots)

    def names(self) -> frozenset[str]:
        """The checks that it is about."""
        explained = (c for r in self.roots for c in r.diagnosis.explains)
        return frozenset((*explained, *(v.check for v in self.checks)))


def needs(report: Report, repository: str = "") -> tuple[Need, ...]:
    """What is wrong in one report, the most urgent first, muted needs last.

    ``repository``: OWNER/NAME where issues go whose owner names no other.
    """
    found: dict[str, _Gathered] = {}
    muted: dict[str, tuple[Component, str]] = {}
    for root in _our_roots(report):
        key, component = key_for(report.configuration, root.diagnosis), root.diagnosis.component
        if mute := _mute(report, cause=root.diagnosis.cause):
            muted.setdefault(key, (component, mute))
            continue
        _gather_root(found.setdefault(key, _fresh(report, component, repository)), root)
    for verdict in _first_unexplained(report):
        key = f"{_safe(report.target)}/{verdict.component}"
        if mute := _mute(report, check=verdict.check):
            muted.setdefault(key, (verdict.component, mute))
            continue
        found.setdefault(key, _fresh(report, verdict.component, repository)).checks.append(verdict)
    _behind_the_edge(report, found)
    silent = {k: _fresh(report, c, repository).repository for k, (c, _) in muted.items() if k not in found}
    return (
        *(_need(report, key, one) for key, one in found.items()),
        *(Need(key, muted[key][0], where, muted=muted[key][1]) for key, where in silent.items()),
    )


def _fresh(report: Report, component: Component, repository: str) -> _Gathered:
    named = answer.owner(report, component).repository
    where = repository if not named or same_repository(named, repository) else named
    private = {name.casefold() for name in report.configuration.issues.private_repositories}
    return _Gathered(component, where, where.casefold() in private)


def _our_roots(report: Report) -> Iterable[answer.Root]:
    return (r for r in answer.roots(report) if r.diagnosis.component not in NOT_OURS_TO_MEND)


def _gather_root(where: _Gathered, root: answer.Root) -> None:
    if root.diagnosis.sensitive and not where.private:
        where.withheld += 1
        return
    shown = tuple(d for d in root.consequences if where.private or not d.sensitive)
    where.roots.append(replace(root, consequences=shown))
    where.withheld += len(root.consequences) - len(shown)


def _need(report: Report, key: str, found: _Gathered) -> Need:
    checks = {v.check for v in found.checks}
    rivals = (d for d in report.undecided() if checks & set(d.explains))
    return Need(
        key=key,
        component=found.component,
        repository=found.repository,
        roots=tuple(found.roots),
        checks=tuple(found.checks),
        behind=tuple(found.behind),
        undecided=tuple(d for d in rivals if found.private or not d.sensitive),
        withheld=found.withheld,
    )


def about(report: Report, need: Need) -> About:
    """What must be well before a need is over, of what its issue may name."""
    hidden = secret(report)
    waiting = {v.check for v in report.verdicts if v.status == "fail" or v.skip_kind == "blocked"} - hidden
    causes = {r.diagnosis.cause: waiting.intersection(r.diagnosis.explains) for r in need.roots}
    return About(causes=causes, checks={v.check for v in need.checks})


# --- keys -----------------------------------------------------------------------------------------------


def key_for(target: Target, found: Diagnosis) -> str:
    """The key of the issue in which a cause is told. That of a sensitive one never names it."""
    key = f"{_safe(target.name)}/{found.component}"
    by_cause = target.issues.group_by == "cause" and not found.sensitive
    return f"{key}/{slug(found.cause)}" if by_cause else key


def prefix(target: str) -> str:
    """How every key of a target begins."""
    return f"{_safe(target)}/"


def slug(cause: str) -> str:
    """A cause as a key may hold it."""
    return re.sub(r"[^a-z0-9]+", "-", cause.lower())[:80] or "-"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80] or "-"


# --- what is left out -----------------------------------------------------------------------------------


def _mute(report: Report, *, cause: str | None = None, check: str | None = None) -> str:
    for mute in report.configuration.issues.mute:
        named = (cause is not None and mute.cause == cause) or (check is not None and mute.check == check)
        if named and mute.until > report.started_at:
            return f"muted until {moment(mute.until)}: {mute.because}"
    return ""


def _first_unexplained(report: Report) -> tuple[Verdict, ...]:
    """Failing checks that nothing present explains, less those that only follow from another of them."""
    explained = {check for d in report.present() for check in d.explains} | secret(report)
    left = [v for v in report.with_status("fail") if v.check not in explained]
    firsts = first_hops(v.hop for v in left)
    return tuple(v for v in left if v.hop in firsts and v.component not in NOT_OURS_TO_MEND)


def first_hops(hops: Iterable[str]) -> frozenset[str]:
    """The hops that rest on no other of them. One that the topology does not know stands for itself."""
    found = frozenset(hops)
    known = [hop for hop in found if topology.known(hop)]
    follow = {h for h in known if any(other != h and topology.rests_on(h, other) for other in known)}
    return found - follow


def _behind_the_edge(report: Report, found: dict[str, _Gathered]) -> None:
    """One issue for a dead edge: what is only seen through it, and not for certain, joins it."""
    failing = {v.check: v.hop for v in report.with_status("fail")}
    edges = [one for one in found.values() if one.component in EDGE and _hops(one, failing)]
    for key, one in tuple(found.items()):
        hops = _hops(one, failing)
        if one.component in EDGE or one.is_sure() or not hops:
            continue
        before = next((edge for edge in edges if _all_rest_on(hops, _hops(edge, failing))), None)
        if before is not None:
            before.behind += sorted(one.names() & failing.keys())
            del found[key]


def _hops(found: _Gathered, failing: Mapping[str, str]) -> frozenset[str]:
    return first_hops(failing[check] for check in found.names() if check in failing)


def _all_rest_on(hops: Iterable[str], broken: Iterable[str]) -> bool:
    below = [hop for hop in broken if topology.known(hop)]
    return all(topology.known(h) and any(topology.rests_on(h, b) for b in below) for h in hops)
