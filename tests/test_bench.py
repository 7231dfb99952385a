"""The benchmark's arithmetic: what a look takes by itself, and which chain a run waits for."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench import PARTS
from bench_page import PAGE, Part, Row, section, write
from bench_run import Step, critical_path, own_times, waits_for

from hokusai_probe.declare import Catalogue

BEFORE = {"b": ("a",), "c": ("a", "b"), "d": (), "e": ("gone",)}


def test_a_look_s_own_time_is_without_waiting() -> None:
    """From the end of the last look that it waited for; from the start where there was none in this run."""
    ended = {"a": 1.0, "b": 1.5, "c": 3.5, "d": 2.0, "e": 0.5}

    assert own_times(ended, BEFORE) == {"a": 1.0, "b": 0.5, "c": 2.0, "d": 2.0, "e": 0.5}


@pytest.mark.parametrize(
    ("ended", "path"),
    [
        ({}, ()),
        ({"a": 1.0, "b": 1.5, "c": 3.5, "d": 2.0}, (Step("a", 1.0), Step("b", 0.5), Step("c", 2.0))),
        ({"a": 1.0, "b": 1.5, "c": 3.5, "d": 4.0}, (Step("d", 4.0),)),
        ({"a": 1.0, "c": 3.0}, (Step("a", 1.0), Step("c", 2.0))),
    ],
)
def test_the_critical_path_ends_with_what_ended_last(ended: dict[str, float], path: tuple[Step, ...]) -> None:
    """And leads back over whatever each look waited for longest."""
    assert critical_path(ended, BEFORE) == path


def test_a_look_waits_for_what_it_reads_and_for_the_checks_before_it(real: Catalogue) -> None:
    """Both come from the declaration."""
    assert set(waits_for(real)["health-against-traffic"]) == {"health-bodies", "mlflow-api"}
    assert "aws-identity" in waits_for(real)["changes"]


# --- the page -------------------------------------------------------------------------------------------

PART = Part(
    "run",
    "A run",
    (Row("whole", "3.00 s", "its path", 1.25, "1.3 x"), Row("path", "2.40 s")),
    ("a note",),
)
SECTION = """<!-- measured: run -->
## A run

`python tests/bench.py run --write` on 2 cores; 2026-01-02.

| | measured | ratio | to reach |
| --- | --- | --- | --- |
| whole | 3.00 s | **1.25** x its path | 1.3 x |
| path | 2.40 s |  |  |

* a note
<!-- end of measured: run -->"""


def test_a_part_says_by_what_and_on_what_it_was_measured() -> None:
    """The command, the machine and the day stand over the figures."""
    assert section(PART, "2 cores", datetime(2026, 1, 2, tzinfo=UTC)) == SECTION


def test_a_part_takes_its_own_place(tmp_path: Path) -> None:
    """What was said of it goes, and all else stays; a part that is new comes last."""
    page, other = tmp_path / "page.md", PART._replace(slug="start", title="B")
    page.write_text(f"# Page\n\n{SECTION}\n\nmore\n", "utf-8")

    write(PART._replace(rows=(Row("whole", "9 s"),)), "4 cores", page)
    write(other, "4 cores", page)

    said = page.read_text("utf-8")
    assert ("3.00 s" not in said.partition("more")[0], "| whole | 9 s |  |  |" in said) == (True, True)
    assert said.index("# Page") < said.index("9 s") < said.index("more") < said.index("## B")


def test_the_page_has_every_part_as_it_was_measured() -> None:
    """Each part of the benchmark once, with its own command and a machine; nothing else is under the line."""
    said = PAGE.read_text("utf-8").partition("\n---\n")[2]
    found = re.findall(r"<!-- measured: ([\w-]+) -->\n## .*\n\n`(.*)` on (\d+) cores", said)

    assert sorted(slug for slug, _, _ in found) == sorted(PARTS)
    assert [command for slug, command, _ in found if command != f"python tests/bench.py {slug} --write"] == []
    assert (
        re.sub(r"<!-- measured: .*?<!-- end of measured: [\w-]+ -->", "", said, flags=re.DOTALL).strip() == ""
    )
