"""What service steps do to a running platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control_side import Prober, accepts, ip_of

from hokusai_probe.sandbox import start

NO_BREAKER = """[[step]]
kind = "aws"
service = "ecs"
call = "update_service"
params = { cluster = "{cluster}", service = "{service.auth}", deploymentConfiguration = \
{ deploymentCircuitBreaker = { enable = false, rollback = false } } }
"""


@contextmanager
def _running(tmp_path: Path, *steps: str, before: str = "") -> Iterator[Prober]:
    path = tmp_path / "mine.toml"
    own = "".join(f'[[step]]\nkind = "service"\n{step}\n' for step in steps)
    path.write_text(f'name = "mine"\nsummary = "s"\n{before}{own}')
    with start(path) as box:
        yield Prober(box)


def test_stop_crash_and_hang(tmp_path: Path) -> None:
    """Stopped: gone, target too. Crashed: gone again and again, its target kept. Hung: there, and silent."""
    with _running(
        tmp_path,
        'service = "auth"\naction = "stop"',
        'service = "gateway"\naction = "crash"\nkeep_target = true\n'
        'with = { exit_code = 3, reason = "boom", log = ["Traceback", "KeyError: x"] }',
        'service = "mlflow"\naction = "hang"',
    ) as prober:
        assert (prober.tasks("auth"), prober.describe("auth")["desiredCount"]) == ([], 1)
        assert prober.serving("auth") == []
        assert prober.ask("auth", "/health")[0] == 503
        crashed = prober.tasks("gateway", "STOPPED")
        assert len(crashed) >= 2
        assert {
            (one["stoppedReason"], one["stopCode"], one["containers"][0]["exitCode"]) for one in crashed
        } == {("boom", "EssentialContainerExited", 3)}
        assert [one[1:] for one in prober.serving("gateway")] == [(8001, "unhealthy", "Target.Timeout")]
        assert prober.ask("registry", "/health")[0] == 504
        assert _log(prober, "gateway")[-2:] == ["Traceback", "KeyError: x"]
        assert [one[1:] for one in prober.serving("mlflow")] == [(5000, "unhealthy", "Target.Timeout")]
        assert prober.describe("mlflow")["runningCount"] == 1


def _log(prober: Prober, service: str) -> list[str]:
    """The last lines of the newest stream of a service that has any."""
    group = prober.box.names[f"log_group.{service}"]
    with prober.aws("logs") as logs:
        events = logs.filter_log_events(logGroupName=group)["events"]
    newest = max(events, key=lambda event: event["timestamp"])["logStreamName"]
    return [event["message"] for event in events if event["logStreamName"] == newest]


def test_bad_revisions_and_a_lost_cache(tmp_path: Path) -> None:
    """A broken image is rolled back; a missing secret, with no breaker, leaves nothing; the cache is gone."""
    with _running(
        tmp_path,
        'service = "gateway"\naction = "deploy"\nimage = "{image.gateway.crashes}"',
        'service = "auth"\naction = "restart"\nsecrets = { TOKEN = "{secret.auth}:no_such_key::" }',
        'service = "cache"\naction = "stop"',
        before=NO_BREAKER,
    ) as prober:
        (deployment,) = prober.describe("gateway")["deployments"]
        assert (deployment["rolloutState"], deployment["runningCount"]) == ("COMPLETED", 1)
        failed = prober.tasks("gateway", "STOPPED")
        assert [one["containers"][0]["exitCode"] for one in failed] == [1, 1, 1]
        said = [event["message"] for event in prober.describe("gateway")["events"]]
        assert sum("rolling back to deployment" in message for message in said) == 1
        assert prober.ask("registry", "/live", key="")[0] == 200
        assert prober.tasks("auth") == []
        refused = [one for one in prober.tasks("auth", "STOPPED") if one["stopCode"] == "TaskFailedToStart"]
        assert len(refused) >= 2
        assert refused[-1]["stoppedReason"].endswith("did not contain json key no_such_key")
        gateway = ip_of(prober.tasks("gateway")[0])
        assert (accepts(gateway, 8001), accepts(f"{gateway.rpartition('.')[0]}.25", 6379)) == (True, False)
