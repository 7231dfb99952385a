"""The manual pages that are made from docstrings: ``docs/looks.md`` and ``docs/causes.md``.

``python -m hokusai_probe.cli.manual docs`` writes them (``make docs``); a test says when they are old.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from hokusai_probe.declare import Catalogue, Cause, Check, Probe, catalogue
from hokusai_probe.model import Area

_MADE = "<!-- Made by `make docs` from the docstrings. Change those. -->"
LITERAL = re.compile(r"``([^`]+)``")
_KIND = re.compile(r'kind="(automatic|needs-value|outside-aws)"|kind=(readiness)\(|RemedyKind = "([a-z-]+)"')
_REMEDY = {
    "automatic": "commands that can be pasted",
    "readiness": "commands that can be pasted where every value was read; else what is missing is named",
    "needs-value": "commands with values that only a person knows",
    "outside-aws": "outside AWS",
}


def pages(found: Catalogue) -> dict[str, str]:
    """The text of each page by its file name. What other packages add is not in them. Pure."""
    return {"looks.md": looks_page(found), "causes.md": causes_page(found)}


def ours(function: Callable[..., object]) -> bool:
    """Whether a look, a check or a cause is one that ships."""
    return function.__module__.startswith("hokusai_probe.")


# --- looks --------------------------------------------------------------------------------------------


def looks_page(found: Catalogue) -> str:
    """Every look by area, with its class, its cost in requests, what it needs, and its checks."""
    probes = sorted((p for p in found.probes.values() if ours(p.function)), key=lambda p: p.slug)
    areas = [area for area in get_args(Area) if any(p.area == area for p in probes)]
    intro = (
        "What is looked at, and what is judged. A look only records; its checks judge what it recorded. "
        "The class says what a look may do to the platform (read < write < hostile < disruptive); the cost "
        "is the most HTTP requests or AWS calls it makes. `hokusai-probe checks SLUG` shows one of them."
    )
    parts = [f"# Looks and checks\n\n{_MADE}\n\n{intro}", _summary(found, probes)]
    for area in areas:
        parts.append(f"## {area.capitalize()}")
        parts += [_look(found, p) for p in probes if p.area == area]
    return "\n\n".join(parts) + "\n"


def _summary(found: Catalogue, probes: Iterable[Probe]) -> str:
    rows = [
        f"| [`{p.slug}`](#{p.slug}) | {p.area} | {p.safety} | {p.cost} | {len(found.checks_of(p.slug))} |"
        for p in probes
    ]
    return "\n".join(["| look | area | class | cost | checks |", "|---|---|---|---|---|", *rows])


def _look(found: Catalogue, probe: Probe) -> str:
    needs = ", ".join((*probe.needs, *(f"`{slug}` to pass" for slug in probe.after)))
    reads = ", ".join(f"[`{slug}`](#{slug})" for slug in sorted(set(probe.prior())))
    facts = [
        f"class {probe.safety}",
        f"at most {probe.cost} {'request' if probe.cost == 1 else 'requests'}",
        *(["second round: taken where causes that it can settle are left open"] if probe.round == 2 else []),
        *([f"needs {needs}"] if needs else []),
        *([f"reads {reads}"] if reads else []),
    ]
    parts = [f"### {probe.slug}", prose(probe.doc), f"*{'; '.join(facts)}*"]
    checks = [c for c in found.checks_of(probe.slug) if ours(c.function)]
    return "\n\n".join([*parts, *([_checks(checks)] if checks else [])])


def _checks(checks: Iterable[Check]) -> str:
    rows = [f"| `{c.slug}` | {cell(first(c.doc))} | {c.component} | `{c.hop}` |" for c in checks]
    return "\n".join(["| check | passes when | who must act | hop |", "|---|---|---|---|", *rows])


# --- causes -------------------------------------------------------------------------------------------


def causes_page(found: Catalogue) -> str:
    """Every cause with what it shows, what it is mistaken for, its remedy's kind and its source."""
    causes = [c for c in found.causes.values() if ours(c.function)]
    intro = (
        "What can be named. `hokusai-probe causes SLUG` shows one of them, `hokusai-probe verify SLUG` looks "
        "whether it is there. The first table leads from what was read somewhere to the causes that show it."
    )
    parts = [f"# Causes\n\n{_MADE}\n\n{intro}", _texts(causes), _overview(causes)]
    return "\n\n".join([*parts, *(_cause(found, c) for c in causes)]) + "\n"


