"""Two shipped scenarios as one, for what must hold whatever is broken together."""

import random
import tomllib
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from hokusai_probe import sandbox

SCENARIOS = Path(sandbox.__file__).parent / "scenarios"
_MERGED = {"name", "summary", "expect", "step", "behaviours", "backends"}


def single_faults(names: Sequence[str]) -> list[str]:
    """The scenarios that put in one cause, and nothing that cannot be joined with another."""
    return [name for name in names if _joins(_content(name))]


def _joins(content: dict[str, Any]) -> bool:
    return content.keys() <= _MERGED and len(content["expect"]["causes"]) == 1


def pairs(names: Sequence[str], seed: int) -> Iterator[tuple[str, str]]:
    """Pairs of different scenarios on the same stores in an order that the seed gives, without end.

    A bucket brings checks of its own, so scores of platforms with one and without one are not comparable.
    """
    drawn, stores = random.Random(seed), {name: _stores(name) for name in single_faults(names)}
    joined = [pair for pair in permutations(stores, 2) if stores[pair[0]] == stores[pair[1]]]
    while joined:
        yield drawn.choice(joined)


def combined(one: str, other: str) -> str:
    """Both scenarios' switches, stores and steps as one scenario that expects nothing."""
    contents = [_content(name) for name in (one, other)]
    behaviours = [b for content in contents for b in content.get("behaviours", ())]
    backends = {k: v for content in contents for k, v in content.get("backends", {}).items()}
    head = [
        f'name = "{one}--{other}"',
        'summary = "Two faults at once"',
        f"behaviours = {list(dict.fromkeys(behaviours))}",
        f"backends = {{ {', '.join(f'{k} = {v!r}' for k, v in backends.items())} }}",
    ]
    return "\n".join([*head, *(_steps(name) for name in (one, other))])


def _stores(name: str) -> dict[str, str]:
    """What the scenario asks of MLflow's stores, where it is not what they are anyway."""
    return {k: str(v) for k, v in _content(name).get("backends", {}).items()}


def _content(name: str) -> dict[str, Any]:
    return tomllib.loads((SCENARIOS / f"{name}.toml").read_text(encoding="utf-8"))


def _steps(name: str) -> str:
    """The steps of a shipped scenario, as they are written."""
    text = (SCENARIOS / f"{name}.toml").read_text(encoding="utf-8")
    _, found, rest = text.partition("[[step]]")
    return (found + rest).partition("[expect]")[0]
