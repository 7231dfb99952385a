"""Conducts one experiment: steady state, method, rollback, steady state again; and records what was seen.

The rollback follows whatever happens, errors and signals included, and it is not over before looks find all
well again and users have no trouble. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from hokusai_probe.chaos import thresholds
from hokusai_probe.chaos.experiment import (
    USER_KINDS,
    ConnectionsStep,
    DiskStep,
    Experiment,
    RequestStep,
    Step,
    Upload,
)
from hokusai_probe.chaos.facts import (
    BreakerSeen,
    BreakerSettings,
    Event,
    Kept,
    LimitSeen,
    Recorded,
    Sighting,
)
from hokusai_probe.chaos.judging import recovered_s
from hokusai_probe.chaos.users import Users
from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Allow, Report, Target
from hokusai_probe.runner import Control, Options, carry_out
from hokusai_probe.sweeping import Swept, sweep

LOOK_EVERY_S = 3.0
RUN_S = 20.0
STEADY_TRIES = 2
PATIENCE = 2.0
"""After so many times ``recover_within_s`` the steady state counts as not coming back."""
_LEFT_AGE = timedelta(0)


class HandsError(ProbeError):
    """A step could not be carried out; the text is one sentence."""


class NotPermittedError(HandsError):
    """What an experiment needs is not permitted on this system: it is skipped, with this reason."""


class Hands(Protocol):
    """What an experiment may do to its sandbox. Steps raise HandsError."""

    @property
    def target(self) -> Target:
        """The sandbox as a target."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment in which it is looked at."""

    @property
    def seed(self) -> int:
        """Gives the same names and keys again."""

    @property
    def time_scale(self) -> float:
        """How many platform seconds one second here stands for."""

    async def apply(self, step: Mapping[str, object]) -> None:
        """Apply one of the sandbox's own steps."""

    async def clear_faults(self) -> None:
        """Take back all faults on edges."""

    async def disk(self, state: Literal["small", "full", "free"]) -> None:
        """Change the disk of MLflow's artifacts. Raises NotPermittedError where this system does not."""

    async def connections(self, state: Literal["held", "free"]) -> None:
        """Hold every connection that the database has to spare, or let go of them."""

    async def counted(self) -> int:
        """How often faults with ``every`` were matched so far."""

    async def kill_probe(self) -> str:
        """Begin a run that registers a model and kill it half way; what was done, as a sentence."""

    async def gateway_variables(self) -> Mapping[str, str]:
        """The variables of the gateway's task definition."""


