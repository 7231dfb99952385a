"""Child processes of the sandbox: started through `lifeline`, so that none outlives the host."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hokusai_probe.sandbox import lifeline, nursery

_LIFELINE = (sys.executable, "-I", "-S", lifeline.__file__)
_ALLOWED = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV", nursery.VARIABLE)
_HOST = "hokusai_probe.sandbox.host"
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


class Guard(Protocol):
    """Who holds a running command: a guard process of ours, or one of the nursery's."""

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; subprocess.TimeoutExpired when it does not come in time."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...


class Child:
    """A running command. Close it with `kill`; it dies with this process in any case.

    Args:
        guard: Who holds it.
        pipe: The guard's lifeline: a byte is a signal for the command, the end of it is the command's end.

    """

    def __init__(self, guard: Guard, pipe: int) -> None:
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

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the command's end; returns its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.

        """
        return self._guard.wait(timeout)

    def kill(self) -> None:
        """Kill the command and wait until it is gone."""
        self.let_go()
        try:
            self._guard.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()


class Host:
    """The host process of a sandbox, with its stdin to end it and its stdout to hear from it.

    Args:
        arguments: The host's own.
        environment: Its whole environment.
        address: The nursery whose fork it shall be; None: an interpreter of its own.

    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], address: str | None) -> None:
        stdin_r, stdin_w = os.pipe()
        stdout_r, stdout_w = os.pipe()
        try:
            if address is None:
                self._child: Child | subprocess.Popen[bytes] = _alone(
                    arguments, environment, stdin_r, stdout_w
                )
            else:
                named = {**environment, nursery.VARIABLE: address}
                self._child = Child(*nursery.spawn(address, _HOST, arguments, named, (stdin_r, stdout_w, 2)))
        finally:
            os.close(stdin_r)
            os.close(stdout_w)
        self.stdin = os.fdopen(stdin_w, "wb")
        self.stdout = os.fdopen(stdout_r, encoding="utf-8")

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired when it does not come in time."""
        return self._child.wait(timeout)

    def kill(self) -> None:
        """Kill it and wait until it is gone."""
        self._child.kill()
        self._child.wait()


def _alone(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: int, stdout: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", _HOST, *arguments],
        stdin=stdin,
        stdout=stdout,
        env=environment,
        start_new_session=True,
    )


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start a command; its output is appended to the log file.

    Args:
        command: Program and arguments.
        environment: The whole environment of the command.
        log: Where stdout and stderr go.

    """
    address = environment.get(nursery.VARIABLE)
    if address and command[1] == "-m" and command[2] in nursery.MODULES:
        with contextlib.suppress(OSError):  # the nursery is gone: an interpreter of its own does it too
            return _sown(address, command[2], environment, log)
    return _guarded(["--", *command], environment, log)


class Removers:
    """Two processes that wait to remove a directory: one may be killed just before this process is."""

    def __init__(self, directory: Path) -> None:
        arguments = ["--remove", str(directory)]
        self._both = [
            _guarded(arguments, allowed_environment(os.environ), Path(os.devnull)) for _ in range(2)
        ]

    def let_go(self) -> None:
        """Have the directory removed, without waiting for it."""
        for one in self._both:
            one.let_go()

    def kill(self) -> None:
        """Have the directory removed and wait until they are gone."""
        for one in self._both:
            one.kill()


def remove_after_me(directory: Path) -> Removers:
    """Have a directory removed when this process ends, however it ends."""
    return Removers(directory)


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log file that are not blank; [] when there is no such file."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _sown(address: str, module: str, environment: Mapping[str, str], log: Path) -> Child:
    """The module as a fork of the nursery."""
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as output:
        files = (nothing.fileno(), output.fileno(), output.fileno())
        return Child(*nursery.spawn(address, module, (), environment, files))


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
