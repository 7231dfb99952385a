"""The house style that no linter checks: short functions, shallow nesting, one broad except."""

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hokusai_probe

pytestmark = pytest.mark.xdist_group("style")

SOURCE = Path(hokusai_probe.__path__[0])
FILES = sorted(SOURCE.rglob("*.py"))
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """A file, read once."""
    return ast.parse(path.read_text("utf-8"))


def functions() -> Iterator[tuple[str, Function]]:
    """Every function and method of the package, with its place."""
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, Function):
                yield f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}", node


def length(function: Function) -> int:
    """Lines of the body: neither the signature nor the docstring counts, an inner function does."""
    first, *rest = function.body
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    body = rest if said and isinstance(first.value.value, str) else function.body  # type: ignore[attr-defined]
    return (function.body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def depth(node: ast.AST) -> int:
    """Blocks within blocks; ``elif`` is no deeper than its ``if``, an inner function starts anew."""
    inner = [_below(child) for child in ast.iter_child_nodes(node) if not isinstance(child, Function)]
    return max(inner, default=0)


def _below(node: ast.AST) -> int:
    if isinstance(node, ast.If):
        chained = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
        after = _below(node.orelse[0]) if chained else 1 + max(map(_below, node.orelse), default=0)
        return max(1 + max(map(_below, node.body), default=0), after if node.orelse else 0)
    return depth(node) + isinstance(node, BLOCKS)


def test_groups_are_kept_together(request: pytest.FixtureRequest) -> None:
    """A test's group is in its id, by which the workers of a run are given their tests."""
    assert not hasattr(request.config, "workerinput") or request.node.nodeid.endswith("@style")


def test_no_function_is_longer_than_forty_lines() -> None:
    """Nobody holds more than a screen in their head."""
    assert [f"{where}: {length(f)} lines" for where, f in functions() if length(f) > 40] == []


def test_half_of_the_functions_are_shorter_than_eight_lines() -> None:
    """The median, over the whole package."""
    assert statistics.median(length(f) for _, f in functions()) < 8


def test_nothing_is_nested_deeper_than_three() -> None:
    """Blocks in one function."""
    assert [f"{where}: {depth(f)} deep" for where, f in functions() if depth(f) > 3] == []


def test_the_engine_alone_catches_everything() -> None:
    """An author's mistake must not end a run; everywhere else a broad except hides our own."""
    broad = [
        str(path.relative_to(SOURCE))
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type)
    ]
    assert broad == ["engine.py"]


def _is_broad(caught: ast.expr | None) -> bool:
    names = [n.id for n in ast.walk(caught) if isinstance(n, ast.Name)] if caught else ["Exception"]
    return bool({"Exception", "BaseException"} & set(names))


def test_measures_measure() -> None:
    """The rulers above, held against known lengths and depths."""
    source = '''
def short():
    """Said."""
    return 1
def deep(x):
    if x:
        for _ in x:
            with x:
                try: pass
                finally: pass
    elif x:
        pass
    else:
        pass
def signature(
    a,
    b,
): return a
'''
    found = {n.name: (length(n), depth(n)) for n in ast.parse(source).body if isinstance(n, Function)}
    assert found == {"short": (1, 0), "deep": (9, 4), "signature": (1, 0)}
