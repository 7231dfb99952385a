"""The nouns: frozen, knowing all their keys, and the same after a journey through JSON."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from _facts import TARGET, hosts_facts
from pydantic import BaseModel, ValidationError

from hokusai_probe import model
from hokusai_probe.model import (
    AreaScore,
    Diagnosis,
    Evidence,
    Frozen,
    Hosts,
    Observation,
    RecordedFacts,
    Remedy,
    Report,
    Score,
    Settling,
    Timeouts,
    Verdict,
)
from hokusai_probe.score import score

WHEN = datetime(2025, 8, 5, 9, 27, tzinfo=UTC)
NOUNS = [
    m for m in vars(model).values() if isinstance(m, type) and issubclass(m, BaseModel) and m is not BaseModel
]


def diagnosis(cause: str, status: str = "present", caused_by: str | None = None) -> Diagnosis:
    """A whole diagnosis."""
    return Diagnosis(
        cause=cause,
        component="auth",
        status=status,
        caused_by=caused_by,
        because="it is",
        evidence=(Evidence(probe="hosts", fact="x", value={"a": [1, None]}, text="t"),),
        settled_by=(Settling(look="hosts"),),
        priority="high",
        effort="hours",
        remedy=Remedy(kind="automatic", summary="s", aws_cli=("aws x",)),
    )


def report() -> Report:
    """A report with something of everything."""
    verdicts = (
        Verdict(
            check="a", title="A", area="proxy", component="auth", hop="auth", status="pass", probe="hosts"
        ),
        Verdict(
            check="b", title="B", area="data", component="auth", hop="auth", status="fail", probe="hosts"
        ),
    )
    seen = Observation(probe="hosts", started_at=WHEN, duration_s=0.5, status="seen", facts=hosts_facts())
    return Report(
        target="t",
        configuration=TARGET,
        started_at=WHEN,
        duration_s=1.5,
        tool_version="0",
        observations=(seen,),
        verdicts=verdicts,
        diagnoses=(
            diagnosis("a"),
            diagnosis("b", caused_by="a"),
            diagnosis("c", "undecided"),
            diagnosis("d", "ruled_out"),
        ),
        unexplained=("b",),
        errors=(model.Error(where="x", reason="y"),),
        score=score(verdicts),
    )


@pytest.mark.parametrize("noun", NOUNS, ids=lambda n: n.__name__)
def test_every_noun_is_frozen_and_knows_its_keys(noun: type[BaseModel]) -> None:
    """Only facts that a report recorded may hold keys that nobody declared."""
    assert issubclass(noun, Frozen)
    assert noun.model_config["frozen"] is True
    assert noun.model_config["extra"] == ("allow" if noun is RecordedFacts else "forbid")


def test_what_is_frozen_cannot_be_changed() -> None:
    """An assignment is an error."""
    with pytest.raises(ValidationError, match="frozen"):
        Hosts(registry="x").registry = "y"  # type: ignore[misc]


def test_a_report_is_the_same_after_json() -> None:
    """Written, read and written again: the same text; recorded facts keep every key and value."""
    first = report()
    again = Report.read(first.to_json())
    assert again.to_json() == first.to_json()
    facts = again.observations[0].facts
    assert isinstance(facts, RecordedFacts)
    assert facts.model_dump(mode="json") == hosts_facts().model_dump(mode="json")
    assert again.model_copy(update={"observations": ()}) == first.model_copy(update={"observations": ()})


def test_a_report_is_json_that_ends_in_a_newline() -> None:
    """With the contract's first keys, times ending in Z, and percentages beside the counts."""
    text = report().to_json()
    data = json.loads(text)
    assert text.endswith("}\n")
    assert list(data)[:2] == ["schema_version", "target"]
    assert data["started_at"] == "2025-08-05T09:27:00Z"
    assert data["score"]["overall"]["percent"] == 50.0


def test_a_report_knows_its_roots_and_what_is_open() -> None:
    """Present, roots, undecided and verdicts by status, each in report order."""
    found = report()
    assert [d.cause for d in found.present()] == ["a", "b"]
    assert [d.cause for d in found.roots()] == ["a"]
    assert [d.cause for d in found.undecided()] == ["c"]
    assert [v.check for v in found.with_status("fail")] == ["b"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": "1.0", "surprise": 1}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    """As pydantic's own error, for the caller to word."""
    with pytest.raises(ValidationError):
        Report.read(text)


def test_a_time_without_a_zone_is_refused() -> None:
    """A zone must be there: nobody can guess which one was meant."""
    with pytest.raises(ValidationError, match="write it in UTC"):
        Observation(probe="p", started_at=datetime(2025, 8, 5), duration_s=0, status="fault")  # noqa: DTZ001


def test_a_time_in_another_zone_is_written_in_utc() -> None:
    """The report's times are UTC, whatever zone they came in."""
    east = datetime(2025, 8, 5, 11, 27, tzinfo=timezone(timedelta(hours=2)))
    seen = Observation(probe="p", started_at=east, duration_s=0, status="fault")
    assert json.loads(seen.model_dump_json())["started_at"] == "2025-08-05T09:27:00Z"


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_deadline_that_never_comes_is_refused(seconds: float) -> None:
    """Zero, negative and not a number are no seconds to wait."""
    with pytest.raises(ValidationError):
        Timeouts(total_s=seconds)


def test_a_score_does_not_trust_a_written_percentage() -> None:
    """It is counted anew from the columns."""
    text = AreaScore(passed=1, failed=1).model_dump_json().replace("50.0", "100.0")
    scored = model.Score.model_validate_json(f'{{"overall": {text}, "areas": {{}}}}')
    assert scored.overall.percent == 50.0


def test_hosts_that_are_present() -> None:
    """Only those that the target has, by name."""
    assert Hosts(registry="r", api="a").present() == {"registry": "r", "api": "a"}


def test_a_report_in_a_notebook_is_one_line() -> None:
    """Who it is of, when, how it stands and why; not its thousands of facts."""
    report = Report(
        target="hokusai",
        configuration=TARGET,
        started_at=WHEN,
        duration_s=1.0,
        tool_version="1",
        diagnoses=(diagnosis("auth-service-down"), diagnosis("gateway-down", caused_by="auth-service-down")),
        score=Score(overall=AreaScore(passed=3, failed=1)),
    )

    assert repr(report) == (
        "<Report of hokusai at 2025-08-05 09:27:00 UTC: passed=3 failed=1 errors=0 blocked=0 skipped=0; "
        "auth-service-down>"
    )
