"""One load test of one platform at a time, on one machine."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from hokusai_probe.errors import ProbeError

DIRECTORY = Path("/tmp")  # noqa: S108 - the same for every user and TMPDIR; nothing is written or read there
_PORTS = {"http": 80, "https": 443}


class Busy(ProbeError):  # noqa: N818 - the name says what it is
    """Another load test of the same platform is under way on this machine."""


@contextmanager
def alone(host: str) -> Iterator[None]:
    """Hold the lock of a platform, by its registry's URL, while the block lasts. Raises Busy and ProbeError.

    A platform is scheme, host and port, however they are written. The kernel lets go of the lock when the
    process ends, however it ends.
    """
    path = DIRECTORY / f"hokusai-probe-load-{sha256(_origin(host).encode()).hexdigest()[:16]}.lock"
    handle = _locked(path, host)
    try:
        yield
    finally:
        if _is_at(path, handle):
            with suppress(OSError):  # one that another user made stays
                path.unlink()
        os.close(handle)


def _origin(url: str) -> str:
    """Scheme, host and port, in one way of writing them."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}"


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
        if _is_at(path, handle):
            return handle
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    """The file, made if it is not there. Raises ProbeError, also for what is no file."""
    try:
        handle = _open(path)
    except OSError as error:
        raise _cannot(path, str(error.strerror)) from None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise _cannot(path, "something that is no file has its name")


def _cannot(path: Path, why: str) -> ProbeError:
    return ProbeError(f"the lock {path} of load tests cannot be made: {why}")


def _open(path: Path) -> int:
    """One that another user made can be locked all the same, but the kernel may not let us say O_CREAT.

    Without waiting: to open a pipe that nobody writes to would last for ever.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_CREAT, 0o644)
    except PermissionError:
        return os.open(path, flags)
