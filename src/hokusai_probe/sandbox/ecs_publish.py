"""What ECS shows of its services: events, counts, deployments, in the words of AWS.

Sources: the ECS developer guide, "Amazon ECS service event messages" (texts; the 100 newest are kept) and
"View ... deployment state" of the circuit breaker's page; the API reference's Deployment (rolloutState,
rolloutStateReason, failedTasks counts failures in a row and is no longer counted after completion).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.ecs.models import Service

from hokusai_probe.sandbox.circuit_breaker import Breaker, judge
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.ecs_plan import Seen, Wish

COMPLETED, FAILED, IN_PROGRESS = "COMPLETED", "FAILED", "IN_PROGRESS"

_EVENTS = 100
_BROKEN = "ECS deployment circuit breaker: tasks failed to start."
_ROLLING_BACK = "ECS deployment circuit breaker: rolling back to deploymentId {}."


@dataclass(frozen=True, slots=True)
class Rollout:
    """The state of a service's primary deployment."""

    deployment: str
    state: str
    breaker: Breaker


class Publisher:
    """Writes into the control plane what happened to services. Not thread-safe: the scheduler's own.

    Args:
        plane: The control plane.
        seed: Of the event ids.

    """

    def __init__(self, plane: MotoControlPlane, seed: int) -> None:
        self._plane = plane
        self._ids = random.Random(f"events {seed}")  # noqa: S311 - ids, no secret
        self._steady: dict[str, str] = {}
        self._completed: dict[str, dict[str, Any]] = {}  # service -> the last deployment that completed
        self._let_go: set[str] = set()

    def service(self, name: str) -> Service | None:
        """The service of this name, None when it was deleted."""
        services = list(self._plane.ecs.services.values())
        return next((service for service in services if service.name == name), None)

    def wishes(self) -> list[Wish]:
        """What is wanted of every service."""
        with self._plane.ecs.lock:
            return [self._wish(service) for service in self._plane.ecs.services.values()]

    def revision_of(self, wish: Wish) -> str:
        """The task definition of the deployment that a wish names as the previous one."""
        service = self.service(wish.name)
        listed = _deployments(service) if service else []
        return next(str(one["taskDefinition"]) for one in listed if one["id"] == wish.previous)

    def rollout(self, name: str) -> Rollout | None:
        """How far the primary deployment of a service is, None when the service was deleted."""
        service = self.service(name)
        if service is None:
            return None
        primary = _deployments(service)[0]
        return Rollout(primary["id"], primary["rolloutState"], Breaker.of(_configuration(service)))

    def let_go(self, deployment: str) -> None:
        """Lost tasks of this deployment are not replaced any more."""
        self._let_go.add(deployment)

    def tell(self, service: str, message: str) -> None:
        """Add a service event."""
        found = self.service(service)
        if found is None:
            return
        identity = f"{self._ids.getrandbits(128):032x}"
        event = {"id": identity, "createdAt": datetime.now(UTC), "message": f"(service {service}) {message}"}
        found.events = [event, *found.events[: _EVENTS - 1]]

    def publish(self, wish: Wish, tasks: Sequence[Seen], failed: Mapping[str, int]) -> None:
        """Show a service as it is now.

        Args:
            wish: What is wanted of it.
            tasks: Its tasks that run.
            failed: How many tasks in a row failed, by deployment.

        """
        service = self.service(wish.name)
        if service is None:
            return
        with self._plane.ecs.lock:
            service.running_count, service.pending_count = len(tasks), 0
            steady = _is_steady(wish, tasks)
            for deployment in _deployments(service):
                self._show(deployment, wish, tasks, failed.get(deployment["id"], 0))
            primary = _deployments(service)[0]
            if steady and primary["id"] == wish.deployment and primary["rolloutState"] == IN_PROGRESS:
                self._complete(service, primary)
            listed = _deployments(service)
            service.deployments = [one for one in listed if self._is_live(one, primary, tasks)]
            self._tell_steady(wish, tasks, steady=steady)

    def count_out(self, name: str, deployment: str) -> None:
        """Count a task of a service, and of its deployment, as running no longer."""
        service = self.service(name)
        if service is None:
            return
        with self._plane.ecs.lock:
            service.running_count = max(0, service.running_count - 1)
            for one in _deployments(service):
                if one["id"] == deployment:
                    one["runningCount"] = max(0, one["runningCount"] - 1)

    def break_off(self, wish: Wish, failed: int) -> str:
        """Let the circuit breaker judge the primary deployment.

        Returns:
            The deployment that takes its place because it failed just now; "" when there is none.

        """
        service = self.service(wish.name)
        if service is None or not _is_under_way(service, wish):
            return ""
        breaker = Breaker.of(_configuration(service))
        known = self._completed.get(wish.name)
        before = known is not None and known["id"] != wish.deployment
        outcome = judge(breaker, wish.desired, failed, completed_before=before)
        if outcome == "goes-on":
            return ""
        with self._plane.ecs.lock:
            self._fail(service)
            return self._roll_back(service) if outcome == "rolls-back" else ""

    def _wish(self, service: Service) -> Wish:
        configuration = _configuration(service)
        primary, *others = _deployments(service)
        beside = (
            one["id"] for one in others
            if one["rolloutState"] == COMPLETED and one["id"] not in self._let_go
        )  # fmt: skip
        return Wish(
            name=service.name,
            cluster=service.cluster_arn,
            desired=int(service.desired_count),
            revision=str(service.task_definition),
            deployment=str(primary["id"]),
            minimum_percent=int(configuration.get("minimumHealthyPercent", 100)),
            maximum_percent=int(configuration.get("maximumPercent", 200)),
            launches=primary["rolloutState"] != FAILED,
            previous=next(beside, "") if primary["rolloutState"] == IN_PROGRESS else "",
        )

    def _show(self, deployment: dict[str, Any], wish: Wish, tasks: Sequence[Seen], failed: int) -> None:
        mine = [task for task in tasks if task.deployment == deployment["id"]]
        is_primary = deployment["id"] == wish.deployment
        deployment.update(
            runningCount=len(mine),
            pendingCount=0,
            desiredCount=wish.desired if is_primary else min(len(mine), wish.desired),
            failedTasks=0 if deployment["rolloutState"] == COMPLETED else failed,
        )

    def _complete(self, service: Service, deployment: dict[str, Any]) -> None:
        identity = deployment["id"]
        deployment.update(
            rolloutState=COMPLETED,
            rolloutStateReason=f"ECS deployment {identity} completed.",
            updatedAt=datetime.now(UTC),
            failedTasks=0,
        )
        self._completed[service.name] = dict(deployment)
        self.tell(service.name, f"(deployment {identity}) deployment completed.")
        self._steady.pop(service.name, None)

    def _is_live(self, one: dict[str, Any], primary: dict[str, Any], tasks: Sequence[Seen]) -> bool:
        if one is primary or any(task.deployment == one["id"] for task in tasks):
            return True
        return one["id"] not in self._let_go and primary["rolloutState"] != COMPLETED

    def _fail(self, service: Service) -> None:
        failed = _deployments(service)[0]
        failed.update(rolloutState=FAILED, rolloutStateReason=_BROKEN, updatedAt=datetime.now(UTC))
        self.tell(service.name, f"(deployment {failed['id']}) deployment failed: tasks failed to start.")

    def _roll_back(self, service: Service) -> str:
        """Make the last completed deployment the primary again; it is no longer completed meanwhile."""
        good = self._completed.pop(service.name)
        self._let_go.discard(good["id"])
        others = [one for one in _deployments(service) if one["id"] != good["id"]]
        for other in others:
            other["status"] = "ACTIVE"
        good |= {
            "status": "PRIMARY",
            "rolloutState": IN_PROGRESS,
            "rolloutStateReason": _ROLLING_BACK.format(good["id"]),
            "updatedAt": datetime.now(UTC),
        }
        service.task_definition = good["taskDefinition"]
        service.deployments = [good, *others]
        self.tell(service.name, f"rolling back to deployment {good['id']}.")
        return str(good["id"])

    def _tell_steady(self, wish: Wish, tasks: Sequence[Seen], *, steady: bool) -> None:
        mark = f"{wish.deployment} {wish.desired} {sorted(task.arn for task in tasks)}"
        if steady and self._steady.get(wish.name) != mark:
            self._steady[wish.name] = mark
            self.tell(wish.name, "has reached a steady state.")


def _deployments(service: Service) -> list[dict[str, Any]]:
    return service.deployments


def _is_under_way(service: Service, wish: Wish) -> bool:
    primary = _deployments(service)[0]
    return bool(primary["id"] == wish.deployment and primary["rolloutState"] == IN_PROGRESS)


def _is_steady(wish: Wish, tasks: Sequence[Seen]) -> bool:
    wanted = all(task.ready and task.deployment == wish.deployment for task in tasks)
    return wanted and len(tasks) == wish.desired and wish.launches


def _configuration(service: Service) -> Mapping[str, Any]:
    """The deployment configuration, which moto keeps only once an update has given one."""
    configuration: Mapping[str, Any] = getattr(service, "deployment_configuration", None) or {}
    return configuration
