"""What ECS shows, made by hand: one cause is named, its look-alikes are not, and without AWS nothing is."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from _deaths import (
    DENIED_SECRET,
    DOWN,
    EXITED,
    KILLED,
    NO_GROUP,
    NO_IMAGE,
    NO_PARAMETER,
    NO_SECRET,
    ROLLED_BACK,
    STALLED,
    TOKEN,
    UNHEALTHY,
    alive,
    dead,
    ecs_inside,
    family_facts,
    image_facts,
    minutes,
    revision,
    store_facts,
    task_facts,
    used_facts,
)
from _evidence import unfounded
from _facts import OUTSIDE, answer, ecs_facts, gone, group, group_facts, outside, refusal, unavailable
from test_diagnoses import behind_auth, behind_gateway, concluded, lines, named
from test_remedies import bare_brackets, is_good_shell, unset

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import Conclusion
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.ecs_tasks import ServiceTasks, StoppedTask
from hokusai_probe.probes.revisions import Family
from hokusai_probe.probes.serving import ServingFacts

State = dict[str, Facts]
EMPTY = group_facts(gateway=group("gateway"))
ROLE = {"task_definitions": used_facts(gateway=revision(1, execution_role="arn:aws:iam::1:role/execution"))}
START: Mapping[str, Any] = {"life_s": None}
NONE_WANTED: Mapping[str, Any] = {"desired": 0, "running": 0}


def down(*tasks: StoppedTask, **more: Facts) -> State:
    """The gateway has no task left; these are those that stopped."""
    used = {"task_definition": tasks[0].revision} if tasks else {}
    inside = ecs_inside(
        {"gateway": {**DOWN, **used}},
        task_facts(gateway=ServiceTasks(stopped=tasks)),
        target_groups=EMPTY,
        **more,
    )
    return behind_gateway(unavailable()) | inside


def quiet(*given: Any, **more: Facts) -> State:
    """Outside eyes see nothing; ECS is in this state."""
    return outside() | ecs_inside(*given, **more)


def serving(state: Mapping[str, Any], *tasks: StoppedTask, **more: Facts) -> State:
    """The gateway serves with its old revision; these tasks of a newer one stopped."""
    newer = tuple(t.model_copy(update={"revision": "gateway:2"}) for t in tasks)
    facts = task_facts(gateway=ServiceTasks(running=(alive("gateway"),), stopped=newer))
    return quiet({"gateway": state}, facts, **more)


def twice(reason: str = EXITED, *words: str, **more: Any) -> tuple[StoppedTask, StoppedTask]:
    """Two tasks that stopped like this."""
    return dead(reason, *words, **more), dead(reason, *words, ago=6, **more)


TRACEBACK = ("Traceback (most recent call last):", "SyntaxError: '(' was never closed")
BLAMES = ("FATAL: password authentication failed for user",)
STARTING = ("INFO:     Waiting for application startup.", "INFO:     connecting to postgres")
LOST_SECRET = {
    "task_definitions": used_facts(gateway=revision(2)),
    "revisions": family_facts(
        gateway=Family(
            name="gateway",
            newest=revision(2),
            earlier=(revision(1, secrets=("HF_TOKEN",), secret_refs={"HF_TOKEN": TOKEN}),),
        )
    ),
}
SECOND = {"gateway": {"task_definition": "gateway:2"}}
BEFORE = revision(1, names=("CONTRIBUTIONS_BUCKET",), addresses={"CONTRIBUTIONS_BUCKET": "b"})
LOST_VARIABLE = {
    "task_definitions": used_facts(gateway=revision(2)),
    "revisions": family_facts(gateway=Family(name="gateway", newest=revision(2), earlier=(BEFORE,))),
}
WAITING = family_facts(
    gateway=Family(name="gateway", newest=revision(2, registered_at=minutes(5))),
)
MISNAMED = used_facts(gateway=revision(1, secrets=("T",), secret_refs={"T": f"{TOKEN[:-7]}-RANDOM:key::"}))
ASKS = used_facts(gateway=revision(1, secrets=("P",), secret_refs={"P": "/hokusai/redis/port"}))
MOVED = {"digest": "sha256:2", "pushed_at": minutes(5)}
RUNS = task_facts(
    gateway=ServiceTasks(running=(alive("gateway", image="r/gateway:x", digest="sha256:1"),)),
)

STORIES: dict[str, tuple[State, list[str]]] = {
    "well": (quiet(), []),
    "scaled to zero": (
        behind_gateway(unavailable())
        | ecs_inside(
            {"gateway": {"desired": 0, "running": 0}}, task_facts(gateway=ServiceTasks()), target_groups=EMPTY
        ),
        ["confirmed ecs-service-scaled-to-zero gateway"],
    ),
    "no task, no reason": (down(), ["confirmed ecs-service-short-of-tasks gateway"]),
    "no log group": (down(*twice(NO_GROUP, **START)), ["confirmed ecs-service-short-of-tasks gateway"]),
    "a traceback": (
        down(*twice(EXITED, *TRACEBACK, exit_code=1)),
        ["confirmed tasks-crash-at-start gateway"],
    ),
    "exec format error": (
        down(*twice(EXITED, "exec /bin/x: exec format error", exit_code=1)),
        ["confirmed image-wrong-architecture gateway"],
    ),
    "no such image": (down(*twice(NO_IMAGE, **START)), ["confirmed image-cannot-be-pulled gateway"]),
    "out of memory": (
        down(*twice(EXITED, exit_code=137, container_reason=KILLED)),
        ["confirmed task-out-of-memory gateway"],
    ),
    "a slow start": (
        down(*twice(UNHEALTHY, *STARTING, exit_code=137)),
        ["confirmed health-check-kills-slow-start gateway"],
    ),
    "denied": (
        down(*twice(DENIED_SECRET, **START), **ROLE),
        ["confirmed execution-role-lacks-permission gateway"],
    ),
    "no secret": (down(*twice(NO_SECRET, **START)), ["confirmed secret-missing-or-misnamed gateway"]),
    "no parameter": (down(*twice(NO_PARAMETER, **START)), ["confirmed parameter-missing gateway"]),
    "rolled back": (
        serving(ROLLED_BACK, *twice(EXITED, *TRACEBACK, exit_code=1)),
        ["confirmed deployment-rolled-back gateway"],
    ),
    "rolled back, long ago": (serving(ROLLED_BACK), ["confirmed deployment-rolled-back gateway"]),
    "rolled back for want of a parameter": (
        serving(ROLLED_BACK, dead(NO_PARAMETER, life_s=None)),
        ["confirmed parameter-missing gateway", "confirmed deployment-rolled-back gateway"],
    ),
    "never deployed": (quiet(revisions=WAITING), ["confirmed deployment-had-no-effect gateway"]),
    "a newer image": (
        quiet(tasks=RUNS, images=image_facts(gateway=MOVED)),
        ["confirmed deployment-had-no-effect gateway"],
    ),
    "a lost secret": (quiet(SECOND, **LOST_SECRET), ["likely task-definition-lacks-secret gateway"]),
    "a lost variable": (quiet(SECOND, **LOST_VARIABLE), ["likely task-definition-lacks-variable gateway"]),
    "a crash for want of a secret": (
        down(*twice(EXITED, "ERROR: HF token not found", exit_code=1, revision="gateway:2"), **LOST_SECRET),
        ["confirmed task-definition-lacks-secret gateway", "confirmed tasks-crash-at-start gateway"],
    ),
    "a secret that is gone, and nobody noticed": (
        quiet(task_definitions=MISNAMED),
        ["confirmed secret-missing-or-misnamed gateway"],
    ),
    "a parameter that is gone, and nobody noticed": (
        quiet(task_definitions=ASKS, secrets_and_parameters=store_facts(TOKEN)),
        ["confirmed parameter-missing gateway"],
    ),
    "an image that is gone, and nobody noticed": (
        quiet(images=image_facts(gateway={"missing": True})),
        ["confirmed image-cannot-be-pulled gateway"],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_with_aws_exactly_the_cause_is_named(real: Catalogue, name: str) -> None:
    """Each ending has one owner; what fails follows from it, and what it cites stands in the facts."""
    facts, expected = STORIES[name]
    found = concluded(real, facts.values())
    assert (lines(found, "present"), lines(found, "undecided"), found.errors) == (expected, [], ())
    assert {c for c in found.unexplained if not c.startswith(("experiment-can", "run-", "model-"))} == set()
    assert unfounded(found.diagnoses, facts.values()) == []


THEIRS = {
    "ecs-service-scaled-to-zero",
    "ecs-service-short-of-tasks",
    "tasks-crash-at-start",
    "image-wrong-architecture",
    "image-cannot-be-pulled",
    "task-out-of-memory",
    "health-check-kills-slow-start",
    "execution-role-lacks-permission",
    "secret-missing-or-misnamed",
    "parameter-missing",
}


def test_without_aws_all_that_keeps_tasks_away_stays_open(real: Catalogue) -> None:
    """A 503 of the load balancer names none of them, and denies none."""
    found = concluded(real, behind_auth(unavailable()).values(), OUTSIDE)
    assert named(found, "present") == {"auth-service-down"}
    assert named(found, "undecided") >= THEIRS


def test_a_service_that_is_well_rules_all_of_them_out(real: Catalogue) -> None:
    """ECS was asked, and nothing is the matter."""
    found = concluded(real, quiet().values())
    assert THEIRS | {"deployment-rolled-back", "deployment-had-no-effect"} <= named(found, "ruled_out")


def present(facts: State, real: Catalogue) -> tuple[Conclusion, set[str]]:
    """The conclusion and its present causes."""
    found = concluded(real, facts.values())
    return found, named(found, "present")


def test_a_program_that_blames_its_database_does_not_crash_for_its_own_sake(real: Catalogue) -> None:
    """The crash stays open: what the log names lies deeper."""
    found, causes = present(down(*twice(EXITED, *BLAMES, exit_code=1)), real)
    assert "tasks-crash-at-start" not in causes
    assert named(found, "undecided") >= {"tasks-crash-at-start"}


def test_while_the_role_is_refused_nothing_is_known_of_the_secret(real: Catalogue) -> None:
    """It is missing, as a list shows, and it is not what stops the tasks now: open, never denied."""
    facts = down(*twice(DENIED_SECRET, **START), task_definitions=MISNAMED)
    found, causes = present(facts, real)
    assert causes == {"execution-role-lacks-permission"}
    assert named(found, "undecided") == {"secret-missing-or-misnamed"}


def test_a_task_that_was_well_started_is_not_slow_to_start(real: Catalogue) -> None:
    """Health checks kill what hangs as well."""
    _, causes = present(down(*twice(UNHEALTHY, *STARTING, "Application startup complete.")), real)
    assert causes == {"gateway-down"}


def test_a_service_that_is_gone_has_no_tasks_to_speak_of(real: Catalogue) -> None:
    """ecs-service-missing is enough."""
    state = ecs_inside({"gateway": gone("gateway")}, task_facts(gateway=ServiceTasks()), target_groups=EMPTY)
    _, causes = present(behind_gateway(unavailable()) | state, real)
    assert causes == {"ecs-service-missing"}


def test_a_revision_that_was_rolled_back_was_not_forgotten(real: Catalogue) -> None:
    """It is newer than the one in use, and ECS did try it."""
    _, causes = present(serving(ROLLED_BACK, revisions=WAITING), real)
    assert causes == {"deployment-rolled-back"}


def test_a_secret_that_was_deleted_with_its_variable_was_taken_away(real: Catalogue) -> None:
    """Perhaps: what no longer exists is not missed for certain."""
    found, causes = present(quiet(SECOND, **LOST_SECRET, secrets_and_parameters=store_facts()), real)
    assert (causes, named(found, "undecided")) == (set(), {"task-definition-lacks-secret"})


NO_TOKEN = refusal(500, "HuggingFace token not configured", path="/api/v1/models/21/predict")
UNSERVED = ServingFacts(
    model="21", info=answer(body={"model_id": "21"}, path="/api/v1/models/21/info"), prediction=NO_TOKEN
)
LOST_KEY = revision(1, secrets=("HUGGINGFACE_API_KEY",), secret_refs={"HUGGINGFACE_API_KEY": TOKEN})
FAMILY = Family(name="gateway", newest=revision(2), earlier=(LOST_KEY,))


def test_a_prediction_that_lacks_a_secret_is_explained_by_the_one_that_was_lost(real: Catalogue) -> None:
    """The gateway's words name what the variable is about; a secret for something else explains nothing."""
    about_it = quiet(SECOND, **LOST_SECRET | {"revisions": family_facts(gateway=FAMILY)}, serving=UNSERVED)
    other = quiet(SECOND, **LOST_SECRET, serving=UNSERVED)
    found, elsewhere = concluded(real, about_it.values()), concluded(real, other.values())

    assert lines(found, "present") == ["confirmed task-definition-lacks-secret gateway"]
    assert lines(elsewhere, "present") == ["likely task-definition-lacks-secret gateway"]
    assert (found.unexplained, elsewhere.unexplained) == ((), ("model-can-be-served",))
    assert unfounded(found.diagnoses, about_it.values()) == []


