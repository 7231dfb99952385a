"""What the ECS scheduler does next for a service, from what it wants and what runs. Pure.

Sources: the ECS developer guide on rolling updates (minimumHealthyPercent, maximumPercent), on how the
scheduler replaces tasks once it has marked them unhealthy (a replacement starts first and the unhealthy task
goes when that one is healthy; both unhealthy: one goes; no room for a replacement: the unhealthy one goes
first), and AWS's announcement of November 2025 (a lost task of the version that runs is replaced by the same
version while another one is being rolled out).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """What the control plane wants of one service."""

    name: str
    cluster: str
    desired: int
    revision: str
    deployment: str
    minimum_percent: int = 100
    maximum_percent: int = 200
    launches: bool = True  # a FAILED deployment launches nothing
    previous: str = ""  # the completed deployment that this one is to replace, as long as it must serve

    @property
    def least(self) -> int:
        """How many healthy tasks a rolling update leaves; AWS rounds up."""
        return -(-self.desired * self.minimum_percent // 100)

    @property
    def most(self) -> int:
        """How many tasks may run at a time; AWS rounds down."""
        return self.desired * self.maximum_percent // 100


@dataclass(frozen=True, slots=True)
class Seen:
    """What matters of a running task for the plan."""

    arn: str
    deployment: str
    ready: bool  # it passes all its health checks
    unhealthy: bool = False  # it failed them when the grace period was over


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one service now."""

    start: int = 0
    stop: tuple[str, ...] = ()
    restore: int = 0  # tasks of the previous deployment to start


def plan(wish: Wish, tasks: Sequence[Seen]) -> Plan:
    """Which tasks to start and stop: new ones first, old ones go once the new ones are healthy."""
    current = [task for task in tasks if task.deployment == wish.deployment]
    sound = [task for task in current if not task.unhealthy]
    older = [task for task in tasks if task.deployment != wish.deployment]
    missing = max(0, wish.desired - len(sound)) if wish.launches else 0
    stop = _superfluous(wish, current, older)
    room = wish.most - (len(tasks) - len(stop))
    stop += _making_room(wish, [task for task in tasks if task not in stop], missing - room)
    room = max(0, wish.most - (len(tasks) - len(stop)))
    start = min(missing, room)
    restore = min(_lost(wish, sound, older), room - start)
    return Plan(start, tuple(task.arn for task in tasks if task in stop), restore)


def _superfluous(wish: Wish, current: Sequence[Seen], older: Sequence[Seen]) -> list[Seen]:
    sound = [task for task in current if not task.unhealthy]
    unhealthy = [task for task in current if task.unhealthy]
    if sum(task.ready for task in sound) >= wish.desired:
        return [*sound[wish.desired :], *unhealthy, *older]
    extra = len(unhealthy) - wish.desired if not sound else 0
    return [*sound[wish.desired :], *unhealthy[: max(0, extra)], *older[wish.desired :]]


def _making_room(wish: Wish, tasks: Sequence[Seen], short: int) -> list[Seen]:
    """Tasks that go so that others can start: unhealthy ones first, then old ones above the minimum."""
    unhealthy = [task for task in tasks if task.unhealthy]
    ready = [task for task in tasks if task.ready and not task.unhealthy]
    spare = max(0, len(ready) - wish.least)
    old = [task for task in ready if task.deployment != wish.deployment][:spare]
    return [*unhealthy, *old][: max(0, short)]


def _lost(wish: Wish, sound: Sequence[Seen], older: Sequence[Seen]) -> int:
    if not wish.previous:
        return 0
    serving = sum(task.ready for task in sound) + sum(not task.unhealthy for task in older)
    return max(0, wish.desired - serving)
