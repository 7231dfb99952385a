"""``hokusai-probe load``: a load test that is safe to point at a platform that people use."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from pydantic import ValidationError

from hokusai_probe.cli.output import hide, redactor, say, try_writing, write, writing
from hokusai_probe.cli.run import Place, classes, place, with_sandbox
from hokusai_probe.model import KeyNames, SafetyClass
from hokusai_probe.reports import files
from hokusai_probe.runner import Control, UsageError
from hokusai_probe.text import terminal

if TYPE_CHECKING:
    from hokusai_probe.load import Kind, LoadReport, Plan

EPILOG = """\b
Examples:
  hokusai-probe load --sandbox
  hokusai-probe load --sandbox --mix search=3,registration=1 --rate 2 --seconds 10 --reports out/
  hokusai-probe load --sandbox --concurrent-registrations 5
  hokusai-probe load hokusai-development --ramp --rate 10 --allow disruptive
  hokusai-probe load --replay out/load.json
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; None: it does not say."""

    mix: Mapping[Kind, int] | None
    rate: float | None
    seconds: float | None
    at_once: int | None
    together: int | None
    artifact_bytes: int | None
    ramp: bool


def weights(_: click.Context, __: click.Parameter, value: str | None) -> Mapping[Kind, int] | None:
    """``search=2,registration=1`` as weights; a kind alone weighs 1."""
    from hokusai_probe.load import Kind

    if not value:
        return None
    kinds: tuple[Kind, ...] = get_args(Kind)
    found: dict[Kind, int] = {}
    for word in value.split(","):
        kind, _equals, weight = word.strip().partition("=")
        if kind not in kinds:
            msg = f"{kind!r} is nothing that a load sends; there are {', '.join(kinds)}"
            raise click.BadParameter(msg)
        if weight and not (weight.isdecimal() and 0 < int(weight) <= 1000):
            msg = f"the weight of {kind} must be a whole number from 1 to 1000"
            raise click.BadParameter(msg)
        found[kind] = int(weight or 1)
    return found


@click.command(epilog=EPILOG)
@click.argument("arguments", nargs=-1, metavar="[TARGET]")
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Load a sandbox; the word that follows is a scenario."
)
@click.option(
    "--mix", callback=weights, metavar="KIND=N,...",
    help="What to send, by weight: search, models, health, registration, upload, download.",
)  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N",
              help="Starts a second; of a ramp the highest.  [default: 5]")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S",
              help="For how long starts come.  [default: 20]")  # fmt: skip
@click.option("--at-once", type=click.IntRange(min=1), metavar="N", help="How many may be under way.")
@click.option("--ramp", is_flag=True, help="Rise in four stages, as long as the one before holds.")
@click.option("--concurrent-registrations", "together", type=click.IntRange(min=1), metavar="N",
              help="Register so many models at the same moment, again and again.")  # fmt: skip
@click.option("--artifact-bytes", type=click.IntRange(min=1), metavar="N",
              help="The size of what is stored and fetched.  [default: 16384]")  # fmt: skip
@click.option(
    "--allow", callback=classes, metavar="CLASS,...",
    help="Allow disruptive (and write, where it creates), if the target does not.",
)  # fmt: skip
@click.option("--reports", metavar="DIR", help="Write load.md, load.json and two pictures here.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the record as JSON.")
@click.option("--replay", metavar="FILE", help="Judge a recorded load again; nothing is sent.")
@click.option("--seed", type=int, help="Names and addresses of the sandbox.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def load(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    in_sandbox: bool,
    mix: Mapping[Kind, int] | None,
    rate: float | None,
    seconds: float | None,
    at_once: int | None,
    ramp: bool,
    together: int | None,
    artifact_bytes: int | None,
    allow: tuple[SafetyClass, ...],
    reports: str | None,
    json_file: str | None,
    replay: str | None,
    seed: int | None,
    quiet: bool,
) -> None:
    """Send TARGET a bounded load at a constant rate, and say how it fared.

    Never more than 20 requests a second, 60 s, 1,200 requests, 10 at once and 50 MB; [load] of the target
    lowers these. It ends by itself on a 429, on three server errors in a row, on more than 10 % of errors
    and when the p95 is five times what it was before. What it creates is removed again. Exit code 0:
    nothing fails. 1: something does. 3: it was aborted, nobody can tell, or our own trouble. 130, 143:
    interrupted, after clearing up.
    """
    wanted = Wanted(mix, rate, seconds, at_once, together, artifact_bytes, ramp)
    _try_writing(reports, json_file)
    if replay is not None:
        _refuse_both(arguments, wanted, in_sandbox=in_sandbox)
        ctx.exit(_emit(_recorded(replay), reports, json_file))
    plan = planned(wanted)
    with place(*with_sandbox(arguments, sandbox=in_sandbox), seed) as where:
        report = asyncio.run(_loaded(where, plan, allow, quiet=quiet))
        code = _emit(report, reports, json_file)
    ctx.exit(code)


def planned(wanted: Wanted) -> Plan:
    """The plan that a command line means. Raises UsageError where its words come to none."""
    try:
        return _planned(wanted)
    except ValidationError as error:
        msg = f"there is no such load: {_first(error)}"
        raise UsageError(msg) from None


def _first(error: ValidationError) -> str:
    """Where the first mistake is, and which it is."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole file'}: {first['msg']}"


