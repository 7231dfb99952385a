"""From verdicts to causes: the smallest consistent explanation, and what it leaves open. Pure.

1. Each cause is asked for its cases: claims that hold, that do not, or that nothing settles.
   A claim that does not hold rules the case out.
2. A case with a telling claim that holds is *confirmed*: no other defect shows that.
3. What fails or is blocked and follows from no confirmed case is *open*. Cases that fit (nothing
   against, something for) and would explain something open are candidates, and rivals where they would
   explain the same. Where each of a group of rivals is needed to explain all of it, and nothing is
   unsettled in them, they are *likely*; the rest are undecided, each with the look that would settle it.
4. A fallback (``*-down``) is present where something open follows from it and nothing deeper is present.
5. A present case that another one's cause entails is its consequence: at the same subject, or where all
   that it breaks rests on what the other one breaks and they are not two of a kind. A cause of which one
   case is a consequence and another is not becomes two diagnoses.

What follows from what is derived from the topology; neither causes nor checks list one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hokusai_probe import topology
from hokusai_probe.declare import Case, Catalogue, Cause, Claim
from hokusai_probe.engine import OurTrouble, arguments_of, author
from hokusai_probe.model import (
    Blame,
    Certainty,
    Diagnosis,
    DiagnosisStatus,
    Error,
    Evidence,
    Observation,
    Priority,
    Remedy,
    Settling,
    Target,
    Verdict,
)

_LEAST_READY = ("automatic", "needs-value", "outside-aws")
_URGENCY: Mapping[Priority, int] = {"critical": 0, "high": 1, "medium": 2, "low": 3}


@dataclass(frozen=True, slots=True)
class Suspect:
    """A case of a cause, with the failing checks that would follow from it."""

    cause: Cause
    case: Case
    explains: frozenset[str]

    @property
    def refuted(self) -> bool:
        """Some claim does not hold."""
        return any(c.holds is False for c in self.case.claims)

    @property
    def confirmed(self) -> bool:
        """Something that only this defect shows holds, and nothing speaks against it."""
        return not self.refuted and any(c.holds and c.telling for c in self.case.claims)

    @property
    def fits(self) -> bool:
        """Something speaks for it and nothing against it."""
        return not self.refuted and any(c.holds for c in self.case.claims)

    @property
    def settled(self) -> bool:
        """No claim is left open."""
        return all(c.holds is not None for c in self.case.claims)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the evidence comes to."""

    diagnoses: tuple[Diagnosis, ...]
    unexplained: tuple[str, ...]
    errors: tuple[Error, ...]


def diagnose(
    catalogue: Catalogue, observations: Sequence[Observation], verdicts: Sequence[Verdict], target: Target
) -> Conclusion:
    """Name what the facts prove, list what they leave open, and say what nothing explains.

    A cause that raises becomes an entry in ``errors`` and stops nothing.
    """
    trouble = tuple(v for v in verdicts if is_trouble(v))
    seen = {o.probe: o for o in observations}
    suspects: list[Suspect] = []
    errors: list[Error] = []
    for cause in catalogue.causes.values():
        try:
            suspects += _suspects(cause, seen, trouble, target)
        except OurTrouble as ours:
            errors.append(Error(where=f"cause {cause.slug}", reason=str(ours)))
    return _conclude(suspects, frozenset(v.check for v in trouble), tuple(errors), verdicts)


def is_trouble(verdict: Verdict) -> bool:
    """Whether a verdict wants explaining: it fails, is blocked, or complains of our own side."""
    ours = verdict.status == "error" and verdict.component == "probe"
    return verdict.status == "fail" or verdict.skip_kind == "blocked" or ours


def _suspects(
    cause: Cause, seen: Mapping[str, Observation], trouble: Sequence[Verdict], target: Target
) -> list[Suspect]:
    arguments = arguments_of(cause, seen, target)
    if arguments is None:
        return []
    with author(cause.slug):
        cases = tuple(cause.function(**arguments))
    return [Suspect(cause, case, _following(case.breaks, trouble)) for case in cases]


def _following(broken: Iterable[str], trouble: Sequence[Verdict]) -> frozenset[str]:
    """The checks in trouble that rest on a broken hop, and those that waited for one of them."""
    hops = tuple(broken)
    direct = {v.check for v in trouble if any(topology.rests_on(v.hop, hop) for hop in hops)}
    return frozenset(direct | {v.check for v in trouble if v.waited_for in direct})


def _conclude(
    suspects: Sequence[Suspect],
    trouble: frozenset[str],
    errors: tuple[Error, ...],
    verdicts: Sequence[Verdict],
) -> Conclusion:
    confirmed = [s for s in suspects if s.confirmed and not s.cause.fallback]
    open_checks = trouble - _explained(confirmed)
    candidates = _candidates(suspects, confirmed, open_checks)
    likely = _only_explanations(candidates, open_checks)
    present = confirmed + likely
    still_open = open_checks - _explained(likely)
    fallbacks = [s for s in suspects if s.cause.fallback and s.fits and s.explains & still_open]
    fallbacks = _deepest(fallbacks)
    undecided = [s for s in candidates if s.explains & still_open]
    unexplained = still_open - _explained(fallbacks) - _explained(undecided)
    diagnoses = (
        *_present(confirmed, likely, fallbacks, undecided),
        *_grouped(undecided, "undecided", None),
        *_ruled_out(suspects, present + fallbacks + undecided),
    )
    return Conclusion(_with_affected(diagnoses, verdicts), tuple(sorted(unexplained)), errors)


