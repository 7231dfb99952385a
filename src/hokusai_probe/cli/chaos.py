"""``chaos``: break parts of a sandbox while users are at work, and see what is noticed, named and lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import click

from hokusai_probe import config, sandbox
from hokusai_probe.chaos.documents import counted, documents, listed, notes, plain
from hokusai_probe.chaos.experiment import (
    Experiment,
    ExperimentError,
    experiment_names,
    hint,
    load,
    parse,
    path_of,
    place_in_words,
    read,
)
from hokusai_probe.chaos.judging import SIGNALS, Result, exit_code, judge
from hokusai_probe.cli.output import columns, redactor, say, try_writing, write, writing
from hokusai_probe.cli.run import Place, in_box
from hokusai_probe.declare import catalogue
from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Frozen, Target, Utc
from hokusai_probe.reports import files
from hokusai_probe.runner import UsageError, check_selectors
from hokusai_probe.text import terminal

if TYPE_CHECKING:
    from hokusai_probe.chaos.driver import Stop

_KILL_TRIES = 3
_KILL_S = 30.0
_REFUSED = "chaos breaks things, so it takes no target: it starts a sandbox of its own"


class Results(Frozen):
    """What one command came to: when it began (UTC), the seed where one was given, and each experiment."""

    began_at: Utc
    results: tuple[Result, ...]


@click.command(
    epilog="\b\nExamples:\n  hokusai-probe chaos --list\n  hokusai-probe chaos mlflow-stopped auth-slow\n"
    "  hokusai-probe chaos --all --reports out/chaos\n  hokusai-probe chaos path/to/own.toml --json -"
)
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT|FILE ...]")
@click.option("--all", "every", is_flag=True, help="All experiments that ship.")
@click.option("--list", "only_list", is_flag=True, help="List them, and do nothing.")
@click.option("--reports", metavar="DIR", help="Write chaos.md and a page for each experiment here.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write all that was seen as JSON.")
@click.option("--seed", type=int, help="Names and addresses of the sandboxes.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def chaos(
    ctx: click.Context,
    experiments: tuple[str, ...],
    every: bool,
    only_list: bool,
    reports: str | None,
    json_file: str | None,
    seed: int | None,
    quiet: bool,
) -> None:
    """Break parts of a sandbox while users are at work, mend them, and account for everything.

    Each EXPERIMENT starts a sandbox of its own; there is no way to point this at a real platform. It begins
    only when all is well, is always rolled back, and measures: how soon a check fails and the cause is named,
    what users could still do, how soon all is well again, and what the platform had acknowledged and lost.

    Exit code 0: all as expected. 1: something deviated. 2: usage. 3: an experiment was not started, or all
    were skipped. 4: a rollback failed. 130, 143: interrupted, after rolling back.
    """
    if only_list:
        say(columns(listed([load(name) for name in experiment_names()])))
        return
    chosen = _chosen(experiments, every=every)
    try_writing(json_file)
    if reports is not None:
        writing(reports, files.try_folder)
    say_progress = _silent if quiet else _progress
    began = datetime.now(UTC)
    found, stopped = asyncio.run(_all(chosen, seed, say_progress))
    results = redactor().model(Results(began_at=began, results=tuple(found)))
    _write(results, reports, json_file)
    ctx.exit(exit_code(found) if found or stopped is None else SIGNALS[stopped])


def _chosen(words: Sequence[str], *, every: bool) -> list[Experiment]:
    """The experiments that were asked for, checked as far as they can be before a sandbox starts."""
    if not words and not every:
        msg = "name an experiment, or --all; `hokusai-probe chaos --list` lists them"
        raise UsageError(msg)
    for word in words:
        _refuse_target(word)
    names = list(dict.fromkeys([*(experiment_names() if every else ()), *words]))
    chosen = [_checked(name) for name in names]
    called = Counter(one.name for one in chosen)
    if twice := [name for name in called if called[name] > 1]:
        msg = f"two experiments are named {twice[0]!r}, and each has a page of its own: give one another name"
        raise UsageError(msg)
    return chosen


def _refuse_target(word: str) -> None:
    if "://" in word or word in config.shipped() or _has_hosts(Path(word)):
        msg = f"{word!r} is a target: {_REFUSED}"
        raise UsageError(msg)


def _has_hosts(path: Path) -> bool:
    """Whether a file is that of a target, which names the platform's hosts."""
    try:
        return "hosts" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False  # reading it as an experiment says what is wrong


