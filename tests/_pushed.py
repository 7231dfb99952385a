"""A git remote to publish to, what is on it afterwards, and publishers that are processes of their own.

``python tests/_pushed.py`` is one of those: it publishes a folder each time it is told to.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from _kept import filled, run

from hokusai_probe.history.runs import Run
from hokusai_probe.publish.publisher import publish
from hokusai_probe.publish.remote import Remote
from hokusai_probe.publish.wish import Identity, Wish

BOT = Identity("probe[bot]", "probe@example.com")


def git(where: Path, *arguments: str) -> str:
    """What a git command says. Raises CalledProcessError."""
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    found = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(where), *arguments],
        capture_output=True, text=True, timeout=60, check=True, env={**os.environ, **alone},
    )  # fmt: skip
    return found.stdout


def bare(where: Path) -> Path:
    """An empty remote."""
    where.mkdir(parents=True)
    git(where, "init", "--quiet", "--bare", "--initial-branch=main")
    return where


def hook(remote: Path, name: str, script: str) -> None:
    """A hook that the remote runs."""
    path = remote / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


def files(remote: Path, branch: str) -> list[str]:
    """The paths of a branch, sorted; none for no branch."""
    if branch not in branches(remote):
        return []
    return git(remote, "ls-tree", "-r", "--name-only", branch).splitlines()


def branches(remote: Path) -> dict[str, str]:
    """Every branch with its last commit."""
    rows = git(remote, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return {name: commit for name, _, commit in (row.partition(" ") for row in rows)}


def messages(remote: Path, branch: str) -> list[str]:
    """What the commits of a branch say, the latest first."""
    return git(remote, "log", "--format=%s", branch).splitlines()


def added(remote: Path, branch: str) -> list[str]:
    """The path of every file of a run that some commit adds or changes, sorted: each should be there once."""
    said = git(remote, "log", "--format=", "--name-only", "--no-renames", branch, "--", "history/*.json")
    return sorted(line for line in said.splitlines() if line)


# --- many at once -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Raced:
    """What became of publishers that all came at once. ``tries``: the pushes that each publication took."""

    runs: tuple[Run, ...]
    tries: tuple[int, ...]
    seconds: tuple[float, ...]


def race(remote: Path, where: Path, writers: int, rounds: int) -> Raced:
    """Let so many processes publish a run each at the same time, so many times."""
    started = [_start(remote, where / str(number)) for number in range(writers)]
    try:
        with ThreadPoolExecutor(writers) as pool:
            done = [one for turn in range(rounds) for one in _round(pool, started, where, turn)]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    kept, tries, seconds = zip(*done, strict=True)
    return Raced(tuple(kept), tuple(tries), tuple(seconds))


def _start(remote: Path, folder: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, __file__, str(remote), str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **_ours()})


def _ours() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _round(
    pool: ThreadPoolExecutor, started: Sequence["subprocess.Popen[str]"], where: Path, turn: int
) -> list[tuple[Run, int, float]]:
    """One run more for each, and all of them told at once."""
    runs = [run(turn, duration_s=float(number)) for number in range(len(started))]
    for number, one in enumerate(runs):
        filled(where / str(number) / "history", [one])
    for process in started:
        _pipe(process.stdin).write("\n")
        _pipe(process.stdin).flush()
    said = pool.map(lambda process: json.loads(_pipe(process.stdout).readline()), started)
    return [(one, tries, seconds) for one, (tries, seconds) in zip(runs, said, strict=True)]


def _pipe(one: IO[str] | None) -> IO[str]:
    assert one is not None
    return one


def main(remote: str, folder: str) -> None:
    """Publish the folder each time a line comes, and say how many pushes and seconds it took."""
    pushes: list[str] = []
    real = Remote.push

    async def counted(self: Remote, made: str, branch: str) -> None:
        pushes.append(made)
        await real(self, made, branch)

    Remote.push = counted  # type: ignore[method-assign]
    for _ in sys.stdin:
        pushes.clear()
        began = time.monotonic()
        wish = Wish(Path(folder), "probe-data", BOT, remote=remote, push=True)
        result = asyncio.run(publish(wish, os.environ, Path.cwd()))
        assert result.complete, result
        sys.stdout.write(json.dumps([len(pushes), time.monotonic() - began]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
