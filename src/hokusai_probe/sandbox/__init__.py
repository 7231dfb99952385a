"""The platform in miniature: real parts on loopback, faults that can be injected.

    with start("healthy") as box:
        ...  # box.target_file, box.environment

Importing this imports nothing heavy; the sandbox runs in a process of its own.
"""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from hokusai_probe.sandbox.nursery import Nursery
    from hokusai_probe.sandbox.processes import Host
    from hokusai_probe.sandbox.scenario import Scenario

MISSING_EXTRA = "the sandbox needs the extra: pip install 'hokusai-probe[sandbox]'"

_BOOT_S = 120.0
_STOP_S = 15.0
_ORDER_S = 60.0


class SandboxError(Exception):
    """The sandbox could not be started; the text is one sentence."""


class SandboxStepError(SandboxError):
    """A step that could not be applied; the text is one sentence about it.

    ``place``: which of them, from 0, and the keys that lead to the mistake in it.
    """

    def __init__(self, text: str, place: tuple[str | int, ...]) -> None:
        super().__init__(text)
        self.place = place


class SandboxSkippedError(SandboxError):
    """A backend that the scenario asks for is not on this machine; the text says which."""


@dataclass(frozen=True, slots=True)
class Box:
    """A running sandbox.

    Attributes:
        target_file: The target file, TOML.
        environment: What a prober's environment must hold, beside its own: the key, AWS credentials.
        names: The names in braces of scenario files with their values when the sandbox was ready.
        expect: The scenario's expectation.
        seconds: How long the start took.
        seed: Gives the same names, ids and keys again.
        time_scale: How many platform seconds one second here stands for.

    """

    target_file: Path
    environment: Mapping[str, str]
    names: Mapping[str, str]
    expect: Mapping[str, object]
    seconds: float
    seed: int
    time_scale: float
    _host: "Host"

    def apply(self, *steps: Mapping[str, object]) -> list[Any]:
        """Apply steps, as scenario files have them, to the running sandbox, in order.

        Returns:
            What each AWS call answered; None for other steps.

        Raises:
            SandboxError: One sentence that names the step; those before it have been applied.

        """
        return self._order({"steps": steps})

    def clear_faults(self) -> None:
        """Take back the faults of all steps so far. Raises SandboxError when the sandbox is gone."""
        self._order({"clear_faults": True})

    def disk(self, state: Literal["small", "full", "free"]) -> None:
        """Put MLflow's artifacts onto a small file system of their own, fill that, or empty it.

        Raises:
            SandboxError: One sentence: this system does not permit the mount, say.

        """
        self._order({"disk": state})

    def connections(self, state: Literal["held", "free"]) -> None:
        """Hold every connection that the database has to spare, or give them back.

        Raises:
            SandboxError: One sentence: the database does not answer, say.

        """
        self._order({"connections": state})

    def counted(self) -> int:
        """How often faults with ``every`` were matched so far, those that they let pass included.

        Raises:
            SandboxError: The sandbox is gone.

        """
        return int(self._order({"counted": True})[0])

    def _order(self, order: Mapping[str, object]) -> list[Any]:
        try:
            self._host.stdin.write(json.dumps(order).encode() + b"\n")
            self._host.stdin.flush()
        except OSError:
            sentence = "the sandbox is gone"
            raise SandboxError(sentence) from None
        answer = _line(self._host, _ORDER_S)
        if "error" in answer:
            raise SandboxError(answer["error"])
        done: list[Any] = answer["done"]
        return done


@contextmanager
def start(scenario: str | Path = "healthy", seed: int | None = None) -> Iterator[Box]:
    """Run a sandbox for as long as the block lasts.

    Args:
        scenario: The name of a scenario that ships, or the path of a file.
        seed: Of names, ids and keys; drawn when None.

    Raises:
        SandboxError: One sentence that says why it cannot be started.
        SandboxSkippedError: A backend is not there.

    """
    process = _launch(scenario, seed)
    try:
        yield _box(_ready_line(process), process)
    finally:
        _stop(process)


