"""Jobs in processes of their own, forked from one that has loaded what they need.

Importing MLflow and scikit-learn takes seconds, a fork milliseconds. The server is a program that loads,
then forks a child for each job; it stays for the next run of the same process. It ends with its owner: at
exit, and, because its pipes end, also when the owner is killed. A job that is cut short costs its child,
never the server.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_END_S = 2.0  # an idle server ends in milliseconds, one that still loads after a step of its loading
_REAPED_S = 0.5
_LAST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Running:
    """A server's process, the socket that takes jobs to it, the file of its stderr, and who started it."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    stderr: IO[bytes]
    owner: int

    def is_ours(self) -> bool:
        """Whether this very process started it: a fork of the owner must neither use nor end it."""
        return self.owner == os.getpid()

    def serves(self) -> bool:
        """Whether it still holds its end of the socket, on which it never says a word."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> None:
        """Let go of it and wait until it is gone: seconds at most."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.control.close()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.stderr.close()


@dataclass(frozen=True, slots=True)
class Job:
    """A child at work, seen from its owner: it says lines, and can be told to go on."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _stderrs: tuple[IO[bytes], ...]

    async def line(self) -> bytes:
        """The next line that it says. Raises RuntimeError with its last words when it ends first."""
        line = b""
        with contextlib.suppress(ConnectionError):
            line = await self._reader.readline()
        if not line:
            words = next((w for w in map(_last_words, self._stderrs) if w), "it said nothing")
            msg = f"the model worker ended: {words}"
            raise RuntimeError(msg)
        return line

    def go_on(self, line: str = "") -> None:
        """Tell it that what it waits for is there, and what it is."""
        self._writer.write(f"{line}\n".encode())


def _last_words(stderr: IO[bytes]) -> str:
    """The last line of a file that others write to; its position is theirs and stays where it is."""
    start = max(0, os.fstat(stderr.fileno()).st_size - _LAST_BYTES)
    lines = os.pread(stderr.fileno(), _LAST_BYTES, start).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


class ForkServer:
    """Runs ``program`` by its path. Of our environment it gets what is ``passed_on``, beside ``settings``.

    The program's stdin ends with its owner. Its argument is the descriptor of a socket; each byte there
    brings three descriptors. On the first, a socket, child and owner talk; the owner's first line is the
    task and the job's directory. The second, a socket too, ends when the child is to be killed; the server
    writes a byte to it when the child is gone. The third is the child's stderr.
    """

    def __init__(self, program: Path, passed_on: Sequence[str], settings: Mapping[str, str]) -> None:
        self._program = program
        self._passed_on = tuple(passed_on)
        self._settings = dict(settings)
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def start(self) -> None:
        """Have it load unless it runs already. Returns at once. Raises OSError when it cannot be started."""
        with self._lock:
            self._started()

    def end(self) -> None:
        """End it and wait for it: seconds at most. The next job starts a new one."""
        with self._lock:
            running, self._running = self._running, None
            if running is not None and running.is_ours():
                running.end()

    @asynccontextmanager
    async def job(self, directory: Path, task: str = "model") -> AsyncIterator[Job]:
        """A child that does a task in ``directory``. It is gone when the block ends, however that happens.

        Raises OSError when the server cannot be started.
        """
        channel, its_channel = socket.socketpair()
        leash, its_leash = socket.socketpair()
        with tempfile.TemporaryFile() as stderr, channel, leash:
            with its_channel, its_leash:
                server = self._ask(its_channel, its_leash, stderr)
            channel.sendall(f"{task} {directory}\n".encode())
            reader, writer = await asyncio.open_connection(sock=channel)
            try:
                yield Job(reader, writer, (stderr, server.stderr))
            finally:
                writer.close()
                await _let_go(leash)

    def _ask(self, channel: socket.socket, leash: socket.socket, stderr: IO[bytes]) -> _Running:
        with self._lock:
            server = self._started()
            with contextlib.suppress(BrokenPipeError):  # dead since a moment ago: the channel's end will tell
                socket.send_fds(server.control, [b"\n"], [channel.fileno(), leash.fileno(), stderr.fileno()])
        return server

    def _started(self) -> _Running:
        running = self._running
        if running is not None and running.is_ours():
            if running.serves():
                return running
            running.end()
        else:
            atexit.register(self.end)
        self._running = self._launched()
        return self._running

    def _launched(self) -> _Running:
        environment = {name: os.environ[name] for name in self._passed_on if name in os.environ}
        control, its_control = socket.socketpair()
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
        with its_control:
            process = subprocess.Popen(
                # -P: neither the working directory nor the program's own may lend it modules
                [sys.executable, "-P", str(self._program), str(its_control.fileno())],
                stdin=subprocess.PIPE,
                stdout=stderr,
                stderr=stderr,
                env=environment | self._settings,
                pass_fds=[its_control.fileno()],
                start_new_session=True,  # a Ctrl-C at the terminal is for the owner, who cleans up
            )
        return _Running(process, control, stderr, os.getpid())


async def _let_go(leash: socket.socket) -> None:
    """Have the child killed, and wait until it is. A server that still loads has none, and will fork none."""
    leash.shutdown(socket.SHUT_WR)
    leash.settimeout(0)
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_REAPED_S):
            await asyncio.get_running_loop().sock_recv(leash, 1)
