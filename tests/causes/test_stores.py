"""The causes at database, cache and artifact bucket: named where proven, else open or denied."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from _evidence import unfounded
from _facts import (
    OUTSIDE,
    SEARCH,
    TARGET,
    answer,
    api_facts,
    form_facts,
    group,
    group_facts,
    inside,
    outside,
    path_facts,
    refusal,
    registered,
)
from test_diagnoses import concluded, lines, named, registration
from test_remedies import bare_brackets, is_good_shell, typed, unset

from hokusai_probe.aws import AwsFailure
from hokusai_probe.causes._stores import shortened
from hokusai_probe.declare import Case, Catalogue
from hokusai_probe.engine import arguments_of
from hokusai_probe.failures import Failure
from hokusai_probe.http import Answer, Resolution
from hokusai_probe.knock import Heard
from hokusai_probe.model import Facts, Observation
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts, LifecycleRule
from hokusai_probe.probes.artifact_durability import ArtifactDurabilityFacts
from hokusai_probe.probes.cache_cluster import CacheClusterFacts
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.direct_stores import DirectStoresFacts, StoreSeen
from hokusai_probe.probes.gateway_stores import stores_seen
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.latency import LatencyFacts, Sample
from hokusai_probe.probes.log_tails import LogLine, LogTailsFacts, ServiceLog
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

NOW = datetime(2025, 8, 5, 9, 27, tzinfo=UTC)
HOST, CACHE_HOST = "db.example", "master.c.example"
RDS = DatabaseInstanceFacts(
    name="db",
    status="available",
    host=HOST,
    port=5432,
    database="mlflow_db",
    master="mlflow",
    allocated_gib=20,
)
REDIS = CacheClusterFacts(name="c", status="available", hosts=(CACHE_HOST,), port=6379, tls=False)
DELETING = REDIS.model_copy(update={"status": "deleting"})
BUCKET = ArtifactBucketFacts(name="b", exists=True, versioned=True, rules=(), freezes=(), statements=0)
KEPT = MlflowStoresFacts(
    definition="m:1",
    store_uri="postgresql://db/mlflow_db",
    destination="s3://b/artifacts",
    backend="database",
)
DURABLE = ArtifactDurabilityFacts(stored=True, versions=2)
SETTINGS = {"host": HOST, "port": 5432, "user": "mlflow", "primary_db": "mlflow_db"}
GONE = AwsFailure(kind="not-found", code="404")


def stores(error: str | None = None, redis: str = "healthy", **settings: str) -> Facts:
    """What the gateway says of its stores; an error is /ready's of the database."""
    check = {"name": "database", "passed": error is None, "error": error}
    details = {"connection_details": SETTINGS | settings if error else None}
    return stores_seen(
        answer(body={"services": {"redis": redis, "postgres": "unhealthy" if error else "healthy"}}),
        answer(503 if error else 200, {"checks": [check | details]}, path="/ready"),
    )


def gateway(**addresses: str) -> Facts:
    """Task definitions whose gateway has these addresses."""
    given = {
        "MLFLOW_SERVER_URL": "http://mlflow.hokusai.local:5000/mlflow",
        "REDIS_URL": f"redis://{CACHE_HOST}:6379/0",
        "REDIS_HOST": CACHE_HOST,
        "DB_HOST": HOST,
    }
    return TaskDefinitionsFacts(
        definitions={
            "gateway": TaskDefinition(arn="g:1", container="g", ports=(8001,), addresses=given | addresses),
            "mlflow": TaskDefinition(
                arn="m:1", container="m", ports=(5000,), task_role="arn:aws:iam::1:role/task"
            ),
        }
    )


def effect(*validations: int) -> Facts:
    """Calls with the key, and how often each was validated."""
    return CacheEffectFacts(group="g", calls=(404,) * 5, validations=validations)


def logged(*texts: str) -> Facts:
    """MLflow's log, a line a second."""
    lines = tuple(LogLine(at=NOW + timedelta(seconds=n), text=text) for n, text in enumerate(texts))
    return LogTailsFacts(logs={"mlflow": ServiceLog(group="m", lines=lines)})


