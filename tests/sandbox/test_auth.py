"""The auth service: whom it accepts and in which words it refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from data_side import Service, asynchronous, network

from hokusai_probe.sandbox.services.auth import PRICE, AuthService
from hokusai_probe.sandbox.services.auth_keys import Key, read_keys
from hokusai_probe.sandbox.services.settings import SettingsError

NOW = datetime.now(UTC)
GOOD = Key(key="hk_test_good", user_id="u1", scopes=("model:read", "model:write"), key_id="k1")
ADMIN = Key(key="hk_test_admin", user_id="root", is_admin=True, key_id="k2")
EXPIRED = Key(key="hk_test_old", expires_at=NOW - timedelta(days=1))
NAIVE = Key(key="hk_test_naive", expires_at=datetime(2020, 1, 1))  # noqa: DTZ001 - a date without a zone is UTC
REVOKED = Key(key="hk_test_revoked", is_active=False, key_id="k3", user_id="u1")
WEBSITE = Key(key="hk_test_site", service_id="website", key_id="k4")
LIMITED = Key(key="hk_test_twice", rate_limit_per_hour=2, key_id="k5")
BROKE = Key(key="hk_test_broke", balance=0, key_id="k6")
AT_HOME = Key(key="hk_test_home", allowed_ips=("198.51.100.1",), email="me@hokusai.test", is_admin=True)
KEYS = (GOOD, ADMIN, EXPIRED, NAIVE, REVOKED, WEBSITE, LIMITED, BROKE, AT_HOME)


class Asker:
    """Sends requests to one auth service."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base
        self.headers: list[tuple[str, str]] = []

    async def __call__(
        self, method: str, where: str, key: str | None = None, **parts: object
    ) -> tuple[int, object]:
        """Status and JSON body."""
        headers = {} if key is None else {"Authorization": key if " " in key else f"Bearer {key}"}
        async with self._session.request(method, self._base + where, headers=headers, **parts) as answer:
            self.headers = list(answer.headers.items())
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text


