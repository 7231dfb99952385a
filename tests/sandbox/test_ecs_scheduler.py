"""The scheduler with real processes: deployments, the circuit breaker, health, stopped tasks."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from ecs_bench import GROUP, HEALTHY, PORT, SERVICE, UNHEALTHY, Bench, bench

STEADY = ("PRIMARY", "COMPLETED", 0, 1)
EXITED = ("EssentialContainerExited", "Essential container in task exited", 1)
ELB = ("ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group G)", 143)


quickly = pytest.mark.parametrize("here", [20.0], indirect=True, ids=["quickly"])
"""Four times faster than usual, where a verdict has to be waited for."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench with nothing on it."""
    with bench(tmp_path, monkeypatch, getattr(request, "param", 5.0)) as made:
        yield made


def test_a_service_comes_up_and_says_so(here: Bench) -> None:
    """One task, its target, a completed deployment, its output in the log, and the events AWS would show."""
    here.create()
    assert here.settle()
    assert here.rollouts() == [STEADY]
    assert here.events() == [
        f"(service {SERVICE}) has started 1 tasks: (task T).",
        f"(service {SERVICE}) registered 1 targets in (target-group G)",
        f"(service {SERVICE}) (deployment D) deployment completed.",
        f"(service {SERVICE}) has reached a steady state.",
    ]
    (task,) = here.tasks("RUNNING")
    assert (task["lastStatus"], task["connectivity"], task["cpu"], task["memory"]) == (
        "RUNNING", "CONNECTED", "512", "1024",
    )  # fmt: skip
    assert task["pullStartedAt"] <= task["pullStoppedAt"] <= task["startedAt"]
    assert task["containers"][0]["imageDigest"].startswith("sha256:")
    assert here.until(lambda: here.output() == ["listening"])


def test_a_task_that_left_its_target_group_is_counted_no_longer(here: Bench) -> None:
    """Before the scheduler looks again: else an empty group and a running task would stand side by side."""
    here.create()
    assert here.settle()
    here.reconciler.stop(SERVICE)
    service = here.service()
    assert service["runningCount"] == 0
    assert [one["runningCount"] for one in service["deployments"]] == [0]


def test_a_deployment_that_fails_is_rolled_back(here: Bench) -> None:
    """Three tasks that die, then the last completed deployment is the primary again; its task serves on."""
    here.create()
    assert here.settle()
    before, good = here.tasks("RUNNING"), here.service()["taskDefinition"]
    here.deploy(image=here.identity.image("gateway", "crashes"))
    assert here.settle()
    assert here.rollouts() == [STEADY]
    assert [task["taskArn"] for task in here.tasks("RUNNING")] == [task["taskArn"] for task in before]
    assert here.service()["taskDefinition"] == good
    assert here.endings() == [EXITED] * 3
    assert here.events()[-5:] == [
        f"(service {SERVICE}) deregistered 1 targets in (target-group G)",
        f"(service {SERVICE}) (deployment D) deployment failed: tasks failed to start.",
        f"(service {SERVICE}) rolling back to deployment D.",
        f"(service {SERVICE}) (deployment D) deployment completed.",
        f"(service {SERVICE}) has reached a steady state.",
    ]
    assert sum("ModuleNotFoundError" in line for line in here.output()) == 3


def test_a_rollback_starts_what_was_ended_at_once(here: Bench) -> None:
    """The old task was ended before the new one came: the rollback starts the old revision anew."""
    here.create()
    assert here.settle()
    here.deploy(image=here.identity.image("gateway", "missing"))
    here.reconciler.end_old(SERVICE)
    assert here.settle()
    assert here.rollouts() == [STEADY]
    (task,) = here.tasks("RUNNING")
    assert task["taskDefinitionArn"].endswith(":1")
    assert [ending[0] for ending in here.endings()] == [
        "ServiceSchedulerInitiated", *["TaskFailedToStart"] * 3,
    ]  # fmt: skip
    assert f"(service {SERVICE}) is unable to consistently start tasks successfully." in here.events()


