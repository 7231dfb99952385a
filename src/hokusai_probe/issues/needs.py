"""What is wrong in one report, by the key of the issue that it needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from hokusai_probe import topology
from hokusai_probe.issues.known import About, is_among, same_repository
from hokusai_probe.model import Component, Diagnosis, Owner, Report, Target, Verdict
from hokusai_probe.reports import answer
from hokusai_probe.reports.discretion import WITHHELD, secret
from hokusai_probe.reports.layout import moment

NOT_OURS_TO_MEND: frozenset[Component] = frozenset({"client", "probe"})
EDGE: frozenset[Component] = frozenset({"dns", "tls", "load-balancer"})
"""What stands before all else: while it is broken, what lies behind it cannot be seen."""


@dataclass(frozen=True, slots=True)
class Need:
    """A reason for an issue: what is wrong under one key, and where the issue belongs.

    ``private``: whether all may be written there. ``behind``: failing checks that nothing explains and that
    cannot be judged while this lasts. ``withheld``: sensitive causes that must not be written there.
    ``muted``: why nothing is to be said, empty otherwise.
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
    private: bool = False

    def hidden(self, report: Report) -> frozenset[str]:
        """Checks that must not be named where the issue belongs."""
        return frozenset() if self.private else secret(report)


@dataclass(frozen=True, slots=True)
class Telling:
    """What may be told of and where: by owners, by what is muted ``now``, by sensitive causes.

    ``repository``: OWNER/NAME where issues go whose owner names no other.
    """

    target: Target
    repository: str
    now: datetime
    sensitive: frozenset[str]

    @classmethod
    def of(
        cls, report: Report, repository: str, others: Iterable[Report] = (), sensitive: Iterable[str] = ()
    ) -> Telling:
        """At the time of a report; ``others`` may know of further sensitive causes, beside those named."""
        known = frozenset(d.cause for r in (report, *others) for d in r.diagnoses if d.sensitive)
        return cls(report.configuration, repository, report.started_at, known.union(sensitive))

    def where(self, component: Component) -> str:
        """The repository in which issues of a component belong."""
        named = self.target.owners.get(component, Owner()).repository
        return self.repository if not named or same_repository(named, self.repository) else named

    def is_private(self, component: Component) -> bool:
        """Whether only people may read there who may know of sensitive causes."""
        return is_among(self.where(component), self.target.issues.private_repositories)

    def withholds(self, cause: str, component: Component) -> bool:
        """Whether a cause must not be written down where it belongs."""
        return cause in self.sensitive and not self.is_private(component)

    def mute(self, *, cause: str | None = None, check: str | None = None) -> str:
        """Why nothing is to be said of a cause or a check, empty where something is."""
        for mute in self.target.issues.mute:
            named = (cause is not None and mute.cause == cause) or (check is not None and mute.check == check)
            if named and mute.until > self.now:
                return f"muted until {moment(mute.until)}: {mute.because}"
        return ""


@dataclass(slots=True)
class _Gathered:
    component: Component
    repository: str
    private: bool
    roots: list[answer.Root] = field(default_factory=list)
    checks: list[Verdict] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    withheld: set[str] = field(default_factory=set)

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
    telling = Telling.of(report, repository)
    found: dict[str, _Gathered] = {}
    muted: dict[str, tuple[Component, str]] = {}
    for root in _our_roots(report, telling):
        key, component = key_for(report.configuration, root.diagnosis), root.diagnosis.component
        if mute := telling.mute(cause=root.diagnosis.cause):
            muted.setdefault(key, (component, mute))
            continue
        _gather_root(found.setdefault(key, _fresh(telling, component)), root)
    for verdict in _first_unexplained(report, telling):
        key = f"{_safe(report.target)}/{verdict.component}"
        if mute := telling.mute(check=verdict.check):
            muted.setdefault(key, (verdict.component, mute))
            continue
        _gather_check(found.setdefault(key, _fresh(telling, verdict.component)), verdict)
    for component, cause in _kept_back(report, telling):
        key = f"{_safe(report.target)}/{component}"
        found.setdefault(key, _fresh(telling, component)).withheld.add(cause)
    _behind_the_edge(report, found)
    silent = {key: (c, mute) for key, (c, mute) in muted.items() if key not in found}
    return (
        *(_need(report, key, one) for key, one in found.items()),
        *(Need(key, c, telling.where(c), muted=mute) for key, (c, mute) in silent.items()),
    )


