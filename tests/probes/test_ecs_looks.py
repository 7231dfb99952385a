"""Tasks, revisions, images, secrets and parameters: what is read, and what the checks say of it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import pytest
from _deaths import (
    ARN,
    DENIED_SECRET,
    DEPLOYED_SINCE,
    DOWN,
    EXITED,
    INIT,
    KILLED,
    NO_GROUP,
    NO_IMAGE,
    NO_KEY,
    NO_PARAMETER,
    NO_SECRET,
    NOW,
    ROLLED_BACK,
    STALLED,
    TOKEN,
    UNHEALTHY,
    alive,
    dead,
    family_facts,
    image_facts,
    minutes,
    revision,
    stopped,
    store_facts,
    task_facts,
    used_facts,
)
from _facts import DENIED, NAMES, TARGET, ecs_facts, gone

from hokusai_probe.aws import AwsAnswer, AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import judge
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Observation
from hokusai_probe.probes._variables import STORES
from hokusai_probe.probes.ecs_services import ecs_services
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts, Kind, ServiceTasks, ecs_tasks, ending, sorted_out
from hokusai_probe.probes.images import Image, ImagesFacts, images
from hokusai_probe.probes.revisions import Family, RevisionsFacts, number, revisions
from hokusai_probe.probes.secrets_and_parameters import (
    SecretsAndParametersFacts,
    Stored,
    secrets_and_parameters,
)
from hokusai_probe.probes.task_definitions import TaskDefinition
from hokusai_probe.redact import Redactor
from hokusai_probe.text import clean

Told = tuple[str, str | None, str]
PASS: Told = ("pass", None, "")
SEEN = {"started_at": NOW, "duration_s": 0.1, "status": "seen"}


def told(real: Catalogue, check: str, *facts: Facts) -> Told:
    """One check's verdict on these facts: status, kind of skip, reason."""
    observed = [Observation(probe=f.probe, facts=f, **cast("Any", SEEN)) for f in facts]
    (verdict,) = judge(real, observed, TARGET, frozenset({check}))
    return verdict.status, verdict.skip_kind, verdict.reason


# --- kinds of endings ---------------------------------------------------------------------------------

KINDS: dict[str, tuple[Kind, dict[str, Any]]] = {
    DENIED_SECRET: ("denied", {"life_s": None}),
    "CannotPullContainerError: unexpected status from HEAD request to https://x: 403 Forbidden": (
        "denied",
        {"life_s": None},
    ),
    NO_SECRET: ("no-secret", {"life_s": None}),
    NO_KEY: ("no-secret", {"life_s": None}),
    f"{INIT}unable to retrieve secret from asm: InvalidRequestException: You can't perform this operation "
    "on the "
    "secret because it was marked for deletion.": ("no-secret", {"life_s": None}),
    NO_PARAMETER: ("no-parameter", {"life_s": None}),
    f"{INIT}context deadline exceeded": ("start", {"life_s": None}),
    NO_GROUP: ("start", {"life_s": None}),
    "Unexpected EC2 error while attempting to Create Network Interface": ("start", {"life_s": None}),
    NO_IMAGE: ("pull", {"life_s": None}),
    "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'": (
        "architecture",
        {"life_s": None},
    ),
    EXITED: ("exit", {"exit_code": 1}),
    f"{EXITED} ": ("memory", {"exit_code": 137, "container_reason": KILLED}),
    UNHEALTHY: ("health", {"exit_code": 137}),
    "Task failed ELB health checks in (target-group arn)": (
        "health",
        {"stop_code": "ServiceSchedulerInitiated"},
    ),
    "Scaling activity initiated by (deployment ecs-svc/1)": (
        "ended",
        {"stop_code": "ServiceSchedulerInitiated"},
    ),
    "Task stopped by user": ("ended", {"stop_code": "UserInitiated"}),
}


@pytest.mark.parametrize("reason", KINDS)
def test_the_stopped_reason_says_what_kind_of_ending_it_was(reason: str) -> None:
    """The texts are those that AWS documents; each kind has an owner of its own."""
    kind, more = KINDS[reason]
    assert dead(reason, **more).kind == kind


def test_a_wrong_processor_is_told_by_the_log_alone() -> None:
    """The stopped reason is that of any program that exits."""
    assert dead(EXITED, "exec /usr/local/bin/uvicorn: exec format error", exit_code=1).kind == "architecture"