def test_a_prediction_that_lacks_a_secret_is_undecided_from_outside(real: Catalogue) -> None:
    """Whether the revision has lost it, only AWS tells; a prediction that fails otherwise is open."""
    found = concluded(real, (*outside().values(), UNSERVED), OUTSIDE)
    assert (named(found, "present"), found.unexplained) == (set(), ())
    assert "task-definition-lacks-secret" in named(found, "undecided")

    late = UNSERVED.model_copy(update={"prediction": refusal(504, "Model 30 did not answer")})
    found = concluded(real, (*outside().values(), late), OUTSIDE)
    assert (named(found, "undecided"), found.unexplained) == (set(), ("model-can-be-served",))


def test_a_deployment_that_fails_beside_the_old_tasks_has_its_reason_named(real: Catalogue) -> None:
    """Without a circuit breaker nothing is rolled back; the old tasks serve meanwhile."""
    one = ecs_facts(gateway=STALLED).services["gateway"].model_copy(update={"task_definition": "gateway:2"})
    facts = serving(STALLED, *twice(NO_SECRET, **START))
    found, causes = present(facts | {"ecs_services": ecs_facts(gateway=one.model_dump())}, real)
    assert causes == {"secret-missing-or-misnamed"}
    assert found.unexplained == ()


# --- remedies -----------------------------------------------------------------------------------------


