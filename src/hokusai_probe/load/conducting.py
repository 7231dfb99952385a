"""One load test from target to report: what is asked before it, the load, and what is removed after it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hokusai_probe.answers import said
from hokusai_probe.engine import allowed_classes
from hokusai_probe.errors import ProbeError
from hokusai_probe.http import BudgetExhausted, HttpDoor
from hokusai_probe.keys import Keys, secrets_in
from hokusai_probe.load.clearing import Cleared
from hokusai_probe.load.driving import Drive, Result
from hokusai_probe.load.lock import alone
from hokusai_probe.load.operations import Operations
from hokusai_probe.load.plan import (
    QUIET,
    REQUESTS,
    USUAL,
    Kind,
    Plan,
    Start,
    caps_for,
    refuse_excess,
    schedule,
    uploads_of,
)
from hokusai_probe.load.ramping import saturated
from hokusai_probe.load.record import LoadReport, Outcome, Rule, Sample
from hokusai_probe.load.stopping import Trip, tripped
from hokusai_probe.looking import Look
from hokusai_probe.model import SafetyClass, Target
from hokusai_probe.probes.mlflow_api import mlflow_api
from hokusai_probe.redact import Redactor
from hokusai_probe.runner import Control, UsageError, targeted

CLEARING_S = 60.0
_FINDING_THE_WAY = 10  # requests to find MLflow, the experiment, and a place for artifacts
_CLEARING_EACH = 30  # requests at most to remove one thing and to look for it, tried again and all


async def arun(
    target: Target | str | Path,
    plan: Plan = USUAL,
    *,
    allow: Iterable[SafetyClass] = (),
    environment: Mapping[str, str] | None = None,
    control: Control | None = None,
) -> LoadReport:
    """Send a load to a target and report what became of it; :func:`~hokusai_probe.load.judge` judges it.

    ``allow`` adds safety classes to those of the target: a load is of class disruptive, and of write too
    where it creates something. ``control`` cuts it short. Everything created is removed before this returns
    or raises. What the platform does never raises. Raises ConfigError for a plan beyond a cap, UsageError
    where the target does not allow it, Busy where another load of it is under way, and BadKey; all before
    the first request.
    """
    where = os.environ if environment is None else environment
    chosen, control = targeted(target, where), control or Control()
    refuse_unallowed(chosen, plan, allow)
    refuse_excess(plan, caps_for(chosen.load))
    keys, redactor = Keys.read(chosen.key, where), Redactor(secrets_in(chosen.key, where))
    for note in keys.notes:
        control.note(note)
    sending, clearing = _budgets(chosen, plan)
    with alone(chosen.hosts.registry):
        async with (
            HttpDoor(sending, keys, redactor, at_once=plan.at_once) as door,
            HttpDoor(clearing, keys, redactor) as broom,
        ):
            look = Look.new(chosen, door, None, keys, secrets.token_hex(4))
            load = _Load(look, replace(look, http=broom), plan, control)
            return redactor.model(await load.carried_out())


def run(
    target: Target | str | Path,
    plan: Plan = USUAL,
    *,
    allow: Iterable[SafetyClass] = (),
    environment: Mapping[str, str] | None = None,
) -> LoadReport:
    """The same as :func:`arun`, waited for. Not inside a running event loop."""
    return asyncio.run(arun(target, plan, allow=allow, environment=environment))


def refuse_unallowed(target: Target, plan: Plan, allow: Iterable[SafetyClass]) -> None:
    """Raise UsageError where the target and the caller together do not allow this load."""
    allowed = allowed_classes(target, allow)
    wanted: tuple[SafetyClass, ...] = ("write", "disruptive") if plan.creates else ("disruptive",)
    missing = [one for one in wanted if one not in allowed]
    if missing:
        msg = (
            f"a load{' that creates things' if plan.creates else ''} is of class {' and '.join(wanted)}, "
            f"and {target.name} does not allow {' and '.join(missing)}: add --allow {','.join(missing)} "
            "if its people know and agree"
        )
        raise UsageError(msg)


def _budgets(target: Target, plan: Plan) -> tuple[Target, Target]:
    """The target with a budget for a load and what comes before it, and with one for clearing up after.

    The first is the caps, not the plan: a request that is sent again on another connection counts twice.
    """
    starts, caps = schedule(plan), caps_for(target.load)
    before = sum(REQUESTS[kind] * QUIET[kind] for kind in plan.mix) + _FINDING_THE_WAY
    registrations = sum(start.kind == "registration" for start in starts) + QUIET["registration"]
    uploaded = uploads_of(plan, starts) * plan.artifact_bytes
    sending = {"requests": caps.requests + before, "bytes": max(caps.bytes - uploaded, 1)}
    clearing = {"requests": _CLEARING_EACH * (registrations + 1)}
    return _with_budget(target, sending), _with_budget(target, clearing)


def _with_budget(target: Target, budget: Mapping[str, int]) -> Target:
    return target.model_copy(update={"budget": target.budget.model_copy(update=dict(budget))})


class _CapReached(ProbeError):  # noqa: N818 - no error of anybody's
    """The load has sent as many requests, or moved as many bytes, as it may."""


@dataclass(slots=True)
class _Load:
    look: Look
    clearing: Look
    plan: Plan
    control: Control
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    baseline: dict[Kind, list[float]] = field(default_factory=dict)
    operations: Operations | None = None
    drive: Drive | None = None
    trip: Trip | None = None
    interrupted: bool = False

    async def carried_out(self) -> LoadReport:
        """Everything, and the report of it. What was created is removed however this ends."""
        cleared = Cleared()
        try:
            await self._until_stopped()
        finally:
            if self.operations is not None:
                if self.plan.creates:
                    self.control.note("removing what the load created")
                cleared = await self.operations.clear(CLEARING_S, self._deadline_s)
        return self._report(cleared)

    async def _until_stopped(self) -> None:
        work = asyncio.create_task(self._work())
        stopped = asyncio.create_task(self.control.stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            self.interrupted = not work.done()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def _work(self) -> None:
        try:
            with self._capped():
                self.trip = await self._prepared() or await self._quiet()
        except _CapReached as reached:
            self.trip = Trip(rule="ours", reason=str(reached))
        if self.trip is not None:
            return
        starts = schedule(self.plan)
        self.control.note(f"the load begins: {len(starts)} starts in {self.plan.seconds:g} s")
        self.began = datetime.now(UTC)
        self.drive = Drive(
            self._operation, self._watch, self.plan.at_once, self.plan.seconds, self._deadline_s
        )
        await self.drive.run(starts)

    @property
    def _deadline_s(self) -> float:
        return self.look.target.timeouts.total_s

    async def _prepared(self) -> Trip | None:
        api = await mlflow_api(self.look)
        if not api.works:
            return _not_ready(f"{api.search.path}: {said(api.search)}")
        self.operations = Operations.new(self.look, self.clearing, api.prefix, self.plan.artifact_bytes)
        failed = await self.operations.prepare(self.plan.mix)
        return _not_ready(f"{failed.path}: {said(failed)}") if failed is not None else None

    async def _quiet(self) -> Trip | None:
        """How long answers take without a load, one after the other."""
        for kind in self.plan.mix:
            for _ in range(QUIET[kind]):
                began = asyncio.get_running_loop().time()
                result = await self._operation(Start(0.0, kind, 0))
                took = asyncio.get_running_loop().time() - began
                quiet = Sample(intended_s=0, sent_s=0, ended_s=took, kind=kind, **result._asdict())
                if quiet.error:
                    return _not_ready(f"a quiet {kind}: {quiet.error}")
                self.baseline.setdefault(kind, []).append(round(took, 6))
        return None

    async def _operation(self, start: Start) -> Result:
        assert self.operations is not None
        with self._capped():
            return await self.operations.carry_out(start)

    @contextmanager
    def _capped(self) -> Iterator[None]:
        """The door speaks of a budget; what it was given is the load's cap."""
        try:
            yield
        except BudgetExhausted as exhausted:
            caps = caps_for(self.look.target.load)
            cap = f"{caps.bytes} bytes" if "bytes is" in str(exhausted) else f"{caps.requests} requests"
            msg = f"the cap of {cap} is reached"
            raise _CapReached(msg) from None

    def _watch(self, done: Sequence[Sample]) -> Trip | None:
        trip = tripped(done, self.baseline, self._deadline_s)
        if not self.plan.ramp:
            return trip
        slo = self.look.target.slo.p95_ms
        return saturated(trip, done, self.plan, self.baseline, deadline_s=self._deadline_s, slo_p95_ms=slo)

    def _report(self, cleared: Cleared) -> LoadReport:
        target, drive = self.look.target, self.drive
        samples = sorted(drive.samples, key=lambda one: one.intended_s) if drive is not None else ()
        outcome, rule, reason = self._ending()
        return LoadReport(
            target=target.name,
            host=target.hosts.registry,
            started_at=self.began,
            tool_version=version("hokusai-probe"),
            plan=self.plan,
            deadline_s=self._deadline_s,
            slo_p95_ms=target.slo.p95_ms,
            outcome=outcome,
            rule=rule,
            reason=reason,
            duration_s=round(drive.duration_s, 3) if drive is not None else 0.0,
            requests_sent=self.look.http.requests_sent + self.clearing.http.requests_sent,
            bytes_received=self.look.http.bytes_received + self.clearing.http.bytes_received,
            baseline_s={kind: tuple(seconds) for kind, seconds in self.baseline.items()},
            samples=tuple(samples),
            created=cleared.entries,
            left=cleared.left,
        )

    def _ending(self) -> tuple[Outcome, Rule | None, str]:
        """How it ended, by which rule, and why."""
        if self.interrupted:
            return "interrupted", None, self.control.signal or ""
        trip = self.drive.trip if self.drive is not None else self.trip
        if trip is None:
            return "finished", None, ""
        return "finished" if trip.rule == "saturated" else "aborted", trip.rule, trip.reason


def _not_ready(reason: str) -> Trip:
    return Trip(rule="not-ready", reason=f"the platform is not well enough for a load: {reason}")
