"""What may stand where everybody can read: a report without its sensitive causes. Pure.

A sensitive cause tells whoever reads it how to get in. The log and the summary of a job are public where the
repository is, so nothing of it is written there: neither the cause nor the checks that would tell of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hokusai_probe.history.compare import Comparison
from hokusai_probe.history.past import Past
from hokusai_probe.history.summary import Summary
from hokusai_probe.model import Diagnosis, Observation, Report, Verdict
from hokusai_probe.reports.layout import plural

WITHHELD = "withheld"
"""What a check that is not shown is called."""
_TITLE = "A check that is not shown where everybody can read"


@dataclass(frozen=True, slots=True)
class Public:
    """A report and the time before, as everybody may read them; ``withheld``: causes that are left out."""

    report: Report
    past: Past | None = None
    withheld: int = 0

    @property
    def note(self) -> str:
        """What is left out, as a sentence; empty where nothing is."""
        if not self.withheld:
            return ""
        causes = plural(self.withheld, "sensitive cause is", "sensitive causes are")
        return f"{causes} not shown here, because everybody may read this: --reports and --json have all."


def public(report: Report, past: Past | None = None) -> Public:
    """The same without sensitive causes. Counts and the answer stay: what fails and is hidden still fails.

    Of a check that a sensitive cause explains beside another one, only the outcome is told.
    """
    found = {d.cause for d in report.diagnoses if d.sensitive}
    hidden = secret(report)
    quiet = {c for d in report.diagnoses if d.sensitive for c in d.explains}
    shown = report.model_copy(
        update={
            "diagnoses": tuple(_without(d, found | hidden) for d in report.diagnoses if not d.sensitive),
            "verdicts": tuple(_covered(v, hidden, quiet) for v in report.verdicts),
            "unexplained": tuple(c for c in report.unexplained if c not in hidden),
        }
    )
    count = sum(d.sensitive for d in (*report.present(), *report.undecided()))
    return Public(shown, past and _cut(past, found | hidden | telling(past.explained)), count)


def telling(explained: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The causes that are sensitive wherever they are found, and the checks that these explained."""
    from hokusai_probe.declare import catalogue

    named = {slug for slug, one in catalogue().causes.items() if one.sensitive}
    return frozenset(named.union(*(checks for slug, checks in explained.items() if slug in named)))


def to_publish(report: Report) -> Public:
    """A report whose every file everybody may read: :func:`public`, and without what the looks saw.

    Whoever has the facts can judge them again, and would find what was left out; so where something is, they
    are left out as well. Without a sensitive cause it is the report itself, ruled-out ones aside.
    """
    shown = public(report)
    if not shown.withheld:
        return shown
    seen = tuple(_unseen(one) for one in report.observations)
    return Public(shown.report.model_copy(update={"observations": seen}), withheld=shown.withheld)


def secret(report: Report) -> frozenset[str]:
    """Checks whose very failure would tell of a sensitive cause: no other present cause explains them."""
    told = {c for d in report.present() if not d.sensitive for c in d.explains}
    hidden = {c for d in (*report.present(), *report.undecided()) if d.sensitive for c in d.explains}
    return frozenset(hidden - told)


def _without(found: Diagnosis, hidden: set[str]) -> Diagnosis:
    root = None if found.caused_by in hidden else found.caused_by
    explains = tuple(c for c in found.explains if c not in hidden)
    return found.model_copy(update={"caused_by": root, "explains": explains})


def _unseen(look: Observation) -> Observation:
    """That it was taken, and no more; our own trouble stays, which the exit code rests on."""
    why = look.reason if look.status == "fault" else None
    return look.model_copy(update={"facts": None, "reason": why, "waited_for": None, "to_settle": ()})


def _covered(verdict: Verdict, hidden: frozenset[str], quiet: Collection[str]) -> Verdict:
    """A hidden check with its status alone, a quiet one without its reason, one that waits without a name."""
    if verdict.check in hidden:
        cover = {"check": WITHHELD, "title": _TITLE, "reason": "", "reproduce": None, "waited_for": None}
        return verdict.model_copy(update=cover)
    if verdict.check in quiet and verdict.status != "pass":
        return verdict.model_copy(update={"reason": WITHHELD, "reproduce": None})
    if verdict.waited_for in hidden:
        return verdict.model_copy(update={"reason": f"{WITHHELD} did not pass", "waited_for": None})
    return verdict


def _cut(past: Past, hidden: Collection[str]) -> Past:
    return past.model_copy(
        update={
            "compared": past.compared and cut_comparison(past.compared, hidden),
            "causes": {slug: one for slug, one in past.causes.items() if slug not in hidden},
            "checks": {slug: one for slug, one in past.checks.items() if slug not in hidden},
            "flapping": tuple(slug for slug in past.flapping if slug not in hidden),
        }
    )


def cut_summary(found: Summary, hidden: Collection[str]) -> Summary:
    """The same without what is hidden."""
    shown: Mapping[str, object] = {
        "present": {slug: one for slug, one in found.present.items() if slug not in hidden},
        "failing": {slug: one for slug, one in found.failing.items() if slug not in hidden},
        "recovered": {slug: all_ for slug, all_ in found.recovered.items() if slug not in hidden},
        "flapping": tuple(slug for slug in found.flapping if slug not in hidden),
    }
    return found.model_copy(update=shown)


def cut_comparison(found: Comparison, hidden: Collection[str]) -> Comparison:
    """The same without what is hidden."""
    lists = {name: value for name, value in found if isinstance(value, tuple)}
    cut = {name: tuple(slug for slug in value if slug not in hidden) for name, value in lists.items()}
    return found.model_copy(update=cut)
