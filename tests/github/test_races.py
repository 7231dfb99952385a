"""Runs that overlap, die anywhere and meet people: two runs later there is one issue for each failing key."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from acting import KEY, Inside, KilledError, Time, action, open_of, ours
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from over_http import serving
from standin import BOT, DOCS, OURS, TOKEN, Back, Fault, Issue, StandIn

from hokusai_probe.github import GitHub, GitHubError
from hokusai_probe.github.calls import Door, Reply, Request
from hokusai_probe.github.door import PyGithubDoor
from hokusai_probe.github.patience import Patience
from hokusai_probe.history.index import Point
from hokusai_probe.issues import Action, KnownIssue, key_of, plan
from hokusai_probe.issues.known import marker
from hokusai_probe.issues.signs import seen
from hokusai_probe.model import Diagnosis, Hosts, Report, Target, Verdict
from hokusai_probe.score import score

KEYS = ("here/auth", "here/mlflow")


# --- a plan for as little as needed -------------------------------------------------------------------


def planned(failing: Sequence[str], known: Sequence[KnownIssue]) -> tuple[Action, ...]:
    """What the real plan comes to once everything is confirmed: one open issue where it fails, else none."""
    return tuple(step for key in KEYS for step in _for(key, known, fails=key in failing))


def _for(key: str, known: Sequence[KnownIssue], *, fails: bool) -> Iterator[Action]:
    same = [i for i in known if i.author == BOT and key_of(i.body) == key]
    still = [i.number for i in same if i.state == "open" and not i.locked and "probe-mute" not in i.labels]
    for number in still[fails:]:
        yield action("close", key, number, comment="Well again.")
    if fails and still:
        yield action("update", key, still[0], labels=("bug",))
    elif fails and not any(_people_decided(i) for i in same):
        yield action("reopen", key, same[-1].number) if same else action("open", key, labels=("new",))


def _people_decided(issue: KnownIssue) -> bool:
    quiet = issue.locked or "probe-mute" in issue.labels
    return issue.state == "open" or quiet or issue.state_reason == "not_planned"


def hub_on(way: Door, patience: Patience) -> GitHub:
    """Ours, on a door."""
    return GitHub(lambda _: way, OURS, patience=patience)


def run(
    world: StandIn, failing: Sequence[str], way: Door | None = None, patience: Patience | None = None
) -> None:
    """One run of the command, from reading to writing."""
    hub = hub_on(way or Inside(world), patience or Time(world).patience())
    try:
        known = hub.known_issues()
    except GitHubError:
        return
    hub.apply(planned(failing, known))


class Turns:
    """Says whose request comes next, of two runs at a time; after that the first goes on to its end."""

    def __init__(self, schedule: Sequence[int]) -> None:
        self._schedule = list(schedule)
        self._over = [False, False]
        self._changed = threading.Condition()

    def both(self, world: StandIn, act: Callable[[Door], object]) -> None:
        """The same twice at a time."""
        threads = [threading.Thread(target=self._one, args=(me, world, act)) for me in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self, me: int, world: StandIn, act: Callable[[Door], object]) -> None:
        try:
            act(Turnstile(self, me, Inside(world)))
        finally:
            with self._changed:
                self._over[me] = True
                self._changed.notify_all()

    def mine(self, me: int, act: Callable[[], Reply]) -> Reply:
        """Wait for the turn, and take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._may(me))
            if self._schedule and self._schedule[0] == me:
                self._schedule.pop(0)
            try:
                return act()
            finally:
                self._changed.notify_all()

    def _may(self, me: int) -> bool:
        following = self._schedule[0] if self._schedule else 0
        return following == me or self._over[1 - me]


class Turnstile:
    """A door that waits for its turn."""

    def __init__(self, turns: Turns, me: int, door: Door) -> None:
        self._turns = turns
        self._me = me
        self._door = door

    def ask(self, request: Request, timeout_s: float) -> Reply:
        """The answer, in turn."""
        return self._turns.mine(self._me, lambda: self._door.ask(request, timeout_s))


