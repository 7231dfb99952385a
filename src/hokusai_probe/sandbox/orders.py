"""What may be done to a sandbox that runs: steps of scenarios, and taking faults back.

Whoever started the host writes one JSON object a line on its stdin and reads one a line from its stdout:
``{"steps": [...]}`` applies the steps in order, ``{"clear_faults": true}`` takes back the faults of all
earlier steps, before any new step of the same order. ``{"disk": "small"}`` puts MLflow's artifacts onto a
file system of a few MiB (before anything is stored: it hides what was there), ``"full"`` fills that and
``"free"`` empties it again. ``{"connections": "held"}`` takes every connection that the database has to
spare, ``"free"`` gives them back. ``{"counted": true}`` asks how often faults with ``every`` were matched.
The answer is ``{"done": [...]}`` with that number, and what each AWS call answered, null for other steps; or
``{"error": "one sentence"}``: then the steps before the one that it names have been applied.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_probe.sandbox import SandboxStepError
from hokusai_probe.sandbox.connections import Connections, ConnectionsError
from hokusai_probe.sandbox.scenario import Backends, Scenario, ScenarioError, Step, refusal, step_refusal
from hokusai_probe.sandbox.small_disk import SmallDisk, SmallDiskError
from hokusai_probe.sandbox.steps import Steps

Disk = Literal["small", "full", "free"]


class Order(BaseModel):
    """One line of a host's stdin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clear_faults: bool = False
    disk: Disk | None = None
    connections: Literal["held", "free"] | None = None
    counted: bool = False
    steps: tuple[Step, ...] = ()


class Orders:
    """Carries orders out, one at a time.

    Args:
        steps: What applies the steps of a scenario.
        disk: The file system of MLflow's artifacts.
        connections: The database's.

    """

    def __init__(self, steps: Steps, disk: SmallDisk, connections: Connections) -> None:
        self._steps = steps
        self._disk = disk
        self._connections = connections

    async def obey(self, line: str) -> Mapping[str, object]:
        """Carry out the order of a line and answer it; an order that is none is answered too."""
        try:
            order = Order.model_validate_json(line)
            return {"done": await asyncio.to_thread(self._carry_out, order)}
        except ValidationError as error:
            return {"error": refusal(error)}
        except (ScenarioError, SmallDiskError, ConnectionsError) as error:
            return {"error": str(error)}

    def _carry_out(self, order: Order) -> list[object]:
        if order.clear_faults:
            self._steps.clear_faults()
        if order.disk is not None:
            self._disk.become(order.disk)
        if order.connections is not None:
            self._connections.become(order.connections)
        count: list[object] = [self._steps.counted()] if order.counted else []
        return count + [self._steps.apply(number, step) for number, step in enumerate(order.steps, start=1)]


def check(steps: Sequence[Mapping[str, object]], storage: str, database: str) -> None:
    """Refuse steps that could not be applied to a sandbox with these backends, before there is one.

    Raises:
        SandboxStepError: One sentence about the first of them that says what is allowed.

    """
    backends = Backends.model_validate({"storage": storage, "database": database})
    try:
        Scenario.model_validate({"name": "orders", "summary": "-", "backends": backends, "step": list(steps)})
    except ValidationError as error:
        raise SandboxStepError(*step_refusal(error)) from None
