"""The workflows, carried out on this machine: a repository with a real remote, and act instead of GitHub.

act runs jobs in host mode, so their steps are processes here. Actions of others are stand-ins of a few
lines, for they cannot be fetched; everything that is ours is what ships.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import hokusai_probe

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
SOURCE = Path(hokusai_probe.__path__[0]).parent
LABEL = "ubuntu-24.04"
_ENDED = re.compile(r"^\[[^/\]]*/([^\]]+?)\s*\].*Job (succeeded|failed)", re.MULTILINE)
_USES = re.compile(r"uses:\s*([^@\s]+)@([0-9a-f]{40})\b")

# the commands of a job start quicker when they need not compile what those before them did
_QUICK = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "hokusai-pyc"),
}

# what an action of others does to the files of the job, as far as our steps notice
STANDINS = {
    "actions/upload-artifact": 'mkdir -p "$KEPT/$NAME"\n'
    'printf "%s\\n" "$FROM" | while read -r one; do [ ! -e "$one" ] || cp -r "$one" "$KEPT/$NAME/"; done',
    "actions/download-artifact": 'mkdir -p "$FROM" && cp -r "$KEPT/$NAME/." "$FROM/"',
}


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of a workflow: act's exit code, what each job ended as, and the log."""

    code: int
    jobs: Mapping[str, str]
    log: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A clone with our workflows in it and its remote, and what every job is given."""

    place: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def made(
        cls, place: Path, targets: str, files: Mapping[str, str] | None = None, **given: Mapping[str, str]
    ) -> Repository:
        """A repository with these files, whose workflows may look at these targets, one a line."""
        work = place / "work"
        shutil.copytree(ROOT / ".github", work / ".github")
        (work / ".github" / "hokusai-probe.targets").write_text(targets, encoding="utf-8")
        for name, text in {".gitignore": "out/\n", **(files or {})}.items():
            (work / name).write_text(text, encoding="utf-8")
        git("init", "--quiet", "--bare", str(place / "remote.git"), at=place)
        git("init", "--quiet", "--initial-branch=main", at=work)
        git("remote", "add", "origin", str(place / "remote.git"), at=work)
        git("add", "--all", at=work)
        git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "a", at=work)
        git("push", "--quiet", "origin", "main", at=work)
        for name, _ in used():
            _standin(place / "actions" / name, STANDINS.get(name, ":"))
        return cls(place, **given)

    def act(
        self, workflow: str, event: str, payload: Mapping[str, Any] | None = None, *, label: str = LABEL,
        actor: str = "somebody", **inputs: str,
    ) -> Acted:  # fmt: skip
        """Have an event start a workflow, and wait until it is done."""
        (self.place / "event.json").write_text(json.dumps({"inputs": inputs, **(payload or {})}), "utf-8")
        done = subprocess.run(
            [*self._line(workflow, event, label), "--actor", actor],
            cwd=self.place / "work",
            env={**os.environ, "PATH": path(), "XDG_CACHE_HOME": str(self.place / "cache")},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        log = done.stdout + done.stderr
        return Acted(done.returncode, dict(_ENDED.findall(log)), log)

    def _line(self, workflow: str, event: str, label: str) -> Iterator[str]:
        yield from ("act", event, "--workflows", f".github/workflows/{workflow}.yml")
        yield from ("--platform", f"{label}=-self-hosted", "--eventpath", str(self.place / "event.json"))
        yield from ("--action-offline-mode", "--no-cache-server", "--var", "HOKUSAI_PROBE_REQUIREMENT=none")
        for name, ref in used():
            yield from ("--local-repository", f"{name}@{ref}={self.place / 'actions' / name}")
        given = {**_QUICK, "PYTHONPATH": str(SOURCE), "KEPT": str(self.place / "kept"), **self.environment}
        for variable, value in given.items():
            yield from ("--env", f"{variable}={value}")
        for name, value in self.secrets.items():
            yield from ("--secret", f"{name}={value}")

    def published(self) -> list[str]:
        """The files on the branch of the history, or none where there is no such branch."""
        remote = self.place / "remote.git"
        found = git("ls-tree", "-r", "--name-only", "probe-data", at=remote, check=False)
        return found.stdout.splitlines()

    def runs(self) -> list[str]:
        """The files of runs among them, the earliest first."""
        return sorted(file for file in self.published() if re.match(r"history/.*/\d{8}T\w+-\w+\.json", file))

    def show(self, file: str) -> str:
        """The content of one of them."""
        return git("show", f"probe-data:{file}", at=self.place / "remote.git").stdout


def used() -> set[tuple[str, str]]:
    """Every action of others that a workflow names, with its commit."""
    return {found for file in WORKFLOWS.glob("*.yml") for found in _USES.findall(file.read_text("utf-8"))}


def _standin(folder: Path, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run = {
        "shell": "bash",
        "env": {"NAME": "${{ inputs.name }}", "FROM": "${{ inputs.path }}"},
        "run": script,
    }
    action = {
        "name": "stand-in",
        "description": "stand-in",
        "inputs": {name: {"description": name, "required": False} for name in ("name", "path")},
        "runs": {"using": "composite", "steps": [run]},
    }
    (folder / "action.yml").write_text(yaml.safe_dump(action), encoding="utf-8")


def path() -> str:
    """Where this environment's commands are, before all others."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def git(*words: str, at: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """git, without anybody's settings."""
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
    return subprocess.run(
        ["git", *words], cwd=at, env=quiet, capture_output=True, text=True, check=check, timeout=60
    )


def step(workflow: str, job: str, name: str) -> dict[str, Any]:
    """A step of one of our workflows, as it stands there."""
    content = yaml.safe_load((WORKFLOWS / f"{workflow}.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = next(one for one in content["jobs"][job]["steps"] if one["name"] == name)
    return found
