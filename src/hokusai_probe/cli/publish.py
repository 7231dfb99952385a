"""``publish``: bring what runs wrote to a git remote."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import click

from hokusai_probe.cli.output import say, say_error
from hokusai_probe.cli.run import ACTIONS
from hokusai_probe.publish.errors import PublishError
from hokusai_probe.publish.wish import Identity, Outcome, Result, Wish
from hokusai_probe.reports.layout import plural
from hokusai_probe.runner import UsageError
from hokusai_probe.text import terminal

_BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"
_IDENTITY = re.compile(r"([^<>\n\0]{1,100}?) <([^<>\s\0]{1,100})>")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)|/\.|\.$|/$))[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,200}")
_NEWS = {
    "first": "none was there before",
    "changed": "the state has changed",
    "unchanged": "the state is the one that is published",
    "older": "what is published is of a later run",
    "partial": "the run judged only some of the checks of the one that is published",
    "interrupted": "the run was cut short, and what is published is of a whole one",
}


def _branch(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _BRANCH.fullmatch(value):
        msg = f"{value!r} is no name of a branch; write probe-data or ops/probe-data"
        raise click.BadParameter(msg)
    return value


def _folder(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _PATH.fullmatch(value) or value.partition("/")[0] == "history":
        msg = f"{value!r} is no folder for documents; write reports or reports/staging"
        raise click.BadParameter(msg)
    return value


def _identity(_: click.Context, __: click.Parameter, value: str) -> Identity:
    found = _IDENTITY.fullmatch(value)
    if found is None:
        msg = f'{value!r} is nobody; write "Name <address@example.com>"'
        raise click.BadParameter(msg)
    return Identity(found[1], found[2])


@click.command(
    epilog="""\b
Examples:
  hokusai-probe run --history out/history --reports out/reports
  hokusai-probe publish out                            say what would be pushed where
  hokusai-probe publish out --push                     all of it to the branch probe-data of origin
  hokusai-probe publish out --push --branch probe-data --reports-branch main
  hokusai-probe publish out --push --remote https://github.com/example/status.git
"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--branch", default="probe-data", show_default=True, callback=_branch, metavar="NAME",
              help="The branch for the history; where it is missing it is made, with no past.")  # fmt: skip
@click.option("--reports-branch", callback=_branch, metavar="NAME",
              help="The branch for the documents; without it, that of the history.")  # fmt: skip
@click.option("--reports-folder", default="reports", show_default=True, callback=_folder, metavar="PATH",
              help="Where in that branch: several targets each need their own.")  # fmt: skip
@click.option("--remote", default="origin", show_default=True, metavar="NAME|URL",
              help="A remote of the repository that you are in, a URL or a path.")  # fmt: skip
@click.option("--push", is_flag=True, help="Push; without it the remote is only read.")
@click.option("--within", type=click.FloatRange(min=1, max=3600), default=180.0, show_default=True,
              metavar="SECONDS", help="How long all of it may take, with all tries.")  # fmt: skip
@click.option("--author", default=_BOT, callback=_identity, metavar='"NAME <EMAIL>"',
              help="Who the commits are by; without it, the bot of GitHub Actions.")  # fmt: skip
@click.pass_context
def publish(
    ctx: click.Context,
    folder: Path,
    branch: str,
    reports_branch: str | None,
    reports_folder: str,
    remote: str,
    push: bool,
    within: float,
    author: Identity,
) -> None:
    """Publish what runs wrote to DIR: new runs of its history, and its documents when the state has changed.

    DIR holds `history` and `reports`, or runs and documents lie in it. Runs go to `history/` of --branch.
    Documents go to `reports/` of --reports-branch when none are there yet, or when a check, a cause, the
    target or the version of this tool is another than in those that are there. Where that branch refuses
    pushes, such as a protected one, they go to `reports/` of --branch instead, and that is said.

    Nothing is forced, merged or taken away; your work tree, index, branches and hooks are left alone. Before
    anything is pushed, all of it is searched for keys once more, and if there may be one, nothing is.

    To log in, the settings of your repository serve (not those of your account), or GITHUB_TOKEN at GitHub.

    Exit codes: 0 all that is new is on the remote; 2 usage; 3 something is not, which is named and stays in
    DIR, or some files could not be read; 130 and 143 interrupted.
    """
    wish = Wish(folder, branch, author, reports_branch, reports_folder, remote, push, within)
    if not folder.is_dir():
        msg = f"{folder}: there is no such folder"
        raise UsageError(msg)
    try:
        result, ended = asyncio.run(_until_told(wish))
    except PublishError as error:
        say_error(f"{error}; all of it is still in {folder}")
        ctx.exit(3)
    if result is None:
        say_error(f"interrupted; what is not published yet is still in {folder}")
        ctx.exit(128 + ended)
    _told(result, wish)
    ctx.exit(0 if result.complete else 3)


async def _until_told(wish: Wish) -> tuple[Result | None, int]:
    """Publish, unless SIGINT or SIGTERM says otherwise; then nothing of it is left here. The signal, or 0."""
    from hokusai_probe.publish.publisher import publish as bring

    work = asyncio.ensure_future(bring(wish, os.environ, Path.cwd()))
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _tell, work, told, number)
    try:
        return await work, 0
    except asyncio.CancelledError:
        return None, told[0]


def _tell(work: asyncio.Future[Result], told: list[int], number: int) -> None:
    """End it at the first signal; another must not keep it from cleaning up."""
    if not told:
        told.append(number)
        work.cancel()


def _told(result: Result, wish: Wish) -> None:
    """Say what became of it: what is not published as an error."""
    for note in result.notes:
        say(terminal(f"note: history: {note}"), err=True)
    if result.not_searched and os.environ.get(ACTIONS) == "true":
        names = ", ".join(result.not_searched)
        say(terminal(f"note: no key is searched for in {names}: give this step what the look has"), err=True)
    for one in result.outcomes:
        line = f"{one.branch}: {_became(one, wish)}"
        if one.status == "failed":
            say_error(f"{line}; not published, and still in {wish.folder}: {_what(one) or 'all that is new'}")
        else:
            say(terminal(line))
        for name, news in one.news.items():
            say(terminal(f"  {'/'.join(filter(None, (wish.reports_folder, name)))}: {_NEWS[news]}"))
    if not wish.push:
        say("Nothing was pushed; --push does it.", err=True)


def _became(one: Outcome, wish: Wish) -> str:
    if one.status == "pushed":
        return f"pushed {_what(one)} to {wish.remote} ({one.commit:.12})"
    if one.status == "would-push":
        return f"would push {_what(one)} to {wish.remote}"
    if one.status == "refused":
        return f"{one.why}; so the documents go to {wish.branch}"
    return one.why or "nothing new"


def _what(one: Outcome) -> str:
    return " and ".join(_counted(one))


def _counted(one: Outcome) -> Iterator[str]:
    if one.runs:
        yield plural(one.runs, "run")
    if one.documents:
        yield plural(one.documents, "document")
