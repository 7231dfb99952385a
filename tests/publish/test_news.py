"""What of a report is worth publishing."""

from datetime import timedelta

import pytest
from reports.made import PORT, WHEN, fail, healthy, report, verdicts

from hokusai_probe.model import Report
from hokusai_probe.publish.news import News, news

BROKEN = report(verdicts(auth_health=fail("502")), diagnoses=(PORT,))
LATER = {"started_at": WHEN + timedelta(hours=1), "duration_s": 9.0, "requests_sent": 88}


def some(report: Report, **changed: object) -> Report:
    """What `--only` makes of it: fewer checks."""
    return report.model_copy(update={"verdicts": report.verdicts[:3], **changed})


@pytest.mark.parametrize(
    ("ours", "published", "said"),
    [
        (healthy(), None, "first"),
        (healthy(), healthy(), "unchanged"),
        (healthy().model_copy(update=LATER), healthy(), "unchanged"),
        (healthy(), healthy().model_copy(update=LATER), "unchanged"),
        (report(verdicts(auth_health=fail("504")), diagnoses=(PORT,), **LATER), BROKEN, "unchanged"),
        (BROKEN.model_copy(update=LATER), healthy(), "changed"),
        (report(verdicts(auth_health=fail("502")), **LATER), BROKEN, "changed"),
        (healthy().model_copy(update={**LATER, "tool_version": "0.2.0"}), healthy(), "changed"),
        (healthy().model_copy(update={**LATER, "target": "another"}), healthy(), "changed"),
        (BROKEN, healthy().model_copy(update=LATER), "older"),
        (some(healthy(), **LATER), BROKEN, "partial"),
        (some(BROKEN, **LATER), healthy(), "partial"),
        (some(BROKEN), None, "first"),
        (healthy().model_copy(update=LATER), some(BROKEN), "changed"),
        (some(healthy(), **LATER, tool_version="0.2.0"), BROKEN, "changed"),
        (some(healthy(), **LATER, target="another"), BROKEN, "changed"),
        (BROKEN.model_copy(update={**LATER, "interrupted": "SIGTERM"}), healthy(), "interrupted"),
        (BROKEN.model_copy(update={"interrupted": "SIGTERM"}), None, "first"),
    ],
)
def test_news_is_another_state_of_a_later_whole_run(
    ours: Report, published: Report | None, said: News
) -> None:
    """Checks, causes, target and version make a state; times, counts and reasons do not. A part is none."""
    assert news(ours, published) == said


def test_what_was_ruled_out_besides_is_no_news() -> None:
    """It depends on what was looked at, and says nothing of what is."""
    out = PORT.model_copy(update={"status": "ruled_out"})

    assert news(report(verdicts(), diagnoses=(out,)), healthy()) == "unchanged"
