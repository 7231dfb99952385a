"""``issues``: print what would be opened, updated or closed, and with ``--apply`` do it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from hokusai_probe.cli.output import hide, redactor, say, say_error
from hokusai_probe.cli.run import read_report
from hokusai_probe.config import REPOSITORY
from hokusai_probe.declare import catalogue
from hokusai_probe.history import folder
from hokusai_probe.history.index import Point
from hokusai_probe.issues import Action, describe, plan
from hokusai_probe.model import Target
from hokusai_probe.runner import UsageError
from hokusai_probe.text import terminal

Planner = Callable[..., tuple[Action, ...]]


@click.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT.json ...")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="Where the issues would go.")
@click.option("--history", metavar="DIR", help="The earlier runs, which `run --history` keeps here.")
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

    Give all reports since the last time, of one target or of several. Without --history nothing is known of
    the runs before them. Without --known it is supposed that there are no issues yet, and nobody is asked.
    Nothing is written without --apply.
    """
    if not REPOSITORY.fullmatch(repository):
        msg = "--repository must be OWNER/NAME, such as example/infrastructure"
        raise UsageError(msg)
    read = [read_report(path) for path in reports]
    for report in read:
        hide(report.configuration.key, os.environ)
    before = earlier(history, {report.target for report in read}) if history else {}
    clean = [redactor().model(report) for report in read]
    planned = partial(
        plan, clean, before, repository=repository, run_url=run_url(os.environ), sensitive=_sensitive()
    )
    if known or write:
        targets = [report.configuration for report in read]
        context.exit(_with_github(planned, targets, repository, wait, write=write))
    say(f"{describe(planned(), _private(r.configuration for r in read))}\nNothing was written.")


def _with_github(
    planned: Planner, targets: Sequence[Target], repository: str, wait_s: float, *, write: bool
) -> int:
    """Plan with what GitHub knows, and do it if asked to; 3 where something kept us from it."""
    from hokusai_probe import github

    doors = github.connect(os.environ, repository)
    patience = github.Patience(wait_s)
    others = {owner.repository for target in targets for owner in target.owners.values()} - {""}
    try:
        author = github.GitHub(doors, repository, patience=patience).author()
        ours = {author, *(login for target in targets for login in target.issues.also_ours)}
        hub = github.GitHub(doors, repository, authors=ours, redactor=redactor(), patience=patience)
        there = hub.known_in(sorted(others))
    except github.GitHubError as error:
        say_error(f"the issues of {repository} could not be read, so nothing is planned: {error}")
        return 3
    actions = planned(known=there, author=author)
    say(describe(actions, _private(targets)))
    for name, why in hub.given_up.items():
        say_error(f"the issues of {name} could not be read, so nothing is done there: {why}")
    unread = bool(hub.given_up)
    outcomes = hub.apply(actions) if write else ()
    say(github.describe(outcomes, _private(targets)) if write else "Nothing was written.")
    return 3 if unread or any(one.kept_from_writing for one in outcomes) else 0


def _sensitive() -> tuple[str, ...]:
    """The causes that this version knows to be sensitive; a report tells of those that it judged only."""
    return tuple(cause.slug for cause in catalogue().causes.values() if cause.sensitive)


def _private(targets: Iterable[Target]) -> frozenset[str]:
    """The repositories of which nothing is shown: what issues say there may be sensitive."""
    return frozenset(name for target in targets for name in target.issues.private_repositories)


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
