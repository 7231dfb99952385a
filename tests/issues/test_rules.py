"""Each rule by which issues are opened, closed, reopened or left, one situation each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from world import BOT, CHECKS, TARGET, Past, World, at, run

from hokusai_probe.history.condense import state_of
from hokusai_probe.history.index import Point
from hokusai_probe.issues import MUTE_LABEL, Action, KnownIssue, plan
from hokusai_probe.issues.known import About, Told, told
from hokusai_probe.issues.needs import Telling, needs
from hokusai_probe.issues.signs import Reader, seen
from hokusai_probe.model import Diagnosis, Mute, Owner, Report, Target

OURS = "here/auth"


def with_issues(**changed: Any) -> Target:
    """The target with other issue settings."""
    return TARGET.model_copy(update={"issues": TARGET.issues.model_copy(update=changed)})


def lived(*reports: Report, world: World | None = None, past: Past | None = None) -> tuple[World, Past]:
    """The repository when each run's plan was carried out, and the history of them."""
    world, past = world or World(), past or Past()
    for report in reports:
        world = world.after(plan([report], past.by_target(), world.issues), report.started_at)
        past.add(report)
    return world, past


def days(*down: str, start: float = 0.0, **more: Any) -> list[Report]:
    """Hourly runs, of which each finds down what is named: nothing, ``auth``, or ``auth mlflow``."""
    return [run(start + n, parts.split(), **more) for n, parts in enumerate(down)]


def brief(actions: Sequence[Action]) -> list[tuple[str, str, int | None, str]]:
    """Kind, key, number and reason of each action."""
    return [(a.kind, a.key, a.number, a.reason) for a in actions]


def mailed(world: World) -> list[tuple[int, str, float]]:
    """What was mailed: the issue, what it was, and in which hour."""
    return [(e.number, e.kind, (e.at - at(0)).total_seconds() / 3600) for e in world.events]


A, OK = "auth", ""
AN_OUTAGE = [(1, "open", 1.0), (1, "comment", 3.0), (1, "close", 3.0)]


# --- confirmed, ruled out -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "mails"),
    [
        ([A, A, OK, OK], AN_OUTAGE),
        ([A, OK, A, OK, OK], []),
        ([A, A, OK, A, OK, OK], [(1, "open", 1.0), (1, "comment", 5.0), (1, "close", 5.0)]),
        ([A, A, OK, OK, OK, OK], AN_OUTAGE),
    ],
)
def test_two_runs_open_and_two_close(what: list[str], mails: list[tuple[int, str, float]]) -> None:
    """Opened at the second run that sees the same, closed at the second in a row that finds it well."""
    assert mailed(lived(*days(*what))[0]) == mails


@pytest.mark.parametrize("look", ["blind", "interrupted"])
def test_a_run_that_could_not_tell_neither_opens_nor_closes(look: Any) -> None:
    """Skips, an interrupted run, a run that judged nothing: passed over, as if there had been none."""
    lame = [run(hour, look=look) for hour in (0.5, 1.5)]
    first, last = days(A, A)
    world, past = lived(first, lame[0], last, lame[1])
    assert mailed(world) == [(1, "open", 1.0)]
    world, past = lived(run(2), *(run(h, look=look) for h in (3, 4, 5)), world=world, past=past)
    assert mailed(world) == [(1, "open", 1.0)]
    assert mailed(lived(run(6), world=world, past=past)[0]) == [
        (1, "open", 1.0),
        (1, "comment", 6.0),
        (1, "close", 6.0),
    ]


def test_what_is_not_named_any_more_is_not_gone() -> None:
    """An undecided cause, and checks that wait or are not looked at, keep an issue open."""
    world, past = lived(*days(A, A))
    well = run(2)
    left = next(v for v in well.verdicts if v.check == "auth-2")
    for changed in ({"status": "skip", "skip_kind": "blocked"}, {"status": "error"}, {"status": "skip"}):
        verdicts = tuple(v.model_copy(update=changed) if v is left else v for v in well.verdicts)
        for hour in (2, 3, 4):
            report = well.model_copy(update={"verdicts": verdicts, "started_at": at(hour)})
            (action,) = plan([report], past.by_target(), world.issues)
            assert action.reason == "it passed in 0 of 2 runs needed; what a run does not see is not over"
    cause = run(0, [A]).diagnoses[0].model_copy(update={"status": "undecided", "certainty": None})
    unsure = [well.model_copy(update={"diagnoses": (cause,), "started_at": at(n)}) for n in (2, 3, 4)]
    assert [a.kind for a in plan(unsure, past.by_target(), world.issues)] == ["leave"]