def remedy(real: Catalogue, name: str) -> Remedy:
    """The remedy of a story's first cause."""
    found = concluded(real, STORIES[name][0].values())
    first = next(d for d in found.diagnoses if d.status == "present")
    assert first.remedy is not None
    return first.remedy


@pytest.mark.parametrize("name", [name for name, (_, causes) in STORIES.items() if causes])
def test_what_is_to_be_typed_can_be_pasted(real: Catalogue, name: str) -> None:
    """Bash reads it, every variable is set before it is used, and automatic means that none is needed."""
    said = remedy(real, name)
    typed = [*said.before, *said.aws_cli, *said.after]
    assert all(is_good_shell([line]) for line in typed)
    assert [line for line in typed if bare_brackets(line)] == []
    assert unset(said.aws_cli) == set()
    if said.kind == "automatic":
        assert said.aws_cli
        assert not any("$" in line for line in said.aws_cli if "python3" not in line)


AUTOMATIC = {
    "scaled to zero",
    "denied",
    "never deployed",
    "a newer image",
    "a crash for want of a secret",
    "a secret that is gone, and nobody noticed",
}


def test_what_needs_no_person_is_automatic(real: Catalogue) -> None:
    """All values are in the facts; everything else waits for an image, a secret or a decision."""
    found = {
        name for name, (_, causes) in STORIES.items() if causes and remedy(real, name).kind == "automatic"
    }
    assert found == AUTOMATIC


