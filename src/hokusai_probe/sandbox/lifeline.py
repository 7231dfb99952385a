"""Runs a command that must not outlive its parent, even when the parent is killed with SIGKILL.

The parent holds the write end of a pipe; this process holds the read end. A byte on the pipe is a signal
number for the command's process group. The end of the pipe means that the parent let go or is gone: the
group is killed. The file runs by its path and imports nothing but the standard library, so that it costs
milliseconds:

    python lifeline.py FD -- COMMAND...      run the command; exit as it does (128 + n after signal n)
    python lifeline.py FD --remove DIR       run nothing; remove the directory at the end of the pipe
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
REMOVE_TRIES = 100
REMOVE_PAUSE_S = 0.1


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; one that is gone already is no error."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def obey(fd: int, group: int) -> None:
    """Pass the pipe's signals on to the group until the pipe ends, then kill the group."""
    while numbers := os.read(fd, 64):
        for number in numbers:
            signal_group(group, number)
    signal_group(group, signal.SIGKILL)


def die_with_parent() -> None:
    """Have the kernel kill this process when its guard dies, even of SIGKILL (Linux's PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(fd: int, command: Sequence[str]) -> int:
    """Run the command in a process group of its own; returns its exit code."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread was started yet
    )
    threading.Thread(target=obey, args=(fd, child.pid), daemon=True).start()
    code = child.wait()
    signal_group(child.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def remove_at_end(fd: int, directory: Path) -> int:
    """Wait for the end of the pipe and remove the directory. Dying processes may still write: try again."""
    while os.read(fd, 64):
        continue
    for _ in range(REMOVE_TRIES):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return 0
        time.sleep(REMOVE_PAUSE_S)
    return 1


def main(arguments: Sequence[str]) -> int:
    """See the module's docstring for the two forms."""
    fd, mode, rest = int(arguments[0]), arguments[1], arguments[2:]
    return remove_at_end(fd, Path(rest[0])) if mode == "--remove" else run(fd, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
