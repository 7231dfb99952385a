"""The way of a request as a picture with what is broken marked: Mermaid for Markdown, SVG for the page. Pure.

Ten boxes in a fixed order need no layout engine: their places are a table below, so the SVG is written by
hand. A state is never told by colour alone: what is broken has a cross, a thick line and words as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hokusai_probe import text
from hokusai_probe.model import Report
from hokusai_probe.reports import way
from hokusai_probe.reports.way import Part, State

_LABEL_CHARACTERS = 60
MARK: Mapping[State, str] = {"broken": "✗ ", "affected": "! ", "open": "? ", "well": "", "unseen": ""}
_STROKE: Mapping[State, str] = {
    "broken": "stroke:#c62828,stroke-width:4px",
    "affected": "stroke:#b26a00,stroke-width:2px,stroke-dasharray:6 3",
    "open": "stroke:#6b7280,stroke-width:2px,stroke-dasharray:2 3",
    "well": "stroke:#2e7d32,stroke-width:2px",
    "unseen": "stroke:#9ca3af,stroke-width:1px,stroke-dasharray:1 4",
}

# column and row of each box, so that no link runs through another box
_GRID: Mapping[str, tuple[int, int]] = {
    "client": (0, 1),
    "dns": (1, 1),
    "load-balancer": (2, 1),
    "gateway": (3, 1),
    "auth": (4, 0),
    "mlflow": (4, 1),
    "database": (4, 2),
    "cache": (4, 3),
    "site": (4, 4),
    "storage": (5, 1),
}
_WIDE, _HIGH, _COLUMN, _ROW, _EDGE = 124, 46, 168, 92, 12


def describe(parts: Iterable[Part]) -> str:
    """What the picture shows, as a sentence for who cannot see it."""
    found = list(parts)
    broken = [f"{p.name} ({', '.join(p.because)})" for p in found if p.state == "broken"]
    affected = [p.name for p in found if p.state == "affected"]
    said = [
        f"Broken: {'; '.join(broken)}." if broken else "Nothing on the way was seen to be broken.",
        f"Failing because of it: {'; '.join(affected)}." if affected else "",
    ]
    return " ".join(s for s in said if s)


# --- Mermaid --------------------------------------------------------------------------------------------


def fenced(report: Report) -> str:
    """The picture as a fenced Mermaid block, with what it shows in words above it."""
    block = f"```mermaid\n{mermaid(report)}```"
    return f"{text.markdown(describe(way.parts(report)))}\n\n{block}"


def mermaid(report: Report) -> str:
    """The picture as Mermaid's own text, ending in a newline."""
    parts = way.parts(report)
    nodes = [p for p in parts if len(p.place) == 1]
    links = [p for p in parts if len(p.place) == 2]
    lines = [
        "flowchart LR",
        *(f'    {_id(p.place[0])}["{_label(p, p.name)}"]' for p in nodes),
        *(_link(p) for p in links),
        *(f"    style {_id(p.place[0])} {_STROKE[p.state]}" for p in nodes),
        *(f"    linkStyle {number} {_STROKE[p.state]}" for number, p in enumerate(links)),
    ]
    return "\n".join(lines) + "\n"


def _id(node: str) -> str:
    return node.replace("-", "_")


def _label(part: Part, name: str) -> str:
    """Our own words and the causes, each on a line of its own."""
    lines = [f"{MARK[part.state]}{name}".strip(), *part.because]
    return "<br/>".join(text.mermaid(text.clean(text.one_line(x), _LABEL_CHARACTERS)) for x in lines if x)


def _link(part: Part) -> str:
    near, far = map(_id, part.place)
    shown = _label(part, "")
    return f'    {near} -->|"{shown}"| {far}' if shown else f"    {near} --> {far}"


# --- SVG ------------------------------------------------------------------------------------------------


def svg(report: Report) -> str:
    """The picture as an SVG element for a page, whose style sheet colours its classes.

    A reader that shows no picture is given a title and a description.
    """
    parts = way.parts(report)
    links = "\n".join(_line(p) for p in parts if len(p.place) == 2)
    boxes = "\n".join(_box(p) for p in parts if len(p.place) == 1)
    grid = [_GRID[p.place[0]] for p in parts if len(p.place) == 1]
    wide = max(column for column, _ in grid) * _COLUMN + _WIDE + 2 * _EDGE
    high = max(1, *(row for _, row in grid)) * _ROW + _HIGH + 2 * _EDGE
    return (
        f'<svg class="way" viewBox="0 0 {wide} {high}" role="img" aria-labelledby="way-title way-words" '
        'xmlns="http://www.w3.org/2000/svg">\n'
        f'<title id="way-title">The way of a request</title>\n'
        f'<desc id="way-words">{text.xml(text.one_line(describe(parts)))}</desc>\n{links}\n{boxes}\n</svg>'
    )


def _corner(node: str) -> tuple[int, int]:
    column, row = _GRID[node]
    return _EDGE + column * _COLUMN, _EDGE + row * _ROW


def _box(part: Part) -> str:
    x, y = _corner(part.place[0])
    middle = x + _WIDE // 2
    return (
        f'<g class="{part.state}"><rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="8"/>'
        f'<text x="{middle}" y="{y + _HIGH // 2 + 5}">{text.xml(MARK[part.state] + part.name)}</text></g>'
    )


def _line(part: Part) -> str:
    spots = _bends(*map(_corner, part.place))
    (x1, y1), (x2, y2) = spots[-2:]
    mark = _cross((x1 + x2) // 2, (y1 + y2) // 2) if part.state == "broken" else ""
    way_there = " ".join(f"{x},{y}" for x, y in spots)
    return f'<g class="{part.state}"><polyline points="{way_there}"/>{mark}</g>'


def _bends(near: tuple[int, int], far: tuple[int, int]) -> list[tuple[int, int]]:
    """From box to box: down in the same column, straight to the next one, by a corner past others."""
    (x1, y1), (x2, y2) = near, far
    middle, left = x1 + _WIDE // 2, y2 + _HIGH // 2
    if x1 == x2:
        return [(middle, y1 + _HIGH), (middle, y2)]
    if x2 - x1 > _COLUMN and y1 != y2:
        return [(middle, y1), (middle, left), (x2, left)]
    return [(x1 + _WIDE, y1 + _HIGH // 2), (x2, left)]


def _cross(x: int, y: int) -> str:
    return f'<circle cx="{x}" cy="{y}" r="11"/><path d="M{x - 5} {y - 5}l10 10m0-10l-10 10"/>'
