"""Health of tasks: container checks and what ECS makes of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hokusai_probe.sandbox.ecs_health import Check, Checked, ContainerChecks, first, runs

CURL = "curl -f http://localhost:{port}/health || exit 1"


@contextmanager
def _server(status: int, delay_s: float = 0.0) -> Iterator[tuple[int, list[str]]]:
    """A server on a loopback address of its own; gives its port and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Host']}")
            time.sleep(delay_s)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.3", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "passes"), [(200, True), (302, True), (404, False), (503, False)])
def test_the_url_in_the_command_is_asked_at_the_tasks_address(status: int, passes: bool) -> None:
    """As ``curl -f``: an answer of 400 or more is a failure. The Host header is the command's."""
    with _server(status) as (port, asked):
        assert runs(CURL.format(port=port), "127.0.0.3", 1.0) is passes
        assert asked == [f"/health localhost:{port}"]


def test_no_answer_in_time_and_no_listener_are_failures() -> None:
    """The timeout is the check's own."""
    with _server(200, delay_s=0.5) as (port, _):
        assert not runs(CURL.format(port=port), "127.0.0.3", 0.1)
    assert not runs(CURL.format(port=port), "127.0.0.3", 0.1)


@pytest.mark.parametrize(("command", "passes"), [("exit 0", True), ("exit 1", False), ("pgrep nginx", False)])
def test_commands_without_a_url(command: str, passes: bool) -> None:
    """What a process of the sandbox has no shell for does not succeed."""
    assert runs(command, "127.0.0.3", 0.1) is passes


def test_a_check_as_the_task_definition_has_it() -> None:
    """Defaults are AWS's, times are scaled; NONE and nothing are no check."""
    container = {"healthCheck": {"command": ["CMD-SHELL", "curl x"], "startPeriod": 60}}
    assert Check.of(container, 5.0) == Check("curl x", 6.0, 1.0, 3, 12.0, 0.2)
    given = {"command": ["CMD", "curl", "-f", "http://localhost"], "interval": 5, "timeout": 2, "retries": 1}
    assert Check.of({"healthCheck": given}, 5.0) == Check("curl -f http://localhost", 1.0, 0.4, 1, 0.0, 0.2)
    assert Check.of({"healthCheck": {"command": ["NONE"]}}, 5.0) is None
    assert Check.of({}, 5.0) is None


CHECK = Check("curl", 6.0, 1.0, 3, 12.0, 0.2)


def _after(results: list[tuple[float, bool]], check: Check = CHECK) -> Checked:
    checked = first(check, 100.0)
    for now, passed in results:
        checked = checked.after(check, passed=passed, now=now)
    return checked


@pytest.mark.parametrize(
    ("results", "status", "failures", "next_at"),
    [
        ([], "UNKNOWN", 0, 100.2),
        ([(101.0, False)], "UNKNOWN", 0, 101.2),
        ([(101.0, True)], "HEALTHY", 0, 107.0),
        ([(101.0, True), (107.0, False)], "HEALTHY", 1, 113.0),
        ([(101.0, True), (102.0, False), (103.0, False), (104.0, False)], "UNHEALTHY", 3, 110.0),
        ([(101.0, True), (107.0, False), (113.0, True), (119.0, False)], "HEALTHY", 1, 125.0),
        ([(113.0, False), (119.0, False)], "UNKNOWN", 2, 125.0),
        ([(113.0, False), (119.0, False), (125.0, False)], "UNHEALTHY", 3, 131.0),
        ([(113.0, False), (119.0, False), (125.0, False), (131.0, True)], "HEALTHY", 0, 137.0),
    ],
)
def test_retries_and_the_start_period(
    results: list[tuple[float, bool]], status: str, failures: int, next_at: float
) -> None:
    """Failures within the start period count for nothing, until a success ends it."""
    checked = _after(results)
    assert (checked.status, checked.failures, checked.next_at) == (status, failures, pytest.approx(next_at))


def test_without_a_start_period_the_first_look_is_one_interval_away() -> None:
    """As Docker has it."""
    assert first(Check("curl", 6.0, 1.0, 3, 0.0, 0.2), 100.0).next_at == 106.0


def test_checks_run_beside_the_scheduler() -> None:
    """Asking never waits; the result is taken in by a later round."""
    checks = ContainerChecks()
    try:
        with _server(200, delay_s=0.2) as (port, _):
            check = Check(CURL.format(port=port), 6.0, 1.0, 3, 12.0, 0.2)
            checked = first(check, time.monotonic() - 1.0)
            began = time.monotonic()
            checked = checks.advance("t", "127.0.0.3", check, checked, began)
            assert (checked.status, time.monotonic() - began < 0.1) == ("UNKNOWN", True)
            while checked.status == "UNKNOWN" and time.monotonic() < began + 5.0:
                checked = checks.advance("t", "127.0.0.3", check, checked, time.monotonic())
                time.sleep(0.01)
            assert checked.status == "HEALTHY"
    finally:
        checks.close()