def test_an_ending_is_told_in_one_phrase() -> None:
    """Reason, exit code and the container's own reason, each once."""
    assert (
        ending(dead(EXITED, exit_code=137, container_reason=KILLED)) == f"{EXITED}, exit code 137 ({KILLED})"
    )
    assert ending(dead(NO_IMAGE, life_s=None, container_reason=NO_IMAGE)) == NO_IMAGE


# --- which endings matter -----------------------------------------------------------------------------


def test_deaths_that_the_running_task_has_outlived_are_over() -> None:
    """A service that fell over twice while its neighbours came up is well again."""
    service = ecs_facts().services["gateway"]
    old = (dead(ago=30), dead(ago=31))
    for age, count in ((20.0, 0), (0.01, 2)):
        facts = task_facts(gateway=ServiceTasks(running=(alive("gateway", age),), stopped=old))
        assert len(facts.dying("gateway", service)) == count


def test_another_revisions_deaths_matter_where_its_deployment_failed() -> None:
    """The tasks of a deployment that was rolled back, and not those of one that came later."""
    task = dead(ago=3, revision="gateway:2")
    facts = task_facts(gateway=ServiceTasks(running=(alive("gateway"),), stopped=(task,)))
    found = {
        name: len(facts.undeployed("gateway", ecs_facts(gateway=state).services["gateway"]))
        for name, state in {
            "well": {},
            "rolled back": ROLLED_BACK,
            "stalled": STALLED,
            "since": DEPLOYED_SINCE,
        }.items()
    }
    assert found == {"well": 0, "rolled back": 1, "stalled": 1, "since": 0}


def test_a_deployment_after_a_rollback_is_another_story() -> None:
    """Nothing is rolled back any more once somebody has deployed again."""
    states = (ecs_facts(gateway=state).services["gateway"] for state in (ROLLED_BACK, DEPLOYED_SINCE, {}))
    assert [one.rolled_back for one in states] == [0, None, None]


# --- verdicts -----------------------------------------------------------------------------------------

GATEWAY = NAMES["gateway"]
FLAPPING = task_facts(gateway=ServiceTasks(running=(alive("gateway", 0.01),), stopped=(dead(), dead(ago=6))))
USED = revision(2, names=("A", "MLFLOW_SERVER_URL"), secrets=("S",), secret_refs={"S": TOKEN})
BEFORE = revision(1, names=("A", "MLFLOW_SERVER_URL"), secrets=("S",), secret_refs={"S": TOKEN})


def family(*earlier: TaskDefinition, newest: TaskDefinition | None = None) -> RevisionsFacts:
    """The gateway's family."""
    found = Family(name="gateway", newest=newest or revision(2), earlier=earlier)
    return RevisionsFacts(families={"gateway": found})


