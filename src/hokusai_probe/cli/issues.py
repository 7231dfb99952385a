"""``issues``: print what would be opened, updated or closed, and with ``--apply`` do it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import click

from hokusai_probe.cli.output import hide, redactor, say, say_error, writing
from hokusai_probe.cli.run import read_report
from hokusai_probe.config import REPOSITORY
from hokusai_probe.history import folder
from hokusai_probe.history.index import Seen
from hokusai_probe.issues import describe, plan
from hokusai_probe.model import Report
from hokusai_probe.runner import UsageError


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT.json ...")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="Where the issues would go.")
@click.option(
    "--history", metavar="DIR", help="The runs before, which decide what is confirmed and what is over."
)
@click.option("--known", is_flag=True, help="Read the issues that are there first, with GITHUB_TOKEN.")
@click.option(
    "--apply", "write", is_flag=True, help="Carry the plan out, with GITHUB_TOKEN. Implies --known."
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="The most time to spend on GitHub, waiting at its limits included.",
)
@click.pass_context
def issues(
    context: click.Context,
    reports: tuple[str, ...],
    repository: str,
    history: str | None,
    known: bool,
    write: bool,
    wait: float,
) -> None:
    """Print the plan: which issues these reports would open, update and close, with their bodies.

    Writes nothing without --apply. Without --known it supposes that there are no issues yet, and asks nobody.
    """
    if not REPOSITORY.fullmatch(repository):
        msg = "--repository must be OWNER/NAME, such as example/infrastructure"
        raise UsageError(msg)
    read = [read_report(path) for path in reports]
    for report in read:
        hide(report.configuration.key, os.environ)
    clean = [redactor().model(report) for report in read]
    earlier = _earlier(history, clean)
    if not known and not write:
        say(f"{describe(plan(clean, earlier, repository=repository))}\nNothing was written.")
        return
    context.exit(_with_github(clean, earlier, repository, wait, write=write))


def _earlier(history: str | None, reports: Sequence[Report]) -> dict[str, Sequence[Seen]]:
    """The runs of each target that a history holds, the earliest first. Raises OutputError, HistoryError."""
    if history is None:
        return {}
    return {name: _runs(history, name) for name in {report.target for report in reports}}


def _runs(history: str, target: str) -> Sequence[Seen]:
    return writing(history, lambda where: folder.index(where, target))[0].points()


def _with_github(
    reports: Sequence[Report],
    earlier: Mapping[str, Sequence[Seen]],
    repository: str,
    wait_s: float,
    *,
    write: bool,
) -> int:
    """Plan with what GitHub knows, and do it if asked to; 3 where something kept us from it."""
    from hokusai_probe import github

    doors = github.connect(os.environ, repository)
    patience = github.Patience(wait_s)
    settings = [report.configuration for report in reports]
    others = {owner.repository for one in settings for owner in one.owners.values()} - {""}
    try:
        author = github.GitHub(doors, repository, patience=patience).author()
        ours = {author, *(login for one in settings for login in one.issues.also_ours)}
        hub = github.GitHub(doors, repository, authors=ours, redactor=redactor(), patience=patience)
        known = hub.known_in(sorted(others))
    except github.GitHubError as error:
        say_error(f"the issues of {repository} could not be read, so nothing is planned: {error}")
        return 3
    planned = plan(reports, earlier, known=known, repository=repository, author=author)
    say(describe(planned))
    for name, why in hub.given_up.items():
        say_error(f"the issues of {name} could not be read, so nothing is done there: {why}")
    unread = bool(hub.given_up)
    outcomes = hub.apply(planned) if write else ()
    say(github.describe(outcomes) if write else "Nothing was written.")
    return 3 if unread or any(one.kept_from_writing for one in outcomes) else 0
