"""The RDS instance: which states take connections, and what is said where nothing was seen."""

from datetime import UTC, datetime

import pytest
from _facts import DENIED
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.database_instance import ANSWERS, SILENT, DatabaseInstanceFacts, _events, _instance
from hokusai_probe.text import clean

GONE = AwsFailure(kind="not-found", code="DBInstanceNotFound")

ROWS: list[tuple[DatabaseInstanceFacts, Told]] = [
    (DatabaseInstanceFacts(name="db", status="available"), PASS),
    (DatabaseInstanceFacts(name="db", status="backing-up"), PASS),
    (DatabaseInstanceFacts(name="db", status="stopped"), failing("db is stopped")),
    (DatabaseInstanceFacts(name="db", status="storage-full"), failing("db is storage-full")),
    (DatabaseInstanceFacts(name="db", failure=GONE), failing("RDS has no instance db")),
    (
        DatabaseInstanceFacts(name="db", failure=DENIED),
        skipped("cannot-tell", "rds:DescribeDBInstances: denied"),
    ),
    (
        DatabaseInstanceFacts(name="db", status="levitating"),
        skipped("cannot-tell", "db is 'levitating', which says nothing of connections"),
    ),
    (DatabaseInstanceFacts(), skipped("not-applicable", "the target names no database")),
]


@pytest.mark.parametrize(("facts", "expected"), ROWS)
def test_the_state_of_the_instance_is_judged(
    real: Catalogue, facts: DatabaseInstanceFacts, expected: Told
) -> None:
    """It passes where connections are taken, fails where they are not, and says so where that is unknown."""
    assert told(verdict(real, "database-is-available", facts)) == expected


def test_no_state_is_both() -> None:
    """A state either takes connections or does not."""
    assert set() == ANSWERS & SILENT


def test_an_instance_that_is_being_made_has_no_endpoint() -> None:
    """What AWS leaves out of a new instance is empty, and nothing of it breaks."""
    found = DatabaseInstanceFacts(
        name="db", **_instance({"DBInstanceStatus": "creating", "Engine": "postgres"})
    )
    assert found == DatabaseInstanceFacts(name="db", status="creating", engine="postgres")
    assert found.available is False


def test_events_are_kept_newest_last_and_cleaned() -> None:
    """At most twenty, in order, without control characters."""
    items = [
        {"Date": datetime(2025, 8, 5, 9, minute, tzinfo=UTC), "Message": f"event {minute}\x1b[31m"}
        for minute in (30, 10, 20)
    ]
    assert [event.text[:8] for event in _events(items, clean)] == ["event 10", "event 20", "event 30"]
    assert not any("\x1b" in event.text for event in _events(items, clean))