def without(report: Report, check: str) -> Report:
    """The report, where one check was not looked at."""
    skipped = {"status": "skip", "skip_kind": "cannot-tell"}
    verdicts = (v.model_copy(update=skipped) if v.check == check else v for v in report.verdicts)
    return report.model_copy(update={"verdicts": tuple(verdicts)})


def test_a_check_without_a_cause_must_pass_itself() -> None:
    """Whatever else of its component does."""
    world, past = lived(*(run(n, flake="auth-2") for n in (0, 1)))
    blind = [without(run(n), "auth-2") for n in (2, 3, 4)]
    assert [a.kind for a in plan(blind, past.by_target(), world.issues)] == ["leave"]
    assert [a.kind for a in plan([run(2), run(3)], past.by_target(), world.issues)] == ["close"]


@pytest.mark.parametrize(("denied", "kind"), [(False, "leave"), (True, "close")])
def test_a_cause_from_which_nothing_suffers_must_be_ruled_out(denied: bool, kind: str) -> None:
    """No check can pass in its stead: something must speak against it."""
    cause = run(0, [A]).diagnoses[0].model_copy(update={"explains": ()})
    world, past = lived(*(run(n).model_copy(update={"diagnoses": (cause,)}) for n in (0, 1)))
    gone = (cause.model_copy(update={"status": "ruled_out"}),) if denied else ()
    after = [run(n).model_copy(update={"diagnoses": gone}) for n in (2, 3)]
    assert [a.kind for a in plan(after, past.by_target(), world.issues)] == [kind]


def test_what_no_run_here_judges_keeps_nothing_open() -> None:
    """A cause also explains checks of looks that are not allowed here; only what suffered must pass."""
    down = run(0, [A])
    cause = down.diagnoses[0].model_copy(
        update={"explains": (*down.diagnoses[0].explains, "never-looked-at")}
    )
    reports = [down.model_copy(update={"diagnoses": (cause,), "started_at": at(n)}) for n in (0, 1)]
    assert mailed(lived(*reports, run(2), run(3))[0]) == AN_OUTAGE


def test_an_old_issue_is_about_what_it_was_opened_for() -> None:
    """However long ago: the runs are asked back to those that it was opened after."""
    world, past = lived(*days(A, A))
    late = [without(run(24 * 20 + n), "auth-2") for n in (0, 1, 2)]
    assert [a.kind for a in plan(late, past.by_target(), world.issues)] == ["leave"]
    well = [run(24 * 20 + n) for n in (0, 1)]
    assert [a.kind for a in plan(well, past.by_target(), world.issues)] == ["close"]


def test_other_checks_of_a_component_confirm_each_other_in_twice_as_many_runs() -> None:
    """A flake here and another one there are chance; where each run finds something else, it is not."""
    checks = [check for check, (part, _) in CHECKS.items() if part == "auth"]
    runs = [run(n, flake=checks[n % 3]) for n in range(4)]
    assert mailed(lived(*runs[:3])[0]) == []
    assert mailed(lived(*runs)[0]) == [(1, "open", 3.0)]


@pytest.mark.parametrize(
    ("trigger", "flake", "opened"), [("deploy", "", True), ("deploy", "auth-0", False), ("manual", "", False)]
)
def test_after_a_deployment_a_cause_that_was_confirmed_opens_at_once(
    trigger: Any, flake: str, opened: bool
) -> None:
    """Not a failing check alone: the run that a deployment started must have confirmed the cause itself."""
    report = run(0, [] if flake else [A], flake=flake, trigger=trigger)
    assert [a.kind for a in plan([report])] == (["open"] if opened else ["leave"])


def test_a_cause_is_confirmed_by_a_run_of_the_history() -> None:
    """One report and what the history kept of the run before it are two runs; the same run twice is one."""
    first, second = days(A, A)
    assert [a.kind for a in plan([second], {"here": [seen(first)]})] == ["open"]
    assert [a.kind for a in plan([second], {"here": [seen(second)]})] == ["leave"]
    assert [a.kind for a in plan([second, second])] == ["leave"]


def test_an_evicted_run_loses_nothing() -> None:
    """What two runs confirmed whose plans were never carried out is opened with the next, if not yet over."""
    reports = days(A, A, OK, OK)
    (action,) = plan(reports[:3])
    assert (action.kind, action.key) == ("open", OURS)
    assert "Last verified 2026-01-05 01:00 UTC (schedule run)." in action.body
    assert plan(reports) == ()


