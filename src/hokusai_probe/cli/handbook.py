"""The two pages for whoever is called: ``docs/runbook.md`` and ``docs/troubleshooting.md``.

Their introductions are written by hand, in the pages themselves; what stands below the mark is made from
the causes. ``python -m hokusai_probe.cli.handbook docs`` makes it anew (``make docs``), and a test says
when it is old.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from hokusai_probe.cli.manual import LITERAL, cell, first, ours, remedy_kind
from hokusai_probe.declare import Catalogue, Cause, catalogue
from hokusai_probe.model import Component, Priority
from hokusai_probe.reports.layout import table

MARK = "<!-- Below this line everything is made by `make docs` from the causes. Above it, write. -->"
PAGES = ("runbook.md", "troubleshooting.md")
_WHO: Mapping[Component, str] = {
    "probe": "Our own side",
    "client": "Client: whoever uses the key",
    "dns": "Names",
    "tls": "Certificates",
    "load-balancer": "Load balancer",
    "network": "Network",
    "ecs": "ECS services and tasks",
    "auth": "Auth service",
    "gateway": "Gateway",
    "mlflow": "MLflow",
    "cache": "Cache",
    "database": "Database",
    "storage": "Artifact store",
    "secrets": "Secrets and parameters",
    "deployment": "Deployments",
    "site": "Website",
}


def pages(found: Catalogue, written: Mapping[str, str]) -> dict[str, str]:
    """Each page by its name: what is written above its mark, and what the causes say below. Pure."""
    causes = [c for c in found.causes.values() if ours(c.function)]
    made = {"runbook.md": _runbook(causes), "troubleshooting.md": _troubleshooting(causes)}
    return {name: f"{written[name].partition(MARK)[0]}{MARK}\n\n{made[name]}\n" for name in PAGES}


# --- the runbook --------------------------------------------------------------------------------------


def _runbook(causes: Iterable[Cause]) -> str:
    by_component: dict[Component, list[Cause]] = {}
    for one in causes:
        by_component.setdefault(one.component, []).append(one)
    named = [component for component in _WHO if component in by_component]
    return "\n\n".join(f"## {_WHO[c]}\n\n{_urgent(by_component[c])}" for c in named)


def _urgent(causes: Iterable[Cause]) -> str:
    order = get_args(Priority)
    rows = [_row(c) for c in sorted(causes, key=lambda c: (order.index(c.priority), c.slug))]
    return table(["cause", "urgency", "effort", "what is wrong", "look first", "mended by"], rows)


def _row(one: Cause) -> list[str]:
    look = f"`hokusai-probe verify {one.slug}`"
    return [_link(one.slug), one.priority, one.effort, cell(first(one.doc)), look, remedy_kind(one)]


def _link(slug: str) -> str:
    return f"[{slug}](causes.md#{slug})"


# --- troubleshooting ----------------------------------------------------------------------------------


def _troubleshooting(causes: list[Cause]) -> str:
    known = {c.slug for c in causes}
    return "\n\n".join(
        [
            *_texts(causes),
            f"## By what is wrong\n\n{_all(causes)}",
            f"## What is mistaken for what\n\n{_alike(causes, known)}",
        ]
    )


def _texts(causes: Iterable[Cause]) -> Iterator[str]:
    """From what was read somewhere to the causes, by the kind of text."""
    where: dict[str, list[str]] = {}
    for one in causes:
        for text in dict.fromkeys(" ".join(t.split()) for t in LITERAL.findall(one.doc)):
            where.setdefault(text, []).append(_link(one.slug))
    kinds: dict[str, list[list[str]]] = {"By status": [], "By message": [], "By name, path or setting": []}
    for text in sorted(where, key=str.lower):
        kinds[_kind(text)].append([f"`{cell(text)}`", ", ".join(where[text])])
    for title, rows in kinds.items():
        yield f"## {title}\n\n{table(['text', 'it may be'], rows)}"


def _kind(text: str) -> str:
    status, _, rest = text.partition(" ")
    if status.isdecimal() and len(status) == 3 and (rest[:1].isupper() or not rest):
        return "By status"
    return (
        "By message" if " " in text and not text.startswith(("/", "[", "-")) else "By name, path or setting"
    )


def _all(causes: Iterable[Cause]) -> str:
    rows = [[cell(first(c.doc)), _link(c.slug), c.component] for c in causes]
    return table(["what is wrong", "cause", "who must act"], rows)


def _alike(causes: Iterable[Cause], known: set[str]) -> str:
    rows = [
        [_link(c.slug), _link(slug) if slug in known else slug, cell(why)]
        for c in causes
        for slug, why in c.look_alikes.items()
    ]
    return table(["it is", "and not", "because"], rows)


def main(folder: str) -> None:
    """Make the lower part of both pages anew, in a folder that holds them."""
    places = {name: Path(folder) / name for name in PAGES}
    written = {name: place.read_text(encoding="utf-8") for name, place in places.items()}
    for name, text in pages(catalogue(), written).items():
        places[name].write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
