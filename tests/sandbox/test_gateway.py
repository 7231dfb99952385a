"""The gateway: key before routing, what it makes of auth's answers, its proxy and its health."""

import asyncio
import re
import ssl
from pathlib import Path

import pytest
import redis
from aiohttp import web
from data_side import Service, asynchronous, certificate, target
from gateway_side import ACCEPTED, CREATE, SEARCH, Around, database, gateway

from hokusai_probe.sandbox.faults import Do, Fault, write_table
from hokusai_probe.sandbox.services.gateway import Environment
from hokusai_probe.sandbox.services.gateway_access import is_write, needs_key
from hokusai_probe.sandbox.services.gateway_auth import sent_key
from hokusai_probe.sandbox.services.gateway_health import Breaker, BreakerSettings
from hokusai_probe.sandbox.services.gateway_proxy import mount_of, translated, upstream_path, upstream_query
from hokusai_probe.sandbox.services.settings import SettingsError

NONE: frozenset[str] = frozenset()


# --- keys ---


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({"Authorization": "Bearer k"}, {}, "k"),
        ({"Authorization": "Bearer  k"}, {}, " k"),
        ({"Authorization": "ApiKey k"}, {}, "k"),
        ({"X-API-Key": "k"}, {}, "k"),
        ({}, {"api_key": "k"}, "k"),
        ({"Authorization": "Basic x", "X-API-Key": "k"}, {}, "k"),
        ({"Authorization": "k"}, {}, None),
        ({"Authorization": "bearer k"}, {}, None),
        ({"Authorization": "Bearerk"}, {}, None),
        ({"Authorization": "Basic k"}, {}, None),
        ({"Authorization": "Bearer "}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_forms_of_sending_a_key(
    headers: dict[str, str], query: dict[str, str], expected: str | None
) -> None:
    """Contract 3.2, form by form."""
    assert sent_key(headers, query, NONE) == expected


@pytest.mark.parametrize(
    ("method", "path", "behaviours", "expected"),
    [
        ("GET", "/health", set(), False),
        ("GET", "/health/mlflow", set(), False),
        ("GET", "/ready", set(), False),
        ("GET", "/api/health/mlflow/detailed", set(), False),
        ("GET", "/ready", {"public-paths-need-key"}, True),
        ("GET", "/health", {"public-paths-need-key"}, False),
        ("GET", "/nope", set(), True),
        ("GET", "/api/mlflow/health", set(), True),
        ("POST", "/health/mlflow/reset", set(), True),
        ("POST", "/health/mlflow/reset", {"breaker-reset-open"}, False),
        ("POST", "/health", set(), False),
        ("OPTIONS", "/api/mlflow/x", set(), False),
        ("OPTIONS", "/api/mlflow/x", {"preflight-needs-key"}, True),
    ],
)
def test_what_needs_a_key(method: str, path: str, behaviours: set[str], expected: bool) -> None:
    """Public prefixes, preflights, and the behaviours that take them back."""
    assert needs_key(method, path, frozenset(behaviours)) is expected


@asynchronous
async def test_the_key_comes_before_routing(tmp_path: Path) -> None:
    """Without a key every path is a 401, real or not; with one the unknown is a 404 and the rest is there."""
    async with gateway(tmp_path) as ask:
        without = [await ask("GET", where, None) for where in ("/", "/nope", SEARCH, "/mlflow/x")]
        _, headers, _ = await ask.whole("GET", "/nope", None)
        nope = await ask("GET", "/nope")
        root = await ask("GET", "/")
        wrong_method = await ask("POST", "/health")
        document = (await ask("GET", "/openapi.json", None))[1]
        first = ask.around.asked[0]
    assert without == [(401, {"detail": "API key required"})] * 4
    assert headers["Server"] == "uvicorn"
    assert "WWW-Authenticate" not in headers
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert nope == (404, {"detail": "Not Found"})
    assert root == (
        200,
        {"service": "Hokusai Data Pipeline API", "version": "1.0.0", "status": "operational"},
    )
    assert wrong_method == (405, {"detail": "Method Not Allowed"})
    assert isinstance(document, dict)
    assert {"/health/status", "/api/mlflow/{path}", "/api/health/mlflow"} <= set(document["paths"])
    assert first == (
        "POST /api/v1/keys/validate",
        "Bearer hk_test_good",
        {"service_id": "platform", "client_ip": "127.0.0.1"},
    )


@pytest.mark.parametrize(
    ("status", "body", "repaired", "old"),
    [
        (
            401,
            {"detail": "x"},
            (401, "Invalid or expired API key", None),
            (401, "Invalid or expired API key"),
        ),
        (429, {"detail": "x"}, (429, "Rate limit exceeded", "60"), (401, "Rate limit exceeded")),
        (
            403,
            {"detail": "x"},
            (503, "Authentication service error", "1"),
            (401, "Authentication service error"),
        ),
        (
            404,
            {"detail": "x"},
            (503, "Authentication service error", "1"),
            (401, "Authentication service error"),
        ),
        (
            500,
            {"detail": "x"},
            (503, "Authentication service error", "1"),
            (401, "Authentication service error"),
        ),
        (
            502,
            {"detail": "x"},
            (503, "Authentication service error", "1"),
            (401, "Authentication service error"),
        ),
        (200, ["odd"], (503, "Authentication service error", "1"), (401, "Authentication service error")),
        (
            200,
            {**ACCEPTED, "is_valid": False},
            (401, "Invalid or expired API key", None),
            (401, "Invalid or expired API key"),
        ),
    ],
)
def test_what_becomes_of_auths_answer(
    status: int,
    body: object,
    repaired: tuple[int, str, str | None],
    old: tuple[int, str],
    tmp_path: Path,
) -> None:
    """Contract 3.3: the repaired gateway and the one of 2025."""

    async def look() -> None:
        async with gateway(tmp_path, around=Around(auth=(status, body))) as ask:
            seen, headers, text = await ask.whole("GET", "/")
        assert (seen, text, headers.get("Retry-After")) == (repaired[0], {"detail": repaired[1]}, repaired[2])
        async with gateway(tmp_path, "outage-as-401", around=Around(auth=(status, body))) as ask:
            assert await ask("GET", "/") == (old[0], {"detail": old[1]})

    asynchronous(look)()


@pytest.mark.parametrize(
    ("do", "text"),
    [
        (Do(delay_s=60), "Authentication service timeout"),
        (Do(drop=True), "Authentication service timeout"),
        (Do(refuse=True), "Authentication service unavailable"),
        (Do(nxdomain=True), "Authentication service unavailable"),
        (Do(reset=True), "Authentication service unavailable"),
    ],
)
def test_when_auth_does_not_answer(do: Do, text: str, tmp_path: Path) -> None:
    """Silence is a timeout, anything else means unavailable."""

    async def look() -> None:
        write_table(tmp_path / "faults.json", [Fault(edge="gateway->auth", do=do)])
        async with gateway(tmp_path) as ask:
            assert await ask("GET", "/") == (503, {"detail": text})

    asynchronous(look)()


@pytest.mark.parametrize(
    ("behaviour", "headers", "expected"),
    [
        ("auth-header-dropped", {"Authorization": "Bearer k"}, None),
        ("auth-header-dropped", {"X-API-Key": "k"}, "Bearer k"),
        ("key-sent-in-body", {"Authorization": "Bearer k"}, ""),
    ],
)
def test_behaviours_that_lose_the_key(
    behaviour: str, headers: dict[str, str], expected: str | None, tmp_path: Path
) -> None:
    """A header lost on the way in is no key at all; a key in the body arrives without a header."""

    async def look() -> None:
        async with gateway(tmp_path, behaviour) as ask:
            seen = await ask("GET", "/", None, headers=headers)
            arrived = [key for where, key, _ in ask.around.asked if where.endswith("/validate")]
        if expected is None:
            assert (seen, arrived) == ((401, {"detail": "API key required"}), [])
        else:
            assert arrived == [expected]

    asynchronous(look)()


@asynchronous
async def test_a_revoked_key_where_the_body_is_not_read(tmp_path: Path) -> None:
    """The behaviour is-valid-ignored lets in what auth calls invalid."""
    around = Around(auth=(200, {**ACCEPTED, "is_valid": False}))
    async with gateway(tmp_path, "is-valid-ignored", around=around) as ask:
        assert (await ask("GET", "/"))[0] == 200


@asynchronous
async def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path) -> None:
    """Auth is not asked about it."""
    async with gateway(tmp_path) as ask:
        seen = await ask("GET", "/?api_key=a%0d%0aX-Evil:1", None)
        asked = list(ask.around.asked)
    assert (seen, asked) == ((401, {"detail": "Invalid or expired API key"}), [])


