"""The platform in miniature: real parts on loopback, faults that can be injected.

    with start("healthy") as box:
        ...  # box.target_file, box.environment

Importing this imports nothing heavy; the sandbox runs in a process of its own.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hokusai_probe.sandbox.nursery import Nursery
    from hokusai_probe.sandbox.processes import Host
    from hokusai_probe.sandbox.scenario import Scenario

MISSING_EXTRA = "the sandbox needs the extra: pip install 'hokusai-probe[sandbox]'"

_BOOT_S = 120.0
_STOP_S = 15.0


class SandboxError(Exception):
    """The sandbox could not be started; the text is one sentence."""


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

    """

    target_file: Path
    environment: Mapping[str, str]
    names: Mapping[str, str]
    expect: Mapping[str, object]
    seconds: float
    seed: int


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
        yield _box(_ready_line(process))
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


def _ready_line(process: "Host") -> Mapping[str, Any]:
    patience = threading.Timer(_BOOT_S, process.kill)
    patience.start()
    try:
        line = process.stdout.readline()
    finally:
        patience.cancel()
    if not line:
        sentence = f"the sandbox's host ended without a word (exit code {process.wait(_STOP_S)})"
        raise SandboxError(sentence)
    said: Mapping[str, Any] = json.loads(line)
    if "error" in said:
        raise SandboxError(said["error"])
    if "skip" in said:
        raise SandboxSkippedError(said["skip"])
    return said


def _box(said: Mapping[str, Any]) -> Box:
    return Box(
        target_file=Path(said["target_file"]),
        environment=said["environment"],
        names=said["names"],
        expect=said["expect"],
        seconds=said["seconds"],
        seed=said["seed"],
    )


def _stop(process: "Host") -> None:
    """End the host by the end of its stdin; kill it if it does not go."""
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
    process.stdout.close()


_SHARED: _Shared | None = None
