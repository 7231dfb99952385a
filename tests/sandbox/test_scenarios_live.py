"""The scenarios that ship, running: each does to the platform what its summary says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from control_side import Prober

from hokusai_probe import sandbox
from hokusai_probe.sandbox import start

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=100"


@contextmanager
def _running(name: str | Path) -> Iterator[Prober]:
    with start(name) as box:
        yield Prober(box)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    """Three scenarios that do not touch each other, on one platform."""
    path = tmp_path_factory.mktemp("scenario") / "mixed.toml"
    path.write_text(_together("artifact-upload-broken", "other-peoples-models", "extra-target-group"))
    with _running(path) as prober:
        yield prober


def _together(*names: str) -> str:
    """Scenarios that ship as one, without their names and what each expects."""
    top, steps = ['name = "mixed"', 'summary = "Several at once"'], []
    for name in names:
        text = (Path(sandbox.__file__).parent / "scenarios" / f"{name}.toml").read_text()
        head, opening, rest = text.partition("[expect]")[0].partition("[[step]]")
        top += [line for line in head.splitlines() if not line.startswith(("name ", "summary "))]
        steps.append(opening + rest)
    return "\n".join([*top, *steps])


@pytest.mark.xdist_group("mixed")
def test_artifact_upload_broken(mixed: Prober) -> None:
    """REST works, artifacts do not; everything else is well."""
    path = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/x/y.bin"
    upload = mixed.ask("registry", path, method="PUT", body=b"x")[0]
    assert (mixed.ask("registry", SEARCH)[0], upload) == (200, 404)
    assert [mixed.health(name)[0][2] for name in ("auth", "gateway", "mlflow")] == ["healthy"] * 3


@pytest.mark.xdist_group("mixed")
def test_other_peoples_models(mixed: Prober) -> None:
    """The registry is full of things that are not ours."""
    body = mixed.ask("registry", SEARCH)[1]
    models = mixed.ask("registry", SEARCH.replace("experiments", "registered-models"))[1]
    assert (body.count(b'"experiment_id"'), models.count(b'"creation_timestamp"')) == (61, 60)


@pytest.mark.xdist_group("mixed")
def test_extra_target_group(mixed: Prober) -> None:
    """Leftovers exist in AWS; the platform works."""
    with mixed.aws("elbv2") as elbv2:
        groups = elbv2.describe_target_groups()["TargetGroups"]
    assert "hokusai-leftover-tg" in [group["TargetGroupName"] for group in groups]
    assert mixed.ask("registry", SEARCH)[0] == 200


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
