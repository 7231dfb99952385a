"""The command: reports and a folder of runs in, the plan out."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from world import TARGET, run

from hokusai_probe.cli import main
from hokusai_probe.history import folder
from hokusai_probe.history.condense import run_of

RUN = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/n", "GITHUB_RUN_ID": "7"}


def call(path: Path, *more: str, environment: dict[str, str] | None = None) -> Result:
    """The command with a report that finds auth down."""
    path.write_text(run(1, ["auth"]).to_json(), "utf-8")
    return CliRunner().invoke(main, ["issues", str(path), "--repository", "o/n", *more], env=environment)


def test_a_history_confirms(tmp_path: Path) -> None:
    """The run before, as a folder keeps it, and this one are two; without it there is but one."""
    kept = tmp_path / "runs"
    folder.write(kept, run_of(run(0, ["auth"])))
    alone = call(tmp_path / "r.json")
    confirmed = call(tmp_path / "r.json", "--history", str(kept))
    assert alone.stdout.startswith("would open in o/n, once 1 more run sees the same: here: auth must act")
    assert confirmed.stdout.startswith("open in o/n: here: auth must act: auth-down\n")
    assert (alone.exit_code, confirmed.exit_code) == (0, 0)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """Silence about the past must not read as none."""
    refused = call(tmp_path / "r.json", "--history", str(tmp_path / "gone"))
    assert refused.exit_code == 2
    assert refused.stderr == f"error: {tmp_path / 'gone'}: there is no such folder of runs\n"


def test_of_an_issue_for_a_private_repository_only_is_said_that_there_is_one(tmp_path: Path) -> None:
    """The log of the job may be public: neither the causes nor the checks are named there."""
    settings = TARGET.issues.model_copy(update={"private_repositories": ("O/N",), "group_by": "cause"})
    target = TARGET.model_copy(update={"issues": settings})
    paths = [tmp_path / name for name in ("0.json", "1.json")]
    for hour, path in enumerate(paths):
        path.write_text(run(hour, ["auth"], target=target).to_json(), "utf-8")
    said = CliRunner().invoke(main, ["issues", *map(str, paths), "--repository", "o/n"]).stdout
    assert said == (
        "open in o/n: here/auth\n"
        "  what it says is not shown: it is for a private repository, and a log may be public\n\n"
        "Nothing was written.\n"
    )


@pytest.mark.parametrize(
    ("environment", "linked"),
    [(RUN, True), (RUN | {"GITHUB_RUN_ID": ""}, False), (RUN | {"GITHUB_RUN_ID": "7)[x](http://e"}, False)],
)
def test_the_run_is_linked_in_github_actions(
    tmp_path: Path, environment: dict[str, str], linked: bool
) -> None:
    """And nowhere else, and never by an address that is none."""
    said = call(tmp_path / "r.json", environment=environment).stdout
    assert ("(https://github.example/o/n/actions/runs/7)" in said) == linked
    assert ("the run that looked last" in said) == linked
