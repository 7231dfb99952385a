"""What is a root and what its consequence, and what proves nothing: tasks, rollbacks, targets."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from _deaths import (
    ARN,
    DENIED_SECRET,
    DOWN,
    EXITED,
    KILLED,
    NO_PARAMETER,
    NOW,
    ROLLED_BACK,
    TOKEN,
    alive,
    dead,
    ecs_inside,
    minutes,
    revision,
    stopped,
    store_facts,
    task_facts,
    used_facts,
)  # fmt: skip
from _facts import (
    discovery_facts,
    group,
    group_facts,
    outside,
    security_facts,
    unavailable,
)  # fmt: skip
from test_diagnoses import behind_auth, behind_gateway, concluded, mlflow_unreached

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import Conclusion
from hokusai_probe.model import Facts
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.ecs_services import Rollout, ServiceEvent
from hokusai_probe.probes.ecs_tasks import RunningTask, ServiceTasks, StoppedTask
from hokusai_probe.probes.security_groups import SecurityGroupsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts

RDS = DatabaseInstanceFacts(
    name="db", status="available", host="db.rds", port=5432, engine="postgres", database="m", master="p"
)
NO_DATABASE = "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection timeout expired"
UNHEALTHY = "Task failed ELB health checks in (target-group x)"
State = Mapping[str, Facts]


def told(found: Conclusion) -> dict[str, str | None]:
    """What is present, and what caused it."""
    return {d.cause: d.caused_by for d in found.diagnoses if d.status == "present"}


def seen(real: Catalogue, facts: State) -> dict[str, str | None]:
    """What these facts come to."""
    found = concluded(real, facts.values())
    assert found.errors == ()
    return told(found)


def roots(real: Catalogue, facts: State) -> set[str]:
    """The present causes that nothing else caused."""
    return {cause for cause, root in seen(real, facts).items() if root is None}


def shut(part: str) -> SecurityGroupsFacts:
    """Security groups of which one admits nobody."""
    facts = security_facts()
    (name,) = facts.parts[part].groups
    closed = facts.groups[name].model_copy(update={"ingress": ()})
    return facts.model_copy(update={"groups": {**facts.groups, name: closed}})


def gateway(*tasks: StoppedTask, **more: Facts) -> State:
    """The gateway is gone; these are its tasks that stopped."""
    inside = ecs_inside({"gateway": DOWN}, task_facts(gateway=stopped(*tasks)), **more)
    return {**behind_gateway(unavailable()), **inside}


def mlflow(*words: str, reason: str = EXITED, **more: Facts) -> State:
    """MLflow's tasks end one after another with these words."""
    tasks = [dead(reason, *words, ago=ago, exit_code=1) for ago in (2, 4, 6)]
    given = {
        "target_groups": group_facts(mlflow=group("mlflow")),
        "service_discovery": discovery_facts(mlflow=()),
    }
    inside = ecs_inside(
        {"mlflow": DOWN}, task_facts(mlflow=stopped(*tasks, service="mlflow")), **(given | more)
    )
    return {**mlflow_unreached(), **inside}


def rolled(*tasks: StoppedTask, **more: Facts) -> State:
    """A gateway that serves, after a deployment of which these tasks are left."""
    now = task_facts(gateway=ServiceTasks(running=(alive("gateway"),), stopped=tasks))
    return {**outside(), **ecs_inside({"gateway": ROLLED_BACK}, now, **more)}


def killed(*words: str, ago: float = 5, life_s: float = 30) -> StoppedTask:
    """A task that ECS stopped for its health checks."""
    return dead(UNHEALTHY, *words, ago=ago, life_s=life_s, exit_code=137)


