"""AWS's free text is redacted before it is cut: a cut through a password must not let half of it out."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pytest
from _cloud import WrittenDoor
from _deaths import EXITED, NOW, revision, used_facts
from _facts import TARGET, ecs_facts
from test_ecs_looks import described

from hokusai_probe.aws import AwsDoor
from hokusai_probe.http import HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts
from hokusai_probe.probes._client_job import _whole_words
from hokusai_probe.probes._removal import Made
from hokusai_probe.probes.alarms import alarm
from hokusai_probe.probes.artifact_durability import _errors
from hokusai_probe.probes.changes import change_of
from hokusai_probe.probes.database_instance import _events
from hokusai_probe.probes.ecs_tasks import ecs_tasks
from hokusai_probe.probes.log_tails import troubled
from hokusai_probe.probes.mlflow_client import _step
from hokusai_probe.probes.webhook_log import webhook_lines
from hokusai_probe.redact import Redactor

PASSWORD = "zq4" * 15
"""Of no shape that is known by itself: only the ``@`` behind it says what it is."""


def cut_at(limit: int, before: str) -> str:
    """A text with a URL whose password begins before the limit and ends, with its ``@``, behind it."""
    start = f"{before} postgresql://app:"
    gap = limit - 20 - len(start)
    return f"{before} {'.' * gap}postgresql://app:{PASSWORD}@db.hokusai.local:5432/x"


def event(text: str) -> dict[str, Any]:
    """One event of a log."""
    return {"timestamp": 1_700_000_000_000, "message": text}


def tasks_of(door: WrittenDoor) -> Facts:
    """What the look at tasks finds through a door."""
    nothing = cast("Any", None)
    look = Look(TARGET, nothing, door, nothing, nothing, "run")
    one = ecs_facts().model_copy(update={"services": {"gateway": ecs_facts().services["gateway"]}})
    logs = used_facts(gateway=revision(1, log_group="/ecs/api", log_prefix="ecs"))
    return asyncio.run(ecs_tasks(look, one, logs))


def dead(**said: str) -> Facts:
    """A task that died with these words."""
    container = {"name": "gateway", "reason": said.get("container", "")}
    task = described("b", stoppedAt=NOW, stoppedReason=said.get("reason", EXITED), containers=[container])
    return tasks_of(
        WrittenDoor(
            list_tasks=[{"taskArns": ["x"]}],
            describe_tasks=[{"tasks": [task]}],
            get_log_events=[{"events": [event(said.get("word", "bye"))]}],
        )
    )


def s3_said(text: str) -> Any:
    """What the look at the artifact keeps of MLflow's log."""
    door = WrittenDoor(filter_log_events=[{"events": [event(text)]}])
    return asyncio.run(_errors(cast("AwsDoor", door), "/ecs/mlflow"))


def client_said(error: str) -> str | None:
    """What is kept of an error of MLflow's own client."""
    nothing = cast("Any", None)
    look = Look(TARGET, HttpDoor(TARGET, Keys(), Redactor()), nothing, nothing, nothing, "run")
    return _step(look, {"step": "search", "error": error, "requests": [], "ids": {}}, Made("x")).error


DOOR = WrittenDoor()
S3 = "An error occurred (AccessDenied) when calling the PutObject operation:"
KEPT: Mapping[str, Callable[[], object]] = {
    "log-tails": lambda: troubled([event(cut_at(300, "error:"))], DOOR.said),
    "log-tails, far in": lambda: troubled([event("\x1b[0m" * 985 + cut_at(58, "error"))], DOOR.said),
    "webhook-log": lambda: webhook_lines([event(cut_at(300, "webhook failed:"))], DOOR.said),
    "artifact-durability": lambda: s3_said(cut_at(300, S3)),
    "artifact-durability, far in": lambda: s3_said("x" * 3_800 + cut_at(198, S3)),
    "database-instance": lambda: _events([{"Date": NOW, "Message": cut_at(300, "Fatal")}], DOOR.said),
    "alarms": lambda: alarm({"AlarmName": "a", "StateReason": cut_at(300, "Threshold")}, DOOR.said),
    "changes": lambda: change_of(
        {
            "EventSource": "ecs.amazonaws.com",
            "EventTime": NOW,
            "Resources": [{"ResourceName": cut_at(256, "name")}],
        },
        DOOR.said,
    ),
    "mlflow-client": lambda: client_said(cut_at(600, "MlflowException:")),
    "mlflow-client, in its process": lambda: (
        client_said(_whole_words("\x1b[0m" * 400 + cut_at(400, "Error of http://x"))) or ""
    ),
    "ecs-tasks, reason": lambda: dead(reason=cut_at(1_000, EXITED)),
    "ecs-tasks, container": lambda: dead(container=cut_at(1_000, "Error:")),
    "ecs-tasks, last words": lambda: dead(word=cut_at(300, "could not connect to")),
}


@pytest.mark.parametrize("look", KEPT)
def test_a_password_that_a_cut_divides_does_not_leave(look: str) -> None:
    """What a look keeps, redacted once more as every report is, has no part of the password."""
    shown = Redactor().text(str(KEPT[look]()))
    assert "://" in shown
    assert not any(part in shown for part in parts(PASSWORD))


def parts(secret: str) -> Iterator[str]:
    """Every four characters in a row of a secret."""
    return (secret[i : i + 4] for i in range(len(secret) - 3))
