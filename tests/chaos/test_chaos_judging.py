"""From what was recorded of an experiment to what it comes to."""

import pytest
from chaos_kit import experiment, kept, looks, recorded, uses
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.chaos.experiment import Experiment, experiment_names, load
from hokusai_probe.chaos.facts import BreakerSeen, BreakerSettings, LimitSeen, Recorded, Sighting, Uploaded
from hokusai_probe.chaos.judging import (
    BreakerFound,
    Share,
    breaker,
    could,
    exit_code,
    judge,
    recovered_s,
    users_recovered_s,
)
from hokusai_probe.model import Frozen


def test_what_went_as_expected_is_measured() -> None:
    """Seconds count from the first step, and for the recovery from the end of the rollback."""
    found = judge(recorded())

    assert (found.outcome, found.reasons, found.named) == ("completed", (), ("a",))
    assert (found.detected_s, found.named_s, found.recovered_s, found.users_recovered_s) == (2, 4, 4, 0)
    assert found.could == {kind: Share(worked=1, tried=3) for kind in ("read", "register", "transfer")}
    assert (found.accounted, found.lost, found.unaccounted) == (2, (), ())


DEVIATIONS: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "not named": ({"sightings": [looks(11, "x"), looks(32)]}, ("the cause a was not named",)),
    "named wrongly": (
        {"sightings": [looks(11, "x", causes=("a", "b")), looks(32)]},
        ("the cause b was named, and it is not the one",),
    ),
    "not detected": (
        {"experiment": experiment(expect={}), "sightings": [looks(11), looks(32)]},
        ("no check failed during the fault",),
    ),
    "false alarm": (
        {"experiment": experiment(expect={"detected": False}), "sightings": [looks(11, "x"), looks(32)]},
        ("a check failed though nothing that users have was broken: x",),
    ),
    "late": (
        {"experiment": experiment(recover_within_s=3, expect={"causes": ["a"]})},
        ("recovered after 4 s, later than 3 s",),
    ),
    "lost": ({"kept": [kept("one"), kept("two", "lost")]}, ("lost: artifact two",)),
    "not to be told": (
        {"kept": [kept("one", "unknown")]},
        ("nobody could tell what became of artifact one",),
    ),
    "users could not": (
        {"experiment": experiment(expect={"causes": ["a"], "could": {"read": 0.5}})},
        ("read worked in 33 % during the fault, and at least 50 % was expected",),
    ),
    "torn": (
        {"kept": [kept("one"), kept("two", "torn")]},
        ("a part of it is there: artifact two",),
    ),
    "the method failed": ({"trouble": "step 1: no"}, ("step 1: no",)),
}


def test_each_deviation_is_a_sentence() -> None:
    """And nothing else is said beside it."""
    found = {name: judge(recorded(**more)) for name, (more, _) in DEVIATIONS.items()}

    assert {name: one.reasons for name, one in found.items()} == {
        n: said for n, (_, said) in DEVIATIONS.items()
    }
    assert {one.outcome for one in found.values()} == {"deviated"}


def test_an_accepted_cause_is_no_wrong_one() -> None:
    """As long as the wanted one is named as well."""
    expect = {"causes": ["a"], "accept": ["b"]}
    seen = recorded(
        experiment=experiment(expect=expect), sightings=[looks(11, "x", causes=("a", "b")), looks(32)]
    )

    assert judge(seen).outcome == "completed"


def test_luck_is_no_deviation() -> None:
    """Where an experiment says that looks may meet the fault or not."""
    lucky = experiment(expect={"detected": "either"})
    found = [judge(recorded(experiment=lucky, sightings=[looks(11, *x), looks(32)])) for x in (("x",), ())]

    assert [one.outcome for one in found] == ["completed", "completed"]


