"""What a report may say of the time before its run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from hokusai_probe.history import questions
from hokusai_probe.history.compare import Comparison, compare
from hokusai_probe.history.index import Point, Seen
from hokusai_probe.history.questions import Outage
from hokusai_probe.history.runs import Run
from hokusai_probe.model import Frozen


class Past(Frozen):
    """The comparison with the previous run, and since when each present cause and failing check is bad.

    Empty where there was no run before.
    """

    compared: Comparison | None = None
    causes: Mapping[str, Outage] = Field(default_factory=dict)
    checks: Mapping[str, Outage] = Field(default_factory=dict)


def past_of(points: Sequence[Point], run: Run, before: Run | None) -> Past:
    """What is known of the time before a run, from the runs of its target; ``before`` is the previous one."""
    runs: tuple[Seen, ...] = (*(p for p in points if p.started_at < run.started_at), run)
    causes = dict.fromkeys(c.cause for c in run.state.present())
    since = {slug: questions.since(runs, questions.cause(slug, runs)) for slug in causes}
    failing = {s: questions.since(runs, questions.check(s)) for s in run.state.checks.get("fail", ())}
    return Past(
        compared=compare(before, run) if before is not None else None,
        causes={slug: outage for slug, outage in since.items() if outage is not None},
        checks={slug: outage for slug, outage in failing.items() if outage is not None},
    )
