"""Postgres and S3 behind the whole platform: the control plane decides, MLflow and the gateway feel it."""

import json
from pathlib import Path

import pytest
from control_side import Prober, eventually

from hokusai_probe.sandbox import start

pytestmark = [pytest.mark.xdist_group("backends"), pytest.mark.timeout(240)]

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=9"
ARTIFACT = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/probe/x.bin"

WRONG = """\
name = "password-rotated"
summary = "The secret was rotated, the database was not"
backends = { database = "postgres" }
[[step]]
kind = "aws"
service = "secretsmanager"
call = "put_secret_value"
params = { SecretId = "{secret.database}", SecretString = '{"database_password": "hk_test_new"}' }
[[step]]
kind = "service"
service = "mlflow"
action = "restart"
"""


@pytest.fixture
def prober(backends: Prober) -> Prober:
    """A sandbox with both backends; each test leaves it healthy."""
    return backends


def test_everything_is_where_it_belongs(prober: Prober) -> None:
    """Other people's experiments are in the database, an uploaded artifact is an object in the bucket."""
    status, body = prober.ask("registry", SEARCH)
    names = sorted(one["name"] for one in json.loads(body)["experiments"])
    upload = prober.ask("registry", ARTIFACT, method="PUT", body=b"\x00\x01")
    with prober.aws("s3") as s3:
        found = s3.list_objects_v2(Bucket=prober.box.names["bucket.artifacts"])["Contents"]
    assert (status, names) == (200, ["Default", "team-0/churn-000", "team-1/churn-001"])
    assert (upload, prober.ask("registry", ARTIFACT)) == ((200, b"{}"), (200, b"\x00\x01"))
    assert [one["Key"] for one in found] == ["artifacts/probe/x.bin"]


def test_a_stopped_instance_is_felt_until_it_is_started(prober: Prober) -> None:
    """StopDBInstance: the gateway is not ready and says why; StartDBInstance heals it, nothing is lost."""
    before = prober.ask("registry", SEARCH)
    identifier = {"DBInstanceIdentifier": prober.box.names["database"]}
    with prober.aws("rds") as rds:
        rds.stop_db_instance(**identifier)
        assert eventually(lambda: prober.ask("registry", "/ready")[0] == 503, 10.0)
        said = json.loads(prober.ask("registry", "/ready")[1])
        rds.start_db_instance(**identifier)
        assert eventually(lambda: prober.ask("registry", "/ready")[0] == 200, 10.0)
    database = next(check for check in said["checks"] if check["name"] == "database")
    assert database["error"].endswith("connection timeout expired")
    assert eventually(lambda: prober.ask("registry", SEARCH) == before, 20.0)


def test_a_rotated_secret_keeps_mlflow_from_listening(tmp_path: Path) -> None:
    """MLflow asks again and again, nothing listens, and the log group says which password is wrong."""
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG)
    with start(path) as box:
        prober = Prober(box)
        health = [state for _, _, state, _ in prober.serving("mlflow")]
        status = prober.ask("registry", SEARCH)[0]
        with prober.aws("logs") as logs:
            group = {"logGroupName": box.names["log_group.mlflow"]}
            events = logs.filter_log_events(**group, filterPattern='"password authentication failed"')
    assert (health, status) == (["unhealthy"], 502)
    assert 'FATAL:  password authentication failed for user "mlflow"' in events["events"][0]["message"]
