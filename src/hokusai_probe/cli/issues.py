"""``issues``: print what would be opened, updated or closed."""

from __future__ import annotations

import click

from hokusai_probe.cli.output import say
from hokusai_probe.cli.run import read_report
from hokusai_probe.issues import describe, plan


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT.json ...")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="Where the issues would go.")
def issues(reports: tuple[str, ...], repository: str) -> None:
    """Print the plan: which issues these reports would open, with their bodies. Writes nothing."""
    read = [read_report(path) for path in reports]
    say(describe(plan(read, [], repository=repository)))
