"""Where MLflow is told to keep things, read from its task definition."""

from typing import Any

import pytest
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts, _flags, stores_of
from hokusai_probe.probes.task_definitions import TaskDefinition


def told_to(*flags: str, secrets: tuple[str, ...] = (), **addresses: str) -> MlflowStoresFacts:
    """MLflow with these variables, secrets and options."""
    one = TaskDefinition(arn="m:1", addresses=addresses, names=tuple(addresses), secrets=secrets)
    return stores_of(one, flags)


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
        told_to("--host", "--backend-store-uri"),
        skipped("cannot-tell", "where MLflow's data lie is not seen from here (hidden)"),
    ),
    (MlflowStoresFacts(), skipped("not-applicable", "MLflow has no task definition that could be read")),
]


@pytest.mark.parametrize(("facts", "expected"), ROWS)
def test_what_outlives_the_task_passes(real: Catalogue, facts: MlflowStoresFacts, expected: Told) -> None:
    """A database passes, the task's own disk fails, and what may be a volume or is hidden decides nothing."""
    assert told(verdict(real, "mlflow-keeps-its-data-off-the-task", facts)) == expected


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
    assert _flags(containers, "mlflow") == ("--backend-store-uri", "--host")


def test_buckets_are_those_that_mlflow_writes_to() -> None:
    """The proxy's destination goes before the root that new experiments get."""
    found = told_to(ARTIFACTS_DESTINATION="s3://b/proxied", DEFAULT_ARTIFACT_ROOT="mlflow-artifacts:/")
    assert found.buckets == ("s3://b/proxied",)
