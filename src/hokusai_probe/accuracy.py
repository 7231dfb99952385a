"""Figures over graded runs, for people: how often the diagnosis is right, and how long it takes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median, quantiles

from hokusai_probe.grading import Grade, Graded, Mode, Totals
from hokusai_probe.model import Frozen

_MODES: Mapping[Mode, str] = {"aws": "with AWS", "no-aws": "without AWS"}
_HEAD = """# How accurate the diagnosis is

Made by `{command}` on {day}, with the seed {seed}. Each scenario is a platform in the sandbox with faults put
in. Right means: exactly the causes that were put in are named, the components that must act are theirs, what
is masked is not denied, and what no cause covers stays unexplained. Without AWS a cause may be left open, as
long as nothing is named but it and what follows from it. Most runs without AWS are the run with AWS judged
again without what AWS said; where that leaves open what a second round asks about, and in every third
scenario, it is a run of its own. The baseline reads status codes alone.
"""

_EACH = """## Each cause

How often it was put in, and what became of it: named, left undecided, not seen (masked by another, or
missed); and how often it was named where it was not.

"""


class Figures(Frozen):
    """Counts over the graded runs of one mode; times in seconds, None where there was nothing to time.

    ``totals``: the sums of the grades. ``named``: causes named; of these the false ones were not there, and
    ``following`` were not put in and follow from what was (that a service is down). ``put_in``: causes put
    in; of these ``found`` were named and ``left_open`` left undecided. ``open_rightly``: runs in which
    something was rightly left unexplained.
    """

    totals: Totals
    named: int
    following: int
    put_in: int
    found: int
    left_open: int
    open_rightly: int
    median_s: float | None
    p95_s: float | None

    @property
    def precision(self) -> float | None:
        """Of the causes named, the part that was put in."""
        return self.found / self.named if self.named else None

    @property
    def recall(self) -> float | None:
        """Of the causes put in, the part that was named, not only left possible."""
        return self.found / self.put_in if self.put_in else None


def figures(graded: Graded) -> Figures:
    """The figures of these grades."""
    grades = graded.scenarios
    outcomes = _outcomes(grades)
    counts = {o: sum(n for (_, outcome), n in outcomes.items() if outcome == o) for o in _OUTCOMES}
    times = sorted(g.seconds for g in grades)
    named = sum(len(g.present) for g in grades)
    return Figures(
        totals=graded.totals,
        named=named,
        following=named - counts["false"] - counts["named"],
        put_in=counts["put in"],
        found=counts["named"],
        left_open=counts["undecided"],
        open_rightly=sum(g.right and bool(g.unexplained) for g in grades),
        median_s=round(median(times), 1) if times else None,
        p95_s=round(quantiles(times, n=20, method="inclusive")[-1], 1) if len(times) > 1 else None,
    )


def rows(found: Figures, *, timed: bool = True) -> Iterator[tuple[str, str]]:
    """The figures as lines for people: what, and how much. ``timed``: whether each was a run of its own."""
    t = found.totals
    yield "scenarios right", f"{t.right} of {t.scenarios}"
    yield "causes put in", str(found.put_in)
    yield "of these named (recall)", _part(found.recall, found.found)
    yield "of these left undecided", str(found.left_open)
    yield "neither named nor left open", str(found.put_in - found.found - found.left_open)
    yield "causes named", str(found.named)
    yield "of these put in (precision)", _part(found.precision, found.found)
    yield "of these only what follows from them", str(found.following)
    yield "of these false", str(t.false_causes)
    yield "runs rightly left unexplained", str(found.open_rightly)
    yield "component right", f"{t.component_right} of {t.scenarios}"
    if t.healable:
        yield "healed by their remedies", f"{t.healed} of {t.healable}"
    if timed and found.median_s is not None:
        yield "seconds to the diagnosis, median and 95th percentile", f"{found.median_s} and {found.p95_s}"
    yield "baseline (status codes only) right", f"{t.baseline_right} of {t.scenarios}"
    yield "baseline false causes", str(t.baseline_false)


def _part(rate: float | None, number: int) -> str:
    return str(number) if rate is None else f"{number} ({100 * rate:.1f} %)"


def page(
    graded: Mapping[Mode, Graded], *, command: str, day: str, seed: int, more: Sequence[str] = ()
) -> str:
    """docs/accuracy.md: the figures of both modes, each cause's own, and what was wrong, by name."""
    listed = [dict(rows(figures(g), timed=mode == "aws")) for mode, g in graded.items()]
    names = list(dict.fromkeys(name for one in listed for name in one))
    table = [(name, *(one.get(name, "") for one in listed)) for name in names]
    wrong = [_told(g) for found in graded.values() for g in found.scenarios if not g.right]
    parts = (
        _HEAD.format(command=command, day=day, seed=seed),
        _table(("", *(_MODES[mode] for mode in graded)), table),
        *more,
        "## What was not right\n\n" + ("\n".join(wrong) or "Nothing.") + "\n",
        _EACH + _table(*_confusion(graded)),
    )
    return "\n".join(parts)


def _told(found: Grade) -> str:
    false = ", ".join(f"`{c}` named and not there" for c in found.false_causes)
    missed = ", ".join(f"`{c}` missed" for c in found.missed)
    rest = "undecided or unexplained otherwise than expected"
    return f"- `{found.name}` {_MODES[found.mode]}: {', '.join(filter(None, (false, missed))) or rest}"


def _confusion(graded: Mapping[Mode, Graded]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A row for each cause that was put in or named; a column for each mode and outcome."""
    counts = {mode: _outcomes(found.scenarios) for mode, found in graded.items()}
    causes = sorted({cause for by in counts.values() for cause, _ in by})
    head = ("cause", *(f"{_MODES[mode]}: {outcome}" for mode in graded for outcome in _OUTCOMES))
    return head, [
        (f"`{c}`", *(str(counts[mode][c, o] or "") for mode in graded for o in _OUTCOMES)) for c in causes
    ]


_OUTCOMES = ("put in", "named", "undecided", "not seen", "false")


def _outcomes(grades: Iterable[Grade]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for grade in grades:
        found.update((c, "put in") for c in grade.put_in)
        found.update((c, _became(c, grade)) for c in grade.put_in)
        found.update((c, "false") for c in grade.false_causes)
    return found


def _became(cause: str, grade: Grade) -> str:
    if cause in grade.present:
        return "named"
    return "undecided" if cause in grade.undecided else "not seen"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
