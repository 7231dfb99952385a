"""Output of tasks in their log groups."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.logs.models import LogsBackend, logs_backends

from hokusai_probe.sandbox.log_shipping import LARGEST_EVENT, Stream, Tail, stream_of, write

ACCOUNT, REGION, GROUP = "310987654321", "us-east-1", "/ecs/hokusai-api"
STREAM = Stream(ACCOUNT, REGION, GROUP, "ecs/api/t1")


@pytest.fixture
def logs() -> Iterator[LogsBackend]:
    """CloudWatch Logs with one group."""
    backend = logs_backends[ACCOUNT][REGION]
    backend.create_log_group(GROUP, {})
    yield backend
    backend.reset()


def _messages(logs: LogsBackend) -> list[str]:
    streams = logs.groups[GROUP].streams
    return [event.message for event in streams[STREAM.name].events] if STREAM.name in streams else []


def test_lines_arrive_while_the_file_grows(logs: LogsBackend, tmp_path: Path) -> None:
    """Whole lines at once, the rest when its line ends, a last one without an end at the end."""
    path = tmp_path / "task.log"
    tail = Tail(path, STREAM)
    tail.ship()
    assert _messages(logs) == []
    path.write_text("one\ntwo\nthr")
    tail.ship()
    assert _messages(logs) == ["one", "two"]
    with path.open("a") as log:
        log.write("ee\n\nfour")
    tail.ship()
    tail.ship()
    assert _messages(logs) == ["one", "two", "three"]
    tail.finish()
    assert _messages(logs) == ["one", "two", "three", "four"]


def test_what_was_there_before_is_not_shipped(logs: LogsBackend, tmp_path: Path) -> None:
    """A file that another task wrote before belongs to that task."""
    path = tmp_path / "task.log"
    path.write_text("old\n")
    tail = Tail(path, STREAM, offset=path.stat().st_size)
    with path.open("a") as log:
        log.write("new\n")
    tail.finish()
    assert _messages(logs) == ["new"]


def test_a_long_line_becomes_several_events(logs: LogsBackend, tmp_path: Path) -> None:
    """No event is larger than CloudWatch Logs takes, and nothing is lost."""
    path = tmp_path / "task.log"
    path.write_text("x" * (LARGEST_EVENT + 10) + "\nend\n")
    tail = Tail(path, STREAM)
    for _ in range(6):
        tail.ship()
    assert [len(message) for message in _messages(logs)] == [LARGEST_EVENT, 10, 3]


def test_much_output_is_shipped_bit_by_bit(logs: LogsBackend, tmp_path: Path) -> None:
    """One look takes 64 KiB; the end takes what is left."""
    path = tmp_path / "task.log"
    path.write_text("a line of twenty..\n" * 10_000)
    tail = Tail(path, STREAM)
    tail.ship()
    assert 0 < len(_messages(logs)) < 4_000
    tail.finish()
    assert _messages(logs) == ["a line of twenty.."] * 10_000


def test_a_deleted_group_takes_nothing(logs: LogsBackend, tmp_path: Path) -> None:
    """The output is dropped, as the log driver drops it; a new group gets what comes later."""
    path = tmp_path / "task.log"
    tail = Tail(path, STREAM)
    logs.delete_log_group(GROUP)
    path.write_text("lost\n")
    tail.ship()
    logs.create_log_group(GROUP, {})
    with path.open("a") as log:
        log.write("kept\n")
    tail.ship()
    assert _messages(logs) == ["kept"]


def test_events_carry_the_time_at_which_they_came(logs: LogsBackend) -> None:
    """Milliseconds since 1970, UTC."""
    write(STREAM, ["x"], now=lambda: 1_790_000_000.25)
    (event,) = logs.groups[GROUP].streams[STREAM.name].events
    assert (event.timestamp, event.message) == (1_790_000_000_250, "x")


def test_a_container_without_awslogs_has_no_stream(tmp_path: Path) -> None:
    """Nothing is shipped, and nothing breaks."""
    options = {"awslogs-group": GROUP, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
    logging = {"logDriver": "awslogs", "options": options}
    assert stream_of(ACCOUNT, {"name": "api", "logConfiguration": logging}, "t1") == STREAM
    assert stream_of(ACCOUNT, {"name": "api"}, "t1") is None
    other = {"name": "api", "logConfiguration": {"logDriver": "splunk"}}
    assert stream_of(ACCOUNT, other, "t1") is None
    Tail(tmp_path / "x.log", None).finish()
