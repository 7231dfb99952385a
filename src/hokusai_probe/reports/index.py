"""README.md of a directory of reports: which document answers which question. Pure."""

from hokusai_probe.model import Report
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import STYLE, blocks, moment, table

_ANSWERS = (
    (
        "MODEL_REGISTRATION_TEST_REPORT.md",
        "everybody",
        "can a model be registered, what is broken, why, what to type",
    ),
    (
        "report.html",
        "everybody with a browser",
        "the same as a page, with a picture of the way and buttons that copy commands",
    ),
    (
        "test_execution_summary.json",
        "programs",
        "the whole run as data; `hokusai-probe replay` judges it again",
    ),
    ("junit.xml", "continuous integration", "which checks pass, fail or were skipped"),
    ("metrics.prom", "Prometheus", "the checks, causes and scores as gauges"),
    ("badge.svg", "other pages", "the state in a few words"),
)


def render(report: Report) -> str:
    """The index as Markdown, ending in a newline, the answer first."""
    said = answer.clear_line if answer.all_clear(report) else answer.paragraph
    rows = [[f"[{name}]({name})", reader, question] for name, reader, question in _ANSWERS]
    return (
        blocks(
            [
                "# Reports of hokusai-probe",
                said(report, STYLE),
                table(["Document", "For", "It answers"], rows),
                f"All are of one run: {moment(report.started_at)}. They are replaced by the next one.",
            ]
        )
        + "\n"
    )
