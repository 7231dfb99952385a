"""reports/ of this repository: the sandbox's 2025-08-05 as a visitor reads it, made from the recorded run."""

import re
from pathlib import Path

import pytest

from hokusai_probe.model import Report
from hokusai_probe.redact import Redactor
from hokusai_probe.reports import DOCUMENTS
from hokusai_probe.runner import replay

FOLDER = Path(__file__).parents[2] / "reports"


@pytest.fixture(scope="module")
def judged() -> Report:
    """The recorded looks, judged and diagnosed by this version."""
    return replay(Report.read((FOLDER / "test_execution_summary.json").read_text("utf-8")))


def test_the_folder_holds_the_whole_set() -> None:
    """Every document, and nothing else."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_what_the_recorded_run_comes_to(judged: Report, name: str) -> None:
    """Judged, diagnosed and rendered again, it is the same to the letter."""
    assert DOCUMENTS[name](judged) == (FOLDER / name).read_text("utf-8"), "run `make reports`"


def test_the_day_is_named(judged: Report) -> None:
    """The three causes of that morning, and nothing that no cause explains."""
    assert sorted(root.cause for root in judged.roots()) == [
        "listener-rule-wrong-target-group",
        "listener-rules-only-on-http",
        "target-port-mismatch",
    ]
    assert (judged.undecided(), judged.unexplained) == ((), ())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_key_and_nobodys_folders_are_in_it(name: str) -> None:
    """No text has the shape of a key, and paths are the recording's own."""
    said = (FOLDER / name).read_text("utf-8")
    assert re.findall(r"hk_(?:test|live)_\w+|(?:AKIA|ASIA)\w{16}|/(?:tmp|root|home)/", said) == []


def test_the_redactor_finds_nothing_to_hide(judged: Report) -> None:
    """Neither in the recorded run nor in a document that is read as text."""
    assert Redactor(()).model(judged) == judged
    texts = {name: render(judged) for name, render in DOCUMENTS.items() if not name.endswith(".json")}
    assert [name for name, said in texts.items() if Redactor(()).text(said) != said] == []


def test_the_folder_stays_small() -> None:
    """Under a million bytes: it is cloned by everybody."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000