def test_without_a_circuit_breaker_it_fails_on_and_on(here: Bench) -> None:
    """The old task serves, the new deployment stays in progress and counts; a good revision ends it."""
    here.create(breaker=False)
    assert here.settle()
    here.deploy(image=here.identity.image("gateway", "hungry"))
    assert here.settle()
    assert here.until(lambda: here.rollouts()[0][2] >= 4)
    assert [one[:2] for one in here.rollouts()] == [("PRIMARY", "IN_PROGRESS"), ("ACTIVE", "COMPLETED")]
    out_of_memory = here.tasks("STOPPED")[0]
    assert here.endings()[0] == ("EssentialContainerExited", "Essential container in task exited", 137)
    assert out_of_memory["containers"][0]["reason"] == (
        "OutOfMemoryError: Container killed due to memory usage"
    )
    here.deploy()
    assert here.settle()
    assert here.rollouts() == [STEADY]


def test_without_a_completed_deployment_it_stalls(here: Bench) -> None:
    """There is nothing to go back to: FAILED, and nothing more is started."""
    here.create(image=here.identity.image("gateway", "wrong-architecture"))
    assert here.settle()
    assert here.rollouts() == [("PRIMARY", "FAILED", 3, 0)]
    assert here.service()["deployments"][0]["rolloutStateReason"] == (
        "ECS deployment circuit breaker: tasks failed to start."
    )
    here.until(lambda: False, 1.0)
    assert len(here.endings()) == 3
    assert here.output() == ["exec /usr/local/bin/uvicorn: exec format error"] * 3


@quickly
def test_a_new_task_that_the_load_balancer_refuses_never_replaces_the_old_one(here: Bench) -> None:
    """Stage 2 of the circuit breaker: new tasks run and fail their health checks; the old one serves on."""
    here.create(grace_s=0)
    assert here.settle()
    old = here.tasks("RUNNING")[0]["taskArn"]
    here.deploy(environment={"SLEEP_S": "60"})
    assert here.until(lambda: here.rollouts() == [STEADY], 25.0)
    assert [task["taskArn"] for task in here.tasks("RUNNING")] == [old]
    assert here.endings() == [ELB] * 3
    assert (
        f"(service {SERVICE}) (task T) (port {PORT}) is unhealthy in (target-group G) "
        "due to (reason Health checks failed)."
    ) in here.events()


@quickly
def test_slow_start_without_grace_is_a_loop_of_kills(here: Bench) -> None:
    """One after the other is killed, whether or not it came to listen meanwhile; with grace it comes up."""
    here.create(grace_s=0, breaker=False, environment={"SLEEP_S": "1.0"})
    assert here.until(lambda: len(here.endings()) >= 2, 20.0)
    assert set(here.endings()) == {ELB}
    here.update(healthCheckGracePeriodSeconds=60)
    assert here.until(lambda: here.rollouts() == [STEADY])


@quickly
def test_an_unhealthy_task_goes_after_its_replacement_is_healthy(here: Bench) -> None:
    """As AWS replaces unhealthy tasks since October 2023, at 200 % maximum."""
    here.create(grace_s=0)
    assert here.settle()
    sick = here.tasks("RUNNING")[0]["taskArn"]
    here.verdict = UNHEALTHY
    assert here.until(lambda: len(here.tasks("RUNNING")) == 2)
    assert here.endings() == []
    here.verdict = HEALTHY
    assert here.until(lambda: here.endings() == [ELB])
    assert here.settle()
    assert [task["taskArn"] == sick for task in here.tasks("RUNNING")] == [False]


@quickly
def test_a_target_that_somebody_deregistered_is_no_matter_of_ecs(here: Bench) -> None:
    """As in August 2025: the task runs on, whatever is registered in its place; a new one brings its own."""
    here.create(grace_s=0)
    assert here.settle()
    (task,) = here.tasks("RUNNING")
    ip = task["attachments"][0]["details"][1]["value"]
    here.elbv2.deregister_targets(TargetGroupArn=here.group, Targets=[{"Id": ip, "Port": PORT}])
    here.elbv2.register_targets(TargetGroupArn=here.group, Targets=[{"Id": ip, "Port": 9000}])
    here.until(lambda: False, 1.0)
    assert here.reconciler.settled()
    assert (here.endings(), here.rollouts()) == ([], [STEADY])