def seen(**changed: Facts) -> dict[str, Facts]:
    """Outside, AWS and the stores of a healthy platform, some of it changed."""
    healthy: dict[str, Facts] = {
        "registration": registration(run_id="r", experiment_id="1"),
        "gateway_stores": stores(),
        "database_instance": RDS,
        "cache_cluster": REDIS,
        "cache_effect": effect(0, 0, 0, 0),
        "artifact_bucket": BUCKET,
        "artifact_durability": DURABLE,
        "mlflow_stores": KEPT,
        "log_tails": logged(),
        "task_definitions": gateway(),
    }
    return outside() | inside() | healthy | changed


def without_aws(facts: dict[str, Facts]) -> dict[str, Facts]:
    """The same, seen from outside alone."""
    kept = {*outside(), "registration", "gateway_stores"}
    return {name: one for name, one in facts.items() if name in kept}


def spoken(words: str) -> Answer:
    """MLflow's own 503."""
    return answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": words}, path=SEARCH)


REFUSED = (
    '(psycopg.OperationalError) connection to server at "10.0.3.7", port 5432 failed: Connection refused'
)
TOO_MANY = "(psycopg2.OperationalError) FATAL:  sorry, too many clients already"
NO_PASSWORD = 'psycopg.OperationalError: FATAL:  password authentication failed for user "mlflow"'
UNREACHED = refusal(502, "Failed to connect to MLflow server at http://x:5000", path=SEARCH)
MLFLOW_DOWN = group_facts(mlflow=group("mlflow", registered(5000, "unhealthy", reason="Target.Timeout")))
PAGE = answer(500, "<h1>Internal Server Error</h1>", "text/html", path="/up", method="PUT")
DENIAL = 'User: mlflow is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::b"'


def uploads(upload: Answer, download: Answer | None = None) -> Facts:
    """A registration in which only artifacts fail."""
    return registration(upload=upload, download=download or upload, run_id="r", experiment_id="1")