def _planned(wanted: Wanted) -> Plan:
    from hokusai_probe.load import CAPS, Plan, Stage
    from hokusai_probe.load.plan import READS, REQUESTS, USUAL

    mix: Mapping[Kind, int] = wanted.mix or READS
    at_once = wanted.at_once or CAPS.at_once
    if wanted.together is not None:
        _exclude(wanted, "mix", "ramp", with_="--concurrent-registrations")
        mix = {"registration": 1}
    if wanted.ramp:
        _exclude(wanted, "seconds", "artifact_bytes", with_="--ramp")
        return Plan.ramping(wanted.rate or 10, mix, at_once)
    each = sum(REQUESTS[kind] * weight for kind, weight in mix.items()) / sum(mix.values())
    rate = wanted.rate or min(5.0, CAPS.requests_per_s / 2 / each)
    size = wanted.artifact_bytes or USUAL.artifact_bytes
    stages = (Stage(rate=rate, seconds=wanted.seconds or 20),)
    return Plan(mix=mix, stages=stages, burst=wanted.together or 1, at_once=at_once, artifact_bytes=size)


def _exclude(wanted: Wanted, *names: str, with_: str) -> None:
    for name in names:
        if getattr(wanted, name):
            msg = f"{with_} and --{name.replace('_', '-')} exclude each other: the one decides on the other"
            raise UsageError(msg)


def _refuse_both(arguments: tuple[str, ...], wanted: Wanted, *, in_sandbox: bool) -> None:
    if arguments or in_sandbox or wanted != Wanted(None, None, None, None, None, None, ramp=False):
        msg = "--replay judges what is recorded and sends nothing: give neither a TARGET nor a load with it"
        raise UsageError(msg)


def _try_writing(reports: str | None, json_file: str | None) -> None:
    if reports is not None:
        writing(reports, files.try_folder)
    try_writing(json_file)


def _recorded(path: str) -> LoadReport:
    """A record from a file. Raises UsageError naming the file and what is wrong in it."""
    import os

    from hokusai_probe.load import LoadReport
    from hokusai_probe.load.record import SCHEMA_VERSION

    hide(KeyNames(), os.environ)
    try:
        return LoadReport.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        raise UsageError(msg) from None
    except ValidationError as error:
        msg = f"{path} is no record of a load: {_first(error)}"
        if any(wrong["loc"] == ("schema_version",) for wrong in error.errors()):
            msg = (
                f"{path} is written in another version of the schema of loads than {SCHEMA_VERSION}, "
                "which this hokusai-probe reads: use the hokusai-probe that wrote it"
            )
        raise UsageError(msg) from None


async def _loaded(where: Place, plan: Plan, allow: tuple[SafetyClass, ...], *, quiet: bool) -> LoadReport:
    """Carry it out, ending in good order on SIGINT and SIGTERM."""
    from hokusai_probe.load import arun

    control = Control()
    if not quiet:
        control.note = lambda text: say(terminal(text), err=True)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, control, number)
    return await arun(where.target, plan, allow=allow, environment=where.environment, control=control)


def _stop(control: Control, number: signal.Signals) -> None:
    control.signal = control.signal or number.name
    control.stop.set()


def _emit(report: LoadReport, reports: str | None, json_file: str | None) -> int:
    """Write the record where it was asked for, the summary where the JSON is not. Returns the exit code."""
    from hokusai_probe.load import judge, markdown, write_documents

    shown = redactor().model(report)
    if reports is not None:
        writing(reports, partial(write_documents, shown))
    if json_file is not None:
        write(json_file, shown.to_json())
    say(terminal(markdown(shown)).removesuffix("\n"), err=json_file == "-")
    return judge(shown).exit_code


__all__ = ["load", "planned", "weights"]
