"""Opening an issue, and coming to one where several runs opened the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hokusai_probe.github.outcome import GitHubError, Outcome, outcome
from hokusai_probe.github.patience import UnclearError
from hokusai_probe.github.replies import Issue
from hokusai_probe.github.work import Beside, UnfitError, Work, hands_off
from hokusai_probe.issues import Action

_LOOKS_S = (0.0, 2.0, 5.0)  # pauses before each look for what may have been opened: lists lag


def open_issue(work: Work, action: Action) -> Outcome:
    """Open it, unless it is open already. Raises GitHubError where none of ours is known to be open then."""
    beside = Beside(work.repository)
    labels = beside.there(action.labels)
    before = _ours(work, action.key)
    if before:
        kept = _converged(work, beside, action.key, before[0].number)
        return outcome(action, "left", f"#{kept} says so already: somebody was faster", beside.notes, kept)
    issue = _opened(work, action, labels)
    beside.given(labels, issue.labels)
    beside.assign(issue, action.assignees)
    if not work.wrote(issue):
        beside.notes.append(f"it was written by {issue.author}: put that into [issues] also_ours")
        work = replace(work, authors=work.authors | {issue.author})
    kept = _converged(work, beside, action.key, issue.number)
    same = kept == issue.number
    said = "opened" if same else f"#{kept} was opened before it, so #{issue.number} is closed again"
    return outcome(action, "done", said, beside.notes, kept)


def _ours(work: Work, key: str) -> tuple[Issue, ...]:
    """The open issues of ours under a key, the lowest number first. Raises UnfitError.

    A marker that a stranger wrote is nothing. But where a bot that is not counted as ours wrote it, or we did
    under a name that is not, another issue would be opened with each run.
    """
    found = work.open_issues(key)
    ours = tuple(i for i in found if work.wrote(i))
    unlisted = [] if ours else [i for i in found if _might_be_us(work, i)]
    if unlisted:
        first = unlisted[0]
        msg = f"{first.author} wrote #{first.number} with the same marker: put that into [issues] also_ours"
        raise UnfitError(msg)
    return ours


def _might_be_us(work: Work, issue: Issue) -> bool:
    is_bot = issue.user is not None and issue.user.type == "Bot"
    return is_bot or (issue.author != "" and issue.author == work.repository.whoami())


def _opened(work: Work, action: Action, labels: Sequence[str]) -> Issue:
    try:
        return work.repository.open(action.title, action.body, labels)
    except UnclearError as error:
        return _looked_for(work, action.key, error)


def _looked_for(work: Work, key: str, trouble: UnclearError) -> Issue:
    """What was opened although no clear answer came. Raises UnclearError: it is not opened a second time.

    Not finding it proves nothing, because lists lag behind for minutes; the next run will know.
    """
    msg = f"{trouble}; it may be open all the same, so the next run looks before it opens another"
    unclear = UnclearError(msg)
    for pause in _LOOKS_S:
        work.patience.rest(pause, unclear)
        try:
            found = _ours(work, key)
        except UnfitError:
            raise
        except GitHubError:
            raise unclear from None
        if found:
            return found[0]
    raise unclear


def _converged(work: Work, beside: Beside, key: str, number: int) -> int:
    """The issue that stays of all open ones under a key, which is the lowest; the others are closed.

    Every run does so, and all choose the same one, in whatever order they come.
    """
    kept = number
    with beside.attempt("a look for the same from another run"):
        listed = {i.number for i in work.open_issues(key) if work.is_ours(i, key)}
        kept, *doubles = sorted({number, *listed})
        if doubles and not _stands(work, key, kept):
            return number
        for double in doubles:
            _close_double(work, key, double, kept)
    return kept


def _stands(work: Work, key: str, number: int) -> bool:
    """Whether an issue that a list shows as open is open: lists lag behind."""
    issue = work.repository.issue(number)
    return issue.state == "open" and work.is_ours(issue, key)


def _close_double(work: Work, key: str, number: int, kept: int) -> None:
    """Close an issue that says what a lower one says, and take its marker, so that it never counts again."""
    issue = work.repository.issue(number)
    if issue.state == "open" and work.is_ours(issue, key) and not hands_off(issue):
        pointer = f"The same as #{kept}, where it goes on: two runs opened it at the same time.\n"
        work.repository.edit(number, {"body": pointer, "state": "closed", "state_reason": "duplicate"})
