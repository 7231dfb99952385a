"""A run as the tests of a pytest session: what there is to judge, the run, and what a test says of a verdict.

Everything that :mod:`hokusai_probe.pytest_plugin` needs beyond pytest; loaded only when a target is given.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hokusai_probe import config, engine, text
from hokusai_probe.declare import Check, catalogue
from hokusai_probe.keys import Keys, secrets_in
from hokusai_probe.model import Diagnosis, Report, Target, Verdict
from hokusai_probe.redact import Redactor
from hokusai_probe.reports import answer, console
from hokusai_probe.runner import Control, Options, carry_out, check_selectors


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look at, and the checks to judge."""

    target: Target
    only: tuple[str, ...]
    aws: bool
    checks: tuple[Check, ...]

    @classmethod
    def made(cls, where: str, only: tuple[str, ...], *, aws: bool) -> Plan:
        """The plan for a target as the command line knows it. Sends nothing.

        Raises ConfigError, BadKey or UsageError when something of ours is unusable.
        """
        target, found = config.load(where, os.environ), catalogue()
        Keys.read(target.key, os.environ)
        check_selectors(found, only)
        wanted = engine.selected(found, only, ())
        return cls(target, only, aws, tuple(c for slug, c in found.checks.items() if slug in wanted))

    def run(self, only: tuple[str, ...] | None = None) -> Report:
        """Look, judge and diagnose; ``only``: less than planned. A key is nowhere in what is returned.

        Raises KeyboardInterrupt once a run that was interrupted has removed what it had created.
        """
        options = Options(only=self.only if only is None else only, aws=self.aws)
        control = Control()
        report = asyncio.run(_looked(self.target, options, control))
        if control.signal is not None:
            raise KeyboardInterrupt
        return Redactor(secrets_in(self.target.key, os.environ)).model(report)


async def _looked(target: Target, options: Options, control: Control) -> Report:
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _stop, control)
    return await carry_out(target, options, control=control)


def _stop(control: Control) -> None:
    control.signal = signal.SIGINT.name
    control.stop.set()


def trouble(verdict: Verdict, session: Collection[str]) -> str:
    """Why a verdict is an error of the session whose checks these are; empty where it is none."""
    if verdict.status == "error":
        return text.terminal(verdict.reason)
    waits = verdict.status == "skip" and verdict.skip_kind == "blocked"
    if waits and verdict.waited_for not in session:
        return text.terminal(
            f"cannot be judged, and what it waits for is not in this session: {verdict.reason}"
        )
    return ""


def skipped(verdict: Verdict) -> str:
    """Why a verdict is no test; empty where it is one."""
    return text.log_line(f"{verdict.skip_kind}: {verdict.reason}") if verdict.status == "skip" else ""


def failure(report: Report, verdict: Verdict) -> str:
    """What a person needs to know of a check that fails: what is wrong, why, and how to see it again."""
    return text.terminal("\n".join(_lines(report, verdict)))


def _lines(report: Report, verdict: Verdict) -> Iterator[str]:
    yield f"{verdict.title}: {verdict.reason}"
    for found in (*report.present(), *report.undecided()):
        if verdict.check in found.explains:
            yield _cause(found)
    if verdict.reproduce:
        yield f"again: {verdict.reproduce}"
    yield f"mended? {answer.verify_command(report, verdict.check)}"


def _cause(found: Diagnosis) -> str:
    return f"{'cause' if found.status == 'present' else 'undecided'}: {found.cause}: {found.because}"


def summary(report: Report) -> str:
    """The whole run as a terminal shows it."""
    return console.render(report, colour=False)


def judged_nothing(report: Report) -> bool:
    """Whether a session must not be green although nothing in it fails: our own trouble, or no verdict."""
    return answer.exit_code(report) == 3
