"""What may be done to a sandbox that runs, and the small disk that can be full."""

import asyncio
import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hokusai_probe.sandbox import SandboxStepError, check_steps
from hokusai_probe.sandbox.orders import Orders
from hokusai_probe.sandbox.small_disk import MIB, SmallDisk, SmallDiskError

STOP = {"kind": "service", "service": "cache", "action": "stop"}


class Steps:
    """Takes note of what it is asked for, and answers each step with its number."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def clear_faults(self) -> None:
        self.told.append("cleared")

    def counted(self) -> int:
        return 7

    def apply(self, number: int, step: object) -> object:
        self.told.append(type(step).__name__)
        return number


class Connections:
    """Takes note of what it is asked to become."""

    def __init__(self, told: list[object]) -> None:
        self.told = told

    def become(self, state: str) -> None:
        self.told.append(state)


def obeyed(line: str) -> tuple[object, list[object]]:
    """The answer to an order, and what was done."""
    steps = Steps()
    orders = Orders(steps, SmallDisk(Path("/nowhere")), Connections(steps.told))  # type: ignore[arg-type]
    return asyncio.run(orders.obey(line)), steps.told


def test_what_is_asked_in_one_order_is_answered_in_one_list() -> None:
    """How often faults were matched comes first, then each step's own."""
    line = json.dumps({"connections": "held", "counted": True, "steps": [STOP]})

    assert obeyed(line) == ({"done": [7, 1]}, ["held", "ServiceStep"])


def test_faults_go_before_steps_come() -> None:
    """And each step is answered."""
    line = '{"clear_faults": true, "steps": [{"kind": "service", "service": "cache", "action": "stop"}]}'

    assert obeyed(line) == ({"done": [1]}, ["cleared", "ServiceStep"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "Invalid JSON: EOF while parsing an object at line 1 column 1, not '{'"),
        ('{"step": []}', "step: Extra inputs are not permitted"),
        ('{"steps": [{"kind": "servise"}]}',
         "steps: unknown kind 'servise'; did you mean 'service'? (allowed: aws, fault, service)"),
        ('{"disk": "full"}', "the artifacts' disk cannot be full: it is not small"),
    ],
)  # fmt: skip
def test_an_order_that_is_none_is_answered(line: str, says: str) -> None:
    """In one sentence, and nothing is done."""
    assert obeyed(line) == ({"error": says}, [])


def test_steps_are_checked_against_a_scenario_before_it_starts() -> None:
    """A fault on a store that it does without would do nothing; a good step is let through."""
    fault = {"kind": "fault", "edge": "mlflow->database", "do": {"drop": True}}
    check_steps([fault, STOP], "stores-as-on-aws")
    with pytest.raises(SandboxStepError) as error:
        check_steps([STOP, fault], "healthy")

    assert error.value.place == (1, "edge")
    assert str(error.value).startswith("edge: nothing goes there without backends")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk, where this system permits the mount."""
    small = SmallDisk(tmp_path)
    try:
        small.become("small")
    except SmallDiskError as refused:
        pytest.skip(str(refused))
    yield small
    small.close()


def test_a_full_disk_takes_nothing_more_until_it_is_emptied(disk: SmallDisk, tmp_path: Path) -> None:
    """What was there stays, and what comes afterwards is stored again."""
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.write_bytes(b"x" * 1024)
    disk.become("full")
    with pytest.raises(OSError, match="No space left") as full:
        new.write_bytes(b"y" * 4096)
    disk.become("free")
    new.write_bytes(b"y" * (MIB - 1) * 1024 * 1024)

    assert full.value.errno == errno.ENOSPC
    assert kept.read_bytes() == b"x" * 1024