def test_runs_of_an_area_do_not_close_what_they_were_not_asked_for() -> None:
    """Their reports do not have the check at all, so nobody knows from them whose it is."""
    world, past = lived(*(run(n, flake="auth-2") for n in (0, 1)))
    reports = [run(n, left_out=["auth-2"]) for n in (2, 3, 4)]
    after, past = lived(*reports, world=world, past=past)
    assert after == world
    assert mailed(lived(run(5), run(6), world=world, past=past)[0])[1:] == [
        (1, "comment", 6.0),
        (1, "close", 6.0),
    ]


def test_what_a_run_found_whose_plan_was_never_carried_out_is_remembered() -> None:
    """The next plan that knows of it writes it down, although the newest run found nothing."""
    world, past = lived(*days(A, A))
    evicted, partly = run(2, flake="auth-2"), run(3, left_out=["auth-2"])
    (action,) = plan([evicted, partly], past.by_target(), world.issues)
    assert action.kind == "update"
    assert told(action.body).about.checks == {"auth-2"}
    assert "Last verified 2026-01-05 02:00 UTC (schedule run)." in action.body
    again = plan([evicted, partly], past.by_target(), world.after([action], at(3)).issues)
    assert [a.kind for a in again] == ["leave"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"status": "skip", "skip_kind": "cannot-tell"}, "it passed in 0 of 2 runs needed"),
        ({"status": "pass"}, "it passed in 2 runs in a row"),
    ],
)
def test_an_issue_remembers_what_it_was_about_when_the_history_is_lost(
    status: dict[str, Any], reason: str
) -> None:
    """That the component is up proves nothing of a cause that nobody ruled out."""
    world, _ = lived(*days(A, A))
    reports = [run(n) for n in (50, 51)]
    parts = [[v.model_copy(update=status) if v.check == "auth-2" else v for v in r.verdicts] for r in reports]
    reports = [r.model_copy(update={"verdicts": tuple(p)}) for r, p in zip(reports, parts, strict=True)]
    (action,) = plan(reports, known=world.issues)
    assert action.reason.startswith(reason)


def test_an_issue_that_remembers_nothing_is_closed_by_its_labels_or_by_a_person() -> None:
    """Something must speak against each cause that it is labelled with; without any, a person must."""
    world, _ = lived(*days(A, A))
    old = world.by_hand(1, body="\n".join([world.issue(1).body.splitlines()[0], "", "as it was"]))
    cause = run(0, [A]).diagnoses[0].model_copy(update={"status": "ruled_out"})
    denied = [run(n).model_copy(update={"diagnoses": (cause,)}) for n in (50, 51)]
    bare = old.by_hand(1, labels=())
    assert [a.kind for a in plan([run(50), run(51)], known=old.issues)] == ["leave"]
    assert [a.kind for a in plan(denied, known=old.issues)] == ["close"]
    assert [a.reason for a in plan(denied, known=bare.issues)] == [
        "no run is kept that tells what it was about, and neither does it: a person closes it"
    ]


def test_a_history_that_remembers_nothing_closes_what_is_well() -> None:
    """Where no run is kept that saw it fail, what the issue itself remembers must be well in as many runs."""
    world, _ = lived(*days(A, A))
    reports = [run(50), run(51)]
    assert [a.kind for a in plan(reports[:1], known=world.issues)] == ["leave"]
    (closed,) = plan(reports, known=world.issues)
    assert closed.kind == "close"
    assert "No run is kept that tells when it began." in closed.body
    unsure = run(0, [A]).diagnoses[0].model_copy(update={"status": "undecided", "certainty": None})
    open_yet = [report.model_copy(update={"diagnoses": (unsure,)}) for report in reports]
    assert [a.kind for a in plan(open_yet, known=world.issues)] == ["leave"]
    ailing = run(52, flake="auth-3")
    assert [a.kind for a in plan([*reports, ailing], known=world.issues)] != ["close"]


# --- states ---------------------------------------------------------------------------------------------


def test_it_is_reopened_within_three_days_and_then_there_is_a_new_one() -> None:
    """What we closed is reopened for 72 hours; later a new issue links to the old one."""
    world, past = lived(*days(A, A, OK, OK))
    soon, _ = lived(*days(A, A, start=70), world=world, past=Past(points=list(past.points)))
    late, _ = lived(*days(A, A, start=80), world=world, past=past)
    assert mailed(soon)[3:] == [(1, "comment", 71.0), (1, "reopen", 71.0)]
    assert mailed(late)[3:] == [(2, "open", 81.0)]
    assert "- the issue about the same before this one: #1" in late.issue(2).body
    assert told(soon.issue(1).body).said


def test_an_outage_that_came_back_mails_three_times_as_well() -> None:
    """It is said that it is back; that it is over is in the text, and in the mail that it was closed."""
    world, _ = lived(*days(A, A, OK, OK, A, A, OK, OK))
    assert mailed(world)[3:] == [(1, "comment", 5.0), (1, "reopen", 5.0), (1, "close", 7.0)]


