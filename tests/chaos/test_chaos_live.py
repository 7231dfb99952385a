"""The command on one real sandbox: an experiment that goes as expected, and those that must not."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hokusai_probe import sandbox
from hokusai_probe.chaos import driver, users
from hokusai_probe.cli import main
from hokusai_probe.cli.chaos import Results

pytestmark = pytest.mark.xdist_group("chaos")

COMMAND = sys.modules["hokusai_probe.cli.chaos"]  # the package's attribute of that name is the command itself

CACHE_STOPS = """\
name = "cache-stops"
summary = "The cache stops"
source = "INC-26"
looks = ["data", "ecs-services", "task-definitions", "security-groups", "network-acls"]
before_s = 0.5
hold_s = 6.0

[[method]]
kind = "service"
service = "cache"
action = "stop"

[[rollback]]
kind = "service"
service = "cache"
action = "restart"

[expect]
causes = ["cache-unreachable"]
could = { read = 1.0 }
"""
NO_SUCH_GROUP = """
[[rollback]]
kind = "aws"
service = "ec2"
call = "delete_security_group"
params = { GroupId = "sg-00000000" }
"""


@pytest.fixture(scope="module")
def box() -> Iterator[sandbox.Box]:
    """One sandbox for all of them: each leaves it as it found it."""
    with sandbox.start("healthy") as running:
        yield running


@pytest.fixture
def call(
    box: sandbox.Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Result, Results]]:
    """The command with one experiment, in that sandbox; its outcome, and what it wrote as JSON."""

    @asynccontextmanager
    async def shared(_scenario: str, _seed: int | None) -> AsyncIterator[sandbox.Box]:
        yield box

    monkeypatch.setattr(COMMAND, "_sandbox", shared)
    monkeypatch.setattr(driver, "LOOK_EVERY_S", 0.5)

    def called(text: str) -> tuple[Result, Results]:
        path, written = tmp_path / "own.toml", tmp_path / "own.json"
        path.write_text(text)
        result = CliRunner().invoke(main, ["chaos", str(path), "--json", str(written)])
        return result, Results.model_validate_json(written.read_text())

    return called


Call = Callable[[str], tuple[Result, Results]]


def test_a_fault_is_noticed_named_and_mended_and_nothing_is_lost(call: Call) -> None:
    """What users made meanwhile is all there, and the table says so."""
    result, found = call(CACHE_STOPS)
    if result.exit_code:  # on a busy machine a use may be late, which is a deviation
        result, found = call(CACHE_STOPS)
    (one,) = found.results

    assert (result.exit_code, one.outcome, one.reasons) == (0, "completed", ())
    assert one.detected_s is not None
    assert (one.named, one.lost, one.unaccounted) == (("cache-unreachable",), (), ())
    assert one.accounted == len(one.recorded.kept) > 5
    assert result.stdout.splitlines()[1].split()[:3] == ["cache-stops", "as", "expected"]
    assert result.stdout.splitlines()[-1] == "1 experiment: 1 as expected"


def test_nothing_is_begun_while_the_steady_state_is_broken(box: sandbox.Box, call: Call) -> None:
    """Exit code 3, no step of the method, and what is broken by name."""
    box.apply({"kind": "fault", "edge": "gateway->mlflow", "do": {"status": 500}})
    try:
        result, found = call(CACHE_STOPS)
    finally:
        box.clear_faults()
    (one,) = found.results

    assert (result.exit_code, one.outcome) == (3, "not-started")
    assert "read: registered-models/search: 500" in one.reasons
    assert [e.what for e in one.recorded.events if e.what.startswith("service")] == []


def test_a_rollback_that_fails_is_exit_4(call: Call) -> None:
    """The steps after the one that failed are carried out all the same."""
    text = CACHE_STOPS.replace("[[rollback]]", f"{NO_SUCH_GROUP}\n[[rollback]]").replace("6.0", "0.5")
    result, found = call(text)
    (one,) = found.results
    told = [e.what for e in one.recorded.events]

    assert (result.exit_code, one.outcome) == (4, "rollback-failed")
    assert one.reasons[0].startswith("aws ec2 delete_security_group: step 1: ec2.delete_security_group: ")
    assert "service cache restart" in told


def test_a_signal_in_the_middle_rolls_back(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 143, once all is well again: the fault would have lasted for a minute."""

    def told(text: str) -> None:
        if "service cache stop" in text:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(COMMAND, "_progress", told)
    result, found = call(CACHE_STOPS.replace("6.0", "60.0"))
    (one,) = found.results

    assert (result.exit_code, one.outcome) == (143, "interrupted")
    assert one.reasons == ("SIGTERM came; all was rolled back",)
    assert one.recorded.events[-2].what == "the steady state is back"


BARELY = """\
name = "barely"
summary = "A name that nobody needs is refused"
source = "nowhere"
looks = ["hosts"]
before_s = 0.5
hold_s = 1.5

[[method]]
kind = "fault"
edge = "gateway->site"
do = { refuse = true }

[[rollback]]
kind = "service"
service = "cache"
action = "restart"

[expect]
detected = false
"""


def test_what_is_lost_is_found_missing_by_name(
    box: sandbox.Box, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An artifact that was acknowledged goes from the disk, and another becomes half of itself."""
    stored = box.target_file.parent / "state" / "mlflow" / "artifacts" / "hkchaos"
    harmed: list[str] = []

    def told(text: str) -> None:
        if "the rollback begins" in text:
            gone, cut = sorted(stored.glob("*.bin"), key=lambda path: path.stat().st_mtime)[-2:]
            gone.unlink()
            cut.write_bytes(cut.read_bytes()[:100])
            harmed.extend(f"artifact hkchaos/{path.name}" for path in (gone, cut))

    monkeypatch.setattr(COMMAND, "_progress", told)
    monkeypatch.setattr(users, "_TRIES", 1)
    result, found = call(BARELY)
    (one,) = found.results

    assert (result.exit_code, one.outcome) == (1, "deviated")
    assert sorted(one.lost) == sorted(harmed)
    assert one.reasons == tuple(f"lost: {name}" for name in one.lost)


def test_a_sandbox_that_dies_is_a_failed_rollback(
    box: sandbox.Box, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4, each step of the rollback tried. The last of these tests: it takes the sandbox with it."""

    def told(text: str) -> None:
        if "fault gateway->site" in text:
            box._host.kill()  # as the system does when memory runs out

    monkeypatch.setattr(COMMAND, "_progress", told)
    monkeypatch.setattr(users, "DEADLINE_S", 1.0)
    monkeypatch.setattr(users, "_TRIES", 1)
    result, found = call(BARELY.replace("1.5", "0.1"))
    (one,) = found.results

    assert (result.exit_code, one.outcome) == (4, "rollback-failed")
    assert one.reasons == (
        "faults are taken back: the sandbox is gone",
        "service cache restart: the sandbox is gone",
    )
    assert len(one.unaccounted) == len(one.recorded.kept)
