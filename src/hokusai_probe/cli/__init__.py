"""The command line: reads arguments, environment and files; prints; decides the exit code. Nothing else does.

Exit codes: 0 nothing fails; 1 something fails; 2 usage or configuration; 3 our own trouble and nothing
fails, or nothing was judged at all; 4 a rollback of ``chaos`` failed; 130 and 143 interrupted, after cleaning
up and writing what was gathered.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from hokusai_probe.errors import ProbeError

EPILOG = """\b
Examples:
  hokusai-probe run https://registry.example           look at a server, read only
  hokusai-probe run --sandbox auth-target-port-mismatch
  hokusai-probe run hokusai-development --only authentication,registration --allow write
  hokusai-probe causes target-port-mismatch            what it is, what it looks like, how to mend it
"""

COMMANDS = {
    "run": "run",
    "replay": "run",
    "verify": "run",
    "diff": "history",
    "history": "history",
    "overview": "overview",
    "doctor": "doctor",
    "checks": "catalogue",
    "causes": "catalogue",
    "schema": "catalogue",
    "sandbox": "sandbox",
    "scenarios": "sandbox",
    "grade": "grade",
    "issues": "issues",
    "workflow": "workflow",
    "publish": "publish",
    "sweep": "sweep",
    "load": "load",
    "chaos": "chaos",
}
"""Each command, and the module of this package that has it. Only the one that is called is imported."""


class Group(click.Group):
    """A group whose commands end in one sentence, never in a traceback, when the input is bad."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click gives it
        """All of them, by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - and here
        """A command by its name, None where there is none."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = getattr(import_module(f"hokusai_probe.cli.{module}"), cmd_name)
        assert isinstance(found, click.Command)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that the user can act on becomes its sentence and exit code 2."""
        try:
            return super().invoke(ctx)
        except ProbeError as error:
            from hokusai_probe.cli.output import say_error

            say_error(str(error))
            ctx.exit(2)


@click.group(cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hokusai-probe")
def main() -> None:
    """Look at a model-registry platform, say what is broken, why, and how to mend it."""
