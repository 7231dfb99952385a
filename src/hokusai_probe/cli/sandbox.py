"""``sandbox`` and ``scenarios``: the platform in miniature, to look at and to play with."""

from __future__ import annotations

import json
import signal
import threading

import click

from hokusai_probe import sandbox as box
from hokusai_probe.cli.output import columns, say, try_writing, write
from hokusai_probe.cli.run import boxed


@click.command()
@click.argument("scenario", default="healthy")
@click.option("--write-target", metavar="FILE", help="Copy the target file here.")
@click.option("--names", is_flag=True, help="Print every name that scenario files may use, with its value.")
@click.option("--seed", type=int, help="Names and addresses.")
def sandbox(scenario: str, write_target: str | None, names: bool, seed: int | None) -> None:
    """Run the platform in miniature until interrupted, with the faults of SCENARIO."""
    try_writing(write_target)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with boxed(scenario, seed) as running:
        if write_target is not None:
            write(write_target, running.target_file.read_text(encoding="utf-8"))
        exports = "\n".join(f"export {k}={v}" for k, v in sorted(running.environment.items()))
        # not redacted: these keys are made up for this sandbox, and useless without them
        click.echo(f"target: {write_target or running.target_file}\nseed: {running.seed}\n\n{exports}\n")
        if names:
            say(columns(sorted(running.names.items())))
        say("running; Ctrl-C ends it", err=True)
        over.wait()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def scenarios(as_json: bool) -> None:
    """List the scenarios that ship."""
    found = [box.load_scenario(name) for name in box.scenario_names()]
    if as_json:
        say(
            json.dumps(
                [{"name": s.name, "summary": s.summary, "causes": list(s.expect.causes)} for s in found],
                indent=2,
            )
        )
    else:
        say(columns((s.name, s.summary) for s in found))
