"""A plan for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hokusai_probe import text
from hokusai_probe.issues.known import Action, component_of, is_among
from hokusai_probe.reports.console import verbatim
from hokusai_probe.reports.layout import plural


def describe(actions: Sequence[Action], private: Collection[str] = ()) -> str:
    """The plan for the terminal: each action with its reason, the comment (``>``) and the text (``|``).

    Of one in a ``private`` repository only which issue it is: the log of a job may be public all the same.
    """
    said = [_described(a, private=is_among(a.repository, private)) for a in actions]
    return "\n".join(said) if said else "Nothing to open, update or close.\n"


def _described(action: Action, *, private: bool) -> str:
    if private:
        why = "what it says is not shown: it is for a private repository, and a log may be public"
        return f"{_what(action)}: {text.terminal(component_of(action.key))}\n  {why}\n"
    head = f"{_what(action)}: {text.terminal(action.title or action.key)}"
    beside = (
        ("because", action.reason),
        ("labels:", ", ".join(action.labels)),
        ("labels that go:", ", ".join(action.labels_gone)),
        ("given to:", ", ".join(action.assignees)),
    )
    lines = [f"  {name} {text.terminal(said)}" for name, said in beside if said]
    lines += [f"  > {verbatim(line)}".rstrip() for line in action.comment.splitlines()]
    lines += [f"  | {verbatim(line)}".rstrip() for line in action.body.splitlines()]
    return "\n".join([head, *lines]) + "\n"


def _what(action: Action) -> str:
    number = f" #{action.number}" if action.number is not None else ""
    where = f" in {text.terminal(action.repository)}" if action.repository else ""
    if action.wants_runs:
        see = "see" if action.wants_runs > 1 else "sees"
        return f"would open{where}, once {plural(action.wants_runs, 'more run')} {see} the same"
    return f"{action.kind}{number}{where}"
