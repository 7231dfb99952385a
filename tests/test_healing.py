"""Remedies are carried out as they are printed: without a shell, on this machine alone."""

import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment
from hokusai_probe.config import load
from hokusai_probe.healing import Hands, HealingError, Pipeline, heal, is_healable, is_well, pipeline
from hokusai_probe.model import Report
from hokusai_probe.runner import run

SLOW = ("trained-model", "mlflow-client")


def test_a_line_is_split_as_a_shell_splits_it() -> None:
    """Quotes hold words together, a bar hands on, and what is left over goes to a file."""
    assert pipeline("aws ecs x --q 'a | b' | python3 -c 'p > q' one > new.json") == Pipeline(
        programs=(("aws", "ecs", "x", "--q", "a | b"), ("python3", "-c", "p > q", "one")), into="new.json"
    )


@given(st.lists(st.text(alphabet=st.characters(codec="ascii", exclude_characters="|&;<>()$`\n\r"))))
def test_quoted_words_come_through_whole(words: list[str]) -> None:
    """What a remedy quotes arrives as it was, blanks, quotes and backslashes too."""
    assert pipeline(shlex.join(["aws", *words])) == Pipeline(programs=(("aws", *words),))


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf x",
        "aws s3 ls && aws s3 rb x",
        "aws s3 ls; ls",
        "aws s3 ls $(id)",
        "aws s3 ls `id`",
        "aws s3 ls > /etc/x",
        "aws s3 ls > ../x",
        "aws s3 ls | tee x",
        "aws s3 ls |",
        "aws 's3",
        "",
        "# by hand: rule 10",
    ],
)
def test_what_no_remedy_has_is_refused(line: str) -> None:
    """Another program, another operator, another directory: nothing of it is run."""
    with pytest.raises(HealingError):
        pipeline(line)


@pytest.mark.parametrize(
    "url", ["", "https://ecs.us-east-1.amazonaws.com", "http://10.0.0.1:80", "http://name:1"]
)
def test_nothing_is_carried_out_off_this_machine(url: str, tmp_path: Path) -> None:
    """AWS is an address of this machine, or no command runs."""
    with pytest.raises(HealingError, match="not on this machine"):
        Hands(url, {}, _never).carry_out(["aws --version"])


def _never() -> Report:
    pytest.fail("nothing is looked at")


def test_a_command_that_fails_ends_it(tmp_path: Path) -> None:
    """What follows is not run, and what it said is kept."""
    failing = "python3 -c 'import sys; sys.exit(\"no such thing\")'"
    ran = Hands("http://127.0.0.1:1", {}, _never).carry_out(["python3 -c 0", failing, "python3 -c 0"])

    assert [(r.exit_code, r.said) for r in ran] == [(0, ""), (1, "no such thing")]


# --- live -----------------------------------------------------------------------------------------------


class Patient:
    """A broken sandbox, what was seen of it, and hands to mend it."""

    def __init__(self, box: sandbox.Box) -> None:
        environment = {**bare_environment(), **box.environment}
        target = load(box.target_file, environment)
        self.look: Callable[[], Report] = partial(run, target, environment=environment, skip=SLOW)
        assert target.aws is not None
        self.hands = Hands(target.aws.endpoint_url or "", environment, self.look)
        self.report = self.look()


@pytest.fixture
def patients() -> Iterator[Callable[[str, int], Patient]]:
    """Sandboxes that end with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda name, seed: Patient(stack.enter_context(sandbox.start(name, seed)))


Patients = Callable[[str, int], Patient]


def test_a_remedy_heals_and_nothing_else_does(patients: Patients) -> None:
    """Another cause's remedy leaves a platform as ill as it was; its own, as printed, makes it well."""
    ill, other = patients("gateway-mlflow-url-wrong", 4711), patients("listener-rule-shadowed", 4711)
    assert is_healable(ill.report)
    assert is_healable(other.report)

    strange = next(d.remedy for d in other.report.roots())
    assert strange is not None
    ill.hands.carry_out(strange.aws_cli)
    assert not is_well(ill.look())

    healed = heal(ill.report, ill.hands)
    assert [(r.exit_code, r.said) for r in healed.ran] == [(0, "")] * len(healed.ran)
    assert (healed.outcome, healed.causes, healed.left) == ("healed", ("gateway-mlflow-url-wrong",), ())


def test_two_changes_of_one_revision_do_not_undo_each_other(patients: Patients) -> None:
    """Causes are mended one after the other: each starts from what the one before it left."""
    ill = patients("2025-08-05", 4712)

    healed = heal(ill.report, ill.hands)

    assert (healed.outcome, healed.left) == ("healed", ())
    assert len(healed.causes) == 3


def test_what_needs_a_person_is_left_to_one(patients: Patients) -> None:
    """Nothing is carried out where one of the remedies cannot be pasted."""
    ill = patients("key-unknown", 4713)

    assert heal(ill.report, ill.hands).model_dump() == {
        "outcome": "n/a",
        "causes": (),
        "ran": (),
        "left": (),
        "seconds": 0.0,
    }
