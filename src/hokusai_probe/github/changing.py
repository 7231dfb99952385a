"""Updating, reopening and closing an issue, as people left it a moment ago."""

from __future__ import annotations

from pydantic import JsonValue

from hokusai_probe.github.outcome import Outcome, outcome
from hokusai_probe.github.patience import UnavailableError
from hokusai_probe.github.replies import Issue, RefusedError
from hokusai_probe.github.work import Beside, UnfitError, Work, hands_off
from hokusai_probe.issues import Action


def change_issue(work: Work, action: Action) -> Outcome:
    """Do to an issue what was planned, unless people decided otherwise since. Raises GitHubError."""
    if action.number is None:
        msg = f"the plan does not say which issue to {action.kind}"
        raise UnfitError(msg)
    try:
        issue = work.repository.issue(action.number)
        left = _left(work, action, issue)
        return outcome(action, "left", left) if left else _changed(work, action, issue)
    except RefusedError as error:
        if error.why == "locked":
            return outcome(action, "left", f"somebody locked #{action.number}")
        if error.why in {"gone", "moved"}:
            return outcome(
                action, "left", f"#{action.number} was deleted or moved; the next run plans without it"
            )
        raise


def _left(work: Work, action: Action, issue: Issue) -> str:
    """Why it is not touched; empty where it is."""
    if not work.is_ours(issue, action.key):
        return f"#{issue.number} is not ours (any more): its first line or its author is another"
    if hands_off(issue):
        return hands_off(issue)
    if action.kind == "reopen":
        return _not_reopened(issue)
    if issue.state == "closed":
        return f"#{issue.number} was closed in the meantime"
    return ""


def _not_reopened(issue: Issue) -> str:
    if issue.state == "open":
        return f"#{issue.number} is open again already"
    if issue.state_reason == "not_planned":
        return f"somebody closed #{issue.number} as not planned"
    return ""


def _changed(work: Work, action: Action, issue: Issue) -> Outcome:
    changes = _changes(action, issue)
    after = work.repository.edit(issue.number, changes) if changes else issue
    if after.number != issue.number or after.state != changes.get("state", issue.state):
        msg = f"GitHub says that #{issue.number} was changed, and shows it as before"
        raise UnavailableError(msg)
    beside = Beside(work.repository)
    beside.label(issue, action.labels, action.labels_gone)
    beside.comment(issue, action.comment)
    beside.assign(issue, action.assignees)
    if beside.troubles and not changes:
        raise beside.troubles[0]
    said = {"update": "brought up to date", "reopen": "reopened", "close": "closed"}
    return outcome(action, "done", said[action.kind], beside.notes)


def _changes(action: Action, issue: Issue) -> dict[str, JsonValue]:
    """What one request sets: title, text and state change together or not at all."""
    found: dict[str, JsonValue] = {}
    if action.title and action.title != issue.title:
        found["title"] = action.title
    if action.body and action.body.splitlines() != (issue.body or "").splitlines():
        found["body"] = action.body
    if action.kind == "close":
        found |= {"state": "closed", "state_reason": action.state_reason or "completed"}
    if action.kind == "reopen":
        found |= {"state": "open", "state_reason": "reopened"}
    return found
