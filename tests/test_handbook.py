"""The runbook and the troubleshooting page: current, whole, and written by hand above the mark."""

import re
from pathlib import Path
from typing import get_args

import pytest

from hokusai_probe.cli import handbook
from hokusai_probe.cli.handbook import MARK, PAGES
from hokusai_probe.cli.manual import LITERAL
from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Component, Priority

DOCS = Path(__file__).parent.parent / "docs"
WRITTEN = {name: (DOCS / name).read_text(encoding="utf-8") for name in PAGES}


def below(name: str) -> str:
    """What is made from the causes."""
    return WRITTEN[name].partition(MARK)[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(real: Catalogue, name: str) -> None:
    """What `make docs` would write is what is there."""
    assert handbook.pages(real, WRITTEN)[name] == WRITTEN[name], "run `make docs`"


@pytest.mark.parametrize("name", PAGES)
def test_every_cause_is_in_both(real: Catalogue, name: str) -> None:
    """By a link to its place in docs/causes.md."""
    assert [slug for slug in real.causes if f"[{slug}](causes.md#{slug})" not in below(name)] == []


@pytest.mark.parametrize("name", PAGES)
def test_an_introduction_is_kept(real: Catalogue, name: str) -> None:
    """What a person wrote above the mark stays as it is when the rest is made anew."""
    written = dict.fromkeys(PAGES, f"# Mine\n\nMy words.\n\n{MARK}\n\nold rows\n")
    page = handbook.pages(real, written)[name]
    assert page.startswith(f"# Mine\n\nMy words.\n\n{MARK}\n\n")
    assert "old rows" not in page
    assert page.partition(MARK)[2] == below(name)


def test_every_component_has_its_name() -> None:
    """No cause is lost because nobody named who must act."""
    assert set(handbook._WHO) == set(get_args(Component))


def test_the_most_urgent_stands_first() -> None:
    """In every table of the runbook, with the command that looks for it."""
    order = get_args(Priority)
    for part in below("runbook.md").split("\n## ")[1:]:
        rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| [")]
        urgencies = [order.index(row[1]) for row in rows]
        assert urgencies == sorted(urgencies)
        slugs = [re.findall(r"\[([a-z0-9-]+)\]", row[0])[0] for row in rows]
        assert [row[4] for row in rows] == [f"`hokusai-probe verify {slug}`" for slug in slugs]


def test_every_quoted_text_leads_to_its_causes(real: Catalogue) -> None:
    """Whoever searches for what was read finds each cause whose description quotes it."""
    lines = [line for line in below("troubleshooting.md").splitlines() if line.startswith("| `")]
    rows = {line.split(" | ")[0][2:]: line for line in lines}
    quoted = [(t, c.slug) for c in real.causes.values() for t in LITERAL.findall(c.doc)]
    assert quoted
    assert [
        (text, slug)
        for text, slug in quoted
        if f"#{slug})" not in rows.get(f"`{' '.join(text.split())}`".replace("|", "\\|"), "")
    ] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("504 Gateway Time-out", "By status"),
        ("circuit breaker is open", "By message"),
        ("4000 s", "By message"),
        ("/api/health/mlflow", "By name, path or setting"),
        ("[tls] ca_file", "By name, path or setting"),
    ],
)
def test_kinds_of_texts(text: str, kind: str) -> None:
    """A status with its words, a message, or a name."""
    assert handbook._kind(text) == kind
