"""One load of one platform at a time: however its URL is written, and whatever has the name of its lock."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hokusai_probe.errors import ProbeError
from hokusai_probe.load import lock
from hokusai_probe.load.lock import Busy, alone

HOST = "https://registry.example"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for locks where nobody else's are."""
    monkeypatch.setattr(lock, "DIRECTORY", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://registry.example:443/", True),
        ("HTTPS://Registry.Example.", True),
        ("https://registry.example./mlflow", True),
        ("https://registry.example:8443", False),
        ("http://registry.example", False),
        ("https://other.example", False),
    ],
)
def test_a_platform_is_known_however_it_is_written(other: str, same: bool) -> None:
    """By scheme, host and port: a default port, a last dot, letters' case and a path make no other one."""

    def held() -> bool:
        try:
            with alone(other):
                return False
        except Busy:
            return True

    with alone(HOST):
        assert held() is same
    assert not held()


def test_where_temporary_files_are_kept_makes_no_difference(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes with a TMPDIR each meet at the same lock, and nothing of it is left."""
    monkeypatch.setattr("tempfile.tempdir", str(directory / "elsewhere"))
    with alone(HOST):
        assert [path.parent for path in directory.rglob("*.lock")] == [directory]
    assert list(directory.iterdir()) == []


def _to_another(path: Path) -> None:
    path.symlink_to(path.with_suffix(".other"))


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir, _to_another])
def test_what_is_no_file_is_no_lock(directory: Path, made: Callable[[Path], None]) -> None:
    """A pipe, a directory, a link: refused in a sentence and at once, and left where it is."""
    with alone(HOST):
        (path,) = directory.iterdir()
    made(path)
    with pytest.raises(ProbeError, match=r"^the lock .* of load tests cannot be made: "), alone(HOST):
        pass
    assert path.lstat()


def test_a_lock_of_a_successor_is_not_removed(directory: Path) -> None:
    """Ours was cleared away by somebody, and another load made its own: that one stays held."""
    with alone(HOST):
        (path,) = directory.iterdir()
        path.unlink()
        held = alone(HOST)
        held.__enter__()
    with pytest.raises(Busy), alone(HOST):
        pass
    held.__exit__(None, None, None)
    assert not path.exists()


def test_a_lock_that_vanishes_while_it_is_taken_is_made_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever held it removed it between our opening it and our looking: nobody would see what we hold."""
    flock, left = fcntl.flock, [1]

    def beaten(handle: int, how: int) -> None:
        flock(handle, how)
        if left:
            left.pop()
            next(directory.iterdir()).unlink()

    monkeypatch.setattr(fcntl, "flock", beaten)
    with alone(HOST):
        assert len(list(directory.iterdir())) == 1