# --- what caused what ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "root"),
    [
        ({"database_instance": RDS.model_copy(update={"status": "stopped"})}, "database-unavailable"),
        ({"database_instance": RDS, "security_groups": shut("database")}, "security-group-blocks-database"),
    ],
)
def test_a_database_that_is_not_reached_takes_mlflows_tasks_along(
    real: Catalogue, more: State, root: str
) -> None:
    """Its last words are of the database: all of it follows, and nothing beside it stays open."""
    found = concluded(real, mlflow(NO_DATABASE, **more).values())
    assert {c for c, by in told(found).items() if by is None} == {root}
    assert [d.cause for d in found.diagnoses if d.status == "undecided"] == []
    assert "mlflow-tasks-run" not in found.unexplained


def test_a_crash_of_its_own_beside_a_stopped_database_is_a_root(real: Catalogue) -> None:
    """Words of something else: two faults."""
    stopped_one = RDS.model_copy(update={"status": "stopped"})
    found = roots(real, mlflow("ImportError: boto3", database_instance=stopped_one))
    assert found == {"database-unavailable", "tasks-crash-at-start"}


@pytest.mark.parametrize(
    ("tasks", "by"),
    [
        ((killed(),), "security-group-blocks-cache"),
        ((), "security-group-blocks-cache"),
        ((dead(EXITED, "redis.exceptions.TimeoutError", exit_code=1),), "security-group-blocks-cache"),
        ((dead(EXITED, "ImportError: x", exit_code=1),), None),
        ((dead(KILLED, exit_code=137),), "task-out-of-memory"),
    ],
)
def test_a_rollback_is_laid_at_the_door_of_what_its_tasks_died_of(
    real: Catalogue, tasks: tuple[StoppedTask, ...], by: str | None
) -> None:
    """INC-43: the gateway may not connect to its cache; tasks that died of something else are not."""
    found = seen(real, rolled(*tasks, security_groups=shut("cache")))
    assert (found["security-group-blocks-cache"], found["deployment-rolled-back"]) == (None, by)


def test_one_rollback_that_is_explained_does_not_explain_another(real: Catalogue) -> None:
    """Auth's new tasks lack a parameter; why the gateway was rolled back is not seen."""
    one = dead(NO_PARAMETER, life_s=None, ago=4, revision="auth:2")
    tasks = task_facts(auth=ServiceTasks(running=(alive("auth"),), stopped=(one,)))
    facts = {**outside(), **ecs_inside({"auth": ROLLED_BACK, "gateway": ROLLED_BACK}, tasks)}
    found = concluded(real, facts.values()).diagnoses
    assert {(d.cause, d.subjects, d.caused_by) for d in found if d.status == "present"} == {
        ("parameter-missing", ("auth",), None),
        ("deployment-rolled-back", ("auth",), "parameter-missing"),
        ("deployment-rolled-back", ("gateway",), None),
    }


@pytest.mark.parametrize("more", [{}, {"secret_refs": {"HF": f"{ARN}:hokusai/hf-RANDOM"}}])
def test_a_secret_that_is_not_there_is_refused_by_a_narrow_policy(
    real: Catalogue, more: dict[str, Any]
) -> None:
    """INC-38: no permission would help, whether or not the revision in use names it."""
    tasks = [
        dead(DENIED_SECRET.replace(TOKEN, f"{ARN}:hokusai/hf-RANDOM"), life_s=None, ago=a) for a in (5, 9)
    ]
    facts = gateway(*tasks, task_definitions=used_facts(gateway=revision(1, **more)))
    assert roots(real, facts) == {"secret-missing-or-misnamed"}


def test_a_parameter_that_is_not_there_is_refused_by_a_narrow_policy(real: Catalogue) -> None:
    """The same with SSM."""
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/hokusai/redis/port"
    text = DENIED_SECRET.replace(TOKEN, arn).replace("secretsmanager:GetSecretValue", "ssm:GetParameters")
    tasks = [dead(text, life_s=None, ago=ago) for ago in (5, 9)]
    stores = store_facts(TOKEN, parameters=("/hokusai/other",))
    assert roots(real, gateway(*tasks, secrets_and_parameters=stores)) == {"parameter-missing"}


