"""The website in miniature: what the gateway's webhook talks to.

It takes POST /api/mlflow/registered with a body signed by the secret that both sides share (INC-33): 200, or
401 ``Invalid signature``. A POST to any other path is 405 (contract 1), as on a site of pages; GET / is one.
"""

import hmac
import json
import random
import ssl
import tempfile
from pathlib import Path

from aiohttp import web

from hokusai_probe.sandbox.certificates import Certificate
from hokusai_probe.sandbox.services.answers import as_json
from hokusai_probe.sandbox.services.gateway_webhook import SIGNATURE_HEADER, signature

PATH = "/api/mlflow/registered"


def webhook_secret(seed: int) -> str:
    """The secret that gateway and website share in a sandbox of this seed. It is fake."""
    draw = random.Random(f"webhook {seed}")  # noqa: S311 - fake, reproducible on purpose
    return f"whsec_test_{draw.getrandbits(128):032x}"


class Site:
    """The website.

    Attributes:
        received: The events whose signature was right, oldest first.

    Args:
        ip: The address to listen on.
        host: Its host name.
        secret: What events are signed with.

    """

    def __init__(self, ip: str, host: str, secret: str) -> None:
        self._ip = ip
        self._host = host
        self._secret = secret
        self._runner: web.AppRunner | None = None
        self.received: list[dict[str, object]] = []

    async def start(self, certificate: Certificate) -> str:
        """Listen on a port that the system picks.

        Returns:
            The URL for webhooks.

        Raises:
            OSError: The address cannot be bound.

        """
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._ip, 0, ssl_context=_context(certificate)).start()
        return f"https://{self._host}:{self._runner.addresses[0][1]}{PATH}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            return await self._take(request) if request.path == PATH else web.Response(status=405)
        if request.path == "/":
            return web.Response(text="<!DOCTYPE html><title>Hokusai</title>", content_type="text/html")
        return web.Response(status=405 if request.path == PATH else 404)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        given = request.headers.get(SIGNATURE_HEADER, "")
        if not hmac.compare_digest(given.encode(), signature(self._secret, body).encode()):
            return web.Response(status=401, text="Invalid signature")
        try:
            event: object = json.loads(body)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "event_type" not in event:
            return web.Response(status=400, text="Missing event_type")
        self.received.append(event)
        return as_json({"received": True})


def _context(certificate: Certificate) -> ssl.SSLContext:
    """A server's TLS context; the standard library reads certificates from files only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        chain, key = Path(directory) / "chain.pem", Path(directory) / "key.pem"
        chain.write_bytes(certificate.certificate)
        key.write_bytes(certificate.private_key)
        context.load_cert_chain(chain, key)
    return context
