"""A repository's issues, and a platform, both as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

from hokusai_probe.history.index import Point
from hokusai_probe.issues import BOT, Action, KnownIssue
from hokusai_probe.issues.signs import seen
from hokusai_probe.model import Component, Diagnosis, Hosts, Report, Target, Trigger, Verdict
from hokusai_probe.score import score

WHEN = datetime(2026, 1, 5, tzinfo=UTC)
TARGET = Target(name="here", hosts=Hosts(registry="https://registry.example"))
PARTS: Mapping[Component, tuple[str, ...]] = {
    "auth": ("auth", "ecs.auth", "public.auth", "target-group.auth"),
    "gateway": ("gateway", "ecs.gateway", "public.registry", "gateway-to-auth"),
    "mlflow": ("mlflow", "ecs.mlflow", "writes", "pace.search"),
    "site": ("site", "gateway-to-site", "webhook", "site/pages"),
}
"""The components of the platform, each with the hops that its checks test."""
CHECKS = {f"{part}-{n}": (part, hop) for part, hops in PARTS.items() for n, hop in enumerate(hops)}
Look = Literal["whole", "interrupted", "blind"]


def at(hours: float) -> datetime:
    """A time, in hours from the first."""
    return WHEN + timedelta(hours=hours)


def run(
    hours: float,
    down: Iterable[str] = (),
    *,
    flake: str = "",
    look: Look = "whole",
    trigger: Trigger = "schedule",
    target: Target = TARGET,
    left_out: Iterable[str] = (),
) -> Report:
    """What a run finds where components are down, each by its cause, and one check is wrong by chance.

    ``left_out``: checks that the run was not asked for, so that its report does not have them at all.
    """
    verdicts, causes = found(frozenset(down), flake, look, frozenset(left_out))
    return Report.model_construct(
        target=target.name,
        configuration=target,
        trigger=trigger,
        started_at=at(hours),
        duration_s=1.0,
        tool_version="0.1.0",
        expected_interval_s=3600.0,
        interrupted="SIGTERM" if look == "interrupted" else None,
        verdicts=verdicts,
        diagnoses=causes,
        score=score(verdicts),
    )


@cache
def found(
    down: frozenset[str], flake: str, look: Look, left_out: frozenset[str]
) -> tuple[tuple[Verdict, ...], tuple[Diagnosis, ...]]:
    """Verdicts and causes; a check that flakes says the contrary of what is."""
    bad = {check for check, (part, _) in CHECKS.items() if part in down} ^ ({flake} - {""})
    asked = [check for check in CHECKS if check not in left_out]
    verdicts = tuple(_verdict(check, bad=check in bad, look=look) for check in asked)
    seen_of = {CHECKS[check][0] for check in asked}
    causes = tuple(_cause(part) for part in PARTS if part in down & seen_of and look == "whole")
    return verdicts, causes


def _verdict(check: str, *, bad: bool, look: Look) -> Verdict:
    part, hop = CHECKS[check]
    how = {"status": "fail", "reason": "502"} if bad else {"status": "pass"}
    if look == "blind":
        how = {"status": "skip", "skip_kind": "cannot-tell"}
    return Verdict.model_validate(
        {
            "check": check,
            "title": check,
            "area": "proxy",
            "component": part,
            "hop": hop,
            "probe": "look",
            **how,
        }
    )


def _cause(part: Component) -> Diagnosis:
    return Diagnosis(
        cause=f"{part}-down",
        component=part,
        status="present",
        certainty="confirmed",
        because="it does not answer",
        explains=tuple(check for check, (whose, _) in CHECKS.items() if whose == part),
        priority="high",
        effort="minutes",
    )


@dataclass(slots=True)
class Past:
    """A history that keeps equal states once, as an index does."""

    points: list[Point] = field(default_factory=list)
    _states: dict[str, Point] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Keep a run."""
        point = seen(report)
        same = self._states.setdefault(repr(report.verdicts) if report.diagnoses else _what(report), point)
        self.points.append(replace(point, state=same.state))

    def by_target(self) -> dict[str, list[Point]]:
        """As a plan wants it."""
        return {TARGET.name: self.points}


def _what(report: Report) -> str:
    return " ".join(f"{v.check}={v.status}" for v in report.verdicts)


# --- the repository -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Something that GitHub mails to people. A text that is changed mails nobody."""

    number: int
    kind: Literal["open", "reopen", "close", "comment"]
    at: datetime


@dataclass(frozen=True, slots=True)
class World:
    """A repository: its issues by number, and what was mailed."""

    issues: tuple[KnownIssue, ...] = ()
    events: tuple[Event, ...] = ()

    def open(self, key: str) -> list[KnownIssue]:
        """The open issues of ours about one key."""
        first = f"<!-- hokusai-probe: {key} -->"
        return [
            i
            for i in self.issues
            if i.state == "open" and i.author == BOT and i.body.splitlines()[:1] == [first]
        ]

    def after(self, actions: Iterable[Action], now: datetime) -> World:
        """The same when a plan has been carried out, every part of it."""
        world = self
        for action in actions:
            world = world._after(action, now) if action.kind != "leave" else world
        return world

    def _after(self, action: Action, now: datetime) -> World:
        number = action.number or len(self.issues) + 1
        mails: list[Literal["open", "reopen", "close", "comment"]] = ["comment"] if action.comment else []
        if action.kind != "update":
            mails.append(action.kind)  # type: ignore[arg-type]  # the others of it are a plan's kinds
        before = self.issue(number) if action.number else _blank(number, now)
        events = (*self.events, *(Event(number, kind, now) for kind in mails))
        return replace(self, events=events).put(_changed(before, action, now, len(mails)))

    def issue(self, number: int) -> KnownIssue:
        """One issue."""
        return next(i for i in self.issues if i.number == number)

    def put(self, issue: KnownIssue) -> World:
        """The same with one issue as it is now."""
        kept = [i for i in self.issues if i.number != issue.number]
        return replace(self, issues=tuple(sorted([*kept, issue], key=lambda i: i.number)))

    def by_hand(self, number: int, **changed: object) -> World:
        """The same when somebody has done something to an issue."""
        return self.put(self.issue(number).model_copy(update=changed))


def _blank(number: int, now: datetime) -> KnownIssue:
    return KnownIssue(number=number, state="open", title="", body="", author=BOT, created_at=now)


def _changed(issue: KnownIssue, action: Action, now: datetime, mails: int) -> KnownIssue:
    kept = [label for label in issue.labels if label not in {*action.labels, *action.labels_gone}]
    update: dict[str, object] = {
        "title": action.title,
        "body": action.body,
        "labels": (*kept, *action.labels),
        "comments": issue.comments + bool(action.comment) * min(mails, 1),
    }
    if action.kind == "close":
        update |= {"state": "closed", "state_reason": action.state_reason, "closed_at": now, "closed_by": BOT}
    if action.kind == "reopen":
        update |= {"state": "open", "state_reason": "reopened", "closed_at": None, "closed_by": ""}
    return issue.model_copy(update=update)
