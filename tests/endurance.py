"""Boots and kills, many of them: ``python tests/endurance.py ROUNDS [--seed N]``.

Each round starts a sandbox as a program of its own and ends it at a random moment, during the start or after
it, by SIGKILL to the program, SIGKILL to any one of the sandbox's processes, SIGTERM, or in peace. After each
round nothing may be left: no process, no listening port, no file, no route. Every second round is a fork of a
nursery. Databases lie in memory where there is plenty: one that no living process names counts as left.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 40.0
MEMORY = Path("/dev/shm")
_START = """
import contextlib, sys, time
from hokusai_probe import sandbox
with sandbox.warm() if sys.argv[2] == "warm" else contextlib.nullcontext():
    with sandbox.start(sys.argv[1]):
        print("up", flush=True)
        time.sleep(3600)
"""
HOW = ("kill the program", "kill one of its processes", "terminate", "end")


def processes_of(place: Path) -> list[int]:
    """Living processes whose TMPDIR is this directory, forks included: they inherit what /proc shows."""
    mark = f"TMPDIR={place}\0".encode()
    return [int(found.parent.name) for found in Path("/proc").glob("[0-9]*/environ") if _holds(found, mark)]


def _holds(environ: Path, mark: bytes) -> bool:
    try:
        is_dead = (environ.parent / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return not is_dead and mark in environ.read_bytes() + b"\0"
    except OSError:
        return False


def routes() -> str:
    """The kernel's table of local addresses; empty where there is none to read."""
    table = Path("/proc/net/fib_trie")
    return table.read_text() if table.exists() else ""


def listening() -> set[str]:
    """Addresses in the sandboxes' part of 127.0.0.0/8 on which somebody listens."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and row[1][6:8] == "7F" and int(row[1][4:6], 16) >= 16}


def one_round(place: Path, how: str, kind: str, draw: random.Random) -> float:
    """Start a sandbox in a program with this TMPDIR and end it; returns after how many seconds.

    Raises:
        AssertionError: Something is left.

    """
    before, in_memory, after_s = routes(), databases(), draw.uniform(0.05, 9.0)
    program = subprocess.Popen(
        [sys.executable, "-c", _START, "healthy", kind],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        time.sleep(after_s)
        _end(program, how, place, draw)
    finally:
        if program.poll() is None:
            program.kill()
        program.wait()
    left = left_after(place, PATIENCE_S, in_memory)
    assert not left, f"{how} after {after_s:.2f} s ({kind}): left behind {left}"
    assert routes() == before
    return after_s


def _end(program: subprocess.Popen[bytes], how: str, place: Path, draw: random.Random) -> None:
    others = sorted(set(processes_of(place)) - {program.pid})
    if how == "kill one of its processes" and others:
        os.kill(draw.choice(others), signal.SIGKILL)
        time.sleep(draw.uniform(0.0, 0.5))
    number = {"terminate": signal.SIGTERM, "end": signal.SIGINT}.get(how, signal.SIGKILL)
    program.send_signal(number)
    program.wait(PATIENCE_S)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def databases() -> frozenset[Path]:
    """The directories of databases that lie in memory and that no living process names."""
    commands = b"".join(_command(int(found.name)) for found in Path("/proc").glob("[0-9]*"))
    found = MEMORY.glob("hokusai-sandbox-*")
    return frozenset(place for place in found if place.name.encode() not in commands)


def left_after(place: Path, seconds: float, in_memory: frozenset[Path] | None = None) -> list[str]:
    """What is left of the sandboxes with this TMPDIR after so many seconds; [] as soon as nothing is.

    ``in_memory``: the databases that were there before; None: they are not looked at.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = [f"process {pid}: {_command(pid)[:90]!r}" for pid in processes_of(place)]
        left += [f"file {path}" for path in place.iterdir()]
        left += [f"file {path}" for path in (databases() - in_memory if in_memory is not None else ())]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def rounds(count: int, seed: int) -> None:
    """So many rounds; prints one line each."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="endurance-") as directory:
        for number in range(count):
            place = Path(directory) / str(number)
            place.mkdir()
            how, kind = draw.choice(HOW), "warm" if number % 2 else "cold"
            after_s = one_round(place, how, kind, draw)
            say(f"{number + 1:4} {kind} {how} after {after_s:.2f} s: nothing left")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args(arguments)
    before = listening()
    say(f"seed: {options.seed}")
    rounds(options.rounds, options.seed)
    assert listening() <= before, f"ports are left: {listening() - before}"
    say(f"{options.rounds} boots and kills: no process, port, file or route is left")


if __name__ == "__main__":
    main(sys.argv[1:])
