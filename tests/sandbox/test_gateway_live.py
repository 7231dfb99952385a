"""The gateway among all the others: what it needs of its neighbours it finds, and they find it."""

import contextlib
import http.client
import json
from typing import Any

import pytest
from control_side import Prober, eventually, ip_of

pytestmark = pytest.mark.xdist_group("backends")

API = "/api/mlflow/api/2.0/mlflow"


@pytest.fixture
def prober(backends: Prober) -> Prober:
    """One sandbox for all tests here."""
    return backends


def test_the_database_is_reached(prober: Prober) -> None:
    """As the task's variables and its secret say."""
    status, body = prober.ask("registry", "/ready", key="")
    assert (status, json.loads(body)["checks"][0]) == (
        200,
        {"name": "database", "passed": True, "error": None, "critical": True, "connection_details": None},
    )


def test_the_control_host_is_well(prober: Prober) -> None:
    """The target names it, its name resolves, and it says ok."""
    name, port = prober.target["network"]["control_host"].removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(prober.resolve(name)[0], int(port), timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/", headers={"Host": name})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok")


def test_a_webhook_that_the_site_rejects(prober: Prober) -> None:
    """The registration succeeds; the site's refusal is in the gateway's log group and nowhere else."""
    run = _post(prober, "runs/create", experiment_id="0")["run"]
    _post(prober, "registered-models/create", name="churn")
    source = f"{run['info']['artifact_uri']}/model"
    made = _post(prober, "model-versions/create", name="churn", source=source, run_id=run["info"]["run_id"])
    assert made["model_version"]["version"] == "1"
    assert eventually(lambda: _logged(prober, "webhook rejected: 401 Invalid signature"), 10.0)


def _post(prober: Prober, call: str, **body: object) -> dict[str, Any]:
    """MLflow's answer to a call through the gateway's task."""
    headers = {
        "Authorization": f"Bearer {prober.box.environment['HOKUSAI_API_KEY']}",
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection(ip_of(prober.tasks("gateway")[0]), 8001, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", f"{API}/{call}", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    assert answer.status == 200, text
    return dict(json.loads(text))


def _logged(prober: Prober, text: str) -> bool:
    with prober.aws("logs") as logs:
        found = logs.filter_log_events(
            logGroupName=prober.box.names["log_group.gateway"], filterPattern=f'"{text}"'
        )
    return bool(found["events"])
