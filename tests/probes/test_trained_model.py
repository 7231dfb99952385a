"""The worker that trains: what it makes, how long it stays, and how it ends."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _facts import TARGET

from hokusai_probe.declare import Catalogue, Probe
from hokusai_probe.engine import Observer, Silent
from hokusai_probe.keys import Keys
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, SafetyClass
from hokusai_probe.probes._fork_server import ForkServer, Job
from hokusai_probe.probes.trained_model import WORKER

pytestmark = pytest.mark.xdist_group("trained-model")

LOAD_S = 60.0
SOON_S = 5.0


def fresh() -> ForkServer:
    """A server like the look's own that nothing else uses."""
    return ForkServer(WORKER._program, WORKER._passed_on, WORKER._settings)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A fresh server, ended with the test; killed while it loads it would leave its directory behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("server")))
    made = fresh()
    yield made
    made.end()


def pid_of(server: ForkServer) -> int:
    """The process of a server that was started."""
    assert server._running is not None
    return server._running.process.pid


def children_of(pid: int) -> list[int]:
    """The processes that a process has forked and not yet buried."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be buried by the system's first process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Callable[[], bool], what: str, seconds: float = SOON_S) -> None:
    """Wait for something, and fail with ``what`` when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def in_job(server: ForkServer, directory: Path, work: Callable[[Job], Any]) -> Any:
    """The result of ``await work(job)`` for a job in a loop of its own."""

    async def take() -> Any:
        async with asyncio.timeout(LOAD_S), server.job(directory) as job:
            return await work(job)

    return asyncio.run(take())


async def trained(job: Job) -> Any:
    """The predictions after training."""
    return json.loads(await job.line())["predictions"]


def test_a_saved_model_predicts_the_same_when_its_copy_is_loaded(tmp_path: Path) -> None:
    """The files are those of an MLflow model; the copy gives the same fifteen rows of probabilities."""

    async def journey(job: Job) -> tuple[Any, Any]:
        before = await trained(job)
        shutil.copytree(tmp_path / "model", tmp_path / "fetched")
        job.go_on()
        return before, await trained(job)

    before, after = in_job(WORKER, tmp_path, journey)
    made = {p.name for p in (tmp_path / "model").iterdir()}

    assert before == after
    assert [len(row) for row in before] == [3] * 15
    assert all(abs(sum(row) - 1) < 1e-9 for row in before)
    assert made == {"MLmodel", "conda.yaml", "model.pkl", "python_env.yaml", "requirements.txt"}


def test_without_a_copy_the_worker_says_what_is_missing(tmp_path: Path) -> None:
    """What is loaded is the copy and nothing else; the last line of the child's traceback is the reason."""

    async def without_copy(job: Job) -> None:
        await trained(job)
        job.go_on()
        await job.line()

    with pytest.raises(RuntimeError, match=r"the model worker ended: .*fetched"):
        in_job(WORKER, tmp_path, without_copy)


def test_the_server_stays_for_the_next_job_and_buries_every_child(tmp_path: Path) -> None:
    """Two jobs, one after a failure: the same server with one thread, a child each, no child left."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        in_job(WORKER, tmp_path / name, trained)
        assert children_of(pid_of(WORKER)) == []
    first = pid_of(WORKER)
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="Not a directory"):
        in_job(WORKER, tmp_path / "file", trained)
    started = time.monotonic()
    (tmp_path / "three").mkdir()
    in_job(WORKER, tmp_path / "three", trained)

    assert time.monotonic() - started < LOAD_S / 20
    assert pid_of(WORKER) == first
    assert children_of(first) == []
    assert len(list(Path(f"/proc/{first}/task").iterdir())) == 1


def test_two_jobs_at_once_have_a_child_each(tmp_path: Path) -> None:
    """Neither waits for the other, and the one that is done first does not end the other."""

    async def take() -> tuple[list[int], Any, Any]:
        async with asyncio.timeout(LOAD_S), WORKER.job(one) as first:
            await trained(first)
            async with WORKER.job(two) as second:
                await trained(second)
                both = children_of(pid_of(WORKER))
            shutil.copytree(one / "model", one / "fetched")
            first.go_on()
            return both, await trained(first), children_of(pid_of(WORKER))

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    both, after, left = asyncio.run(take())

    assert len(both) == 2
    assert len(after) == 15
    assert left == [both[0]]


def test_a_job_that_is_cut_short_is_gone_and_the_server_is_not(tmp_path: Path) -> None:
    """A child that hangs, here stopped by a signal, is killed when its time is over; the server goes on."""

    async def cut_short() -> None:
        async with WORKER.job(tmp_path) as job:
            await trained(job)
            (child,) = children_of(pid_of(WORKER))
            os.kill(child, signal.SIGSTOP)
            async with asyncio.timeout(0.2):
                await job.line()

    with pytest.raises(TimeoutError):
        asyncio.run(cut_short())
    assert children_of(pid_of(WORKER)) == []
    assert runs(pid_of(WORKER))


def test_a_job_given_up_while_the_server_loads_is_never_begun(server: ForkServer, tmp_path: Path) -> None:
    """Giving up costs a moment, and nothing is written into a directory that is gone by then."""

    async def give_up() -> None:
        async with server.job(tmp_path) as job, asyncio.timeout(0.1):
            await job.line()

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    took = time.monotonic() - started
    tmp_path.rmdir()
    tmp_path.with_name("next").mkdir()
    in_job(server, tmp_path.with_name("next"), trained)

    assert took < 2.0
    assert not tmp_path.exists()


def test_a_server_that_died_is_replaced(server: ForkServer, tmp_path: Path) -> None:
    """The job that it dies on says so; the next one gets a new server."""

    async def killed(job: Job) -> None:
        os.killpg(pid_of(server), signal.SIGKILL)
        await job.line()

    with pytest.raises(RuntimeError, match="the model worker ended: it said nothing"):
        in_job(server, tmp_path, killed)
    first = pid_of(server)
    server.start()

    assert pid_of(server) != first
    assert runs(pid_of(server))


def test_a_program_that_cannot_load_says_why(tmp_path: Path) -> None:
    """The last line of its traceback is the reason that the look gives."""
    program = tmp_path / "broken.py"
    program.write_text("import no_such_library\n", encoding="utf-8")
    broken = ForkServer(program, passed_on=(), settings={})

    with pytest.raises(RuntimeError, match="ended: ModuleNotFoundError: No module named 'no_such_library'"):
        in_job(broken, tmp_path, trained)
    broken.end()


def test_the_server_sees_no_variable_but_those_it_needs(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys stay where they are."""
    monkeypatch.setenv("HOKUSAI_API_KEY", "hk_test_not_for_the_worker")
    server.start()
    wait_until(lambda: Path(f"/proc/{pid_of(server)}/environ").read_bytes() != b"", "no environment")
    text = Path(f"/proc/{pid_of(server)}/environ").read_text()
    names = {entry.partition("=")[0] for entry in text.split("\0") if entry}

    assert names <= {*WORKER._passed_on, *WORKER._settings}
    assert set(WORKER._settings) <= names


