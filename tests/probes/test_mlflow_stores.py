"""Where MLflow is told to keep things, read from its task definition."""

from typing import Any

import pytest
from _facts import DENIED
from test_checks import PASS, Told, failing, skipped, told, verdict
from test_ecs_looks import Cloud, seen_by

from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts, mlflow_stores, stores_of
from hokusai_probe.probes.revisions import Family, RevisionsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


def told_to(
    command: str | None = "", *, secrets: tuple[str, ...] = (), lost: bool = False, **addresses: str
) -> MlflowStoresFacts:
    """MLflow with these variables, secrets and command."""
    one = TaskDefinition(arn="m:1", addresses=addresses, names=tuple(addresses), secrets=secrets)
    return stores_of(one, command, lost=lost)


POSTGRES = "postgresql://db.example:5432/mlflow_db"
ROWS: list[tuple[MlflowStoresFacts, Told]] = [
    (told_to(BACKEND_STORE_URI=POSTGRES), PASS),
    (told_to(BACKEND_STORE_URI="mysql+pymysql://db.example/mlflow"), PASS),
    (
        told_to(DEFAULT_ARTIFACT_ROOT="s3://b/artifacts"),
        failing("BACKEND_STORE_URI is not set: MLflow keeps experiments and models on its task's own disk"),
    ),
    (
        told_to(BACKEND_STORE_URI="sqlite:///mlflow.db"),
        failing("BACKEND_STORE_URI is sqlite:///mlflow.db, on the task's own disk"),
    ),
    (
        told_to(BACKEND_STORE_URI="./mlruns"),
        failing("BACKEND_STORE_URI is ./mlruns, on the task's own disk"),
    ),
    (
        told_to(BACKEND_STORE_URI="sqlite:////mnt/efs/mlflow.db"),
        skipped(
            "cannot-tell", "where MLflow's data lie is not seen from here (sqlite:////mnt/efs/mlflow.db)"
        ),
    ),
    (
        told_to(secrets=("BACKEND_STORE_URI",)),
        skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)"),
    ),
    (
        told_to("mlflow server --host h --backend-store-uri x"),
        skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)"),
    ),
    (MlflowStoresFacts(), skipped("not-applicable", "MLflow has no task definition that could be read")),
]


@pytest.mark.parametrize(("facts", "expected"), ROWS)
def test_what_outlives_the_task_passes(real: Catalogue, facts: MlflowStoresFacts, expected: Told) -> None:
    """A database passes, the task's own disk fails, and what may be a volume or is hidden decides nothing."""
    assert told(verdict(real, "mlflow-keeps-its-data-off-the-task", facts)) == expected


UNSET = "BACKEND_STORE_URI is not set: MLflow keeps experiments and models on its task's own disk"
MADE = (
    "where MLflow's data lie is not seen from here (the image may make the address of DB_HOST, DB_PASSWORD)"
)
OPEN: list[tuple[MlflowStoresFacts, Told]] = [
    (told_to(DB_HOST="db.example", secrets=("DB_PASSWORD",)), skipped("cannot-tell", MADE)),
    (told_to("./start.sh", DB_HOST="h", secrets=("DB_PASSWORD",)), skipped("cannot-tell", MADE)),
    (told_to("mlflow server --host 0.0.0.0", DB_HOST="db.example"), failing(UNSET)),
    (told_to("python -m mlflow.cli server", DB_HOST="db.example"), failing(UNSET)),
    (told_to(DB_HOST="db.example", lost=True), failing(UNSET)),
    (told_to(), failing(UNSET)),
    (
        told_to("./start.sh"),
        skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)"),
    ),
    (
        told_to("sh -c 'BACKEND_STORE_URI=$(make-it) mlflow server'"),
        skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)"),
    ),
    (told_to(None), skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)")),
    (
        told_to(secrets=("MLFLOW_BACKEND_STORE_URI",)),
        skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)"),
    ),
]


@pytest.mark.parametrize(("facts", "expected"), OPEN)
def test_that_a_variable_is_not_there_proves_nothing_by_itself(
    real: Catalogue, facts: MlflowStoresFacts, expected: Told
) -> None:
    """The image may make the address of others; a command that starts the server without one settles it."""
    assert told(verdict(real, "mlflow-keeps-its-data-off-the-task", facts)) == expected


def looked_at(containers: list[dict[str, Any]] | None, *earlier: TaskDefinition) -> MlflowStoresFacts:
    """What the look finds in MLflow's task definition, None where it may not read it."""
    said = {"taskDefinition": {"containerDefinitions": containers}}
    cloud = Cloud({"describe_task_definition": DENIED if containers is None else said})
    one = TaskDefinition(arn="m:2", container="mlflow", names=("DB_HOST",))
    used = TaskDefinitionsFacts(definitions={"mlflow": one})
    families = RevisionsFacts(families={"mlflow": Family(name="m", newest=one, earlier=earlier)})
    found: MlflowStoresFacts = seen_by(mlflow_stores, cloud, used, families)
    return found


def test_a_store_that_a_revision_lost_is_unset() -> None:
    """The revision before had the variable, or the secret, and the image made it of nothing else."""
    quiet: list[dict[str, Any]] = [{"name": "mlflow"}]
    before = TaskDefinition(arn="m:1", secrets=("MLFLOW_BACKEND_STORE_URI",))
    assert [looked_at(quiet, *had).backend for had in ((), (before,))] == ["unknown", "unset"]


def test_a_command_that_was_not_read_may_say_anything() -> None:
    """No options were seen in it, which is not that there are none."""
    found = looked_at(None)
    assert (found.backend, found.command_read, found.flags) == ("unknown", False, ())


def test_of_a_command_only_the_options_names_are_kept() -> None:
    """Their values may hold a password."""
    containers: list[dict[str, Any]] = [
        {"name": "sidecar", "command": ["--verbose"]},
        {
            "name": "mlflow",
            "entryPoint": ["sh", "-c"],
            "command": ["mlflow server --backend-store-uri postgresql://u:hunter2@h/d --host 0.0.0.0"],
        },
    ]
    found = looked_at(containers)
    assert found.flags == ("--backend-store-uri", "--host")
    assert "hunter2" not in found.model_dump_json()


def test_buckets_are_those_that_mlflow_writes_to() -> None:
    """The proxy's destination goes before the root that new experiments get."""
    found = told_to(ARTIFACTS_DESTINATION="s3://b/proxied", DEFAULT_ARTIFACT_ROOT="mlflow-artifacts:/")
    assert found.buckets == ("s3://b/proxied",)