def test_looks_that_began_before_the_fault_name_nothing_wrong() -> None:
    """They saw half of one state and half of another; what they find failing is found all the same."""
    seen = recorded(sightings=[looks(9.5, "x", causes=("b",)), looks(13, "x", causes=("a",)), looks(32)])

    assert (judge(seen).outcome, judge(seen).detected_s) == ("completed", 0.5)


OUTCOMES: dict[str, dict[str, object]] = {
    "skipped": {"skipped": "no mount", "fault_began_s": None},
    "not-started": {"not_started": ("x fails",), "fault_began_s": None},
    "rollback-failed": {"rollback_errors": ("step 1: no",)},
    "interrupted": {"interrupted": "SIGTERM"},
    "completed": {},
}


def test_the_outcomes_and_their_exit_codes() -> None:
    """A failed rollback outweighs a signal, a signal outweighs all else, and skips alone are no success."""
    found = {name: judge(recorded(**more)) for name, more in OUTCOMES.items()}
    deviated = judge(recorded(trouble="no"))

    assert {name: one.outcome for name, one in found.items()} == {name: name for name in OUTCOMES}
    assert {name: exit_code([one]) for name, one in found.items()} == {
        "skipped": 3, "not-started": 3, "rollback-failed": 4, "interrupted": 143, "completed": 0,
    }  # fmt: skip
    assert exit_code([found["skipped"], found["completed"]]) == 0
    assert exit_code([deviated, found["completed"]]) == 1
    assert exit_code([deviated, found["not-started"]]) == 3
    assert exit_code([found["interrupted"], found["rollback-failed"]]) == 4


def test_a_steady_state_that_does_not_come_back_is_a_failed_rollback() -> None:
    """Whether the looks or the users say so, and also after a signal."""
    still_failing = recorded(sightings=[looks(11, "x", causes=("a",)), looks(32, "x")])
    users_fail = recorded(used=[*uses(5), *uses(32, worked=False)], interrupted="SIGINT")

    assert judge(still_failing).reasons == ("the steady state did not come back: x",)
    assert judge(users_fail).reasons == ("the steady state did not come back: users still fail",)
    assert {judge(one).outcome for one in (still_failing, users_fail)} == {"rollback-failed"}


def test_what_nobody_could_judge_is_not_well() -> None:
    """Silence is no health: looks that came to nothing for a reason of our own end no wait."""
    silent = Sighting(began_s=32, ended_s=33, errors=("y",))
    seen = recorded(sightings=[looks(11, "x", causes=("a",)), silent])

    assert judge(seen).reasons == ("the steady state did not come back: y",)
    assert recovered_s(recorded(sightings=[*seen.sightings, looks(34)])) == 4


def test_users_are_well_when_the_first_use_that_works_is_done() -> None:
    """It may have taken long: it was to begin at 33, and worked 5 s later."""
    slow = [use.model_copy(update={"took_s": 5.0}) for use in uses(33)]

    assert users_recovered_s(recorded(used=[*uses(31.5, worked=False), *slow])) == 7
    assert users_recovered_s(recorded(used=slow)) == 0


OF_MLFLOW = {"causes": ["a"], "subjects": {"a": ["mlflow"]}}


def test_the_right_cause_of_the_wrong_thing_is_not_the_right_cause() -> None:
    """Where an experiment says what it must be named of: of that, of all of it, and of nothing else."""
    of = [
        looks(n, "x", causes=("a",)).model_copy(update={"subjects": {"a": subjects}})
        for n, subjects in ((11, ("auth",)), (13, ("auth", "mlflow")), (15, ("mlflow",)), (32, ()))
    ]
    wrong = judge(recorded(experiment=experiment(expect=OF_MLFLOW), sightings=[*of[:2], looks(32)]))
    right = judge(recorded(experiment=experiment(expect=OF_MLFLOW), sightings=[*of[:3], looks(32)]))

    assert wrong.reasons == ("the cause a was named of auth, mlflow, and not of mlflow",)
    assert (wrong.named_s, right.named_s, right.reasons) == (None, 6, ())