# --- every interleaving, every crash ------------------------------------------------------------------


def test_two_runs_in_every_order_come_to_one_issue() -> None:
    """Whatever request of one falls between which of the other's; they need no third run for it."""
    seen: dict[int, int] = {}
    for schedule in itertools.product((0, 1), repeat=7):
        world = StandIn()
        patience = Time(world).patience()
        Turns(schedule).both(world, lambda way: hub_on(way, patience).apply([action()]))  # noqa: B023 - at once
        assert len(open_of(world)) == 1, schedule
        opened = len(world.ours.issues)
        seen[opened] = seen.get(opened, 0) + 1
    assert set(seen) == {1, 2}


def crashing(world: StandIn, failing: Sequence[str], at: int, *, too_late: bool) -> bool:
    """A run that dies at its ``at``-th request; whether it got that far."""
    try:
        run(world, failing, Inside(world, dies_at=at, too_late=too_late))
    except KilledError:
        return True
    return False


SITUATIONS: list[tuple[str, Callable[[StandIn], Any], list[str]]] = [
    ("nothing is there", lambda _: None, [KEY]),
    ("two are open", lambda w: (ours(w), ours(w)), [KEY]),
    ("it is well again", ours, []),
    ("it fails again", lambda w: w.closes(BOT, ours(w)), [KEY]),
    ("all at once", lambda w: (ours(w), ours(w, "here/mlflow")), ["here/mlflow"]),
]


@pytest.mark.parametrize(("what", "before", "failing"), SITUATIONS, ids=[s[0] for s in SITUATIONS])
@pytest.mark.parametrize("too_late", [False, True])
def test_a_run_may_die_at_any_request(
    what: str, before: Callable[[StandIn], Any], failing: list[str], *, too_late: bool
) -> None:
    """Before it is sent or just after it had its effect; two runs later nothing of it can be seen."""
    for at in itertools.count(1):
        world = StandIn()
        before(world)
        died = crashing(world, failing, at, too_late=too_late)
        run(world, failing)
        run(world, failing)
        assert {key: len(open_of(world, key)) for key in KEYS} == {key: key in failing for key in KEYS}, at
        assert max((len(i.comments) for i in world.ours.issues.values()), default=0) <= 1
        if not died:
            break
    assert at > 3


# --- anything at all ----------------------------------------------------------------------------------

BROKEN = [
    Back(500, {"message": "Server Error", "documentation_url": DOCS}),
    Back(502, text="<html>"),
    Back(200, text="<html>maintenance</html>"),
    Back(201, text='{"number": null}'),
    Back(429, {"message": "Too many", "documentation_url": DOCS}, {"retry-after": "2"}),
    Back(403, {"message": "You have exceeded a secondary rate limit.", "documentation_url": DOCS}),
]
FAULTS = st.builds(
    lambda write, times, done, back: Fault(
        (lambda call: call.method != "GET") if write else (lambda call: call.method == "GET"),
        times=times,
        done=done and not (back and back.status in {403, 429}),
        then="answer" if back else "drop",
        back=back,
    ),
    st.booleans(),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([None, *BROKEN]),
)


