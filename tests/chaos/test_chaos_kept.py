"""What the experiments came to when they were last carried out, and the pages that say so."""

import re

from chaos_kept import ACCURACY, PAGE, accuracy, accuracy_section, page, read

from hokusai_probe.chaos.experiment import experiment_names, load


def test_the_page_is_that_of_the_record() -> None:
    """`make chaos` records and writes it; judged by this version, the record says the same."""
    written = PAGE.read_text(encoding="utf-8")

    assert page(written, read()) == written


def test_every_experiment_that_ships_is_recorded() -> None:
    """As it is now; and the accuracy page gets a row for each that was carried out."""
    found = read().results
    rows = re.findall(r"(?m)^\| `([a-z0-9-]+)`", accuracy_section())

    assert [one.name for one in found] == experiment_names()
    assert [one.name for one in found if one.recorded.experiment != load(one.name)] == []
    assert rows == [one.name for one in found if one.outcome in ("completed", "deviated")]


def test_the_accuracy_page_has_the_section_of_the_record() -> None:
    """`make chaos` puts it there, and nothing else of that page changes."""
    written = ACCURACY.read_text(encoding="utf-8")

    assert accuracy(written) == written
    assert accuracy_section() in written


def test_no_key_is_in_the_record() -> None:
    """It is kept for everybody to read."""
    assert "hk_test_" not in read().model_dump_json()