def _checked(name: str) -> Experiment:
    """The experiment, whose looks and causes there are, and whose steps the sandbox would take.

    Raises ExperimentError.
    """
    path = path_of(name)
    text = read(path)
    experiment = parse(text, str(path), sandbox.line_in)
    try:
        _check_words(experiment)
        steps = experiment.sandbox_steps()
        sandbox.check_steps([step for _, step in steps], experiment.sandbox)
    except sandbox.SandboxStepError as error:
        number, *rest = error.place
        step, _ = steps[int(number)]
        msg = f"{path}:{sandbox.line_in(text, (*step, *rest))}: {place_in_words(step)}: {error}"
    except (sandbox.SandboxError, UsageError) as error:
        msg = f"{path}: {error}"
    else:
        return experiment
    raise ExperimentError(msg)


def _check_words(experiment: Experiment) -> None:
    """Refuse looks and causes that there are not: a cause that is misspelt would never be named."""
    found = catalogue()
    check_selectors(found, experiment.looks)
    for cause in (*experiment.expect.causes, *experiment.expect.accept):
        if cause not in found.causes:
            near = hint(cause, found.causes) or ";"
            msg = f"expect: no cause {cause!r}{near} `hokusai-probe causes` lists them"
            raise UsageError(msg)


def _progress(text: str) -> None:
    say(terminal(text), err=True)


def _silent(_: str) -> None:
    return


def _write(found: Results, reports: str | None, json_file: str | None) -> None:
    if json_file is not None:
        write(json_file, found.model_dump_json(indent=1) + "\n")
    if reports is not None:
        for name, text in documents(found.results).items():
            writing(str(Path(reports) / name), _writer(text))
    shown = (columns(plain(found.results)), *notes(found.results), counted(found.results))
    say(terminal("\n".join(shown)), err=json_file == "-")


def _writer(text: str) -> Callable[[Path], object]:
    return lambda path: files.replace(path, text)


# --- carrying out ---------------------------------------------------------------------------------------


async def _all(
    experiments: Sequence[Experiment], seed: int | None, note: Callable[[str], None]
) -> tuple[list[Result], str | None]:
    """Each in a sandbox of its own, one after the other; a signal ends it after the rollback."""
    from hokusai_probe.chaos.driver import Stop

    stop = Stop()

    def end(number: signal.Signals) -> None:
        stop.signal = stop.signal or number.name
        stop.event.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    results: list[Result] = []
    with sandbox.warm() if len(experiments) > 1 else nullcontext():
        for experiment in experiments:
            if not stop.event.is_set():
                note(f"{experiment.name}: {experiment.summary}")
                results.append(await _one(experiment, seed, stop, note))
                note(f"{experiment.name}: {results[-1].outcome} {'; '.join(results[-1].reasons)}")
    return results, stop.signal


async def _one(experiment: Experiment, seed: int | None, stop: Stop, note: Callable[[str], None]) -> Result:
    from hokusai_probe.chaos.driver import conduct
    from hokusai_probe.chaos.facts import Recorded

    try:
        async with _sandbox(experiment.sandbox, seed) as box:
            with TemporaryDirectory(prefix="hokusai-chaos-") as folder:
                hands = BoxHands(box, _outliving(in_box(box), Path(folder)))
                return judge(await conduct(experiment, hands, stop, note))
    except sandbox.SandboxSkippedError as missing:
        return judge(Recorded(experiment=experiment, skipped=str(missing)))
    except sandbox.SandboxError as error:
        return judge(Recorded(experiment=experiment, not_started=(str(error),)))


def _outliving(place: Place, folder: Path) -> Place:
    """The place with a certificate authority that stays when the sandbox dies: nobody answers, no more."""
    tls = place.target.tls
    if tls.ca_file is None:
        return place
    kept = copyfile(tls.ca_file, folder / "ca.pem")
    own = place.target.model_copy(update={"tls": tls.model_copy(update={"ca_file": str(kept)})})
    return replace(place, target=own)


