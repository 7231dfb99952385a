"""What lines of a gateway's log tell of its webhook, and what the check makes of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from _facts import DENIED, OUTSIDE

from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import judge
from hokusai_probe.model import Observation, Verdict
from hokusai_probe.probes.webhook_log import MOST_LINES, WebhookLogFacts, webhook_lines
from hokusai_probe.text import clean

WHEN = datetime(2026, 4, 20, 9, 0, tzinfo=UTC)
BEFORE = datetime(2026, 4, 20, 8, 50, tzinfo=UTC)
GROUP = "/ecs/gateway"

TOLD = {
    "INFO:     webhook delivered: 200": ("delivered", 200),
    "webhook sent, status=202": ("delivered", 202),
    "Webhook delivered": ("delivered", None),
    "ERROR:    webhook rejected: 401 Invalid signature": ("rejected", 401),
    "POST https://hokus.ai/api/webhooks/model-registration -> 401 Invalid signature": ("rejected", 401),
    "2025-08-21 10:00:00,123 Webhook failed with status 405 in 200 ms": ("rejected", 405),
    "ERROR:    webhook rejected: 503 <h1>Down</h1>": ("rejected", 503),
    "webhook: Invalid signature": ("rejected", None),
    "ERROR:    webhook not delivered: ConnectRefused": ("not-delivered", None),
    "webhook timed out after 5 s": ("not-delivered", None),
    "WARNING:  webhook not sent: WEBHOOK_URL is not set": ("not-sent", None),
    "webhook disabled": ("not-sent", None),
    "Webhook for model 401 queued": ("unclear", None),
    "webhook to https://site.example:443/a took 200 ms": ("unclear", None),
}


def event(message: str, at: datetime = WHEN) -> dict[str, Any]:
    """A log event as CloudWatch returns it."""
    return {"message": message, "timestamp": int(at.timestamp() * 1000)}


def facts(*messages: str, **more: Any) -> WebhookLogFacts:
    """The gateway's log with these lines about webhooks."""
    return WebhookLogFacts(**({"group": GROUP, "lines": webhook_lines(map(event, messages), clean)} | more))


def verdict(real: Catalogue, seen: WebhookLogFacts) -> Verdict:
    """What the check says."""
    observed = Observation(probe=seen.probe, started_at=WHEN, duration_s=0.1, status="seen", facts=seen)
    (found,) = judge(real, [observed], OUTSIDE, frozenset({"site-is-told-of-registrations"}))
    return found


@pytest.mark.parametrize("message", TOLD)
def test_what_a_line_tells(message: str) -> None:
    """A status of the website decides; without one words do, and else nothing is concluded."""
    (line,) = webhook_lines([event(message)], clean)
    assert (line.outcome, line.status) == TOLD[message]


def test_only_the_newest_lines_about_webhooks_are_kept() -> None:
    """Oldest first, cut to their length, at most so many."""
    events = [event(f"webhook delivered: 200 {n}", WHEN.replace(second=n)) for n in range(MOST_LINES + 5)]
    found = webhook_lines(
        [event("GET /health 200"), *reversed(events), event("x webhook " + "y" * 9_000)], clean
    )
    assert len(found) == MOST_LINES
    assert found[-1].text == f"webhook delivered: 200 {MOST_LINES + 4}"
    assert all(len(line.text) <= 300 for line in found)


def test_the_newest_line_that_tells_something_decides() -> None:
    """A line that says nothing of the outcome is passed over."""
    found = facts("webhook rejected: 401 Invalid signature", "webhook queued").newest()
    assert found is not None
    assert (found[0], found[1].status) == (0, 401)


VERDICTS = {
    "told": (facts("webhook delivered: 200"), ("pass", None, "")),
    "turned away": (
        facts("webhook rejected: 401 Invalid signature"),
        ("fail", None, "the gateway's log: webhook rejected: 401 Invalid signature"),
    ),
    "nobody takes it": (
        facts("webhook not delivered: ConnectTimeout"),
        ("fail", None, "the gateway's log: webhook not delivered: ConnectTimeout"),
    ),
    "nothing is said": (
        facts(),
        ("skip", "cannot-tell", f"{GROUP} says of no recent registration what became of the webhook"),
    ),
    "an older registration is none of this run's": (
        WebhookLogFacts(
            group=GROUP,
            registered_at=WHEN,
            lines=webhook_lines([event("webhook rejected: 401 Invalid signature", BEFORE)], clean),
        ),
        ("skip", "cannot-tell", f"{GROUP} says of no recent registration what became of the webhook"),
    ),
    "nobody may look": (
        facts(failure=DENIED),
        ("skip", "cannot-tell", f"logs:FilterLogEvents on {GROUP}: not authorised"),
    ),
    "there is no log": (facts(group=""), ("skip", "not-applicable", "the gateway's log group is not known")),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_site_is_told(real: Catalogue, name: str) -> None:
    """Silence is not delivery, and what is not delivered fails."""
    seen, expected = VERDICTS[name]
    found = verdict(real, seen)
    assert (found.status, found.skip_kind, found.reason) == expected
