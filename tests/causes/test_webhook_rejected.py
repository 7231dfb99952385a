"""When the website is said to turn the gateway's message away, and what to do about it."""

from typing import Any

import pytest
from _facts import OUTSIDE, TARGET, inside, outside
from test_diagnoses import concluded, lines
from test_remedies import is_good_shell

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import Conclusion
from hokusai_probe.model import Remedy
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.probes.webhook_log import WebhookLogFacts, webhook_lines
from hokusai_probe.text import clean


def gateway(*secrets: str) -> TaskDefinitionsFacts:
    """The gateway's definition with these secrets."""
    return TaskDefinitionsFacts(
        definitions={"gateway": TaskDefinition(arn="gateway:7", secrets=secrets, names=("WEBHOOK_URL",))}
    )


def after(message: str, definitions: TaskDefinitionsFacts | None = None) -> dict[str, Any]:
    """A healthy platform whose gateway logged this after a registration."""
    event = {"message": message, "timestamp": 1_776_675_600_000}
    log = WebhookLogFacts(group="/ecs/gateway", lines=webhook_lines([event], clean))
    seen = definitions or gateway("WEBHOOK_SECRET")
    return outside() | inside(task_definitions=seen) | {"webhook_log": log}


def found(real: Catalogue, message: str, definitions: TaskDefinitionsFacts | None = None) -> Conclusion:
    """What is concluded from it."""
    return concluded(real, after(message, definitions).values(), TARGET)


@pytest.mark.parametrize(
    ("message", "certainty"),
    [
        ("webhook rejected: 401 Invalid signature", "confirmed"),
        ("webhook rejected: 405", "confirmed"),
        ("webhook rejected: 422 Missing event_type", "confirmed"),
        ("webhook rejected: 503 <h1>Down</h1>", "likely"),
        ("webhook not delivered: ConnectRefused", "likely"),
    ],
)
def test_it_is_named_by_the_gateway_s_log(real: Catalogue, message: str, certainty: str) -> None:
    """The site's own refusal proves it; where it did not answer properly, nothing else explains it."""
    said = found(real, message)
    assert lines(said, "present") == [f"{certainty} webhook-rejected site"]
    assert said.unexplained == ()


@pytest.mark.parametrize("message", ["webhook delivered: 200", "webhook queued"])
def test_a_site_that_was_told_is_no_cause(real: Catalogue, message: str) -> None:
    """Neither is a log that says nothing."""
    said = found(real, message)
    assert lines(said, "present") + lines(said, "undecided") == []
    assert said.unexplained == ()


def test_a_gateway_that_sends_nothing_is_not_the_site_s_fault(real: Catalogue) -> None:
    """Whatever keeps it from sending, the site has refused nothing."""
    said = found(real, "webhook not sent: WEBHOOK_URL is not set")
    assert lines(said, "present") == []


def test_a_gateway_without_a_secret_signs_wrongly(real: Catalogue) -> None:
    """The site refuses rightly what nobody could have signed."""
    said = found(real, "webhook rejected: 401 Invalid signature", gateway("DB_PASSWORD"))
    assert "confirmed webhook-rejected site" not in lines(said, "present")


def test_without_aws_nothing_is_known_of_it(real: Catalogue) -> None:
    """The registration was answered before the site was told."""
    said = concluded(real, outside().values(), OUTSIDE)
    assert lines(said, "present") + lines(said, "undecided") == []


def remedy(real: Catalogue, message: str) -> Remedy:
    """What is said to do about it."""
    (diagnosis,) = (d for d in found(real, message).diagnoses if d.status == "present")
    assert diagnosis.remedy is not None
    return diagnosis.remedy


@pytest.mark.parametrize(
    ("message", "summary", "shown"),
    [
        ("webhook rejected: 401 Invalid signature", "WEBHOOK_SECRET", "WEBHOOK_SECRET"),
        ("webhook rejected: 405", "WEBHOOK_URL", "WEBHOOK_URL"),
        ("webhook rejected: 422 Missing event_type", "payload", "WEBHOOK_URL"),
        ("webhook rejected: 500", "unwell", "WEBHOOK_URL"),
    ],
)
def test_what_to_do_follows_from_the_site_s_answer(
    real: Catalogue, message: str, summary: str, shown: str
) -> None:
    """Secret, address, payload or the site itself; the commands show and change nothing."""
    said = remedy(real, message)
    assert summary in said.summary
    assert shown in said.aws_cli[0]
    assert is_good_shell([*said.before, *said.aws_cli])
    assert said.kind == "outside-aws"
