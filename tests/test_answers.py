"""Who answered, by the shapes that the platform's parts are known to write."""

import pytest
from _facts import (
    AUTH_OK,
    GATEWAY_OK,
    HTML,
    NO_MODEL,
    TEXT,
    answer,
    bad_gateway,
    balancer_page,
    fixed_404,
    mlflow_404,
    refusal,
    silence,
    unavailable,
)

from hokusai_probe.answers import detail, error_code, responder, said
from hokusai_probe.http import Answer

NGINX_404 = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>"
    "\r\n<hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>"
)
MLFLOW_405 = (
    "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>"
)
PROXY_404 = {"error_code": "RESOURCE_NOT_FOUND", "message": "The requested resource was not found: /x"}
FORBIDDEN = {"detail": "no", "error": "FORBIDDEN", "required_scope": "model:write", "current_scopes": []}
NOT_ADMIN = {"detail": "Admin access required for the model registry", "error": "REGISTRY_ADMIN_REQUIRED"}

SIGNATURES: dict[str, tuple[Answer, str, str, str]] = {
    # name: answer, responder, detail, error code
    "nobody": (silence(), "nobody", "", ""),
    "auth health": (answer(body=AUTH_OK), "auth", "", ""),
    "auth root": (answer(body={"service": "Hokusai Authentication Service"}), "auth", "", ""),
    "gateway health": (answer(body=GATEWAY_OK), "gateway", "", ""),
    "gateway health, constant": (answer(body={"status": "ok"}), "gateway", "", ""),
    "gateway health, closed": (answer(503, {"status": "unhealthy", "services": {}}), "gateway", "", ""),
    "mlflow health": (answer(body="OK", content_type=HTML), "mlflow", "", ""),
    "mlflow missing model": (answer(404, NO_MODEL), "mlflow", "", "RESOURCE_DOES_NOT_EXIST"),
    "mlflow bad request": (
        answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "x"}),
        "mlflow",
        "",
        "INVALID_PARAMETER_VALUE",
    ),
    "mlflow without tables": (
        answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "x"}),
        "mlflow",
        "",
        "TEMPORARILY_UNAVAILABLE",
    ),
    "mlflow router": (mlflow_404(), "mlflow", "", ""),
    "mlflow wrong verb": (answer(405, MLFLOW_405, HTML, headers={"allow": "GET"}), "mlflow", "", ""),
    "mlflow host guard": (
        answer(403, "Invalid Host header - possible DNS rebinding attack detected"),
        "mlflow",
        "",
        "",
    ),
    "mlflow cross origin": (answer(403, "Cross-origin request blocked"), "mlflow", "", ""),
    "fixed response": (fixed_404(), "load-balancer", "", ""),
    "fixed response, header lost": (answer(404, "Not Found", TEXT), "unknown", "", ""),
    "balancer 502": (bad_gateway(), "load-balancer", "", ""),
    "balancer 503": (unavailable(), "load-balancer", "", ""),
    "balancer 504": (balancer_page(504, "Gateway Time-out"), "load-balancer", "", ""),
    "balancer 502, header rewritten": (
        bad_gateway().model_copy(update={"headers": {"server": "cloudflare"}}),
        "load-balancer",
        "",
        "",
    ),
    "redirect": (
        answer(301, "<h1>301 Moved Permanently</h1>", HTML, headers={"server": "awselb/2.0"}),
        "load-balancer",
        "",
        "",
    ),
    "gateway router": (refusal(404, "Not Found"), "gateway", "Not Found", ""),
    "gateway made it of html": (answer(404, PROXY_404), "gateway", "", "RESOURCE_NOT_FOUND"),
    "gateway no key": (refusal(401, "API key required"), "gateway", "API key required", ""),
    "gateway bad key": (
        refusal(401, "Invalid or expired API key"),
        "gateway",
        "Invalid or expired API key",
        "",
    ),
    "gateway auth timeout": (
        refusal(401, "Authentication service timeout"),
        "gateway",
        "Authentication service timeout",
        "",
    ),
    "gateway auth outage, mended": (
        refusal(503, "Authentication service error", headers={"retry-after": "1"}),
        "gateway",
        "Authentication service error",
        "",
    ),
    "gateway cannot connect": (
        refusal(502, "Failed to connect to MLflow server at http://x:5000"),
        "gateway",
        "Failed to connect to MLflow server at http://x:5000",
        "",
    ),
    "gateway artifacts off": (
        refusal(503, {"error": "ARTIFACTS_DISABLED", "message": "x"}),
        "gateway",
        "",
        "ARTIFACTS_DISABLED",
    ),
    "gateway scope": (answer(403, FORBIDDEN), "gateway", "no", "FORBIDDEN"),
    "gateway admin only": (
        answer(403, NOT_ADMIN),
        "gateway",
        "Admin access required for the model registry",
        "REGISTRY_ADMIN_REQUIRED",
    ),
    "balance": (refusal(402, "Insufficient balance"), "gateway", "Insufficient balance", ""),
    "a log-in page": (answer(200, "<html><title>Sign in</title></html>", HTML), "unknown", "", ""),
    "an empty object": (answer(body={}), "unknown", "", ""),
    "a list": (answer(body=[1]), "unknown", "", ""),
    "scanner filter": (answer(404, "", TEXT), "unknown", "", ""),
    "texts that are no texts": (answer(500, {"detail": 7, "error": ["x"]}), "gateway", "", ""),
    "a 502 in words only": (answer(200, "<p>we had a 502 Bad Gateway</p>", HTML), "unknown", "", ""),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_each_signature_has_one_sender(name: str) -> None:
    """Body and type say who answered, and what the refusal says is read where that sender writes it."""
    given, *expected = SIGNATURES[name]
    assert [responder(given), detail(given), error_code(given)] == expected