@asynchronous
async def test_each_use_is_reported_to_auth(tmp_path: Path) -> None:
    """After an accepted request auth is told, also when there was nothing to be had."""
    async with gateway(tmp_path) as ask:
        await ask("GET", SEARCH)
        await ask("GET", "/nope")
        await asyncio.sleep(0.1)
        told = [where for where, _, _ in ask.around.asked]
    assert sorted(told) == ["POST /api/v1/keys/validate"] * 2 + ["POST /api/v1/usage/k1"] * 2


@asynchronous
async def test_preflights(tmp_path: Path) -> None:
    """Answered without a key, for 600 s; the old gateway wanted a key and said nothing of CORS."""
    async with gateway(tmp_path) as ask:
        status, headers, body = await ask.whole("OPTIONS", SEARCH, None, headers={"Origin": "https://a.test"})
    async with gateway(tmp_path, "preflight-needs-key") as ask:
        old = await ask("OPTIONS", SEARCH, None)
    assert (status, body, headers["Access-Control-Allow-Origin"], headers["Access-Control-Max-Age"]) == (
        200,
        "OK",
        "https://a.test",
        "600",
    )
    assert old == (401, {"detail": "API key required"})


# --- cache ---


@asynchronous
async def test_the_cache_spares_auth_and_outlives_it(tmp_path: Path) -> None:
    """Only accepted keys are kept, for a while, under the platform's name; they work while auth is down."""
    around = Around()
    with Service("cache", tmp_path, (f"{around.net}.25", 6379)) as server:
        await asyncio.to_thread(server.wait)
        url = f"redis://{around.net}.25:6379"
        kept_s = {"key_cache_s": 3000.0}  # at a tenth
        async with gateway(tmp_path, around=around, redis_url=url, redis_check_url=url, **kept_s) as ask:
            around.auth = (401, {})
            refused = [(await ask("GET", "/", "hk_test_bad"))[0] for _ in range(2)]
            around.auth = (200, ACCEPTED)
            first = (await ask("GET", "/"))[0]
            around.auth = (500, {})
            down = [(await ask("GET", "/", key))[0] for key in ("hk_test_good", "hk_test_other")]
            health = (await ask("GET", "/health", None))[1]
            with redis.Redis(f"{around.net}.25", decode_responses=True) as client:
                kept = {key: client.ttl(key) for key in client.scan_iter()}
        async with gateway(tmp_path, "cache-off", around=around, redis_url=url) as ask:
            off = (await ask("GET", "/"))[0]
    assert (refused, first, down, off) == ([401, 401], 200, [200, 503], 503)
    assert list(kept) == ["api_key:validation:hk_test_good"]
    assert 290 < kept["api_key:validation:hk_test_good"] <= 300
    assert isinstance(health, dict)
    assert health["services"]["redis"] == "healthy"


