"""``overview``: one page over several targets."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hokusai_probe.cli.output import hide, redactor, say, writing
from hokusai_probe.cli.run import read_report
from hokusai_probe.history import folder
from hokusai_probe.history.condense import run_of
from hokusai_probe.model import Report
from hokusai_probe.reports import OverTime, write_overview
from hokusai_probe.reports.layout import plural
from hokusai_probe.text import terminal

DATA = "test_execution_summary.json"


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe overview out/development out/staging --out site/\n"
    "  hokusai-probe overview *.json --out site/ --history runs/    with since when, and charts"
)
@click.argument("reports", nargs=-1, required=True, metavar="REPORT.json|DIR ...")
@click.option("--out", "out", required=True, metavar="DIR", help="Where the pages go.")
@click.option("--history", "where", metavar="DIR", help="What `run --history` kept of these targets.")
@click.pass_context
def overview(ctx: click.Context, reports: tuple[str, ...], out: str, where: str | None) -> None:
    """Write a page over several targets, and for each of them its documents, its page and its badge.

    A DIR is what `run --reports DIR` wrote. The newest report of each target counts; DIR/index.html links to
    TARGET/report.html. Nothing is looked at, and the history is only read.

    Exit codes: 0 done, whatever fails on the targets; 2 usage.
    """
    found = [_read(name) for name in reports]
    known = {} if where is None else {one.target: _over_time(one, Path(where)) for one in _newest(found)}
    written = writing(out, lambda place: write_overview(found, place, known))
    say(terminal(f"{written[-1]}: {plural(len({one.target for one in found}), 'target')}"))
    ctx.exit(0)


def _read(name: str) -> Report:
    """A report as it may be shown. Raises UsageError."""
    report = read_report(str(Path(name) / DATA) if Path(name).is_dir() else name)
    hide(report.configuration.key, os.environ)
    return redactor().model(report)


def _newest(found: list[Report]) -> list[Report]:
    """The report of each target that counts."""
    return list({one.target: one for one in sorted(found, key=lambda one: one.started_at)}.values())


def _over_time(report: Report, where: Path) -> OverTime:
    """What the history knows of the time until a report. Raises HistoryError."""
    past, notes = folder.look_back(where, run_of(report))
    for note in notes:
        say(terminal(f"note: history: {note}"), err=True)
    return OverTime(past, folder.over_time(where, report.target))
