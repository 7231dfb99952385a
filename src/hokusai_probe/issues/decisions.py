"""What should become of the issues, given what runs found and which issues there are. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hokusai_probe.history.index import Seen
from hokusai_probe.issues.cases import Case, Desk
from hokusai_probe.issues.known import BOT, Action, KnownIssue, key_of
from hokusai_probe.issues.needs import Telling, needs, prefix
from hokusai_probe.issues.signs import Counting, seen
from hokusai_probe.issues.standing import LOOKED_BACK, standings
from hokusai_probe.model import Report, Target, Verdict

MOST_NEW = 5
"""How many new issues one plan opens; the rest wait for the next run."""
BEFORE_AN_ISSUE = timedelta(days=3)
"""How much older than an open issue the runs may be that it was opened for."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What a plan is made from, beside the reports."""

    history: Mapping[str, Sequence[Seen]]
    known: Sequence[KnownIssue]
    repository: str
    author: str
    run_url: str
    sensitive: Sequence[str]


def plan(
    reports: Sequence[Report],
    history: Mapping[str, Sequence[Seen]] | None = None,
    known: Sequence[KnownIssue] = (),
    *,
    repository: str = "",
    author: str = BOT,
    run_url: str = "",
    sensitive: Sequence[str] = (),
) -> tuple[Action, ...]:
    """One action for each component that must act, and one for each other open issue of ours.

    ``reports`` are the newest: of several targets, and of all runs since the last time that a plan was
    carried out. ``history``: the earlier runs of each target, by its name, the earliest first. ``known``: the
    issues of ``repository`` and of every one that an owner names; only those that ``author`` or
    ``[issues] also_ours`` wrote count, whatever marker a stranger's may carry. ``run_url``: where the newest
    run can be seen. ``sensitive``: causes to keep from public repositories although no report here says that
    they are sensitive: one of a part of the platform does not know those of others, and a history may.
    """
    given = _Given(history or {}, known, repository, author, run_url, sensitive)
    actions: list[Action] = []
    for target in dict.fromkeys(r.target for r in reports):
        runs = sorted((r for r in reports if r.target == target), key=lambda r: r.started_at)
        actions += _of_target(runs, given)
    return tuple(_capped(actions))


def _of_target(reports: Sequence[Report], given: _Given) -> Iterator[Action]:
    """The actions of one target: what the newest report needs, what earlier ones left due, the rest."""
    listed = [i for i in given.known if _is_ours(i, reports[-1], given.author)]
    ours = [*{_id(i.repository or given.repository, i.number): i for i in reversed(listed)}.values()]
    desk, counted = _desk(reports, ours, given)
    texts = {need.key: (report, need) for report in counted for need in needs(report, given.repository)}
    now = [need.key for need in needs(counted[-1], given.repository)]
    taken: set[tuple[str, int]] = set()
    for key in dict.fromkeys([*now, *(k for k in texts if desk.is_due(k))]):
        case = Case.of(desk, *texts[key], ours)
        forgotten = bool(case.open) and case.grows() and not desk.standing(key).over
        if key in now or not case.open or forgotten:
            yield from (found := case.actions())
            taken |= {_id(a.repository, a.number) for a in found if a.number is not None}
    yield from _at_rest(desk, [i for i in ours if _id(desk.place(i), i.number) not in taken])


def _id(repository: str, number: int) -> tuple[str, int]:
    """What tells issues apart; a repository that was read twice, under two spellings, has each but once."""
    return repository.casefold(), number


def _at_rest(desk: Desk, ours: Iterable[KnownIssue]) -> Iterator[Action]:
    """What becomes of open issues of which the newest run found nothing; of doubles the first stays."""
    first: dict[tuple[str, str], KnownIssue] = {}
    for issue in sorted((i for i in ours if i.state == "open"), key=lambda i: i.number):
        kept = first.setdefault((key_of(issue.body) or "", desk.place(issue).casefold()), issue)
        yield desk.at_rest(issue) if kept is issue else desk.double(issue, kept)


def _is_ours(issue: KnownIssue, report: Report, author: str) -> bool:
    key = key_of(issue.body)
    ours = issue.author.casefold() in _logins(author, report.configuration)
    return ours and key is not None and key.startswith(prefix(report.target))


def _logins(author: str, target: Target) -> frozenset[str]:
    """Those that are ours, in small letters: GitHub tells none apart by case."""
    return frozenset(login.casefold() for login in (author, *target.issues.also_ours))


def _desk(reports: Sequence[Report], ours: Iterable[KnownIssue], given: _Given) -> tuple[Desk, list[Report]]:
    """What is known of a target, and the reports that count; where none does, the newest alone."""
    newest, target = reports[-1], reports[-1].configuration
    past = _timeline(reports, given.history.get(newest.target, ()), ours)
    counting = Counting.at(target)
    reasons = {run.started_at: counting.why_not(run) for run in past}
    counted = [report for report in reports if not reasons[report.started_at]]
    runs = [run for run in past if not reasons[run.started_at]]
    telling = Telling.of((counted or [newest])[-1], given.repository, reports, given.sensitive)
    desk = Desk(
        newest=(counted or [newest])[-1],
        why_not="" if counted else reasons[newest.started_at],
        runs=runs,
        standings=standings(runs, telling, _verdicts(reports)),
        repository=given.repository,
        authors=_logins(given.author, target),
        run_url=given.run_url,
    )
    return desk, counted or [newest]


def _timeline(reports: Sequence[Report], earlier: Sequence[Seen], ours: Iterable[KnownIssue]) -> list[Seen]:
    """The runs that matter, in order; a run that is among the reports and in the history is one."""
    newest: dict[object, Seen] = {report.started_at: seen(report) for report in reports}
    begun = [i.created_at - BEFORE_AN_ISSUE for i in ours if i.state == "open" and i.created_at]
    since = min([reports[-1].started_at - LOOKED_BACK, *begun])
    first = bisect_left(earlier, since, key=lambda run: run.started_at)
    kept = [run for run in earlier[first:] if run.started_at not in newest]
    return sorted([*kept, *newest.values()], key=lambda run: run.started_at)


def _verdicts(reports: Iterable[Report]) -> dict[str, Verdict]:
    """What is known of each check: where it failed last, else where it was judged last."""
    found = {v.check: v for report in reports for v in report.verdicts}
    return found | {v.check: v for report in reports for v in report.with_status("fail")}


def _capped(actions: Iterable[Action]) -> Iterator[Action]:
    new = 0
    for action in actions:
        new += action.kind == "open"
        why = f"{MOST_NEW} new issues are enough for one run; the next one opens it"
        late = action.kind == "open" and new > MOST_NEW
        yield action.model_copy(update={"kind": "leave", "reason": why}) if late else action
