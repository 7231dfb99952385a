"""What is read in CloudTrail's history, and what of it is kept."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from _cloud import WrittenDoor
from _facts import DENIED

from hokusai_probe.aws import AwsFailure
from hokusai_probe.probes import changes as module
from hokusai_probe.probes.changes import Change, _events, change_of
from hokusai_probe.text import clean

AT = datetime(2025, 8, 5, 9, 0, tzinfo=UTC)
RULE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/lb/1/2/3"


def event(source: str = "elasticloadbalancing", name: str = "ModifyRule", **more: Any) -> dict[str, Any]:
    """An event as LookupEvents gives it."""
    document = {"requestParameters": {"ruleArn": RULE, "actions": [{"type": "forward"}]}} | more
    return {
        "EventTime": AT,
        "EventSource": f"{source}.amazonaws.com",
        "EventName": name,
        "Username": "deployer",
        "Resources": [],
        "CloudTrailEvent": json.dumps(document),
    }


def test_a_change_is_who_when_what_and_at_what() -> None:
    """The names among the parameters, and nothing else of them."""
    assert change_of(event(), clean) == Change(
        at=AT, call="elasticloadbalancing:ModifyRule", who="deployer", things=(RULE,)
    )


def test_a_refused_change_says_so() -> None:
    """Somebody tried, and AWS refused."""
    found = change_of(event(errorCode="AccessDenied"), clean)

    assert found is not None
    assert found.error == "AccessDenied"


def test_secrets_stay_behind() -> None:
    """Of the parameters of a secret its id is kept; a value is not, wherever it is written."""
    given = {
        "secretId": "db",
        "secretString": "hunter2",
        "clientRequestToken": "t0ken",
        "environment": [{"name": "DB_PASSWORD", "value": "hunter2"}],
    }
    found = change_of(event("secretsmanager", "PutSecretValue", requestParameters=given), clean)

    assert found is not None
    assert found.things == ("db", "DB_PASSWORD")


@pytest.mark.parametrize("source", ["signin", "health", "logs", "kinesis"])
def test_what_cannot_break_the_platform_is_left_out(source: str) -> None:
    """Logins and the like are nobody's business here."""
    assert change_of(event(source), clean) is None


def test_who_called_where_no_user_is_named() -> None:
    """A service, or the session at the end of an ARN."""
    service = event(userIdentity={"type": "AWSService", "invokedBy": "ecs.amazonaws.com"}) | {"Username": ""}
    role = event(userIdentity={"arn": "arn:aws:sts::1:assumed-role/r/ci"}) | {"Username": ""}

    assert [c.who for e in (service, role) if (c := change_of(e, clean))] == ["ecs.amazonaws.com", "ci"]


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_an_odd_document_is_no_mishap(text: str) -> None:
    """What cannot be read leaves the change with what stands beside it."""
    found = change_of(event() | {"CloudTrailEvent": text, "Resources": [{"ResourceName": "r"}]}, clean)

    assert found == Change(at=AT, call="elasticloadbalancing:ModifyRule", who="deployer", things=("r",))


def test_few_pages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at most, and it is said that there are more."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    door = WrittenDoor(lookup_events=[{"Events": [event()], "NextToken": "more"}])
    events, complete, failure = asyncio.run(_events(door, AT))

    assert (len(events), complete, failure) == (4, False, None)
    assert [params.get("NextToken") for _, params in door.asked] == [None, "more", "more", "more"]


@pytest.mark.parametrize("failure", [DENIED, AwsFailure(kind="throttled")])
def test_a_refusal_keeps_what_was_read(failure: AwsFailure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page stays, and why there is no second."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    door = WrittenDoor(lookup_events=[{"Events": [event()], "NextToken": "more"}, failure])
    events, complete, said = asyncio.run(_events(door, AT))

    assert (len(events), complete, said) == (1, False, failure)
