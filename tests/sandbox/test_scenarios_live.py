"""The scenarios that ship, running: each does to the platform what its summary says."""

from collections.abc import Iterator
from contextlib import contextmanager

from control_side import Prober

from hokusai_probe.sandbox import start

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=100"


@contextmanager
def _running(name: str) -> Iterator[Prober]:
    with start(name) as box:
        yield Prober(box)


def test_gateway_mlflow_url_wrong() -> None:
    """The gateway's own health is good; whatever needs MLflow is a 502 that names the wrong address."""
    with _running("gateway-mlflow-url-wrong") as prober:
        assert prober.ask("registry", "/live")[0] == 200
        status, body = prober.ask("registry", SEARCH)
    wanted = b'"Failed to connect to MLflow server at http://mlflow.hokusai.local:5000/mlflow'
    assert (status, wanted in body.replace(b'": "', b'":"')) == (502, True)


def test_artifact_upload_broken() -> None:
    """REST works, artifacts do not; everything else is well."""
    with _running("artifact-upload-broken") as prober:
        path = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/x/y.bin"
        upload = prober.ask("registry", path, method="PUT", body=b"x")[0]
        assert (prober.ask("registry", SEARCH)[0], upload) == (200, 404)
        assert [prober.health(name)[0][2] for name in ("auth", "gateway", "mlflow")] == ["healthy"] * 3


def test_key_unknown() -> None:
    """The prober's key is refused; the platform is well."""
    with _running("key-unknown") as prober:
        assert prober.box.environment["HOKUSAI_API_KEY"].startswith("hk_test_")
        assert prober.ask("registry", SEARCH)[0] == 401
        assert prober.ask("registry", "/health")[0] == 200


def test_the_report_of_2025_08_05() -> None:
    """Auth 502, /api/mlflow a 404 of MLflow's, the api host its fixed 404; every ECS service runs."""
    with _running("2025-08-05") as prober:
        assert prober.ask("auth", "/health")[0] == 502
        assert prober.ask("registry", SEARCH)[0] == 404
        assert prober.ask("api", "/health") == (404, b"Not Found")
        assert [prober.describe(name)["runningCount"] for name in ("auth", "gateway", "mlflow")] == [1, 1, 1]
        assert [one[2:] for one in prober.serving("auth")] == [("unhealthy", "Target.FailedHealthChecks")]
        assert "cache-off" in prober.target["accept"]["behaviours"]


def test_the_outage_of_2025_07_30() -> None:
    """Gateway and MLflow do not exist in ECS; the registry host answers 503, auth is well."""
    with _running("2025-07-30") as prober:
        assert prober.ask("registry", "/health")[0] == 503
        assert prober.ask("auth", "/health")[0] == 200
        names = prober.box.names
        services = [names[f"service.{name}"] for name in ("auth", "gateway", "mlflow")]
        with prober.aws("ecs") as ecs:
            found = ecs.describe_services(cluster=names["cluster"], services=services)
    assert [one["serviceName"] for one in found["services"]] == services[:1]
    assert [one["reason"] for one in found["failures"]] == ["MISSING", "MISSING"]


def test_other_peoples_models() -> None:
    """The registry is full of things that are not ours."""
    with _running("other-peoples-models") as prober:
        body = prober.ask("registry", SEARCH)[1]
        models = prober.ask("registry", SEARCH.replace("experiments", "registered-models"))[1]
    assert (body.count(b'"experiment_id"'), models.count(b'"creation_timestamp"')) == (61, 60)


def test_extra_target_group() -> None:
    """Leftovers exist in AWS; the platform works."""
    with _running("extra-target-group") as prober:
        with prober.aws("elbv2") as elbv2:
            groups = elbv2.describe_target_groups()["TargetGroups"]
        assert "hokusai-leftover-tg" in [group["TargetGroupName"] for group in groups]
        assert prober.ask("registry", SEARCH)[0] == 200