def test_a_role_is_given_what_the_task_names_and_no_more(real: Catalogue) -> None:
    """What it was refused, and the other secrets of the task definition: no wildcard."""
    other = f"{ARN}:hokusai/db-a1b2c3"
    one = revision(
        1, secret_refs={"A": TOKEN, "B": f"{other}:password::"}, execution_role="arn:x:role/execution"
    )
    facts = gateway(
        *[dead(DENIED_SECRET, life_s=None, ago=ago) for ago in (5, 9)],
        task_definitions=used_facts(gateway=one),
        secrets_and_parameters=store_facts(TOKEN, other),
    )
    found = concluded(real, facts.values()).diagnoses
    (remedy,) = [
        d.remedy for d in found if d.cause == "execution-role-lacks-permission" and d.status == "present"
    ]
    assert remedy is not None
    assert f'"Resource": ["{TOKEN}", "{other}"]' in " ".join(remedy.aws_cli)


# --- what proves nothing ------------------------------------------------------------------------------

STARTING = ("INFO:     Waiting for application startup.", "INFO:     connecting to redis")


@pytest.mark.parametrize(
    ("words", "life_s", "present"),
    [
        (STARTING, 90, True),
        (STARTING, 900, False),
        (STARTING, 1200, False),
        (("INFO 10.0.1.3 GET /health 200", "INFO loading model 30"), 90, False),
        (("redis.exceptions.TimeoutError: Timeout connecting to server",), 90, False),
    ],
)
def test_a_task_that_served_or_lived_long_was_not_killed_at_its_start(
    real: Catalogue, words: tuple[str, ...], life_s: float, present: bool
) -> None:
    """INC-43 was no slow start: the tasks had served for long."""
    facts = gateway(*(killed(*words, ago=ago, life_s=life_s) for ago in (5, 30, 55)))
    assert ("health-check-kills-slow-start" in seen(real, facts)) is present


def test_a_start_that_hangs_at_a_cache_that_is_barred_is_a_consequence(real: Catalogue) -> None:
    """The security group is the root."""
    tasks = [killed(*STARTING, ago=ago) for ago in (5, 7)]
    assert roots(real, gateway(*tasks, security_groups=shut("cache"))) == {"security-group-blocks-cache"}


@pytest.mark.parametrize(("words", "code"), [((), 1), (("INFO loading 70%",), 137), (("INFO loading",), 143)])
def test_a_crash_without_words_or_by_a_signal_proves_no_fault_of_the_program(
    real: Catalogue, words: tuple[str, ...], code: int
) -> None:
    """It stays open."""
    facts = gateway(*(dead(EXITED, *words, ago=ago, exit_code=code) for ago in (5, 8, 11)))
    assert "tasks-crash-at-start" not in seen(real, facts)


def rollout(ago: float, state: str) -> Rollout:
    """The one deployment of a service."""
    return Rollout(id="ecs-svc/1", status="PRIMARY", state=state, created_at=minutes(ago))


FAILS = ServiceEvent(at=minutes(1), text="was unable to place a task: no instance met all of its needs.")
GONE = StoppedTask(
    id="x", revision="auth:1", stop_code="UserInitiated", reason="by user", stopped_at=minutes(0.5)
)


@pytest.mark.parametrize(
    ("service", "tasks", "present"),
    [
        ({"desired": 2, "running": 1, "pending": 1, "rollouts": (rollout(1, "IN_PROGRESS"),)}, (), False),
        ({"running": 0, "pending": 1, "rollouts": (rollout(900, "COMPLETED"),)}, (GONE,), False),
        ({"running": 0, "rollouts": (rollout(900, "COMPLETED"),)}, (GONE,), False),
        ({"running": 0, "rollouts": (rollout(900, "COMPLETED"),)}, (), True),
        (
            {"running": 0, "pending": 1, "rollouts": (rollout(1, "IN_PROGRESS"),), "history": (FAILS,)},
            (),
            True,
        ),
    ],
)
def test_tasks_that_are_on_their_way_are_not_missing(
    real: Catalogue,
    service: dict,
    tasks: tuple[StoppedTask, ...],
    present: bool,  # type: ignore[type-arg]
) -> None:
    """Unless ECS says that it cannot make them, or nothing has moved for minutes."""
    inside = ecs_inside({"auth": service}, task_facts(auth=ServiceTasks(stopped=tasks)))
    found = seen(real, {**behind_auth(unavailable()), **inside})
    assert ("ecs-service-short-of-tasks" in found) is present


