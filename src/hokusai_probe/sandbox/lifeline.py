"""Runs a command that must not outlive its parent, even when the parent is killed with SIGKILL.

The parent holds the write end of a pipe; this process holds the read end. A byte on the pipe is a signal
number for the command's process group. The end of the pipe means that the parent let go or is gone: the
group is killed. The file runs by its path and imports as little as it can, so that it costs milliseconds
(subprocess, shutil, pathlib and typing are three times that):

    python lifeline.py FD -- COMMAND...      run the command; exit as it does (128 + n after signal n)
    python lifeline.py FD --remove DIR       run nothing; remove the directory at the end of the pipe
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
MNT_DETACH = 2  # <sys/mount.h>
# half a minute: on a busy machine what is being ended may take that long to die
REMOVE_TRIES = 300
REMOVE_PAUSE_S = 0.1


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False where there is none, which is no error."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal_child(child: int, number: int) -> None:
    """Send a signal to a child's group, or to the child alone while it has not made itself one yet."""
    if signal_group(child, number):
        return
    try:
        os.kill(child, number)
    except ProcessLookupError:  # it has ended
        return


def obey(fd: int, child: int) -> None:
    """Pass the pipe's signals on to a child and its group until the pipe ends, then kill them."""
    while numbers := os.read(fd, 64):
        for number in numbers:
            _signal_child(child, number)
    _signal_child(child, signal.SIGKILL)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its guard dies, even of SIGKILL (Linux's PR_SET_PDEATHSIG).

    Args:
        parent: The guard; where it has died before this call, this process ends here.

    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def run(fd: int, command: Sequence[str]) -> int:
    """Run the command in a process group of its own; returns its exit code."""
    os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library has it so
    guard, child = os.getpid(), os.fork()
    if child == 0:
        _become(command, guard)
    threading.Thread(target=obey, args=(fd, child), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal_group(child, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _become(command: Sequence[str], guard: int) -> None:
    """Be the command, without stdin, in a session of its own; exit code 127 when there is no such program."""
    os.setsid()
    die_with_parent(guard)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and a program inherits what is ignored
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - what our parent asks for, no shell
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def remove_at_end(fd: int, directory: str) -> int:
    """Wait for the end of the pipe and remove the directory. Dying processes may still write: try again."""
    import shutil

    while os.read(fd, 64):
        continue
    _unmount_in(directory)
    for _ in range(REMOVE_TRIES):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):  # noqa: PTH110 - pathlib costs more than all of this
            return 0
        time.sleep(REMOVE_PAUSE_S)
    return 1


def _unmount_in(directory: str) -> None:
    """Take off what is mounted below a directory (a small disk), or nobody could remove it."""
    if sys.platform != "linux":
        return
    with open("/proc/self/mounts") as table:  # noqa: PTH123 - as above
        mounted = [line.split()[1] for line in table]
    below = [place for place in mounted if place.startswith(f"{directory}/")]
    if below:
        import ctypes

        for place in reversed(below):
            ctypes.CDLL(None).umount2(place.encode(), MNT_DETACH)


def main(arguments: Sequence[str]) -> int:
    """See the module's docstring for the two forms."""
    fd, mode, rest = int(arguments[0]), arguments[1], arguments[2:]
    return remove_at_end(fd, rest[0]) if mode == "--remove" else run(fd, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
