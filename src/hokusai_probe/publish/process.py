"""Running git: fixed arguments, no shell, nothing that asks, a deadline, and nothing left when cut short."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hokusai_probe.publish.errors import OutOfTimeError, PublishError, SetupError

COMMAND_S = 60.0
"""No single git command takes longer; a remote that does not answer is then asked once more."""
_GRACE_S = 2.0
_KEPT = ("GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
_NOT_FOR_GIT = ("GIT_", "HOKUSAI_", "AWS_", "MLFLOW_", "SSH_ASKPASS")
_SILENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a git command that ended said."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both streams as text, for reading what went wrong."""
        return f"{self.out.decode(errors='replace')}\n{self.err.decode(errors='replace')}"


def quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that git gets of ours: it asks nobody, and knows nothing of the caller's repository.

    Keys of the platform, AWS and MLflow are none of its business. What a credential helper may need stays.
    """
    passed = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not name.startswith(_NOT_FOR_GIT)
    }
    return {**passed, **_SILENT}


def isolated(environment: Mapping[str, str], settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The environment of a git that reads no configuration but its repository's own and these settings.

    They travel in the environment, which other users of the machine cannot read, as they can arguments; and
    nothing of a credential is written to a disk.
    """
    numbered = {
        name: word
        for number, (key, value) in enumerate(settings)
        for name, word in ((f"GIT_CONFIG_KEY_{number}", key), (f"GIT_CONFIG_VALUE_{number}", value))
    }
    alone = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    return {**quiet(environment), **alone, **numbered, "GIT_CONFIG_COUNT": str(len(settings))}


@dataclass(frozen=True, slots=True)
class Clock:
    """The time that all of it may take. ``end``: by the running event loop's clock, in seconds."""

    end: float

    @classmethod
    def of(cls, seconds: float) -> Clock:
        """So many seconds from now."""
        return cls(cls.now() + seconds)

    @staticmethod
    def now() -> float:
        """The moment that it is by that clock."""
        return asyncio.get_running_loop().time()

    def left(self, at_most: float = COMMAND_S) -> float:
        """Seconds that the next step may take. Raises OutOfTimeError when there is none left."""
        left = self.end - self.now()
        if left <= 0:
            msg = "the time for it is over"
            raise OutOfTimeError(msg)
        return min(left, at_most)


async def git(
    *arguments: str, clock: Clock, environment: Mapping[str, str], folder: Path, given: bytes = b""
) -> Said:
    """Run a git command and return what it said, whatever its exit code.

    Raises PublishError when it does not end in time, SetupError where there is no git. However it ends, no
    process of it is left.
    """
    seconds = clock.left()
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, stdin=pipe, stdout=pipe, stderr=pipe,
            env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError:
        msg = "publishing needs the git command, and there is none"
        raise SetupError(msg) from None
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(given)
    except TimeoutError:
        msg = f"git {arguments[0]} did not end within {seconds:.0f} s"
        raise PublishError(msg) from None
    finally:
        await _ended(process)
    return Said(process.returncode or 0, out, err)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End whatever still runs of a command, politely first: git removes its locks when it is asked to end."""
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            os.killpg(process.pid, number)
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
