"""Figures over graded runs, for people: how often the diagnosis is right, and how long it takes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median, quantiles

from hokusai_probe.grading import Grade, Graded, Mode
from hokusai_probe.model import Frozen

_MODES: Mapping[Mode, str] = {"aws": "with AWS", "no-aws": "without AWS"}
_HEAD = """# How accurate the diagnosis is

Made by `{command}` on {day}, with the seed {seed}. Each scenario is a platform in the sandbox with faults put
in. Right means: exactly the causes that were put in are named, the components that must act are theirs, what
is masked is not denied, and what no cause covers stays unexplained. Without AWS a cause may be left open, as
long as no other is named. The baseline reads status codes alone.
"""


class Figures(Frozen):
    """Rates over the graded runs of one mode, None where nothing was to be counted; times in seconds.

    ``precision``: of the causes named, how many were put in. ``recall``: of those put in, how many were
    named. ``open_rightly``: runs in which nothing fitted and nothing was named. ``open_wrongly``: causes that
    were put in and left undecided.
    """

    runs: int
    right: int
    named: int
    false: int
    put_in: int
    missed: int
    open_wrongly: int
    open_rightly: int
    component_right: int
    median_s: float | None
    p95_s: float | None
    baseline_right: int
    baseline_false: int
    healed: int
    healable: int

    @property
    def precision(self) -> float | None:
        """Of the causes named, the part that was put in."""
        return (self.named - self.false) / self.named if self.named else None

    @property
    def recall(self) -> float | None:
        """Of the causes put in, the part that was named, not only left possible."""
        return (self.put_in - self.missed - self.open_wrongly) / self.put_in if self.put_in else None


def figures(graded: Graded) -> Figures:
    """The figures of these grades."""
    grades, t = graded.scenarios, graded.totals
    times = sorted(g.seconds for g in grades)
    return Figures(
        runs=t.scenarios,
        right=t.right,
        named=sum(len(g.present) for g in grades),
        false=t.false_causes,
        put_in=sum(len(g.expected) for g in grades),
        missed=t.missed,
        open_wrongly=t.abstained,
        open_rightly=sum(g.right and bool(g.unexplained) for g in grades),
        component_right=t.component_right,
        median_s=round(median(times), 1) if times else None,
        p95_s=round(quantiles(times, n=20, method="inclusive")[-1], 1) if len(times) > 1 else None,
        baseline_right=t.baseline_right,
        baseline_false=t.baseline_false,
        healed=t.healed,
        healable=t.healable,
    )


def rows(found: Figures) -> Iterator[tuple[str, str]]:
    """The figures as lines for people: what, and how much."""
    yield "scenarios right", f"{found.right} of {found.runs}"
    yield "precision (causes named that were put in)", _part(found.precision, found.named)
    yield "recall (causes put in that were named)", _part(found.recall, found.put_in)
    yield "false causes", str(found.false)
    yield "missed causes", str(found.missed)
    yield "left undecided though put in", str(found.open_wrongly)
    yield "left unexplained, as it should be", str(found.open_rightly)
    yield "component right", f"{found.component_right} of {found.runs}"
    if found.healable:
        yield "healed by their remedies", f"{found.healed} of {found.healable}"
    if found.median_s is not None:
        yield "seconds to the diagnosis, median and 95th percentile", f"{found.median_s} and {found.p95_s}"
    yield "baseline (status codes only) right", f"{found.baseline_right} of {found.runs}"
    yield "baseline false causes", str(found.baseline_false)


def _part(rate: float | None, of: int) -> str:
    return "nothing to count" if rate is None else f"{100 * rate:.1f} % of {of}"


def page(
    graded: Mapping[Mode, Graded], *, command: str, day: str, seed: int, more: Sequence[str] = ()
) -> str:
    """docs/accuracy.md: the figures of both modes, each cause's own, and what was wrong, by name."""
    listed = [dict(rows(figures(g))) for g in graded.values()]
    names = list(dict.fromkeys(name for one in listed for name in one))
    table = [(name, *(one.get(name, "") for one in listed)) for name in names]
    wrong = [_told(g) for found in graded.values() for g in found.scenarios if not g.right]
    parts = (
        _HEAD.format(command=command, day=day, seed=seed),
        _table(("", *(_MODES[mode] for mode in graded)), table),
        *more,
        "## What was not right\n\n" + ("\n".join(wrong) or "Nothing.") + "\n",
        "## Each cause\n\nHow often it was put in, and what became of it: named, left undecided, missed; and "
        "how often it was named where it was not.\n\n" + _table(*_confusion(graded)),
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


_OUTCOMES = ("put in", "named", "undecided", "missed", "false")


def _outcomes(grades: Iterable[Grade]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for grade in grades:
        found.update((c, "put in") for c in grade.expected)
        found.update((c, _became(c, grade)) for c in grade.expected)
        found.update((c, "false") for c in grade.false_causes)
    return found


def _became(cause: str, grade: Grade) -> str:
    if cause in grade.missed:
        return "missed"
    return "undecided" if cause in grade.undecided and cause not in grade.present else "named"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