def test_no_task_is_killed_within_its_grace_period(here: Bench) -> None:
    """Unhealthy from the start, and left alone: 120 s are 24 here."""
    here.create()
    here.verdict = UNHEALTHY
    here.until(lambda: False, 3.0)
    assert (here.endings(), len(here.tasks("RUNNING"))) == ([], 1)
    assert here.reconciler.settled()


def test_a_container_that_fails_its_own_check_is_replaced(here: Bench) -> None:
    """The command is asked of the task's address; UNHEALTHY after the retries, then stopped."""
    check = {"command": ["CMD-SHELL", f"curl -f http://localhost:{PORT}/health || exit 1"],
             "interval": 5, "timeout": 2, "retries": 1}  # fmt: skip
    here.create(grace_s=0, breaker=False, healthCheck=check, environment={"STATUS": "503"})
    assert here.until(lambda: len(here.endings()) >= 1, 10.0)
    assert here.endings()[0] == ("ServiceSchedulerInitiated", "Task failed container health checks", 143)
    assert f"(service {SERVICE}) (task T) failed container health checks." in here.events()
    stopped = here.tasks("STOPPED")[0]
    assert (stopped["healthStatus"], stopped["containers"][0]["healthStatus"]) == ("UNHEALTHY", "UNHEALTHY")
    here.deploy(healthCheck=check)
    assert here.until(lambda: here.rollouts() == [STEADY])
    assert here.tasks("RUNNING")[0]["healthStatus"] == "HEALTHY"


def test_a_crash_is_a_crash_loop(here: Bench) -> None:
    """No process comes back; each pause shows one more stopped task with the same words."""
    here.create()
    assert here.settle()
    here.reconciler.crash(SERVICE, 3, "boom", ["Traceback", "KeyError: x"], keep_target=False)
    assert here.settle()
    assert here.until(lambda: len(here.endings()) >= 4)
    assert set(here.endings()) == {("EssentialContainerExited", "boom", 3)}
    assert here.tasks("RUNNING") == []
    assert here.output().count("KeyError: x") == len(here.endings())
    assert here.events()[-1] == f"(service {SERVICE}) has started 1 tasks: (task T)."
    here.update(forceNewDeployment=True)
    assert here.settle()
    assert here.rollouts() == [STEADY]


def test_a_crash_for_memory_is_the_containers_reason(here: Bench) -> None:
    """As AWS shows it; the task only says that its container ended."""
    here.create()
    assert here.settle()
    why = "OutOfMemoryError: Container killed due to memory usage"
    here.reconciler.crash(SERVICE, 137, why, [], keep_target=False)
    (task,) = here.tasks("STOPPED")
    assert (task["stoppedReason"], task["containers"][0]["reason"]) == (
        "Essential container in task exited", why,
    )  # fmt: skip


def test_a_service_that_was_stopped_stays_quiet(here: Bench) -> None:
    """Nothing starts and nothing is told until there is a new deployment."""
    here.create()
    assert here.settle()
    here.reconciler.stop(SERVICE)
    assert here.settle()
    said = here.events()
    here.until(lambda: False, 1.0)
    assert (here.tasks("RUNNING"), here.events(), here.rollouts()[0][3]) == ([], said, 0)
    here.update(forceNewDeployment=True)
    assert here.settle()
    assert here.rollouts() == [STEADY]


def test_stopped_tasks_are_shown_for_an_hour(here: Bench) -> None:
    """An hour of the platform is 720 s here."""
    here.create()
    assert here.settle()
    here.reconciler.stop(SERVICE)
    here.ahead = timedelta(seconds=710)
    here.reconciler._tasks.forget_old()
    assert len(here.tasks("STOPPED")) == 1
    here.ahead = timedelta(seconds=721)
    assert here.until(lambda: here.tasks("STOPPED") == [], 8.0)


def test_replicas_have_addresses_of_their_own(here: Bench) -> None:
    """Two wanted, two targets; scaled to none, none; the deployment is the same one."""
    here.create(desired=2)
    assert here.settle()
    addresses = {task["attachments"][0]["details"][1]["value"] for task in here.tasks("RUNNING")}
    assert (len(addresses), here.service()["runningCount"]) == (2, 2)
    here.update(desiredCount=0)
    assert here.settle()
    assert (here.service()["runningCount"], len(here.service()["deployments"])) == (0, 1)
    assert {ending[0] for ending in here.endings()} == {"ServiceSchedulerInitiated"}