def scenario_names() -> list[str]:
    """The names of the scenarios that ship, sorted."""
    return sorted(path.stem for path in (Path(__file__).parent / "scenarios").glob("*.toml"))


def load_scenario(name_or_path: str | Path) -> "Scenario":
    """Read and check a scenario without starting anything.

    Raises:
        SandboxError: One sentence that says what is wrong where, and what is allowed.

    """
    from hokusai_probe.sandbox import scenario

    try:
        return scenario.load_scenario(name_or_path)
    except scenario.ScenarioError as error:
        raise SandboxError(str(error)) from None


def check_steps(steps: Sequence[Mapping[str, object]], scenario: str | Path) -> None:
    """Refuse steps that could not be applied to a running sandbox of a scenario, without starting one.

    Raises:
        SandboxStepError: One sentence that says what is allowed.
        SandboxError: There is no such scenario.

    """
    from hokusai_probe.sandbox import orders

    backends = load_scenario(scenario).backends
    orders.check(steps, backends.storage, backends.database)


def line_in(text: str, place: Sequence[str | int]) -> int:
    """The line, from 1, of a place in a TOML text that Python's own reader accepts."""
    from hokusai_probe.sandbox import toml_lines

    return toml_lines.line_of(toml_lines.lines(text), place)


@contextmanager
def warm(seed: int | None = None) -> Iterator[None]:
    """Import once for all sandboxes of the block: from the second on they start in half the time.

    It costs as much as one start, when the first sandbox is started, and ends with the block.

    Args:
        seed: Where the seeds of the block's sandboxes come from, one for each scenario; None: each is drawn.

    """
    from hokusai_probe.sandbox.nursery import Nursery

    global _SHARED  # noqa: PLW0603 - one for the process: whoever starts a sandbox inside the block uses it
    before, _SHARED = _SHARED, _Shared(Nursery(_allowed()), seed)
    try:
        yield
    finally:
        _SHARED.nursery.close()
        _SHARED = before


@dataclass(frozen=True, slots=True)
class _Shared:
    nursery: "Nursery"
    seed: int | None

    def seed_of(self, scenario: str | Path) -> int | None:
        if self.seed is None:
            return None
        return int.from_bytes(sha256(f"{self.seed} {Path(scenario).stem}".encode()).digest()[:4]) >> 1


def _allowed() -> Mapping[str, str]:
    from hokusai_probe.sandbox import processes

    return processes.allowed_environment(os.environ)


def _launch(scenario: str | Path, seed: int | None) -> "Host":
    from hokusai_probe.sandbox.processes import Host

    if seed is None and _SHARED is not None:
        seed = _SHARED.seed_of(scenario)
    arguments = [str(scenario)] if seed is None else [str(scenario), "--seed", str(seed)]
    return Host(arguments, _allowed(), _SHARED.nursery.address() if _SHARED else None)


def _line(process: "Host", seconds: float) -> Mapping[str, Any]:
    patience = threading.Timer(seconds, process.kill)
    patience.start()
    try:
        line = process.stdout.readline()
    finally:
        patience.cancel()
    if not line:
        sentence = f"the sandbox's host ended without a word (exit code {process.wait(_STOP_S)})"
        raise SandboxError(sentence)
    said: Mapping[str, Any] = json.loads(line)
    return said


def _ready_line(process: "Host") -> Mapping[str, Any]:
    said = _line(process, _BOOT_S)
    if "error" in said:
        raise SandboxError(said["error"])
    if "skip" in said:
        raise SandboxSkippedError(said["skip"])
    return said


def _box(said: Mapping[str, Any], process: "Host") -> Box:
    return Box(
        target_file=Path(said["target_file"]),
        environment=said["environment"],
        names=said["names"],
        expect=said["expect"],
        seconds=said["seconds"],
        seed=said["seed"],
        time_scale=said["time_scale"],
        _host=process,
    )


def _stop(process: "Host") -> None:
    """End the host by the end of its stdin; kill it if it does not go."""
    with contextlib.suppress(BrokenPipeError):  # it is gone already, and an order never reached it
        process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
    process.stdout.close()


_SHARED: _Shared | None = None
