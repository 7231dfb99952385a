"""What was changed in AWS lately: who, when, with which call, and at what."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue

from hokusai_probe.aws import AwsDoor, AwsFailure, Said
from hokusai_probe.declare import probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Frozen, Utc
from hokusai_probe.probes.aws_identity import AwsIdentityFacts

LOOKED_BACK = timedelta(days=3)
MOST_PAGES = 4
MOST_CHANGES = 100
MOST_THINGS = 12
PAUSE_S = 0.5  # LookupEvents is limited to two calls a second for an account and a region
BUDGET_S = 6.0

SERVICES = frozenset({
    "acm", "application-autoscaling", "autoscaling", "ec2", "ecr", "ecs", "elasticache",
    "elasticloadbalancing", "iam", "kms", "rds", "route53", "s3", "secretsmanager", "servicediscovery", "ssm",
})  # fmt: skip
"""Whose changes can break the platform."""

_NAMES_SOMETHING = re.compile(
    r"(?:.*(?:Arn|Arns|Id|Ids|Identifier|Name|Names)|arn|id|identifier|name|service|family|taskDefinition|bucket)",
    re.IGNORECASE,
)
_SECRET_LIKE = re.compile(r"secretstring|password|token|clientrequest|value", re.IGNORECASE)
_LONGEST = 256


class Change(Frozen):
    """One event of CloudTrail's history.

    ``call`` is the service and the call, such as ``ecs:UpdateService``; ``who`` the user or role session;
    ``things`` the ARNs, ids and names that it speaks of; ``error`` AWS's code where the call was refused.
    """

    at: Utc
    call: str
    who: str
    things: tuple[str, ...] = ()
    error: str = ""


class ChangesFacts(Facts):
    """Changes of the last three days, newest first.

    ``complete``: the history was read to its end; else there were more than a few pages or little time.
    """

    changes: tuple[Change, ...] = ()
    since: Utc
    complete: bool = False
    failure: AwsFailure | None = None


@probe(area="audit", needs=("aws",), after=("aws-knows-us",), cost=MOST_PAGES, deadline_s=30.0)
async def changes(look: Look, _identity: AwsIdentityFacts) -> ChangesFacts:
    """What was changed in AWS in the last three days: cloudtrail:LookupEvents, events that are no reads.

    Of services whose changes can break the platform, 100 events at most. The history is asked four times at
    most, half a second apart, six seconds in all; what it knows arrives there up to a quarter of an hour
    late. IAM and Route 53 write theirs to us-east-1 alone. Parameters other than names stay behind.
    """
    since = datetime.now(UTC) - LOOKED_BACK
    aws = look.cloud()
    events, complete, failure = await _events(aws, since)
    found = [change for event in events if (change := change_of(event, aws.said)) is not None]
    return ChangesFacts(changes=tuple(found[:MOST_CHANGES]), since=since, complete=complete, failure=failure)


async def _events(aws: AwsDoor, since: datetime) -> tuple[list[Mapping[str, Any]], bool, AwsFailure | None]:
    """The events, whether these are all, and what kept AWS from giving more."""
    writes = [{"AttributeKey": "ReadOnly", "AttributeValue": "false"}]
    found: list[Mapping[str, Any]] = []
    more: dict[str, str] = {}
    ends = time.monotonic() + BUDGET_S
    for number in range(MOST_PAGES):
        if number:
            await asyncio.sleep(PAUSE_S)
        answer = await aws.call(
            "cloudtrail", "lookup_events", LookupAttributes=writes, StartTime=since, MaxResults=50, **more
        )
        if answer.failure is not None:
            return found, False, answer.failure
        found += answer.data.get("Events", ())
        token = answer.data.get("NextToken")
        if not token or time.monotonic() > ends:
            return found, not token, None
        more = {"NextToken": str(token)}
    return found, False, None


def change_of(event: Mapping[str, Any], said: Said) -> Change | None:
    """The change that an event of LookupEvents tells of, None where it is none of ours to know. Pure."""
    service = str(event.get("EventSource", "")).partition(".")[0]
    document = _document(event.get("CloudTrailEvent"))
    if service not in SERVICES:
        return None
    named = [str(r.get("ResourceName", "")) for r in event.get("Resources", ())]
    things = dict.fromkeys(
        said(name, _LONGEST) for name in (*named, *_names(document.get("requestParameters")))
    )
    return Change(
        at=event["EventTime"],
        call=f"{service}:{said(str(event.get('EventName', '')), 80)}",
        who=said(str(event.get("Username", "")) or _who(document), 120),
        things=tuple(name for name in things if name)[:MOST_THINGS],
        error=said(str(document.get("errorCode") or ""), 80),
    )


def _document(text: object) -> Mapping[str, JsonValue]:
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _who(document: Mapping[str, JsonValue]) -> str:
    """Whoever called, where the event itself names no user: a service, or the last part of an ARN."""
    identity = document.get("userIdentity")
    known = identity if isinstance(identity, Mapping) else {}
    return str(known.get("invokedBy") or str(known.get("arn") or "").rpartition("/")[2])


def _names(value: JsonValue, key: str = "") -> Iterator[str]:
    """The ARNs, ids and names among the parameters of a call; nothing else of them is kept."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _names(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner, key)
    elif isinstance(value, str) and _is_name(value, key):
        yield value


def _is_name(value: str, key: str) -> bool:
    if len(value) > _LONGEST or _SECRET_LIKE.search(key):
        return False
    return value.startswith("arn:") or _NAMES_SOMETHING.fullmatch(key) is not None