def test_a_task_that_a_user_stops_is_replaced(here: Bench) -> None:
    """With the user's reason."""
    here.create()
    assert here.settle()
    first = here.tasks("RUNNING")[0]["taskArn"]
    here.ecs.stop_task(cluster="bench", task=first, reason="because")
    assert here.until(lambda: here.endings() == [("UserInitiated", "because", 143)])
    assert here.settle()
    assert [task["taskArn"] == first for task in here.tasks("RUNNING")] == [False]


def test_a_lost_task_of_the_version_that_runs_is_replaced_during_a_failing_deployment(here: Bench) -> None:
    """By the same version, as AWS does since November 2025; without a breaker the other keeps failing."""
    here.create(breaker=False)
    assert here.settle()
    here.deploy(image=here.identity.image("gateway", "crashes"))
    assert here.settle()
    here.ecs.stop_task(cluster="bench", task=here.tasks("RUNNING")[0]["taskArn"])
    assert here.until(lambda: ("UserInitiated", "Task stopped by user", 143) in here.endings())
    assert here.until(lambda: len(here.tasks("RUNNING")) == 1)
    assert here.tasks("RUNNING")[0]["taskDefinitionArn"].endswith(":1")


def test_an_update_during_a_deployment_supersedes_it(here: Bench) -> None:
    """The deployment in between ends with its tasks; only the last one completes."""
    here.create()
    assert here.settle()
    here.deploy(environment={"SLEEP_S": "60"})
    assert here.until(lambda: len(here.tasks("RUNNING")) == 2)
    here.deploy(environment={"STATUS": "204"})
    assert here.settle()
    assert here.rollouts() == [STEADY]
    assert here.tasks("RUNNING")[0]["taskDefinitionArn"].endswith(":3")


def test_a_deregistered_revision_still_runs(here: Bench) -> None:
    """INACTIVE or being deleted, and a lost task of it is started again; nobody can deploy it any more."""
    here.create()
    assert here.settle()
    here.ecs.deregister_task_definition(taskDefinition="api:1")
    here.ecs.delete_task_definitions(taskDefinitions=["api:1"])
    with pytest.raises(here.ecs.exceptions.ClientException, match="TaskDefinition is inactive"):
        here.update(taskDefinition="api:1")
    with pytest.raises(here.ecs.exceptions.ClusterContainsServicesException):
        here.ecs.delete_cluster(cluster="bench")
    here.ecs.stop_task(cluster="bench", task=here.tasks("RUNNING")[0]["taskArn"])
    assert here.until(lambda: len(here.endings()) == 1)
    assert here.settle()
    assert here.rollouts() == [STEADY]


def test_a_role_that_nobody_may_assume_makes_no_task(here: Bench) -> None:
    """Only an event tells; the old task serves on."""
    here.create(breaker=False)
    assert here.settle()
    role = here.roles.execution.replace("ecs-execution", "no-such-role")
    here.deploy(executionRoleArn=role)
    assert here.settle()
    assert here.endings() == []
    assert (
        f"(service {SERVICE}) failed to launch a task with (error ECS was unable to assume the role '{role}' "
        "that was provided for this task. Please verify that the role being passed has the proper trust "
        "relationship and permissions and that your IAM user has permissions to pass this role.)."
    ) in here.events()


def test_an_image_for_the_other_processor_runs_there(here: Bench) -> None:
    """The revision's platform decides: ARM64 runs what X86_64 cannot."""
    here.create(
        image=here.identity.image("gateway", "wrong-architecture"),
        runtimePlatform={"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    )
    assert here.settle()
    assert here.rollouts() == [STEADY]


def test_a_log_group_that_goes_does_not_stop_a_task(here: Bench) -> None:
    """A task that runs goes on; a new one cannot start."""
    here.create(breaker=False)
    assert here.settle()
    here.logs.delete_log_group(logGroupName=GROUP)
    here.until(lambda: False, 0.3)
    assert here.rollouts() == [STEADY]
    here.update(forceNewDeployment=True)
    assert here.settle()
    assert here.endings()[-1] == (
        "TaskFailedToStart",
        (
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 "
            "times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log "
            "group does not exist. : exit status 1"
        ),
        None,
    )