def test_a_fault_that_took_nothing_proves_nothing() -> None:
    """One that takes each third connection, by the sandbox's own count."""
    step = {"kind": "fault", "edge": "gateway->cache", "every": 3, "do": {"reset": True}}
    own = experiment(method=[step])

    assert judge(recorded(experiment=own, counted=2)).reasons == (
        "the fault met nothing: it takes each 3., and 2 came by",
    )
    assert judge(recorded(experiment=own, counted=3)).outcome == "completed"


def test_uploads_that_all_went_well_show_nothing() -> None:
    """Where one must be cut short."""
    own = experiment(method=[{"kind": "upload"}], expect={"causes": ["a"], "cuts_uploads": True})
    done = [Uploaded(mib=24, at_s=11.0, took_s=2.0, worked=worked) for worked in (True, False)]

    assert judge(recorded(experiment=own, uploads=done)).outcome == "completed"
    assert judge(recorded(experiment=own, uploads=done[:1])).reasons == (
        "every upload was acknowledged: none was under way when it mattered",
    )


def nothing_came_of_it(of: Experiment) -> Recorded:
    """An experiment whose steps were told and did nothing: the platform was well all the time."""
    free = [LimitSeen(method=one.method, path=one.path, sent=110, taken=110, refused=False, seconds=9.0)
            for one in of.limits]  # fmt: skip
    done = [
        Uploaded(mib=24, at_s=11.0, took_s=2.0, worked=True) for step in of.method if step.kind == "upload"
    ]
    asked_it = asked(Asked(at=12, state="CLOSED"), Asked(at=35, state="CLOSED")) if of.breaker else ()
    well = {"sightings": [looks(11), looks(15), looks(32)], "used": uses(5, 12, 20, 25, 32, 33)}
    return recorded(experiment=of, limits=free, uploads=done, breaker=asked_it, counted=0, **well)


@pytest.mark.parametrize("name", experiment_names())
def test_no_experiment_is_content_when_nothing_was_broken(name: str) -> None:
    """Or it would prove nothing. The one in which nothing is to be broken is; so must be the killed probe.

    Whether that left something is seen while the method is carried out: nothing left is trouble of its own.
    """
    found = judge(nothing_came_of_it(load(name)))

    content = {"nothing-broken", "probe-killed"}
    assert found.outcome == ("completed" if name in content else "deviated"), found.reasons


def test_a_relapse_is_no_recovery() -> None:
    """What is well must stay well; it counts from when it does."""
    seen = recorded(sightings=[looks(11, "x", causes=("a",)), looks(32), looks(34, "x"), looks(36)])

    assert recovered_s(seen) == 6


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=30, unique_by=lambda one: one[0]))
def test_shares_and_recovery_hold_together(tried: list[tuple[int, bool]]) -> None:
    """Nothing counts twice, no share is above its whole, and after the recovery nothing fails."""
    used = [use for moment, worked in sorted(tried) for use in uses(moment, worked=worked)]
    seen = recorded(used=used)
    shares, after = could(seen), users_recovered_s(seen)

    assert all(0 <= share.worked <= share.tried for share in shares.values())
    assert shares["read"].tried == sum(10 <= moment < 30 for moment, _ in tried)
    if after is not None:
        assert all(use.worked for use in used if use.at_s >= 31 + after)


class Asked(Frozen):
    """One look at the breaker, in short."""

    at: float
    state: str | None
    failures: int = 0
    status: int = 200


def asked(*looks_at_it: Asked) -> tuple[BreakerSeen, ...]:
    """What was asked, as it is recorded."""
    return tuple(
        BreakerSeen(at_s=one.at, status=one.status, state=one.state, failures=one.failures)
        for one in looks_at_it
    )


