"""The website: whose webhooks it takes."""

import ssl
from pathlib import Path

import aiohttp
import pytest
from data_side import asynchronous, network

from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.services.gateway_webhook import SIGNATURE_HEADER, signature
from hokusai_probe.sandbox.site import PATH, Site, webhook_secret

EVENT = b'{"event_type": "model_registered"}'
SECRET = "whsec_test_1"
SIGNED = {SIGNATURE_HEADER: signature(SECRET, EVENT)}


def test_the_secret_follows_from_the_seed() -> None:
    """The same for both sides of a sandbox, another for each."""
    assert webhook_secret(1) == webhook_secret(1) != webhook_secret(2)
    assert webhook_secret(1).startswith("whsec_test_")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "text", "kept"),
    [
        ("POST", PATH, SIGNED, EVENT, 200, '{"received":true}', 1),
        ("POST", PATH, {}, EVENT, 401, "Invalid signature", 0),
        ("POST", PATH, {SIGNATURE_HEADER: "sha256=0"}, EVENT, 401, "Invalid signature", 0),
        ("POST", PATH, SIGNED, EVENT + b" ", 401, "Invalid signature", 0),
        ("POST", PATH, {SIGNATURE_HEADER: signature(SECRET, b"[]")}, b"[]", 400, "Missing event_type", 0),
        ("POST", PATH, {SIGNATURE_HEADER: signature(SECRET, b"x")}, b"x", 400, "Missing event_type", 0),
        ("POST", "/api/webhooks/model-registration", SIGNED, EVENT, 405, "", 0),
        ("GET", PATH, {}, b"", 405, "", 0),
        ("GET", "/", {}, b"", 200, "<!DOCTYPE html><title>Hokusai</title>", 0),
        ("GET", "/nope", {}, b"", 404, "", 0),
    ],
)
def test_what_it_answers(
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
    text: str,
    kept: int,
    tmp_path: Path,
) -> None:
    """A signed event is taken and kept; nothing else is. A POST elsewhere is 405 (contract 1)."""

    async def look() -> None:
        ip = f"{network()}.6"
        site = Site(ip, ip, SECRET)
        url = await site.start(Authority(tmp_path / "ca.pem").issue(ip))
        tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.request(
                    method, url.removesuffix(PATH) + path, headers=headers, data=body, ssl=tls
                ) as answer,
            ):
                assert (answer.status, await answer.text()) == (status, text)
        finally:
            await site.close()
        assert len(site.received) == kept

    asynchronous(look)()
