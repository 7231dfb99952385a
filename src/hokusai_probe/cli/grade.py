"""``grade``: run the scenarios, and see whether the causes that were put in are the causes that are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from hokusai_probe.accuracy import figures, rows
from hokusai_probe.cli.output import columns, say, try_writing, write
from hokusai_probe.cli.run import Place, boxed, in_box, looked
from hokusai_probe.declare import catalogue
from hokusai_probe.grading import Expectation, Grade, Graded, Heal, Mode, total
from hokusai_probe.grading import grade as compare
from hokusai_probe.healing import Hands, check_programs
from hokusai_probe.healing import heal as mend
from hokusai_probe.model import SAFETY_CLASSES, Report
from hokusai_probe.reports import answer
from hokusai_probe.runner import Options

_OUTCOMES: Mapping[Heal | None, str] = {
    None: "",
    "healed": ", healed",
    "not": ", NOT HEALED",
    "n/a": ", no remedy to paste",
}


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe grade\n  hokusai-probe grade key-unknown --no-aws --seed 7"
)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO|FILE ...]")
@click.option("--no-aws", is_flag=True, help="Grade runs that look from outside only.")
@click.option(
    "--heal", is_flag=True, help="Carry the remedies out, where they can be pasted, and look again."
)
@click.option("--seed", type=int, help="Names and addresses; printed when it is chosen here.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the grades as JSON.")
@click.pass_context
def grade(
    ctx: click.Context,
    scenarios: tuple[str, ...],
    no_aws: bool,
    heal: bool,
    seed: int | None,
    json_file: str | None,
) -> None:
    """Run SCENARIOs (all that ship, by default) in the sandbox and grade the diagnosis.

    With --heal the AWS CLI commands of the remedies are carried out as they are printed, on the sandbox
    alone. A remedy that needs a value or a person is not; its scenario counts as n/a.

    Exit code 0 when every one is right and none stayed ill, 1 otherwise. Interrupted while it looks, it tells
    what it has.
    """
    try_writing(json_file)
    if heal:
        check_programs()
    how = How("no-aws" if no_aws else "aws", seed, heal=heal)
    found: list[Grade] = []
    interrupted = None
    try:
        found.extend(_grades(scenarios or _shipped(), how))
    except _InterruptedError as stop:
        interrupted = stop.exit_code
    graded = total(found)
    if json_file is not None:
        write(json_file, graded.model_dump_json(indent=2) + "\n")
    say(summary(graded), err=json_file == "-")
    t = graded.totals
    ctx.exit(interrupted or (0 if t.right == t.scenarios and t.healed == t.healable else 1))


@dataclass(frozen=True, slots=True)
class How:
    """How scenarios are graded."""

    mode: Mode
    seed: int | None
    heal: bool = False


class _InterruptedError(Exception):
    """A signal ended the run that was under way; ``exit_code`` says which."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def _shipped() -> tuple[str, ...]:
    from hokusai_probe import sandbox

    return tuple(sandbox.scenario_names())


def _grades(scenarios: tuple[str, ...], how: How) -> Iterator[Grade]:
    from hokusai_probe import sandbox

    with sandbox.warm() if len(scenarios) > 1 else nullcontext():
        for name in scenarios:
            found = _one(name, how)
            say(_line(found), err=True)
            yield found


def _one(name: str, how: How) -> Grade:
    with boxed(name, how.seed) as box:
        place = in_box(box)
        look = partial(_uninterrupted, place, Options(aws=how.mode == "aws", allow=SAFETY_CLASSES))
        report = look()
        expected = Expectation.model_validate(box.expect)
        found = compare(Path(name).stem, how.mode, expected, report, catalogue())
        if not how.heal:
            return found
        return found.model_copy(update={"heal": _healed(place, report, look, expected)})


def _uninterrupted(place: Place, options: Options) -> Report:
    report = looked(place, options, quiet=True)
    if report.interrupted is not None:
        raise _InterruptedError(answer.exit_code(report))
    return report


def _healed(place: Place, report: Report, look: Callable[[], Report], expected: Expectation) -> Heal:
    """Carry the remedies out, and say what was carried out where that did not help."""
    endpoint = place.target.aws.endpoint_url if place.target.aws else None
    outcome = mend(report, Hands(endpoint or "", place.environment, look), masked=expected.unseen)
    if outcome.outcome == "not":
        for ran in outcome.ran:
            say(f"       {ran.exit_code:3} {ran.command} {ran.said}", err=True)
        say(f"       left: {', '.join(outcome.left) or 'what nothing explains'}", err=True)
    return outcome.outcome


def _line(found: Grade) -> str:
    wrong = [f"false {c}" for c in found.false_causes]
    wrong += [f"missed {c}{', unknown to this version' * (c in found.unknown)}" for c in found.missed]
    rest = ", ".join(wrong) or ("as expected" if found.right else "not as expected")
    healed = {"healed": ", healed", "not": ", NOT HEALED", "n/a": ", no remedy to paste"}.get(
        found.heal or "", ""
    )
    word = "right" if found.right else "WRONG"
    return f"{word:6}{found.name} [{found.mode}] {rest}{healed} ({found.seconds:.1f} s)"


def summary(graded: Graded) -> str:
    """What the grades come to, for people."""
    return columns(list(rows(figures(graded))))
