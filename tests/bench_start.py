"""What starting costs, in time and in memory: ``python tests/bench.py start``."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench_page import Part, Row

from hokusai_probe import sandbox
from hokusai_probe.cli.run import bare_environment

TIMES = 9
MIB = 1024
_PEAK = """
import re, pathlib
def peak(process):  # of this program: what getrusage says includes who started it
    said = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+)", said)[1])
"""
_RUN = f"""
import json, os, sys
from hokusai_probe import run
run(sys.argv[1])
{_PEAK}
children = pathlib.Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()
print(json.dumps([peak("self"), max(map(peak, children), default=0)]))
"""


class Started(NamedTuple):
    """Seconds from nothing to the end, and the peak of resident memory in MiB; medians."""

    seconds: float
    mib: float


def measured() -> Part:
    """Imports in processes of their own, by turns; a first round of each warms the files up."""
    codes = {
        "nothing": "pass",
        "theirs": "import httpx, pydantic",
        "ours": "import hokusai_probe",
        "looks": "import hokusai_probe.declare as d; d.catalogue()",
    }
    commands = {
        name: [sys.executable, "-c", f"{code}\n{_PEAK}\nprint(peak('self'))"] for name, code in codes.items()
    }
    commands["version"] = [str(Path(sys.executable).with_name("hokusai-probe")), "--version"]
    found = _by_turns(commands)
    own, children = _whole_run()
    return Part(
        "start",
        "Starting, and memory",
        (
            _row("`import httpx, pydantic`", found["theirs"]),
            _row("`import hokusai_probe`", found["ours"], found["theirs"], "1.3 x"),
            _row("the catalogue of looks, checks and causes", found["looks"], found["theirs"]),
            Row("`hokusai-probe --version`", *_time(found["version"], found["theirs"])),
            Row("a whole run, all classes: peak of resident memory", f"{own:.0f} MiB"),
            Row("its worker with scikit-learn and MLflow", f"{children:.0f} MiB"),
        ),
        (f"`python -c pass` alone: {found['nothing'].seconds:.2f} s and {found['nothing'].mib:.0f} MiB.",),
    )


def _row(what: str, found: Started, theirs: Started | None = None, reach: str = "") -> Row:
    figure, against, ratio = _time(found, theirs)
    return Row(what, f"{figure}, {found.mib:.0f} MiB", against, ratio, reach)


def _time(found: Started, theirs: Started | None) -> tuple[str, str, float | None]:
    ratio = found.seconds / theirs.seconds if theirs else None
    return f"{found.seconds:.2f} s", "`import httpx, pydantic`" if theirs else "", ratio


def _by_turns(commands: Mapping[str, list[str]]) -> dict[str, Started]:
    rounds = [{name: _once(command) for name, command in commands.items()} for _ in range(TIMES + 1)][1:]
    return {
        name: Started(
            statistics.median(one[name].seconds for one in rounds),
            statistics.median(one[name].mib for one in rounds),
        )
        for name in commands
    }


def _once(command: list[str]) -> Started:
    began = time.perf_counter()
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    seconds = time.perf_counter() - began
    last = said.split()[-1]
    return Started(seconds, int(last) / MIB if last.isdigit() else 0.0)


def _whole_run() -> tuple[float, float]:
    """Peaks in MiB of a process that carries out one run, and of the largest of its children."""
    with sandbox.start("healthy") as box:
        environment = {**bare_environment(), **box.environment}
        command = [sys.executable, "-c", _RUN, str(box.target_file)]
        said = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=300
        ).stdout
    own, children = json.loads(said)
    return own / MIB, children / MIB
