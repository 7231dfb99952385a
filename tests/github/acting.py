"""What the tests of GitHub share: a way to the stand-in without a network, and time that passes at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from described import complaint
from standin import BOT, OURS, TOKEN, Back, Call, Issue, StandIn

from hokusai_probe.github import GitHub
from hokusai_probe.github.calls import Reply, Request, UnansweredError
from hokusai_probe.github.outcome import Outcome
from hokusai_probe.github.patience import Patience
from hokusai_probe.issues import Action
from hokusai_probe.issues.known import marker

KEY = "here/auth"


class KilledError(BaseException):
    """The process is gone."""


class Inside:
    """A door to the stand-in that needs no network. ``dies_at``: the request, from 1, that it dies at.

    ``too_late``: that request still reaches GitHub.
    """

    def __init__(
        self, world: StandIn, token: str = TOKEN, *, dies_at: int = 0, too_late: bool = False
    ) -> None:
        self.world = world
        self.token = token
        self.dies_at = dies_at
        self.too_late = too_late
        self.asked = 0

    def ask(self, request: Request, timeout_s: float) -> Reply:
        """The stand-in's answer."""
        assert timeout_s > 0
        self.asked += 1
        if self.asked == self.dies_at and not self.too_late:
            raise KilledError
        body = None if request.body is None else json.loads(json.dumps(dict(request.body)))
        call = Call(request.method, request.path, dict(request.query), body, self.token)
        back = self.world.answer(call)
        if self.asked == self.dies_at:
            raise KilledError
        if not isinstance(back, Back):
            raise UnansweredError(back, sent=True)
        assert complaint(call, None if back.text is not None else back) == ""
        text = json.dumps(back.value) if back.text is None else back.text
        return Reply(status=back.status, headers=back.headers, text=text)


class Time:
    """Seconds that pass when somebody sleeps, in the stand-in's world as well."""

    def __init__(self, world: StandIn) -> None:
        self.world = world
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.world.now += timedelta(seconds=seconds)

    def _since(self, start: datetime) -> Callable[[], float]:
        return lambda: (self.world.now - start).total_seconds()  # noqa: PLW0108 - `now` moves on

    def patience(self, wait_s: float = 120.0, between_writes_s: float = 0.0) -> Patience:
        """As patient as the command is, in no time."""
        return Patience(
            wait_s,
            between_writes_s,
            clock=self._since(self.world.now),
            sleep=self.sleep,
            now=lambda: self.world.now,
        )


def github(world: StandIn, door: Inside | None = None, **more: Any) -> GitHub:
    """Our half, on the stand-in."""
    way = door or Inside(world)
    patience = more.pop("patience", None) or Time(world).patience()
    return GitHub(lambda _: way, OURS, patience=patience, **more)


def action(kind: str = "open", key: str = KEY, number: int | None = None, **more: Any) -> Action:
    """An action as a plan would have it."""
    body = f"{marker(key)}\n\nUsers cannot sign in.\n"
    fields = {
        "component": "auth",
        "title": f"{key} must act",
        "body": body,
        "labels": (),
        "reason": "it fails",
    }
    return Action.model_validate({"kind": kind, "key": key, "number": number, **fields, **more})


def do(world: StandIn, *actions: Action, **more: Any) -> tuple[Outcome, ...]:
    """Carry out, and say what became of each."""
    return github(world, **more).apply(actions)


def one(world: StandIn, planned: Action, **more: Any) -> Outcome:
    """The same for one."""
    (found,) = do(world, planned, **more)
    return found


def ours(world: StandIn, key: str = KEY, **fields: Any) -> Issue:
    """An issue of ours that is there already."""
    issue = world.opens(BOT, f"{key} must act", f"{marker(key)}\n\nUsers cannot sign in.\n")
    world.sets(issue, **fields)
    return issue


def open_of(world: StandIn, key: str = KEY) -> list[int]:
    """Numbers of the open issues with this key."""
    return world.ours.marked(marker(key))
