"""The host process: its protocol, reproducible names, and nothing left behind however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import endurance
import pytest
from control_side import eventually, processes_with, said

from hokusai_probe import sandbox
from hokusai_probe.sandbox import Box, SandboxError, processes, start
from hokusai_probe.sandbox.nursery import spawn

UP_SECONDS = 40.0
SEED = 7
MODULE = "hokusai_probe.sandbox.host"
HOST = [sys.executable, "-m", MODULE]
PERSON = {
    "AWS_PROFILE": "canary-profile",
    "HOKUSAI_API_KEY": "hk_test_canary",
    "HTTPS_PROXY": "http://canary.test:1",
}
in_ground = pytest.mark.xdist_group("host")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory that serves the sandbox as TMPDIR, so that its processes and files can be told apart."""
    yield tmp_path
    for line in Path("/proc").glob("[0-9]*/environ"):
        _kill_if_ours(line, tmp_path)


def _kill_if_ours(environ: Path, place: Path) -> None:
    try:
        if str(place).encode() in environ.read_bytes() and int(environ.parent.name) != os.getpid():
            os.kill(int(environ.parent.name), signal.SIGKILL)
    except OSError:
        return


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A nursery that was started in a person's environment; gives the TMPDIR of it and its sandboxes."""
    place = tmp_path_factory.mktemp("ground")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**PERSON, "TMPDIR": str(place)}.items():
            patch.setenv(name, value)
        with sandbox.warm():
            yield place


@pytest.fixture(scope="module")
def box(ground: Path) -> Iterator[Box]:
    """A sandbox out of that nursery."""
    with start("healthy", seed=SEED) as running:
        yield running


def _address() -> str:
    """The nursery in use."""
    assert sandbox._SHARED is not None
    return sandbox._SHARED.nursery.address()


def _launch(place: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*HOST, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(place)},
    )


def _outcome(place: Path, scenario: str, **variables: str) -> tuple[bytes, bytes, int]:
    """Stdout, stderr and exit code of a host that is expected to give up, its stdin open all the time."""
    process = subprocess.Popen(
        [*HOST, scenario],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(place), **variables},
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        return process.stdout.readline(), process.stderr.read(), process.wait(UP_SECONDS)
    finally:
        process.kill()
        process.communicate()


def _forked_outcome(scenario: str) -> tuple[bytes, bytes, int]:
    """As `_outcome`, of a fork of the nursery."""
    (in_r, in_w), (out_r, out_w), (err_r, err_w) = (os.pipe() for _ in range(3))
    environment = processes.allowed_environment(os.environ)
    guard, lifeline = spawn(_address(), MODULE, [scenario], environment, (in_r, out_w, err_w))
    for fd in (in_r, out_w, err_w):
        os.close(fd)
    try:
        code = guard.wait(UP_SECONDS)
        return os.read(out_r, 65536), os.read(err_r, 65536), code
    finally:
        for fd in (lifeline, in_w, out_r, err_r):
            os.close(fd)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait(UP_SECONDS)


def test_nothing_is_left_when_the_host_is_killed(place: Path) -> None:
    """Processes and directory go, though the host itself cannot do anything any more."""
    process = _launch(place, "healthy")
    try:
        assert process.stdout is not None
        ready = said(process.stdout.readline())
        assert Path(ready["target_file"]).is_file()
        assert len(processes_with(f"TMPDIR={place}")) > 5
        process.kill()
        code = process.wait(UP_SECONDS)
    finally:
        _end(process)
    assert endurance.left_after(place, 10.0) == []
    assert code == -signal.SIGKILL


@in_ground
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_sandbox_beside_another_of_its_seed_has_the_same_names_and_ends_on_a_signal(
    ground: Path, box: Box, number: signal.Signals
) -> None:
    """Ids, names, account and keys follow from the seed, addresses do not; a signal leaves nothing of it."""
    before = _all_in(ground)
    host = processes.Host(
        ["healthy", "--seed", str(SEED)], processes.allowed_environment(os.environ), _address()
    )
    try:
        ready = said(host.stdout.readline())
        grown = len(processes_with(f"TMPDIR={ground}")) - before[0]
        assert isinstance(host._child, processes.Child)
        host._child.signal(number)
        code = host.wait(UP_SECONDS)
    finally:
        host.stdin.close()
        host.stdout.close()
        host.kill()
    assert eventually(lambda: _all_in(ground) == before, 10.0)
    assert (code, grown > 5) == (0, True)
    assert _lasting(ready["names"]) == _lasting(box.names)
    assert ready["environment"]["HOKUSAI_API_KEY"] == box.environment["HOKUSAI_API_KEY"]
    assert ready["names"]["task.auth.ip"] != box.names["task.auth.ip"]
    assert (ready["seed"], box.seed) == (SEED, SEED)


