"""``workflow``: the two steps of a GitHub workflow that decide something, as commands that can be tested."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from hokusai_probe import workflow as decide
from hokusai_probe.cli.output import OutputError, say, writing
from hokusai_probe.cli.run import read_report
from hokusai_probe.history import folder
from hokusai_probe.model import Trigger
from hokusai_probe.runner import UsageError
from hokusai_probe.text import terminal

TARGETS = ".github/hokusai-probe.targets"
OUTPUT = "GITHUB_OUTPUT"
LARGEST_EVENT = 1024 * 1024


@click.group()
def workflow() -> None:
    """Steps of a GitHub workflow: what was asked for, and what comes after a run."""


@workflow.command()
@click.option("--targets", default=TARGETS, show_default=True, metavar="FILE",
              help="The targets that may be asked for, one a line; the first is the default.")  # fmt: skip
@click.option("--target", default="", help="Which of them.")
@click.option("--areas", default="", metavar="AREA,...", help="Only these areas.")
@click.option("--sha", default="", help="The commit that was deployed.")
@click.option("--settle", default="", metavar="SECONDS", help="How long to wait for rollouts.")
@click.option("--trigger", type=click.Choice(["", "schedule", "deploy", "manual"]), default="")
@click.option("--every", default="", metavar="SECONDS", help="How often the schedule comes.")
def request(targets: str, target: str, areas: str, sha: str, settle: str, trigger: str, every: str) -> None:
    """Check what a workflow was asked for, and give it on as outputs of the step. Exit code 2: refused.

    Options say it; an empty option is one that was not given. What they leave open a repository_dispatch says
    in its payload: sha, and if it likes target, areas and settle_s.
    """
    event = os.environ.get("GITHUB_EVENT_NAME", "")
    asked = decide.asked(target=target, areas=areas, sha=sha, settle_s=settle)
    if event == "repository_dispatch":
        asked = decide.filled(asked, decide.announced(_event(os.environ)))
    chosen: dict[str, Trigger] = {"schedule": "schedule", "deploy": "deploy", "manual": "manual"}
    _give(
        decide.request(
            asked, event, _allowed(targets), trigger=chosen.get(trigger), every_s=decide.interval(every)
        ).outputs()
    )


@workflow.command()
@click.argument("report_file", metavar="REPORT.json")
@click.option("--history", required=True, metavar="DIR", help="The history that the run is in.")
def after(report_file: str, history: str) -> None:
    """Say whether a job for the issues must follow a run: the output ``issues`` is true or false."""
    report = read_report(report_file)
    runs = writing(history, lambda where: folder.index(where, report.target))[0].points()
    rules = report.configuration.issues
    why = decide.issues_need_a_look(runs, rules.close_runs, rules.confirm_runs)
    why = "" if report.interrupted else why
    say(f"issues: {why or 'nothing to look after'}")
    _give({"issues": "true" if why else "false"})


def _event(environment: Mapping[str, str]) -> str:
    """The text of the event that started the workflow. Raises UsageError."""
    try:
        with Path(environment.get("GITHUB_EVENT_PATH", "")).open("rb") as file:
            data = file.read(LARGEST_EVENT + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError):
        msg = "the event that GITHUB_EVENT_PATH names cannot be read"
        raise UsageError(msg) from None
    if len(data) > LARGEST_EVENT:
        msg = f"the event is larger than {LARGEST_EVENT} bytes"
        raise UsageError(msg)
    return text


def _allowed(where: str) -> tuple[str, ...]:
    """The targets of the repository's list; without a list, the one file that a run takes by itself."""
    try:
        return decide.targets(Path(where).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return (decide.DEFAULT_TARGET,)
    except (OSError, UnicodeDecodeError):
        msg = f"cannot read {where}"
        raise UsageError(msg) from None


def _give(outputs: Mapping[str, str]) -> None:
    """Print outputs, and hand them to the steps that follow. Raises OutputError."""
    lines = [f"{name}={value}" for name, value in outputs.items()]
    say(terminal("\n".join(lines)))
    where = os.environ.get(OUTPUT)
    if where:
        writing(where, lambda path: _append(path, lines))


def _append(path: Path, lines: list[str]) -> None:
    if any("\n" in line or "\r" in line for line in lines):
        msg = "an output of a step is one line"
        raise OutputError(msg)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