@pytest.mark.parametrize(
    "url", ["127.0.0.1:6379", "redis://10.0.1.5:6379", "redis://127.9.9.9:1", "redis://gone.test", ""]
)
def test_a_cache_that_fails_is_a_cache_that_knows_nothing(url: str, tmp_path: Path) -> None:
    """No scheme, unreachable, refused, unknown or unset: auth is asked, nobody waits long."""

    async def look() -> None:
        async with gateway(tmp_path, redis_url=url) as ask, asyncio.timeout(2):
            assert [(await ask("GET", "/"))[0] for _ in range(2)] == [200, 200]
            validated = [where for where, _, _ in ask.around.asked if where.endswith("validate")]
        assert len(validated) == 2

    asynchronous(look)()


# --- proxy ---


@pytest.mark.parametrize(
    ("path", "behaviours", "mount", "upstream"),
    [
        ("/mlflow", set(), "/mlflow", ""),
        ("/mlflow/api/2.0/mlflow/runs/get", set(), "/mlflow", "/api/2.0/mlflow/runs/get"),
        ("/api/mlflow/api/2.0/mlflow/runs/get", set(), "/api/mlflow", "/api/2.0/mlflow/runs/get"),
        ("/api/2.0/mlflow/runs/get", set(), "/api/2.0/mlflow", "/api/2.0/mlflow/runs/get"),
        (
            "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a",
            set(),
            "/api/mlflow",
            "/api/2.0/mlflow-artifacts/artifacts/1/a",
        ),
        (
            "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a",
            {"artifact-path-untranslated"},
            "/api/mlflow",
            "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a",
        ),
        (
            "/api/mlflow/api/2.0/mlflow/runs/get",
            {"artifact-path-untranslated"},
            "/api/mlflow",
            "/api/2.0/mlflow/runs/get",
        ),
        ("/api/2.0/mlflow/runs/get", {"api-2.0-mount-strips-prefix"}, "/api/2.0/mlflow", "/runs/get"),
        ("/api/mlflow/x", {"route-missing"}, None, None),
        ("/mlflow/x", {"route-missing"}, "/mlflow", "/x"),
        ("/mlflowx", set(), None, None),
        ("/api/models", set(), None, None),
    ],
)
def test_where_a_path_leads(path: str, behaviours: set[str], mount: str | None, upstream: str | None) -> None:
    """Mounts and what is left for MLflow; the behaviours break one of them each."""
    found = mount_of(path, frozenset(behaviours))
    assert found == mount
    assert (upstream_path(path, found, frozenset(behaviours)) if found else None) == upstream


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", SEARCH, False),
        ("POST", SEARCH, False),
        ("POST", "/x/registered-models/get-latest-versions", False),
        ("POST", CREATE, True),
        ("PUT", "/x/search", True),
        ("PATCH", "/x/registered-models/update", True),
        ("DELETE", "/x/registered-models/delete", True),
    ],
)
def test_what_is_a_write(method: str, path: str, expected: bool) -> None:
    """MLflow searches by POST, which changes nothing."""
    assert is_write(method, path) is expected


