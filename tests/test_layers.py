"""Imports run against the data, and nothing heavy is loaded before a look needs it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hokusai_probe

SOURCE = Path(hokusai_probe.__path__[0])
US = "hokusai_probe"
BOTTOM = {"errors", "text", "model"}
# what a module may import of ours at load time, beside BOTTOM; lazily imported doors do not count
PURE = {
    "topology": set(),
    "declare": {"topology"},
    "score": set(),
    "answers": {"http"},
    "looking": set(),
    "turns": set(),
    "engine": {"declare", "looking", "topology", "turns"},
    "diagnose": {"declare", "topology", "engine"},
}
pytestmark = pytest.mark.xdist_group("layers")  # so that each file is parsed once

HEAVY = (
    "boto3",
    "botocore",
    "mlflow",
    "sklearn",
    "pandas",
    "numpy",
    "moto",
    "aiohttp",
    "dns",
    "flask",
    "redis",
    "github",
    "requests",
)
IO = {
    "httpx",
    "httpcore",
    "boto3",
    "botocore",
    "asyncio",
    "socket",
    "ssl",
    "subprocess",
    "os",
    "requests",
    "aiohttp",
}


def modules(*parts: str) -> list[Path]:
    """Source files under a part of the package, or the one module of that name."""
    where = SOURCE.joinpath(*parts)
    return sorted(where.rglob("*.py")) if where.is_dir() else [where.with_suffix(".py")]


def imports(path: Path, *, lazy: bool = True) -> set[str]:
    """Dotted names that a file imports, without those for type checkers; not ``lazy``: at load time only."""
    return set(_imports(path, lazy))


@cache
def _imports(path: Path, lazy: bool) -> frozenset[str]:
    return frozenset(_imported(ast.parse(path.read_text("utf-8")), lazy=lazy))


def _imported(node: ast.AST, *, lazy: bool) -> Iterator[str]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield node.module or ""
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child, lazy=lazy)


def ours(path: Path, *, lazy: bool = True) -> set[str]:
    """First parts of our own modules that a file imports: ``model``, ``probes``, ``sandbox``."""
    real = {p.stem for p in SOURCE.iterdir()}
    dotted = {
        n.removeprefix(f"{US}.").split(".")[0] for n in imports(path, lazy=lazy) if n.startswith(f"{US}.")
    }
    return dotted & real


def outsiders(path: Path) -> set[str]:
    """Top-level names of everything else that a file imports."""
    return {name.split(".")[0] for name in imports(path)} - {US}


@pytest.mark.parametrize("module", PURE)
def test_each_layer_imports_only_what_lies_below(module: str) -> None:
    """The nouns at the bottom, declarations above them, the engine above those."""
    (path,) = modules(module)
    assert ours(path, lazy=False) <= BOTTOM | PURE[module]


def test_the_nouns_stand_on_nothing() -> None:
    """The model imports none of ours when it is loaded, the errors not even a library."""
    (model,), (errors,) = modules("model"), modules("errors")
    assert ours(model, lazy=False) == set()
    assert outsiders(model) <= {"__future__", "collections", "datetime", "typing", "pydantic"}
    assert imports(errors) == set()


LOAD_SENDS = {"clearing", "conducting", "driving", "lock", "operations"}
LOAD_PURE = {"config", "load", "looking", "model", "reports", "text"}


@pytest.mark.parametrize("path", modules("load"), ids=lambda p: p.name)
def test_a_load_is_judged_from_its_record_alone(path: Path) -> None:
    """What plans, ends and judges it reaches nobody; and nothing of it knows causes."""
    assert not ours(path) & {"causes", "diagnose", "sandbox", "cli"}
    if path.stem not in LOAD_SENDS | {"__init__"}:
        assert ours(path) <= LOAD_PURE
        assert not outsiders(path) & IO


def test_only_the_command_line_sends_a_load() -> None:
    """No look of a run does, whatever its class."""
    users = {str(p.relative_to(SOURCE)) for p in modules() if "load" in ours(p)}
    assert {u for u in users if not u.startswith("load/")} == {"cli/load.py"}


PROBES_MAY = {
    "text",
    "answers",
    "aws",
    "declare",
    "failures",
    "http",
    "knock",
    "looking",
    "model",
    "probes",
    "topology",
    "keys",
}
CLIENTS = {"_client_job.py"}  # what runs in a process of its own as somebody else's program


@pytest.mark.parametrize("path", modules("probes"), ids=lambda p: p.name)
def test_a_look_knows_the_doors_and_neither_causes_nor_engine(path: Path) -> None:
    """What judges and what explains is not the business of who looks."""
    assert ours(path) <= PROBES_MAY
    doors = {"httpx", "httpcore", "boto3", "botocore", "requests"}
    assert path.name in CLIENTS or not outsiders(path) & doors


CAUSES_MAY = {"answers", "causes", "declare", "http", "model", "probes", "topology"}


@pytest.mark.parametrize("path", modules("causes"), ids=lambda p: p.name)
def test_a_cause_is_pure(path: Path) -> None:
    """Facts in, claims out: nothing that could reach the outside, and no look's own function."""
    assert ours(path) <= CAUSES_MAY
    assert not outsiders(path) & IO
    declared = {f"{US}.probes.{p.stem}.{p.stem}" for p in modules("probes")}
    assert not imports(path) & declared