def _explained(suspects: Iterable[Suspect]) -> frozenset[str]:
    return frozenset().union(*(s.explains for s in suspects))


def _candidates(
    suspects: Sequence[Suspect], confirmed: Sequence[Suspect], open_checks: frozenset[str]
) -> list[Suspect]:
    named = {s.cause.slug for s in confirmed}
    return [
        s
        for s in suspects
        if s.fits
        and not s.confirmed
        and not s.cause.fallback
        and s.explains & open_checks
        and not (s.cause.slug in named and s.explains <= _explained(confirmed))
    ]


def _only_explanations(candidates: Sequence[Suspect], open_checks: frozenset[str]) -> list[Suspect]:
    """The candidates that nothing could replace. Independent rivalries are weighed each by itself."""
    rivalries = _rivalries(candidates, open_checks)
    return [s for group in rivalries if _none_to_spare(group, open_checks) for s in group]


def _rivalries(candidates: Sequence[Suspect], open_checks: frozenset[str]) -> list[list[Suspect]]:
    """Candidates in groups: two that would explain a common open check are in the same one."""
    groups: list[list[Suspect]] = []
    for one in candidates:
        shares = [bool(_explained(group) & one.explains & open_checks) for group in groups]
        joined = [s for group, shared in zip(groups, shares, strict=True) if shared for s in group]
        apart = [group for group, shared in zip(groups, shares, strict=True) if not shared]
        groups = [*apart, [*joined, one]]
    return groups


def _none_to_spare(group: Sequence[Suspect], open_checks: frozenset[str]) -> bool:
    """Whether the smallest set that explains it all is the whole group, and none of it is unsettled.

    A candidate with something unsettled is a rival, never an answer.
    """
    ways = Counter(check for s in group for check in s.explains & open_checks)
    return all(s.settled and any(ways[check] == 1 for check in s.explains & open_checks) for s in group)


def _deepest(fallbacks: Sequence[Suspect]) -> list[Suspect]:
    """Fallbacks less those whose symptoms follow from another one's as well."""
    return [s for s in fallbacks if not any(s.explains < other.explains for other in fallbacks)]


# --- writing it down --------------------------------------------------------------------------------


def _present(
    confirmed: Sequence[Suspect],
    likely: Sequence[Suspect],
    fallbacks: Sequence[Suspect],
    rivals: Sequence[Suspect],
) -> tuple[Diagnosis, ...]:
    """Present diagnoses, roots first. A fallback beside deeper candidates carries no certainty."""
    all_present = (*confirmed, *likely, *fallbacks)
    found = (
        *_grouped(confirmed, "present", "confirmed", all_present),
        *_grouped(likely, "present", "likely", all_present),
        *_grouped([f for f in fallbacks if _rivalled(f, rivals)], "present", None, all_present),
        *_grouped([f for f in fallbacks if not _rivalled(f, rivals)], "present", "likely", all_present),
    )
    return tuple(sorted(found, key=lambda d: (d.caused_by is not None, _URGENCY[d.priority], d.cause)))


def _rivalled(fallback: Suspect, rivals: Sequence[Suspect]) -> bool:
    """Something deeper that is undecided would explain the same."""
    return any(fallback.explains & rival.explains for rival in rivals)


def _grouped(
    suspects: Sequence[Suspect],
    status: DiagnosisStatus,
    certainty: Certainty | None,
    all_present: Sequence[Suspect] = (),
) -> tuple[Diagnosis, ...]:
    """One diagnosis a cause and what caused it, however many subjects it has."""
    groups: dict[tuple[str, str | None], list[Suspect]] = {}
    for suspect in suspects:
        root = _caused_by(suspect, all_present)
        groups.setdefault((suspect.cause.slug, root), []).append(suspect)
    return tuple(_diagnosis(group, status, certainty, root) for (_, root), group in groups.items())


def _diagnosis(
    group: Sequence[Suspect], status: DiagnosisStatus, certainty: Certainty | None, caused_by: str | None
) -> Diagnosis:
    cause = group[0].cause
    return Diagnosis(
        cause=cause.slug,
        component=group[0].case.component or cause.component,
        subjects=tuple(sorted({s.case.subject for s in group})),
        status=status,
        certainty=certainty,
        caused_by=caused_by,
        because=_because(group),
        evidence=tuple(_evidence(c) for s in group for c in s.case.claims if c.holds),
        explains=tuple(sorted(_explained(group))),
        settled_by=_settled_by(group) if status == "undecided" else (),
        priority=cause.priority,
        effort=cause.effort,
        sensitive=cause.sensitive,
        remedy=_remedy(group),
    )


