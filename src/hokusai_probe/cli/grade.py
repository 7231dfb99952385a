"""``grade``: run the scenarios, and see whether the causes that were put in are the causes that are named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import click

from hokusai_probe.cli.output import columns, say, try_writing, write
from hokusai_probe.cli.run import boxed, in_box, looked
from hokusai_probe.declare import catalogue
from hokusai_probe.grading import Expectation, Grade, Graded, Mode, total
from hokusai_probe.grading import grade as compare
from hokusai_probe.model import SAFETY_CLASSES
from hokusai_probe.runner import Options


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe grade\n  hokusai-probe grade key-unknown --no-aws --seed 7"
)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO|FILE ...]")
@click.option("--no-aws", is_flag=True, help="Grade runs that look from outside only.")
@click.option("--seed", type=int, help="Names and addresses; printed when it is chosen here.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the grades as JSON.")
@click.pass_context
def grade(
    ctx: click.Context, scenarios: tuple[str, ...], no_aws: bool, seed: int | None, json_file: str | None
) -> None:
    """Run SCENARIOs (all that ship, by default) in the sandbox and grade the diagnosis.

    Exit code 0 when every one is right, 1 otherwise.
    """
    try_writing(json_file)
    graded = total(_grades(scenarios or _shipped(), "no-aws" if no_aws else "aws", seed))
    if json_file is not None:
        write(json_file, graded.model_dump_json(indent=2) + "\n")
    say(summary(graded), err=json_file == "-")
    ctx.exit(0 if graded.totals.right == graded.totals.scenarios else 1)


def _shipped() -> tuple[str, ...]:
    from hokusai_probe import sandbox

    return tuple(sandbox.scenario_names())


def _grades(scenarios: tuple[str, ...], mode: Mode, seed: int | None) -> Iterator[Grade]:
    from hokusai_probe import sandbox

    with sandbox.warm() if len(scenarios) > 1 else nullcontext():
        for name in scenarios:
            found = _one(name, mode, seed)
            say(_line(found), err=True)
            yield found


def _one(name: str, mode: Mode, seed: int | None) -> Grade:
    with boxed(name, seed) as box:
        report = looked(in_box(box), Options(aws=mode == "aws", allow=SAFETY_CLASSES), quiet=True)
        expected = Expectation.model_validate(box.expect)
    return compare(Path(name).stem, mode, expected, report, catalogue())


def _line(found: Grade) -> str:
    wrong = [f"false {c}" for c in found.false_causes]
    wrong += [f"missed {c}{', unknown to this version' * (c in found.unknown)}" for c in found.missed]
    rest = ", ".join(wrong) or ("as expected" if found.right else "not as expected")
    return (
        f"{'right' if found.right else 'WRONG':6}{found.name} [{found.mode}] {rest} ({found.seconds:.1f} s)"
    )


def summary(graded: Graded) -> str:
    """What the grades come to, for people."""
    t = graded.totals
    return columns([
        ("scenarios right", f"{t.right} of {t.scenarios}"),
        ("false causes", str(t.false_causes)),
        ("missed causes", str(t.missed)),
        ("left undecided", str(t.abstained)),
        ("component right", f"{t.component_right} of {t.scenarios}"),
        ("baseline (status codes only) right", f"{t.baseline_right} of {t.scenarios}"),
        ("baseline false causes", str(t.baseline_false)),
    ])  # fmt: skip
