"""The schema of the report's JSON keeps its promise: within a major version nothing of it is taken away."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hokusai_probe.cli.catalogue import report_schema
from hokusai_probe.model import SCHEMA_VERSION

FIRST = Path(__file__).parent / "said" / f"report-schema-{SCHEMA_VERSION.partition('.')[0]}.0.json"
"""The schema as it first was. It is never written anew: a change that breaks it needs a new major version."""
Schema = Mapping[str, Any]


def losses(old: Schema, new: Schema, where: str = "") -> Iterator[str]:
    """What a reader of the old schema would miss in a document of the new one."""
    for name, was in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{where}.{name} is gone"
        else:
            yield from losses(was, new["properties"][name], f"{where}.{name}")
    yield from (
        f"{where}.{name} may be missing" for name in {*old.get("required", ())} - {*new.get("required", ())}
    )
    yield from (
        f"{where} is no {value!r} any more" for value in old.get("enum", ()) if value not in _values(new)
    )
    yield from _other_types(old, new, where)
    for name, was in old.get("$defs", {}).items():
        yield from losses(was, new.get("$defs", {}).get(name, {}), f"{where}#{name}")
    if new.get("additionalProperties", True) is False:
        yield f"{where} bans what a later version adds"


def _values(schema: Schema) -> list[Any]:
    return schema.get("enum", [schema["const"]] if "const" in schema else [])


def _other_types(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """What it is, apart from its values: its type, what it refers to, and what it is a list of."""
    if {old.get("type"), old.get("$ref")} != {new.get("type"), new.get("$ref")} and "const" not in old:
        yield f"{where} is of another type"
    if "items" in old:
        yield from losses(old["items"], new.get("items", {}), f"{where}[]")
    if {json.dumps(one, sort_keys=True) for one in _types(new)} - {
        json.dumps(o, sort_keys=True) for o in _types(old)
    }:
        yield f"{where} may be of a further type"


def _types(schema: Schema) -> list[Schema]:
    """The alternatives, less their values, which may grow."""
    return [{k: v for k, v in one.items() if k not in {"enum", "title"}} for one in schema.get("anyOf", ())]


def test_nothing_is_taken_away() -> None:
    """Every key of the first schema of this major version is there, as sure and of the same type."""
    assert list(losses(json.loads(FIRST.read_text("utf-8")), report_schema())) == []


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"properties": {}, "required": ["a"]}, [".a is gone"]),
        ({"properties": {"a": {"type": "string", "enum": ["x", "y"]}}}, [".a may be missing"]),
        (
            {"properties": {"a": {"type": "string", "enum": ["y"]}}, "required": ["a"]},
            [".a is no 'x' any more"],
        ),
        (
            {"properties": {"a": {"type": "integer", "enum": ["x"]}}, "required": ["a"]},
            [".a is of another type"],
        ),
        (
            {
                "properties": {"a": {"type": "string", "enum": ["x"]}},
                "required": ["a"],
                "additionalProperties": False,
            },
            [" bans what a later version adds"],
        ),
        (
            {"properties": {"a": {"type": "string", "enum": ["x", "z"]}, "b": {}}, "required": ["a", "b"]},
            [],
        ),
    ],
)
def test_a_loss_is_found(new: Schema, said: list[str]) -> None:
    """And an addition is none."""
    old = {"properties": {"a": {"type": "string", "enum": ["x"]}}, "required": ["a"]}
    assert list(losses(old, new)) == said
