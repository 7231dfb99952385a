"""What a platform must do before it counts as well, as a list to tick off. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hokusai_probe.model import AreaScore, Report, Verdict
from hokusai_probe.reports.layout import blocks, bullets, percent, section, slugs

_MOST = 4
IN_TIME = "Answers are in time"
_TITLES: Mapping[str, str] = {
    "infrastructure": "Infrastructure health",
    "authentication": "Authentication",
    "registration": "Model registration",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list: what must be so, under which heading, and the hops whose checks say so."""

    area: str
    what: str
    hops: tuple[str, ...]


ITEMS = (
    Item("infrastructure", "All ECS services run their tasks", ("ecs.auth", "ecs.gateway", "ecs.mlflow")),
    Item(
        "infrastructure",
        "Target groups are healthy",
        ("target-group.auth", "target-group.gateway", "target-group.mlflow"),
    ),
    Item(
        "infrastructure",
        "Answers are in time",
        ("gateway/in-time", "validation/in-time", "pace.key", "pace.search"),
    ),
    Item("authentication", "Keys are let in as Bearer tokens", ("authenticated/bearer",)),
    Item("authentication", "Keys are let in under X-API-Key, too", ("authenticated/x-api-key",)),
    Item("registration", "An experiment can be created", ("writes/experiment",)),
    Item("registration", "A run can be logged", ("writes/run",)),
    Item("registration", "A model can be registered", ("writes/model",)),
    Item("registration", "Artifacts can be stored and fetched", ("artifacts",)),
    Item("registration", "A model can be retrieved", ("mlflow-api/models",)),
)


def render(report: Report, level: int = 3) -> str:
    """The check list in Markdown, by area; what nobody looked at is not ticked. Empty where there is none.

    Last in each area stands the score that the target's ``[criteria]`` ask of it.
    """
    areas = dict.fromkeys((*(item.area for item in ITEMS), *report.configuration.criteria))
    lists = (section(_TITLES.get(a, a.capitalize()), bullets(_lines(report, a)), level=level) for a in areas)
    return blocks(lists)


def met(count: AreaScore, wanted: float) -> bool:
    """Whether a score reaches what is asked of it; one of nothing does not."""
    return count.percent is not None and count.percent >= wanted


def _lines(report: Report, area: str) -> Iterator[str]:
    for item in ITEMS:
        found = [v for v in report.verdicts if v.hop in item.hops]
        if item.area == area and found:
            tick = _tick(all(v.status == "pass" for v in found))
            yield f"[{tick}] {item.what}: {_said(report, item, found)}"
    wanted = report.configuration.criteria.get(area)
    if wanted is not None:
        count = report.score.areas.get(area, AreaScore())
        yield f"[{_tick(met(count, wanted))}] Score: {percent(count.percent)} (needed {percent(wanted)})"


def _tick(good: bool) -> str:  # noqa: FBT001
    return "x" if good else " "


def _said(report: Report, item: Item, found: list[Verdict]) -> str:
    """How many of the checks pass, and what became of those that do not."""
    passing = sum(v.status == "pass" for v in found)
    rest = {"fails": _of(found, "fail"), "waits": _of(found, "blocked"), "broke": _of(found, "error")}
    rest["not looked at"] = _of(found, "skip")
    notes = "; ".join(f"{word}: {slugs(names[:_MOST])}" for word, names in rest.items() if names)
    limit = report.configuration.slo.p95_ms if item.what == IN_TIME else None
    within = f" within {limit:g} ms" if limit is not None else ""
    return f"{passing} of {len(found)}{within}{f' ({notes})' if notes else ''}"


def _of(found: Iterable[Verdict], state: str) -> list[str]:
    states = ((v.check, "blocked" if v.skip_kind == "blocked" else v.status) for v in found)
    return [check for check, one in states if one == state]
