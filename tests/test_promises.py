"""What the product promises, held on the platform in miniature."""

import contextlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from _evidence import unfounded
from _pairs import combined, pairs
from conftest import SEED
from sweep import VARIABLE, matrix_rows, one, read

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.config import load
from hokusai_probe.declare import catalogue
from hokusai_probe.grading import Swept, grade, kill_matrix
from hokusai_probe.issues import describe, plan
from hokusai_probe.model import Report
from hokusai_probe.reports import DOCUMENTS, console
from hokusai_probe.runner import replay, run

DIRECTORY = Path(os.environ.get(VARIABLE, os.devnull))
TOGETHER = [] if DIRECTORY.is_dir() else [pytest.mark.xdist_group("promises")]
pytestmark = [*TOGETHER, pytest.mark.timeout(600)]

SHIPPED = {name: sandbox.load_scenario(name) for name in sandbox.scenario_names()}
NAMES = [n for n in SHIPPED if not DIRECTORY.is_dir() or (DIRECTORY / f"{n}.json").exists()]
HARMLESS = [n for n in NAMES if not (SHIPPED[n].expect.causes or SHIPPED[n].expect.unexplained)]
READ_REQUESTS = 150
PAIRS = 1
MOST_DRAWN = 20


class Sweeps(dict[str, Swept]):
    """What `make sweep` saw; without that each scenario is looked at when a test first asks for it."""

    def __missing__(self, name: str) -> Swept:
        try:
            self[name] = read(DIRECTORY, name) or one(name)
        except sandbox.SandboxSkippedError as missing:
            pytest.skip(str(missing))
        return self[name]

    def all(self) -> Iterator[Swept]:
        """Every scenario whose backends are there."""
        for name in NAMES:
            with contextlib.suppress(pytest.skip.Exception):
                yield self[name]


@pytest.fixture(scope="module")
def sweeps() -> Sweeps:
    """The scenarios that were looked at so far."""
    return Sweeps()


def _what_fails(report: Report) -> list[str]:
    """For the reader of a failed test: what was wrong, and what of it nothing explains."""
    wrong = [f"{v.check}: {v.reason}" for v in report.verdicts if v.status in {"fail", "error"}]
    return [*wrong, f"unexplained: {report.unexplained}"]


def test_healthy_platform_passes_every_check_and_has_no_diagnosis(sweeps: Sweeps) -> None:
    """Where all is well everything passes: what the small platform lacks, on that with a cloud's stores."""
    small, whole = sweeps["healthy"].aws, sweeps["stores-as-on-aws"].aws
    passed = {v.check for v in whole.verdicts if v.status == "pass"}
    open_yet = [(v.check, v.status, v.reason) for v in small.verdicts if v.status not in {"pass", "skip"}]

    assert open_yet == []
    assert {v.check for v in small.verdicts if v.status == "skip"} <= passed
    assert [(v.check, v.status, v.reason) for v in whole.verdicts if v.status != "pass"] == []
    assert [(report.errors, report.present()) for report in (small, whole)] == [((), ()), ((), ())]


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_variation_fails_nothing_and_is_no_defect(sweeps: Sweeps, name: str) -> None:
    """What differs from the healthy platform and harms nobody fails no check and has no diagnosis."""
    for report in (sweeps[name].aws, sweeps[name].no_aws):
        assert _what_fails(report) == ["unexplained: ()"]
        assert [v.check for v in report.verdicts if v.skip_kind == "blocked"] == []
        assert report.score.overall.percent == 100.0
        assert [d.cause for d in (*report.present(), *report.undecided())] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_scenario_is_diagnosed_exactly_as_it_was_made(sweeps: Sweeps, name: str) -> None:
    """With AWS the causes that were put in are the causes that are named, no more and no fewer."""
    swept = sweeps[name]
    found = grade(name, "aws", swept.expect, swept.aws, catalogue())

    assert (found.false_causes, found.missed) == ((), ())
    assert found.right, _what_fails(swept.aws)
    assert found.component_right


@pytest.mark.parametrize("name", NAMES)
def test_without_aws_no_wrong_cause_is_named(sweeps: Sweeps, name: str) -> None:
    """From outside alone no wrong cause is present, and the true one is present or undecided."""
    swept = sweeps[name]
    found = grade(name, "no-aws", swept.expect, swept.no_aws, catalogue())

    assert (found.false_causes, found.missed) == ((), ())
    assert found.right, _what_fails(swept.no_aws)
    assert found.component_right


@pytest.mark.parametrize("name", NAMES)
def test_replaying_a_recorded_run_gives_the_same_report(sweeps: Sweeps, name: str) -> None:
    """Everything after looking is pure: the JSON judged again is the same report, to the letter."""
    for report in (sweeps[name].aws, sweeps[name].no_aws):
        assert replay(Report.read(report.to_json())).to_json() == report.to_json()


def test_every_check_fails_under_some_fault_that_explains_it(sweeps: Sweeps) -> None:
    """A check that no expected cause makes fail is not a check.

    In a part of all scenarios those count that failed in two of them when everything was last swept, or in
    the only one: what failed beside something else, once, need not do so again.
    """
    matrix = kill_matrix(sweeps.all(), catalogue())
    due = {slug for slug, by in matrix_rows().items() if len(by & set(NAMES)) >= min(len(by), 2)}

    assert due
    assert [slug for slug, by in matrix.items() if not by and slug in due] == []