STORIES: dict[str, tuple[dict[str, Facts], str]] = {
    "the instance is stopped": (
        seen(
            database_instance=RDS.model_copy(update={"status": "stopped"}),
            gateway_stores=stores("connection timeout expired"),
        ),
        "confirmed database-unavailable database",
    ),
    "the instance is gone": (
        seen(
            database_instance=DatabaseInstanceFacts(name="db", failure=GONE),
            gateway_stores=stores("failed to resolve host 'db.example'"),
        ),
        "confirmed database-unavailable database",
    ),
    "another user than the server's": (
        seen(gateway_stores=stores(NO_PASSWORD.replace("mlflow", "postgres"), user="postgres")),
        "confirmed database-settings-wrong gateway",
    ),
    "another database than the server's": (
        seen(gateway_stores=stores('FATAL:  database "mlflow" does not exist', primary_db="mlflow")),
        "confirmed database-settings-wrong gateway",
    ),
    "a host that is nobody's": (
        seen(gateway_stores=stores("connection failed: Connection refused", host="localhost")),
        "confirmed database-settings-wrong gateway",
    ),
    "too many clients, now and then": (
        seen(registration=registration(version=spoken(TOO_MANY))),
        "confirmed database-connections-exhausted database",
    ),
    "MLflow is refused a connection": (
        seen(mlflow_api=api_facts(spoken(REFUSED)), registration=registration(spoken(REFUSED))),
        "confirmed mlflow-database-unreachable mlflow",
    ),
    "MLflow's password is refused": (
        seen(mlflow_api=api_facts(UNREACHED), log_tails=logged(NO_PASSWORD), target_groups=MLFLOW_DOWN,
             registration=registration(UNREACHED)),
        "confirmed mlflow-database-password-wrong mlflow",
    ),
    "one password of both is refused": (
        seen(mlflow_api=api_facts(UNREACHED), log_tails=logged(NO_PASSWORD), target_groups=MLFLOW_DOWN,
             registration=registration(UNREACHED), gateway_stores=stores(NO_PASSWORD)),
        "confirmed mlflow-database-password-wrong mlflow",
    ),
    "no backend store": (
        seen(mlflow_stores=MlflowStoresFacts(definition="m:1", backend="unset")),
        "confirmed mlflow-file-store mlflow",
    ),
    "artifacts stay on the task": (
        seen(
            artifact_durability=ArtifactDurabilityFacts(stored=True, versions=0),
            mlflow_stores=KEPT.model_copy(update={"destination": None, "root": "s3://b/artifacts"}),
        ),
        "confirmed mlflow-artifacts-on-task-disk mlflow",
    ),
    "the bucket is gone": (
        seen(
            registration=uploads(PAGE),
            artifact_bucket=ArtifactBucketFacts(name="b", exists=False, failure=GONE),
            artifact_durability=ArtifactDurabilityFacts(stored=False),
        ),
        "confirmed artifact-bucket-missing storage",
    ),
    "the role may not list": (
        seen(
            registration=uploads(PAGE, answer(403, {"error_code": "PERMISSION_DENIED", "message": DENIAL})),
            artifact_durability=ArtifactDurabilityFacts(stored=False),
        ),
        "confirmed artifact-bucket-access-denied storage",
    ),
    "a policy freezes the bucket": (
        seen(
            registration=uploads(PAGE),
            artifact_bucket=BUCKET.model_copy(update={"freezes": ("Freeze",), "statements": 2}),
            artifact_durability=ArtifactDurabilityFacts(stored=False),
        ),
        "confirmed artifact-bucket-access-denied storage",
    ),
    "a rule expires artifacts": (
        seen(artifact_bucket=BUCKET.model_copy(update={"rules": (LifecycleRule(id="old", days=30),)})),
        "confirmed artifact-bucket-expires-artifacts storage",
    ),
    "Redis does not answer": (
        seen(gateway_stores=stores(redis="unhealthy"), cache_effect=effect(1, 1, 1, 1)),
        "likely cache-unreachable cache",
    ),
    "the cache is being deleted": (
        seen(gateway_stores=stores(redis="unhealthy"), cache_cluster=DELETING),
        "confirmed cache-unreachable cache",
    ),
    "keys are kept where no Redis is": (
        seen(cache_effect=effect(1, 1, 1, 1), task_definitions=gateway(REDIS_URL="redis://localhost:6379")),
        "likely cache-unreachable cache",
    ),
    "an address without a scheme": (
        seen(cache_effect=effect(1, 1, 1, 1), task_definitions=gateway(REDIS_URL=CACHE_HOST)),
        "confirmed cache-url-lacks-scheme-or-tls gateway",
    ),
    "plain text to a cache with TLS": (
        seen(cache_cluster=REDIS.model_copy(update={"tls": True}), cache_effect=effect(1, 1, 1, 1)),
        "confirmed cache-url-lacks-scheme-or-tls gateway",
    ),
    "the cache is not used": (seen(cache_effect=effect(1, 2, 1, 1)), "likely auth-cache-off gateway"),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_with_aws_the_one_cause_is_present_on_facts(real: Catalogue, name: str) -> None:
    """Exactly that one, with evidence that lies where it says."""
    facts, expected = STORIES[name]
    found = concluded(real, facts.values())
    assert (lines(found, "present"), found.errors) == ([expected], ())
    assert unfounded([d for d in found.diagnoses if d.status == "present"], facts.values()) == []


OUTSIDE_ALONE = {
    # what outside eyes can prove; the rest stays open
    "another user than the server's",
    "another database than the server's",
    "a host that is nobody's",
    "too many clients, now and then",
    "the role may not list",
}
UNSEEN = {
    # nothing of it is seen without AWS
    "no backend store", "artifacts stay on the task", "a rule expires artifacts",
    "an address without a scheme",
    "plain text to a cache with TLS", "the cache is not used", "keys are kept where no Redis is",
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_without_aws_it_is_open_unless_the_answers_prove_it(real: Catalogue, name: str) -> None:
    """No story makes another of these causes present, and what can be suspected is."""
    facts, expected = STORIES[name]
    slug = expected.split()[1]
    found = concluded(real, without_aws(facts).values(), OUTSIDE)
    present = {c for c in named(found, "present") if not c.endswith("-down")}
    assert present == ({slug} if name in OUTSIDE_ALONE else set())
    open_or_present = named(found, "undecided") | present
    assert (slug in open_or_present) is (name not in UNSEEN)


ACCOUNT = "123456789012"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"User: arn:aws:sts::{ACCOUNT}:assumed-role/task-role/5e71 may not", "User: role task-role may not"),
        (f'"arn:aws:iam::{ACCOUNT}:role/service-role/mine"', '"role mine"'),
        (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1 on arn:aws:s3:::b/a", "an ARN on arn:aws:s3:::b/a"),
        ("x" * 190 + " and more than that", "x" * 190 + " and more…"),
    ],
)
def test_words_of_others_name_no_account_and_end_with_a_word(said: str, shown: str) -> None:
    """A reason is read by everybody, and half an ARN is of use to nobody."""
    assert shortened(said) == shown