def test_what_comes_and_goes_is_labelled_and_stays_open_until_it_is_calm() -> None:
    """Three times within a day: one comment, a label, and no closing before a day without."""
    on_off = [A, OK] * 3
    world, past = lived(*days(*on_off))
    assert mailed(world) == [(1, "open", 4.0)]
    assert world.issue(1).labels == ("hokusai-probe", "flapping", "cause:auth-down")
    assert "It comes and goes: it turned bad three times within a day." in world.issue(1).body
    quiet, _ = lived(*days(*[OK] * 24, start=6), world=world, past=past)
    assert mailed(quiet)[1:] == [(1, "comment", 28.0), (1, "close", 28.0)]
    assert "flapping" not in quiet.issue(1).labels


def test_an_open_issue_that_begins_to_flap_says_so_once() -> None:
    """The label and one comment, however often it comes and goes after that."""
    world, _ = lived(*days(A, A, *[OK, A] * 5))
    assert [m for m in mailed(world) if m[1] == "comment"] == [(1, "comment", 5.0)]
    assert "flapping" in world.issue(1).labels


def test_it_is_said_once_that_it_got_worse() -> None:
    """A small defect does not hide an outage of the same component: that nobody is served is told."""
    assert CHECKS["mlflow-3"] == ("mlflow", "pace.search")  # nothing that registering rests on
    small = [run(n, flake="mlflow-3") for n in (0, 1)]
    world, _ = lived(*small, *days("mlflow", "mlflow", "mlflow", "mlflow", start=2))
    assert mailed(world) == [(1, "open", 1.0), (1, "comment", 3.0)]
    served = frozenset(c for c, (part, _) in CHECKS.items() if part == "mlflow")
    about = About(checks=frozenset({"mlflow-3"}), causes={"mlflow-down": served})
    assert told(world.issue(1).body) == Told(
        kind="failing", since=at(0), down=True, said=True, good=None, flapping=False, about=about
    )


def test_nothing_is_said_in_an_issue_with_two_hundred_comments() -> None:
    """GitHub stops taking any at some point; the text and the state are kept true all the same."""
    world, past = lived(*days(A, A))
    full = world.by_hand(1, comments=200)
    assert mailed(lived(*days(OK, OK, start=2), world=full, past=past)[0])[1:] == [(1, "close", 3.0)]


# --- people ---------------------------------------------------------------------------------------------


CLOSED = {"state": "closed", "closed_at": at(2.5), "closed_by": "ann", "state_reason": "completed"}


@pytest.mark.parametrize(
    "changed",
    [
        CLOSED,
        CLOSED | {"state_reason": "not_planned"},
        CLOSED | {"closed_by": ""},
        CLOSED | {"closed_by": BOT},  # some other automation that runs under the same name
        CLOSED | {"labels": (MUTE_LABEL,)},
    ],
)
def test_closed_by_hand_it_stays_closed_until_it_passed_once(changed: dict[str, Any]) -> None:
    """A person's word stands while the failure lasts; when it comes anew, so does an issue, a new one."""
    world, past = lived(*days(A, A, A))
    by_hand = world.by_hand(1, **changed)
    world, past = lived(*days(A, A, A, start=3), world=by_hand, past=past)
    assert world.issues == by_hand.issues
    world, past = lived(*days(OK, A, start=6), world=world, past=past)
    assert world.issues == by_hand.issues
    world, past = lived(*days(A, start=8), world=world, past=past)
    assert mailed(world)[1:] == [(2, "open", 8.0)]
    assert "#1" in world.issue(2).body


def test_closed_by_hand_when_it_was_well_it_may_come_back() -> None:
    """Somebody who closes what has just passed does not mean the next outage."""
    world, past = lived(*days(A, A, OK))
    world, _ = lived(*days(A, A, start=3), world=world.by_hand(1, **CLOSED), past=past)
    assert mailed(world)[1:] == [(2, "open", 4.0)]


def test_reopened_by_hand_it_stays_open_until_it_fails_and_is_over() -> None:
    """Nobody's reopening is undone; once it was seen failing again, everything is as ever."""
    world, past = lived(*days(A, A, OK, OK))
    again = world.by_hand(1, state="open", closed_at=None, closed_by="", state_reason="reopened")
    world, past = lived(*days(OK, OK, OK, start=4), world=again, past=past)
    assert world.issues == again.issues
    world, _ = lived(*days(A, A, OK, OK, start=7), world=world, past=past)
    assert mailed(world)[3:] == [(1, "comment", 7.0), (1, "close", 10.0)]


