"""``grade`` at the command line."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_accuracy import graded

from hokusai_probe.grading import Grade

# the package has the command under the same name
command = import_module("hokusai_probe.cli.grade")


def test_an_interrupted_grade_tells_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The signal ends the whole of it, not one scenario; what was graded is written and counted."""

    def one(name: str, _: object) -> Grade:
        if name == "healthy":
            raise command._InterruptedError(143)
        return graded(name)

    monkeypatch.setattr(command, "_one", one)
    names = ["key-unknown", "healthy", "key-expired"]
    done = CliRunner().invoke(command.grade, [*names, "--json", str(tmp_path / "grades.json")])
    kept = json.loads((tmp_path / "grades.json").read_text(encoding="utf-8"))

    assert done.exit_code == 143
    assert [s["name"] for s in kept["scenarios"]] == ["key-unknown"]
    assert "scenarios right" in done.output


@pytest.mark.parametrize(("heal", "code"), [("healed", 0), ("n/a", 0), ("not", 1)])
def test_what_stays_ill_is_no_success(heal: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remedy that can be pasted and does not heal fails the command, right diagnosis or not."""
    monkeypatch.setattr(command, "_one", lambda name, _: graded(name, heal=heal))

    assert CliRunner().invoke(command.grade, ["key-unknown", "--heal"]).exit_code == code
