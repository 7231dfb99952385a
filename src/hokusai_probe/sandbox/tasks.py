"""What runs inside an ECS task of the sandbox: its command, its environment, its files.

An image stands for a behaviour. Two of them cannot really happen to a process here and are modelled: a binary
for another processor (the shell's message on stderr and exit code 1, as re:Post's "exec format error" article
has it), and running out of memory (the process kills itself as the kernel would; exit code 137).
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hokusai_probe.sandbox import processes
from hokusai_probe.sandbox.identity import PORTS

FIRST_TASK_HOST, LAST_TASK_HOST = 40, 250

_ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}

_FAILING_IMAGES = {
    "crashes": "import hokusai_settings_that_do_not_exist",
    "wrong-architecture": "import sys; sys.exit('exec /usr/local/bin/uvicorn: exec format error')",
    "hungry": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every task of a sandbox is told, and where its things go."""

    network: str  # "127.A.B"
    directory: Path
    ca_file: Path
    behaviours: tuple[str, ...]
    time_scale: float
    images: Mapping[str, str]  # image URI -> what kind of image it is
    services: Mapping[str, str]  # ECS service name -> auth, gateway or mlflow
    resolver: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)  # what MLflow is told for S3
    clock_offset_s: float = 0.0  # real seconds by which the prober's clock is ahead of the platform's

    @property
    def faults(self) -> Path:
        """The fault table."""
        return self.directory / "faults.json"

    @property
    def decisions(self) -> Path:
        """What the network lets through; no file lets everything through."""
        return self.directory / "network.json"

    @property
    def keys(self) -> Path:
        """The keys that the auth service knows."""
        return self.directory / "keys.json"

    def state(self, service: str) -> Path:
        """A service's own directory, which outlives its tasks."""
        return self.directory / "state" / service

    def log(self, service: str, ip: str) -> Path:
        """Where the output of a task goes."""
        return self.directory / "logs" / f"{service}-{ip}.log"

    def secrets(self, service: str, ip: str) -> Path:
        """Where a task finds its resolved secrets."""
        return self.directory / "secrets" / f"{service}-{ip}.json"


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that decides what a task's process does."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path

    def start(self) -> processes.Child:
        """Run it."""
        return processes.start(self.command, self.environment, self.log)


@dataclass(frozen=True, slots=True)
class Warm:
    """A program that runs already, for the first task that needs exactly this one."""

    program: Program
    child: processes.Child


def program(runtime: Runtime, service: str, kind: str, ip: str, variables: Mapping[str, str]) -> Program:
    """The program of a task.

    Args:
        runtime: What every task is told.
        service: auth, gateway or mlflow.
        kind: The kind of its image.
        ip: The task's address.
        variables: The environment of its task definition.

    """
    environment = {
        **processes.allowed_environment(os.environ),
        **variables,
        "SANDBOX_BIND": f"{ip}:{PORTS[service]}",
        "SANDBOX_FAULTS": str(runtime.faults),
        "SANDBOX_NETWORK": str(runtime.decisions),
        "SANDBOX_BEHAVIOURS": ",".join(runtime.behaviours),
        "SANDBOX_CA": str(runtime.ca_file),
        "SANDBOX_TIME_SCALE": f"{runtime.time_scale:g}",
        "SANDBOX_CLOCK_OFFSET_S": f"{runtime.clock_offset_s:g}",
        "SANDBOX_SECRETS": str(runtime.secrets(service, ip)),
        "SANDBOX_STATE": str(runtime.state(service)),
        "SANDBOX_KEYS": str(runtime.keys),
        # MLflow resolves nothing in this version, and can be started before the DNS server is up.
        **(runtime.extra if service == "mlflow" else {"SANDBOX_RESOLVER": runtime.resolver}),
    }
    return Program(_command(service, kind), environment, runtime.log(service, ip))


def on_processor(kind: str, architecture: str) -> str:
    """The kind of image that this one is on Fargate's processor: X86_64 unless the revision says ARM64."""
    built_for = "arm64" if kind == "wrong-architecture" else "amd64"
    if built_for != _ARCHITECTURES.get(architecture, "amd64"):
        return "wrong-architecture"
    return "good" if kind == "wrong-architecture" else kind


def prepare(runtime: Runtime, service: str, ip: str, secrets: Mapping[str, str]) -> None:
    """Make the files and directories that a task expects."""
    runtime.state(service).mkdir(parents=True, exist_ok=True)
    runtime.secrets(service, ip).write_text(json.dumps(dict(secrets)), encoding="utf-8")


def _command(service: str, kind: str) -> list[str]:
    if kind in _FAILING_IMAGES:
        return [sys.executable, "-I", "-S", "-c", _FAILING_IMAGES[kind]]
    return [sys.executable, "-m", f"hokusai_probe.sandbox.services.{service}"]