@pytest.mark.parametrize("changed", [{"locked": True}, {"labels": (MUTE_LABEL,)}])
def test_a_lock_and_a_mute_keep_our_hands_off(changed: dict[str, Any]) -> None:
    """Whatever is found, it is neither changed nor closed."""
    world, past = lived(*days(A, A))
    theirs = world.by_hand(1, **changed)
    after, _ = lived(*days(A, OK, OK, OK, start=2), world=theirs, past=past)
    assert after == theirs


def test_what_we_closed_and_somebody_locked_is_followed_by_a_new_one() -> None:
    """As some repositories lock whatever is closed."""
    world, past = lived(*days(A, A, OK, OK))
    world, _ = lived(*days(A, A, start=5), world=world.by_hand(1, locked=True), past=past)
    assert mailed(world)[3:] == [(2, "open", 6.0)]


def test_labels_and_logins_are_the_same_in_any_case() -> None:
    """As they are for GitHub, which keeps the spelling that a repository had first."""
    target = with_issues(labels=("incident",), also_ours=("My-Bot",))
    world, past = lived(*days(A, A, target=target))
    spelt = world.by_hand(1, labels=("Incident", "Cause:auth-down"), author="my-bot")
    kinds = [a.kind for a in plan(days(A, start=1, target=target), past.by_target(), spelt.issues)]
    assert kinds == ["leave"]
    muted = spelt.by_hand(1, labels=("Probe-Mute",))
    (action,) = plan(days(A, start=2, target=target), past.by_target(), muted.issues)
    assert action.reason == "#1 is labelled probe-mute"
    world, past = lived(*days(OK, OK, start=2, target=target), world=spelt, past=past)
    ours = world.by_hand(1, closed_by=BOT.title())
    again, _ = lived(*days(A, A, start=4, target=target), world=ours, past=past)
    assert again.issue(1).state == "open"


def test_a_label_that_a_person_took_off_stays_off() -> None:
    """Only what is new is labelled: another cause, or that it comes and goes."""
    world, past = lived(*days(A, A))
    bare = world.by_hand(1, labels=("urgent",))
    other = run(2, [A]).diagnoses[0].model_copy(update={"cause": "other"})
    report = run(2, [A])
    report = report.model_copy(update={"diagnoses": (*report.diagnoses, other)})
    (action,) = plan([report], past.by_target(), bare.issues)
    assert action.labels == ("cause:other",)
    (action,) = plan(days(A, start=1), past.by_target(), bare.issues)
    assert (action.kind, action.labels) == ("leave", ())


def test_what_is_not_seen_any_more_is_still_named() -> None:
    """A run of one area neither takes a cause's label away nor its name until it is ruled out."""
    cause = run(0, [A]).diagnoses[0].model_copy(update={"cause": "other", "explains": ("auth-2",)})
    first = cause.model_copy(update={"cause": "auth-down", "explains": ("auth-1",)})
    whole = [run(n, [A], left_out=["auth-0", "auth-3"]) for n in (0, 1)]
    world, past = lived(*(r.model_copy(update={"diagnoses": (first, cause)}) for r in whole))
    partly = [run(n, flake="auth-2", left_out=["auth-1"]) for n in (2, 3)]
    partly = [r.model_copy(update={"diagnoses": (cause,)}) for r in partly]
    (action,) = plan(partly[:1], past.by_target(), world.issues)
    assert action.labels_gone == ()
    assert "Not seen in this run, and not seen well since it was seen: `auth-down`." in action.body
    passing = run(3, flake="auth-2").model_copy(update={"diagnoses": (cause,)})
    (action,) = plan([passing], past.by_target(), world.issues)
    assert action.labels_gone == ("cause:auth-down",)
    assert "Not seen in this run" not in action.body


def test_labels_of_people_stay_and_ours_go_when_they_no_longer_hold() -> None:
    """Of the labels only those of causes and of flapping are ever taken away."""
    world, past = lived(*days(A, A))
    theirs = world.by_hand(1, labels=(*world.issue(1).labels, "urgent", "cause:else"))
    (action,) = plan(days(A, start=2), past.by_target(), theirs.issues)
    assert action.labels_gone == ("cause:else",)
    assert theirs.after([action], at(2)).issue(1).labels == ("urgent", "hokusai-probe", "cause:auth-down")


# --- many ----------------------------------------------------------------------------------------------


def test_doubles_converge_on_the_lowest_number() -> None:
    """Also those that nobody sees failing any more, and without counting as closed by hand later."""
    world, past = lived(*days(A, A))
    double = world.issue(1).model_copy(update={"number": 2, "created_at": at(1)})
    world, past = lived(*days(A, start=2), world=world.put(double), past=past)
    assert [(i.number, i.state) for i in world.issues] == [(1, "open"), (2, "closed")]
    world, past = lived(*days(OK, OK, A, A, start=3), world=world, past=past)
    assert [(i.number, i.state) for i in world.issues] == [(1, "open"), (2, "closed")]


