"""Models and contributions: what of the gateway depends on a secret and a variable of its task."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from data_side import asynchronous
from gateway_side import gateway

from hokusai_probe.sandbox.services.answers import RefusalError
from hokusai_probe.sandbox.services.gateway import with_secrets
from hokusai_probe.sandbox.services.gateway_models import LIMITS, REGISTER, Limiter, template_of
from hokusai_probe.sandbox.services.settings import SettingsError

WHOLE = {"HUGGINGFACE_API_KEY": "hk_test_token", "HOKUSAI_CONTRIBUTIONS_BUCKET": "hokusai-contributions"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/models/21/predict", "/api/v1/models/{model_id}/predict"),
        ("/api/v1/models/21/other", "/api/v1/models/21/other"),
        ("/api/v1/models//predict", "/api/v1/models//predict"),
        ("/live", "/live"),
        ("/api/models/21/lineage", "/api/models/{model_id}/lineage"),
        ("/api/models/contributors/0x00/impact", "/api/models/contributors/{address}/impact"),
    ],
)
def test_the_route_of_a_path(path: str, expected: str) -> None:
    """A model's id is a parameter; everything else stays."""
    assert template_of(path) == expected


@asynchronous
async def test_a_task_that_has_everything(tmp_path: Path) -> None:
    """Information, health, a prediction, a contribution; bad bodies are 422, wrong methods 405."""
    async with gateway(tmp_path, variables=WHOLE, time_scale=1.0) as ask:
        info = await ask("GET", "/api/v1/models/21/info")
        health = await ask("GET", "/api/v1/models/21/health")
        predicted = await ask("POST", "/api/v1/models/21/predict", json={"inputs": {}})
        status, accepted = await ask("POST", "/api/v1/models/30/contributions", json={"rows": [{}, {}]})
        bad = [
            (await ask("POST", "/api/v1/models/21/predict", json={}))[0],
            (await ask("POST", "/api/v1/models/30/contributions", json={"rows": []}))[0],
            (await ask("GET", "/api/v1/models/21/predict"))[0],
            (await ask("GET", "/api/v1/models/21/info", None))[0],
        ]
        dspy = await ask("GET", "/api/v1/dspy/health", None)
    assert isinstance(accepted, dict)
    assert accepted.pop("submissionId")
    assert info == (200, {"model_id": "21", "provider": "huggingface", "is_available": True})
    assert health == (200, {"model_id": "21", "status": "healthy"})
    assert predicted == (200, {"model_id": "21", "predictions": [0.5]})
    assert (status, accepted) == (201, {"accepted": True, "modelId": "30", "rowsAccepted": 2})
    assert bad == [422, 422, 405, 401]
    assert dspy == (200, {"status": "healthy", "service": "dspy"})


@asynchronous
async def test_a_task_that_lacks_the_secret_and_the_variable(tmp_path: Path) -> None:
    """Predictions are 500 and contributions 503 on every try, while information and health are 200."""
    async with gateway(tmp_path) as ask:
        predicted = await ask("POST", "/api/v1/models/21/predict", json={"inputs": {}})
        given = [await ask("POST", "/api/v1/models/30/contributions", json={"rows": [{}]}) for _ in range(2)]
        fine = [(await ask("GET", f"/api/v1/models/21/{what}"))[0] for what in ("info", "health")]
    unset = "HOKUSAI_CONTRIBUTIONS_BUCKET environment variable is not set"
    assert predicted == (500, {"detail": "HuggingFace token not configured"})
    assert given == [(503, {"detail": unset, "error": "persistence_unavailable"})] * 2
    assert fine == [200, 200]


@asynchronous
async def test_what_is_over_a_limit_is_refused(tmp_path: Path) -> None:
    """Twenty good registrations a minute; the 429 names no time, and other routes go on."""
    good = {"model_type": "baseline", "metadata": {}}
    async with gateway(tmp_path, time_scale=1.0) as ask:
        bad = await ask("POST", "/api/models/register", json={})
        taken = [(await ask("POST", "/api/models/register", json=good))[0] for _ in range(20)]
        status, headers, body = await ask.whole("POST", "/api/models/register", json=good)
        beside = [(await ask("GET", f"/api/models/{p}"))[0] for p in ("21/lineage", "contributors/0x/impact")]
    assert (bad[0], taken, beside) == (422, [201] * 20, [200, 400])
    assert (status, body) == (429, {"error": "Rate limit exceeded: 20 per 1 minute"})
    assert [n for n in headers if n.lower() == "retry-after" or n.lower().startswith("x-ratelimit")] == []


def test_a_window_begins_with_its_first_request_and_is_an_address_s_own() -> None:
    """What is refused does not prolong it."""
    now = 100.0
    limiter = Limiter(12.0, lambda: now)

    def lets_in(remote: str) -> bool:
        try:
            limiter.check(REGISTER, SimpleNamespace(remote=remote))
        except RefusalError:
            return False
        return True

    first = [lets_in("a") for _ in range(LIMITS[REGISTER] + 2)]
    now = 111.9
    late = (lets_in("a"), lets_in("b"))
    now = 112.0
    assert first == [True] * LIMITS[REGISTER] + [False] * 2
    assert (late, lets_in("a")) == ((False, True), True)


def test_secrets_stand_beside_the_variables(tmp_path: Path) -> None:
    """As ECS puts them; a file that cannot be read is a sentence without its content."""
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"DB_PASSWORD": "hk_test_secret"}))
    given = {"A": "1", "SANDBOX_SECRETS": str(path)}
    assert with_secrets(given) == {**given, "DB_PASSWORD": "hk_test_secret"}
    assert with_secrets({"A": "1"}) == {"A": "1"}
    path.write_text('["hk_test_secret"]')
    with pytest.raises(SettingsError) as error:
        with_secrets(given)
    assert str(error.value) == f"SANDBOX_SECRETS: {path} is not a readable JSON object of strings"
