"""Experiments as files: those that ship are sound, and what is wrong in one is one sentence."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hokusai_probe import sandbox
from hokusai_probe.chaos.experiment import ExperimentError, experiment_names, load, parse
from hokusai_probe.cli import main
from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import selectors

NO_TARGET = "chaos breaks things, so it takes no target: it starts a sandbox of its own"
GOOD = """\
name = "own"
summary = "The cache stops"
source = "INC-26"

[[method]]
kind = "service"
service = "cache"
action = "stop"
"""


@pytest.mark.parametrize("name", experiment_names())
def test_what_ships_is_sound(name: str, real: Catalogue) -> None:
    """Its name is its file's, it says what it stands for, and looks and causes are some that there are."""
    found = load(name)

    assert found.name == name
    assert re.search(r"contract \d|INC-\d\d", found.source)
    assert set(found.looks) <= set(selectors(real))
    assert {*found.expect.causes, *found.expect.accept} <= set(real.causes)


def test_each_of_the_old_scenarios_has_a_successor() -> None:
    """The twelve of contract 9.8, by the names that they had."""
    sources = " ".join(load(name).source for name in experiment_names())

    assert set(re.findall(r"test_\w+", sources)) == {
        "test_mlflow_complete_failure_recovery", "test_database_connection_failure",
        "test_redis_connection_chaos", "test_circuit_breaker_cascading_failures",
        "test_message_queue_failure_isolation", "test_network_partition_simulation",
        "test_circuit_breaker_auto_reset", "test_manual_circuit_breaker_reset",
        "test_gradual_service_recovery", "test_service_health_persistence",
        "test_non_critical_service_failure_isolation", "test_timeout_handling_isolation",
    }  # fmt: skip


ACTIONS = "'deploy', 'restart', 'stop', 'crash' or 'hang'"
LISTED = "`hokusai-probe {}` lists them"
KINDS = "aws, service, fault, upload, disk, connections, kill-probe, sweep, request, limits"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 3", "1: name: input should be a valid string"),
        (GOOD.replace("source", "sorce"), "3: unknown key 'sorce'; did you mean 'source'?"),
        (
            GOOD.replace('"own"', '"My own"'),
            "1: name: 'My own' is no name: lower-case letters, digits and '-'",
        ),
        (
            GOOD.replace('"service"', '"servise"'),
            f"5: method 1: unknown kind 'servise'; did you mean 'service'? (allowed: {KINDS})",
        ),
        (f"{GOOD}at_s = 20\n", "9: method 1 at_s: it comes after the 15 s of hold_s"),
        (
            GOOD.replace("method", "rollback") + "at_s = 2\n",
            "9: rollback 1 at_s: only steps of the method have a time; these follow one another",
        ),
        (GOOD + '[[method]]\nkind = "limits"\n', "1: a step of kind 'limits' and [[limits]] go together"),
        (
            GOOD + '[[method]]\nkind = "disk"\nstate = "wet"\n',
            "9: method 2: the state of a step of kind 'disk': input should be 'small', 'full' or 'free'",
        ),
        (
            GOOD + '[expect]\ncuases = ["x"]\n',
            "10: unknown key 'expect cuases'; did you mean 'causes'?",
        ),
        (GOOD.replace('kind = "service"\n', ""), "5: method 1 kind: it is missing"),
        (
            GOOD + '[[method]]\nkind = "sweep"\nmib = 3\n',
            "9: method 2: a step of kind 'sweep' has no key 'mib' (allowed: none)",
        ),
        (
            GOOD + "[expect]\ncould = { read = 50 }\n",
            "10: expect could read: input should be less than or equal to 1",
        ),
        (
            GOOD + '[expect]\nsubjects = { a = ["mlflow"] }\n',
            "10: expect subjects a: it is none of the causes that must be named",
        ),
        (
            GOOD + "[expect]\ncuts_uploads = true\n",
            "10: expect cuts_uploads: there is no step of kind 'upload' that could be cut short",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, says: str) -> None:
    """With the file, the line, the place and what was meant."""
    with pytest.raises(ExperimentError) as error:
        parse(text, "own.toml", sandbox.line_in)

    assert str(error.value) == f"own.toml:{says}"


def test_what_is_not_toml_is_told_in_the_readers_words() -> None:
    """Which name the place themselves."""
    with pytest.raises(ExperimentError) as error:
        parse("name = ", "own.toml", sandbox.line_in)

    assert str(error.value) == "own.toml: not TOML: Invalid value (at end of document)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name an experiment, or --all; `hokusai-probe chaos --list` lists them"),
        (["https://registry.example"], f"'https://registry.example' is a target: {NO_TARGET}"),
        (["hokusai-development"], f"'hokusai-development' is a target: {NO_TARGET}"),
        (
            ["cache-lots"],
            "no experiment 'cache-lots'; did you mean 'cache-lost'? `hokusai-probe chaos --list` lists them",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_exit_2(arguments: list[str], says: str) -> None:
    """Before any sandbox starts; a real target above all."""
    found = CliRunner().invoke(main, ["chaos", *arguments])

    assert (found.exit_code, found.stderr) == (2, f"error: {says}\n")


def test_a_target_file_is_told_from_an_experiment(tmp_path: Path) -> None:
    """It is refused as what it is."""
    path = tmp_path / "target.toml"
    path.write_text('name = "x"\n[hosts]\nregistry = "https://registry.example"\n')
    found = CliRunner().invoke(main, ["chaos", str(path)])

    assert found.exit_code == 2
    assert found.stderr == f"error: '{path}' is a target: {NO_TARGET}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            GOOD.replace('"stop"', '"stopp"'),
            f":8: method 1: action: Input should be {ACTIONS}, not 'stopp'",
        ),
        (
            f'looks = ["resiliense"]\n{GOOD}',
            ": 'resiliense' is no area, look or check (did you mean resilience?); " + LISTED.format("checks"),
        ),
        (
            f'{GOOD}[expect]\ncauses = ["cache-unreachible"]\n',
            ": expect: no cause 'cache-unreachible'; did you mean 'cache-unreachable'? "
            + LISTED.format("causes"),
        ),
        (
            f'sandbox = "healthi"\n{GOOD}',
            ": no scenario 'healthi'; did you mean 'healthy'? `hokusai-probe scenarios` lists them",
        ),
    ],
)
def test_what_could_not_be_carried_out_is_refused_before_a_sandbox_starts(
    text: str, says: str, tmp_path: Path
) -> None:
    """Steps in the sandbox's own words; looks and causes that there are not."""
    path = tmp_path / "own.toml"
    path.write_text(text)
    found = CliRunner().invoke(main, ["chaos", str(path)])

    assert (found.exit_code, found.stderr) == (2, f"error: {path}{says}\n")


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    """One page would be written over the other."""
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace('"own"', '"cache-lost"'))
    found = CliRunner().invoke(main, ["chaos", "cache-lost", str(path)])

    said = "two experiments are named 'cache-lost', and each has a page of its own: give one another name"
    assert (found.exit_code, found.stderr) == (2, f"error: {said}\n")


def test_the_list_names_what_ships() -> None:
    """A line each, and at least twelve."""
    found = CliRunner().invoke(main, ["chaos", "--list"])

    assert [line.split()[0] for line in found.stdout.splitlines()] == experiment_names()
    assert len(experiment_names()) >= 12