def test_a_healthy_platform_has_none_of_them(real: Catalogue) -> None:
    """Nothing present, nothing open, and with AWS each that was asked is denied."""
    found = concluded(real, seen().values())
    assert (lines(found, "present"), lines(found, "undecided"), found.errors) == ([], [], ())
    denied = {
        "database-unavailable", "database-settings-wrong", "database-connections-exhausted",
        "cache-unreachable",
        "cache-url-lacks-scheme-or-tls", "auth-cache-off", "mlflow-file-store",
        "mlflow-artifacts-on-task-disk",
        "artifact-bucket-missing", "artifact-bucket-access-denied", "artifact-bucket-expires-artifacts",
        "mlflow-database-unreachable", "mlflow-database-password-wrong",
    }  # fmt: skip
    assert denied - named(found, "ruled_out") == set()


def greeted(**said: Any) -> Facts:
    """A database that says this to us directly."""
    found = Resolution(name="db.example", addresses=("10.0.3.7",))
    place = {"place": "db.example:5432", "protocol": "postgres", "resolution": found}
    return DirectStoresFacts(database=StoreSeen.model_validate({**place, "heard": Heard(**said)}))


SILENCE = greeted(failure=Failure(kind="connect-timeout", detail="connecting to 10.0.3.7:5432 timed out"))
COMPLAINS = {"gateway_stores": stores("connection timeout expired")}


def test_a_database_that_answers_us_is_not_unavailable(real: Catalogue) -> None:
    """It is ruled out from outside alone: whoever cannot reach it has another trouble."""
    facts = without_aws(seen(**COMPLAINS)) | {"direct": greeted(connected=True, word="tls")}
    found = concluded(real, facts.values(), OUTSIDE)
    assert "database-unavailable" in named(found, "ruled_out")


def test_a_database_that_is_silent_to_us_as_well_may_be_unavailable(real: Catalogue) -> None:
    """From outside alone it stays open, with our own silence as evidence; RDS decides."""
    facts = without_aws(seen(**COMPLAINS)) | {"direct": SILENCE}
    found = concluded(real, facts.values(), OUTSIDE)
    (open_one,) = [d for d in found.diagnoses if d.cause == "database-unavailable"]
    assert (open_one.status, "database-answers-directly" in open_one.explains) == ("undecided", True)
    assert "no Postgres answers us at db.example:5432" in [e.text for e in open_one.evidence]
    assert unfounded(found.diagnoses, facts.values()) == []
    assert found.unexplained == ()

    stopped = seen(**COMPLAINS, database_instance=RDS.model_copy(update={"status": "stopped"}))
    decided = concluded(real, (*stopped.values(), SILENCE))
    assert lines(decided, "present") == ["confirmed database-unavailable database"]
    assert decided.unexplained == ()


def test_our_silence_alone_says_nothing_of_the_database(real: Catalogue) -> None:
    """The gateway reaches it, and the way from here may be shut."""
    facts = without_aws(seen()) | {"direct": SILENCE}
    found = concluded(real, facts.values(), OUTSIDE)
    assert "database-unavailable" not in named(found, "present") | named(found, "undecided")
    assert "database-answers-directly" not in found.unexplained


def test_slow_keys_may_be_the_address_of_the_cache(real: Catalogue) -> None:
    """From outside it can be suspected, and no more; a right address denies it."""
    forms = form_facts(bearer=refusal(404, "Not Found", elapsed_s=1.9))
    late = Sample(seconds=1.8, beside=0.01)
    slow = LatencyFacts(constants={"/live": 0.01}, again={"key": (late, late)})
    blind = concluded(real, outside(latency=slow, key_forms=forms).values(), OUTSIDE)
    told = concluded(real, seen(latency=slow, key_forms=forms).values())

    assert named(blind, "undecided") == {"cache-url-lacks-scheme-or-tls"}
    assert blind.unexplained == ()
    assert "keys-are-judged-in-time" in told.unexplained
    assert "cache-url-lacks-scheme-or-tls" in named(told, "ruled_out")


