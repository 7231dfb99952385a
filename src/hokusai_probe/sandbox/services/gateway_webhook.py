"""The gateway tells the website of each new model version, and waits for nobody.

INC-33: POST to WEBHOOK_URL with the event, signed with WEBHOOK_SECRET (``x-mlflow-signature: sha256=...``, an
HMAC of the body). What comes of it shows in the log alone: the registration has been answered by then. The
behaviour ``webhook-secret-wrong`` signs with a secret that the website does not have.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from hokusai_probe.sandbox.services.answers import log
from hokusai_probe.sandbox.wire import Outgoing, Timeouts, Wire, WireError

TIMEOUT_S = 5.0
SIGNATURE_HEADER = "x-mlflow-signature"
EVENT = "model_registered"

_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where to post and with what to sign; an empty URL: nowhere."""

    url: str
    secret: str = field(repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str], behaviours: frozenset[str]) -> "WebhookSettings":
        """WEBHOOK_URL and the secret WEBHOOK_SECRET."""
        secret = variables.get("WEBHOOK_SECRET", "")
        wrong = "webhook-secret-wrong" in behaviours
        return cls(variables.get("WEBHOOK_URL", ""), f"{secret}-before-rotation" if wrong else secret)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Version(_Frozen):
    name: str
    version: str
    run_id: str | None = None


class _Created(_Frozen):
    model_version: _Version


def is_registration(method: str, path: str) -> bool:
    """Whether a request makes a model version."""
    return method == "POST" and path.endswith("/mlflow/model-versions/create")


def payload(created: bytes, now: datetime) -> bytes:
    """The event for MLflow's answer to the creation of a version.

    Raises:
        ValueError: The answer names no version.

    """
    try:
        version = _Created.model_validate_json(created).model_version
    except ValidationError:
        sentence = "MLflow's answer names no model version"
        raise ValueError(sentence) from None
    event = {
        "event_type": EVENT,
        "timestamp": now.isoformat(),
        "source": "mlflow",
        "model": {**version.model_dump(), "status": "registered"},
    }
    return json.dumps(event, separators=(",", ":")).encode()


def signature(secret: str, body: bytes) -> str:
    """The value of the signature header."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Webhook:
    """Posts events.

    Args:
        settings: Where to and how signed.
        wire: The gateway's own.
        time_scale: How many times faster than the platform.

    """

    def __init__(self, settings: WebhookSettings, wire: Wire, time_scale: float) -> None:
        self._settings = settings
        self._wire = wire
        self._timeouts = Timeouts(TIMEOUT_S / time_scale, TIMEOUT_S / time_scale)
        self._posting: set[asyncio.Task[None]] = set()

    def announce(self, created: bytes) -> None:
        """Tell the website of the version that an answer of MLflow names."""
        if not self._settings.url:
            log("webhook not sent: WEBHOOK_URL is not set", "WARNING")
            return
        try:
            body = payload(created, datetime.now(UTC))
        except ValueError as error:
            log(f"webhook not sent: {error}", "WARNING")
            return
        task = asyncio.get_running_loop().create_task(self._post(body))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def close(self) -> None:
        """Give up on posts that are under way."""
        for task in self._posting:
            task.cancel()

    async def _post(self, body: bytes) -> None:
        headers = (
            ("Content-Type", "application/json"),
            (SIGNATURE_HEADER, signature(self._settings.secret, body)),
            ("X-Hokusai-Event", EVENT),
        )
        outgoing = Outgoing("POST", self._settings.url, headers, body)
        try:
            async with self._wire.send("gateway->site", outgoing, self._timeouts) as answer:
                reason = _one_line(await answer.read())
        except WireError as error:
            log(f"webhook not delivered: {type(error).__name__.removesuffix('Error')}", "ERROR")
            return
        if answer.status == 200:
            log("webhook delivered: 200")
        else:
            log(f"webhook rejected: {answer.status} {reason}".rstrip(), "ERROR")


def _one_line(body: bytes) -> str:
    return " ".join(body[:_LONGEST_REASON].decode(errors="replace").split())
