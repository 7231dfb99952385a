"""The pages made from docstrings are those of the code, and what they say of a remedy is so."""

from pathlib import Path

import pytest

from hokusai_probe.cli.manual import pages, remedy_kind
from hokusai_probe.declare import Catalogue

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", ["looks.md", "causes.md"])
def test_a_page_is_current(real: Catalogue, name: str) -> None:
    """What `make docs` would write is what is there."""
    assert (DOCS / name).read_text(encoding="utf-8") == pages(real)[name], "run `make docs`"


def test_every_look_check_and_cause_is_in_the_manual(real: Catalogue) -> None:
    """A look and a cause by heading, a check by the first cell of its row."""
    looks, causes = pages(real)["looks.md"], pages(real)["causes.md"]

    assert [slug for slug in real.probes if f"\n### {slug}\n" not in looks] == []
    assert [slug for slug in real.checks if f"\n| `{slug}` |" not in looks] == []
    assert [slug for slug in real.causes if f"\n## {slug}\n" not in causes] == []


def test_a_text_leads_to_the_causes_that_show_it(real: Catalogue) -> None:
    """Whoever searches for what was read finds the cause."""
    row = next(line for line in pages(real)["causes.md"].splitlines() if "`circuit breaker is open`" in line)

    assert row == "| `circuit breaker is open` | [circuit-breaker-open](#circuit-breaker-open) |"


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        ("target-port-mismatch", "commands that can be pasted"),
        ("gateway-down", "commands with values that only a person knows; or outside AWS"),
        ("circuit-breaker-open", "outside AWS"),
    ],
)
def test_what_a_remedy_asks_for(real: Catalogue, cause: str, says: str) -> None:
    """Read from the code of the cause and of what it shares with others."""
    assert remedy_kind(real.causes[cause]) == says


def test_every_cause_says_what_its_remedy_asks_for(real: Catalogue) -> None:
    """But for those of our own trouble that nobody can mend for us."""
    assert [slug for slug, one in real.causes.items() if remedy_kind(one) == "none"] == []