@asynccontextmanager
async def service(*keys: Key, accepts_any: bool = False, hour_s: float = 3600.0) -> AsyncIterator[Asker]:
    """An auth service with some keys."""
    ip = f"{network()}.40"
    application = AuthService(keys or KEYS, accepts_any=accepts_any, hour_s=hour_s).application()
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, ip, 0).start()
        async with aiohttp.ClientSession() as session:
            yield Asker(session, f"http://{ip}:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


VALIDATE = "/api/v1/keys/validate"


@asynchronous
async def test_a_good_key() -> None:
    """200 with everything the caller needs to know; without a service id, and with blanks around it, too."""
    async with service() as ask:
        seen = [
            await ask("POST", VALIDATE, "hk_test_good", json={"service_id": "platform", "client_ip": "x"}),
            await ask("POST", VALIDATE, "Bearer  hk_test_good", json={}),
            await ask("POST", VALIDATE, "hk_test_good"),
        ]
        named = dict(ask.headers)["Server"]
    body = {
        "is_valid": True,
        "key_id": "k1",
        "user_id": "u1",
        "service_id": "platform",
        "scopes": ["model:read", "model:write"],
        "rate_limit_per_hour": 100_000,
        "billing_plan": "free",
        "monthly_prediction_limit": None,
        "error": None,
        "email": "",
        "is_admin": False,
        "has_sufficient_balance": True,
        "balance": 100.0,
    }
    assert seen == [(200, body)] * 3
    assert named == "uvicorn"


@pytest.mark.parametrize(
    ("key", "body", "status", "detail"),
    [
        (None, {}, 401, "API key required"),
        (None, {"api_key": "hk_test_good"}, 401, "API key required"),
        ("bearer hk_test_good", {}, 401, "API key required"),
        ("Basic hk_test_good", {}, 401, "API key required"),
        ("hk_test_nobody", {}, 401, "API key not found or invalid"),
        ("hk_test_old", {}, 401, "API key not found or invalid"),
        ("hk_test_naive", {}, 401, "API key not found or invalid"),
        ("hk_test_home", {"client_ip": "203.0.113.1"}, 401, "API key not found or invalid"),
        (
            "hk_test_site",
            {"service_id": "platform"},
            401,
            (
                "API key does not have access to service 'platform'; it belongs to service 'website'. "
                "Valid service ids: platform, website, prediction-api, ml-platform"
            ),
        ),
    ],
)
def test_who_is_refused(key: str | None, body: dict[str, str], status: int, detail: str) -> None:
    """No key in the header, an unknown or expired key, a key for another service: each in its words."""

    async def look() -> None:
        async with service() as ask:
            assert await ask("POST", VALIDATE, key, json=body) == (status, {"detail": detail})

    asynchronous(look)()


@asynchronous
async def test_a_revoked_key_is_a_200_that_must_be_read() -> None:
    """The status says yes, the body says no."""
    async with service() as ask:
        status, body = await ask("POST", VALIDATE, "hk_test_revoked", json={"service_id": "platform"})
    assert isinstance(body, dict)
    assert (status, body["is_valid"], body["error"]) == (200, False, "API key is revoked")


@asynchronous
async def test_what_billing_and_the_admin_lock_need_to_know() -> None:
    """Whether there is a balance, who is an admin, under which address; from a place that the key allows."""
    async with service() as ask:
        broke = (await ask("POST", VALIDATE, "hk_test_broke"))[1]
        at_home = (await ask("POST", VALIDATE, "hk_test_home", json={"client_ip": "198.51.100.1"}))[1]
    assert (broke["is_valid"], broke["has_sufficient_balance"], broke["balance"]) == (True, False, 0.0)
    assert (at_home["is_admin"], at_home["email"]) == (True, "me@hokusai.test")


@asynchronous
async def test_a_body_that_is_no_validation() -> None:
    """422 as FastAPI says it, without what was sent."""
    async with service() as ask:
        status, body = await ask("POST", VALIDATE, "hk_test_good", json={"service_id": ["hk_test_x"]})
        broken = await ask("POST", VALIDATE, "hk_test_good", data="{")
    assert (status, [(one["type"], one["loc"]) for one in body["detail"]]) == (
        422,
        [("string_type", ["service_id"])],
    )
    assert "hk_test_x" not in str(body)
    assert broken[0] == 422


@asynchronous
async def test_a_limit_that_the_key_names() -> None:
    """The third use within the hour is a 429."""
    async with service() as ask:
        seen = [(await ask("POST", VALIDATE, "hk_test_twice"))[0] for _ in range(3)]
    assert seen == [200, 200, 429]


@asynchronous
async def test_a_limit_that_is_over() -> None:
    """Once the hour has passed, the key may be used again."""
    async with service(LIMITED, hour_s=0.2) as ask:
        before = [(await ask("POST", VALIDATE, "hk_test_twice"))[0] for _ in range(3)]
        await asyncio.sleep(0.25)
        after = (await ask("POST", VALIDATE, "hk_test_twice"))[0]
    assert (before, after) == ([200, 200, 429], 200)


@asynchronous
async def test_the_behaviour_that_accepts_every_key() -> None:
    """Unknown, expired and revoked keys are let in, a missing one is not."""
    async with service(accepts_any=True) as ask:
        seen = [
            await ask("POST", VALIDATE, key, json={"service_id": "platform"})
            for key in ("hk_test_nobody", "hk_test_old", "hk_test_revoked")
        ]
        without = await ask("POST", VALIDATE)
    assert [(status, body["is_valid"]) for status, body in seen] == [(200, True)] * 3
    assert without == (401, {"detail": "API key required"})


@asynchronous
async def test_health_and_unknown_paths() -> None:
    """Who it is, that it lives, and FastAPI's words for what is not there."""
    async with service() as ask:
        root = await ask("GET", "/")
        status, health = await ask("GET", "/health")
        assert isinstance(health, dict)
        lives = [
            (await ask("GET", where))[0] for where in ("/ready", "/metrics", "/auth/health", "/auth/ready")
        ]
        other = [await ask("GET", "/nope"), await ask("PUT", "/health"), await ask("GET", VALIDATE + "/x")]
    assert root == (
        200,
        {"service": "Hokusai Authentication Service", "version": "1.0.0", "status": "operational"},
    )
    stamp = datetime.fromisoformat(health.pop("timestamp"))
    assert stamp.tzinfo == UTC
    assert (status, health) == (
        200,
        {"status": "healthy", "service": "hokusai-auth-service", "version": "1.0.0"},
    )
    assert lives == [200] * 4
    assert other == [
        (404, {"detail": "Not Found"}),
        (405, {"detail": "Method Not Allowed"}),
        (404, {"detail": "Not Found"}),
    ]


@asynchronous
async def test_the_life_of_a_key() -> None:
    """Created by an admin, valid, listed, rotated, revoked; the old one is gone, and the rest may not."""
    async with service() as ask:
        refused = [
            await ask("POST", "/api/v1/keys", "hk_test_good", json={"name": "n"}),
            await ask("POST", "/api/v1/keys", "hk_test_admin", json={"name": "n", "expires_in_days": 366}),
        ]
        _, made = await ask("POST", "/api/v1/keys", "hk_test_admin", json={"name": "n", "scopes": ["write"]})
        assert isinstance(made, dict)
        first, key_id = made["api_key"], made["key_info"]["key_id"]
        valid = await ask("POST", VALIDATE, first)
        got = await ask("GET", f"/api/v1/keys/{key_id}", "hk_test_admin")
        _, turned = await ask("POST", f"/api/v1/keys/{key_id}/rotate", "hk_test_admin")
        assert isinstance(turned, dict)
        second, second_id = turned["api_key"], turned["key_info"]["key_id"]
        old = await ask("POST", VALIDATE, first)
        deleted = await ask("DELETE", f"/api/v1/keys/{second_id}", "hk_test_admin")
        after = await ask("POST", VALIDATE, second)
        foreign = await ask("GET", f"/api/v1/keys/{second_id}", "hk_test_good")
        mine = await ask("GET", "/api/v1/keys", "hk_test_good")
    assert [status for status, _ in refused] == [401, 422]
    assert first.startswith("hk_test_")
    used = got[1].pop("last_used_at")
    assert made["key_info"].pop("last_used_at") is None
    assert datetime.fromisoformat(used) >= NOW
    assert (valid[0], got) == (200, (200, made["key_info"]))
    assert set(made["key_info"]) == {
        "key_id", "key_prefix", "name", "user_id", "service_id", "scopes", "environment", "is_active",
        "rate_limit_per_hour", "billing_plan", "monthly_prediction_limit", "created_at", "expires_at",
    }  # fmt: skip
    assert first not in json.dumps(made["key_info"])
    assert old == (401, {"detail": "API key not found or invalid"})
    assert deleted == (200, {"key_id": second_id, "revoked": True})
    assert after[1]["is_valid"] is False
    assert foreign == (404, {"detail": "API key not found"})
    assert {each["key_id"] for each in mine[1]["keys"]} == {"k1", "k3"}


@asynchronous
async def test_usage() -> None:
    """Uses are counted; a debit takes from the balance, and is a 402 when nothing is left."""
    async with service() as ask:
        await ask("POST", "/api/v1/usage/k1", json={"endpoint": "/x"})
        await ask("POST", "/api/v1/usage/k1", json={"endpoint": "/x"})
        stats = await ask("GET", "/api/v1/usage/k1/stats")
        debits = [await ask("POST", f"/api/v1/usage/{key_id}/debit") for key_id in ("k1", "k6", "nobody")]
        billing = await ask("GET", "/api/v1/usage/k1/billing")
        aggregate = await ask("GET", "/api/v1/usage/aggregate")
    left = 100.0 - PRICE
    assert stats == (200, {"key_id": "k1", "requests": 2})
    assert debits == [
        (200, {"status": "debited", "balance": left}),
        (
            402,
            {
                "error": "usage_debit_rejected",
                "reason": "Balance 0.00 is insufficient",
                "reason_code": "insufficient_balance",
            },
        ),
        (404, {"detail": "API key not found"}),
    ]
    assert billing == (
        200,
        {"key_id": "k1", "billing_plan": "free", "balance": left, "requests": 2},
    )
    assert aggregate == (200, {"keys": 1, "requests": 2})


def test_keys_that_cannot_be_read(tmp_path: Path) -> None:
    """A sentence with file and field, never with a key."""
    path = tmp_path / "keys.json"
    path.write_text('[{"key": "hk_test_secret", "scopess": []}]')
    with pytest.raises(SettingsError) as bad:
        read_keys(path)
    with pytest.raises(SettingsError) as missing:
        read_keys(tmp_path / "none.json")
    assert str(bad.value) == f"SANDBOX_KEYS: {path}: 0.scopess: Extra inputs are not permitted"
    assert str(missing.value) == f"SANDBOX_KEYS: {tmp_path / 'none.json'}: No such file or directory"


def test_the_process_ends_on_a_signal_and_keeps_keys_out_of_its_log(tmp_path: Path) -> None:
    """Started as a module it serves on its address; SIGTERM ends it with status 0."""
    (tmp_path / "keys.json").write_text('[{"key": "hk_test_good"}]')
    bind = (f"{network()}.40", 8000)

    async def look() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{bind[0]}:8000/health?api_key=hk_test_good") as answer,
        ):
            assert answer.status == 200

    with Service("auth", tmp_path, bind, SANDBOX_KEYS=str(tmp_path / "keys.json")) as process:
        process.wait()
        asynchronous(look)()
        assert process.stop() == 0
        log = process.log
    assert '"GET /health HTTP/1.1" 200' in log
    assert "hk_test_good" not in log
