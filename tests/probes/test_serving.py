"""A model that is asked for a prediction: what is sent, and when it is serving that fails."""

import asyncio

import pytest
from _facts import answer, refusal, silence, unavailable
from _servers import LOCAL, http, says
from _servers import serving as served
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer, HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.looking import Look
from hokusai_probe.model import Hosts, Paths, Target
from hokusai_probe.probes.serving import ServingFacts, serving
from hokusai_probe.redact import Redactor

INFO = answer(200, {"model_id": "21"}, path="/api/v1/models/21/info")
ASKED = "/api/v1/models/21/predict"


def predicted(prediction: Answer | None, info: Answer = INFO) -> ServingFacts:
    """Model 21 whose prediction came to this."""
    return ServingFacts(model="21", info=info, prediction=prediction)


NO_TOKEN = refusal(500, "HuggingFace token not configured", path=ASKED, method="POST")
SERVING: list[tuple[ServingFacts, Told]] = [
    (ServingFacts(), skipped("not-applicable", "the target names no model to be served")),
    (predicted(answer(200, {"predictions": [0.5]}, path=ASKED)), PASS),
    (
        predicted(NO_TOKEN),
        failing(
            "information about model 21 is 200, a prediction 500 from the gateway "
            "('HuggingFace token not configured')"
        ),
    ),
    (
        predicted(refusal(504, "Model 30 did not answer", path=ASKED)),
        failing(
            "information about model 21 is 200, a prediction 504 from the gateway ('Model 30 did not answer')"
        ),
    ),
    (
        predicted(refusal(503, "Authentication service unavailable", path=ASKED)),
        skipped("cannot-tell", f"{ASKED}: 503 from the gateway ('Authentication service unavailable')"),
    ),
    (
        predicted(refusal(402, "Insufficient balance", path=ASKED)),
        skipped("cannot-tell", f"{ASKED}: 402 from the gateway ('Insufficient balance')"),
    ),
    (
        predicted(unavailable(path=ASKED)),
        skipped("cannot-tell", f"{ASKED}: 503 from the load balancer itself (text/html)"),
    ),
    (
        predicted(silence("timeout", "no whole answer", path=ASKED)),
        skipped("cannot-tell", f"{ASKED}: no answer (timeout: no whole answer)"),
    ),
    (
        predicted(None, refusal(404, "Not Found", path=INFO.path)),
        skipped("cannot-tell", f"{INFO.path}: 404 from the gateway ('Not Found')"),
    ),
]


@pytest.mark.parametrize(("facts", "expected"), SERVING)
def test_serving_fails_where_the_gateway_itself_cannot_predict(
    real: Catalogue, facts: ServingFacts, expected: Told
) -> None:
    """What is wrong with key, account, input, auth or the way there is judged where it belongs."""
    assert told(verdict(real, "model-can-be-served", facts)) == expected


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        ("HuggingFace token not configured", True),
        ("OpenAI API key is missing", True),
        ("Database password not found", True),
        ("Model 30 did not answer", False),
        ("the tokenizer is not loaded", False),
        ("upstream said 502", False),
    ],
)
def test_whether_a_secret_is_missing_is_read_from_the_words(words: str, *, lacks: bool) -> None:
    """Whatever it is called."""
    assert bool(predicted(refusal(500, words, path=ASKED)).lacks) is lacks


def looked(model: str | None, reply: bytes) -> tuple[ServingFacts, list[bytes]]:
    """What the look sees of a gateway that always says this, and the requests that were sent."""

    async def run() -> tuple[ServingFacts, list[bytes]]:
        async with served(says(reply)) as server:
            hosts = Hosts(registry=f"http://{LOCAL}:{server.port}")
            target = Target(name="t", hosts=hosts, paths=Paths(serving_model=model))
            keys, redactor = Keys(main="hk_test_0123456789abcdef"), Redactor()
            async with HttpDoor(target, keys, redactor) as door:
                found = await serving(Look.new(target, door, None, keys, "r"))
            return found, [head.split(b" HTTP")[0] for head in server.heads]

    return asyncio.run(run())


def test_one_prediction_is_asked_for() -> None:
    """After the model's information, which costs nothing."""
    found, sent = looked("21", http(body=b"{}", content_type="application/json"))
    assert sent == [b"GET /api/v1/models/21/info", b"POST /api/v1/models/21/predict"]
    assert (found.prediction and found.prediction.status, found.failed) == (200, None)


def test_nothing_is_billed_where_the_model_is_not_known() -> None:
    """Nor where the target names none."""
    missing = http("404 Not Found", b'{"detail":"Not Found"}', content_type="application/json")
    found, sent = looked("21", missing)
    assert (found.prediction, sent) == (None, [b"GET /api/v1/models/21/info"])
    assert looked(None, http()) == (ServingFacts(), [])