ALIKE: dict[str, dict[str, Facts]] = {
    "a timeout while RDS is well is no proof": seen(gateway_stores=stores("connection timeout expired")),
    "an old line in a log is not today's": seen(
        mlflow_api=api_facts(UNREACHED),
        registration=registration(UNREACHED),
        target_groups=MLFLOW_DOWN,
        log_tails=LogTailsFacts(
            logs={
                "mlflow": ServiceLog(
                    group="m",
                    lines=(
                        LogLine(at=NOW - timedelta(days=2), text=NO_PASSWORD),
                        LogLine(at=NOW, text="ERROR: killed"),
                    ),
                )
            }
        ),
    ),
    "a bucket that we may not see": seen(
        registration=uploads(PAGE),
        artifact_bucket=ArtifactBucketFacts(name="b", failure=AwsFailure(kind="denied")),
        artifact_durability=ArtifactDurabilityFacts(stored=False),
    ),
    "an alias of the cache's name": seen(task_definitions=gateway(REDIS_HOST="redis.internal.example")),
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_only_looks_like_one_is_not_one(real: Catalogue, name: str) -> None:
    """A firewall's timeout, yesterday's log, a denial to us, another name: none is present."""
    found = concluded(real, ALIKE[name].values())
    assert {c for c in named(found, "present") if not c.endswith("-down")} == set()


BROKEN_OTHERWISE: dict[str, dict[str, Facts]] = {
    "MLflow fails with a bug": seen(
        mlflow_api=api_facts(answer(500, {"error_code": "INTERNAL_ERROR", "message": "KeyError: 'x'"})),
        registration=registration(answer(500, {"error_code": "INTERNAL_ERROR", "message": "KeyError: 'x'"})),
    ),
    "the gateway proxies badly": seen(
        mlflow_api=api_facts(refusal(500, "Internal server error while proxying to MLflow", path=SEARCH))
    ),
    "nothing of a registration is let in": seen(registration=registration(refusal(418, "no"))),
}


@pytest.mark.parametrize("name", BROKEN_OTHERWISE)
def test_what_none_of_them_does_leaves_none_of_them_open(real: Catalogue, name: str) -> None:
    """A healthy store speaks for no cause: without a symptom of its own, none is even suspected."""
    found = concluded(real, BROKEN_OTHERWISE[name].values())
    ours = {expected.split()[1] for _, expected in STORIES.values()}
    assert (named(found, "present") | named(found, "undecided")) & ours == set()


def remedy(real: Catalogue, name: str) -> Any:
    """The remedy of a story's cause."""
    facts, expected = STORIES[name]
    found = concluded(real, facts.values(), TARGET)
    return next(d.remedy for d in found.diagnoses if d.cause == expected.split()[1])


AUTOMATIC = {
    "the instance is stopped": "aws rds start-db-instance --db-instance-identifier db",
    "a policy freezes the bucket": "aws s3api get-bucket-policy --bucket b --query Policy --output text | ",
    "a rule expires artifacts": "aws s3api get-bucket-lifecycle-configuration --bucket b --query Rules",
    "the role may not list": "aws iam put-role-policy --role-name task --policy-name mlflow-artifacts",
    "the bucket is gone": "aws s3api create-bucket --bucket b --region us-east-1",
    "artifacts stay on the task": "aws ecs describe-task-definition --task-definition m:1",
    "an address without a scheme": "aws ecs describe-task-definition --task-definition g:1",
}


@pytest.mark.parametrize("name", AUTOMATIC)
def test_a_remedy_that_needs_no_value_is_automatic(real: Catalogue, name: str) -> None:
    """It begins with the call that was meant, names what is there, and no variable is left to fill in."""
    found = remedy(real, name)
    assert found.kind == "automatic"
    assert found.aws_cli[0].startswith(AUTOMATIC[name])


def test_several_settings_are_changed_in_one_revision(real: Catalogue) -> None:
    """Host and port of the database go through one file, one registration and one deployment."""
    facts = seen(gateway_stores=stores("Connection refused", host="old.example", port="5433"))
    found = concluded(real, facts.values())
    (said,) = [d.remedy for d in found.diagnoses if d.cause == "database-settings-wrong" and d.remedy]
    assert (said.kind, [line.count(" DB_") for line in said.aws_cli]) == ("automatic", [2, 0, 0])
    assert said.aws_cli[0].endswith("DB_PORT 5432 > gateway.json")


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("blind", [False, True], ids=["with AWS", "without"])
def test_what_is_to_be_typed_can_be_pasted(real: Catalogue, name: str, blind: bool) -> None:
    """Bash reads every command; what only a person knows is set first; automatic leaves nothing open."""
    facts = without_aws(STORIES[name][0]) if blind else STORIES[name][0]
    slugs = {expected.split()[1] for _, expected in STORIES.values()}
    for case in cases_of(real, facts, slugs):
        assert is_good_shell(list(typed(case)))
        assert [line for line in typed(case) if bare_brackets(line)] == []
        said = case.remedy
        assert said is None or unset(said.aws_cli) == set()
        if said is not None and said.kind == "automatic":
            assert said.aws_cli
            assert all(line.startswith("aws ") for line in said.aws_cli)


def cases_of(real: Catalogue, facts: dict[str, Facts], slugs: set[str]) -> list[Case]:
    """Every case that these causes yield on these facts."""
    observed = [
        Observation(probe=f.probe, started_at=NOW, duration_s=0.1, status="seen", facts=f)
        for f in facts.values()
    ]
    given = {
        slug: arguments_of(real.causes[slug], {o.probe: o for o in observed}, TARGET)
        for slug in sorted(slugs)
    }
    return [case for slug, one in given.items() if one for case in real.causes[slug].function(**one)]


OWN_CHECKS = {"connectivity": {"status": "healthy"}, "artifacts_api": {"status": "healthy"}}
HUNG = answer(
    503,
    {"detail": {"checks": OWN_CHECKS | {"experiments_api": {"status": "unhealthy", "error": "Timeout"}}}},
    path="/api/health/mlflow",
)
LATE = refusal(504, "MLflow server request timeout after 30.0s", path=SEARCH)


@pytest.mark.parametrize(
    ("error", "present"), [("connection timeout expired", {"mlflow-database-unreachable"}), (None, set())]
)
def test_a_database_that_keeps_two_services_waiting_is_at_fault(
    real: Catalogue, error: str | None, present: set[str]
) -> None:
    """RDS is available; MLflow's calls hang, and the gateway says that it waits for the same database."""
    facts = seen(
        registration=registration(LATE),
        gateway_stores=stores(error),
        mlflow_api=api_facts(LATE, LATE),
        public_paths=path_facts([HUNG]),
        health_bodies=HealthBodiesFacts(answers={"/api/health/mlflow": HUNG}, services={}),
    )
    found = concluded(real, facts.values())
    assert named(found, "present") == present
    outside_alone = concluded(real, without_aws(facts).values(), OUTSIDE)
    assert named(outside_alone, "present") == set()


@pytest.mark.parametrize("error", ["connection timeout expired", "Connection refused"])
def test_another_port_at_the_database_s_own_host_is_the_setting(real: Catalogue, error: str) -> None:
    """RDS listens on one port: beside it a connection is refused, or dropped by the security group."""
    beside = seen(database_instance=RDS, gateway_stores=stores(error, port="5433"))
    found = concluded(real, beside.values())
    (one,) = [d for d in found.diagnoses if d.status == "present"]

    assert one.cause == "database-settings-wrong"
    assert one.remedy is not None
    assert "Set DB_PORT to 5432 for the gateway" in one.remedy.summary
    assert not unfounded(found.diagnoses, beside.values())


@pytest.mark.parametrize("settings", [{"primary_db": "hokusai"}, {"host": "old.example"}])
def test_a_stopped_database_hides_settings_and_does_not_deny_them(
    real: Catalogue, settings: dict[str, str]
) -> None:
    """Nobody is there to refuse them; the setting that is not RDS's is still wrong."""
    silent = stores("connection timeout expired", **settings)
    stopped = seen(database_instance=RDS.model_copy(update={"status": "stopped"}), gateway_stores=silent)
    found = concluded(real, stopped.values())

    assert named(found, "present") == {"database-unavailable"}
    assert "database-settings-wrong" not in named(found, "ruled_out")
