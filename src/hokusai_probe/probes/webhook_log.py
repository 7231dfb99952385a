"""What the gateway's log says of telling the website of a registration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from hokusai_probe.aws import AwsDoor, AwsFailure, Said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

Outcome = Literal["delivered", "rejected", "not-delivered", "not-sent", "unclear"]

WINDOW_S = 3600.0
PAUSES_S = (0.0, 0.2, 0.4, 0.8, 1.6)  # a log driver ships within seconds, and a run has no more to spare
MOST_LINES = 20
LONGEST = 300

_NOT_SENT = re.compile(r"not sent|not set|not configured|disabled|skipp", re.IGNORECASE)
_TROUBLE = re.compile(
    r"reject|fail|error|invalid|unauthori[sz]ed|forbidden|denied|not accepted", re.IGNORECASE
)
_NO_ANSWER = re.compile(
    r"not delivered|undelivered|time[d -]*out|refused|unreachable|reset|resolve|connect", re.IGNORECASE
)
_STATUS = re.compile(
    r"(?:[:=>]|\b(?:status|code|http(?:/[\d.]+)?|with|by|returned|answered|got))[ \t]*"
    r"([2-5]\d\d)\b(?![.:/-]|\s*m?s\b)",
    re.IGNORECASE,
)


class WebhookLine(Frozen):
    """A line about the webhook: when (UTC, the log's clock), its text cut to 300 characters, what it tells.

    ``status``: the website's answer where the line names one.
    """

    at: Utc
    text: str
    outcome: Outcome
    status: int | None = None


class WebhookLogFacts(Facts):
    """The lines of the gateway's log that speak of a webhook, oldest first, at most 20.

    ``registered_at``: when this run registered a version, by the platform's clock; None: it did not, or the
    answer did not say when.
    """

    group: str
    registered_at: Utc | None = None
    lines: tuple[WebhookLine, ...] = ()
    failure: AwsFailure | None = None

    def newest(self) -> tuple[int, WebhookLine] | None:
        """The newest line that tells what became of a message, with its place in ``lines``."""
        told = [(n, line) for n, line in enumerate(self.lines) if line.outcome != "unclear"]
        return told[-1] if told else None


@probe(area="data", needs=("aws",), after=("aws-knows-us",), cost=4)
async def webhook_log(
    look: Look, definitions: TaskDefinitionsFacts, registration: RegistrationFacts | None
) -> WebhookLogFacts:
    """The gateway's log lines about its webhook: ``logs:FilterLogEvents`` on the last hour.

    What became of the message shows there alone: the registration has been answered by then (INC-33). After
    a registration of this run it waits for the line three seconds at most.
    """
    gateway = definitions.of("gateway")
    if gateway is None or not gateway.log_group:
        return WebhookLogFacts(group="")
    since = _moment(registration.version if registration else None)
    found = await _lines(look.cloud(), gateway.log_group, since)
    failure = found if isinstance(found, AwsFailure) else None
    return WebhookLogFacts(
        group=gateway.log_group,
        registered_at=since,
        lines=() if isinstance(found, AwsFailure) else found,
        failure=failure,
    )


def _moment(created: Answer | None) -> datetime | None:
    """When the platform answered the creation of a version, to the second."""
    if created is None or created.status != 200:
        return None
    try:
        return parsedate_to_datetime(created.headers.get("date", ""))
    except ValueError:
        return None


async def _lines(
    aws: AwsDoor, group: str, registered: datetime | None
) -> AwsFailure | tuple[WebhookLine, ...]:
    """The lines, asked for again while the one about this run's registration is not there yet."""
    found: tuple[WebhookLine, ...] = ()
    for pause in PAUSES_S if registered else PAUSES_S[:1]:
        await asyncio.sleep(pause)
        answer = await aws.pages("logs", "filter_log_events", "events", **_asked(group, registered))
        if answer.failure is not None:
            return answer.failure
        found = webhook_lines(answer.data["events"], aws.said)
        if any(registered and line.at >= registered for line in found):
            break
    return found


def _asked(group: str, registered: datetime | None) -> dict[str, Any]:
    since = (registered or datetime.now(UTC)) - timedelta(seconds=WINDOW_S)
    pattern = "%[Ww]ebhook|WEBHOOK%"  # a term without the percent signs would be one spelling only
    return {
        "logGroupName": group,
        "startTime": int(since.timestamp() * 1000),
        "filterPattern": pattern,
    }


def webhook_lines(events: Iterable[Mapping[str, Any]], said: Said) -> tuple[WebhookLine, ...]:
    """Of log events the newest lines that speak of a webhook, oldest first."""
    found = [e for e in events if "webhook" in str(e["message"]).lower()]
    newest = sorted(found, key=lambda e: int(e["timestamp"]))[-MOST_LINES:]
    return tuple(
        _line(datetime.fromtimestamp(int(e["timestamp"]) / 1000, UTC), said(str(e["message"]), LONGEST))
        for e in newest
    )


def _line(at: datetime, text: str) -> WebhookLine:
    about = text[text.lower().index("webhook") :] if "webhook" in text.lower() else text
    status = next((int(n) for n in _STATUS.findall(about)), None)
    return WebhookLine(at=at, text=text, outcome=outcome_of(text, status), status=status)


def outcome_of(text: str, status: int | None) -> Outcome:
    """What a line says became of the message. A status decides; else words; else nothing is concluded."""
    if status is not None:
        return "delivered" if status < 300 else "rejected"
    if _NOT_SENT.search(text):
        return "not-sent"
    if _NO_ANSWER.search(text):
        return "not-delivered"
    if re.search(r"signature", text, re.IGNORECASE) and _TROUBLE.search(text):
        return "rejected"
    return "delivered" if re.search(r"delivered|succe", text, re.IGNORECASE) else "unclear"


@check(hop="webhook", behaviour="webhook-secret-wrong")
def site_is_told_of_registrations(facts: WebhookLogFacts) -> Sentence:
    """The website takes the gateway's message that a model was registered (INC-33).

    By the newest line about a webhook: of this run's registration, or of somebody's within the last hour.
    """
    if not facts.group:
        return NotApplicable(reason="the gateway's log group is not known")
    if facts.failure is not None:
        return CannotTell(reason=f"logs:FilterLogEvents on {facts.group}: {facts.failure.detail}")
    newest = facts.newest()
    if newest is None or (facts.registered_at and newest[1].at < facts.registered_at):
        return CannotTell(reason=f"{facts.group} says of no recent registration what became of the webhook")
    line = newest[1]
    return None if line.outcome == "delivered" else f"the gateway's log: {line.text}"
