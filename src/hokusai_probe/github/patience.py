"""How often GitHub is asked, how long is waited in between, and when to stop.

What may be repeated (reading, setting something to what it should be) is tried a few times. What may not
(opening an issue, writing a comment) is asked once more only where it is certain that nothing came of it:
the request was never sent, or GitHub said that there were too many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from hokusai_probe.github.calls import Door, Reply, Request, UnansweredError
from hokusai_probe.github.outcome import GitHubError
from hokusai_probe.github.replies import Reader, limit, read, refusal, retry_after

TRIES = 4
REQUEST_S = 30.0
WAIT_S = 120.0
BETWEEN_WRITES_S = 1.0  # docs.github.com, "Best practices for using the REST API"
_FIRST_PAUSE_S = 1.0

T = TypeVar("T")


class UnclearError(GitHubError):
    """It may have been done: no answer came to what must not be asked twice, or none that can be read."""


class UnavailableError(GitHubError):
    """GitHub did not answer what may be asked again, as often as it was tried."""


class LimitedError(GitHubError):
    """GitHub, or the time that was given, allows no more for now."""

    result = "limited"


class Patience:
    """The time that one command may spend on GitHub, and how it is spent.

    ``wait_s``: seconds from now until nothing more is sent, pauses included. ``between_writes_s``: seconds
    between the end of a write and the next. ``clock`` counts seconds, ``sleep`` waits, ``now`` tells the
    time for dates that GitHub names; all three are given in tests.
    """

    def __init__(
        self,
        wait_s: float = WAIT_S,
        between_writes_s: float = BETWEEN_WRITES_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wait_s = wait_s
        self._between = between_writes_s
        self._clock = clock
        self._sleep = sleep
        self.now = now
        self._end = clock() + wait_s
        self._may_write = clock()

    def ask(self, door: Door, request: Request, reader: Reader[T]) -> T:
        """What the answer holds. Raises GitHubError: refused, unclear, unavailable or limited."""
        attempt = 0
        while True:
            self._pace(request)
            try:
                return self._once(door, request, reader, attempt)
            except _AgainError as again:
                attempt += 1
                if attempt == TRIES:
                    raise again.trouble from None
                self.rest(again.after_s, again.trouble)

    def rest(self, seconds: float, otherwise: GitHubError) -> None:
        """Wait, or raise ``otherwise`` at once where there is not time enough."""
        if seconds > self._left():
            raise otherwise
        self._sleep(seconds)

    def _left(self) -> float:
        return self._end - self._clock()

    def _pace(self, request: Request) -> None:
        pause = max(0.0, self._may_write - self._clock()) if request.writes else 0.0
        if self._left() - pause <= 0:
            msg = f"the {self._wait_s:g} s for GitHub are over (--wait); the next run goes on from here"
            raise LimitedError(msg)
        if pause:
            self._sleep(pause)

    def _once(self, door: Door, request: Request, reader: Reader[T], attempt: int) -> T:
        pause = _FIRST_PAUSE_S * 2**attempt
        try:
            reply = door.ask(request, min(REQUEST_S, self._left()))
        except UnansweredError as error:
            raise _unanswered(request, error, pause) from None
        finally:
            self._may_write = self._clock() + self._between if request.writes else self._may_write
        _stop_at_limit(reply, self.now(), attempt)
        refused = refusal(reply)
        if refused is not None:
            raise refused
        found = read(reply, reader) if reply.status < 300 else None
        if found is None:
            raise _unreadable(request, reply, max(pause, retry_after(reply, self.now()) or 0.0))
        return found


class _AgainError(Exception):
    """It did not succeed, and may be asked once more after so many seconds."""

    def __init__(self, trouble: GitHubError, after_s: float) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble
        self.after_s = after_s


def _stop_at_limit(reply: Reply, now: datetime, attempt: int) -> None:
    seconds = limit(reply, now, attempt)
    if seconds is not None:
        said = f"GitHub asks to wait {seconds:.0f} s ({reply.status}: too many requests)"
        raise _AgainError(LimitedError(said), seconds)


def _unanswered(request: Request, error: UnansweredError, pause: float) -> Exception:
    if request.once and error.sent:
        return UnclearError(f"GitHub did not answer: {error.reason}")
    return _AgainError(UnavailableError(f"GitHub did not answer: {error.reason}"), pause)


def _unreadable(request: Request, reply: Reply, pause: float) -> Exception:
    said = f"GitHub answered {reply.status}" + ("" if reply.status >= 500 else ", and not what it promises")
    return UnclearError(said) if request.once else _AgainError(UnavailableError(said), pause)
