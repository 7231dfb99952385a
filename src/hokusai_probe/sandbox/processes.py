"""Child processes of the sandbox: started through `lifeline`, so that none outlives the host."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hokusai_probe.sandbox import lifeline

_LIFELINE = (sys.executable, "-I", "-S", lifeline.__file__)
_ALLOWED = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV")
_STOP_S = 5.0


def allowed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of a person's environment that the sandbox lets in: where programs are, and Python's own.

    No key, AWS profile, proxy or tracking address of the person reaches a process of the sandbox.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in _ALLOWED or name.startswith(("PYTHON", "LC_"))
    }


class Child:
    """A running command. Close it with `kill`; it dies with this process in any case."""

    def __init__(self, guard: subprocess.Popen[bytes], pipe: int) -> None:
        self._guard = guard
        self._pipe: int | None = pipe

    @property
    def alive(self) -> bool:
        """Whether the command still runs."""
        return self._guard.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, 128 + n after signal n; None while it runs."""
        return self._guard.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's process group."""
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, bytes([number]))
        except BrokenPipeError:
            return

    def let_go(self) -> None:
        """Have the command killed, without waiting for it."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def kill(self) -> None:
        """Kill the command and wait until it is gone."""
        self.let_go()
        try:
            self._guard.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start a command; its output is appended to the log file.

    Args:
        command: Program and arguments.
        environment: The whole environment of the command.
        log: Where stdout and stderr go.

    """
    return _guarded(["--", *command], environment, log)


def remove_after_me(directory: Path) -> Child:
    """Have a directory removed when this process ends, however it ends."""
    return _guarded(["--remove", str(directory)], allowed_environment(os.environ), Path(os.devnull))


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log file that are not blank; [] when there is no such file."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _guarded(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    read_end, write_end = os.pipe()
    try:
        with log.open("ab") as output:
            guard = subprocess.Popen(
                [*_LIFELINE, str(read_end), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                pass_fds=(read_end,),
                start_new_session=True,
            )
    finally:
        os.close(read_end)
    return Child(guard, write_end)
