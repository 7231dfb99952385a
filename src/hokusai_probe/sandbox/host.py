"""The host process of a sandbox: ``python -m hokusai_probe.sandbox.host SCENARIO [--seed N]``.

It brings the platform up and says one JSON line on stdout: ``{"target_file": ...}`` when it is ready,
``{"error": "..."}`` (exit 2) when it cannot be, ``{"skip": "..."}`` (exit 0) when a backend is not there.
Then it stays up, obeying what comes on its stdin (`orders`), until that ends or it gets SIGTERM or SIGINT,
and leaves nothing behind; children and the temporary directory go even when it is killed with SIGKILL.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hokusai_probe.sandbox import MISSING_EXTRA, nursery, processes

if TYPE_CHECKING:
    from hokusai_probe.sandbox.early import Early
    from hokusai_probe.sandbox.miniature import Miniature
    from hokusai_probe.sandbox.scenario import Scenario

_LARGEST_SEED = 2**31

# The control plane answers in threads beside the load balancers' loop. With Python's 5 ms a busy thread
# would hold each of the loop's many small steps up that long, and the platform's scaled timers would run out.
_SWITCH_S = 0.0002


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run of this program is about."""

    scenario: str
    seed: int
    started: float  # time.monotonic()
    nursery: nursery.Nursery
    directory: Path
    out: TextIO


def main(arguments: Sequence[str]) -> int:
    """Run a sandbox until told to stop; returns the exit code."""
    started = time.monotonic()
    gc.disable()  # a fifth of the imports' time, for garbage that is not there
    parser = argparse.ArgumentParser(prog="python -m hokusai_probe.sandbox.host")
    parser.add_argument("scenario")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(_LARGEST_SEED)
    _forget_environment()
    with contextlib.closing(_own_nursery()) as own:
        directory = Path(tempfile.mkdtemp(prefix="hokusai-sandbox-"))
        remover = processes.remove_after_me(directory)
        out = _take_stdout(directory / "host.log")
        try:
            return _serve(_Run(options.scenario, seed, started, own, directory, out))
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            if not directory.exists():  # else somebody who is being ended still writes, and it tries again
                remover.let_go()


def _own_nursery() -> nursery.Nursery:
    """Start importing for the services at once; nothing where this process is itself a nursery's fork."""
    own = nursery.Nursery(processes.allowed_environment(os.environ), nursery.SHARED)
    if nursery.VARIABLE not in os.environ:
        os.environ[nursery.VARIABLE] = own.fork()
    return own


def _serve(run: _Run) -> int:
    try:
        from hokusai_probe.sandbox.scenario import ScenarioError, load_scenario

        scenario = load_scenario(run.scenario)
        sys.setswitchinterval(_SWITCH_S)
        return asyncio.run(_host(scenario, run))
    except ModuleNotFoundError as error:
        _say(run.out, {"error": f"{MISSING_EXTRA} (no module {error.name!r})"})
    except ScenarioError as error:
        _say(run.out, {"error": str(error)})
    return 2


async def _host(scenario: "Scenario", run: _Run) -> int:
    from hokusai_probe.sandbox.early import SandboxBrokenError, begin
    from hokusai_probe.sandbox.scenario import BackendMissingError, ScenarioError

    stop, lines = _stop_event()
    try:
        early = begin(scenario, run.seed, run.directory)
        with contextlib.closing(early.claim):
            try:
                await _unless(stop, _live(scenario, early, run, lines), run.nursery)
            finally:
                await asyncio.to_thread(early.end)
    except BackendMissingError as error:
        _say(run.out, {"skip": str(error)})
    except (SandboxBrokenError, ScenarioError) as error:
        _say(run.out, {"error": str(error)})
        return 2
    except OSError as error:
        _say(run.out, {"error": f"the sandbox's own files or sockets fail: {error}"})
        return 2
    return 0


async def _live(scenario: "Scenario", early: "Early", run: _Run, lines: asyncio.Queue[str]) -> None:
    from hokusai_probe.sandbox.miniature import boot

    async with boot(scenario, early) as sandbox:
        ready = await sandbox.become()
        gc.freeze()
        gc.enable()
        _say(run.out, ready | {"seconds": round(time.monotonic() - run.started, 2)})
        await asyncio.gather(sandbox.keep(), _obey(sandbox, lines, run.out))


async def _obey(sandbox: "Miniature", lines: asyncio.Queue[str], out: TextIO) -> None:
    """Carry out what comes on stdin, line by line."""
    while sandbox.orders is not None:
        _say(out, await sandbox.orders.obey(await lines.get()))


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, None], own: nursery.Nursery) -> None:
    """Do the work until it ends, or cancel it when the stop comes first."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    own.close()  # what it has not forked yet, it need not: nobody waits for that
    task.cancel()
    await asyncio.wait({task})
    return None


def _stop_event() -> tuple[asyncio.Event, asyncio.Queue[str]]:
    """Set on SIGTERM, SIGINT and the end of stdin; and the lines that come on stdin before."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def watch() -> None:
        with contextlib.suppress(RuntimeError):  # the loop ended first
            for line in _lines(0):
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, daemon=True).start()
    return stop, lines


def _lines(handle: int) -> Iterator[str]:
    """The whole lines of a file, as they come; a reader object would be in the way when Python ends."""
    rest = b""
    while read := os.read(handle, 65536):
        *whole, rest = (rest + read).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def _forget_environment() -> None:
    """Drop everything of the person's environment that the sandbox does not let in."""
    kept = processes.allowed_environment(os.environ)
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    os.environ["SSL_CERT_FILE"] = os.devnull  # 0.1 s of import; the sandbox has an authority of its own


def _take_stdout(log: Path) -> TextIO:
    """Keep stdout for the protocol; whatever else is printed, and moto's access log, goes to the log file.

    Stderr stays: what arrives there is a defect of the sandbox.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    os.dup2(handle, 1)
    os.close(handle)
    logging.basicConfig(filename=log, level=logging.INFO)
    return out


def _say(out: TextIO, what: Mapping[str, object]) -> None:
    out.write(json.dumps(what, default=str) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