@pytest.mark.parametrize(
    ("lower", "upper", "still"),
    [
        ({"state_reason": "duplicate"}, {}, [2]),
        ({"state_reason": "completed"}, {}, []),
        ({"state_reason": "completed"}, {"state_reason": "reopened"}, [2]),
        ({"state_reason": "not_planned"}, {"labels": (MUTE_LABEL.title(),)}, [2]),
    ],
)
def test_of_doubles_a_person_may_choose(
    lower: dict[str, Any], upper: dict[str, Any], still: list[int]
) -> None:
    """Who closes the lower one as a double keeps the other; who closes it for another reason means both."""
    world, past = lived(*days(A, A))
    double = world.issue(1).model_copy(update={"number": 2, "created_at": at(1.1)} | upper)
    chosen = world.put(double).by_hand(1, **(CLOSED | lower))
    after, _ = lived(*days(A, A, start=3), world=chosen, past=past)
    assert [i.number for i in after.open(OURS)] == still


@pytest.mark.parametrize("where", ["o/n", "O/N"])
def test_a_repository_has_one_name_however_it_is_spelt(where: str) -> None:
    """An issue is never the double of itself, nor is it opened again under the other spelling."""
    target = TARGET.model_copy(update={"owners": {"auth": Owner(repository="O/n")}})
    reports = days(A, A, A, target=target)
    (action,) = plan(reports[:2], repository="o/n")
    assert action.repository == "o/n"
    given = {"number": 1, "state": "open", "title": action.title, "body": action.body, "author": BOT}
    issue = KnownIssue.model_validate({**given, "labels": action.labels, "repository": where})
    twice_read = [issue, issue.model_copy(update={"repository": "O/n"})]
    for known in ([issue], twice_read):
        assert brief(plan(reports[:2], known=known, repository="o/n")) == [
            ("leave", OURS, 1, "it says so already")
        ]
    well = plan(days(OK, OK, start=3, target=target), known=twice_read, repository="o/n")
    assert [(a.kind, a.number) for a in well] == [("close", 1)]


def test_of_doubles_that_are_over_the_first_is_reopened() -> None:
    """Both were closed with the same plan; the second says of itself that it was only a double."""
    world, past = lived(*days(A, A, OK))
    double = world.issue(1).model_copy(update={"number": 2, "created_at": at(1)})
    world, past = lived(*days(OK, A, A, start=3), world=world.put(double), past=past)
    assert [(i.number, i.state) for i in world.issues] == [(1, "open"), (2, "closed")]


def test_a_double_of_what_somebody_closed_is_closed_too() -> None:
    """It was there when they closed the first, so they meant both."""
    world, past = lived(*days(A, A))
    double = world.issue(1).model_copy(update={"number": 2, "created_at": at(1)})
    world = world.put(double).by_hand(1, **CLOSED)
    assert brief(plan(days(A, start=3), past.by_target(), world.issues)) == [
        ("close", OURS, 2, "the same as #1")
    ]


def test_five_new_issues_are_enough_for_one_run() -> None:
    """The most urgent come first; the others at the next run."""
    target = with_issues(group_by="cause")
    one = run(0, [A], target=target)
    causes = tuple(one.diagnoses[0].model_copy(update={"cause": f"c-{n}"}) for n in range(7))
    first, second, third = (
        one.model_copy(update={"diagnoses": causes, "started_at": at(n)}) for n in range(3)
    )
    actions = plan([first, second])
    assert [a.kind for a in actions] == ["open"] * 5 + ["leave"] * 2
    world = World().after(actions, at(1))
    again = plan([third], {"here": [seen(first), seen(second)]}, world.issues)
    assert [a.kind for a in again] == ["update"] * 5 + ["open"] * 2


def test_a_dead_edge_is_one_issue() -> None:
    """What is seen through a broken edge alone, and not for certain, is told in the issue of the edge."""
    report = run(0)
    tls = report.verdicts[0].model_copy(
        update={"check": "tls", "component": "tls", "hop": "tls.registry", "status": "fail"}
    )
    behind = report.verdicts[1].model_copy(
        update={"check": "search", "component": "gateway", "hop": "mlflow-api", "status": "fail"}
    )
    likely = (
        run(0, ["gateway"]).diagnoses[0].model_copy(update={"certainty": "likely", "explains": ("search",)})
    )
    dead = report.model_copy(update={"verdicts": (tls, behind), "diagnoses": (likely,)})
    sure = dead.model_copy(update={"diagnoses": (likely.model_copy(update={"certainty": "confirmed"}),)})
    assert [(n.key, n.behind) for n in needs(dead)] == [("here/tls", ("search",))]
    assert [n.key for n in needs(sure)] == ["here/gateway", "here/tls"]
    assert "- [ ] gateway: `search`" in plan([dead])[0].body