def test_the_role_is_given_what_it_was_refused(real: Catalogue) -> None:
    """The statement is read off the stopped reason, for that secret alone."""
    said = remedy(real, "denied")
    put, deploy = said.aws_cli
    statement = json.loads(put.partition("--policy-document ")[2].strip("'"))["Statement"]
    assert statement == [{"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": TOKEN}]
    assert "--role-name execution " in put
    assert deploy.endswith("--force-new-deployment")


def test_a_secret_is_put_back_by_a_script_that_keeps_the_rest(real: Catalogue) -> None:
    """The script that the command runs replaces the one entry and drops what cannot be registered."""
    edit = remedy(real, "a secret that is gone, and nobody noticed").aws_cli[0]
    given = {
        "taskDefinitionArn": "gateway:1",
        "family": "gateway",
        "containerDefinitions": [
            {
                "name": "gateway",
                "secrets": [{"name": "T", "valueFrom": "wrong"}, {"name": "U", "valueFrom": "u"}],
            }
        ],
    }
    script = edit.partition(" | ")[2].partition(" > ")[0].replace("python3", sys.executable, 1)
    made = subprocess.run(
        ["bash", "-c", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    secrets = [{"name": "U", "valueFrom": "u"}, {"name": "T", "valueFrom": f"{TOKEN}:key::"}]
    assert json.loads(made.stdout) == {
        "family": "gateway",
        "containerDefinitions": [{"name": "gateway", "secrets": secrets}],
    }
