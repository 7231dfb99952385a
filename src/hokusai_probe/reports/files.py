"""Writing a file whole or not at all, and finding out beforehand whether that will do."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def replace(path: Path, said: str) -> Path:
    """Write the text in place of whatever the path held, so that no reader sees half of it.

    Folders on the way are made. What is there and is no regular file, such as a pipe, is written to as it
    is. Nothing is left behind when it fails. Returns the path. Raises OSError.
    """
    if path.exists() and not path.is_file():
        path.write_text(said, "utf-8", errors="backslashreplace", newline="\n")
        return path
    real = path.resolve()
    real.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=".hokusai-probe-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(said)
        temporary.chmod(0o644)
        temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def try_folder(folder: Path) -> None:
    """Make a file in the folder, and the folder where it is missing, and remove both. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        for place in missing:
            with contextlib.suppress(OSError):
                place.rmdir()


def try_file(path: Path) -> None:
    """Find out whether :func:`replace` would do, leaving all as it is. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(21, "it is a directory", str(path))
    if not path.exists() or path.is_file():
        try_folder(path.resolve().parent)
