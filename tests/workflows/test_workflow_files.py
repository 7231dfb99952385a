"""The workflows as files: what linters say, what is pinned, who may do what, and what the manual says."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from acted import ROOT, WORKFLOWS, step, used

from hokusai_probe.cli import main

MANUAL = (ROOT / "docs" / "adopt.md").read_text(encoding="utf-8")
FILES = sorted(WORKFLOWS.glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def content(name: str) -> dict[Any, Any]:
    """A workflow, read."""
    found: dict[Any, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every job of every workflow."""
    for file in FILES:
        yield from content(file.stem)["jobs"].items()


def lint(folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """A linter's opinion of the workflows in a folder."""
    return subprocess.run(
        [str(Path(sys.executable).parent / line[0]), *line[1:]],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


ZIZMOR = ("zizmor", "--offline", "--no-progress", "--persona=auditor", ".github")
ACTIONLINT = ("actionlint", "-no-color")


@pytest.mark.parametrize("line", [ZIZMOR, ACTIONLINT], ids=["zizmor", "actionlint"])
def test_linters_have_nothing_against_them(line: tuple[str, ...]) -> None:
    """Not even the most suspicious persona of zizmor. actionlint reads scripts only where shellcheck is."""
    done = lint(ROOT, *line)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (ZIZMOR, ('--target "$TARGET"', "--target ${{ inputs.target }}")),
        (ZIZMOR, ("persist-credentials: false", "persist-credentials: true")),
        (ZIZMOR, ("permissions: {}", "permissions: write-all")),
        (ZIZMOR, ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6")),
        (ACTIONLINT, ("steps.request.outputs.target", "steps.requested.outputs.target")),
        (ACTIONLINT, ('cron: "23 * * * *"', 'cron: "63 * * * *"')),
    ],
    ids=["injection", "token", "permissions", "pin", "expression", "cron"],
)
def test_linters_would_say_so(tmp_path: Path, line: tuple[str, ...], change: tuple[str, str]) -> None:
    """Each of these mistakes in probe.yml is one that they find."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()
    file = tmp_path / ".github" / "workflows" / "probe.yml"
    before = file.read_text(encoding="utf-8")
    assert change[0] in before
    file.write_text(before.replace(*change), encoding="utf-8")

    assert lint(tmp_path, *line).returncode != 0


def test_every_action_is_pinned_to_a_commit_that_the_manual_lists() -> None:
    """With its version beside it, the same in each place; and the manual lists no other."""
    written = re.findall(
        r"uses: ([^@\s]+)@([0-9a-f]{40}) # (v\S+)", "".join(f.read_text("utf-8") for f in FILES)
    )
    listed = re.findall(r"(?m)^\| `([^`]+)` \| (v\S+) \| `([0-9a-f]{40})` \|$", MANUAL)

    assert {(name, version, ref) for name, ref, version in written} == {*listed}
    assert len(listed) == len({name for name, _, _ in listed}) == len(used())


def test_nobody_outside_writes_a_word_of_a_script() -> None:
    """No script has an expression in it, and none evaluates anything."""
    scripts = [one["run"] for _, job in jobs() for one in job["steps"] if "run" in one]

    assert len(scripts) > 10
    assert [s for s in scripts if "${{" in s or re.search(r"\beval\b|client_payload|set -x", s)] == []


def test_a_token_reaches_only_the_steps_that_need_it() -> None:
    """And the platform's key only the look, the sweep, and the publication, which searches for it."""
    given: dict[str, set[str]] = {}
    for one in (one for _, job in jobs() for one in job["steps"]):
        for secret in re.findall(r"github\.token|secrets\.\w+", str(one.get("env"))):
            given.setdefault(secret, set()).add(one["name"])

    assert given == {
        "github.token": {"Fetch the history", "Publish", "Keep the issues true"},
        "secrets.HOKUSAI_API_KEY": {"See that there is a key", "Look", "Publish", "Sweep"},
        "secrets.HOKUSAI_PROBE_APP_TOKEN": {"Keep the issues true"},
        "secrets.HEARTBEAT_URL": {"Send the heartbeat"},
    }


def test_what_is_not_said_to_be_private_is_written_for_everybody() -> None:
    """What the look writes is published and kept as an artifact, as public as the repository."""
    look = step("probe", "probe", "Look")

    assert look["env"]["PUBLIC"] == "${{ !github.event.repository.private && 'yes' || '' }}"
    assert "${PUBLIC:+--public}" in look["run"]


def test_who_may_do_what_is_what_the_manual_says() -> None:
    """Nothing is allowed at the top, and each job has a limit of time."""
    assert [file.name for file in FILES if content(file.stem)["permissions"] != {}] == []
    assert [name for name, job in jobs() if not job["timeout-minutes"] <= 30] == []
    said = {
        (job, right)
        for job, rights in re.findall(r"(?m)^\| (Look|Issues) \| (`.*?`) \|", MANUAL)
        for right in re.findall(r"`(.*?)`", rights)
    }
    assert said == {
        (job["name"], f"{what}: {how}")
        for job in content("probe")["jobs"].values()
        for what, how in job["permissions"].items()
    }


def test_the_writer_of_issues_is_never_cut_short_and_deployments_have_their_own_queue() -> None:
    """Three groups: scheduled looks, looks after deployments, writers; none cancels what runs."""
    look, issues = (content("probe")["jobs"][name]["concurrency"] for name in ("probe", "issues"))

    assert (look["cancel-in-progress"], issues["cancel-in-progress"]) == (False, False)
    assert "'deploy' || 'regular'" in look["group"]
    assert look["group"].split("${{")[0] != issues["group"].split("${{")[0]


def test_the_manual_s_sum_is_one() -> None:
    """And within the thousand minutes, with as many looks as the schedule has in its longest month."""
    rows = re.findall(r"(?m)^\| ([^|]+) \| \**(\d+)\** \|$", MANUAL.partition("## Costs")[2])
    *parts, (_, total) = rows

    assert sum(int(minutes) for _, minutes in parts) == int(total) < 1000
    assert re.fullmatch(r"\d+ \* \* \* \*", content("probe")[True]["schedule"][0]["cron"])
    assert parts[0] == ("744 hourly looks", str(24 * 31))


@pytest.mark.parametrize("name", ["probe", "sweep"])
def test_the_inputs_of_a_dispatch_are_those_of_a_call(name: str) -> None:
    """Whoever calls the workflow may say all that a person may, with the same meaning."""
    on = content(name)[True]
    called, by_hand = on["workflow_call"]["inputs"], on["workflow_dispatch"]["inputs"]

    assert {name: called[name]["type"] for name in by_hand} == {n: i["type"] for n, i in by_hand.items()}
    assert all(one["required"] is False for one in on["workflow_call"]["secrets"].values())


def test_what_is_installed_by_default_is_this_version() -> None:
    """A workflow that another repository pins brings the package of the same commit."""
    files = "".join((WORKFLOWS / f"{name}.yml").read_text("utf-8") for name in ("probe", "sweep"))
    found = re.findall(r"hokusai-probe(?:\[github\])?==([\d.]+)", files)

    assert found == [PROJECT["version"]] * 3


def test_every_command_that_a_workflow_uses_exists() -> None:
    """With each of its options."""
    scripts = [one.get("run", "") for _, job in jobs() for one in job["steps"]]
    lines = re.findall(r"hokusai-probe ((?:[a-z]|--)(?:[^\n\\]|\\\n)+)", "\n".join(scripts))

    assert len(lines) > 8
    assert {word for line in lines for word in missing(line)} <= COMING


COMING: set[str] = set()


def missing(line: str) -> list[str]:
    """What of a command line our command does not know."""
    words = line.replace("\\\n", " ").split()
    command: Any = main
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return words[:1]
        command, words = found, words[1:]
    known = {name for parameter in command.params for name in parameter.opts} | {"--version"}
    return [word for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words)) if word not in known]


def test_the_plugin_is_found_by_pytest() -> None:
    """By its entry point, without which nobody's --hokusai-target would be known; pytest is not needed."""
    assert PROJECT["entry-points"]["pytest11"] == {"hokusai-probe": "hokusai_probe.pytest_plugin"}
    assert [one for one in PROJECT["dependencies"] if one.startswith("pytest")] == []


def test_the_wheel_that_a_release_would_publish_is_whole(tmp_path: Path) -> None:
    """Every file of the package is in it, and both entry points; `make wheel` tries it as a release does."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    tracked = subprocess.run(
        ["git", "ls-files", "src"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry_points = wheel.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()

    assert {line.removeprefix("src/") for line in tracked.stdout.splitlines()} - names == set()
    assert "[pytest11]\nhokusai-probe = hokusai_probe.pytest_plugin" in entry_points
    assert "[console_scripts]\nhokusai-probe = hokusai_probe.cli:main" in entry_points
