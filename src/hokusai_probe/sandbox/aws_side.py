"""AWS as one sandbox has it: the control plane with its event history and metrics, and the doors to it.

The sandbox's own parts, the layout and a scenario's steps use the control plane directly, as infra-admin. The
prober comes through the AWS door as a user of its own, MLflow through the storage door as its task's role.
"""

import asyncio
import random
import string
from collections.abc import Iterable, Mapping

from hokusai_probe.sandbox import aws_server
from hokusai_probe.sandbox.aws_door import EDGE, AwsGate
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.cloudtrail import EventHistory
from hokusai_probe.sandbox.control_plane import MotoControlPlane
from hokusai_probe.sandbox.door import Door, Place
from hokusai_probe.sandbox.early import TIME_SCALE, Early
from hokusai_probe.sandbox.identity import ACCESS_KEY_ID, REGION, SHORT
from hokusai_probe.sandbox.metrics import Recorder
from hokusai_probe.sandbox.network import NetworkView
from hokusai_probe.sandbox.scenario import Given
from hokusai_probe.sandbox.served_ecs import TaskRecord
from hokusai_probe.sandbox.storage_door import Caller, StorageDoor, StorageGate

_MOTO_HOST, _DOOR_HOST, _STORAGE_HOST = 20, 21, 22
_PROBER_KEY_ID = "AKIAHOKUSAIPROBER000"

PROBER_CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": _PROBER_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": "".join(
        random.Random("the prober's").choices(string.ascii_letters + string.digits, k=40)  # noqa: S311 - fake
    ),
    "AWS_DEFAULT_REGION": REGION,
}
"""What the prober's environment holds where it has credentials, good ones or refused ones."""


class AwsSide:
    """The control plane's server, what is kept beside it, and the doors.

    Attributes:
        clock: The platform's.
        history: CloudTrail's.
        recorder: Where the load balancers count.
        storage: The door through which MLflow reaches S3; a scenario may stop it.
        door_url: Where the prober finds AWS, once started.
        storage_url: Where MLflow finds S3, once started.

    """

    def __init__(self, early: Early, given: Given, plane: MotoControlPlane) -> None:
        account = early.identity.account
        self.clock = PlatformClock(given.clock_offset_s)
        self.history = EventHistory(account, self.clock)
        self.recorder = Recorder(self.clock)
        self.door_url = self.storage_url = ""
        self._early = early
        self._plane = plane
        self._server = aws_server.Server(early.ip(_MOTO_HOST), self.history, self.recorder)
        upstream = self._server.url
        gate = AwsGate(self.clock, refuses_keys=given.aws == "refused")
        self._door = Door(EDGE, self._place(_DOOR_HOST, upstream), gate)
        storage_gate = StorageGate(account, lambda: mlflow_caller(plane, early))
        view = NetworkView(early.runtime.decisions)
        self.storage = StorageDoor(self._place(_STORAGE_HOST, upstream), storage_gate, view)

    def _place(self, host: int, upstream: str) -> Place:
        return Place(self._early.ip(host), upstream, self._early.runtime.faults, TIME_SCALE, self.clock)

    async def start(self) -> str:
        """Serve; returns the URL at which the sandbox's own parts reach the control plane."""
        keys = {aws_server.ADMIN: ACCESS_KEY_ID, aws_server.PROBER: _PROBER_KEY_ID}
        aws_server.introduce_users(self._early.identity.account, keys)
        self._server.start()
        self.door_url, self.storage_url = await self._door.start(), await self.storage.start()
        return self._server.url

    async def refresh(self) -> None:
        """Let the doors be reached as faults, security groups and the scenario say at this moment."""
        await self._door.refresh()
        await self.storage.refresh()
        self._note_hosts()

    def _note_hosts(self) -> None:
        """Tell the metrics how many targets are healthy, group by group."""
        for group in self._plane.target_groups():
            states = [self._plane.health_of(group.arn, one.ip, one.port).state for one in group.targets]
            for key in group.load_balancers:
                arn = self._plane.balancers[key]
                self.recorder.hosts(arn, group.arn, states.count("healthy"), states.count("unhealthy"))

    async def close(self) -> None:
        """Serve no longer."""
        await self._door.close()
        await self.storage.close()
        await asyncio.to_thread(self._server.close)


def mlflow_caller(plane: MotoControlPlane, early: Early) -> Caller | None:
    """Who MLflow's newest task is to AWS; None without a task, or with a task that has no role."""
    task = newest_of(plane.ecs.records(), f"service:{early.identity.named(SHORT['mlflow'])}")
    if task is None:
        return None
    role = plane.ecs.describe_task_definition(task.task_definition_arn).task_role_arn
    return Caller(role, task.task_arn.rpartition("/")[2]) if role else None


def newest_of(records: Iterable[TaskRecord], group: str) -> TaskRecord | None:
    """The task of a group that started last and has not stopped."""
    living = [one for one in records if one.group == group and one.last_status != "STOPPED"]
    return max(living, key=lambda one: one.created_at, default=None)