@pytest.mark.parametrize(
    ("base", "rest", "expected"),
    [
        ("https://registry.hokusai.test/mlflow", "/api/2.0/mlflow/runs/get", "/ajax-api/2.0/mlflow/runs/get"),
        (
            "https://registry.hokusai.test/mlflow",
            "/api/2.0/mlflow-artifacts/x",
            "/ajax-api/2.0/mlflow-artifacts/x",
        ),
        ("https://registry.hokusai.test/mlflow", "/health", "/health"),
        ("http://mlflow.hokusai.local:5000/mlflow", "/api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
    ],
)
def test_the_path_for_a_public_base(base: str, rest: str, expected: str) -> None:
    """Contract 4.1: only the registry's public host is asked by the other prefix."""
    assert translated(rest, base) == expected


def test_the_key_does_not_travel_on_in_the_query() -> None:
    """Everything else of the query stays as it was sent."""
    assert upstream_query("a=1&api_key=k&b=%2F&b=2") == "a=1&b=%2F&b=2"


@asynchronous
async def test_what_mlflow_gets_and_what_comes_back(tmp_path: Path) -> None:
    """Method, query and body pass untouched, Host is MLflow's own, who calls is added, not forged."""

    def answer(request: web.Request) -> web.Response:
        return web.Response(status=418, text="tea", headers={"X-Up": request.method, "Keep-Alive": "5"})

    async with gateway(tmp_path, around=Around(mlflow=answer)) as ask:
        sent = {"X-Hokusai-User-Id": "root", "X-Mine": "1", "Connection": "X-Mine"}
        status, headers, body = await ask.whole("PUT", f"{SEARCH}?a=1&a=2", headers=sent, data=b"\x00body")
        where, got, data = ask.around.passed[0]
        host = got["Host"].partition(":")[0]
        net = ask.around.net
    assert (status, headers["X-Up"], body) == (418, "PUT", "tea")
    assert "Keep-Alive" not in headers
    assert (where, data, host) == (
        "/mlflow/api/2.0/mlflow/experiments/search?a=1&a=2",
        b"\x00body",
        f"{net}.42",
    )
    assert (got["X-Hokusai-User-Id"], got["X-Hokusai-API-Key-Id"]) == ("u1", "k1")
    assert got["Authorization"] == "Bearer hk_test_good"
    assert "X-Mine" not in got


@pytest.mark.parametrize(
    ("do", "status", "detail"),
    [
        (Do(refuse=True), 502, r"Failed to connect to MLflow server at http://127\.[0-9.]+:[0-9]+/mlflow"),
        (Do(nxdomain=True), 502, r"Failed to connect to MLflow server at http://127\.[0-9.]+:[0-9]+/mlflow"),
        (Do(delay_s=60), 504, r"MLflow server request timeout after 30\.0s"),
        (Do(drop=True), 504, r"MLflow server request timeout after 30\.0s"),
        (Do(reset=True), 500, "Internal server error while proxying to MLflow"),
    ],
)
def test_when_mlflow_does_not_answer(do: Do, status: int, detail: str, tmp_path: Path) -> None:
    """Contract 4.1, with the platform's number for the timeout."""

    async def look() -> None:
        write_table(tmp_path / "faults.json", [Fault(edge="gateway->mlflow", do=do)])
        async with gateway(tmp_path, time_scale=100.0) as ask:
            seen = await ask("GET", SEARCH)
        assert seen[0] == status
        assert isinstance(seen[1], dict)
        assert re.fullmatch(detail, seen[1]["detail"])

    asynchronous(look)()


@asynchronous
async def test_404s_of_mlflow(tmp_path: Path) -> None:
    """An HTML 404 becomes JSON, a JSON one passes."""

    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("search"):
            return web.json_response({"error_code": "RESOURCE_DOES_NOT_EXIST"}, status=404)
        return web.Response(status=404, text="<html>", content_type="text/html")

    async with gateway(tmp_path, around=Around(mlflow=answer)) as ask:
        seen = [await ask("GET", SEARCH), await ask("GET", "/api/mlflow/nope")]
    message = "The requested resource was not found: /nope"
    assert seen == [
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}),
        (404, {"error_code": "RESOURCE_NOT_FOUND", "message": message}),
    ]


