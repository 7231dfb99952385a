"""The command line: reads arguments, environment and files; prints; decides the exit code. Nothing else does.

Exit codes: 0 nothing fails; 1 something fails; 2 usage or configuration; 3 our own trouble and nothing
fails, or nothing was judged at all; 4 a rollback of ``chaos`` failed; 130 and 143 interrupted, after cleaning
up and writing what was gathered.
"""

from __future__ import annotations

from typing import Any

import click

from hokusai_probe.cli.catalogue import causes, checks, schema
from hokusai_probe.cli.chaos import chaos
from hokusai_probe.cli.doctor import doctor
from hokusai_probe.cli.grade import grade
from hokusai_probe.cli.history import diff, history
from hokusai_probe.cli.issues import issues
from hokusai_probe.cli.output import say_error
from hokusai_probe.cli.overview import overview
from hokusai_probe.cli.publish import publish
from hokusai_probe.cli.run import replay, run, verify
from hokusai_probe.cli.sandbox import sandbox, scenarios
from hokusai_probe.cli.sweep import sweep
from hokusai_probe.cli.workflow import workflow
from hokusai_probe.errors import ProbeError

EPILOG = """\b
Examples:
  hokusai-probe run https://registry.example           look at a server, read only
  hokusai-probe run --sandbox auth-target-port-mismatch
  hokusai-probe run hokusai-development --only authentication,registration --allow write
  hokusai-probe causes target-port-mismatch            what it is, what it looks like, how to mend it
"""


class Group(click.Group):
    """A group whose commands end in one sentence, never in a traceback, when the input is bad."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that the user can act on becomes its sentence and exit code 2."""
        try:
            return super().invoke(ctx)
        except ProbeError as error:
            say_error(str(error))
            ctx.exit(2)


@click.group(cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hokusai-probe")
def main() -> None:
    """Look at a model-registry platform, say what is broken, why, and how to mend it."""


for command in (
    run,
    replay,
    verify,
    diff,
    history,
    overview,
    doctor,
    checks,
    causes,
    schema,
    sandbox,
    scenarios,
    chaos,
    grade,
    issues,
    workflow,
    publish,
    sweep,
):
    main.add_command(command)
