"""Two runs side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from hokusai_probe.history.runs import OldCount, Outcome, Run, State
from hokusai_probe.model import Frozen

_JUDGED = frozenset({"pass", "fail", "error", "blocked"})


class ScoreChange(Frozen):
    """Percent before and now. The last two count only the checks that both runs judged."""

    before: float | None
    now: float | None
    alike_before: float | None = None
    alike_now: float | None = None


class Comparison(Frozen):
    """What an earlier and a later run found: slugs in alphabetical order, each check in one list at most.

    ``newly_failing`` did not fail before, and ``mended`` failed before and passes. ``no_longer_judged``
    failed before and neither fails nor passes; ``failing_unseen_before`` fails and was not judged before.
    ``old_count``: the scores of the earlier run, by area, if it was the former scripts';
    ``old_count_now``: of the later.
    """

    before: datetime
    now: datetime
    newly_failing: tuple[str, ...] = ()
    failing_unseen_before: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    no_longer_judged: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    only_before: tuple[str, ...] = ()
    only_now: tuple[str, ...] = ()
    new_causes: tuple[str, ...] = ()
    gone_causes: tuple[str, ...] = ()
    open_causes: tuple[str, ...] = ()
    still_present: tuple[str, ...] = ()
    score: ScoreChange
    old_count: Mapping[str, OldCount] = {}
    old_count_now: Mapping[str, OldCount] = {}
    areas_now: Mapping[str, float | None] = {}

    @property
    def is_same(self) -> bool:
        """Whether both found the same checks failing and the same causes present."""
        checks = (self.newly_failing, self.failing_unseen_before, self.mended, self.no_longer_judged)
        causes = (self.new_causes, self.gone_causes, self.open_causes)
        return not any((*checks, self.only_before, self.only_now, *causes, self.is_old))

    @property
    def is_old(self) -> bool:
        """Whether one of them is of the former scripts, so that there are scores to set side by side."""
        return bool(self.old_count or self.old_count_now)

    @property
    def is_worse(self) -> bool:
        """Whether something fails or is present that did or was not before."""
        return bool(self.newly_failing or self.failing_unseen_before or self.new_causes)


def compare(before: Run, now: Run) -> Comparison:
    """What changed from one run to another; from a score of the former scripts to a run, the scores alone."""
    percents = {area: count.percent for area, count in now.score.areas.items()}
    found = Comparison(
        before=before.started_at,
        now=now.started_at,
        score=_score(before, now),
        old_count=before.old_count,
        old_count_now=now.old_count,
        areas_now=percents if before.old_count else {},
    )
    if found.is_old:
        return found
    checks = _checks(before.state.outcomes(), now.state.outcomes())
    return found.model_copy(update={**checks, **_causes(before.state, now.state)})


def _checks(before: Mapping[str, Outcome], now: Mapping[str, Outcome]) -> dict[str, tuple[str, ...]]:
    lists: dict[str, list[str]] = {}
    for slug in sorted({*before, *now}):
        name = _list_of(before.get(slug), now.get(slug))
        if name:
            lists.setdefault(name, []).append(slug)
    return {name: tuple(found) for name, found in lists.items()}


def _list_of(before: Outcome | None, now: Outcome | None) -> str:
    """The list in which a check with these outcomes belongs, empty for none."""
    if before is None or now is None:
        return "only_now" if before is None else "only_before"
    if now == "fail":
        known = {"fail": "still_failing", "pass": "newly_failing"}
        return known.get(before, "failing_unseen_before")
    if before == "fail":
        return "mended" if now == "pass" else "no_longer_judged"
    return ""


def _causes(before: State, now: State) -> dict[str, tuple[str, ...]]:
    """Causes by what became of them. One that is undecided now is neither gone nor still present."""
    then, today = {c.cause for c in before.present()}, {c.cause for c in now.present()}
    gone, unsure = then - today, {c.cause for c in now.causes if c.undecided}
    open_ = {slug for slug in gone if slug in unsure or not _mended(slug, before, now)}
    return {
        "new_causes": tuple(sorted(today - then)),
        "gone_causes": tuple(sorted(gone - open_)),
        "open_causes": tuple(sorted(open_)),
        "still_present": tuple(sorted(then & today)),
    }


def _mended(slug: str, before: State, now: State) -> bool:
    """Whether something speaks against a cause now, or all passes that it explained before."""
    explained = {check for c in before.present() if c.cause == slug for check in c.explains}
    return slug in now.denied or (bool(explained) and explained <= set(now.checks.get("pass", ())))


def _score(before: Run, now: Run) -> ScoreChange:
    then, today = before.state.outcomes(), now.state.outcomes()
    both = [slug for slug in then if then[slug] in _JUDGED and today.get(slug) in _JUDGED]
    return ScoreChange(
        before=before.score.overall.percent,
        now=now.score.overall.percent,
        alike_before=_percent([then[slug] for slug in both]),
        alike_now=_percent([today[slug] for slug in both]),
    )


def _percent(outcomes: list[Outcome]) -> float | None:
    return round(100 * outcomes.count("pass") / len(outcomes), 1) if outcomes else None