OWNER = """
import asyncio, os, sys, tempfile, time
from pathlib import Path
from hokusai_probe.probes.trained_model import WORKER

async def work():
    with tempfile.TemporaryDirectory() as name:
        async with WORKER.job(Path(name)) as job:
            await job.line()
            say()
            await asyncio.sleep(60)

def say():
    print(WORKER._running.process.pid, flush=True)

WORKER.start()
"""


def owner(*lines: str) -> "subprocess.Popen[bytes]":
    """A process of its own that starts the look's server, then does what the lines say."""
    code = textwrap.dedent(OWNER) + "\n".join(lines)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def said(process: "subprocess.Popen[bytes]") -> int:
    """The server's process, as its owner told it."""
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.mark.parametrize(
    ("lines", "count"),
    [("say(); time.sleep(60)", 1), ("asyncio.run(work())", 2)],
    ids=["loading", "at work"],
)
def test_nothing_outlives_an_owner_that_is_killed(lines: str, count: int) -> None:
    """SIGKILL, while the server loads and while a child works: within seconds there is no process."""
    with owner(lines) as process:
        try:
            pid = said(process)
            time.sleep(0.3)  # into the imports, or past the first line
            processes = [pid, *children_of(pid)]
        finally:
            process.kill()

    assert len(processes) == count
    wait_until(lambda: not any(map(runs, processes)), f"still there: {processes}")


def test_an_owner_that_ends_takes_its_server_along() -> None:
    """Also while it loads: the owner does not wait for the end of an import, and leaves nothing."""
    with owner("say()", "time.sleep(0.5)") as process:
        pid = said(process)
        started = time.monotonic()
        code = process.wait(LOAD_S)
        took = time.monotonic() - started

    assert code == 0
    assert not runs(pid)
    assert took < SOON_S


def test_a_fork_of_the_owner_leaves_the_server_alone() -> None:
    """It neither uses nor ends what belongs to another process."""
    lines = (
        "if os.fork() == 0:",
        "    WORKER.end()",
        "    sys.exit(0)",
        "os.wait()",
        "assert WORKER._running.process.poll() is None",
        "say()",
    )
    with owner(*lines) as process:
        pid = said(process)
        code = process.wait(LOAD_S)

    assert code == 0
    assert not runs(pid)


# --- when it is started -----------------------------------------------------------------------------


class Nothing(Facts):
    """Facts of a made-up look."""


def made_up(slug: str, prepare: Callable[[], None] | None, safety: SafetyClass = "read") -> Probe:
    """A look that is made ready by ``prepare``."""

    async def sees(**_: object) -> Nothing:
        return Nothing()

    return Probe(slug, slug, slug, "proxy", safety, Nothing, sees, (), (), (), 1, None, prepare)


def test_looks_are_made_ready_before_the_run_unless_something_rules_them_out() -> None:
    """Once each, in order of their names; one that fails, or may not be taken, stops none of the others."""
    ready: list[str] = []

    def fails() -> None:
        ready.append("fails")
        msg = "no processes left"
        raise OSError(msg)

    looks = (
        made_up("a", lambda: ready.append("a")),
        made_up("b", fails),
        made_up("c", lambda: ready.append("c"), "disruptive"),
        made_up("d", None),
        made_up("e", lambda: ready.append("e")),
        made_up("f", lambda: ready.append("f")),
    )
    found = Catalogue(probes={p.slug: p for p in looks}, checks={}, causes={})
    doors: Any = SimpleNamespace()
    look = Look.new(TARGET, doors, None, Keys(), "0")
    Observer(found, look, ["read"], Silent()).prepare(frozenset("abcde"))

    assert ready == ["a", "fails", "e"]
