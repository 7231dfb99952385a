"""A git remote to publish to, what is on it afterwards, and publishers that are processes of their own.

``python tests/_pushed.py`` starts those.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

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


def race(remote: Path, where: Path, writers: int, rounds: int, within_s: float = 3600.0) -> Raced:
    """Let so many processes publish a run each at the same time, so many times, or until time is up.

    It is a program of its own that starts them, as its forks, so that each costs no imports.
    """
    words = [sys.executable, __file__, remote, where, writers, rounds, within_s]
    path = {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    done = subprocess.run(
        [str(word) for word in words], stdout=subprocess.PIPE, check=True, env={**os.environ, **path},
    )  # fmt: skip
    said = done.stdout
    turns = [json.loads(line) for line in said.splitlines()]
    kept = (mine(turn, number) for turn, done in enumerate(turns) for number in range(len(done)))
    tries, seconds = zip(*(one for done in turns for one in done), strict=True)
    return Raced(tuple(kept), tuple(tries), tuple(seconds))


def mine(turn: int, number: int) -> Run:
    """What a publisher has to publish in a round."""
    return run(turn, duration_s=float(number))


def publisher(remote: Path, folder: Path, number: int, told: Connection) -> None:
    """Publish a run of one's own whenever told to, and answer how many pushes and seconds it took."""
    pushes: list[str] = []
    real = Remote.push

    async def counted(self: Remote, made: str, branch: str) -> None:
        pushes.append(made)
        await real(self, made, branch)

    Remote.push = counted  # type: ignore[method-assign]
    wish = Wish(folder, "probe-data", BOT, remote=str(remote), push=True)
    while (turn := told.recv()) is not None:
        filled(folder / "history", [mine(turn, number)])
        pushes.clear()
        began = time.monotonic()
        result = asyncio.run(publish(wish, os.environ, Path.cwd()))
        assert result.complete, result
        told.send((len(pushes), time.monotonic() - began))


def main(remote: Path, where: Path, writers: int, rounds: int, within_s: float) -> None:
    """Start the publishers, tell them all at once, and print a line for each round."""
    context = multiprocessing.get_context("fork")
    publishers = []
    for number in range(writers):
        ours, theirs = context.Pipe()
        arguments = (remote, where / str(number), number, theirs)
        context.Process(target=publisher, args=arguments, daemon=True).start()
        theirs.close()  # so that one that fell is heard of
        publishers.append(ours)
    end = time.monotonic() + within_s
    for turn in range(rounds):
        if turn < 2 or time.monotonic() < end:
            for ours in publishers:
                ours.send(turn)
            sys.stdout.write(json.dumps([ours.recv() for ours in publishers]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