@asynccontextmanager
async def _sandbox(scenario: str, seed: int | None) -> AsyncIterator[sandbox.Box]:
    """A sandbox that starts and ends beside the loop, which goes on hearing signals."""
    with ExitStack() as stack:
        box = await asyncio.to_thread(stack.enter_context, sandbox.start(scenario, seed))
        yield box


@dataclass(frozen=True, slots=True)
class BoxHands:
    """What an experiment may do to a sandbox, by the sandbox's own orders."""

    box: sandbox.Box
    place: Place

    @property
    def target(self) -> Target:
        """The sandbox as a target."""
        return self.place.target

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment in which it is looked at."""
        return self.place.environment

    @property
    def seed(self) -> int:
        """Gives the same names and keys again."""
        return self.box.seed

    @property
    def time_scale(self) -> float:
        """How many platform seconds one second here stands for."""
        return self.box.time_scale

    async def apply(self, step: Mapping[str, object]) -> None:
        """Apply one of the sandbox's own steps."""
        await _ordered(self.box.apply, step)

    async def clear_faults(self) -> None:
        """Take back all faults on edges."""
        await _ordered(self.box.clear_faults)

    async def disk(self, state: Literal["small", "full", "free"]) -> None:
        """Change the disk of MLflow's artifacts. Raises NotPermittedError where this system does not."""
        from hokusai_probe.chaos.driver import HandsError, NotPermittedError

        try:
            await _ordered(self.box.disk, state)
        except HandsError as error:
            if state == "small":
                raise NotPermittedError(str(error)) from None
            raise

    async def connections(self, state: Literal["held", "free"]) -> None:
        """Hold every connection that the database has to spare, or let go of them."""
        await _ordered(self.box.connections, state)

    async def counted(self) -> int:
        """How often faults with ``every`` were matched so far."""
        return int(await _ordered(self.box.counted))

    async def gateway_variables(self) -> Mapping[str, str]:
        """The variables of the gateway's task definition."""
        params = {"taskDefinition": "{task_definition.gateway}"}
        call = {"kind": "aws", "service": "ecs", "call": "describe_task_definition", "params": params}
        (answer,) = await _ordered(self.box.apply, call)
        first = answer["taskDefinition"]["containerDefinitions"][0]
        return {one["name"]: one["value"] for one in first["environment"]}

    async def kill_probe(self) -> str:
        """Begin a run that registers a model and kill it as soon as something of it is on the platform."""
        from hokusai_probe.chaos.driver import HandsError

        for _ in range(_KILL_TRIES):
            after = await self._killed_half_way()
            if after is not None:
                return f"a probe was killed {after:.1f} s after its start, while it registered a model"
        msg = "the probe was through before it could be killed"
        raise HandsError(msg)

    async def _killed_half_way(self) -> float | None:
        """Seconds after which it was killed; None: it had ended, or nothing of it was there yet."""
        command = [sys.executable, "-m", "hokusai_probe.cli", "run", str(self.box.target_file), "--quiet"]
        began = time.monotonic()
        probe = await asyncio.create_subprocess_exec(
            *command, "--only", "model-registration", "--allow", "write", env=dict(self.environment),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            while probe.returncode is None and time.monotonic() - began < _KILL_S:
                if await self._something_is_there() and probe.returncode is None:
                    return time.monotonic() - began
            return None
        finally:
            if probe.returncode is None:
                os.killpg(probe.pid, signal.SIGKILL)
            await probe.wait()

    async def _something_is_there(self) -> bool:
        from hokusai_probe.sweeping import sweep

        try:
            found = await sweep(self.target, self.environment, apply=False, older_than=timedelta(0))
        except ProbeError:
            return False
        return any(one.kind == "registered model" for one in found.found)


async def _ordered(order: Callable[..., Any], *parts: object) -> Any:
    """Give the sandbox an order without holding up the loop; what it refuses is a HandsError."""
    from hokusai_probe.chaos.driver import HandsError

    try:
        return await asyncio.to_thread(order, *parts)
    except sandbox.SandboxError as error:
        raise HandsError(str(error)) from None