@asynchronous
async def test_who_may_write(tmp_path: Path) -> None:
    """Reading needs no scope, writing does; the behaviour no-scope-check lets everybody."""
    around = Around(auth=(200, {**ACCEPTED, "scopes": ["model:read"]}))
    async with gateway(tmp_path, around=around) as ask:
        seen = [await ask("GET", SEARCH), await ask("POST", SEARCH), await ask("POST", CREATE)]
    async with gateway(tmp_path, "no-scope-check", around=around) as ask:
        open_to_all = await ask("POST", CREATE)
    assert [status for status, _ in seen] == [200, 200, 403]
    assert seen[2][1] == {
        "detail": "Insufficient permissions for this operation",
        "error": "FORBIDDEN",
        "required_scope": "model:write",
        "current_scopes": ["model:read"],
    }
    assert open_to_all[0] == 200


@asynchronous
async def test_artifacts_switched_off_at_the_gateway(tmp_path: Path) -> None:
    """503 with a reason for artifacts, the rest works."""
    async with gateway(tmp_path, serves_artifacts=False) as ask:
        status, body = await ask("PUT", "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a", data=b"x")
        rest = (await ask("GET", SEARCH))[0]
    assert isinstance(body, dict)
    assert (status, body["detail"]["error"], rest) == (503, "ARTIFACTS_DISABLED", 200)


