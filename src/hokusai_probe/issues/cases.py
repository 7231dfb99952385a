"""What is decided about one key, and about an issue of which the newest run found nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from hokusai_probe.history.index import Seen
from hokusai_probe.history.questions import Outage
from hokusai_probe.issues import body, closing
from hokusai_probe.issues.known import (
    CAUSE_LABEL,
    FLAPPING_LABEL,
    MOST_COMMENTS,
    MUTE_LABEL,
    About,
    Action,
    ActionKind,
    KnownIssue,
    Told,
    has_label,
    key_of,
    same_repository,
    told,
)
from hokusai_probe.issues.needs import Need, about
from hokusai_probe.issues.standing import Standing, is_down, well_in_a_row
from hokusai_probe.model import Component, IssueSettings, Report
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import plural

REOPEN_WITHIN = timedelta(hours=closing.REOPEN_HOURS)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """What is known of one target.

    ``newest``: the newest report that counts, else the newest. ``why_not``: why none of them counts, empty
    where one does. ``runs``: those that count, in order. ``authors``: the logins that are ours.
    """

    newest: Report
    why_not: str
    runs: Sequence[Seen]
    standings: Mapping[str, Standing]
    repository: str
    authors: frozenset[str]
    run_url: str

    @property
    def settings(self) -> IssueSettings:
        """The settings of the newest report."""
        return self.newest.configuration.issues

    def place(self, issue: KnownIssue) -> str:
        """The repository that an issue is in."""
        return issue.repository or self.repository

    def standing(self, key: str) -> Standing:
        """How it stands under a key; that of nothing where no run found anything."""
        return self.standings.get(key) or Standing(self.settings)

    def is_due(self, key: str) -> bool:
        """Whether an issue ought to be open, as the runs say."""
        standing = self.standing(key)
        return standing.confirmed and not standing.over

    def is_by_hand(self, issue: KnownIssue) -> bool:
        """Whether an issue was closed by somebody else: what we close says of itself that it is over."""
        closer = issue.closed_by.casefold()
        closed_by_us = closer in {"", *self.authors} and issue.state_reason in {None, "completed"}
        return told(issue.body).kind == "failing" or not closed_by_us or _is_muted(issue)

    def is_quiet(self, issue: KnownIssue, key: str) -> bool:
        """Whether somebody closed it while it failed, and it has not been seen well since."""
        standing = self.standing(key)
        if issue.state == "open" or not self.is_by_hand(issue):
            return False
        turned, closed = standing.turned, issue.closed_at
        return standing.well_before is None or turned is None or closed is None or turned <= closed

    # --- issues of which the newest run found nothing -------------------------------------------------

    def at_rest(self, issue: KnownIssue) -> Action:
        """Closed when all that it was about was well in as many runs as it takes; else left, and why."""
        key = key_of(issue.body) or ""
        outage, goods = self.standing(key).outage(), self._goods(issue)
        why = self._stays(issue, goods)
        if why:
            return self._existing(issue, "leave", why)
        said = closing.over(self.newest, key, issue, outage, goods)
        closed = self._existing(issue, "close", f"it passed in {plural(goods, 'run')} in a row")
        silent = told(issue.body).said or issue.comments >= MOST_COMMENTS
        comment = "" if silent else closing.is_over(outage, goods)
        gone = tuple(label for label in issue.labels if label.casefold() == FLAPPING_LABEL)
        return closed.model_copy(update={"body": said, "comment": comment, "labels_gone": gone})

    def double(self, issue: KnownIssue, first: KnownIssue) -> Action:
        """Closed in favour of another one about the same."""
        if why := hands_off(issue):
            return self._existing(issue, "leave", why)
        here = same_repository(self.place(issue), self.place(first))
        name = f"#{first.number}" if here else f"{self.place(first)}#{first.number}"
        closed = self._existing(issue, "close", f"the same as {name}")
        said = closing.duplicate(closed.key, issue, name)
        return closed.model_copy(update={"body": said, "comment": closing.is_the_same(name)})

    def _goods(self, issue: KnownIssue) -> int:
        """How many runs in a row found all well that it was about, as the runs know it and as it does itself.

        The reports at hand need not know the checks that it is about, and a history may have lost its runs.
        """
        standing = self.standings.get(key_of(issue.body) or "")
        kept = told(issue.body).about
        if standing is not None and not kept.anything:
            return standing.goods
        goods = well_in_a_row(self.runs, kept if kept.anything else _labelled(issue))
        return goods if standing is None else min(goods, standing.goods)

    def _stays(self, issue: KnownIssue, goods: int) -> str:
        """Why an issue stays as it is, empty where it is over."""
        needed, standing = self.settings.close_runs, self.standing(key_of(issue.body) or "")
        if why := hands_off(issue) or self.why_not:
            return why
        if told(issue.body).kind == "over":
            return f"somebody reopened #{issue.number}: it is left until it is seen failing"
        if standing.now == "bad":
            return "it still fails, and is not told of: it is muted, or behind something that fails before it"
        if not (told(issue.body).about.anything or standing.bad_runs or _labelled(issue).anything):
            return "no run is kept that tells what it was about, and neither does it: a person closes it"
        if goods < needed:
            return f"it passed in {goods} of {needed} runs needed; what a run does not see is not over"
        flapping = has_label(issue.labels, FLAPPING_LABEL) or told(issue.body).flapping
        if flapping and not standing.is_calm(self.newest.started_at):
            return "it comes and goes: it stays open until it has been well for a day"
        return ""

    def _existing(self, issue: KnownIssue, kind: ActionKind, reason: str) -> Action:
        key = key_of(issue.body) or ""
        return Action(
            kind=kind,
            key=key,
            component=next((c for c in get_args(Component) if c in key.split("/")[1:2]), None),
            title=issue.title,
            body="",
            labels=(),
            reason=reason,
            state_reason="completed" if kind == "close" else None,
            number=issue.number,
            repository=self.place(issue),
        )


def _labelled(issue: KnownIssue) -> About:
    """The causes of an issue that keeps no more than its labels: something must speak against each."""
    named = (label[len(CAUSE_LABEL) :].lower() for label in issue.labels if _is_of_a_cause(label))
    return About(causes={cause: frozenset() for cause in named})


def hands_off(issue: KnownIssue) -> str:
    """Why nobody but people may touch an issue, empty where we may."""
    if issue.locked:
        return f"somebody locked #{issue.number}"
    return f"#{issue.number} is labelled {MUTE_LABEL}" if _is_muted(issue) else ""


def _is_muted(issue: KnownIssue) -> bool:
    return has_label(issue.labels, MUTE_LABEL)


@dataclass(frozen=True, slots=True)
class Case:
    """One key: what is needed, as a report says, and the issues about it.

    ``open``: where they belong, the lowest number first. ``elsewhere``: open in another repository.
    ``closed``: where they belong, the latest closed last, without duplicates.
    """

    desk: Desk
    report: Report
    need: Need
    open: tuple[KnownIssue, ...]
    elsewhere: tuple[KnownIssue, ...]
    closed: tuple[KnownIssue, ...]

    @classmethod
    def of(cls, desk: Desk, report: Report, need: Need, ours: Iterable[KnownIssue]) -> Case:
        """From the issues of a target."""
        same = sorted((i for i in ours if key_of(i.body) == need.key), key=lambda i: i.number)
        here = [i for i in same if same_repository(desk.place(i), need.repository)]
        closed = [i for i in here if i.state == "closed" and told(i.body).kind != "duplicate"]
        return cls(
            desk=desk,
            report=report,
            need=need,
            open=tuple(i for i in here if i.state == "open"),
            elsewhere=tuple(i for i in same if i not in here and i.state == "open"),
            closed=tuple(sorted(closed, key=lambda i: (i.closed_at or _LONG_AGO, i.number))),
        )

    def actions(self) -> list[Action]:
        """What to do about the issue, and about others that are about the same."""
        if not self.open:
            return [self._without_one()]
        first, *doubles = self.open
        doubles += self.elsewhere
        return [self._about_open(first), *(self.desk.double(issue, first) for issue in doubles)]

    # --- an issue is open -----------------------------------------------------------------------------

    def _about_open(self, issue: KnownIssue) -> Action:
        if quiet := next((i for i in self.closed if self._covers(i, issue)), None):
            return self.desk.double(issue, quiet)
        comment = self._changes_of_state(issue) if issue.comments < MOST_COMMENTS else ""
        written = self._written(issue, said=bool(comment) or told(issue.body).said)
        written = written.model_copy(update={"labels": self._labels(issue, written)})
        if why := hands_off(issue) or self._unfit():
            resting = self.desk.at_rest(issue)  # what may not be told must not keep open what is over
            return resting if resting.kind == "close" else _as(written, "leave", why)
        kept = {f"{CAUSE_LABEL}{cause}" for cause in self._unseen(_failing(issue)).causes}
        gone = tuple(label for label in _gone(issue, written) if not has_label(kept, label))
        same = (issue.title, _lines(issue.body)) == (written.title, _lines(written.body))
        if same and not comment and not gone and all(has_label(issue.labels, la) for la in written.labels):
            return _as(written, "leave", "it says so already")
        why = "what it says is no longer all that is known"
        return _as(written, "update", why).model_copy(update={"comment": comment, "labels_gone": gone})

    def _labels(self, issue: KnownIssue, written: Action) -> tuple[str, ...]:
        """Those that it should have, less those that it had and somebody took off."""
        before = _failing(issue)
        if before is None or not before.about.anything:
            return written.labels
        had = {*self.desk.settings.labels, *(f"{CAUSE_LABEL}{cause}" for cause in before.about.causes)}
        had |= {FLAPPING_LABEL} if before.flapping else set()
        return tuple(la for la in written.labels if has_label(issue.labels, la) or not has_label(had, la))

    def _covers(self, closed: KnownIssue, issue: KnownIssue) -> bool:
        """Whether somebody closed an older issue about the same when this one was there already.

        Not where they closed it as the double of another, or reopened this one: then this one is meant.
        """
        if "duplicate" in {closed.state_reason, told(closed.body).kind} or issue.state_reason == "reopened":
            return False
        born, gone = issue.created_at, closed.closed_at
        earlier = born is not None and gone is not None and born <= gone and closed.number < issue.number
        return earlier and self.desk.is_quiet(closed, self.need.key)

    def _changes_of_state(self, issue: KnownIssue) -> str:
        """What is to be said beside a text that changes, empty where its state is what was told."""
        before, now = told(issue.body), self._told(issue)
        if before.kind != "failing":
            return closing.is_back(self.report, self.need)
        worse = now.down and not before.down
        coming = now.flapping and not before.flapping
        said = [closing.is_worse(self.report, self.need)] if worse else []
        return "\n\n".join([*said, *([closing.comes_and_goes()] if coming else [])])

    # --- none is open ---------------------------------------------------------------------------------

    def _without_one(self) -> Action:
        written = self._written(None)
        latest = self.closed[-1] if self.closed else None
        if why := self._unfit():
            return _as(written, "leave", why)
        if latest is not None and self.desk.is_quiet(latest, self.need.key):
            why = f"somebody closed #{latest.number} while it failed: left until it has passed once"
            return _as(written, "leave", why).model_copy(update={"number": latest.number})
        by_hand = latest is not None and self.desk.is_by_hand(latest)
        if not self.desk.is_due(self.need.key) or (by_hand and not self._standing.anew):
            return self._waits(written)
        return self._again(written, latest) if latest is not None else self._open(written, "no issue says so")

    def _waits(self, written: Action) -> Action:
        seen, needed = self._standing.seen, self.desk.settings.confirm_runs
        waiting = _as(written, "leave", f"the same was seen in {seen} of {needed} runs needed")
        return waiting.model_copy(update={"wants_runs": max(needed - seen, 1)})

    def _again(self, written: Action, latest: KnownIssue) -> Action:
        lately = latest.closed_at is not None and self.report.started_at - latest.closed_at <= REOPEN_WITHIN
        if self.desk.is_by_hand(latest) or latest.locked or not lately:
            return self._open(written, f"no open issue says so; #{latest.number} is closed for good")
        comment = closing.is_back(self.report, self.need) if latest.comments < MOST_COMMENTS else ""
        again = self._written(latest, said=bool(comment))
        why = f"#{latest.number} is over, and the same is back"
        update = {"comment": comment, "labels_gone": _gone(latest, written)}
        return _as(again, "reopen", why).model_copy(update=update)

    def _open(self, written: Action, reason: str) -> Action:
        """A person who owns it is given it; a team cannot be."""
        handle = answer.owner(self.report, self.need.component).github
        given = (handle,) if handle and "/" not in handle else ()
        return _as(written, "open", reason).model_copy(update={"assignees": given})

    # --- what is written ------------------------------------------------------------------------------

    @property
    def _standing(self) -> Standing:
        return self.desk.standing(self.need.key)

    def _unfit(self) -> str:
        """Why the runs may not change what an issue says."""
        if self.need.muted or self.desk.why_not:
            return self.need.muted or self.desk.why_not
        if not self.need.roots and not self.need.checks:
            causes = plural(self.need.withheld, "sensitive cause")
            return f"{causes} must not be written here: tell the owner in person"
        return ""

    def _written(self, issue: KnownIssue | None, *, said: bool = False) -> Action:
        story = self._story(issue, said=said)
        return Action(
            kind="leave",
            key=self.need.key,
            component=self.need.component,
            title=body.title(self.report, self.need),
            body=body.body(self.report, self.need, story),
            labels=body.labels(self.desk.settings, self.need, flapping=story.told.flapping),
            reason="",
            number=issue.number if issue else None,
            repository=self.need.repository,
        )

    def _story(self, issue: KnownIssue | None, *, said: bool) -> body.Story:
        older = (i.number for i in self.closed if issue is None or i.number < issue.number)
        return body.Story(
            told=self._told(issue).model_copy(update={"said": said}),
            outage=self._outage(issue),
            before=max(older, default=None),
            earlier=self._earlier(issue),
            unseen=self._unseen(_failing(issue)),
            changed=body.changed_in(issue.body) if issue and issue.state == "open" else "",
            run_url=self.desk.run_url,
        )

    def _told(self, issue: KnownIssue | None) -> Told:
        """What the issue is to say of itself. That nobody is served is said once, so it is remembered."""
        outage, before = self._outage(issue), _failing(issue)
        now = self.desk.newest.started_at
        times = self.desk.settings.confirm_runs if before else 1
        was_flapping = before is not None and before.flapping and not self._standing.is_calm(now)
        return Told(
            kind="failing",
            since=outage.first_bad if outage else self.report.started_at,
            good=outage.good_before if outage else None,
            down=(before is not None and before.down) or is_down(self.desk.runs, self.need.component, times),
            flapping=was_flapping or self._standing.flaps(now),
            about=self._about(before),
        )

    def _unseen(self, before: Told | None) -> About:
        """What it is about and the report does not show, and nothing spoke against since it was seen last."""
        if before is None:
            return About()
        now, held = about(self.report, self.need), before.about
        gone = now.all_checks | self.need.hidden(self.report)
        causes = {c: of for c, of in held.causes.items() if c not in now.causes}
        open_causes = {c: of for c, of in causes.items() if self._is_open(About(causes={c: of}))}
        checks = (c for c in held.checks - gone if self._is_open(About(checks=frozenset({c}))))
        return About(causes=open_causes, checks=frozenset(checks))

    def _is_open(self, part: About) -> bool:
        return well_in_a_row(self.desk.runs, part) == 0

    def _about(self, before: Told | None) -> About:
        found = about(self.report, self.need)
        return before.about.joined(found) if before else found

    def grows(self) -> bool:
        """Whether the report tells of something that the open issue does not remember yet."""
        before = _failing(self.open[0])
        return before is not None and self._about(before) != before.about

    def _outage(self, issue: KnownIssue | None) -> Outage | None:
        """Since when, as the runs say, or the issue itself where it remembers more than they do."""
        outage, before = self._standing.outage(), _failing(issue)
        if outage is None or before is None or before.since is None or before.since >= outage.first_bad:
            return outage
        return outage.model_copy(update={"first_bad": before.since, "good_before": before.good})

    def _earlier(self, issue: KnownIssue | None) -> frozenset[str]:
        """Checks that a cause explained which the issue names in public already."""
        named = issue.labels if issue else ()
        causes = self._standing.causes.items()
        told_of = (checks for cause, checks in causes if has_label(named, f"{CAUSE_LABEL}{cause}"))
        return frozenset().union(*told_of)


def _failing(issue: KnownIssue | None) -> Told | None:
    """What an open issue that fails says of itself; None for any other."""
    if issue is None or issue.state == "closed" or told(issue.body).kind != "failing":
        return None
    return told(issue.body)


def _gone(issue: KnownIssue, written: Action) -> tuple[str, ...]:
    """Labels of ours that no longer hold."""
    ours = (la for la in issue.labels if la.casefold() == FLAPPING_LABEL or _is_of_a_cause(la))
    return tuple(label for label in ours if not has_label(written.labels, label))


def _is_of_a_cause(label: str) -> bool:
    return label.casefold().startswith(CAUSE_LABEL)


def _lines(said: str) -> list[str]:
    return said.strip().splitlines()


def _as(written: Action, kind: ActionKind, reason: str) -> Action:
    return written.model_copy(update={"kind": kind, "reason": reason})