def _texts(causes: Iterable[Cause]) -> str:
    """From a text, a status or a name in a docstring to the causes."""
    where: dict[str, list[str]] = {}
    for one in causes:
        for text in dict.fromkeys(" ".join(t.split()) for t in LITERAL.findall(one.doc)):
            where.setdefault(text, []).append(f"[{one.slug}](#{one.slug})")
    rows = [f"| `{cell(text)}` | {', '.join(where[text])} |" for text in sorted(where, key=str.lower)]
    return "\n".join(["## What was read, and what it may be", "", "| text | causes |", "|---|---|", *rows])


def _overview(causes: Iterable[Cause]) -> str:
    rows = [
        f"| [`{c.slug}`](#{c.slug}) | {c.component} | {c.priority} | {cell(first(c.doc))} |" for c in causes
    ]
    head = ["## All causes", "", "| cause | who must act | priority | the defect |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _cause(found: Catalogue, one: Cause) -> str:
    facts = [
        f"who must act: {one.component}",
        f"priority: {one.priority}",
        f"effort: {one.effort}",
        f"remedy: {remedy_kind(one)}",
        f"known from: {one.source}",
        *(["not written to public repositories"] if one.sensitive else []),
        *([f"brings with it: {', '.join(_link(found, s) for s in one.entails)}"] if one.entails else []),
    ]
    alike = [f"- {_link(found, slug)}: {text}" for slug, text in one.look_alikes.items()]
    return "\n\n".join(
        [
            f"## {one.slug}",
            prose(one.doc),
            "\n".join(f"- {f}" for f in facts),
            "Mistaken for:",
            "\n".join(alike),
        ]
    )


def _link(found: Catalogue, slug: str) -> str:
    """A cause by name, with a link where it has a page."""
    known = found.causes.get(slug)
    return f"[{slug}](#{slug})" if known is not None and ours(known.function) else slug


def remedy_kind(one: Cause) -> str:
    """What its remedy asks of a person, read from the code that writes it."""
    source = inspect.getsource(sys.modules[one.function.__module__])
    functions = vars(sys.modules[one.function.__module__]).values()
    texts = (source, *(text for f in functions if (text := _shared(f, set()))))
    kinds = {kind for text in texts for pair in _KIND.findall(text) for kind in pair}
    return "; or ".join(text for kind, text in _REMEDY.items() if kind in kinds) or "none"


def _shared(function: object, seen: set[str]) -> str:
    """The source of a function that causes share, with that of the shared ones that it calls."""
    home = getattr(function, "__module__", None) or ""
    if not inspect.isfunction(function) or not home.startswith("hokusai_probe.causes._"):
        return ""
    if function.__qualname__ in seen or function.__name__ == "readiness":
        return ""
    seen.add(function.__qualname__)
    called = [function.__globals__.get(name) for name in function.__code__.co_names]
    return "".join((inspect.getsource(function), *(_shared(f, seen) for f in called)))


# --- text ---------------------------------------------------------------------------------------------


def first(doc: str) -> str:
    """The first line of a docstring, without its full stop."""
    return doc.splitlines()[0].rstrip(".")


def prose(doc: str) -> str:
    """A docstring as Markdown: literals in single backticks."""
    return LITERAL.sub(lambda found: f"`{' '.join(found[1].split())}`", doc)


def cell(text: str) -> str:
    """A docstring's line for a cell of a table."""
    return prose(text).replace("|", "\\|")


def main(folder: str) -> None:
    """Write the pages into a folder."""
    for name, text in pages(catalogue()).items():
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