HISTORY_READS = {"folder"}


@pytest.mark.parametrize("path", modules("history"), ids=lambda p: p.name)
def test_history_is_pure_but_for_its_files(path: Path) -> None:
    """What is asked of many runs reaches neither the outside nor a file, and knows no look and no cause."""
    assert not ours(path) & {"probes", "causes", "engine", "http", "aws", "runner", "cli"}
    assert path.stem in HISTORY_READS or not outsiders(path) & {*IO, "pathlib", "tempfile", "shutil"}


CHAOS_REACHES_OUT = {"driver", "users", "thresholds"}


@pytest.mark.parametrize("path", modules("chaos"), ids=lambda p: p.name)
def test_experiments_are_judged_without_reaching_out(path: Path) -> None:
    """What was recorded is enough, also for the documents; and nothing but the experiments' files is read."""
    reaches = {"runner", "http", "aws", "sweeping", "looking"}
    assert path.stem in CHAOS_REACHES_OUT or not (outsiders(path) & IO or ours(path) & reaches)


def test_only_the_door_to_github_knows_pygithub() -> None:
    """And nothing loads that door before somebody asks for it."""
    theirs = {"github", "requests", "urllib3"}
    users = {p.name for p in modules() if outsiders(p) & theirs} - CLIENTS
    assert users == {"door.py", "deadline.py"}
    door = {f"{US}.github.door", f"{US}.github.deadline"}
    assert [p.name for p in modules() if door & imports(p, lazy=False)] == ["door.py"]


def test_only_the_command_line_opens_the_sandbox() -> None:
    """Nothing that looks at a real platform depends on the miniature one."""
    users = [str(p.relative_to(SOURCE)) for p in modules() if "sandbox" in ours(p)]
    assert [u for u in users if not u.startswith(("sandbox/", "cli/"))] == []


def test_the_sandbox_knows_nothing_of_what_judges_it() -> None:
    """Or it would be built to please: it is written to the contract, not to our looks and causes."""
    knows = {str(p.relative_to(SOURCE)): ours(p) - {"sandbox"} for p in modules("sandbox")}
    assert {path: what for path, what in knows.items() if what} == {}


def loaded(code: str) -> set[str]:
    """Top-level modules after running code in a process of its own."""
    script = f"{code}; import sys; print(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(found.stdout.split())


def test_importing_us_loads_nothing_heavy() -> None:
    """Neither for the library nor for the catalogue of looks and causes."""
    code = "import hokusai_probe; from hokusai_probe.declare import catalogue; catalogue()"
    assert loaded(code) & set(HEAVY) == set()


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    """Also the sandbox's libraries wait until a sandbox is asked for."""
    every = "from importlib import import_module; import hokusai_probe.cli as cli"
    every += "; [import_module(f'hokusai_probe.cli.{m}') for m in cli.COMMANDS.values()]"
    assert loaded(every) & set(HEAVY) == set()
