"""Documents made from a report. A format is a function ``Report -> str`` and one line of ``DOCUMENTS``."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hokusai_probe.history.past import Past
from hokusai_probe.model import Report
from hokusai_probe.reports import files, index, markdown

Document = Callable[[Report], str]

DOCUMENTS: Mapping[str, Document] = {
    "MODEL_REGISTRATION_TEST_REPORT.md": markdown.render,
    "test_execution_summary.json": Report.to_json,
    "README.md": index.render,
}


def documents(past: Past | None = None) -> Mapping[str, Document]:
    """The documents, those that speak of the time before knowing it."""
    if past is None:
        return DOCUMENTS
    return {**DOCUMENTS, "MODEL_REGISTRATION_TEST_REPORT.md": partial(markdown.render, past=past)}


def write(report: Report, directory: Path, past: Past | None = None) -> tuple[Path, ...]:
    """Write every document into ``directory``, made if missing; returns the paths written.

    ``past``: what the history knows of the time before, where there is one. All are rendered before the first
    is written, and each replaces its predecessor at once, so a reader never sees half a document. Raises
    OSError.
    """
    rendered = {name: document(report) for name, document in documents(past).items()}
    directory.mkdir(parents=True, exist_ok=True)
    return tuple(files.replace(directory / name, said) for name, said in rendered.items())