LOST = revision(2, names=("A",))
RENAMED = revision(2, names=("A", "MLFLOW_SERVER_ADDRESS"), secrets=("S",))
NEWER = revision(2, registered_at=minutes(5))
MOVED = {"digest": "sha256:2", "pushed_at": minutes(5)}
RUNS = task_facts(
    gateway=ServiceTasks(running=(alive("gateway", image="r/gateway:x", digest="sha256:1"),)),
)
REFERS = used_facts(gateway=revision(1, secret_refs={"T": f"{TOKEN}:key::", "P": "/hokusai/redis/port"}))
ROWS: list[tuple[str, tuple[Facts, ...], Told]] = [
    *((f"{s}-tasks-stay-up", (task_facts(), ecs_facts()), PASS) for s in NAMES),
    *(
        (
            f"{s}-tasks-stay-up",
            (task_facts(**{s: stopped(dead(exit_code=1), dead(ago=6), service=s)}), ecs_facts(**{s: DOWN})),
            (
                "fail",
                None,
                f"2 tasks of {NAMES[s]} stopped by themselves, the last one: {EXITED}, exit code 1",
            ),
        )
        for s in NAMES
    ),
    (
        "gateway-tasks-stay-up",
        (FLAPPING, ecs_facts()),
        ("fail", None, f"2 tasks of {GATEWAY} stopped by themselves, the last one: {EXITED}"),
    ),
    (
        "gateway-tasks-stay-up",
        (task_facts(gateway=stopped(dead())), ecs_facts(gateway=DOWN)),
        ("fail", None, f"no task of {GATEWAY} runs, and the last one stopped by itself: {EXITED}"),
    ),
    (
        "gateway-tasks-stay-up",
        (task_facts(gateway=ServiceTasks()), ecs_facts(gateway=DOWN)),
        ("skip", "cannot-tell", f"no task of {GATEWAY} runs, and none is seen to have stopped by itself"),
    ),
    (
        "gateway-tasks-stay-up",
        (task_facts(gateway=ServiceTasks()), ecs_facts(gateway={"desired": 0, "running": 0})),
        ("skip", "not-applicable", f"no task of {GATEWAY} is wanted"),
    ),
    (
        "gateway-tasks-stay-up",
        (EcsTasksFacts(asked_at=NOW, failure=DENIED), ecs_facts()),
        ("skip", "cannot-tell", "ecs:ListTasks or ecs:DescribeTasks: denied"),
    ),
    (
        "gateway-tasks-stay-up",
        (task_facts(), ecs_facts(gateway=gone("gateway"))),
        ("skip", "not-applicable", "there is no ECS service for gateway"),
    ),
    ("newest-revisions-run", (family_facts(), ecs_facts()), PASS),
    (
        "newest-revisions-run",
        (family(newest=NEWER), ecs_facts()),
        ("fail", None, f"{GATEWAY} runs gateway:1 and revision 2 is registered"),
    ),
    ("newest-revisions-run", (family(newest=NEWER), ecs_facts(gateway=ROLLED_BACK)), PASS),
    ("newest-revisions-run", (family(newest=NEWER), ecs_facts(gateway=DEPLOYED_SINCE)), PASS),
    (
        "newest-revisions-run",
        (RevisionsFacts(failures={"gateway": DENIED}), ecs_facts()),
        ("skip", "cannot-tell", "ecs:DescribeTaskDefinition for gateway: denied"),
    ),
    (
        "newest-revisions-run",
        (RevisionsFacts(), ecs_facts()),
        ("skip", "not-applicable", "no service has a task definition that could be read"),
    ),
    ("revisions-keep-their-variables", (family(BEFORE), used_facts(gateway=USED)), PASS),
    ("revisions-keep-their-variables", (family(BEFORE), used_facts(gateway=RENAMED)), PASS),
    (
        "revisions-keep-their-variables",
        (family(BEFORE), used_facts(gateway=LOST)),
        ("fail", None, "gateway:2 of the gateway service lacks MLFLOW_SERVER_URL, S"),
    ),
    (
        "revisions-keep-their-variables",
        (family(revision(1, names=("LOG_LEVEL",))), used_facts(gateway=revision(2))),
        ("skip", "cannot-tell", "LOG_LEVEL may have been dropped on purpose"),
    ),
    (
        "revisions-keep-their-variables",
        (family(revision(1, names=("A_BUCKET", "LOG_LEVEL"))), used_facts(gateway=revision(2))),
        ("fail", None, "gateway:2 of the gateway service lacks A_BUCKET"),
    ),
    (
        "revisions-keep-their-variables",
        (RevisionsFacts(failures={"gateway": DENIED}), used_facts()),
        ("skip", "cannot-tell", "ecs:DescribeTaskDefinition for gateway: denied"),
    ),
    (
        "revisions-keep-their-variables",
        (family_facts(), used_facts()),
        ("skip", "not-applicable", "no revision in use has a predecessor that could be read"),
    ),
    ("images-exist", (image_facts(),), PASS),
    ("images-exist", (image_facts(mlflow={"missing": True}),), ("fail", None, "ECR has no r/mlflow:x")),
    (
        "images-exist",
        (image_facts(auth={"failure": DENIED}),),
        ("skip", "cannot-tell", "ecr:DescribeImages: denied"),
    ),
    (
        "images-exist",
        (ImagesFacts(),),
        ("skip", "not-applicable", "no task definition in use names an image in this region's ECR"),
    ),
    ("newest-images-run", (image_facts(), RUNS), PASS),
    (
        "newest-images-run",
        (image_facts(gateway=MOVED), RUNS),
        ("fail", None, "task r1 of the gateway service runs an older image than r/gateway:x is by now"),
    ),
    ("secrets-exist", (store_facts(TOKEN), REFERS), PASS),
    (
        "secrets-exist",
        (store_facts(), REFERS),
        ("fail", None, f"T of the gateway service is to come from {TOKEN}:key::, which does not exist"),
    ),
    (
        "secrets-exist",
        (SecretsAndParametersFacts(secrets=(), secrets_failure=DENIED), REFERS),
        ("skip", "cannot-tell", "secretsmanager:ListSecrets: denied"),
    ),
    (
        "secrets-exist",
        (SecretsAndParametersFacts(secrets=(), truncated=True), REFERS),
        ("skip", "cannot-tell", "there are more secrets in the account than are listed"),
    ),
    (
        "secrets-exist",
        (SecretsAndParametersFacts(), used_facts()),
        ("skip", "not-applicable", "no task definition in use refers to a secret"),
    ),
    ("parameters-exist", (store_facts(parameters=("/hokusai/redis/port",)), REFERS), PASS),
    (
        "parameters-exist",
        (store_facts(), REFERS),
        ("fail", None, "P of the gateway service is to come from /hokusai/redis/port, which does not exist"),
    ),
    (
        "parameters-exist",
        (SecretsAndParametersFacts(parameters=(), parameters_failure=DENIED), REFERS),
        ("skip", "cannot-tell", "ssm:DescribeParameters: denied"),
    ),
    (
        "parameters-exist",
        (SecretsAndParametersFacts(), used_facts()),
        ("skip", "not-applicable", "no task definition in use refers to a parameter"),
    ),
]


