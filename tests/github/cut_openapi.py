"""Cuts what the stand-in speaks out of GitHub's published OpenAPI description: ``cut_openapi.py WHOLE CUT``.

Run by hand when the description is renewed; tests/github/openapi.md says where the whole one comes from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = "/repos/{owner}/{repo}"
ISSUE = f"{REPOSITORY}/issues/{{issue_number}}"
PATHS = {
    "/user": ("get",),
    f"{REPOSITORY}/issues": ("get", "post"),
    ISSUE: ("get", "patch"),
    f"{ISSUE}/assignees": ("post",),
    f"{ISSUE}/comments": ("post",),
    f"{ISSUE}/labels": ("post",),
    f"{ISSUE}/labels/{{name}}": ("delete",),
    f"{REPOSITORY}/labels": ("post",),
    f"{REPOSITORY}/labels/{{name}}": ("get",),
}
PROSE = {"description", "example", "examples", "externalDocs", "operationId", "summary", "tags", "title"}
NAMED = {"headers", "parameters", "properties", "responses"}  # their keys are names, whatever they are called


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """The paths above with all that they refer to, without prose."""
    paths = {
        path: {verb: _bare(whole["paths"][path][verb]) for verb in verbs} for path, verbs in PATHS.items()
    }
    parts: dict[str, dict[str, Any]] = {}
    wanted = list(_references(paths))
    while wanted:
        _, _, kind, name = wanted.pop().split("/")
        if name not in parts.setdefault(kind, {}):
            part = _bare(whole["components"][kind][name])
            parts[kind][name] = _with_description(part) if kind == "responses" else part
            wanted += _references(parts[kind][name])
    info = {"title": "A part of GitHub's REST API", "version": whole["info"]["version"]}
    return {"openapi": whole["openapi"], "info": info, "paths": paths, "components": parts}


def _bare(value: Any, *, names: bool = False) -> Any:
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if names or not (k in PROSE or k.startswith("x-"))}
    found = {k: _bare(v, names=k in NAMED and not names) for k, v in kept.items()}
    if not names and found.get("nullable") and None not in found.get("enum", [None]):
        found["enum"] = [
            *found["enum"],
            None,
        ]  # a value that may be null and is one of some words may be null
    answers = {} if names else found.get("responses", {})
    found |= {"responses": {k: _with_description(v) for k, v in answers.items()}} if answers else {}
    return found


def _with_description(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with the description that OpenAPI demands, left empty."""
    return answer if "$ref" in answer else {"description": "", **answer}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _references(inner)


if __name__ == "__main__":
    found = cut(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    text = json.dumps(found, sort_keys=True, indent=1)
    Path(sys.argv[2]).write_text(text + "\n", encoding="utf-8")