@dataclass(slots=True)
class Stop:
    """How an experiment is cut short: set ``event``, and say why in ``signal``."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    signal: str | None = None


async def conduct(
    experiment: Experiment, hands: Hands, stop: Stop, note: Callable[[str], None] = lambda _: None
) -> Recorded:
    """Conduct one experiment in a sandbox that is up. Returns what was seen, whatever the sandbox does."""
    return await _Conductor(experiment, hands, stop, note).conduct()


class _Conductor:
    """One experiment under way."""

    def __init__(self, experiment: Experiment, hands: Hands, stop: Stop, note: Callable[[str], None]) -> None:
        self._experiment = experiment
        self._hands = hands
        self._stop = stop
        self._note = note
        self._zero = time.monotonic()
        self._users = Users(hands.target, hands.environment, self._now)
        self._events: list[Event] = []
        self._sightings: list[Sighting] = []
        self._breaker: list[BreakerSeen] = []
        self._limits: list[LimitSeen] = []
        self._uploads: list[asyncio.Task[None]] = []
        self._rollback_errors: list[str] = []
        self._kept: tuple[Kept, ...] = ()
        self._settings: BreakerSettings | None = None
        self._trouble: str | None = None
        self._counted: int | None = None
        self._times: dict[str, float] = {}
        safe = ("read", *(c for c in experiment.allow if c != "read"))
        self._looked_at = hands.target.model_copy(update={"allow": Allow(classes=safe)})

    def _now(self) -> float:
        return time.monotonic() - self._zero

    def _tell(self, what: str) -> None:
        self._events.append(Event(at_s=self._now(), what=what))
        self._note(f"{self._now():6.1f} s  {what}")

    async def conduct(self) -> Recorded:
        try:
            await self._prepare()
        except NotPermittedError as error:
            return self._recorded(skipped=str(error))
        except HandsError as error:
            return self._recorded(not_started=(str(error),))
        broken = await self._what_is_broken()
        if broken:
            self._tell(f"the steady state is broken: {', '.join(broken)}")
            return self._recorded(not_started=broken)
        if not self._stop.event.is_set():
            await self._with_users_at_work()
        return self._recorded()

    def _recorded(self, *, skipped: str | None = None, not_started: tuple[str, ...] = ()) -> Recorded:
        return Recorded(
            experiment=self._experiment,
            seed=self._hands.seed,
            time_scale=self._hands.time_scale,
            skipped=skipped,
            not_started=not_started,
            trouble=self._trouble,
            interrupted=self._stop.signal,
            fault_began_s=self._times.get("fault"),
            rollback_began_s=self._times.get("rollback"),
            rollback_ended_s=self._times.get("rolled back"),
            ended_s=self._now(),
            rollback_errors=tuple(self._rollback_errors),
            events=tuple(self._events),
            sightings=tuple(self._sightings),
            used=tuple(sorted(self._users.used, key=lambda one: one.at_s)),
            uploads=tuple(self._users.uploads),
            kept=self._kept,
            breaker=tuple(self._breaker),
            breaker_settings=self._settings,
            limits=tuple(self._limits),
            counted=self._counted,
        )

    # --- the steady state -------------------------------------------------------------------------

    async def _prepare(self) -> None:
        for step in self._experiment.given:
            await self._carry_out(step)
        if self._experiment.breaker:
            self._settings = thresholds.breaker_settings(await self._hands.gateway_variables())

    async def _what_is_broken(self) -> tuple[str, ...]:
        """What is not well before anything is done; what is not is looked at once more."""
        broken: tuple[str, ...] = ()
        for _ in range(STEADY_TRIES):
            if self._stop.event.is_set():
                return ()
            report = await self._look(Control(stop=self._stop.event))
            not_well = {v.check for v in report.verdicts if v.status in ("fail", "error")}
            async with self._users.door() as door:
                tried = [await self._users.use(kind, self._now(), door) for kind in USER_KINDS]
            unusable = [f"{one.kind}: {one.said}" for one in tried if not one.worked]
            broken = (*sorted(not_well), *unusable)
            if not broken:
                break
        return broken

    async def _look(self, control: Control) -> Report:
        options = Options(only=self._experiment.looks, run_s=RUN_S)
        return await carry_out(self._looked_at, options, control=control, environment=self._hands.environment)

    # --- fault and rollback -----------------------------------------------------------------------

    async def _with_users_at_work(self) -> None:
        """Users work from before the fault until all is well again; then everything is accounted for."""
        async with self._beside(self._users.work()), self._reading_the_breaker():
            await self._wait(self._experiment.before_s)
            try:
                if not self._stop.event.is_set():
                    await self._break()
            finally:
                await self._mend()
        await asyncio.gather(*self._uploads)
        self._kept = await self._users.account()
        acknowledged = sum(one.acknowledged_s is not None for one in self._kept)
        self._tell(f"{acknowledged} things that were acknowledged have been looked up")

    @asynccontextmanager
    async def _beside(self, work: Awaitable[None]) -> AsyncIterator[None]:
        task = asyncio.ensure_future(work)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @asynccontextmanager
    async def _reading_the_breaker(self) -> AsyncIterator[None]:
        if not self._experiment.breaker:
            yield
            return
        async with self._users.door() as door:

            async def read() -> None:
                async for seen in thresholds.breaker(door, self._now):
                    self._breaker.append(seen)

            async with self._beside(read()):
                yield

    async def _break(self) -> None:
        """The method, with looks again and again, until the fault has lasted long enough."""
        began = self._times["fault"] = self._now()
        async with self._looking():
            for step in sorted(self._experiment.method, key=lambda one: one.at_s):
                await self._wait(began + step.at_s - self._now())
                if self._stop.event.is_set():
                    return
                try:
                    await self._carry_out(step)
                except HandsError as error:
                    self._trouble = f"the method could not be carried out: {error}"
                    self._tell(self._trouble)
                    return
            await self._wait(began + self._experiment.hold_s - self._now())

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[None]:
        """Look again and again beside the block; what is under way at its end ends in good order, unheard."""
        over = asyncio.Event()

        async def look() -> None:
            while not over.is_set():
                began = self._now()
                report = await self._look(Control(stop=over))
                if not over.is_set():
                    self._saw(began, report)
                await _until(over, began + LOOK_EVERY_S - self._now())

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            over.set()
            await task

    def _saw(self, began: float, report: Report) -> Sighting:
        before = self._sightings[-1] if self._sightings else None
        seen = Sighting(
            began_s=began,
            ended_s=self._now(),
            failing=tuple(v.check for v in report.verdicts if v.status == "fail"),
            errors=tuple(v.check for v in report.verdicts if v.status == "error"),
            causes=tuple(d.cause for d in report.roots()),
            subjects={d.cause: d.subjects for d in report.roots()},
            undecided=tuple(d.cause for d in report.undecided()),
            unexplained=report.unexplained,
        )
        self._sightings.append(seen)
        if before is None or _seen(seen) != _seen(before):
            self._tell(_seen(seen))
        return seen

    async def _mend(self) -> None:
        """The rollback, each step whatever became of the others, and the way back to the steady state."""
        if "fault" not in self._times:
            return
        self._times["rollback"] = self._now()
        self._tell("the rollback begins" + (f" ({self._stop.signal})" if self._stop.signal else ""))
        with contextlib.suppress(HandsError):  # then it is not known, and that proves nothing
            self._counted = await self._hands.counted()
        await self._try("faults are taken back", self._hands.clear_faults())
        for step in self._experiment.rollback:
            await self._try(_said(step), self._carry_out(step, tell=False))
        self._times["rolled back"] = self._now()
        if not self._rollback_errors:
            await self._until_well()

    async def _try(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except HandsError as error:
            self._rollback_errors.append(f"{what}: {error}")
            self._tell(f"the rollback failed: {what}: {error}")
        else:
            self._tell(what)

    async def _until_well(self) -> None:
        until = self._now() + PATIENCE * self._experiment.recover_within_s
        while self._now() < until:
            began = self._now()
            seen = self._saw(began, await self._look(Control()))
            if seen.is_well and self._users_are_well(seen.began_s) and self._breaker_is_closed():
                self._tell("the steady state is back")
                return
            await asyncio.sleep(0.5)
        self._tell("the steady state did not come back")

    def _users_are_well(self, before: float) -> bool:
        """Whether they have no more trouble, and nobody waits for something since before that moment."""
        return self._users.are_through(before) and recovered_s(self._recorded()) is not None

    def _breaker_is_closed(self) -> bool:
        return not self._experiment.breaker or (bool(self._breaker) and self._breaker[-1].state == "CLOSED")

    async def _wait(self, seconds: float) -> None:
        """So many seconds, or until the experiment is cut short."""
        await _until(self._stop.event, seconds)

    # --- steps ------------------------------------------------------------------------------------

    async def _carry_out(self, step: Step, *, tell: bool = True) -> None:
        if not step.is_ours:
            await self._hands.apply(step.for_sandbox())
        else:
            await self._our_own(step)
        if tell:
            self._tell(_said(step))

    async def _our_own(self, step: Step) -> None:
        settings = step.settings
        if step.kind == "disk":
            await self._hands.disk(DiskStep.model_validate(settings).state)
        elif step.kind == "connections":
            await self._hands.connections(ConnectionsStep.model_validate(settings).state)
        elif step.kind == "upload":
            self._uploads.append(asyncio.create_task(self._upload(Upload.model_validate(settings).mib)))
        elif step.kind == "request":
            await self._request(RequestStep.model_validate(settings))
        elif step.kind == "limits":
            await self._ask_for_limits()
        elif step.kind == "kill-probe":
            self._tell(await self._hands.kill_probe())
            await self._see_what_is_left()
        else:
            await self._sweep_up()

    async def _upload(self, mib: int) -> None:
        done = await self._users.upload(mib)
        came = "was acknowledged" if done.worked else "failed"
        why = f": {done.said}" if done.said else ""
        self._tell(f"the upload of {mib} MiB {came} after {done.took_s:.1f} s{why}")

    async def _request(self, wanted: RequestStep) -> None:
        async with self._users.door() as door:
            answer = await door.send(wanted.method, "registry", wanted.path, key="bearer")
        if answer.status != 200:
            came = f"answered {answer.status}" if answer.failure is None else answer.failure.detail
            msg = f"{wanted.method} {wanted.path}: {came}"
            raise HandsError(msg)

    async def _ask_for_limits(self) -> None:
        async with self._users.door() as door:
            for wanted in self._experiment.limits:
                try:
                    seen = await thresholds.limit(door, wanted, self._hands.time_scale, self._now)
                except ProbeError as error:
                    raise HandsError(str(error)) from None
                self._limits.append(seen)
                refused = f"429 after {seen.taken}" if seen.refused else f"no 429 in {seen.sent}"
                self._tell(f"{seen.method} {seen.path}: {refused} requests")

    async def _see_what_is_left(self) -> None:
        """Nothing left behind would mean that the probe was not killed in the middle of anything."""
        found = await self._swept(apply=False)
        if not found.found:
            msg = "the killed probe left nothing behind: there is nothing to sweep"
            raise HandsError(msg)
        self._tell(f"the killed probe left behind: {_named(found)}")

    async def _sweep_up(self) -> None:
        found = await self._swept(apply=True)
        self._tell(f"swept: {_named(found)}")
        if found.remains:
            msg = f"something is left: {'; '.join(found.left) or _named(found)}"
            raise HandsError(msg)

    async def _swept(self, *, apply: bool) -> Swept:
        target, environment = self._hands.target, self._hands.environment
        try:
            return await sweep(target, environment, apply=apply, older_than=_LEFT_AGE)
        except ProbeError as error:
            raise HandsError(str(error)) from None


def _named(found: Swept) -> str:
    return ", ".join(f"{one.kind} {one.name}" for one in found.found) or "nothing"


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, so many seconds at most."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, seconds))


def _seen(seen: Sighting) -> str:
    """What looks found, as the timeline says it."""
    said = [
        f"failing: {_few(seen.failing)}" if seen.failing else "",
        f"nobody could judge: {_few(seen.errors)}" if seen.errors else "",
        f"named: {', '.join(seen.causes)}" if seen.causes else "",
    ]
    return "; ".join(filter(None, said)) or "looks find all well"


def _few(checks: tuple[str, ...]) -> str:
    return ", ".join(checks[:3]) + (f" and {len(checks) - 3} more" if checks[3:] else "")


def _said(step: Step) -> str:
    """A step as the timeline names it."""
    shown = ("service", "action", "call", "edge", "state", "mib", "method", "path")
    named = [str(step.settings[key]) for key in shown if key in step.settings]
    does = step.settings.get("do")
    return " ".join((step.kind, *named, *(does if isinstance(does, Mapping) else ())))
