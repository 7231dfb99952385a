"""Health checks of target groups: real requests to the targets, judged in the words of AWS.

Sources: the AWS pages "Health checks for Application Load Balancer target groups" (matcher, Host header, user
agent, states) and "TargetHealth" of the API reference (reasons). One good answer makes a target healthy, two
bad ones in a row make it unhealthy, as does one that runs out of time. Intervals would only delay the same
verdict and are left out. A check comes from a load balancer that forwards to the group, so security groups
and network ACLs decide whether it arrives; where several do, from one that gets through.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from hokusai_probe.sandbox.faults import FaultTable
from hokusai_probe.sandbox.network import NetworkView
from hokusai_probe.sandbox.state import ControlPlane, Health, RegisteredTarget, TargetGroup
from hokusai_probe.sandbox.wire import (
    AnswerTimeoutError,
    ConnectTimeoutError,
    Outgoing,
    Timeouts,
    Wire,
    WireError,
)

Key = tuple[str, str, int]

HEALTHY = Health("healthy")
INITIAL = Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
TIMED_OUT = Health("unhealthy", "Target.Timeout", "Request timed out")
FAILED = Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
DRAINING = Health("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_IN_USE = Health(
    "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)

_MAX_ROUNDS = 10


def code_mismatch(status: int) -> Health:
    """The health of a target that answered with a code outside the matcher."""
    return Health(
        "unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"
    )


def accepted(matcher: str, status: int) -> bool:
    """Whether a matcher such as ``200``, ``200,308`` or ``200-299`` accepts a status code."""
    return any(_in_part(part, status) for part in matcher.split(","))


def _in_part(part: str, status: int) -> bool:
    low, _, high = part.strip().partition("-")
    return int(low) <= status <= int(high or low)


def judge(matcher: str, outcome: int | WireError) -> Health:
    """The health that follows from a status code, or from what stopped the request."""
    if isinstance(outcome, (ConnectTimeoutError, AnswerTimeoutError)):
        return TIMED_OUT
    if isinstance(outcome, WireError):
        return FAILED
    return HEALTHY if accepted(matcher, outcome) else code_mismatch(outcome)


class HealthChecks:
    """The health of every registered target, by (target group ARN, address, port).

    Args:
        plane: Where target groups are read.
        faults_path: The table of faults (edges ``load-balancer->*``).
        resolver: The sandbox's DNS server.
        time_scale: How many times faster than the platform.
        sources: The address of each load balancer by its key; checks come from there.
        network: Who may connect to whom.

    """

    def __init__(
        self,
        plane: ControlPlane,
        faults_path: Path,
        resolver: tuple[str, int],
        time_scale: float,
        sources: Mapping[str, str] | None = None,
        network: NetworkView | None = None,
    ) -> None:
        self._plane = plane
        faults = FaultTable(faults_path, counter="health checks")
        self._anyone = Wire(faults, resolver, time_scale, verify=False)
        self._wires = {
            key: Wire(faults, resolver, time_scale, source=ip, network=network, verify=False)
            for key, ip in (sources or {}).items()
        }
        self._results: dict[Key, Health] = {}

    @property
    def results(self) -> Mapping[Key, Health]:
        """What the last round saw: one mapping for good, changed in place by each round."""
        return self._results

    async def close(self) -> None:
        """Close what is open."""
        for wire in (self._anyone, *self._wires.values()):
            await wire.close()

    async def check_all(self) -> None:
        """One round: ask every target once, all at the same time."""
        targets = {
            (group.arn, target.ip, target.port): (group, target)
            for group in self._plane.target_groups()
            for target in group.targets
        }
        for key in self._results.keys() - targets.keys():
            del self._results[key]
        for key in targets:
            self._results.setdefault(key, INITIAL)
        await asyncio.gather(*(self._note(key, group, target) for key, (group, target) in targets.items()))

    async def settle(self) -> None:
        """Rounds until two in a row agree, ten at most."""
        for _ in range(_MAX_ROUNDS):
            before = dict(self._results)
            await self.check_all()
            if before == self._results:
                return

    async def _note(self, key: Key, group: TargetGroup, target: RegisteredTarget) -> None:
        """Show what one target's check saw as soon as it is known, however long the others' take."""
        self._results[key] = await self._look(group, target)

    async def _look(self, group: TargetGroup, target: RegisteredTarget) -> Health:
        if target.draining:
            return DRAINING
        if not group.attached:
            return NOT_IN_USE
        port = group.health_port or target.port
        if self._from(group, target.ip, port).dropped(target.ip, port):
            return TIMED_OUT  # waiting for packets that vanish would only delay the same verdict
        first = judge(group.matcher, await self._ask(group, target))
        if first in {HEALTHY, TIMED_OUT}:
            return first
        return judge(group.matcher, await self._ask(group, target))

    def _from(self, group: TargetGroup, ip: str, port: int) -> Wire:
        """The load balancer that checks a target: the first of the group's that can reach it."""
        wires = [self._wires[key] for key in group.load_balancers if key in self._wires]
        return next(
            (wire for wire in wires if not wire.dropped(ip, port)), wires[0] if wires else self._anyone
        )

    async def _ask(self, group: TargetGroup, target: RegisteredTarget) -> int | WireError:
        port = group.health_port or target.port
        host = f"{target.ip}:{port}"
        request = Outgoing(
            "GET",
            f"{group.health_scheme}://{host}{group.health_path}",
            (
                ("Host", host),
                ("User-Agent", "ELB-HealthChecker/2.0"),
                ("Accept-Encoding", "gzip, compressed"),
            ),
        )
        limit = group.health_timeout_s
        try:
            async with self._from(group, target.ip, port).send(
                f"load-balancer->{group.service}", request, Timeouts(limit, limit)
            ) as answer:
                return answer.status
        except WireError as error:
            return error
