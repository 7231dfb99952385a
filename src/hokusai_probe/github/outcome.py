"""What became of an action, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from hokusai_probe import text
from hokusai_probe.errors import ProbeError
from hokusai_probe.issues import Action, ActionKind, component_of, is_among
from hokusai_probe.model import Frozen

Result = Literal["done", "left", "refused", "unavailable", "limited"]
Trouble = Literal["refused", "unavailable", "limited"]


class Outcome(Frozen):
    """What became of one action.

    ``done``: as planned. ``left``: nothing had to be done, or people had decided otherwise. ``refused``:
    GitHub will not do it until somebody changes something. ``unavailable``: GitHub did not answer, or not
    clearly. ``limited``: GitHub, or the time that was given, allows no more for now. ``number`` is the
    issue's, None where there is none.
    """

    kind: ActionKind
    key: str
    result: Result
    sentence: str
    number: int | None = None
    repository: str = ""

    @property
    def kept_from_writing(self) -> bool:
        """Whether something that was planned is not done, and not because people wanted it so."""
        return self.result not in {"done", "left"}


class GitHubError(ProbeError):
    """GitHub was asked for something and did not do it. ``result`` says how an action ends that meets it."""

    result: Trouble = "unavailable"


def outcome(
    action: Action, result: Result, sentence: str, notes: Sequence[str] = (), number: int | None = None
) -> Outcome:
    """What became of an action; ``notes``: what else to know; ``number``: where it is not the action's."""
    return Outcome(
        kind=action.kind,
        key=action.key,
        result=result,
        sentence="; ".join([sentence, *notes]),
        number=action.number if number is None else number,
        repository=action.repository,
    )


def describe(outcomes: Sequence[Outcome], private: Collection[str] = ()) -> str:
    """The outcomes for the terminal, a line each.

    Of one in a ``private`` repository no more than what GitHub answered where something went wrong: labels
    and reasons may name a cause that is sensitive, and the log of a job may be public all the same.
    """
    lines = (_line(one, private=is_among(one.repository, private)) for one in outcomes)
    return "".join(f"{text.terminal(line)}\n" for line in lines)


def _line(one: Outcome, *, private: bool) -> str:
    number = f" #{one.number}" if one.number is not None else ""
    where = f" in {one.repository}" if one.repository else ""
    key = component_of(one.key) if private else one.key
    head = f"{one.result}: {one.kind}{number}{where} ({key})"
    return head if private and not one.kept_from_writing else f"{head}: {text.one_line(one.sentence)}"