# --- settings -------------------------------------------------------------------------------------------


def test_a_run_during_maintenance_counts_for_nothing() -> None:
    """It confirms nothing, rules nothing out, and changes no text."""
    window = f"{at(1.5).isoformat()}/{at(3.5).isoformat()}"
    target = with_issues(maintenance=(window,))
    assert mailed(lived(*days(A, OK, A, A, A, target=target))[0]) == []
    world, past = lived(*days(A, A, target=target))
    kept, _ = lived(*days(OK, OK, start=2, target=target), world=world, past=past)
    assert kept == world


@pytest.mark.parametrize(("private", "told_of"), [((), False), (("O/N",), True)])
def test_a_sensitive_cause_is_written_only_where_few_may_read(
    private: tuple[str, ...], told_of: bool
) -> None:
    """In a repository that the target calls private; nowhere else, not even by the names of its checks."""
    target = with_issues(private_repositories=private)
    reports = [run(n, [A], target=target) for n in (0, 1)]
    secret = tuple(d.model_copy(update={"sensitive": True}) for d in reports[0].diagnoses)
    reports = [r.model_copy(update={"diagnoses": secret}) for r in reports]
    (action,) = plan(reports, repository="o/n")
    assert (action.kind == "open") == told_of
    assert ("auth-down" in f"{action.title}{action.labels}{action.body}") == told_of
    assert ("auth-0" in action.body) == told_of


@pytest.mark.parametrize(("sensitive", "signs"), [((), {"here/auth"}), (("auth-down",), set())])
def test_what_only_the_history_knows_of_a_sensitive_cause_is_withheld_too(
    sensitive: tuple[str, ...], signs: set[str]
) -> None:
    """A report of another part of the platform says nothing of the cause that the runs before it named."""
    before, now = run(0, [A]), run(1)
    telling = Telling.of(now.model_copy(update={"diagnoses": ()}), "", sensitive=sensitive)
    reader = Reader(telling, {v.check: v for v in now.verdicts})
    assert set(reader.signs(state_of(before))) == signs


def with_secret(report: Report, secret: Diagnosis) -> Report:
    """The report with one more cause that is sensitive."""
    return report.model_copy(update={"diagnoses": (*report.diagnoses, secret)})


def hush(check: str, **changed: Any) -> Diagnosis:
    """A sensitive cause of auth that explains one check."""
    base = run(0, [A]).diagnoses[0]
    return base.model_copy(update={"cause": "hush", "explains": (check,), "sensitive": True} | changed)


UNDECIDED = {"status": "undecided", "certainty": None}


@pytest.mark.parametrize("told_of", ["muted", "withheld", "undecided"])
def test_what_may_not_be_told_confirms_no_flake_and_keeps_nothing_open(told_of: str) -> None:
    """A muted or sensitive defect beside which another check flakes, or really fails and is mended."""
    mute = (Mute(check="auth-0", until=at(1000), because="known"),)
    target = with_issues(mute=mute if told_of == "muted" else ())
    secret = hush("auth-0", **(UNDECIDED if told_of == "undecided" else {}))

    def seen_at(hour: float, *bad: str) -> Report:
        found = run(hour, flake="auth-0", target=target)
        how = {"status": "fail", "reason": "502"}
        verdicts = (v.model_copy(update=how) if v.check in bad else v for v in found.verdicts)
        found = found.model_copy(update={"verdicts": tuple(verdicts)})
        return found if told_of == "muted" else with_secret(found, secret)

    flaky = [seen_at(n, *(["auth-1"] if n == 3 else [])) for n in range(6)]
    assert lived(*flaky)[0] == World()
    real = [seen_at(n, *(["auth-1"] if n < 2 else [])) for n in range(4)]
    world, _ = lived(*real)
    assert mailed(world) == AN_OUTAGE
    said = f"{world.issues}"
    assert "hush" not in said
    assert told_of == "muted" or "auth-0" not in said


