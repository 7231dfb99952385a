"""Which tasks ECS takes for healthy, and when it gives up on one: container checks and target health.

A container's own check is a command that runs inside it. Containers are processes here, so the command is
modelled: the first URL in it is fetched from the task's address, as ``curl -f`` would, and ``exit 0`` and
``exit 1`` do what they say. Sources: HealthCheck of the ECS API reference (interval 30, timeout 5, retries 3,
startPeriod off; a success within the start period ends it; failures within it count for nothing) and Docker's
HEALTHCHECK (within the start period it looks more often: the start interval).

A target group's verdict comes from the sandbox's health checks, which reach it faster than AWS would: they
leave the intervals out. ECS waits here for as long as AWS's load balancer would have taken, interval times
threshold. Both kinds are ignored until ``healthCheckGracePeriodSeconds`` after the start of the task.
"""

import contextlib
import http.client
import re
import shlex
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

Status = Literal["UNKNOWN", "HEALTHY", "UNHEALTHY"]

_INTERVAL_S, _TIMEOUT_S, _RETRIES = 30.0, 5.0, 3
_START_INTERVAL_S = 1.0
"""Docker's own is 5 s; a platform that starts would only wait for it."""

_URL = re.compile(r"https?://[^\s'\"|;&)]+")
_AGENT = "curl/8.14.1"
_CHECKERS = 4


@dataclass(frozen=True, slots=True)
class Check:
    """A container's health check. Times in seconds, already scaled."""

    command: str
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float
    start_interval_s: float

    @classmethod
    def of(cls, container: Mapping[str, Any], time_scale: float) -> "Check | None":
        """The check of a container definition, None where it has none or is switched off with NONE."""
        data = container.get("healthCheck") or {}
        command: Sequence[str] = data.get("command") or ()
        if not command or command[0] == "NONE":
            return None
        words = command[1:] if command[0] in ("CMD", "CMD-SHELL") else command
        return cls(
            command=words[0] if command[0] == "CMD-SHELL" and len(words) == 1 else shlex.join(words),
            interval_s=float(data.get("interval") or _INTERVAL_S) / time_scale,
            timeout_s=float(data.get("timeout") or _TIMEOUT_S) / time_scale,
            retries=int(data.get("retries") or _RETRIES),
            start_period_s=float(data.get("startPeriod") or 0.0) / time_scale,
            start_interval_s=_START_INTERVAL_S / time_scale,
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """What a container's checks came to so far. Times by the monotonic clock."""

    started: float
    next_at: float
    status: Status = "UNKNOWN"
    failures: int = 0

    def after(self, check: Check, *, passed: bool, now: float) -> "Checked":
        """The state after one more check."""
        if passed:
            return Checked(self.started, now + check.interval_s, "HEALTHY")
        if self.status == "UNKNOWN" and now < self.started + check.start_period_s:
            return replace(self, next_at=now + check.start_interval_s)
        failures = self.failures + 1
        status: Status = "UNHEALTHY" if failures >= check.retries else self.status
        return Checked(self.started, now + check.interval_s, status, failures)


def first(check: Check, now: float) -> Checked:
    """The state of a container that has just started."""
    pause = check.start_interval_s if check.start_period_s else check.interval_s
    return Checked(now, now + pause)


def runs(command: str, ip: str, timeout_s: float) -> bool:
    """Whether a check's command succeeds in the container with this address."""
    url = _URL.search(command)
    if url is None:
        return re.search(r"\b(exit 0|true)\s*$", command) is not None
    try:
        return _status(urlsplit(url.group()), ip, timeout_s) < http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _status(url: SplitResult, ip: str, timeout_s: float) -> int:
    port = url.port or (443 if url.scheme == "https" else 80)
    connection = http.client.HTTPConnection(ip, port, timeout=timeout_s)
    if url.scheme == "https":
        # The command's own trust settings are not modelled: it is the answer that counts.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(ip, port, timeout=timeout_s, context=context)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    with contextlib.closing(connection):
        connection.request("GET", target, headers={"Host": url.netloc, "User-Agent": _AGENT})
        return connection.getresponse().status


class ContainerChecks:
    """Runs the checks of containers beside the scheduler, which only looks at what they came to."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_CHECKERS, "container-check")
        self._pending: dict[str, Future[bool]] = {}

    def advance(self, key: str, ip: str, check: Check, checked: Checked, now: float) -> Checked:
        """Take in a check that has ended, or begin one that is due; never waits."""
        pending = self._pending.get(key)
        if pending is None:
            if now >= checked.next_at:
                self._pending[key] = self._pool.submit(runs, check.command, ip, check.timeout_s)
            return checked
        if not pending.done():
            return checked
        del self._pending[key]
        return checked.after(check, passed=pending.result(), now=now)

    def forget(self, key: str) -> None:
        """The container is gone."""
        self._pending.pop(key, None)

    def close(self) -> None:
        """Begin no more checks."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Ailment:
    """Why ECS is going to stop a task that runs."""

    due: float  # by the monotonic clock: when ECS acts
    reason: str  # the task's stoppedReason
    event: str  # the service event's words


def container_ailment(checked: Checked | None, task_id: str, grace_ends: float) -> Ailment | None:
    """The ailment of a task whose container's check fails."""
    if checked is None or checked.status != "UNHEALTHY":
        return None
    event = f"(task {task_id}) failed container health checks."
    return Ailment(grace_ends, "Task failed container health checks", event)


def target_ailment(arn: str, port: int, why: str, task_id: str, due: float) -> Ailment:
    """The ailment of a task whose target is unhealthy in a target group."""
    event = f"(task {task_id}) (port {port}) is unhealthy in (target-group {arn}) due to (reason {why})."
    return Ailment(due, f"Task failed ELB health checks in (target-group {arn})", event)