def _caused_by(one: Suspect, all_present: Sequence[Suspect]) -> str | None:
    """The present cause that this case is a consequence of, the first by slug."""
    others = (s for s in all_present if s.cause.slug != one.cause.slug)
    return min((s.cause.slug for s in others if _accounts_for(s, one)), default=None)


def _accounts_for(deeper: Suspect, one: Suspect) -> bool:
    """Whether a case is another's doing: named by it, or entailed at its subject or on top of its hops."""
    slug, subject = one.cause.slug, one.case.subject
    if subject in deeper.case.covers.get(slug, ()):
        return True
    entailed = slug in deeper.cause.entails
    return entailed and (subject == deeper.case.subject or _on_top_of(deeper.case, one.case))


def _on_top_of(deeper: Case, other: Case) -> bool:
    """Whether all that the other case breaks rests on what the deeper one breaks.

    Not of two services, or two hosts: what both break, as that deployments go through, each breaks itself.
    """
    subjects = {deeper.subject, other.subject}
    if subjects <= set(topology.SERVICES) or subjects <= set(topology.HOSTS):
        return False
    return all(any(topology.rests_on(hop, broken) for broken in deeper.breaks) for hop in other.breaks)


def _because(group: Sequence[Suspect]) -> str:
    claims = [c for s in group for c in s.case.claims if c.holds]
    telling = [c for c in claims if c.telling] or claims
    return "; ".join(dict.fromkeys(c.text for c in telling))


def _evidence(claim: Claim) -> Evidence:
    return Evidence(probe=claim.probe, fact=claim.fact, value=claim.value, text=claim.text)


def _settled_by(group: Sequence[Suspect]) -> tuple[Settling, ...]:
    open_claims = [c for s in group for c in s.case.claims if c.holds is None]
    found = {(c.probe, c.aws_cli): Settling(look=c.probe, aws_cli=c.aws_cli) for c in open_claims}
    return tuple(found.values())


def _remedy(group: Sequence[Suspect]) -> Remedy | None:
    """The remedies of all subjects as one: commands in order, prose said once."""
    remedies = [s.case.remedy for s in group if s.case.remedy is not None]
    if not remedies:
        return None
    return Remedy(
        kind=max((r.kind for r in remedies), key=_LEAST_READY.index),
        summary=_joined((r.summary for r in remedies), " "),
        before=_once(line for r in remedies for line in r.before),
        aws_cli=_once(line for r in remedies for line in r.aws_cli),
        terraform=_joined((r.terraform for r in remedies), "\n"),
        after=_once(line for r in remedies for line in r.after),
        rollback=_joined((r.rollback for r in remedies), "\n"),
        also_touches=_joined((r.also_touches for r in remedies), " "),
        verify=remedies[0].verify,
    )


def _once(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))


def _joined(parts: Iterable[str], by: str) -> str:
    return by.join(part for part in _once(parts) if part)


def _ruled_out(suspects: Sequence[Suspect], kept: Sequence[Suspect]) -> tuple[Diagnosis, ...]:
    """Causes each of whose cases has something against it. What could not be asked is not denied."""
    named = {s.cause.slug for s in kept}
    by_cause: dict[str, list[Suspect]] = {}
    for suspect in suspects:
        by_cause.setdefault(suspect.cause.slug, []).append(suspect)
    return tuple(
        _denial(group)
        for slug, group in by_cause.items()
        if slug not in named and all(s.refuted for s in group)
    )


def _denial(group: Sequence[Suspect]) -> Diagnosis:
    against = [c for s in group for c in s.case.claims if c.holds is False]
    return Diagnosis(
        cause=group[0].cause.slug,
        component=group[0].cause.component,
        subjects=tuple(sorted({s.case.subject for s in group})),
        status="ruled_out",
        because="it does not hold that " + "; nor that ".join(_once(c.text for c in against)),
        priority=group[0].cause.priority,
        effort=group[0].cause.effort,
        sensitive=group[0].cause.sensitive,
    )


def _with_affected(diagnoses: Iterable[Diagnosis], verdicts: Iterable[Verdict]) -> tuple[Diagnosis, ...]:
    component = {v.check: v.component for v in verdicts}
    return tuple(
        d.model_copy(update={"affected": tuple(sorted({component[c] for c in d.explains} - {d.component}))})
        for d in diagnoses
    )


def blamed(
    catalogue: Catalogue, verdicts: Sequence[Verdict], diagnoses: Sequence[Diagnosis]
) -> tuple[Verdict, ...]:
    """The verdicts, each failing or blocked one with whose trouble it is, where all its causes agree."""
    return tuple(
        v.model_copy(update={"blame": _blame(catalogue, v.check, diagnoses)}) if is_trouble(v) else v
        for v in verdicts
    )


def _blame(catalogue: Catalogue, check: str, diagnoses: Sequence[Diagnosis]) -> Blame | None:
    explaining = [d for d in diagnoses if check in d.explains and d.caused_by is None]
    present = [d for d in explaining if d.status == "present"]
    found = {catalogue.causes[d.cause].blame for d in present or explaining}
    return found.pop() if len(found) == 1 else None