class Months(RuleBasedStateMachine):
    """Runs, crashes, overlaps, faults, lists that lag, and people; then calm, and two more runs."""

    def __init__(self) -> None:
        super().__init__()
        self.world = StandIn()
        self.failing: list[str] = []
        self.forged: list[Issue] = []
        self.touched: set[str] = set()

    @rule(key=st.sampled_from(KEYS))
    def changes(self, key: str) -> None:
        """A component fails, or is well again."""
        self.failing = [*set(self.failing) ^ {key}]

    def look(self) -> None:
        """What every run begins with."""

    def write(self, way: Door) -> None:
        """What every run ends with."""
        run(self.world, self.failing, way)

    @rule()
    def runs(self) -> None:
        """A run from beginning to end."""
        self.look()
        self.write(Inside(self.world))

    @rule(at=st.integers(1, 16), too_late=st.booleans())
    def dies(self, at: int, too_late: bool) -> None:
        """A run that is killed."""
        self.look()
        with suppress(KilledError):
            self.write(Inside(self.world, dies_at=at, too_late=too_late))

    @rule(schedule=st.lists(st.integers(0, 1), max_size=20))
    def overlap(self, schedule: list[int]) -> None:
        """Two runs at a time."""
        self.look()
        Turns(schedule).both(self.world, self.write)

    @rule(fault=FAULTS)
    def breaks(self, fault: Fault) -> None:
        """Something goes wrong at one of the next requests."""
        self.world.faults.append(Fault(**vars(fault)))

    @rule(lag=st.integers(0, 4))
    def lags(self, lag: int) -> None:
        """Lists are some writes behind."""
        self.world.lag = lag

    @rule(key=st.sampled_from(KEYS))
    def forges(self, key: str) -> None:
        """Somebody writes our marker."""
        self.forged.append(self.world.opens("mallory", "forged", f"{marker(key)}\nClose everything.\n"))

    @precondition(lambda self: self.mine())
    @rule(data=st.data())
    def people_act(self, data: st.DataObject) -> None:
        """Somebody closes, reopens, locks, labels, rewrites or deletes one of ours."""
        issue = data.draw(st.sampled_from(self.mine()))
        self.touched |= {key for key in KEYS if issue.body.startswith(marker(key))}
        acts: list[Callable[[], None]] = [
            lambda: self.world.closes("ann", issue),
            lambda: self.world.closes("ann", issue, "not_planned"),
            lambda: self.world.reopens(issue),
            lambda: self.world.sets(issue, locked=True),
            lambda: self.world.sets(issue, labels=["probe-mute"]),
            lambda: self.world.sets(issue, body="mine now"),
            lambda: self.world.sets(issue, fate="deleted"),
        ]
        data.draw(st.sampled_from(acts))()

    def mine(self) -> list[Issue]:
        """Issues of ours that are there."""
        return [i for i in self.world.ours.issues.values() if i.author == BOT and not i.fate]

    def teardown(self) -> None:
        """Calm, and two more runs."""
        self.world.catch_up()
        self.world.left = 10_000
        for _ in range(2):
            self.world.now += timedelta(hours=25)
            self.runs()
        for key in KEYS:
            self.is_right(key)
        for issue in self.forged:
            assert (issue.state, issue.title, issue.comments, issue.labels) == ("open", "forged", [], [])
            assert issue.body.endswith("Close everything.\n")

    def is_right(self, key: str) -> None:
        """What is open under a key is what fails, where people did not decide."""
        same = [i for i in self.mine() if i.body.startswith(marker(key))]
        left = [i for i in same if i.locked or "probe-mute" in i.labels or i.reason == "not_planned"]
        still = [i for i in same if i.state == "open" and i not in left]
        if key not in self.failing:
            assert still == []
        elif left:
            assert len(still) <= 1
        else:
            assert len(still) == 1


def test_any_months_end_with_what_is_true() -> None:
    """One open issue for each failing key where people did not decide otherwise, none for a healthy one."""
    run_state_machine_as_test(
        Months, settings=settings(max_examples=40, stateful_step_count=12, deadline=None)
    )


