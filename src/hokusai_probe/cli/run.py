"""``run``, ``replay`` and ``verify``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from pydantic import BaseModel, ValidationError

from hokusai_probe import config, sandbox
from hokusai_probe.cli.output import hide, is_terminal, progress, redactor, say, try_writing, write, writing
from hokusai_probe.declare import Catalogue, catalogue
from hokusai_probe.diagnose import is_trouble
from hokusai_probe.history.past import Past
from hokusai_probe.model import (
    PROBE_OF_FACTS,
    SAFETY_CLASSES,
    SCHEMA_VERSION,
    Facts,
    Report,
    SafetyClass,
    Target,
    Trigger,
)
from hokusai_probe.reports import answer, console, discretion, files, junit, step_summary
from hokusai_probe.reports import write as write_documents
from hokusai_probe.reports.layout import plural
from hokusai_probe.reports.trend import Trend
from hokusai_probe.runner import Control, Options, UsageError, carry_out
from hokusai_probe.runner import replay as judge_again
from hokusai_probe.text import terminal
from hokusai_probe.workflow import SHA

ACTIONS = "GITHUB_ACTIONS"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where a report goes beside the terminal. ``step_summary``: the file that GitHub shows under a job."""

    reports: str | None = None
    json: str | None = None
    junit: str | None = None
    step_summary: str | None = None
    history: str | None = None

    def try_writing(self) -> None:
        """Find out before looking whether the report can go there. Raises OutputError."""
        for folder in (self.reports, self.history):
            if folder is not None:
                writing(folder, files.try_folder)
        for where in (self.json, self.junit, self.step_summary):
            try_writing(where)


@dataclass(frozen=True, slots=True)
class Place:
    """A target with the environment in which it is looked at."""

    target: Target
    environment: Mapping[str, str]

    @classmethod
    def read(cls, where: str, environment: Mapping[str, str]) -> Place:
        """The target that a file, a URL or a shipped name stands for; its keys are hidden from here on."""
        target = config.load(where, environment)
        hide(target.key, environment)
        if "://" in where and environment.get(target.key.env, "").strip():
            host = target.hosts.registry.partition("://")[2]
            say(terminal(f"note: the key in {target.key.env} is sent to {host}"), err=True)
        return cls(target, environment)


