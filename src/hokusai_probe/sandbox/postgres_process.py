"""Becomes a Postgres server, or one of its tools, in a directory of its own.

Postgres refuses to run as root. Started by root, this hands the directory to the user ``nobody`` and becomes
that user; started by anybody else, it stays who it is. The file runs by its path and imports nothing but the
standard library, so that it costs milliseconds:

    python postgres_process.py DIRECTORY TEMPLATE -- COMMAND...

DIRECTORY is where the command runs; TEMPLATE, "-" for none, is copied to DIRECTORY/data unless that exists.

A server with a template leaves nothing behind even when it is killed: its segment of System V shared memory,
which serves it as a lock, is marked to go with its last process.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65534  # on Debian, Fedora, Alpine and macOS's -2 alike as far as files are concerned
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
IPC_RMID = 0  # <sys/ipc.h>

_SEGMENT_LINE = 6  # of postmaster.pid: the segment's key and id
_LOOKS, _PAUSE_S = 4000, 0.005


def lay_out(directory: Path, template: Path) -> None:
    """Copy a template to the directory's ``data``, unless there is one."""
    data = directory / "data"
    if not data.exists():
        _run("cp", "-R", str(template), str(data))
        data.chmod(0o700)


def give_to(user: int, directory: Path) -> None:
    """Make everything in a directory, and itself, a user's own."""
    _run("chown", "-R", f"{user}:{user}", str(directory))


def _run(*command: str) -> None:
    """Run a program of the system; a thousand files are a quarter of a second of Python, else."""
    code = os.spawnvp(os.P_WAIT, command[0], command)  # noqa: S606 - a fixed program, no shell
    if code != 0:
        sys.exit(f"{command[0]} failed with exit code {code}")


def become(user: int) -> None:
    """Be another user for good, and still die with the guard: the kernel forgets that with the user."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def mark_segment_beside(data: Path) -> None:
    """Mark the segment of the server that this process is about to become, from a child of it.

    A server collects children that it does not know as well, and takes an exit code other than 0 for a crash.
    """
    if os.fork() == 0:
        try:
            _mark_segment(data / "postmaster.pid")
        finally:
            os._exit(0)


def _mark_segment(lock: Path) -> None:
    """Have the kernel remove the segment with the last process that uses it (shmctl(2))."""
    for _ in range(_LOOKS):
        words = _line(lock, _SEGMENT_LINE).split()
        if len(words) == 2:
            ctypes.CDLL(None).shmctl(int(words[1]), IPC_RMID, None)
            return
        time.sleep(_PAUSE_S)


def _line(path: Path, number: int) -> bytes:
    """A line of a file, empty while there is none. In bytes: this user may not be able to import a codec."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return b""
    return lines[number] if number < len(lines) else b""


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring for the arguments."""
    directory, template, _, *command = arguments
    if template != "-":
        lay_out(Path(directory), Path(template))
    if os.getuid() == 0:
        give_to(NOBODY, Path(directory))
        become(NOBODY)
    if template != "-":
        mark_segment_beside(Path(directory) / "data")
    os.chdir(directory)
    os.execv(command[0], command)  # noqa: S606 - a fixed binary, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