def test_a_name_is_empty_while_its_tasks_come_and_go(real: Catalogue) -> None:
    """Between two tasks that die none is registered: nothing is wrong with the name."""
    deaths = tuple(dead(EXITED, ago=a, revision="mlflow:1", exit_code=1, life_s=20) for a in (1, 3, 5))
    now = RunningTask(id="r", revision="mlflow:1", started_at=NOW - timedelta(seconds=1))
    tasks = task_facts(mlflow=ServiceTasks(running=(now,), stopped=deaths))
    inside = ecs_inside({"mlflow": {"running": 1, "rollouts": (rollout(900, "COMPLETED"),)}}, tasks)
    lost = {"service_discovery": discovery_facts(mlflow=())}
    assert "service-discovery-name-missing" not in seen(real, {**mlflow_unreached(), **inside, **lost})


# --- targets ------------------------------------------------------------------------------------------


def targets(service: str, *states: str) -> TargetGroupsFacts:
    """The group of a service with targets of these states; unhealthy ones answered 404."""
    facts = group_facts()
    said = {"unhealthy": ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")}
    (mine,) = facts.of(service)
    seen_ = tuple(
        mine.targets[0].model_copy(
            update={"id": f"10.0.9.{n}", "state": s, "reason": said.get(s, ("", ""))[0]}
            | {"description": said.get(s, ("", ""))[1]}
        )
        for n, s in enumerate(states)
    )
    asked = mine.model_copy(update={"targets": seen_, "health_path": "/healthz"})
    return facts.model_copy(update={"groups": tuple(asked if g is mine else g for g in facts.groups)})


@pytest.mark.parametrize("states", [("unhealthy",), ("unhealthy", "initial"), ("unhealthy", "draining")])
def test_a_target_that_was_not_asked_yet_does_not_hide_what_the_others_answer(
    real: Catalogue, states: tuple[str, ...]
) -> None:
    """While ECS replaces the task that is refused there is a new one beside it."""
    facts = {**outside(), **ecs_inside(target_groups=targets("gateway", *states))}
    assert "health-check-path-wrong" in seen(real, facts)


@pytest.mark.parametrize("states", [("initial",), ("draining", "initial"), ("draining",)])
def test_targets_that_nobody_has_asked_do_not_rule_a_wrong_path_out(
    real: Catalogue, states: tuple[str, ...]
) -> None:
    """Neither present nor denied."""
    groups = targets("gateway", *states)
    mixed = groups.model_copy(update={"groups": tuple(g for g in groups.groups if g.service == "gateway")})
    found = concluded(real, {**outside(), **ecs_inside(target_groups=mixed)}.values()).diagnoses
    assert "health-check-path-wrong" not in {d.cause for d in found}


def test_mlflows_own_group_is_judged_although_its_api_works(real: Catalogue) -> None:
    """Requests go by its private name, past the group."""
    groups = group_facts()
    (mine,) = groups.of("mlflow")
    for wrong, cause in (
        (
            tuple(t.model_copy(update={"port": 5001, "state": "unhealthy"}) for t in mine.targets),
            "target-port-mismatch",
        ),
        ((), "target-group-empty"),
    ):
        one = mine.model_copy(update={"targets": wrong})
        facts = groups.model_copy(update={"groups": tuple(one if g is mine else g for g in groups.groups)})
        assert roots(real, {**outside(), **ecs_inside(target_groups=facts)}) == {cause}