OPENED = (
    Asked(at=1, state="CLOSED"), Asked(at=2, state="CLOSED", failures=4),
    Asked(at=3, state="OPEN", failures=5, status=503), Asked(at=14, state="OPEN", failures=5, status=503),
    Asked(at=15, state="HALF_OPEN", failures=5), Asked(at=16, state="CLOSED"),
)  # fmt: skip


def test_the_breaker_is_read_from_what_health_says() -> None:
    """Failures that it had counted, its rest, and when it was closed; also in the form of an unknown 500."""
    old = asked(
        Asked(at=1, state="CLOSED", failures=3), Asked(at=3, state="UNKNOWN", failures=0, status=500),
        Asked(at=20, state="CLOSED"),
    )  # fmt: skip

    found = BreakerFound(opened_after=5, still_closed=4, rested_s=12, closed_s=13)
    assert breaker(asked(*OPENED), 10.0) == found
    assert breaker(old, 10.0) == BreakerFound(opened_after=4, still_closed=3, rested_s=17, closed_s=17)
    assert breaker(asked(*OPENED[:2]), 10.0) == BreakerFound()


def with_breaker(failures: int, recovery_s: float, *seen: Asked) -> Recorded:
    """An experiment with a breaker that is set so; five platform seconds in one here."""
    return recorded(
        experiment=experiment(breaker=True, expect={"causes": ["a"]}),
        time_scale=5.0,
        breaker=asked(*seen),
        breaker_settings=BreakerSettings(failures=failures, recovery_s=recovery_s, source="the paper"),
    )


def test_a_breaker_is_held_against_its_settings() -> None:
    """In the sandbox's own seconds."""
    shifted = [one.model_copy(update={"at": one.at + 20}) for one in OPENED]

    assert judge(with_breaker(5, 60, *shifted)).reasons == ()
    assert judge(with_breaker(3, 30, *shifted)).reasons == (
        "the breaker opened after 5 failures, and the paper says 3",
        "the breaker rested 12.0 s, and the paper says 6 s",
    )
    several = [one.model_copy(update={"failures": 8}) if one.state == "OPEN" else one for one in shifted]
    assert judge(with_breaker(5, 60, *several)).reasons == ()
    assert judge(with_breaker(9, 60, *several)).reasons == (
        "the breaker opened after 5 to 8 failures, and the paper says 9",
    )
    assert judge(with_breaker(5, 60, *OPENED[:2])).reasons == (
        "the breaker was never seen open",
        "the breaker was not seen to close again",
    )


def limited(**more: object) -> Recorded:
    """An experiment with one limit of 20 in a minute, seen as a test says."""
    route = {"method": "GET", "path": "/x"}
    wanted = experiment(
        limits=[{**route, "requests": 20}], method=[{"kind": "limits"}], expect={"causes": ["a"]}
    )
    seen = LimitSeen.model_validate(
        {**route, "sent": 25, "taken": 20, "refused": True, "seconds": 1.0, "let_in_s": 12.0, **more}
    )
    return recorded(experiment=wanted, limits=[seen], time_scale=5.0)


def test_a_limit_is_held_against_the_contract() -> None:
    """One that was not seen is said to be so, and is never a pass."""
    assert judge(limited()).reasons == ()
    assert judge(limited(refused=False, taken=30, sent=30, let_in_s=None)).reasons == (
        "GET /x: no limit was seen within 30 requests in 1.0 s",
    )
    assert judge(limited().model_copy(update={"limits": ()})).reasons == (
        "GET /x: it was not asked until it refuses",
    )
    assert judge(limited(taken=15, let_in_s=None)).reasons == (
        "GET /x: 15 requests were taken before the first 429, not 20",
        "GET /x: it let nobody in again",
    )
    assert judge(limited(waited=False, let_in_s=None)).reasons == ()
    assert judge(limited(passed_on="401")).reasons == (
        "GET /x: the gateway passes that on as 401, not as None",
    )
    assert judge(limited(let_in_s=60.0)).reasons == ("GET /x: it let in again after 60.0 s, not 12 s",)