def _all_in(ground: Path) -> tuple[int, list[Path]]:
    """How many processes have this TMPDIR, and what is in it."""
    return len(processes_with(f"TMPDIR={ground}")), sorted(ground.iterdir())


def _lasting(names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in names.items() if not name.endswith(".ip")}


def test_nothing_is_left_when_the_parent_is_killed(place: Path) -> None:
    """The host notices the end of its stdin, in the middle of its start."""
    script = (
        "import sys, time\nfrom hokusai_probe.sandbox import start\n"
        "with start('healthy'):\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(place)})
    try:
        assert eventually(lambda: any(place.glob("hokusai-sandbox-*/logs/mlflow-*.log")), 20.0)
    finally:
        parent.kill()
        parent.wait()
    assert endurance.left_after(place, endurance.PATIENCE_S) == []


def test_a_signal_during_the_start_leaves_nothing(place: Path) -> None:
    """SIGTERM half-way says nothing and cleans up."""
    process = _launch(place, "healthy")
    try:
        assert eventually(lambda: len(processes_with(f"TMPDIR={place}")) > 4, 20.0)
        process.terminate()
        assert process.stdout is not None
        spoken = process.stdout.read()
        code = process.wait(UP_SECONDS)
    finally:
        _end(process)
    assert (spoken, code) == (b"", 0)
    assert endurance.left_after(place, endurance.PATIENCE_S) == []


def test_a_name_that_no_scenario_has_is_one_sentence_and_exit_2(place: Path) -> None:
    """The nearest name is offered."""
    line, errors, code = _outcome(place, "helthy")
    assert said(line)["error"].startswith("no scenario 'helthy'; did you mean 'healthy'?")
    assert (code, errors) == (2, b"")


@in_ground
@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("[[step]", "not TOML"),
        (
            'kind = "aws"\nservice = "elbv2"\ncall = "deregister_target"\n',
            "step 1: call: elbv2 has no call 'deregister_target'; did you mean 'deregister_targets'?",
        ),
    ],
)
def test_a_bad_scenario_is_one_sentence_and_exit_2(
    ground: Path, tmp_path: Path, scenario: str, sentence: str
) -> None:
    """What is wrong with a scenario is said on stdout; no traceback anywhere."""
    line, errors, code = _forked_outcome(_scenario(tmp_path, scenario))
    assert sentence in said(line)["error"]
    assert (code, errors) == (2, b"")


def _scenario(place: Path, text: str) -> str:
    path = place / "bad.toml"
    path.write_text('name = "bad"\nsummary = "s"\n[[step]]\n' + text)
    return str(path)


@in_ground
def test_a_persons_own_environment_does_not_get_in(ground: Path, box: Box) -> None:
    """Keys, AWS profiles and tracking addresses of the person reach no process of the sandbox."""
    inside = [
        environ.read_bytes()
        for environ in Path("/proc").glob("[0-9]*/environ")
        if int(environ.parent.name) != os.getpid() and _holds(environ, ground)
    ]
    assert box.environment["HOKUSAI_API_KEY"] != PERSON["HOKUSAI_API_KEY"]
    assert len(inside) > 5
    assert [text for text in inside if b"canary" in text] == []


def _holds(environ: Path, place: Path) -> bool:
    try:
        return f"TMPDIR={place}".encode() in environ.read_bytes()
    except OSError:
        return False


def test_a_part_that_does_not_come_up_is_named(place: Path) -> None:
    """The sentence names the part and quotes its last log line."""
    line, _, _ = _outcome(place, "healthy", PYTHONPATH=str(_sabotage(place)))
    assert said(line)["error"] == (
        "the sandbox's gateway did not come up: Essential container in task exited; "
        "last log line: sabotaged by a test"
    )


SABOTAGE = """
import os, runpy
run = runpy.run_module
def run_module(name, *rest, **more):
    if name.endswith("services.gateway"):
        os.write(2, b"sabotaged by a test\\n")
        os._exit(1)
    return run(name, *rest, **more)
runpy.run_module = run_module
"""


def _sabotage(place: Path) -> Path:
    """A directory whose sitecustomize ends the gateway's program as soon as it starts."""
    directory = place / "sabotage"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(SABOTAGE)
    return directory


def test_start_raises_the_hosts_sentence() -> None:
    """The parent's caller sees what the host said."""
    with pytest.raises(SandboxError, match=r"^no scenario 'nowhere'"), start("nowhere"):
        pass