@pytest.mark.parametrize(("check", "facts", "expected"), ROWS)
def test_verdicts(real: Catalogue, check: str, facts: tuple[Facts, ...], expected: Told) -> None:
    """Each check passes on what is well, fails with a sentence, and says what it cannot tell."""
    assert told(real, check, *facts) == expected


def test_every_check_of_these_looks_passes_somewhere_and_fails_somewhere(real: Catalogue) -> None:
    """A check that nothing here makes fail would be one that cannot fail."""
    looks = {"ecs-tasks", "revisions", "images", "secrets-and-parameters"}
    theirs = {check.slug for check in real.checks.values() if check.probe in looks}
    for status in ("pass", "fail"):
        assert {check for check, _, expected in ROWS if expected[0] == status} == theirs


def test_a_variable_that_moved_into_a_secret_is_not_lost() -> None:
    """Names count, wherever their values come from; those that other looks follow do not."""
    before = revision(1, names=("REDIS_PORT", "DB_NAME", *STORES), secrets=("DB_PASSWORD",))
    used = revision(2, secrets=("REDIS_PORT",))
    assert dict(family(before).lost("gateway", used)) == {"DB_PASSWORD": 0}


def test_a_secret_may_be_named_without_its_last_six_characters() -> None:
    """AWS takes an ARN without it; with a placeholder there, it is missing, and the right one is found."""
    facts = store_facts(TOKEN)
    named = (TOKEN, TOKEN[:-7], f"{TOKEN}:key::", f"{TOKEN[:-7]}-RANDOM", f"{ARN}:other-a1b2c3")
    assert [facts.missing(one) for one in named] == [False, False, False, True, True]
    assert [stored and stored.arn for stored in map(facts.meant, named[3:])] == [TOKEN, None]


def test_a_secret_that_is_marked_for_deletion_is_missing() -> None:
    """ECS cannot read it any more."""
    marked = Stored(arn=TOKEN, name="hokusai/redis", deleted_at=NOW)
    assert SecretsAndParametersFacts(secrets=(marked,)).missing(TOKEN) is True


def test_the_number_of_a_revision_is_read_off_its_arn() -> None:
    """A family alone has none."""
    arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/hokusai-api-task:97"
    assert (number(arn), number("gateway:3"), number("gateway")) == (97, 3, None)


# --- the looks themselves -----------------------------------------------------------------------------


