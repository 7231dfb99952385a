"""The platform in miniature: real parts on loopback, faults that can be injected.

    with start("healthy") as box:
        ...  # box.target_file, box.environment

Importing this imports nothing heavy; the sandbox runs in a process of its own.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def _launch(scenario: str | Path, seed: int | None) -> "subprocess.Popen[str]":
    from hokusai_probe.sandbox import processes

    command = [sys.executable, "-m", "hokusai_probe.sandbox.host", str(scenario)]
    return subprocess.Popen(
        command if seed is None else [*command, "--seed", str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=processes.allowed_environment(os.environ),
        text=True,
        start_new_session=True,
    )


def _ready_line(process: "subprocess.Popen[str]") -> Mapping[str, Any]:
    assert process.stdout is not None
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


def _stop(process: "subprocess.Popen[str]") -> None:
    """End the host by the end of its stdin; kill it if it does not go."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
