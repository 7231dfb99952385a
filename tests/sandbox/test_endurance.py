"""A few rounds of what `make endurance` does a hundred times."""

import os
import random
import subprocess
import sys
from pathlib import Path

import endurance
import pytest


@pytest.mark.parametrize(
    ("how", "kind"), [("kill the program", "warm"), ("kill one of its processes", "cold")]
)
def test_nothing_is_left_whenever_and_however_a_sandbox_ends(tmp_path: Path, how: str, kind: str) -> None:
    """At a random moment of start or life a kill leaves no process, file or route behind."""
    endurance.one_round(tmp_path, how, kind, random.Random())


def test_a_process_that_stays_is_seen(tmp_path: Path) -> None:
    """The count itself can fail: a process with this TMPDIR is found while it lives."""
    line = [sys.executable, "-c", "input()"]
    with subprocess.Popen(line, env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE) as other:
        assert endurance.processes_of(tmp_path) == [other.pid]
    assert endurance.processes_of(tmp_path) == []
