"""Which answers of a run sample which part of the way, and how many of them are kept."""

from typing import Any

import pytest
from test_condense import answer, report, verdict

from hokusai_probe.history.condense import run_of
from hokusai_probe.history.latency import Histogram, Phases
from hokusai_probe.history.parts import MOST, PARTS

PASSES = verdict("b", "pass")
TIMING = {"connect_s": 0.01, "tls_s": 0.02, "first_byte_s": 0.05}
API = "/api/mlflow/api/2.0/mlflow"
STORE = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts"


@pytest.mark.parametrize(
    ("part", "path", "more"),
    [
        ("constant", "/live", {}),
        (None, "/live", {"status": 503}),
        (None, "/live", {"key_form": "bearer"}),
        (None, "/live", {"failure": {"kind": "timeout"}}),
        ("health", "/health/status", {}),
        ("health", "/api/health/mlflow", {}),
        ("no-key", "/api/x", {"status": 401}),
        (None, "/api/x", {"status": 401, "key_form": "bearer"}),
        ("key", "/api/hokusai-probe-no-such-path", {"status": 404, "key_form": "x-api-key"}),
        (None, "/api/hokusai-probe-no-such-path", {"status": 404}),
        ("search", f"{API}/experiments/search?max_results=1", {"key_form": "bearer"}),
        ("search", f"{API}/runs/search", {"method": "POST"}),
        ("read", f"{API}/registered-models/alias", {}),
        ("write", f"{API}/registered-models/alias", {"method": "POST"}),
        ("write", f"{API}/model-versions/transition-stage", {"method": "POST"}),
        (None, f"{API}/runs/create", {"method": "POST", "status": 400}),
        ("upload", f"{STORE}/a/model.json", {"method": "PUT"}),
        ("download", f"{STORE}/a/model.json", {}),
        (None, STORE, {}),
    ],
)
def test_an_answer_samples_one_part_or_none(part: str | None, path: str, more: dict[str, Any]) -> None:
    """By method, path, status and whether a key went along; whatever else there is samples nothing."""
    found = run_of(report((PASSES,), one=answer(path, 0.1, **more))).parts

    assert found == ({part: Phases(total=Histogram.of([0.1]))} if part else {})


def test_where_the_time_went_is_kept_by_phase() -> None:
    """What was not measured, or did not happen, is in no histogram; the same answer twice is one."""
    fresh = answer("/live", 0.1, timing=TIMING)
    kept_open = answer("/live", 0.06, timing={"connect_s": None, "tls_s": None, "first_byte_s": 0.05})
    found = report((PASSES,), a=fresh, again=[fresh, kept_open], old=answer("/version", 0.2))

    assert run_of(found).parts == {
        "constant": Phases(
            connect=Histogram.of([0.01]),
            tls=Histogram.of([0.02]),
            first_byte=Histogram.of([0.05, 0.05]),
            total=Histogram.of([0.1, 0.06, 0.2]),
        )
    }


def test_a_run_keeps_few_samples() -> None:
    """Twenty of a part, however much it asked for."""
    many = [answer("/live", 0.1 + n / 1000) for n in range(3 * MOST)]

    assert run_of(report((PASSES,), many=many)).parts["constant"].total.answers == MOST


def test_every_part_has_a_name_for_people() -> None:
    """No two are called the same."""
    assert len({part.what for part in PARTS.values()}) == len(PARTS)
