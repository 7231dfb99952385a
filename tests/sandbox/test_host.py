"""The host process: its protocol, reproducible names, and nothing left behind however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_side import eventually, processes_with, said

from hokusai_probe.sandbox import SandboxError, start

UP_SECONDS = 40.0
HOST = [sys.executable, "-m", "hokusai_probe.sandbox.host"]


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


def _nothing_left(place: Path) -> bool:
    return not processes_with(f"TMPDIR={place}") and not list(place.iterdir())


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait(UP_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_a_signal_ends_the_host(place: Path, number: signal.Signals) -> None:
    """Processes and directory go, even where the host itself cannot do anything any more."""
    process = _launch(place, "healthy")
    try:
        assert process.stdout is not None
        ready = said(process.stdout.readline())
        assert Path(ready["target_file"]).is_file()
        assert len(processes_with(f"TMPDIR={place}")) > 5
        process.send_signal(number)
        code = process.wait(UP_SECONDS)
    finally:
        _end(process)
    assert eventually(lambda: _nothing_left(place), 10.0)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)


def test_nothing_is_left_when_the_parent_is_killed(place: Path) -> None:
    """The host notices the end of its stdin, in the middle of its start."""
    script = (
        "import sys, time\nfrom hokusai_probe.sandbox import start\n"
        "with start('healthy'):\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(place)})
    try:
        mlflow = "hokusai_probe.sandbox.services.mlflow"
        assert eventually(lambda: any(mlflow in line for line in processes_with(f"TMPDIR={place}")), 20.0)
    finally:
        parent.kill()
        parent.wait()
    assert eventually(lambda: _nothing_left(place), 20.0)


def test_a_signal_during_the_start_leaves_nothing(place: Path) -> None:
    """SIGTERM half-way says nothing and cleans up."""
    process = _launch(place, "healthy")
    try:
        assert eventually(lambda: len(processes_with(f"TMPDIR={place}")) > 3, 20.0)
        process.terminate()
        assert process.stdout is not None
        spoken = process.stdout.read()
        code = process.wait(UP_SECONDS)
    finally:
        _end(process)
    assert (spoken, code) == (b"", 0)
    assert eventually(lambda: _nothing_left(place), 5.0)


def test_the_same_seed_gives_the_same_names_side_by_side() -> None:
    """Ids, names, account and keys follow from the seed; two sandboxes run at once all the same."""
    with start("healthy", seed=7) as one, start("healthy", seed=7) as other:
        assert _lasting(one.names) == _lasting(other.names)
        assert one.environment["HOKUSAI_API_KEY"] == other.environment["HOKUSAI_API_KEY"]
        assert one.names["task.auth.ip"] != other.names["task.auth.ip"]
        assert (one.seed, other.seed) == (7, 7)


def _lasting(names: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in names.items() if not name.endswith(".ip")}


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("helthy", "no scenario 'helthy'; did you mean 'healthy'?"),
        ("[[step]", "not TOML"),
        (
            'kind = "aws"\nservice = "elbv2"\ncall = "deregister_target"\n',
            "step 1: elbv2 has no call 'deregister_target'; did you mean 'deregister_targets'?",
        ),
    ],
)
def test_a_bad_scenario_is_one_sentence_and_exit_2(place: Path, scenario: str, sentence: str) -> None:
    """What is wrong with a scenario is said on stdout; no traceback anywhere."""
    line, errors, code = _outcome(place, _scenario(place, scenario))
    assert sentence in said(line)["error"]
    assert (code, errors) == (2, b"")


def _scenario(place: Path, text: str) -> str:
    if "\n" not in text and "[" not in text:
        return text
    path = place / "bad.toml"
    path.write_text('name = "bad"\nsummary = "s"\n[[step]]\n' + text)
    return str(path)


def test_a_persons_own_environment_does_not_get_in(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Keys, AWS profiles and tracking addresses of the person reach no process of the sandbox."""
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setenv("AWS_PROFILE", "canary-profile")
    monkeypatch.setenv("HOKUSAI_API_KEY", "hk_test_canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://canary.test:1")
    with start("healthy") as box:
        assert box.environment["HOKUSAI_API_KEY"] != "hk_test_canary"
        inside = [
            environ.read_bytes()
            for environ in Path("/proc").glob("[0-9]*/environ")
            if int(environ.parent.name) != os.getpid() and _holds(environ, place)
        ]
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


def _sabotage(place: Path) -> Path:
    """A directory whose sitecustomize ends the gateway's program as soon as it starts."""
    directory = place / "sabotage"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(
        "import os, sys\nif any('services.gateway' in part for part in sys.orig_argv):\n"
        "    os.write(2, b'sabotaged by a test\\n')\n    os._exit(1)\n"
    )
    return directory


def test_start_raises_the_hosts_sentence() -> None:
    """The parent's caller sees what the host said."""
    with pytest.raises(SandboxError, match=r"^no scenario 'nowhere'"), start("nowhere"):
        pass
