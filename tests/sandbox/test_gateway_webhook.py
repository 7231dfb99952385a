"""The gateway's webhook and the website that takes it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from data_side import asynchronous
from gateway_side import CREATE, Around, Asker, gateway

from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.faults import Do, Fault, write_table
from hokusai_probe.sandbox.services.gateway_webhook import is_registration, payload, signature
from hokusai_probe.sandbox.site import Site

REGISTER = CREATE.replace("registered-models", "model-versions")
CREATED = {"model_version": {"name": "churn", "version": "3", "run_id": "r1", "status": "READY"}}
SECRET = "whsec_test_1"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_event() -> None:
    """What it says of a version, compactly."""
    assert json.loads(payload(json.dumps(CREATED).encode(), NOW)) == {
        "event_type": "model_registered",
        "timestamp": "2026-01-02T00:00:00+00:00",
        "source": "mlflow",
        "model": {"name": "churn", "version": "3", "run_id": "r1", "status": "registered"},
    }


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b'{"model_version": {"name": "churn"}}'])
def test_an_answer_that_names_no_version(answer: bytes) -> None:
    """No event comes of it."""
    with pytest.raises(ValueError, match="names no model version"):
        payload(answer, NOW)


def test_the_signature() -> None:
    """HMAC-SHA256 of the body, in hexadecimal, with its name before it."""
    expected = hmac.new(b"whsec_test_1", b"{}", hashlib.sha256).hexdigest()
    assert signature("whsec_test_1", b"{}") == f"sha256={expected}"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("POST", REGISTER, True), ("GET", REGISTER, False), ("POST", CREATE, False), ("POST", "/mlflow", False)],
)
def test_what_registers(method: str, path: str, expected: bool) -> None:
    """A new version does, a new name does not."""
    assert is_registration(method, path) is expected


def created(_request: web.Request) -> web.Response:
    """What MLflow says of a new version."""
    return web.json_response(CREATED)


@asynccontextmanager
async def registered(
    tmp_path: Path, *behaviours: str, secret: str = SECRET, answer: object = created, **variables: str
) -> AsyncIterator[tuple[Asker, Site]]:
    """A gateway whose MLflow has just made a version, and the website, after the webhook."""
    around = Around(mlflow=answer)
    ip = f"{around.net}.6"
    site = Site(ip, ip, SECRET)
    url = await site.start(Authority(tmp_path / "ca.pem").issue(ip))
    given = {"WEBHOOK_URL": url, "WEBHOOK_SECRET": secret, **variables}
    try:
        async with gateway(
            tmp_path, *behaviours, around=around, ca_file=tmp_path / "ca.pem", variables=given
        ) as ask:
            status, _ = await ask("POST", REGISTER, json={"name": "churn"})
            await asyncio.sleep(0.2)
            assert status < 300 or answer is not created
            yield ask, site
    finally:
        await site.close()


@asynchronous
async def test_the_site_is_told_of_a_new_version(tmp_path: Path) -> None:
    """Signed with the shared secret, over TLS, once; the read of the same model tells nobody."""
    async with registered(tmp_path) as (ask, site):
        await ask("GET", REGISTER)
        await asyncio.sleep(0.05)
        (event,) = site.received
    assert event["event_type"] == "model_registered"
    assert event["model"] == {"name": "churn", "version": "3", "run_id": "r1", "status": "registered"}


@pytest.mark.parametrize(
    ("behaviours", "variables", "do", "line"),
    [
        ((), {}, None, "INFO:     webhook delivered: 200"),
        (("webhook-secret-wrong",), {}, None, "ERROR:    webhook rejected: 401 Invalid signature"),
        ((), {"WEBHOOK_SECRET": ""}, None, "ERROR:    webhook rejected: 401 Invalid signature"),
        ((), {"WEBHOOK_URL": ""}, None, "WARNING:  webhook not sent: WEBHOOK_URL is not set"),
        ((), {}, Do(refuse=True), "ERROR:    webhook not delivered: ConnectRefused"),
        ((), {}, Do(drop=True), "ERROR:    webhook not delivered: ConnectTimeout"),
        ((), {}, Do(status=503, body="<h1>Down</h1>"), "ERROR:    webhook rejected: 503 <h1>Down</h1>"),
    ],
)
def test_what_the_log_says(
    behaviours: tuple[str, ...],
    variables: dict[str, str],
    do: Do | None,
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The registration succeeds in any case; what came of the webhook is one line of the log, no secret."""

    async def look() -> None:
        if do is not None:
            write_table(tmp_path / "faults.json", [Fault(edge="gateway->site", do=do)])
        async with registered(tmp_path, *behaviours, **variables) as (_, site):
            if do is not None and do.drop:
                await asyncio.sleep(0.5)
            assert bool(site.received) is line.startswith("INFO")

    asynchronous(look)()
    log = capsys.readouterr().err
    assert [one for one in log.splitlines() if "webhook" in one] == [line]
    assert SECRET not in log


@asynchronous
async def test_a_registration_that_fails_tells_nobody(tmp_path: Path) -> None:
    """MLflow refused it."""

    def refused(_request: web.Request) -> web.Response:
        return web.json_response({"error_code": "RESOURCE_DOES_NOT_EXIST"}, status=404)

    async with registered(tmp_path, answer=refused) as (_, site):
        assert site.received == []
