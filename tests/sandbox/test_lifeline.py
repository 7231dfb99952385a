"""Children never outlive their parent, and obey what comes down the pipe."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from control_side import eventually

from hokusai_probe.sandbox import lifeline, processes


def _sleeper(tmp_path: Path) -> processes.Child:
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    return processes.start([sys.executable, "-I", "-c", code], dict(os.environ), tmp_path / "log")


def _pid(tmp_path: Path) -> int:
    assert eventually(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()), 10.0)
    return int((tmp_path / "pid").read_text())


def _state(pid: int) -> str:
    """The kernel's letter for a process; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it went before the look, or in its midst
        return ""


def test_kill_ends_the_command(tmp_path: Path) -> None:
    """Nothing of the command is left when kill returns."""
    child = _sleeper(tmp_path)
    pid = _pid(tmp_path)
    child.kill()
    assert (child.alive, _state(pid)) == (False, "")


def test_signals_reach_the_command_and_a_frozen_one_can_be_killed(tmp_path: Path) -> None:
    """SIGSTOP freezes it; it dies all the same."""
    child = _sleeper(tmp_path)
    pid = _pid(tmp_path)
    child.signal(signal.SIGSTOP)
    assert eventually(lambda: _state(pid) == "T", 5.0)
    child.kill()
    assert _state(pid) == ""


def test_exit_codes_and_output_are_kept(tmp_path: Path) -> None:
    """A command that ends by itself leaves its code, 128 + n after a signal, and its last lines."""
    log = tmp_path / "log"
    script = "import sys; print('one'); print('two'); sys.exit(3)"
    one = processes.start([sys.executable, "-I", "-c", script], dict(os.environ), log)
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    other = processes.start([sys.executable, "-I", "-c", kill], dict(os.environ), tmp_path / "other")
    try:
        assert eventually(lambda: not one.alive and not other.alive, 10.0)
        assert (one.exit_code, other.exit_code, processes.last_lines(log, 1)) == (3, 137, ["two"])
    finally:
        one.kill()
        other.kill()


def test_a_command_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent ends the command, and the directory it was told to remove."""
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "file").write_text("x")
    script = (
        "import os, sys, time\nfrom pathlib import Path\nfrom hokusai_probe.sandbox import processes\n"
        "place = Path(sys.argv[1])\nkeep = processes.remove_after_me(place / 'gone')\n"
        "code = 'import os, sys, time; open(sys.argv[1], \"w\").write(str(os.getpid())); time.sleep(60)'\n"
        "command = [sys.executable, '-I', '-c', code, str(place / 'pid')]\n"
        "child = processes.start(command, dict(os.environ), place / 'log')\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    try:
        pid = _pid(tmp_path)
    finally:
        parent.kill()
        parent.wait()
    assert eventually(lambda: _state(pid) == "", 5.0)
    assert eventually(lambda: not gone.exists(), 5.0)


def test_a_persons_environment_is_let_in_by_a_list(tmp_path: Path) -> None:
    """Only where programs are, the language, and Python's own variables."""
    given = {
        "PATH": "/bin", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "1", "TMPDIR": "/t", "VIRTUAL_ENV": "/v",
        "AWS_PROFILE": "me", "HTTP_PROXY": "x", "MLFLOW_TRACKING_URI": "y", "HOME": "/root",
    }  # fmt: skip
    assert sorted(processes.allowed_environment(given)) == [
        "LANG", "LC_ALL", "PATH", "PYTHONUTF8", "TMPDIR", "VIRTUAL_ENV",
    ]  # fmt: skip


def test_starting_a_command_is_quick(tmp_path: Path) -> None:
    """The lifeline in between costs little: a command's whole life stays well under a second."""
    started = time.monotonic()
    child = processes.start(["/bin/true"], {"PATH": "/bin:/usr/bin"}, tmp_path / "log")
    try:
        assert eventually(lambda: not child.alive, 5.0)
    finally:
        child.kill()
    assert time.monotonic() - started < 2.0


def test_the_end_of_the_pipe_reaches_a_child_that_has_no_group_yet() -> None:
    """A fork that was not yet the leader of its own group when its owner died stayed for ever."""
    reading, writing = os.pipe()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        os.write(writing, bytes([signal.SIGCONT]))
        os.close(writing)
        lifeline.obey(reading, child.pid)
        assert child.wait(10.0) == -signal.SIGKILL
    os.close(reading)


def test_a_command_whose_guard_died_first_does_not_begin() -> None:
    """The kernel tells a child of its parent's death only from the moment it is asked to."""
    code = "from hokusai_probe.sandbox import lifeline; lifeline.die_with_parent(1 << 30); print('lives on')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (137, b"")


def test_what_is_mounted_in_a_directory_goes_with_it(tmp_path: Path) -> None:
    """A sandbox whose host is killed may leave a small disk mounted, which nobody could remove."""
    disk = tmp_path / "sandbox" / "disk"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this system does not permit a mount")
    (disk / "file").write_text("kept", "utf-8")
    reading, writing = os.pipe()
    os.close(writing)
    assert lifeline.remove_at_end(reading, str(tmp_path / "sandbox")) == 0
    os.close(reading)
    assert str(disk) not in Path("/proc/self/mounts").read_text("utf-8")
