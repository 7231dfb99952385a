"""Forks of a nursery behave as interpreters of their own, and none outlives whoever asked for it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from control_side import accepts, eventually

from hokusai_probe.sandbox import processes
from hokusai_probe.sandbox.nursery import Nursery, spawn

pytestmark = pytest.mark.xdist_group("nursery")

SERVER = ("127.0.0.77", 0)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """A nursery of these tests' own."""
    kept = Nursery(processes.allowed_environment(os.environ))
    yield kept
    kept.close()


def _ran(nursery: Nursery, module: str, given: bytes, *arguments: str) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a module that was given this stdin."""
    pipes = [os.pipe() for _ in range(3)]
    (in_r, in_w), (out_r, out_w), (err_r, err_w) = pipes
    os.write(in_w, given)
    os.close(in_w)
    guard, lifeline = spawn(nursery.address(), module, arguments, {"LANG": "C"}, (in_r, out_w, err_w))
    for fd in (in_r, out_w, err_w):
        os.close(fd)
    try:
        code = guard.wait(20)
        return code, os.read(out_r, 65536), os.read(err_r, 65536)
    finally:
        for fd in (lifeline, out_r, err_r):
            os.close(fd)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(SERVER)
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _server(nursery: Nursery) -> Iterator[tuple[processes.Child, int]]:
    """A web server of the standard library as a fork, and its port."""
    port = _free_port()
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123 - its number is wanted
        files = (nothing.fileno(),) * 3
        arguments = ("--bind", SERVER[0], str(port))
        child = processes.Child(*spawn(nursery.address(), "http.server", arguments, {}, files))
    try:
        assert eventually(lambda: accepts(SERVER[0], port), 20)
        yield child, port
    finally:
        child.kill()


def test_module_gets_its_files_and_ends_as_it_would_alone(nursery: Nursery) -> None:
    """Stdin, stdout, arguments and exit code 0 are the module's own."""
    assert _ran(nursery, "json.tool", b'{"b": [1, 2]}', "--compact") == (0, b'{"b":[1,2]}\n', b"")


def test_module_that_complains_ends_with_code_1_and_its_sentence(nursery: Nursery) -> None:
    """An exit with a text is code 1, the text on stderr, as an interpreter does it."""
    code, out, err = _ran(nursery, "json.tool", b"no JSON")

    assert (code, out) == (1, b"")
    assert b"Expecting value" in err


def test_module_that_is_not_there_is_a_traceback_and_code_1(nursery: Nursery) -> None:
    """What the module raises ends its own fork and nobody else's."""
    code, _, err = _ran(nursery, "hokusai_probe.sandbox.nowhere", b"")

    assert code == 1
    assert b"No module named" in err


def test_signal_ends_the_fork_and_shows_in_its_code(nursery: Nursery) -> None:
    """A signal reaches the module's process group; the code is 128 + n."""
    with _server(nursery) as (child, port):
        assert child.alive
        child.signal(signal.SIGTERM)

        assert child.wait(10) == 128 + signal.SIGTERM
        assert not accepts(SERVER[0], port)


def test_frozen_fork_dies_when_it_is_let_go(nursery: Nursery) -> None:
    """Who is stopped cannot watch its lifeline; its guard does."""
    with _server(nursery) as (child, port):
        child.signal(signal.SIGSTOP)
        child.let_go()

        assert child.wait(10) == 128 + signal.SIGKILL
        assert not accepts(SERVER[0], port)


OWNER = """
import os, sys, time
from hokusai_probe.sandbox.nursery import spawn
spawn(sys.argv[1], "http.server", ("--bind", "127.0.0.77", sys.argv[2]), {}, (0, 2, 2))
time.sleep(60)
"""


def test_fork_dies_with_whoever_asked_for_it(nursery: Nursery) -> None:
    """The owner is killed with SIGKILL: its forks go, the nursery stays."""
    port = _free_port()
    line = [sys.executable, "-c", OWNER, nursery.address(), str(port)]
    owner = subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: accepts(SERVER[0], port), 20)
    finally:
        owner.kill()
        owner.wait()

    assert eventually(lambda: not accepts(SERVER[0], port), 10)
    assert _ran(nursery, "json.tool", b"[]")[0] == 0


@pytest.mark.parametrize("way", ["address", "fork"])
def test_nursery_ends_with_its_parent(way: str) -> None:
    """Its socket is gone when the process that started it was killed, a fork's like any other."""
    code = (
        "import os, sys\nfrom hokusai_probe.sandbox.nursery import Nursery\n"
        f"print(Nursery(dict(os.environ)).{way}(), flush=True)\nimport time; time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    address = parent.stdout.readline().strip()
    listening = _listens(address)
    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert listening
    assert eventually(lambda: not _listens(address), 10)


def test_fork_of_this_process_answers_and_starts_anew_when_it_has_died() -> None:
    """What is a fork serves like an interpreter of its own, and its owner notices its end."""
    code = (
        "import os, signal, sys\nfrom hokusai_probe.sandbox.nursery import Nursery, spawn\n"
        "nursery = Nursery(dict(os.environ), ('json.tool',))\n"
        "nursery.fork()\n"
        "os.kill(nursery._process._process, signal.SIGKILL) if sys.argv[1:] else None\n"
        "os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT) if sys.argv[1:] else None\n"
        "guard, pipe = spawn(nursery.address(), 'json.tool', ('--compact',), {}, (0, 1, 2))\n"
        "code = guard.wait(20)\nnursery.close()\nsys.exit(code)"
    )
    for killed in ((), ("killed",)):
        line = [sys.executable, "-c", code, *killed]
        ran = subprocess.run(line, input=b"[1, 2]", capture_output=True, check=False)
        assert (ran.stdout, ran.stderr, ran.returncode) == (b"[1,2]\n", b"", 0)


def _listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        return probe.connect_ex(f"\0{address}") == 0
