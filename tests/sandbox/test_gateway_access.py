"""Who may do what at the gateway: scanners, admins, balances, and what a browser may read."""

from pathlib import Path

import pytest
from data_side import asynchronous
from gateway_side import ACCEPTED, CREATE, SEARCH, Around, gateway

from hokusai_probe.sandbox.services.answers import RefusalError
from hokusai_probe.sandbox.services.gateway_access import (
    admin_emails,
    check_registry,
    is_debited,
    is_scanned,
)
from hokusai_probe.sandbox.services.gateway_auth import Caller, debit_rejected

ADMIN_NEEDED = {"detail": "Admin access required for the model registry", "error": "REGISTRY_ADMIN_REQUIRED"}
PREDICT = "/api/v1/models/21/predict"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/.env", True),
        ("/.git/config", True),
        ("/wp-login.php", True),
        ("/WP-ADMIN/", True),
        ("/phpmyadmin", True),
        ("/nope", False),
        ("/.well-known/x", False),
        ("/api/mlflow/api/2.0/mlflow-artifacts/artifacts/1/.env", False),
        ("/api/mlflow/index.php", False),
        ("/", False),
    ],
)
def test_what_only_scanners_ask_for(path: str, expected: bool) -> None:
    """Well-known targets of scanners, and nothing that lies under the platform's own paths."""
    assert is_scanned(path) is expected


@asynchronous
async def test_a_scanner_gets_an_empty_404_before_anybody_asks_for_a_key(tmp_path: Path) -> None:
    """No body, not to be stored, no word to auth; with a key all the same."""
    async with gateway(tmp_path) as ask:
        seen = [await ask.whole("GET", "/.env", key) for key in (None, "hk_test_good")]
        asked = list(ask.around.asked)
    assert [(status, headers["Cache-Control"], body) for status, headers, body in seen] == [
        (404, "no-store", "")
    ] * 2
    assert asked == []


@pytest.mark.parametrize(
    ("caller", "admins", "allowed"),
    [
        (Caller(), set(), False),
        (Caller(scopes=("model:write", "full_access")), set(), False),
        (Caller(is_admin=True), set(), True),
        (Caller(email="Boss@Hokusai.test"), {"boss@hokusai.test"}, True),
        (Caller(email=""), {"boss@hokusai.test"}, False),
        *((Caller(scopes=(scope,)), set(), True) for scope in ("admin", "mlflow:admin", "registry:admin")),
        (Caller(scopes=("model-registry:admin",)), set(), True),
    ],
)
def test_who_is_an_admin(caller: Caller, admins: set[str], allowed: bool) -> None:
    """Contract 3.4: by auth's word, by e-mail or by scope; then no write scope is asked for."""
    behaviours, refused = frozenset({"admin-only"}), None
    for method, path in (("GET", SEARCH), ("POST", CREATE)):
        try:
            check_registry(caller, method, path, behaviours, frozenset(admins))
        except RefusalError as refusal:
            refused = (refusal.status, refusal.body)
    assert refused == (None if allowed else (403, ADMIN_NEEDED))


def test_the_list_of_admins() -> None:
    """Separated by commas, blanks and letter case aside; none when the variable is missing."""
    assert admin_emails({"REGISTRY_ADMIN_USER_EMAILS": " A@x.test, ,b@x.test"}) == {"a@x.test", "b@x.test"}
    assert admin_emails({}) == frozenset()


@asynchronous
async def test_the_admin_lock_covers_the_registry_only(tmp_path: Path) -> None:
    """Reads as well as writes are refused; what is not the registry is not; an admin passes."""
    async with gateway(tmp_path, "admin-only") as ask:
        refused = [await ask("GET", SEARCH), await ask("POST", CREATE), await ask("GET", "/mlflow/x")]
        root = (await ask("GET", "/"))[0]
        ask.around.auth = (200, {**ACCEPTED, "is_admin": True})
        admin = (await ask("POST", CREATE, json={}))[0]
        passed = len(ask.around.passed)
    assert refused == [(403, ADMIN_NEEDED)] * 3
    assert (root, admin, passed) == (200, 200, 1)


