"""How fast this tool is, as ratios to what it could not do without: ``make bench``.

``python tests/bench.py [PART ...] [--runs N] [--write]`` measures the parts that are named, or all, and
prints them; with ``--write`` docs/performance.md says so. Parts: ``run`` a healthy run against its critical
path, ``registration`` against the bare minimum of calls, ``scale`` ten thousand observations and runs,
``start`` imports and memory, ``boot`` a sandbox, ``old-suite`` the scripts that came before. ``history``
alone is a part of ``scale``, and ``publish [ROUNDS]`` eight publishers that come at once, a hundred times:
both are only printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping

import bench_boot
import bench_history
import bench_old_suite
import bench_page
import bench_publish
import bench_registration
import bench_run
import bench_scale
import bench_start

RUNS = 5
PARTS: Mapping[str, Callable[[int], bench_page.Part]] = {
    "run": bench_run.measured,
    "registration": bench_registration.measured,
    "scale": lambda _: bench_scale.measured(),
    "start": lambda _: bench_start.measured(),
    "boot": bench_boot.measured,
    "old-suite": bench_old_suite.measured,
}


def main(parts: list[str], runs: int, *, write: bool) -> None:
    """Measure, print, and write where that is wanted; each part as soon as it is known."""
    for name in parts or PARTS:
        before = bench_page.machine()
        part = PARTS[name](runs)
        sys.stdout.write(f"{bench_page.told(part)}\n\n")
        if write:
            bench_page.write(part, before)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=RUNS, help="how often a run is repeated")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    alone = {"publish": bench_publish.measured, "history": bench_history.measured}
    if sys.argv[1:2] and sys.argv[1] in alone:
        lines = alone[sys.argv[1]](*map(int, sys.argv[2:]))
        sys.stdout.write("\n".join(lines) + "\n")
        sys.exit()
    asked = _arguments()
    main(asked.parts, asked.runs, write=asked.write)
