"""What users cannot do right now, read off the checks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hokusai_probe import topology
from hokusai_probe.model import Report, Verdict
from hokusai_probe.reports import answer

MOST = 3  # checks that are cited


@dataclass(frozen=True, slots=True)
class Ability:
    """Something that users do: in words, and the hops whose checks try just that, the main one first."""

    what: str
    hops: tuple[str, ...]


ABILITIES = (
    Ability("reach the registry host", ("public.registry",)),
    Ability("reach the auth host, which issues and checks keys", ("public.auth",)),
    Ability("reach the api host", ("public.api",)),
    Ability(
        "be let in with a key",
        ("authenticated", "authenticated/bearer", "authenticated/apikey", "authenticated/x-api-key"),
    ),
    Ability(
        "search and find experiments, runs and models",
        ("mlflow-api", "mlflow-api/routes", "mlflow-api/models"),
    ),
    Ability(
        "create experiments, runs and models",
        ("writes", "writes/experiment", "writes/run", "writes/model"),
    ),
    Ability("store and fetch artifacts", ("artifacts", "artifacts/large")),
    Ability("get predictions of a model that is served", ("authenticated/serving",)),
)


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that users cannot do. ``tried``: a check of just that fails; else what it rests on does."""

    what: str
    failing: tuple[str, ...]
    passing: tuple[str, ...] = ()
    tried: bool = True


def lacks(report: Report) -> tuple[Lack, ...]:
    """What users cannot do, each with the checks that say so; empty where nothing of it was seen to fail.

    What was tried and works is not listed, whatever else fails. Where the trouble is ours alone, nobody knows
    what users can do.
    """
    if answer.ours_alone(report):
        return ()
    found = (_lack(report, ability) for ability in ABILITIES)
    return tuple(lack for lack in found if lack is not None)


def _lack(report: Report, ability: Ability) -> Lack | None:
    own = [v for v in report.verdicts if v.hop in ability.hops]
    failing, passing = _slugs(own, "fail"), _slugs(own, "pass")
    if failing:
        return Lack(ability.what, failing, passing)
    below = topology.foundations(answer.base(ability.hops[0]))
    resting = _slugs((v for v in report.verdicts if v.hop in below), "fail")
    asked = bool(own) or ability.hops[0] in topology.HOPS
    return Lack(ability.what, resting, tried=False) if resting and asked and not passing else None


def _slugs(verdicts: Iterable[Verdict], status: str) -> tuple[str, ...]:
    return tuple(v.check for v in verdicts if v.status == status)


def heading(report: Report) -> str:
    """Whose inability it is: everybody's, or that of the key that was used."""
    found = {root.diagnosis.component for root in answer.roots(report)}
    keys = found == {"client"}
    return "What cannot be done with this key right now" if keys else "What users cannot do right now"


def said(lack: Lack, style: answer.Style) -> str:
    """One of them as a phrase that cites its checks."""
    cited = answer.slugs(lack.failing[:MOST], style)
    more = f" and {len(lack.failing) - MOST} more" if len(lack.failing) > MOST else ""
    if not lack.tried:
        return f"{lack.what} (not tried; it rests on what fails: {cited}{more})"
    some = f"; passes: {answer.slugs(lack.passing[:MOST], style)}" if lack.passing else ""
    return f"{lack.what}{' in every way' if lack.passing else ''} (fails: {cited}{more}{some})"
