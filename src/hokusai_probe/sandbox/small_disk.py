"""A file system of a few MiB under MLflow's artifacts, which can be full: the real thing, no fault.

It is a tmpfs, so it takes the right to mount, which few have outside a container of their own.
"""

import os
import subprocess
from pathlib import Path
from typing import Literal

MIB = 16
_BLOCK = b"\0" * 65536


class SmallDiskError(Exception):
    """The file system cannot be what is wanted; the text is one sentence."""


class SmallDisk:
    """The file system of a directory.

    Args:
        directory: Where MLflow keeps its artifacts.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mounted = False

    def become(self, state: Literal["small", "full", "free"]) -> None:
        """Mount it, fill it to the last block, or remove what fills it.

        Raises:
            SmallDiskError: This system does not permit the mount, or nothing is mounted yet.

        """
        if state == "small":
            self._mount()
        elif not self._mounted:
            sentence = f"the artifacts' disk cannot be {state}: it is not small"
            raise SmallDiskError(sentence)
        elif state == "full":
            self._fill()
        else:
            self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it; what was stored there is gone."""
        if self._mounted:
            subprocess.run(["umount", "--lazy", str(self._directory)], capture_output=True, check=False)
            self._mounted = False

    @property
    def _filler(self) -> Path:
        return self._directory / ".filler"

    def _mount(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={MIB}m", "tmpfs", str(self._directory)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            sentence = f"this system has no mount: {error.strerror}"
            raise SmallDiskError(sentence) from None
        if done.returncode:
            sentence = f"this system does not permit a mount: {' '.join(done.stderr.split())}"
            raise SmallDiskError(sentence)
        self._mounted = True

    def _fill(self) -> None:
        """Write until there is no room, in blocks and then in single bytes."""
        with self._filler.open("wb", buffering=0) as file:
            for block in (_BLOCK, b"\0" * 512, b"\0"):
                while _fits(file.fileno(), block):
                    pass


def _fits(handle: int, block: bytes) -> bool:
    try:
        return os.write(handle, block) == len(block)
    except OSError:
        return False