def test_no_two_checks_of_an_area_fail_in_the_same_scenarios_without_a_reason() -> None:
    """Two checks that always fail together are one, unless it is written beside them why they are two."""
    twins: dict[tuple[str, frozenset[str]], list[str]] = {}
    for slug, names in matrix_rows().items():
        twins.setdefault((catalogue().checks[slug].area, frozenset(names)), []).append(slug)

    assert [slugs for slugs in twins.values() if len(slugs) > 1 and not _is_explained(slugs)] == []


def test_the_page_of_kills_has_every_check_and_only_scenarios_that_ship() -> None:
    """docs/kill-matrix.md is that of this version."""
    rows = matrix_rows()

    assert set(rows) == set(catalogue().checks)
    assert set().union(*rows.values()) <= set(SHIPPED)


def _is_explained(slugs: list[str]) -> bool:
    """Whether all but one of them say in their docstring beside which other they stand, and why."""
    said = [any(other in catalogue().checks[slug].doc for other in slugs if other != slug) for slug in slugs]
    return sum(said) >= len(slugs) - 1


@pytest.mark.parametrize("name", NAMES)
def test_no_scenario_scores_above_the_healthy_platform(sweeps: Sweeps, name: str) -> None:
    """A fault never raises a score, overall or in any area."""
    healthy, broken = sweeps["healthy"].aws.score, sweeps[name].aws.score

    assert (broken.overall.percent or 0) <= (healthy.overall.percent or 0)
    assert all((s.percent or 0) <= 100 for s in broken.areas.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_in_no_output(sweeps: Sweeps, name: str) -> None:
    """Not in the JSON, a document, the summary or an issue: neither the key nor eight characters of it."""
    swept = sweeps[name]
    key = swept.key.rpartition("hk_test_")[2]
    slices = {key[i : i + 8] for i in range(len(key) - 7)}
    for report in (swept.aws, swept.no_aws):
        outputs = [
            report.to_json(),
            *(render(report) for render in DOCUMENTS.values()),
            console.render(report, colour=False),
            describe(plan([report], [], repository="example/infra")),
        ]
        assert [s for s in slices if any(s in text for text in outputs)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_piece_of_evidence_is_in_the_facts(sweeps: Sweeps, name: str) -> None:
    """What a diagnosis cites stands at that path in the recorded facts, with that value."""
    for report in (sweeps[name].aws, sweeps[name].no_aws):
        facts = [o.facts for o in report.observations if o.facts is not None]
        assert unfounded(report.diagnoses, facts) == []


MLFLOW_OUT_OF_REACH = {
    "artifact-bucket-access-denied",  # it may not list the bucket either
    "gateway-500",
    "mlflow-speaks-tls-alone",  # a gateway that says 500 may have written before
    "single-sign-on-before-registry",  # everybody is sent to sign in, whoever looks again too
}


def _is_steady(name: str) -> bool:
    """Whether nothing strikes now and then: what does may meet the removal, as the report then says."""
    stalls = "event-loop-blocked" in SHIPPED[name].switched_on
    return not stalls and all(s.raw.get("every", 1) == 1 for s in SHIPPED[name].step if s.kind == "fault")


@pytest.mark.parametrize("name", [name for name in NAMES if _is_steady(name)])
def test_nothing_is_left_behind(sweeps: Sweeps, name: str) -> None:
    """Whatever was created is gone when it is looked for; where nobody can look, the report says so."""
    found = [e.reason for e in sweeps[name].aws.errors if e.where == "left behind"]

    assert [reason for reason in found if "still there" in reason] == []
    assert bool(found) == (name in MLFLOW_OUT_OF_REACH)


def test_a_read_run_stays_within_its_requests() -> None:
    """A run of class read sends fewer than 150 requests and creates nothing."""
    with sandbox.start("healthy") as box:
        environment = {**bare_environment(), **box.environment}
        target = load(box.target_file, environment)
        only_read = target.model_copy(
            update={"allow": target.allow.model_copy(update={"classes": ("read",)})}
        )
        report = run(only_read, environment=environment)

    writing = {o.probe for o in report.observations if catalogue().probes[o.probe].safety != "read"}
    assert {o.probe for o in report.observations if o.status == "seen"} & writing == set()
    assert 0 < report.requests_sent < READ_REQUESTS, report.requests_sent


@pytest.mark.parametrize("number", range(PAIRS))
def test_another_fault_never_raises_the_score(sweeps: Sweeps, number: int, tmp_path: Path) -> None:
    """Two faults at once score no higher than each of them alone, overall; drawn anew in each run."""
    for one_name, other in islice(pairs(NAMES, SEED + number), MOST_DRAWN):
        both = tmp_path / f"{one_name}--{other}.toml"
        both.write_text(combined(one_name, other), encoding="utf-8")
        with contextlib.suppress(sandbox.SandboxError):  # one of them took away what the other one breaks
            worse = one(str(both)).aws.score.overall.percent or 0
            alone = {name: sweeps[name].aws.score.overall.percent or 0 for name in (one_name, other)}
            assert worse <= min(alone.values()), (both.stem, worse, alone)
            return
    pytest.fail(f"none of {MOST_DRAWN} pairs could be joined")
