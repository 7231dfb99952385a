"""``issues``: print what would be opened, updated or closed."""

from __future__ import annotations

import os

import click

from hokusai_probe.cli.output import hide, redactor, say
from hokusai_probe.cli.run import read_report
from hokusai_probe.config import REPOSITORY
from hokusai_probe.issues import describe, plan
from hokusai_probe.runner import UsageError


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT.json ...")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="Where the issues would go.")
def issues(reports: tuple[str, ...], repository: str) -> None:
    """Print the plan: which issues these reports would open, with their bodies. Writes nothing."""
    if not REPOSITORY.fullmatch(repository):
        msg = "--repository must be OWNER/NAME, such as example/infrastructure"
        raise UsageError(msg)
    read = [read_report(path) for path in reports]
    for report in read:
        hide(report.configuration.key, os.environ)
    planned = plan([redactor().model(report) for report in read], repository=repository)
    say(f"{describe(planned)}\nNothing was written.")
