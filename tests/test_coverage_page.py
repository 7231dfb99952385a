"""docs/coverage.md has a row for each item that the platform's documents ask for, and names what exists."""

import re
from collections.abc import Iterator
from pathlib import Path

from hokusai_probe.declare import Catalogue

PAGE = (Path(__file__).parent.parent / "docs" / "coverage.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d", line)
]

# the last letter of each numbered section
TASKS = {
    "000": dict(enumerate("eeededfdeeedeee", 1)),
    "001": dict(enumerate("effffgfffffffff", 1)),
    "004": {1: "d", 2: "d", 3: "d", 4: "d", 5: "d", 6: "d", 7: "g"},
}
# how many items without letters
NUMBERED = {
    "002": 22,
    "003": 29,
    "9.1": 11,
    "9.2": 9,
    "9.3": 6,
    "9.4": 5,
    "9.5": 5,
    "9.6": 3,
    "9.7": 3,
    "9.8": 8,
    "10": 9,
}
MORE = tuple(f"004-{number}" for number in range(8, 17))


def wanted() -> Iterator[str]:
    """Every item's name."""
    for document, sections in TASKS.items():
        for number, last in sections.items():
            yield from (f"{document}-{number}{chr(code)}" for code in range(ord("a"), ord(last) + 1))
    for document, count in NUMBERED.items():
        yield from (f"{document}-{number}" for number in range(1, count + 1))
    yield from MORE


def test_every_item_has_one_row() -> None:
    """No item is missing, none is there twice, and none is made up."""
    assert sorted(row[0] for row in ROWS) == sorted(wanted())


def test_every_row_says_what_answers_it_or_why_nothing_does() -> None:
    """One of the last two cells has something in it."""
    assert [row[0] for row in ROWS if len(row) != 4 or not (row[2] or row[3])] == []


def test_everything_named_exists(real: Catalogue) -> None:
    """Each slug is a look, a check or a cause of this version."""
    known = {*real.probes, *real.checks, *real.causes}

    assert sorted({slug for row in ROWS for slug in named(row)} - known) == []


def test_a_row_with_a_look_that_judges_names_a_check(real: Catalogue) -> None:
    """That something was looked at says nothing of whether it works. Facts alone say so in the last cell."""
    judging = {one.probe for one in real.checks.values()}
    silent = [row for row in ROWS if judging & set(named(row)) and not set(real.checks) & set(named(row))]

    assert [row[0] for row in silent if not row[3].startswith("Facts without a check")] == []


def named(row: list[str]) -> list[str]:
    """The slugs of a row."""
    return re.findall(r"`([^`]+)`", row[2])