def test_a_web_servers_404_is_not_mlflows() -> None:
    """Both nginx and Flask title the page ``404 Not Found``; only Flask heads it ``Not Found``."""
    assert responder(answer(404, NGINX_404, HTML)) == "unknown"


def test_the_server_header_alone_decides_nothing() -> None:
    """JSON is its sender's whatever the header says; a 200 page under awselb is nobody's."""
    header = {"server": "awselb/2.0"}
    assert responder(answer(body=GATEWAY_OK, headers=header)) == "gateway"
    assert responder(answer(200, "<h1>hello</h1>", HTML, headers=header)) == "unknown"


SAID = {
    "no answer (refused: connecting was refused)": silence(),
    "502 from the load balancer itself (text/html)": bad_gateway(),
    "401 from the gateway ('API key required')": refusal(401, "API key required"),
    "404 from MLflow ('RESOURCE_DOES_NOT_EXIST')": answer(404, NO_MODEL),
    "404 from MLflow (text/html)": mlflow_404(),
    "200 from the auth service (application/json)": answer(body=AUTH_OK),
    "204 from an unknown sender (no type)": answer(204).model_copy(update={"content_type": ""}),
}


@pytest.mark.parametrize("sentence", SAID)
def test_said_is_one_phrase_with_status_sender_and_words(sentence: str) -> None:
    """What came back, from whom, and the words it used; or why nothing came."""
    assert said(SAID[sentence]) == sentence


def test_auths_own_refusal_is_not_ascribed_to_the_gateway() -> None:
    """Gateway and auth refuse in the same shape: who was asked decides, but only between these two."""
    assert said(refusal(401, "API key required"), "auth") == "401 from the auth service ('API key required')"
    assert said(unavailable(), "auth") == "503 from the load balancer itself (text/html)"


def test_a_recorded_answer_reads_as_it_did() -> None:
    """The sender of an answer read back from JSON is the same, for every signature."""
    for given, *_ in SIGNATURES.values():
        again = Answer.model_validate_json(given.model_dump_json())
        assert (responder(again), detail(again), error_code(again), said(again)) == (
            responder(given),
            detail(given),
            error_code(given),
            said(given),
        )