# --- health ---


@asynchronous
async def test_health_endpoints_of_a_healthy_gateway(tmp_path: Path) -> None:
    """Public, 200, and they say what they looked at."""

    def answer(_request: web.Request) -> web.Response:
        return web.Response(text="OK")

    around = Around(mlflow=answer)
    with Service("cache", tmp_path, (f"{around.net}.25", 6379)) as server:
        await asyncio.to_thread(server.wait)
        url = f"redis://{around.net}.25:6379"
        async with (
            database(f"{around.net}.30", "mlflow_db"),
            gateway(tmp_path, around=around, redis_check_url=url) as ask,
        ):
            health = ("", "?detailed=true", "/alb", "/status", "/mlflow")
            api = ("", "/detailed", "/connectivity")
            paths = [
                *(f"/health{part}" for part in health),
                *(f"/api/health/mlflow{part}" for part in api),
                *("/ready", "/live", "/version", "/metrics", "/docs", "/redoc"),
            ]
            seen = {where: await ask("GET", where, None) for where in paths}
    assert [status for status, _ in seen.values()] == [200] * len(paths)
    overview = seen["/health"][1]
    assert isinstance(overview, dict)
    assert (overview["status"], overview["services"]) == (
        "healthy",
        dict.fromkeys(("mlflow", "redis", "message_queue", "postgres", "external_api"), "healthy"),
    )
    breaker = seen["/health/mlflow"][1]
    assert isinstance(breaker, dict)
    assert (breaker["circuit_breaker_state"], breaker["connected"]) == ("CLOSED", True)
    detailed = seen["/api/health/mlflow/detailed"][1]
    assert isinstance(detailed, dict)
    assert detailed["overall_health"] is True
    assert set(detailed["checks"]) == {"connectivity", "experiments_api", "artifacts_api"}


@asynchronous
async def test_health_when_everything_behind_it_is_gone(tmp_path: Path) -> None:
    """Unhealthy, not ready, and the breaker opens after five failures."""
    async with gateway(tmp_path, mlflow_url="http://127.9.9.9:5000/mlflow") as ask:
        health = await ask("GET", "/health", None)
        ready = await ask("GET", "/ready", None)
        states = [await ask("GET", "/health/mlflow", None) for _ in range(3)]
        api = (await ask("GET", "/api/health/mlflow", None))[0]
        reset = [(await ask("POST", "/health/mlflow/reset", key))[0] for key in (None, "hk_test_good")]
        after = await ask("GET", "/health/mlflow", None)
    assert isinstance(health[1], dict)
    assert isinstance(ready[1], dict)
    assert (health[0], health[1]["status"]) == (503, "unhealthy")
    assert (ready[0], ready[1]["ready"], ready[1]["can_serve_traffic"]) == (503, False, False)
    shown = [
        (status, body["circuit_breaker_state"], body["failure_count"]) for status, body in [*states, after]
    ]
    assert shown == [(200, "CLOSED", 3), (200, "CLOSED", 4), (503, "OPEN", 5), (200, "CLOSED", 1)]
    assert (api, reset) == (503, [401, 200])


@pytest.mark.parametrize(
    ("behaviour", "where", "expected"),
    [
        ("health-status-500", "/health/status", (500, {"detail": "Internal server error"})),
        ("health-status-500", "/health?detailed=true", (500, {"detail": "Internal server error"})),
        (
            "health-constant",
            "/health",
            (200, {"status": "healthy", "services": {"api": "healthy", "dependency_checks": "skipped"}}),
        ),
        ("public-paths-need-key", "/ready", (401, {"detail": "API key required"})),
        ("breaker-stuck-open", "/health/mlflow", (503, "OPEN")),
        ("ready-200-when-not", "/ready", (200, False)),
    ],
)
def test_behaviours_of_the_health_endpoints(
    behaviour: str, where: str, expected: tuple[int, object], tmp_path: Path
) -> None:
    """Each known defect comes back by name."""

    async def look() -> None:
        around = Around()
        async with (
            database(f"{around.net}.30", "mlflow_db"),
            gateway(tmp_path, behaviour, around=around, mlflow_url="http://127.9.9.9:5000/mlflow") as ask,
        ):
            status, body = await ask("GET", where, None)
        if isinstance(expected[1], dict):
            assert (status, body) == expected
        else:
            assert isinstance(body, dict)
            assert (status, body.get("circuit_breaker_state", body.get("ready"))) == expected

    asynchronous(look)()


