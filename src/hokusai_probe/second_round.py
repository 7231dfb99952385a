"""Which looks are worth another request once the first round left causes open. Pure.

A cause that is undecided says which looks would settle it. Those of them that are made for the second round
and were not taken yet are taken now, the most telling first, within a bound of looks and requests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hokusai_probe.declare import Catalogue, Probe
from hokusai_probe.engine import looks_before
from hokusai_probe.model import Diagnosis, Frozen

MOST_LOOKS = 4
MOST_REQUESTS = 16


class Planned(Frozen):
    """A look to take, and the undecided causes that it may settle, by slug and sorted."""

    probe: str
    causes: tuple[str, ...]


def plan(catalogue: Catalogue, diagnoses: Iterable[Diagnosis], taken: Collection[str]) -> tuple[Planned, ...]:
    """The looks of the second round, those that may settle most causes first, then the cheapest.

    ``taken``: the looks of the first round; one that needs what was not looked at is not planned.
    """
    useful = _useful(catalogue, diagnoses)
    fresh = (p for p in _of_second_round(catalogue) if p.slug not in taken)
    able = [p for p in fresh if looks_before(catalogue, p.slug) <= set(taken)]
    ranked = sorted(
        (p for p in able if p.slug in useful), key=lambda p: (-len(useful[p.slug]), p.cost, p.slug)
    )
    return tuple(Planned(probe=p.slug, causes=tuple(sorted(useful[p.slug]))) for p in _within_bounds(ranked))


def _useful(catalogue: Catalogue, diagnoses: Iterable[Diagnosis]) -> dict[str, set[str]]:
    """Look -> undecided causes that name it as what would settle them."""
    found: dict[str, set[str]] = {}
    for one in (d for d in diagnoses if d.status == "undecided"):
        for settling in one.settled_by:
            found.setdefault(settling.look, set()).add(one.cause)
    return {look: causes for look, causes in found.items() if look in catalogue.probes}


def _of_second_round(catalogue: Catalogue) -> tuple[Probe, ...]:
    return tuple(p for p in catalogue.probes.values() if p.round == 2)


def _within_bounds(ranked: Sequence[Probe]) -> list[Probe]:
    found: list[Probe] = []
    for probe in ranked:
        if len(found) < MOST_LOOKS and sum(p.cost for p in (*found, probe)) <= MOST_REQUESTS:
            found.append(probe)
    return found