@asynchronous
async def test_who_cannot_pay(tmp_path: Path) -> None:
    """402 for reads and writes alike (contract 3.4 names no exception); public paths stay free."""
    around = Around(auth=(200, {**ACCEPTED, "has_sufficient_balance": False}))
    async with gateway(tmp_path, around=around) as ask:
        seen = [await ask("GET", SEARCH), await ask("POST", CREATE), await ask("GET", "/nope")]
        live = (await ask("GET", "/live", None))[0]
        passed = list(ask.around.passed)
    assert seen == [(402, {"detail": "Insufficient balance"})] * 3
    assert (live, passed) == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "is_mlflow", "expected"),
    [
        ("GET", SEARCH, True, False),
        ("POST", SEARCH, True, False),
        ("POST", CREATE, True, True),
        ("PUT", "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/x", True, True),
        ("POST", PREDICT, False, True),
        ("GET", "/api/v1/models/21/info", False, False),
        ("POST", "/nope", False, False),
    ],
)
def test_what_is_debited(method: str, path: str, is_mlflow: bool, expected: bool) -> None:
    """Writes to the registry and predictions."""
    assert is_debited(method, path, is_mlflow=is_mlflow) is expected


@pytest.mark.parametrize(
    ("body", "reason", "code"),
    [
        (b'{"reason": "Balance too low", "reason_code": "low"}', "Balance too low", "low"),
        (b'{"detail": "Insufficient balance"}', "Insufficient balance", None),
        (b"<html>", None, None),
        (b"[]", None, None),
    ],
)
def test_a_rejected_debit(body: bytes, reason: str | None, code: str | None) -> None:
    """Auth's reason is passed on, as far as it can be read."""
    refusal = debit_rejected(body)
    assert (refusal.status, refusal.body) == (
        402,
        {"error": "usage_debit_rejected", "reason": reason, "reason_code": code},
    )


@asynchronous
async def test_a_write_is_charged_before_it_is_done(tmp_path: Path) -> None:
    """Auth is asked first; its 402 stops the write, any other answer of its does not."""
    async with gateway(tmp_path) as ask:
        ask.around.debit = (402, {"reason": "Balance too low", "reason_code": "low"})
        refused = await ask("POST", CREATE, json={})
        read = (await ask("GET", SEARCH))[0]
        ask.around.debit = (500, {})
        outage = (await ask("POST", CREATE, json={}))[0]
        passed = [where for where, _, _ in ask.around.passed]
    assert refused == (
        402,
        {"error": "usage_debit_rejected", "reason": "Balance too low", "reason_code": "low"},
    )
    assert (read, outage) == (200, 200)
    assert passed == [f"/mlflow{path.removeprefix('/api/mlflow')}" for path in (SEARCH, CREATE)]


@asynchronous
async def test_what_a_browser_may_read(tmp_path: Path) -> None:
    """CORS headers on what comes from behind the authentication, none on its refusals."""
    origin = {"Origin": "https://a.test"}
    async with gateway(tmp_path) as ask:
        seen = {
            where: (await ask.whole("GET", where, key, headers=origin))[1].get("Access-Control-Allow-Origin")
            for where, key in (("/", "hk_test_good"), (SEARCH, "hk_test_good"), ("/live", None), ("/x", None))
        }
        plain = (await ask.whole("GET", "/live", None))[1]
        ask.around.auth = (200, {**ACCEPTED, "scopes": []})
        forbidden = (await ask.whole("POST", CREATE, headers=origin))[1]
    assert seen == {"/": "https://a.test", SEARCH: "https://a.test", "/live": "https://a.test", "/x": None}
    assert "Access-Control-Allow-Origin" not in {**plain, **forbidden}