@asynchronous
async def test_an_open_breaker_in_the_old_days(tmp_path: Path) -> None:
    """A 500 that calls the state unknown, where a 503 was meant (L-05)."""
    async with gateway(tmp_path, "breaker-open-500", "breaker-stuck-open") as ask:
        status, body = await ask("GET", "/health/mlflow", None)
    assert isinstance(body, dict)
    assert (status, body["circuit_breaker_state"]) == (500, "UNKNOWN")


@asynchronous
async def test_a_look_at_mlflow_that_fails_is_repeated(tmp_path: Path) -> None:
    """Two bad answers in a row are forgiven, a third is not; the breaker counts the look once."""
    statuses = iter([503, 503, 200, 503, 503, 503])

    def answer(_request: web.Request) -> web.Response:
        return web.Response(status=next(statuses))

    async with gateway(tmp_path, around=Around(mlflow=answer)) as ask:
        seen = [(await ask("GET", "/health/mlflow", None))[1] for _ in range(2)]
    assert [(body["connected"], body["error"], body["failure_count"]) for body in seen] == [
        (True, None, 0),
        (False, "HTTP 503", 1),
    ]


@asynchronous
async def test_health_that_trusts_nobody(tmp_path: Path) -> None:
    """With health-uses-other-tls the proxy reaches an MLflow behind TLS, and the health check does not."""
    around = Around()
    ip = f"{around.net}.43"
    ca_file, files = certificate(tmp_path, ip)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*files)
    async with target(ip, around.answer_mlflow, tls=tls) as port:
        seen = []
        for behaviours in ((), ("health-uses-other-tls",)):
            url = f"https://{ip}:{port}/mlflow"
            async with gateway(tmp_path, *behaviours, around=around, ca_file=ca_file, mlflow_url=url) as ask:
                health = await ask("GET", "/api/health/mlflow/connectivity", None)
                seen.append(((await ask("GET", SEARCH))[0], health[0]))
    assert seen == [(200, 200), (200, 503)]


@asynchronous
async def test_health_that_insists_on_tls(tmp_path: Path) -> None:
    """With health-uses-other-tls the health check fails before an MLflow without TLS as well."""
    async with gateway(tmp_path, "health-uses-other-tls") as ask:
        health = await ask("GET", "/api/health/mlflow/connectivity", None)
        found = (await ask("GET", SEARCH))[0]
    assert (found, health[0]) == (200, 503)


def test_the_breaker_tries_again_and_closes_after_two_good_looks() -> None:
    """Open at the threshold, half open after its rest, closed by two good looks, opened by a bad one."""
    breaker = Breaker(BreakerSettings(threshold=2, recovery_s=0.0))
    states = []
    for good in (False, False, True, False, True, True):
        breaker.note(good=good)
        states.append(breaker.state)
    assert states == ["CLOSED", "HALF_OPEN", "HALF_OPEN", "HALF_OPEN", "HALF_OPEN", "CLOSED"]
    resting = Breaker(BreakerSettings(threshold=1, recovery_s=60.0))
    resting.note(good=False)
    assert resting.state == "OPEN"


def test_a_variable_that_is_no_number() -> None:
    """A sentence that names the variable."""
    with pytest.raises(SettingsError) as error:
        Environment.read({"MLFLOW_CB_FAILURE_THRESHOLD": "many"})
    assert str(error.value) == "MLFLOW_CB_FAILURE_THRESHOLD must be a number, not 'many'"
