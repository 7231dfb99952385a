"""Open causes are asked about once more, with the few looks that can tell them apart."""

from dataclasses import replace

import pytest

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.declare import Catalogue, catalogue
from hokusai_probe.model import Diagnosis, DiagnosisStatus, Report, Settling
from hokusai_probe.reports import markdown
from hokusai_probe.runner import replay, run
from hokusai_probe.second_round import MOST_LOOKS, MOST_REQUESTS, Planned, plan

FIRST = frozenset(p.slug for p in catalogue().probes.values() if p.round == 1)


def diagnosis(cause: str, *looks: str, status: DiagnosisStatus = "undecided") -> Diagnosis:
    """A diagnosis that these looks would settle."""
    return Diagnosis(
        cause=cause,
        component="load-balancer",
        status=status,
        because="",
        settled_by=tuple(Settling(look=look) for look in looks),
        priority="high",
        effort="minutes",
    )


def test_the_looks_that_may_settle_most_come_first() -> None:
    """Each is planned once, with the causes that name it; looks of the first round are not asked again."""
    found = [
        diagnosis("a", "artifact-route", "listener-rules"),
        diagnosis("b", "plain-http", "artifact-route"),
        diagnosis("c", "listener-rules"),
    ]

    assert plan(catalogue(), found, FIRST) == (
        Planned(probe="artifact-route", causes=("a", "b")),
        Planned(probe="plain-http", causes=("b",)),
    )


@pytest.mark.parametrize("status", ["present", "ruled_out"])
def test_nothing_is_asked_for_what_is_decided(status: DiagnosisStatus) -> None:
    """Only what is open is worth a request."""
    assert plan(catalogue(), [diagnosis("a", "plain-http", status=status)], FIRST) == ()


def test_a_look_is_not_taken_twice_nor_without_what_it_reads() -> None:
    """What somebody named was taken in the first round; a look needs the facts that it reads."""
    found = [diagnosis("a", "plain-http", "artifact-route")]

    assert plan(catalogue(), found, FIRST | {"plain-http", "artifact-route"}) == ()
    assert plan(catalogue(), found, FIRST - {"mlflow-api"}) == (Planned(probe="plain-http", causes=("a",)),)


def many(number: int, cost: int) -> Catalogue:
    """A catalogue of as many made-up looks of the second round, each of that cost."""
    one = catalogue().probes["plain-http"]
    made = {f"look-{n}": replace(one, slug=f"look-{n}", cost=cost) for n in range(number)}
    return replace(catalogue(), probes=made)


@pytest.mark.parametrize(("cost", "planned"), [(1, MOST_LOOKS), (6, 2), (MOST_REQUESTS + 1, 0)])
def test_the_second_round_is_bounded(cost: int, planned: int) -> None:
    """Whatever is open: few looks, few requests."""
    found = plan(many(9, cost), [diagnosis("a", *(f"look-{n}" for n in range(9)))], ())

    assert len(found) == planned


def test_every_look_of_the_second_round_is_named_by_some_cause() -> None:
    """A look that no cause reads would never be taken."""
    read = {p.wants for c in catalogue().causes.values() for p in c.parameters}

    assert {p.slug for p in catalogue().probes.values() if p.round == 2 and p.facts not in read} == set()


NAMES = ("api-rule-missing", "api-rules-on-port-80")
ON_ONE = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in NAMES]


@pytest.fixture(scope="module", params=ON_ONE)
def seen(request: pytest.FixtureRequest) -> tuple[str, Report]:
    """A broken platform, looked at from outside alone."""
    with sandbox.start(request.param) as box:
        environment = {**bare_environment(), **box.environment}
        slow = ["trained-model", "mlflow-client"]
        return request.param, run(box.target_file, environment=environment, aws=False, skip=slow)


RIVALS = {
    "api-rule-missing": ("plain-http", "listener-rule-missing", "listener-rules-only-on-http"),
    "api-rules-on-port-80": ("plain-http", "listener-rules-only-on-http", "listener-rule-missing"),
}


def test_a_rival_is_ruled_out_from_outside(seen: tuple[str, Report]) -> None:
    """What AWS would show is told apart by a few requests more, and the report says what was asked."""
    look, right, rival = RIVALS[seen[0]]
    report = seen[1]
    again = [o for o in report.observations if o.round == 2]
    open_yet = {d.cause for d in (*report.present(), *report.undecided())}

    assert [(o.probe, o.to_settle) for o in again] == [(look, tuple(sorted((right, rival))))]
    assert right in open_yet
    assert rival not in open_yet
    assert f"`{look}`, to tell apart" in markdown.render(report)


def test_what_no_other_defect_shows_is_named_from_outside(seen: tuple[str, Report]) -> None:
    """Where port 80 serves what port 443 answers itself, the cause is named without AWS."""
    named = [d.cause for d in seen[1].roots()]

    assert named == (["listener-rules-only-on-http"] if seen[0] == "api-rules-on-port-80" else [])


def test_a_replay_asks_nothing_again(seen: tuple[str, Report]) -> None:
    """What the second round saw is in the recorded run, which judges to the same."""
    report = seen[1]

    assert replay(Report.read(report.to_json())).to_json() == report.to_json()
