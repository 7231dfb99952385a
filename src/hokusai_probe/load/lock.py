"""One load test of one platform at a time, on one machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from hokusai_probe.errors import ProbeError


class Busy(ProbeError):  # noqa: N818 - the name says what it is
    """Another load test of the same platform is under way on this machine."""


@contextmanager
def alone(host: str) -> Iterator[None]:
    """Hold the lock of a platform, by its registry's URL, while the block lasts. Raises Busy.

    The kernel lets go of it when the process ends, however it ends.
    """
    path = Path(tempfile.gettempdir()) / f"hokusai-probe-load-{sha256(host.encode()).hexdigest()[:16]}.lock"
    handle = _locked(path, host)
    try:
        yield
    finally:
        with suppress(OSError):  # one that another user made stays
            path.unlink()
        os.close(handle)


def _locked(path: Path, host: str) -> int:
    """The file, locked, and still the one of that name: whoever held it before may just have removed it."""
    while True:
        handle = _opened(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            msg = f"another load test of {host} is under way on this machine; wait until it is over"
            raise Busy(msg) from None
        if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
        os.close(handle)


def _opened(path: Path) -> int:
    """The file, made if it is not there. Raises ProbeError."""
    try:
        return _open(path)
    except OSError as error:
        msg = f"the lock {path} of load tests cannot be made: {error.strerror}"
        raise ProbeError(msg) from None


def _open(path: Path) -> int:
    """One that another user made can be locked all the same, but the kernel may not let us say O_CREAT."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