@pytest.mark.parametrize("group_by", ["component", "cause"])
@pytest.mark.parametrize("status", [{}, UNDECIDED])
@pytest.mark.parametrize("private", [False, True])
def test_a_sensitive_cause_is_told_where_it_may_be(
    group_by: str, status: dict[str, Any], private: bool
) -> None:
    """Whatever issues are grouped by, and while it is undecided; elsewhere only that there is one."""
    target = with_issues(group_by=group_by, private_repositories=("o/n",) if private else ())
    reports = [with_secret(run(n, flake="auth-1", target=target), hush("auth-1", **status)) for n in (0, 1)]
    (action,) = plan(reports, repository="o/n")
    if private:
        assert (action.kind, action.key) == ("open", OURS)
        assert "hush" in action.body
        assert "auth-1" in action.body
    else:
        why = "1 sensitive cause must not be written here: tell the owner in person"
        assert brief([action]) == [("leave", OURS, None, why)]
        assert "hush" not in f"{action}"
        assert "auth-1" not in f"{action}"


def test_what_a_sensitive_cause_brought_about_is_told_without_it() -> None:
    """Else the owners of what follows would never hear of it."""
    reports = [with_secret(run(n, ["auth", "mlflow"]), hush("auth-1")) for n in (0, 1)]
    chained = []
    for report in reports:
        parts = [
            d.model_copy(update={"caused_by": "hush"} if d.component == "mlflow" else {})
            for d in report.diagnoses
            if d.cause != "auth-down"
        ]
        chained.append(report.model_copy(update={"diagnoses": tuple(parts)}))
    actions = plan(chained)
    assert [(a.kind, a.key) for a in actions if a.component == "mlflow"] == [("open", "here/mlflow")]
    assert "hush" not in f"{actions}"


def test_an_issue_that_belongs_elsewhere_now_is_closed_when_there_is_one_there() -> None:
    """First the new one is opened; then the old one is closed, with a link."""
    world, past = lived(*days(A, A))
    there = TARGET.model_copy(update={"owners": {"auth": Owner(github="ann", repository="hokus/auth")}})
    reports = days(A, start=2, target=there)
    opened, left = plan(reports, past.by_target(), world.issues, repository="o/n")
    assert (opened.kind, opened.repository, opened.assignees) == ("open", "hokus/auth", ("ann",))
    assert (left.kind, left.number, left.repository) == ("leave", 1, "o/n")
    new = KnownIssue(
        number=1, state="open", title=opened.title, body=opened.body, author=BOT, repository="hokus/auth"
    )
    _, closed = plan(reports, past.by_target(), [*world.issues, new], repository="o/n")
    assert (closed.kind, closed.repository, closed.comment) == (
        "close",
        "o/n",
        "The same as hokus/auth#1, which is kept.",
    )


def test_a_switch_of_the_bots_name_doubles_nothing() -> None:
    """With ``also_ours`` the issues of the former name are updated, closed and reopened as before."""
    target = with_issues(also_ours=("old-bot",))
    world, past = lived(*days(A, A, target=target))
    old = world.by_hand(1, author="old-bot")
    kinds = [a.kind for a in plan(days(A, start=2, target=target), past.by_target(), old.issues)]
    assert kinds == ["update"]
    stranger = plan(days(A, start=2), past.by_target(), old.issues)
    assert [a.kind for a in stranger] == ["open"]


@pytest.mark.parametrize("down", [(), ("auth",), ("auth", "mlflow"), ("gateway", "site")])
def test_a_history_and_a_report_say_the_same_of_who_must_act(down: tuple[str, ...]) -> None:
    """The keys that are read off what a history kept are those of the report itself."""
    for flake in ("", "site-1", "mlflow-2"):
        report = run(0, down, flake=flake)
        reader = Reader(Telling.of(report, ""), {v.check: v for v in report.verdicts})
        assert set(reader.signs(seen(report).state)) == {need.key for need in needs(report)}
        first, *others = (*report.diagnoses, None)
        for circle in (None, "mlflow-down"):  # the second is caused by the first, or each by the other
            links = [d.model_copy(update={"caused_by": "auth-down"}) for d in others if d is not None]
            top = [first.model_copy(update={"caused_by": circle})] if first is not None else []
            caused = report.model_copy(update={"diagnoses": (*top, *links)})
            assert set(reader.signs(seen(caused).state)) == {need.key for need in needs(caused)}


def test_a_plan_takes_no_longer_for_a_longer_history() -> None:
    """Only the last weeks are asked: a history of a year costs what one of three weeks does."""

    class Asked(list[Point]):
        """Counts what is asked of it one by one."""

        asked = 0

        def __getitem__(self, which: Any) -> Any:
            found = super().__getitem__(which)
            Asked.asked += len(found) if isinstance(which, slice) else 1
            return found

    healthy = seen(run(0))
    points = [
        Point("", at(0) + timedelta(hours=n), "schedule", 3600.0, healthy.state) for n in range(365 * 24)
    ]
    plan([run(365 * 24)], {"here": Asked(points)})
    assert Asked.asked < 15 * 24
