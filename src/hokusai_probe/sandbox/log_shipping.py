"""What the processes of tasks print reaches their log groups while they run.

As the awslogs driver of a container does it: one stream per task (``prefix/CONTAINER/TASK``), one event per
line, a line longer than an event may be goes into several. A group that was deleted takes nothing, and the
task runs on. Sources: Docker's page "Amazon CloudWatch Logs logging driver", the ECS developer guide's "Send
Amazon ECS logs to CloudWatch", and the CloudWatch Logs quota of 256 KiB for an event (26 bytes are its own).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.logs.models import logs_backends

LARGEST_EVENT = 262_144 - 26
"""Bytes of one event's message."""

_AT_A_TIME = 65_536
_LARGEST_REMAINDER = 16 * 1_048_576


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the output of one task goes."""

    account: str
    region: str
    group: str
    name: str


def stream_of(account: str, container: Mapping[str, Any], task_id: str) -> Stream | None:
    """The stream that a container's log configuration gives it, None when it does not log to CloudWatch."""
    logging = container.get("logConfiguration") or {}
    options = logging.get("options") or {}
    if logging.get("logDriver") != "awslogs" or not options.get("awslogs-group"):
        return None
    prefix = options.get("awslogs-stream-prefix", "ecs")
    name = f"{prefix}/{container['name']}/{task_id}"
    return Stream(account, options["awslogs-region"], options["awslogs-group"], name)


def group_exists(stream: Stream) -> bool:
    """Whether the stream's log group is there."""
    return stream.group in logs_backends[stream.account][stream.region].groups


def write(stream: Stream, lines: Sequence[str], now: Callable[[], float] = time.time) -> None:
    """Put lines into a stream, which is created when it is not there; nowhere without its group."""
    backend = logs_backends[stream.account][stream.region]
    group = backend.groups.get(stream.group)
    if group is None or not lines:
        return
    if stream.name not in group.streams:
        backend.create_log_stream(stream.group, stream.name)
    at = int(now() * 1000)
    events = [{"timestamp": at, "message": part} for line in lines for part in _parts(line)]
    group.put_log_events(stream.name, events)


def _parts(line: str) -> list[str]:
    raw = line.encode()
    return [
        raw[start : start + LARGEST_EVENT].decode(errors="replace")
        for start in range(0, len(raw), LARGEST_EVENT)
    ]


@dataclass(slots=True)
class Tail:
    """Follows one log file.

    Attributes:
        path: The file.
        offset: Up to where it was shipped already, in bytes.

    """

    path: Path
    stream: Stream | None
    offset: int = 0
    _rest: bytes = field(default=b"", init=False)

    def ship(self) -> None:
        """Ship the whole lines that were added, 64 KiB at a time at most."""
        if self.stream is not None and self._grew():
            self._write(self._read(_AT_A_TIME), last=False)

    def finish(self) -> None:
        """Ship all that is left, a last line without an end among it."""
        if self.stream is not None:
            self._write(self._read(_LARGEST_REMAINDER), last=True)

    def _grew(self) -> bool:
        try:
            return self.path.stat().st_size > self.offset
        except FileNotFoundError:
            return False

    def _read(self, most: int) -> bytes:
        try:
            with self.path.open("rb") as log:
                log.seek(self.offset)
                read = log.read(most)
        except FileNotFoundError:
            return b""
        self.offset += len(read)
        return read

    def _write(self, read: bytes, *, last: bool) -> None:
        assert self.stream is not None
        whole, end, rest = (self._rest + read).rpartition(b"\n")
        if last or len(rest) > LARGEST_EVENT:
            whole, rest = whole + end + rest, b""
        self._rest = rest
        lines = whole.decode(errors="replace").splitlines()
        write(self.stream, [line for line in lines if line.strip()])
