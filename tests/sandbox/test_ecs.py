"""What the scheduler decides, and what service steps do to a running platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from control_side import Prober, accepts, eventually, ip_of

from hokusai_probe.sandbox import start
from hokusai_probe.sandbox.ecs import Plan, Seen, Wish, plan


def _wish(desired: int) -> Wish:
    return Wish("api", "cluster", desired, "family:2", "new")


OLD, OLD_TOO = Seen("old-1", "old", ready=True), Seen("old-2", "old", ready=True)
COMING, HERE, HERE_TOO = (
    Seen("new-1", "new", ready=False),
    Seen("new-1", "new", ready=True),
    Seen("new-2", "new", ready=True),
)


@pytest.mark.parametrize(
    ("desired", "tasks", "todo"),
    [
        (1, [], Plan(start=1)),
        (1, [HERE], Plan()),
        (2, [HERE], Plan(start=1)),
        (0, [HERE], Plan(stop=("new-1",))),
        (1, [HERE, HERE_TOO], Plan(stop=("new-2",))),
        (1, [OLD], Plan(start=1)),
        (1, [OLD, COMING], Plan()),
        (1, [OLD, HERE], Plan(stop=("old-1",))),
        (1, [OLD, OLD_TOO, COMING], Plan(stop=("old-2",))),
        (0, [OLD, COMING], Plan(stop=("new-1", "old-1"))),
    ],
)
def test_new_tasks_start_first_and_old_ones_go_when_those_serve(
    desired: int, tasks: list[Seen], todo: Plan
) -> None:
    """A rolling update at 100 % minimum: never fewer tasks that serve than wanted."""
    assert plan(_wish(desired), tasks) == todo


@contextmanager
def _running(tmp_path: Path, *steps: str) -> Iterator[Prober]:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nsummary = "s"\n' + "".join(f'[[step]]\nkind = "service"\n{step}\n' for step in steps)
    )
    with start(path) as box:
        yield Prober(box)


def test_stop_crash_and_hang(tmp_path: Path) -> None:
    """Stopped: gone with its target. Crashed: gone, its target kept. Hung: there, and silent."""
    with _running(
        tmp_path,
        'service = "auth"\naction = "stop"',
        'service = "gateway"\naction = "crash"\nkeep_target = true\n'
        'with = { exit_code = 3, reason = "boom", log = ["Traceback", "KeyError: x"] }',
        'service = "mlflow"\naction = "hang"',
    ) as prober:
        assert (prober.tasks("auth"), prober.health("auth"), prober.describe("auth")["desiredCount"]) == (
            [],
            [],
            1,
        )
        assert prober.ask("auth", "/health")[0] == 503
        (crashed,) = prober.tasks("gateway", "STOPPED")
        assert (crashed["stoppedReason"], crashed["stopCode"], crashed["containers"][0]["exitCode"]) == (
            "boom", "EssentialContainerExited", 3,
        )  # fmt: skip
        assert [one[1:] for one in prober.health("gateway")] == [
            (8001, "unhealthy", "Target.FailedHealthChecks")
        ]
        assert prober.ask("registry", "/health")[0] == 502
        assert _log(prober, "gateway")[-2:] == ["Traceback", "KeyError: x"]
        assert [one[1:] for one in prober.health("mlflow")] == [(5000, "unhealthy", "Target.Timeout")]
        assert prober.describe("mlflow")["runningCount"] == 1
        _heal(prober, "auth", "gateway", "mlflow")
        assert prober.ask("registry", "/api/health/mlflow")[0] == 200


def _log(prober: Prober, service: str) -> list[str]:
    group = prober.box.names[f"log_group.{service}"]
    with prober.aws("logs") as logs:
        events = logs.filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events if "GET /health" not in event["message"]][:2]


def _heal(prober: Prober, *services: str) -> None:
    """A forced new deployment brings everything back, as it would on AWS."""
    names = prober.box.names
    with prober.aws("ecs") as ecs:
        for service in services:
            ecs.update_service(
                cluster=names["cluster"], service=names[f"service.{service}"], forceNewDeployment=True
            )
    for service in services:
        assert eventually(lambda s=service: [one[2] for one in prober.health(s)] == ["healthy"], 20.0)


def test_an_image_that_crashes_keeps_failing_beside_the_old_task(tmp_path: Path) -> None:
    """A deploy of a broken image: the old task serves on, the new deployment counts its failures."""
    with _running(
        tmp_path, 'service = "gateway"\naction = "deploy"\nimage = "{image.gateway.crashes}"'
    ) as prober:
        deployments = prober.describe("gateway")["deployments"]
        assert [(one["status"], one["runningCount"]) for one in deployments] == [
            ("PRIMARY", 0),
            ("ACTIVE", 1),
        ]
        assert (deployments[0]["rolloutState"], deployments[0]["failedTasks"] >= 2) == ("IN_PROGRESS", True)
        failed = prober.tasks("gateway", "STOPPED")[0]
        assert (failed["stopCode"], failed["containers"][0]["exitCode"]) == ("EssentialContainerExited", 1)
        assert prober.ask("registry", "/live", key="")[0] == 200


def test_a_secret_that_is_not_there_keeps_a_task_from_starting(tmp_path: Path) -> None:
    """A restart with a misnamed secret leaves nothing running; the reason names the secret."""
    step = 'service = "auth"\naction = "restart"\nsecrets = { TOKEN = "{secret.auth}:no_such_key::" }'
    with _running(tmp_path, step) as prober:
        assert (prober.tasks("auth"), prober.health("auth")) == ([], [])
        failed = prober.tasks("auth", "STOPPED")[-1]
        assert failed["stopCode"] == "TaskFailedToStart"
        assert failed["stoppedReason"].endswith("retrieved secret did not contain json key no_such_key")


def test_the_cache_can_be_taken_away(tmp_path: Path) -> None:
    """Without the cache every key goes to auth; requests still work."""
    with _running(tmp_path, 'service = "cache"\naction = "stop"') as prober:
        cache = prober.box.names["task.auth.ip"].rsplit(".", 1)[0] + ".25"
        assert not accepts(cache, 6379)
        assert prober.ask("registry", "/api/health/mlflow")[0] == 200
        assert accepts(ip_of(prober.tasks("auth")[0]), 8000)
