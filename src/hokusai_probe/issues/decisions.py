"""What should become of the issues, given what runs found and which issues there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hokusai_probe.config import interval
from hokusai_probe.history.index import Seen
from hokusai_probe.issues.body import _body, _labels, _title
from hokusai_probe.issues.known import BOT, MUTE_LABEL, Action, ActionKind, KnownIssue, key_of
from hokusai_probe.issues.needs import Need, _target_key, needs
from hokusai_probe.model import Report
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import plural

REOPEN_WITHIN = timedelta(hours=72)

_SINCE = re.compile(r"^Seen since (\d{4}-[01]\d-[0-3]\d [0-2]\d:[0-5]\d) UTC\.", re.MULTILINE)


def plan(
    reports: Sequence[Report],
    history: Mapping[str, Sequence[Seen]] | None = None,
    known: Sequence[KnownIssue] = (),
    *,
    repository: str = "",
    author: str = BOT,
) -> tuple[Action, ...]:
    """One action for each component that must act, and one for each other open issue of ours.

    ``reports`` are the newest: of several targets, and of all runs since the last time that a plan was
    carried out. ``history``: the earlier runs of each target, by its name, the earliest first. ``known``: the
    issues of ``repository``; only those that ``author`` or ``[issues] also_ours`` wrote count, whatever
    marker a stranger's may carry.
    """
    del history  # read from the next commit on
    actions: list[Action] = []
    for target in dict.fromkeys(r.target for r in reports):
        runs = sorted((r for r in reports if r.target == target), key=lambda r: r.started_at)
        actions += _plan_target(runs, known, repository, author)
    return tuple(actions)


def _plan_target(
    runs: Sequence[Report], known: Sequence[KnownIssue], repository: str, author: str
) -> list[Action]:
    latest = runs[-1]
    wanted = needs(latest)
    authors = {author, *latest.configuration.issues.also_ours}
    ours = [i for i in known if i.author in authors and _belongs(i, latest)]
    actions: list[Action] = []
    for need in wanted:
        where = answer.owner(latest, need.component).repository or repository
        same = [i for i in ours if key_of(i.body) == need.key and i.repository in {"", where}]
        actions += _decide(runs, need, _written(runs, need, where, same), same)
    keys = {need.key for need in wanted}
    return actions + [_at_rest(i) for i in ours if i.state == "open" and key_of(i.body) not in keys]


def _belongs(issue: KnownIssue, report: Report) -> bool:
    key = key_of(issue.body)
    return key is not None and key.startswith(f"{_target_key(report)}/")


def _written(runs: Sequence[Report], need: Need, repository: str, same: Iterable[KnownIssue]) -> Action:
    latest = runs[-1]
    return Action(
        kind="open",
        key=need.key,
        component=need.component,
        title=_title(latest, need),
        body=_body(latest, need, _since(runs, need.key, same)),
        labels=_labels(latest.configuration.issues, need),
        reason="",
        repository=repository,
    )


def _since(runs: Sequence[Report], key: str, same: Iterable[KnownIssue]) -> datetime:
    """When it was first seen, as the runs or an issue that is still open remember it."""
    said = [_SINCE.search(i.body) for i in same if i.state == "open"]
    told = [datetime.strptime(m.group(1), "%Y-%m-%d %H:%M").replace(tzinfo=UTC) for m in said if m]
    return min([_streak(runs, key)[-1].started_at, *told])


def _streak(runs: Sequence[Report], key: str) -> tuple[Report, ...]:
    """The newest runs in a row that all need this issue, newest first; never empty for the newest's own."""
    found: list[Report] = []
    for run in reversed(runs):
        if found and key not in {n.key for n in needs(run)}:
            break
        found.append(run)
    return tuple(found)


def _decide(runs: Sequence[Report], need: Need, written: Action, same: Sequence[KnownIssue]) -> list[Action]:
    still_open = sorted((i for i in same if i.state == "open"), key=lambda i: i.number)
    if still_open:
        first, *doubles = still_open
        return [_about_open(runs[-1], need, written, first), *(_double(i, first) for i in doubles)]
    held = _held_back(runs, need)
    if held:
        return [_as(written, "leave", held)]
    seen, needed = len(_streak(runs, need.key)), runs[-1].configuration.issues.confirm_runs
    if seen < needed:
        waiting = _as(written, "leave", f"seen in {seen} of {needed} runs needed")
        return [waiting.model_copy(update={"wants_runs": needed - seen})]
    return [_about_closed(runs[-1], written, max(same, key=lambda i: i.number, default=None))]


def _as(written: Action, kind: ActionKind, reason: str, number: int | None = None) -> Action:
    return written.model_copy(update={"kind": kind, "reason": reason, "number": number})


def _about_open(latest: Report, need: Need, written: Action, issue: KnownIssue) -> Action:
    hands_off = _hands_off(issue) or _unfit(latest, need)
    if hands_off:
        return _as(written, "leave", hands_off, issue.number)
    wanted = (written.title, _lines(written.body), set(written.labels))
    if wanted == (issue.title, _lines(issue.body), set(written.labels) & set(issue.labels)):
        return _as(written, "leave", "it says so already", issue.number)
    return _as(written, "update", "what it says is no longer all that is known", issue.number)


def _lines(body: str) -> list[str]:
    return body.strip().splitlines()


def _hands_off(issue: KnownIssue) -> str:
    if issue.locked:
        return f"somebody locked #{issue.number}"
    return f"#{issue.number} is labelled {MUTE_LABEL}" if MUTE_LABEL in issue.labels else ""


def _unfit(latest: Report, need: Need) -> str:
    """Why this run may not change what an issue says."""
    if need.muted:
        return need.muted
    if latest.interrupted:
        return "the run was interrupted, so it does not know all"
    if not need.roots and not need.checks:
        return (
            f"{plural(need.withheld, 'sensitive cause')} must not be written here: tell the owner in person"
        )
    return ""


def _held_back(runs: Sequence[Report], need: Need) -> str:
    latest, settings = runs[-1], runs[-1].configuration.issues
    if _unfit(latest, need):
        return _unfit(latest, need)
    if any(_within(window, latest.started_at) for window in settings.maintenance):
        return "the run was made during announced maintenance"
    return ""


def _within(window: str, when: datetime) -> bool:
    start, end = interval(window)
    return start <= when <= end


def _about_closed(latest: Report, written: Action, issue: KnownIssue | None) -> Action:
    if issue is None:
        return _as(written, "open", "no open issue says so")
    if issue.state_reason == "not_planned" or _hands_off(issue):
        why = _hands_off(issue) or f"somebody closed #{issue.number} as not planned"
        return _as(written, "leave", why, issue.number)
    if issue.closed_at is not None and latest.started_at - issue.closed_at <= REOPEN_WITHIN:
        return _as(written, "reopen", f"#{issue.number} was closed and the same is back", issue.number)
    return _as(written, "open", f"no open issue says so; #{issue.number} was closed long ago")


def _double(issue: KnownIssue, first: KnownIssue) -> Action:
    why = _hands_off(issue)
    return _existing(issue, "leave" if why else "close", why or f"the same as #{first.number}")


def _at_rest(issue: KnownIssue) -> Action:
    return _existing(issue, "leave", "nothing of it was seen in this run; one run closes nothing")


def _existing(issue: KnownIssue, kind: ActionKind, reason: str) -> Action:
    return Action(
        kind=kind,
        key=key_of(issue.body) or "",
        component=None,
        title=issue.title,
        body="",
        labels=(),
        reason=reason,
        number=issue.number,
        repository=issue.repository,
    )