def _fresh(telling: Telling, component: Component) -> _Gathered:
    return _Gathered(component, telling.where(component), telling.is_private(component))


def _our_roots(report: Report, telling: Telling) -> Iterable[answer.Root]:
    """Root causes that may be told: what a cause brought about that may not is told for itself."""
    told = tuple(d for d in report.diagnoses if not telling.withholds(d.cause, d.component))
    shown = report.model_copy(update={"diagnoses": told})
    return (r for r in answer.roots(shown) if r.diagnosis.component not in NOT_OURS_TO_MEND)


def _kept_back(report: Report, telling: Telling) -> Iterator[tuple[Component, str]]:
    """Sensitive causes that may not be told, each with the component at which something fails for it."""
    for found in report.present():
        kept = found.component not in NOT_OURS_TO_MEND and telling.withholds(found.cause, found.component)
        if kept and not telling.mute(cause=found.cause):
            yield found.component, found.cause
    for verdict in _unexplained(report):
        if not telling.is_private(verdict.component) and not telling.mute(check=verdict.check):
            hiding = (d.cause for d in report.undecided() if d.sensitive and verdict.check in d.explains)
            yield from ((verdict.component, cause) for cause in hiding)


def _gather_root(where: _Gathered, root: answer.Root) -> None:
    shown = tuple(d for d in root.consequences if where.private or not d.sensitive)
    where.roots.append(replace(root, consequences=shown))
    where.withheld |= {d.cause for d in root.consequences if d not in shown}


def _gather_check(where: _Gathered, verdict: Verdict) -> None:
    """One that a report for everybody does not show counts like the sensitive cause that it stands for."""
    if verdict.check == WITHHELD:
        where.withheld.add(WITHHELD)
        return
    where.checks.append(verdict)


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
        withheld=len(found.withheld),
        private=found.private,
    )


def about(report: Report, need: Need) -> About:
    """What must be well before a need is over, of what its issue may name."""
    hidden = need.hidden(report)
    waiting = {v.check for v in report.verdicts if v.status == "fail" or v.skip_kind == "blocked"} - hidden
    causes = {r.diagnosis.cause: waiting.intersection(r.diagnosis.explains) for r in need.roots}
    return About(causes=causes, checks={v.check for v in need.checks})


# --- keys -----------------------------------------------------------------------------------------------


def key_for(target: Target, found: Diagnosis) -> str:
    """The key of the issue in which a diagnosis is told."""
    return key_of_cause(target, found.component, found.cause, sensitive=found.sensitive)


def key_of_cause(target: Target, component: Component, cause: str, *, sensitive: bool) -> str:
    """The key of the issue in which a cause is told. That of a sensitive one never names it."""
    key = f"{_safe(target.name)}/{component}"
    by_cause = target.issues.group_by == "cause" and not sensitive
    return f"{key}/{slug(cause)}" if by_cause else key


def prefix(target: str) -> str:
    """How every key of a target begins."""
    return f"{_safe(target)}/"


def slug(cause: str) -> str:
    """A cause as a key may hold it."""
    return re.sub(r"[^a-z0-9]+", "-", cause.lower())[:80] or "-"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80] or "-"


# --- what is left out -----------------------------------------------------------------------------------


def _unexplained(report: Report) -> list[Verdict]:
    """Failing checks that nothing present explains."""
    explained = {check for d in report.present() for check in d.explains}
    failing = [v for v in report.with_status("fail") if v.check not in explained]
    return [v for v in failing if v.component not in NOT_OURS_TO_MEND]


def _first_unexplained(report: Report, telling: Telling) -> tuple[Verdict, ...]:
    """Those of them that may be named, less those that only follow from another of these."""
    hidden = secret(report)
    explained = {check for d in report.present() for check in d.explains}
    left = [v for v in report.with_status("fail") if v.check not in explained]
    left = [v for v in left if telling.is_private(v.component) or v.check not in hidden]
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
