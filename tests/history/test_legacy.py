"""Scores out of the former scripts' reports: dates and numbers, and nothing else."""

from datetime import UTC, datetime

import pytest
from _kept import TARGET
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.history.legacy import scores
from hokusai_probe.history.runs import HistoryError, OldCount, Run, place, text_of
from hokusai_probe.redact import Redactor

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
REPORT = """# Model Registration Test Report

**Date**: 2025-08-05
**Tester**: Somebody
**API Key Used**: KEY (existing key)
**Admin Token**: TOKEN

### Overall Status: failed
- **Infrastructure Health Score**: 45.5% (5/11 checks passed) - Improved from 27.3%
- **Authentication Success Rate**: 5.0% (1/20 tests passed) - Decreased from 15.0%
- **Model Registration Success**: 25.0% (1/4 stages passed) - Improved from 0%
- **Test Suite Success Rate**: 22.2% (2/9 test scripts passed)

### Infrastructure Health Check
- ALB endpoints: 0/5 healthy (all returning errors)
- MLflow service: 2/3 checks passed (404s considered "healthy" for missing routes)
- Overall health score: 45.5%

## Comparison with Previous Test (2025-07-30)

| Metric | Previous | Current | Change |
|--------|----------|---------|--------|
| Infrastructure Health | 27.3% | 45.5% | +18.2% |
| Auth Success Rate | 15.0% | 5.0% | -10.0% |
| Model Registration | 0% | 25.0% | +25.0% |
| ECS Services Running | 1/3 | 3/3 | +2 |

```text
- Infrastructure Health Score: 99% (99/100 in a block of code)
```

## Appendix
- Test execution timestamp: 2025-08-05T09:27:17
"""


def read(text: str) -> tuple[Run, ...]:
    """The runs of a report."""
    return scores(text, TARGET, Redactor().text).runs


def test_a_report_gives_its_scores_and_those_of_the_one_before() -> None:
    """Two of the five points were 404s that counted as healthy: the fault itself, as the report says."""
    before, now = read(REPORT)

    assert before.started_at == datetime(2025, 7, 30, tzinfo=UTC)
    assert before.old_count == {
        "infrastructure": OldCount(percent=27.3),
        "authentication": OldCount(percent=15.0),
        "registration": OldCount(percent=0.0),
    }
    assert now.started_at == datetime(2025, 8, 5, 9, 27, 17, tzinfo=UTC)
    assert now.old_count == {
        "infrastructure": OldCount(percent=45.5, passed=5, total=11, from_fault=2),
        "authentication": OldCount(percent=5.0, passed=1, total=20),
        "registration": OldCount(percent=25.0, passed=1, total=4),
        "suite": OldCount(percent=22.2, passed=2, total=9),
    }


def test_without_a_timestamp_a_report_is_of_its_day() -> None:
    """And one of another day is not its own; without a comparison there is one run."""
    alone = REPORT.partition("## Comparison")[0]

    (found,) = read(f"{alone}\n- Test execution timestamp: 2025-08-09T09:27:17\n")

    assert found.started_at == datetime(2025, 8, 5, tzinfo=UTC)


def test_a_count_that_is_not_its_percent_is_named() -> None:
    """The percent is kept, which is what was reported."""
    found = scores(REPORT.replace("(5/11", "(6/11"), TARGET, Redactor().text)

    assert found.runs[1].old_count["infrastructure"] == OldCount(percent=45.5)
    assert found.notes == ("infrastructure: 6 of 11 is not 45.5 %; the percent is kept",)


@pytest.mark.parametrize(
    ("key", "token", "secrets"),
    [
        ("hk_live_<redacted>", "<redacted admin token>", 0),
        (KEY, "none", 1),
        (KEY, "9f8e7d6c5b4a39281706f5e4d3c2b1a0", 2),
        ("none", "the one of the team's vault", 0),
    ],
)
def test_secrets_are_counted_and_not_taken_over(key: str, token: str, secrets: int) -> None:
    """By their shape, and long words that are labelled as a key or token."""
    found = scores(REPORT.replace("KEY", key).replace("TOKEN", token), TARGET, Redactor().text)

    assert found.secrets == secrets
    assert not any(word in text_of(run) for run in found.runs for word in (KEY, token))


@pytest.mark.parametrize(
    "text",
    ["", "# A page\n\n| a | b |\n|---|---|\n", REPORT.replace("2025-08-05", "2025-13-45"), "x" * 2**21],
)
def test_what_is_no_such_report_is_refused(text: str) -> None:
    """With a sentence, and without an empty run."""
    with pytest.raises(HistoryError, match=r"no report of the former scripts|larger than"):
        read(text)


PIECES = st.sampled_from(
    [*REPORT.splitlines(), "<!--", "| | 1e9% | 400% |", "**Infrastructure**: 999% (9/0)", KEY]
)


@given(lines=st.lists(PIECES, max_size=40))
def test_any_document_gives_runs_or_a_sentence(lines: list[str]) -> None:
    """Never a traceback; what it gives can be kept, and holds no key."""
    try:
        found = read("\n".join(lines))
    except HistoryError:
        return
    assert all(place(run).startswith(f"{TARGET}/2025/") for run in found)
    assert not any(KEY[8:16] in text_of(run) for run in found)
