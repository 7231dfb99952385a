"""From observations to a report, and judging a recorded run again. Nothing here sends a request."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from _facts import DENIED, OUTSIDE, TARGET, hosts_facts, inside, outside, unavailable

import hokusai_probe as hp
from hokusai_probe import runner
from hokusai_probe.declare import Catalogue
from hokusai_probe.looking import Entry
from hokusai_probe.model import Error, Facts, Observation, Owner, Report, Target
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.runner import Options, conclude, targeted

WHEN = datetime(2025, 8, 5, 9, 27, tzinfo=UTC)


def observations(facts: dict[str, Facts]) -> list[Observation]:
    """Looks that were taken."""
    return [
        Observation(probe=f.probe, started_at=WHEN, duration_s=0.1, status="seen", facts=f)
        for f in facts.values()
    ]


def reported(real: Catalogue, facts: dict[str, Facts], only: frozenset[str] | None = None) -> Report:
    """The report of these facts."""
    wanted = frozenset(real.checks) if only is None else only
    return conclude(TARGET, observations(facts), wanted, began=WHEN, options=Options(trigger="deploy"))


def test_a_healthy_platform_has_a_hundred_percent_and_nothing_to_say(real: Catalogue) -> None:
    """No diagnosis but denials, nothing unexplained, no error of ours."""
    found = reported(real, outside() | inside())
    assert found.score.overall.percent == 100.0
    assert [d.cause for d in found.diagnoses if d.status != "ruled_out"] == []
    assert (found.unexplained, found.errors, found.trigger) == ((), (), "deploy")


def test_breaking_more_never_raises_the_score(real: Catalogue) -> None:
    """Facts turned bad one after another: the percentage only falls."""
    facts = outside() | inside()
    percents = [reported(real, facts).score.overall.percent or 0.0]
    for name, bad in {
        "hosts": hosts_facts(auth=unavailable()),
        "aws_identity": AwsIdentityFacts(failure=DENIED),
    }.items():
        facts |= {name: bad}
        percents.append(reported(real, facts).score.overall.percent or 0.0)
    assert percents == sorted(percents, reverse=True)
    assert len(set(percents)) == 3


def test_only_some_verdicts_are_reported_and_all_are_weighed(real: Catalogue) -> None:
    """The diagnosis rests on everything that was seen; score and unexplained on what was asked for."""
    facts = {"hosts": hosts_facts(auth=unavailable())}
    found = reported(real, facts, frozenset({"registry-host-answers"}))
    assert [(v.check, v.status) for v in found.verdicts] == [("registry-host-answers", "pass")]
    assert found.score.overall.percent == 100.0
    assert [d.cause for d in found.present()] == ["auth-service-down"]
    assert found.unexplained == ()


def test_a_check_that_waits_for_one_not_asked_for_says_what_is_wrong_there(real: Catalogue) -> None:
    """Else the reader would learn nothing but the name of a check that is not in the report."""
    waits = Observation(
        probe="model-registration",
        started_at=WHEN,
        duration_s=0,
        status="skipped",
        reason="registry-host-answers did not pass",
        skip_kind="blocked",
        waited_for="registry-host-answers",
    )
    seen = Observation(
        probe="hosts",
        started_at=WHEN,
        duration_s=0,
        status="seen",
        facts=hosts_facts(registry=unavailable()),
    )
    everything = conclude(TARGET, (seen, waits), frozenset(real.checks), began=WHEN).verdicts
    alone = conclude(TARGET, (seen, waits), frozenset({"artifact-survives"}), began=WHEN).verdicts
    why = next(v.reason for v in everything if v.check == "registry-host-answers")

    assert [v.reason for v in alone] == [f"registry-host-answers did not pass: {why}"]
    assert {v.reason for v in everything if v.skip_kind == "blocked"} >= {
        "registry-host-answers did not pass"
    }


@pytest.mark.parametrize("facts", [outside() | inside(), outside(hosts=hosts_facts(auth=unavailable()))])
def test_a_replay_of_a_recorded_report_is_the_report(real: Catalogue, facts: dict[str, Facts]) -> None:
    """Read back from JSON and judged again by the same version: the same text."""
    first = reported(real, facts)
    assert hp.replay(Report.read(first.to_json())).to_json() == first.to_json()


def test_a_replay_without_aws_knows_nothing_that_aws_said(real: Catalogue) -> None:
    """What rests on AWS is skipped as not configured, the rest judged as in a run that did not look there."""
    through_aws = {p.slug for p in real.probes.values() if "aws" in p.needs}
    found = hp.replay(reported(real, outside() | inside()), aws=False)
    alone = {v.check: v.status for v in reported(real, outside()).verdicts}

    assert {(o.status, o.skip_kind) for o in found.observations if o.probe in through_aws} == {
        ("skipped", "not-configured")
    }
    assert {v.check: v.status for v in found.verdicts if v.probe not in through_aws} == {
        slug: status for slug, status in alone.items() if real.checks[slug].probe not in through_aws
    }


def test_a_replay_reports_the_verdicts_that_the_run_did(real: Catalogue) -> None:
    """A run that was asked for one check is replayed for that one."""
    first = reported(real, outside(), frozenset({"auth-host-answers"}))
    assert [v.check for v in hp.replay(first).verdicts] == ["auth-host-answers"]


def test_what_was_left_behind_is_an_error_of_ours(real: Catalogue) -> None:
    """Whatever the platform did, leftovers are named."""
    answered = hosts_facts().hosts["api"].health
    left = RegistrationFacts(
        name="n",
        sent_sha256="x",
        experiment=answered,
        entries=(Entry(kind="run", name="n", removed=False),),
        leftovers=("run n is still on the platform",),
    )
    found = reported(real, outside(registration=left))
    assert found.errors == (Error(where="left behind", reason="run n is still on the platform"),)


def test_public_names_stay_what_they_are_once_everything_is_loaded() -> None:
    """A module of the same name must not take the place of ``hp.look`` after the first run."""
    code = "import hokusai_probe as hp, hokusai_probe.runner, hokusai_probe.cli; print(callable(hp.look))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"


def test_a_word_that_chooses_nothing_is_a_usage_error() -> None:
    """Before the first request, with what was probably meant."""
    with pytest.raises(
        hp.UsageError, match=r"'auth-host-answer' is no area, look or check .*auth-host-answers"
    ):
        hp.run(TARGET, only=["auth-host-answer"], environment={})
    with pytest.raises(hp.UsageError, match="'auth-host-answers' is not a look"):
        runner.look("auth-host-answers", TARGET, environment={})


def test_an_area_without_checks_chooses_nothing_and_is_no_mistake(real: Catalogue) -> None:
    """The area of facts without checks may be asked for: nothing is judged."""
    assert "audit" not in {c.area for c in real.checks.values()}
    found = hp.run(OUTSIDE, only=["audit"], environment={})
    assert {o.status for o in found.observations} == {"skipped"}
    assert (found.verdicts, found.diagnoses) == ((), ())


def test_two_observations_of_one_look_cannot_be_judged(real: Catalogue) -> None:
    """Which of them holds is for nobody to guess; a second round is another matter."""
    first = reported(real, outside())
    one = first.observations[0]
    twice = first.model_copy(update={"observations": (one, one)})
    again = first.model_copy(update={"observations": (one, one.model_copy(update={"round": 2}))})
    with pytest.raises(hp.UsageError, match=f"2 observations of '{one.probe}' in round 1"):
        hp.replay(twice)
    assert len(hp.replay(again).observations) == 2


def test_a_key_in_the_target_is_in_no_report() -> None:
    """Somebody pasted the key where a contact belongs: the report's copy of the target has it not."""
    key = "hk_test_Zx9qLmP2vR7tYw4B"
    target = TARGET.model_copy(update={"aws": None, "owners": {"mlflow": Owner(contact=key[8:])}})
    found = hp.run(target, only=["audit"], environment={"HOKUSAI_API_KEY": key})
    assert found.configuration.owners["mlflow"].contact == "[redacted]"


def test_a_running_loop_is_told_what_to_await() -> None:
    """In a notebook ``run`` cannot work; the error names what does."""

    async def notebook() -> None:
        hp.run(TARGET, environment={})

    with pytest.raises(hp.UsageError, match=r"await hokusai_probe\.arun"):
        asyncio.run(notebook())


def test_a_target_is_itself_or_what_a_name_stands_for() -> None:
    """A Target is used as it is; a shipped name is read."""
    assert targeted(TARGET, {}) is TARGET
    assert isinstance(targeted("hokusai-development", {}), Target)
