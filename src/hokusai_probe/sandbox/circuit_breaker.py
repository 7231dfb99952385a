"""The deployment circuit breaker of ECS: when a deployment has failed. Pure.

Source: the ECS developer guide, "How the Amazon ECS deployment circuit breaker detects failures", and the
API reference's DeploymentCircuitBreaker. A deployment in progress fails once so many tasks of it failed in
a row; a task fails when it does not reach RUNNING (stage 1), or when it is stopped for a health check of its
container or of a target group or ends by itself before it was ever healthy (stage 2). A healthy task starts
the count anew. The threshold is half of the desired count, rounded up, never below 3 nor above 200; since
July 2026 a service may set another percentage, a percentage without bounds, or a plain number.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["goes-on", "stalls", "rolls-back"]

_LEAST, _MOST = 3, 200
_PERCENT = 50


@dataclass(frozen=True, slots=True)
class Breaker:
    """The circuit breaker as a service's deployment configuration has it."""

    enabled: bool = False
    rolls_back: bool = False
    resets: bool = True  # a healthy task starts the count anew
    kind: str = "BOUNDED_PERCENT"  # or UNBOUNDED_PERCENT, COUNT
    value: int = _PERCENT

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "Breaker":
        """The breaker of a ``deploymentConfiguration``; off where it says nothing, as on AWS."""
        data = configuration.get("deploymentCircuitBreaker") or {}
        limit = data.get("thresholdConfiguration") or {}
        return cls(
            enabled=bool(data.get("enable", False)),
            rolls_back=bool(data.get("rollback", False)),
            resets=bool(data.get("resetOnHealthyTask", True)),
            kind=str(limit.get("type", "BOUNDED_PERCENT")),
            value=int(limit.get("value", _PERCENT)),
        )

    def threshold(self, desired: int) -> int:
        """How many failed tasks end a deployment of so many desired ones."""
        if self.kind == "COUNT":
            return max(1, self.value)
        part = max(1, math.ceil(desired * self.value / 100))
        return part if self.kind == "UNBOUNDED_PERCENT" else min(max(part, _LEAST), _MOST)


def judge(breaker: Breaker, desired: int, failed: int, *, completed_before: bool) -> Outcome:
    """What becomes of a deployment in progress.

    Args:
        breaker: The service's circuit breaker.
        desired: How many tasks are wanted.
        failed: How many tasks of the deployment failed in a row.
        completed_before: Whether there is another deployment that was COMPLETED, to roll back to.

    Returns:
        ``stalls``: it has FAILED and starts nothing more. ``rolls-back``: it has FAILED, and the deployment
        completed before takes its place.

    """
    if not breaker.enabled or failed < breaker.threshold(desired):
        return "goes-on"
    return "rolls-back" if breaker.rolls_back and completed_before else "stalls"