def words(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    """A comma-separated option as a tuple."""
    return tuple(word.strip() for word in (value or "").split(",") if word.strip())


def classes(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[SafetyClass, ...]:
    """The safety classes that an option names."""
    named = words(ctx, parameter, value)
    wrong = [w for w in named if w not in SAFETY_CLASSES]
    if wrong:
        msg = f"{wrong[0]!r} is no class of looks; allowed are {', '.join(SAFETY_CLASSES)}"
        raise click.BadParameter(msg)
    return tuple(c for c in SAFETY_CLASSES if c in named)


def commit(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The commit that an option names; None where it is empty."""
    if not value:
        return None
    if not SHA.fullmatch(value):
        msg = "a commit is 40 or 64 hexadecimal digits in small letters"
        raise click.BadParameter(msg)
    return value


def with_sandbox(arguments: tuple[str, ...], *, sandbox: bool) -> tuple[str | None, str | None]:
    """The TARGET and the SCENARIO of a command line; ``--sandbox`` takes the one word that is left."""
    if len(arguments) > 1:
        msg = f"one TARGET or SCENARIO is enough, {len(arguments)} were given"
        raise UsageError(msg)
    word = arguments[0] if arguments else None
    return (None, word or "healthy") if sandbox else (word, None)


@contextmanager
def place(target: str | None, scenario: str | None, seed: int | None = None) -> Iterator[Place]:
    """The target to look at: a sandbox for as long as the block lasts, or the one that is named."""
    if scenario is None:
        yield Place.read(target or str(config.default()), os.environ)
        return
    with boxed(scenario, seed) as box:
        yield in_box(box)


def in_box(box: sandbox.Box) -> Place:
    """A sandbox as the place to look at, with its own keys and none of the user's."""
    return Place.read(str(box.target_file), {**bare_environment(), **box.environment})


@contextmanager
def boxed(scenario: str, seed: int | None) -> Iterator[sandbox.Box]:
    """A sandbox; what keeps it from starting becomes one sentence."""
    try:
        with sandbox.start(scenario, seed) as box:
            yield box
    except sandbox.SandboxError as error:
        raise UsageError(str(error)) from None


def bare_environment() -> dict[str, str]:
    """The environment without the user's keys and AWS settings: a sandbox ignores both."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HOKUSAI_", "MLFLOW_"))}


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe run\n  hokusai-probe run --sandbox 2025-08-05 --reports out/"
)
@click.argument("arguments", nargs=-1, metavar="[TARGET]")
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Look at a sandbox; the word that follows is a scenario."
)
@click.option("--only", callback=words, metavar="SEL,...", help="Only these areas, looks or checks.")
@click.option("--skip", callback=words, metavar="SEL,...", help="Not these areas, looks or checks.")
@click.option("--no-aws", is_flag=True, help="Look from outside only.")
@click.option(
    "--allow", callback=classes, metavar="CLASS,...", help="Allow write, hostile, disruptive looks."
)
@click.option("--reports", metavar="DIR", help="Write the report's documents here.")
@click.option("--history", metavar="DIR", help="Keep what matters of the run here, and say what changed.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the report as JSON.")
@click.option("--junit", "junit_file", metavar="FILE|-", help="Write the verdicts as JUnit XML.")
@click.option(
    "--settle",
    type=click.FloatRange(min=0, max=3600),
    default=0.0,
    metavar="SECONDS",
    help="First wait until no rollout is under way.",
)
@click.option("--trigger", type=click.Choice(["schedule", "deploy", "manual"]), default="manual")
@click.option(
    "--verified-sha", callback=commit, metavar="SHA", help="The commit whose deployment is looked at."
)
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="When the next run is due, so that a history can tell which were missed.",
)
@click.option("--public", is_flag=True,
              help="Everybody may read what is written: name no sensitive cause anywhere.")  # fmt: skip
@click.option("--fail-on", type=click.Choice(["failure", "trouble", "never"]), default="failure",
              help="What makes the exit code other than 0.")  # fmt: skip
@click.option("--seed", type=int, help="Names and addresses of the sandbox.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    in_sandbox: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    no_aws: bool,
    allow: tuple[SafetyClass, ...],
    reports: str | None,
    history: str | None,
    json_file: str | None,
    junit_file: str | None,
    settle: float,
    trigger: Trigger,
    verified_sha: str | None,
    every: float | None,
    public: bool,
    fail_on: answer.FailOn,
    seed: int | None,
    quiet: bool,
) -> None:
    """Look at TARGET, judge, name the causes, and report.

    TARGET is a TOML file, a URL, or the name of a target that ships; without it ./hokusai-probe.toml.
    The key comes from the environment variable that the target names (HOKUSAI_API_KEY). In a job of GitHub
    Actions a summary is added to the file that GITHUB_STEP_SUMMARY names.
    """
    options = Options(
        only=only,
        skip=skip,
        aws=not no_aws,
        allow=allow,
        trigger=trigger,
        verified_sha=verified_sha,
        expected_interval_s=every,
    )
    sinks = Sinks(reports, json_file, junit_file, os.environ.get(STEP_SUMMARY) or None, history)
    if (json_file, junit_file) == ("-", "-"):
        msg = "standard output takes one document: give --json or --junit a file"
        raise UsageError(msg)
    sinks.try_writing()
    with place(*with_sandbox(arguments, sandbox=in_sandbox), seed) as where:
        report = looked(where, options, quiet=quiet, settle_s=settle)
    ctx.exit(emit(report, sinks, fail_on, everybody=public))


def looked(where: Place, options: Options, *, quiet: bool, settle_s: float = 0.0) -> Report:
    """Carry out a run, with progress, ending in good order on SIGINT and SIGTERM.

    ``settle_s``: how long at most to wait first for rollouts that are under way.
    """
    return asyncio.run(_looked(where, options, quiet=quiet, settle_s=settle_s))


async def _looked(where: Place, options: Options, *, quiet: bool, settle_s: float) -> Report:
    shown = progress(quiet=quiet)
    control = Control(note=lambda text: say(terminal(f"note: {text}"), err=True))
    if shown is not None:
        control.progress = shown
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, control, number)
    if settle_s:
        await _settled(where, control, settle_s, aws=options.aws)
    return await carry_out(where.target, options, control=control, environment=where.environment)


async def _settled(where: Place, control: Control, seconds: float, *, aws: bool) -> None:
    """Wait for rollouts, and say what for. Without AWS there is no telling when one is through."""
    from hokusai_probe.aws import AwsDoor
    from hokusai_probe.settling import settle

    if where.target.aws is None or not aws:
        control.note("--settle waits for nothing: AWS is not looked at")
        return
    async with AwsDoor(where.target.aws, redactor(), where.environment) as door:
        control.note(str(await settle(door, where.target.aws, seconds, control.stop, note=control.note)))


def _stop(control: Control, number: signal.Signals) -> None:
    control.signal = number.name
    control.stop.set()


def emit(report: Report, sinks: Sinks, fail_on: answer.FailOn = "failure", *, everybody: bool = False) -> int:
    """Write the report everywhere it was asked for; the summary goes where the JSON does not.

    Everything goes through the redactor once more, the target's own words too. ``everybody`` may read the
    files: nothing sensitive is in them. Returns the exit code, of the whole report. Raises OutputError.
    """
    whole = redactor().model(report)
    report = _for_everybody(whole) if everybody else whole
    past = _remembered(report, sinks.history)
    if sinks.reports is not None:
        trend = _over_time(report, sinks.history)
        writing(sinks.reports, lambda folder: write_documents(report, folder, past, trend))
    if sinks.json is not None:
        write(sinks.json, report.to_json())
    if sinks.junit is not None:
        write(sinks.junit, junit.render(report))
    if sinks.step_summary is not None:
        writing(sinks.step_summary, partial(_add_summary, report, past))
    _show(report, past, fail_on, on_error="-" in {sinks.json, sinks.junit})
    return answer.exit_code(whole, fail_on)


def _for_everybody(report: Report) -> Report:
    shown = discretion.to_publish(report)
    if shown.withheld:
        causes = plural(shown.withheld, "sensitive cause is", "sensitive causes are")
        say(f"note: {causes} in none of the files, because everybody may read them (--public)", err=True)
    return shown.report


def _show(report: Report, past: Past | None, fail_on: answer.FailOn, *, on_error: bool) -> None:
    """Tell the terminal; where that is a job's log, which may be public, nothing sensitive is named."""
    shown = discretion.Public(report, past)
    if os.environ.get(ACTIONS) == "true":
        shown = discretion.public(report, past)
    if shown.note:
        say(f"note: {shown.note}", err=True)
    stream = sys.stderr if on_error else sys.stdout
    said = console.render(shown.report, colour=is_terminal(stream), fail_on=fail_on, past=shown.past)
    say(said.removesuffix("\n"), err=on_error)


def _add_summary(report: Report, past: Past | None, file: Path) -> None:
    """Append the summary to what the step has said so far, within what GitHub takes for one step."""
    taken = file.stat().st_size if file.exists() else 0
    with file.open("a", encoding="utf-8") as summary:
        summary.write(step_summary.render(report, step_summary.LIMIT - taken, past))


def _remembered(report: Report, where: str | None) -> Past | None:
    """What the history knows of the time before, once this run is in it. Raises OutputError."""
    if where is None:
        return None
    from hokusai_probe.history import folder
    from hokusai_probe.history.condense import run_of

    past, notes = writing(where, lambda path: folder.remember(path, run_of(report)))
    for note in notes:
        say(terminal(f"note: history: {note}"), err=True)
    return past


def _over_time(report: Report, where: str | None) -> Trend | None:
    """What the history shows over time, once this run is in it. Raises OutputError."""
    if where is None:
        return None
    from hokusai_probe.history import folder

    return writing(where, lambda path: folder.over_time(path, report.target))


def read_report(path: str) -> Report:
    """A report from a file. Raises UsageError naming the file and what is wrong in it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        raise UsageError(msg) from None
    _refuse_other_major(path, text)
    try:
        return Report.read(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        msg = f"{path} is not a report of this tool: {where}: {first['msg']} (`hokusai-probe schema` helps)"
        raise UsageError(msg) from None


class _Versioned(BaseModel):
    schema_version: str = SCHEMA_VERSION


def _refuse_other_major(path: str, text: str) -> None:
    try:
        found = _Versioned.model_validate_json(text).schema_version
    except ValidationError:
        return  # whatever it is, reading the whole of it says so
    if found.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        msg = (
            f"{path} is written in version {found:.20} of the report's schema, and this hokusai-probe reads "
            f"{SCHEMA_VERSION}: use the hokusai-probe that wrote it"
        )
        raise UsageError(msg)


@click.command()
@click.argument("report_file", metavar="REPORT.json")
@click.option("--reports", metavar="DIR", help="Write the report's documents here.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the new report as JSON.")
@click.pass_context
def replay(ctx: click.Context, report_file: str, reports: str | None, json_file: str | None) -> None:
    """Judge and diagnose the observations of REPORT.json again, offline."""
    sinks = Sinks(reports, json_file)
    sinks.try_writing()
    recorded = read_report(report_file)
    hide(recorded.configuration.key, os.environ)
    ctx.exit(emit(judge_again(recorded), sinks))


@click.command()
@click.argument("slug", metavar="CAUSE|CHECK")
@click.argument("arguments", nargs=-1, metavar="[TARGET]")
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Look at a sandbox; the word after the slug is a scenario."
)
@click.option("--no-aws", is_flag=True, help="Look from outside only.")
@click.option(
    "--allow", callback=classes, metavar="CLASS,...", help="Allow write, hostile, disruptive looks."
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def verify(
    ctx: click.Context,
    slug: str,
    arguments: tuple[str, ...],
    in_sandbox: bool,
    no_aws: bool,
    allow: tuple[SafetyClass, ...],
    quiet: bool,
) -> None:
    """Take only the looks that settle this one cause or check, and say how it stands.

    Exit code 0: the cause is not present, the check passes. 1: it is, or fails. 3: it cannot be told.
    """
    looks = settling_looks(catalogue(), slug)
    target, scenario = with_sandbox(arguments, sandbox=in_sandbox)
    with place(target, scenario) as where:
        report = looked(where, Options(only=looks, aws=not no_aws, allow=allow), quiet=quiet)
    sentence, code = standing(report, slug)
    say(terminal(sentence))
    ctx.exit(code if report.interrupted is None else answer.exit_code(report))


def settling_looks(found: Catalogue, slug: str) -> tuple[str, ...]:
    """The looks that a cause reads, or the one of a check. Raises UsageError for an unknown slug."""
    if slug in found.checks:
        return (found.checks[slug].probe,)
    if slug not in found.causes:
        msg = f"{slug!r} is no cause or check; `hokusai-probe causes` and `hokusai-probe checks` list them"
        raise UsageError(msg)
    wanted = (p.wants for p in found.causes[slug].parameters)
    return tuple(sorted(PROBE_OF_FACTS[w] for w in wanted if issubclass(w, Facts)))


def standing(report: Report, slug: str) -> tuple[str, int]:
    """How one cause or check stands in a report: a sentence and an exit code."""
    verdict = next((v for v in report.verdicts if v.check == slug), None)
    if verdict is not None:
        code = {"pass": 0, "fail": 1}.get(verdict.status, 3)
        return f"{slug}: {verdict.status} {verdict.reason}".rstrip(), code
    found = next((d for d in report.diagnoses if d.cause == slug), None)
    if found is not None and found.status != "ruled_out":
        return f"{slug}: {found.status}: {found.because}", 1 if found.status == "present" else 3
    if found is not None:
        return f"{slug}: ruled out: {found.because}", 0
    return _not_listed(report, slug)


def _not_listed(report: Report, slug: str) -> tuple[str, int]:
    unseen = [o for o in report.observations if o.status != "seen"]
    trouble = [v.check for v in report.verdicts if is_trouble(v)]
    if not unseen and not trouble:
        return f"{slug}: not present: everything that it would break works", 0
    looks: dict[str | None, list[str]] = {}
    for o in unseen:
        looks.setdefault(o.reason, []).append(o.probe)
    why = "; ".join(f"{', '.join(probes)}: {reason}" for reason, probes in looks.items())
    return f"{slug}: cannot be told ({why or 'failing: ' + ', '.join(trouble)})", 3
