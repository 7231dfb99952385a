"""README.md of a directory of reports: which document answers which question. Pure."""

from hokusai_probe.model import Report
from hokusai_probe.reports import answer
from hokusai_probe.reports.layout import STYLE, blocks, moment, table

_ANSWERS = (
    (
        "COMPREHENSIVE_HEALTH_REPORT.md",
        "who decides",
        "on one screen: what is so, what users cannot do, what changed, what to do; then how each part is",
    ),
    (
        "MODEL_REGISTRATION_TEST_REPORT.md",
        "the engineer who mends it",
        "everything: can a model be registered, what is broken, why, what to type, with evidence",
    ),
    (
        "INFRASTRUCTURE_TEAM_HANDOFF.md",
        "the team that owns what is broken",
        "who must act, the exact commands, how to see that they helped, how to undo them, whom to ask",
    ),
    ("INFRASTRUCTURE_ISSUES.md", "who assigns work", "the defects as a list, the most urgent first"),
    ("RECOMMENDATIONS.md", "who plans work", "in which order to mend, at what effort; quick wins first"),
    ("failing_components.md", "who is on call", "what fails, since when, and the request that shows it"),
    ("working_components.md", "who builds on the platform", "what was seen to work, and how fast"),
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
