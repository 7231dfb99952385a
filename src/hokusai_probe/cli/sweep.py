"""``hokusai-probe sweep``: what earlier runs left behind on a platform."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from hokusai_probe.cli.output import say, say_error
from hokusai_probe.cli.run import Place, classes, place, with_sandbox
from hokusai_probe.engine import allowed_classes
from hokusai_probe.model import SafetyClass
from hokusai_probe.runner import UsageError
from hokusai_probe.sweeping import Leftover, Swept, Unreachable
from hokusai_probe.sweeping import sweep as swept
from hokusai_probe.text import terminal

_HOUR_S = 3600.0


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe sweep hokusai-development\n"
    "  hokusai-probe sweep hokusai-development --apply --allow write"
)
@click.argument("arguments", nargs=-1, metavar="[TARGET]")
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Look at a sandbox; the word that follows is a scenario."
)
@click.option("--apply", is_flag=True, help="Remove it; without this it is only listed.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=_HOUR_S,
    show_default=True,
    metavar="SECONDS",
    help="What is younger may belong to a run that is under way, and is left alone.",
)
@click.option(
    "--allow", callback=classes, metavar="CLASS,...", help="Allow write, where the target does not."
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def sweep(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    in_sandbox: bool,
    apply: bool,
    older_than: float,
    allow: tuple[SafetyClass, ...],
    quiet: bool,
) -> None:
    """Find what killed runs left on TARGET, and remove it.

    Runs, registered models with their versions, and folders of artifacts: those with our tag and with a name
    of the form that this tool gives, and nothing else. The experiment stays; so do MLflow's tombstones of
    deleted runs. Exit code 0: nothing is left. 1: something is. 3: nobody could say.
    """
    with place(*with_sandbox(arguments, sandbox=in_sandbox)) as where:
        if apply and "write" not in allowed_classes(where.target, allow):
            msg = f"removing is of class write, which {where.target.name} does not allow: add --allow write"
            raise UsageError(msg)
        ctx.exit(_carried_out(where, apply=apply, older_than=timedelta(seconds=older_than), quiet=quiet))


def _carried_out(where: Place, *, apply: bool, older_than: timedelta, quiet: bool) -> int:
    def note(text: str) -> None:
        if not quiet:
            say(terminal(text), err=True)

    work = swept(where.target, where.environment, apply=apply, older_than=older_than, note=note)
    try:
        found = asyncio.run(work)
    except Unreachable as nobody:
        say_error(str(nobody))
        return 3
    except KeyboardInterrupt:
        return 130
    for line in lines(found, datetime.now(UTC), applied=apply):
        say(terminal(line))
    return exit_code(found)


def exit_code(found: Swept) -> int:
    """0 nothing is left, 1 something is, 3 it could not be looked at."""
    if found.unseen and not (found.found or found.left or found.more):
        return 3
    return 1 if found.remains else 0


def lines(found: Swept, now: datetime, *, applied: bool) -> Iterator[str]:
    """What a sweep came to, for people: each thing, and then what became of all."""
    for thing in found.found:
        done = "removed" if thing in found.removed else "NOT REMOVED" if applied else "left by an earlier run"
        yield f"{done}: {_thing(thing)}, {_age(now - thing.made_at)} old"
    yield from found.left
    yield from (f"not looked at: {what}" for what in found.unseen)
    yield from _summary(found, applied=applied)


def _thing(thing: Leftover) -> str:
    return f"{thing.kind} {thing.name}" + (f" in {thing.folder}" if thing.folder else "")


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"


def _summary(found: Swept, *, applied: bool) -> Iterator[str]:
    if found.young:
        yield f"{found.young} more are too young to tell whether a run is using them"
    if found.more:
        yield "there may be more: sweep again"
    if found.looked_back:
        yield f"of deleted runs only the newest {found.looked_back} were looked into for artifacts"
    if not found.found and not found.unseen:
        yield f"nothing {'else ' if found.looked_back else ''}of earlier runs is there"
    elif found.found and not applied:
        yield f"{len(found.found)} to remove: add --apply"
    elif found.found:
        yield f"{len(found.removed)} of {len(found.found)} removed"
