"""What the documents list is what the code has, and what they show works."""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import get_args

import pytest

from hokusai_probe.sandbox import names
from hokusai_probe.sandbox.early import TIME_SCALE
from hokusai_probe.sandbox.faults import Do, Edge, Edit, FaultError, Match, Rewrite, parse_fault
from hokusai_probe.sandbox.scenario import (
    BEHAVIOURS,
    PRESETS,
    Backends,
    CrashWith,
    Expect,
    Given,
    Scenario,
    SeedRegistry,
    ServiceAction,
    ServiceName,
    ServiceStep,
    parse_scenario,
)

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
DOCUMENTS = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))


def section(title: str) -> str:
    """The text under a heading of the sandbox's manual."""
    return MANUAL.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of every row of a section's tables, backticks and heads left out."""
    lines = re.findall(r"(?m)^\| (`.*) \|$|^\| (\| .*) \|$", section(title))
    return [[cell.strip().strip("`") for cell in (one or other).split("|")] for one, other in lines]


def first_cells(title: str) -> list[str]:
    """The first cell of every row."""
    return [row[0] for row in rows(title)]


def values_of(title: str) -> dict[str, set[str]]:
    """Of a table with keys and values, the values of each key; an empty key repeats the last one."""
    found: dict[str, set[str]] = {}
    key = ""
    for row in rows(title):
        key = row[0] or key
        found.setdefault(key, set()).add(row[1])
    return found


def test_every_behaviour_is_described() -> None:
    """The manual has one row for each behaviour, sorted, and none for others."""
    assert first_cells("Behaviours") == sorted(BEHAVIOURS)


def test_every_behaviour_says_where_it_is_known_from() -> None:
    """The last cell of each row is an incident or a section of the contract."""
    known = re.compile(r"INC-\d\d|S-\d\d|L-\d\d|contract \d(\.\d)?")

    assert [row[0] for row in rows("Behaviours") if not known.fullmatch(row[2])] == []


def test_every_preset_is_described() -> None:
    """The manual lists each preset with its behaviours."""
    found = {row[0]: tuple(row[1].replace("`", "").split()) for row in rows("Presets")}

    assert found == PRESETS


def test_every_edge_is_described() -> None:
    """The manual lists the edges in the order of the code."""
    assert [cell for cell in first_cells("Fault edges") if "->" in cell] == list(get_args(Edge))


@pytest.mark.parametrize(("column", "do"), [(1, {"status": 500}), (2, {"nxdomain": True})])
def test_what_an_edge_knows_is_what_it_accepts(column: int, do: dict[str, object]) -> None:
    """The columns "requests" and "names" say which faults the code accepts on an edge."""
    said = {row[0]: row[column] == "yes" for row in rows("Fault edges") if "->" in row[0]}

    assert {edge: accepts(edge, do) for edge in get_args(Edge)} == said


def accepts(edge: str, do: dict[str, object]) -> bool:
    """Whether a fault on an edge is one."""
    try:
        parse_fault({"edge": edge, "do": do})
    except FaultError:
        return False
    return True


def test_everything_a_fault_may_do_is_described() -> None:
    """The manual names each key of do, match, edit and rewrite."""
    stated = set(re.findall(r"`(\w+)`", section("Fault edges")))
    models = (Do, Match, Edit, Rewrite)
    keys = {info.alias or name for model in models for name, info in model.model_fields.items()}

    assert keys - stated == set()


def test_everything_given_is_described() -> None:
    """The manual lists each value of each key of [given]."""
    wanted = {name: set(get_args(info.annotation)) for name, info in Given.model_fields.items()}

    assert values_of("What a run is given") == wanted | {"clock_offset_s": {"seconds"}}


def test_every_backend_is_described() -> None:
    """The manual lists each backend."""
    wanted = {name: set(get_args(info.annotation)) for name, info in Backends.model_fields.items()}

    assert values_of("Backends") == wanted


def test_every_action_is_described() -> None:
    """The manual has a row for each action of a service step, and names each service."""
    listed = [cell for cell in first_cells("Scenario files") if cell in get_args(ServiceAction)]
    services = '# kind "service": auth, gateway, mlflow, cache, database, storage.'

    assert (listed, services in MANUAL) == (list(get_args(ServiceAction)), True)
    assert services.rpartition(": ")[2].strip(".").split(", ") == list(get_args(ServiceName))


def example() -> str:
    """The scenario that the manual shows."""
    return section("Scenario files").partition("```toml\n")[2].partition("```")[0]


def test_the_example_is_a_scenario() -> None:
    """The scenario that the manual shows passes every check."""
    assert parse_scenario(example(), "docs/sandbox.md").name == "gateway-slow-and-misrouted"


def test_the_example_shows_every_key() -> None:
    """The example has every key of a scenario, of its parts and of a service step."""
    models = (Scenario, Given, Backends, SeedRegistry, Expect, ServiceStep, CrashWith)
    keys = {info.alias or name for model in models for name, info in model.model_fields.items()}

    assert keys - set(_keys(tomllib.loads(example()))) == set()


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(part)


def test_every_name_in_braces_is_described() -> None:
    """The manual's names, with S and L filled in, are the names that exist."""
    written = re.findall(r"\{([^}]+)\}", "\n".join(first_cells("Names in braces")))
    found = {name for one in written for name in filled(one)}

    assert found == names.ALWAYS | names.WITH_S3


def filled(name: str) -> Iterable[str]:
    """A name with S and L, once for each service or load balancer."""
    for letter, known in (("S", names.SERVICES), ("L", names.LOAD_BALANCERS)):
        if letter in name.split("."):
            return [".".join(one if part == letter else part for part in name.split(".")) for one in known]
    return [name]


def test_the_times_run_at_the_sandbox_s_scale() -> None:
    """Each scaled timer of the manual is the platform's over the sandbox's time scale."""
    found = re.findall(r"(?m)^\| ([^|]+) \| (\d+) s \| (\d+) s \|$", section("Time"))

    assert len(found) > 5
    assert {row: float(here) for row, _, here in found} == {row: int(s) / TIME_SCALE for row, s, _ in found}


def test_every_file_of_the_sandbox_has_its_row_in_the_architecture() -> None:
    """Each module of the sandbox is in exactly one group of ARCHITECTURE.md, but for the package itself."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("Inside `sandbox/`")[2].partition("\n## ")[0]
    groups = [
        re.findall(r"`([\w*]+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")
    ]
    modules = {path.stem for path in Path(names.__file__).parent.glob("*.py")} - {"__init__"}
    found = {
        module: sum(any(fnmatch(module, one) for one in group) for group in groups) for module in modules
    }

    assert {module: count for module, count in found.items() if count != 1} == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link of a document is a file, and each anchor a heading of it."""
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text)

    assert [link for link in links if not leads(document, *link)] == []


def leads(document: Path, path: str, anchor: str) -> bool:
    """Whether a link of a document leads to a file, and to a heading in it."""
    meant = Path(os.path.normpath(document.parent / path)) if path else document
    return meant.exists() and (not anchor or anchor in anchors(meant.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a document in links."""
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
