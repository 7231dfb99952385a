"""What is worth publishing. Pure.

The *state* of a report is what the history calls one (the outcome of each check, and the causes that are
present or open, with who must act), with the target and the version of the tool. Times, durations, scores,
reasons and what was ruled out besides are not news.
"""

from __future__ import annotations

from typing import Literal

from hokusai_probe.history.condense import state_of
from hokusai_probe.history.runs import State
from hokusai_probe.model import Report

News = Literal["first", "changed", "unchanged", "older", "partial", "interrupted"]
"""``first`` and ``changed`` are published. Older: than what is there. Partial: of fewer checks than that.
Interrupted: cut short, unlike that."""


def news(ours: Report, published: Report | None) -> News:
    """What a report is, beside the one that is published; None: there is none that can be read."""
    if published is None:
        return "first"
    if state(ours) == state(published):
        return "unchanged"
    if ours.started_at < published.started_at:
        return "older"
    if _is_part(ours, published):
        return "partial"
    return "interrupted" if ours.interrupted and not published.interrupted else "changed"


def _is_part(ours: Report, published: Report) -> bool:
    """Whether it judges only some of the same checks. Another version or target may have fewer of its own."""
    same = (ours.target, ours.tool_version) == (published.target, published.tool_version)
    return same and {v.check for v in ours.verdicts} < {v.check for v in published.verdicts}


def state(report: Report) -> tuple[str, str, State]:
    """What is compared: target, version of the tool, and how the platform was found."""
    found = state_of(report).model_copy(update={"denied": ()})
    return report.target, report.tool_version, found
