"""The newest lines of each service's log that speak of trouble."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hokusai_probe.aws import AwsDoor, AwsFailure, Said
from hokusai_probe.declare import probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Frozen, Utc
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

STREAMS = 3
EVENTS = 200
MOST_LINES = 40
LONGEST = 300
_READ = 4_000

_TROUBLE = re.compile(
    r"error|exception|traceback|fatal|critical|fail|denied|refused|reset by peer|time[d -]*out|invalid"
    r"|not found|no such|does not exist|cannot|unable|too many|killed|out of memory|exec format|unhealthy"
    r"|unavailable|late",
    re.IGNORECASE,
)


class LogLine(Frozen):
    """One line and when it was written (UTC); at most 300 characters, redacted and cleaned."""

    at: Utc
    text: str


class ServiceLog(Frozen):
    """The tail of one service's log group: lines that speak of trouble, oldest first, at most 40."""

    group: str
    lines: tuple[LogLine, ...] = ()
    failure: AwsFailure | None = None


class LogTailsFacts(Facts):
    """Log tails by the platform's name for the service; a service without a log group is not there."""

    logs: Mapping[str, ServiceLog]

    def matching(self, service: str, pattern: str) -> tuple[str, LogLine] | None:
        """The newest line of a service that a pattern is found in (case ignored), with its place."""
        log = self.logs.get(service)
        for number, line in reversed(list(enumerate(log.lines if log else ()))):
            if re.search(pattern, line.text, re.IGNORECASE):
                return f"logs.{service}.lines[{number}].text", line
        return None

    def read(self, service: str) -> bool:
        """Whether the service's log could be read at all: silence there is then a fact."""
        log = self.logs.get(service)
        return log is not None and log.failure is None


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=12)
async def log_tails(look: Look, definitions: TaskDefinitionsFacts) -> LogTailsFacts:
    """The newest log lines of each service that speak of trouble: logs:DescribeLogStreams, GetLogEvents.

    The last 200 lines of the three streams written to last; only lines that match leave the door, each cut to
    300 characters, at most 40 a service. One stream is one task (awslogs), so a task that died is among them.
    """
    groups = {name: one.log_group for name, one in definitions.definitions.items() if one.log_group}
    found = await asyncio.gather(*(_tail(look.cloud(), group) for group in groups.values()))
    return LogTailsFacts(logs=dict(zip(groups, found, strict=True)))


async def _tail(aws: AwsDoor, group: str) -> ServiceLog:
    newest = {"orderBy": "LastEventTime", "descending": True, "limit": STREAMS}
    streams = await aws.call("logs", "describe_log_streams", logGroupName=group, **newest)
    if streams.failure is not None:
        return ServiceLog(group=group, failure=streams.failure)
    names = [str(stream["logStreamName"]) for stream in streams.data["logStreams"]]
    found = await asyncio.gather(*(_events(aws, group, name) for name in names))
    failure = next((f for f in found if isinstance(f, AwsFailure)), None)
    events = [event for part in found if not isinstance(part, AwsFailure) for event in part]
    return ServiceLog(group=group, lines=troubled(events, aws.said), failure=failure)


async def _events(aws: AwsDoor, group: str, stream: str) -> AwsFailure | list[Mapping[str, Any]]:
    answer = await aws.call(
        "logs",
        "get_log_events",
        logGroupName=group,
        logStreamName=stream,
        limit=EVENTS,
        startFromHead=False,
    )
    return answer.failure or list(answer.data["events"])


def troubled(events: Iterable[Mapping[str, Any]], said: Said) -> tuple[LogLine, ...]:
    """Of log events the newest lines that speak of trouble, oldest first."""
    found = [e for e in events if _TROUBLE.search(str(e["message"])[:_READ])]
    newest = sorted(found, key=lambda e: int(e["timestamp"]))[-MOST_LINES:]
    return tuple(
        LogLine(
            at=datetime.fromtimestamp(int(e["timestamp"]) / 1000, UTC),
            text=said(str(e["message"]), LONGEST),
        )
        for e in newest
    )