class Cloud:
    """An AWS door that answers from a table, and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers, self.asked = answers, list[tuple[str, Mapping[str, Any]]]()

    def said(self, text: str, limit: int) -> str:
        """As the real door does it."""
        return clean(Redactor().text(text), limit)

    async def call(self, service: str, method: str, **params: Any) -> AwsAnswer:
        """One answer: data, a failure, or what a function makes of the parameters."""
        self.asked.append((method, params))
        found = self.answers[method]
        found = found(params) if callable(found) else found
        if isinstance(found, AwsFailure):
            return AwsAnswer(service=service, method=method, failure=found)
        answer = AwsAnswer(service=service, method=method)
        answer._data = cast("Mapping[str, Any]", found)
        return answer

    async def pages(self, service: str, method: str, _key: str, **params: Any) -> AwsAnswer:
        """All pages at once."""
        return await self.call(service, method, **params)


def seen_by(look: Any, cloud: Cloud, *prior: Facts) -> Any:
    """The facts of a look through this door."""
    given = Look(TARGET, cast("Any", None), cast("Any", cloud), cast("Any", None), cast("Any", None), "run")
    return asyncio.run(look(given, *prior))


def described(identity: str, status: str = "STOPPED", **more: Any) -> dict[str, Any]:
    """A task as DescribeTasks returns it."""
    return {
        "taskArn": f"arn:aws:ecs:us-east-1:1:task/c/{identity}",
        "taskDefinitionArn": "gateway:1",
        "lastStatus": status,
        "desiredStatus": status,
        "createdAt": NOW - timedelta(seconds=30),
        "startedAt": NOW - timedelta(seconds=20),
        "containers": [{"name": "sidecar"}, {"name": "gateway", "image": "r/x:1", "imageDigest": "sha256:1"}],
    } | more


def test_tasks_are_sorted_out_by_the_container_that_serves() -> None:
    """Exit code and digest are those of the named container, and the newest that stopped stands first."""
    exited = {"name": "gateway", "exitCode": 3, "reason": "because"}
    found = sorted_out(
        [
            described("a", stoppedAt=NOW - timedelta(minutes=2), stoppedReason=EXITED, containers=[exited]),
            described("b", stoppedAt=NOW, stoppedReason=EXITED),
            described("c", "RUNNING"),
            described("d", "RUNNING", desiredStatus="STOPPED"),
        ],
        "gateway",
        clean,
    )
    assert [(t.id, t.exit_code, t.container_reason) for t in found.stopped] == [
        ("b", None, ""),
        ("a", 3, "because"),
    ]
    assert [(t.id, t.image, t.digest) for t in found.running] == [("c", "r/x:1", "sha256:1")]


def test_the_newest_task_that_died_is_listened_to() -> None:
    """Its log stream is asked for by name; a service whose tasks run costs three calls."""
    cloud = Cloud(
        {
            "list_tasks": lambda p: {"taskArns": ["x"] if p["desiredStatus"] == "STOPPED" else []},
            "describe_tasks": {"tasks": [described("b", stoppedAt=NOW, stoppedReason=EXITED)]},
            "get_log_events": {"events": [{"message": "SyntaxError: \x1b[1m'(' was never closed"}]},
        }
    )
    one = ecs_facts().model_copy(update={"services": {"gateway": ecs_facts().services["gateway"]}})
    logs = used_facts(gateway=revision(1, log_group="/ecs/api", log_prefix="ecs"))
    facts = seen_by(ecs_tasks, cloud, one, logs)
    assert facts.services["gateway"].stopped[0].last_words == ("SyntaxError: '(' was never closed",)
    assert cloud.asked[-1][1] == {"logGroupName": "/ecs/api", "logStreamName": "ecs/gateway/b", "limit": 12}
    assert len(cloud.asked) == 4


def test_a_denied_list_of_tasks_is_a_fact() -> None:
    """Nothing is raised, and no service has tasks."""
    facts = seen_by(ecs_tasks, Cloud({"list_tasks": DENIED}), ecs_facts(), None)
    assert (facts.services, facts.failure) == ({}, DENIED)


def test_the_two_revisions_before_are_read_and_a_deleted_one_is_left_out() -> None:
    """The newest is asked for by the family's name alone."""

    def answer(params: Mapping[str, Any]) -> object:
        arn = {"gateway": "gateway:4"}.get(params["taskDefinition"], params["taskDefinition"])
        missing = AwsFailure(kind="not-found")
        definition = {"taskDefinitionArn": arn, "containerDefinitions": [{"name": "gateway"}]}
        return missing if arn == "gateway:1" else {"taskDefinition": definition}

    cloud = Cloud({"describe_task_definition": answer})
    used = used_facts().model_copy(update={"definitions": {"gateway": revision(3)}})
    found = seen_by(revisions, cloud, used).families["gateway"]
    assert (found.newest.arn, [one.arn for one in found.earlier]) == ("gateway:4", ["gateway:2"])
    assert [params["taskDefinition"] for _, params in cloud.asked] == ["gateway", "gateway:2", "gateway:1"]


URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/hokusai-api:x"


def test_images_of_other_registries_are_not_asked_for() -> None:
    """Only ECR of this region can be asked. What is not found is missing, and a denial is a failure."""
    elsewhere = revision(1, "auth", image="docker.io/library/x:1")
    used = used_facts(gateway=revision(1, image=URI), auth=elsewhere)
    detail = {"imageDigest": "sha256:1", "imagePushedAt": NOW}
    gone_image, denied = AwsFailure(kind="not-found"), DENIED
    found = [
        seen_by(images, Cloud({"describe_images": said}), used).images
        for said in ({"imageDetails": [detail]}, gone_image, denied)
    ]
    common = {"uri": URI, "repository": "hokusai-api"}
    assert found == [
        {"gateway": Image(**common, digest="sha256:1", pushed_at=NOW)},
        {"gateway": Image(**common, missing=True)},
        {"gateway": Image(**common, failure=DENIED)},
    ]


