"""``issues``: print what would be opened, updated or closed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from hokusai_probe.cli.output import hide, redactor, say
from hokusai_probe.cli.run import read_report
from hokusai_probe.config import REPOSITORY
from hokusai_probe.history import folder
from hokusai_probe.history.index import Point
from hokusai_probe.issues import describe, plan
from hokusai_probe.runner import UsageError
from hokusai_probe.text import terminal


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT.json ...")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="Where the issues would go.")
@click.option("--history", metavar="DIR", help="The earlier runs, which `run --history` keeps here.")
def issues(reports: tuple[str, ...], repository: str, history: str | None) -> None:
    """Print the plan: which issues these reports would open, with their bodies. Writes nothing.

    Give all reports since the last time, of one target or of several. Without --history nothing is known of
    the runs before them.
    """
    if not REPOSITORY.fullmatch(repository):
        msg = "--repository must be OWNER/NAME, such as example/infrastructure"
        raise UsageError(msg)
    read = [read_report(path) for path in reports]
    for report in read:
        hide(report.configuration.key, os.environ)
    known = earlier(history, {report.target for report in read}) if history else {}
    planned = plan(
        [redactor().model(report) for report in read],
        known,
        repository=repository,
        run_url=run_url(os.environ),
    )
    say(f"{describe(planned)}\nNothing was written.")


def earlier(where: str, targets: Iterable[str]) -> dict[str, tuple[Point, ...]]:
    """The runs that a folder keeps of these targets; what cannot be read of it is named on standard error.

    Raises HistoryError when there is no such folder.
    """
    found: dict[str, tuple[Point, ...]] = {}
    for target in sorted(targets):
        index, notes = folder.index(Path(where), target)
        found[target] = index.points()
        for note in notes:
            say(terminal(f"note: {note}"), err=True)
    return found


def run_url(environment: Mapping[str, str]) -> str:
    """Where the run of GitHub Actions can be seen that this is a part of, empty outside of one."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, number = (environment.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{number}" if server and repository and number else ""
