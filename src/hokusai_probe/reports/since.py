"""What the history says, in words: since when, and what changed from one run to another. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hokusai_probe.history.compare import Comparison
from hokusai_probe.history.past import Past
from hokusai_probe.history.questions import Availability, Outage
from hokusai_probe.history.runs import SUITE, OldCount
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import moment, percent, plural, span

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MOST = 5
NO_EARLIER_RUN = "This report knows of no earlier run, so nothing is said of the time before."
THIS_RUN = "this run or earlier"
FLAPS = "; it is flapping: bad three times or more within a day"


def since(found: Outage) -> str:
    """Since when something is bad, with how exactly that is known."""
    first, bad = moment(found.first_bad), plural(found.bad_runs, "bad run")
    if found.good_before is None:
        return f"{first} or earlier ({bad}, none known before)"
    return f"between {moment(found.good_before)} (last good run) and {first} (first bad one; {bad} so far)"


def compared(found: Comparison, style: answer.Style) -> tuple[str, ...]:
    """What changed, a line for each kind of change; one line where nothing did."""
    if found.is_old:
        return tuple(_old_counts(found))
    lines = tuple(_changes(found, style))
    if found.is_same:
        return (f"nothing changed: {_still(len(found.still_failing))}, as before",)
    return (*lines, _score(found))


def _still(failing: int) -> str:
    if not failing:
        return "nothing fails"
    return f"the same {plural(failing, 'check')} {'fails' if failing == 1 else 'fail'}"


def _changes(found: Comparison, style: answer.Style) -> Iterator[str]:
    lists = (
        ("new causes", found.new_causes),
        ("causes gone", found.gone_causes),
        ("causes no longer certain", found.open_causes),
        ("causes still present", found.still_present),
        ("newly failing", found.newly_failing),
        ("failing, and not judged before", found.failing_unseen_before),
        ("mended", found.mended),
        ("failed before, not judged now", found.no_longer_judged),
        ("still failing", found.still_failing),
        ("checks of the earlier run alone", found.only_before),
        ("checks of this run alone", found.only_now),
    )
    for name, slugs in lists:
        if slugs:
            more = f" and {len(slugs) - _MOST} more" if len(slugs) > _MOST else ""
            yield f"{name}: {answer.slugs(slugs[:_MOST], style)}{more}"


def _score(found: Comparison) -> str:
    score = found.score
    said = f"score: {percent(score.before)} before, {percent(score.now)} now"
    if (score.alike_before, score.alike_now) == (score.before, score.now):
        return said
    return (
        f"{said}; of the checks that both judged {percent(score.alike_before)} and {percent(score.alike_now)}"
    )


def _old_counts(found: Comparison) -> Iterator[str]:
    """The scores of the former scripts beside ours, which count something else: they are not subtracted."""
    for area in dict.fromkeys((*found.old_count, *found.old_count_now)):
        name = "all areas" if area == SUITE else area
        before = found.old_count.get(area)
        then = f"; before, {old_count(before)}" if before is not None else ""
        yield f"{name}: now {_now(found, area)}{then}"


def _now(found: Comparison, area: str) -> str:
    if area in found.old_count_now:
        return old_count(found.old_count_now[area])
    return percent(found.score.now if area == SUITE else found.areas_now.get(area))


def old_count(count: OldCount) -> str:
    """A score of the former scripts, and how much of it was no credit to the platform."""
    said = f"{percent(count.percent)} by the old count"
    if count.from_fault:
        points = _NUMBERS[count.from_fault] if count.from_fault < len(_NUMBERS) else str(count.from_fault)
        were = "point was" if count.from_fault == 1 else "points were"
        said += f", of which {points} {were} the fault itself"
    return said if count.passed is None else f"{said} ({count.passed} of {count.total})"


def heading(found: Comparison) -> str:
    """What the run is compared with."""
    return f"Compared with the previous run ({moment(found.before)})"


def cause_since(past: Past | None, slug: str) -> str:
    """Since when a cause is present, and whether it comes and goes; empty where no earlier run is known."""
    return _since_when(past, slug, past.causes) if past is not None else ""


def check_since(past: Past | None, slug: str) -> str:
    """Since when a check fails, and whether it comes and goes; empty where no earlier run is known."""
    return _since_when(past, slug, past.checks) if past is not None else ""


def _since_when(past: Past, slug: str, found: Mapping[str, Outage]) -> str:
    if past.compared is None or slug not in found:
        return ""
    return f"{since(found[slug])}{FLAPS if slug in past.flapping else ''}"


def in_short(past: Past | None, slug: str) -> str:
    """Since when a cause is present or a check fails, for a cell of a table."""
    known = past is not None and past.compared is not None
    found = {**past.checks, **past.causes}.get(slug) if past is not None and known else None
    if found is None:
        return THIS_RUN
    first = moment(found.first_bad)
    span = f"between {moment(found.good_before)} and {first}" if found.good_before else f"{first} or earlier"
    return f"{span}{', flapping' if past is not None and slug in past.flapping else ''}"


def what_changed(past: Past | None, style: answer.Style) -> tuple[str, ...]:
    """What changed and when, a line each; empty where no earlier run is known."""
    if past is None or past.compared is None:
        return ()
    found, lines = past.compared, compared(past.compared, style)
    head = f"since the previous run ({moment(found.before)})"
    if found.is_old:
        lines = _beside(found)
    elif found.is_same:
        lines = (f"{head} {lines[0]}", *_steady(past))
    else:
        lines = (f"{head}, so between that time and {moment(found.now)}:", *lines)
    return (*lines, *flapping(past, style), *beside_old(past))


def _steady(past: Past) -> tuple[str, ...]:
    if past.changed is None:
        first = moment(past.first) if past.first is not None else "nobody knows when"
        return (f"all {plural(past.runs, 'earlier run')} since {first} found the same",)
    return (f"the last change was between {moment(past.changed[0])} and {moment(past.changed[1])}",)


def flapping(past: Past | None, style: answer.Style) -> tuple[str, ...]:
    """What comes and goes, as one line; none where nothing does."""
    if past is None or not past.flapping:
        return ()
    more = f" and {len(past.flapping) - _MOST} more" if len(past.flapping) > _MOST else ""
    named = answer.slugs(past.flapping[:_MOST], style)
    return (f"flapping, bad three times or more within a day: {named}{more}",)


def beside_old(past: Past | None) -> tuple[str, ...]:
    """How it was by the former scripts, where their scores were imported and are not told already."""
    return _beside(past.old) if past is not None and past.old is not None else ()


def _beside(found: Comparison) -> tuple[str, ...]:
    when = moment(found.before)
    return tuple(f"beside the former scripts' report of {when}: {line}" for line in _old_counts(found))


def served(found: Availability) -> str:
    """For how much of the known time something served, and how much of the time is known."""
    if found.percent is None:
        return "not known"
    known = found.up_s + found.down_s
    whole = known + found.unknown_s
    return f"{percent(found.percent)} of {span(known)} that are known ({span(whole)} in all)"