def test_only_what_a_definition_refers_to_is_kept_of_the_accounts_secrets() -> None:
    """Others' secrets are nobody's business, and without references nothing is asked."""
    listed = [{"ARN": TOKEN, "Name": "hokusai/redis"}, {"ARN": f"{ARN}:private-a1b2c3", "Name": "private"}]
    cloud = Cloud(
        {
            "list_secrets": {"SecretList": listed},
            "describe_parameters": {"Parameters": [{"Name": "/hokusai/redis/port"}]},
        }
    )
    facts = seen_by(secrets_and_parameters, cloud, REFERS, None)
    assert [one.name for one in (*facts.secrets, *facts.parameters)] == [
        "hokusai/redis",
        "/hokusai/redis/port",
    ]
    assert seen_by(secrets_and_parameters, Cloud({}), used_facts(), None) == SecretsAndParametersFacts()


HOME = "arn:aws:ecs:us-east-1:123456789012:task-definition/gateway:1"
ABROAD = (
    "arn:aws:secretsmanager:us-east-1:999999999999:secret:shared/redis-a1b2c3",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hokusai/redis-a1b2c3",
    "arn:aws:ssm:us-east-1:999999999999:parameter/hokusai/redis/port",
)


def test_what_another_account_or_region_has_is_not_missing(real: Catalogue) -> None:
    """Our lists cannot have it: nothing is said of it, and where there is nothing else nothing is asked."""
    for abroad in ABROAD:
        one = revision(1, secret_refs={"T": abroad}).model_copy(update={"arn": HOME})
        used = used_facts(gateway=one)
        facts = seen_by(secrets_and_parameters, Cloud({}), used, None)
        assert facts == SecretsAndParametersFacts(elsewhere=(abroad,))
        assert facts.missing(abroad) is None
        check = "parameters-exist" if ":ssm:" in abroad else "secrets-exist"
        reason = f"of another account or region, which is not listed here: {abroad}"
        assert told(real, check, facts, used) == ("skip", "cannot-tell", reason)
        listed = SecretsAndParametersFacts(secrets=(), parameters=(), elsewhere=(abroad,))
        assert told(real, check, listed, used) == ("skip", "cannot-tell", reason)


def test_parameters_are_asked_for_fifty_spellings_at_a_time() -> None:
    """DescribeParameters takes fifty values; a name without its slash is two of them."""
    references = {f"V{n}": f"arn:aws:ssm:us-east-1:123456789012:parameter/p{n:03}" for n in range(60)}
    everything = [f"/p{n:03}" for n in range(60)]

    def described_parameters(params: Mapping[str, Any]) -> object:
        values = params["ParameterFilters"][0]["Values"]
        assert len(values) <= 50
        return {"Parameters": [{"Name": name} for name in everything if name in values]}

    cloud = Cloud({"describe_parameters": described_parameters})
    used = used_facts(gateway=revision(1, secret_refs=references))
    facts = seen_by(secrets_and_parameters, cloud, used, None)
    assert len(cloud.asked) == 3
    assert not any(facts.missing(reference) for reference in references.values())


def test_events_and_deployments_of_a_service_are_read() -> None:
    """Only events that tell of deployments or trouble, newest first, without the service's name."""
    service = {
        "serviceName": NAMES["gateway"],
        "desiredCount": 1,
        "runningCount": 1,
        "deployments": [
            {
                "id": "ecs-svc/1",
                "status": "PRIMARY",
                "rolloutState": "COMPLETED",
                "failedTasks": 0,
                "createdAt": NOW,
            }
        ],
        "events": [
            {
                "createdAt": NOW - timedelta(minutes=1),
                "message": f"(service {GATEWAY}) has reached a steady state.",
            },
            {
                "createdAt": NOW - timedelta(minutes=2),
                "message": f"(service {GATEWAY}) rolling back to deployment ecs-svc/1.",
            },
        ],
    }
    one = seen_by(ecs_services, Cloud({"describe_services": {"services": [service]}}), cast("Any", None))
    found = one.services["gateway"]
    assert [event.text for event in found.history] == ["rolling back to deployment ecs-svc/1."]
    assert (found.primary.id, found.stalled, found.rolled_back) == ("ecs-svc/1", False, 0)