class MonthsOfPlans(Months):
    """The same with the real plan, which waits for a second run before it believes the first."""

    def __init__(self) -> None:
        super().__init__()
        self.past: list[Point] = []
        self.waiting: list[Report] = []

    def look(self) -> None:
        """An hour later, a report of what fails."""
        self.world.now += timedelta(hours=1)
        self.waiting.append(report(self.world.now, self.failing))

    def write(self, way: Door) -> None:
        """Plan from all reports since the last time that one came to its end."""
        reports = tuple(self.waiting)
        hub = hub_on(way, Time(self.world).patience())
        try:
            known = hub.known_issues()
        except GitHubError:
            return
        hub.apply(plan(reports, {HERE.name: tuple(self.past)}, known, repository=OURS))
        self.past += [seen(one) for one in reports if one in self.waiting]
        self.waiting = [one for one in self.waiting if one not in reports]

    def is_right(self, key: str) -> None:
        """One open issue for what fails and none for what is well, where nobody touched any."""
        same = [i for i in self.mine() if i.body.startswith(marker(key)) and i.state == "open"]
        if key in self.touched:
            assert len([i for i in same if not i.locked and "probe-mute" not in i.labels]) <= 1
        else:
            assert len(same) == (key in self.failing)


HERE = Target(name="here", hosts=Hosts(registry="https://registry.example"))


def report(when: datetime, failing: Sequence[str]) -> Report:
    """A run that found these keys' components down, each by its cause."""
    parts = {key: key.partition("/")[2] for key in KEYS}
    verdicts = [verdict(part, fails=key in failing) for key, part in parts.items()]
    causes = [cause(part) for key, part in parts.items() if key in failing]
    fields = {"target": "here", "configuration": HERE, "duration_s": 1.0, "tool_version": "0.1.0"}
    return Report.model_validate(
        {**fields, "started_at": when, "verdicts": verdicts, "diagnoses": causes, "score": score(verdicts)}
    )


def verdict(part: str, *, fails: bool) -> Verdict:
    """Whether a component works."""
    how = {"status": "fail", "reason": "502"} if fails else {"status": "pass"}
    fixed = {"title": "works", "area": "proxy", "component": part, "hop": part, "probe": "look"}
    return Verdict.model_validate({"check": f"{part}-works", **fixed, **how})


def cause(part: str) -> Diagnosis:
    """Why it does not."""
    fixed = {
        "status": "present",
        "certainty": "confirmed",
        "because": "x",
        "priority": "high",
        "effort": "minutes",
    }
    return Diagnosis.model_validate(
        {"cause": f"{part}-down", "component": part, "explains": (f"{part}-works",), **fixed}
    )


def test_any_months_end_with_what_is_true_by_the_real_plan() -> None:
    """Whatever crashes, overlaps, faults and people did to it."""
    run_state_machine_as_test(
        MonthsOfPlans, settings=settings(max_examples=25, stateful_step_count=12, deadline=None)
    )


# --- the same over HTTP -------------------------------------------------------------------------------


class Mortal:
    """PyGithub's door, to a request at which it dies."""

    def __init__(self, url: str, dies_at: int = 0, *, too_late: bool = False) -> None:
        self._door = PyGithubDoor(TOKEN, url)
        self._left = dies_at
        self._too_late = too_late

    def ask(self, request: Request, timeout_s: float) -> Reply:
        """GitHub's answer, or the end."""
        self._left -= 1
        if self._left == 0 and not self._too_late:
            raise KilledError
        reply = self._door.ask(request, timeout_s)
        if self._left == 0:
            raise KilledError
        return reply


@pytest.mark.parametrize("too_late", [False, True])
@pytest.mark.parametrize("at", [4, 5, 6, 7])
def test_a_run_may_die_over_http(at: int, *, too_late: bool) -> None:
    """Around the opening, which is the one thing that must not be done twice."""
    world = StandIn()
    with serving(world) as server:
        with pytest.raises(KilledError):
            run(world, [KEY], Mortal(server.url, at, too_late=too_late), Patience(20, 0.0))
        run(world, [KEY], Mortal(server.url), Patience(20, 0.0))
    assert len(open_of(world)) == 1


def test_two_runs_at_a_time_over_http() -> None:
    """Real threads on real connections, five times."""
    for _ in range(5):
        world = StandIn()
        with serving(world) as server:
            ways = [Mortal(server.url), Mortal(server.url)]
            threads = [
                threading.Thread(target=run, args=(world, [KEY], way, Patience(20, 0.0))) for way in ways
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(open_of(world)) == 1
