"""The auth service in miniature, written to the platform's observable contract (section 2).

Keys come from the JSON file SANDBOX_KEYS and live in memory from then on. A key is looked for in the
Authorization header only, whatever the OpenAPI document says of the body (INC-03). An unknown and an
expired key get the same 401; a revoked one gets 200 with ``is_valid`` false, which a caller must read.

The behaviour ``invalid-key-accepted`` lets in any key at all.
"""

import hashlib
import json
import os
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hokusai_probe.sandbox.services.answers import RefusalError, as_json, as_uvicorn, json_object, refusals
from hokusai_probe.sandbox.services.settings import Settings, SettingsError, serve

SERVICE_IDS = ("platform", "website", "prediction-api", "ml-platform")
"""The service ids that the refusal of a wrong one names."""

_HOUR_S = 3600.0


class Key(BaseModel):
    """A key and what it may do. ``expires_at`` is UTC; None: never."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(repr=False)
    user_id: str = "user-1"
    service_id: str = "platform"
    scopes: tuple[str, ...] = ()
    is_admin: bool = False
    is_active: bool = True
    expires_at: datetime | None = None
    rate_limit_per_hour: int = 100_000
    balance: float = 100.0
    key_id: str = ""
    name: str = ""
    environment: str = "test"
    billing_plan: str = "free"
    monthly_prediction_limit: int | None = None
    allowed_ips: tuple[str, ...] = ()
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def id(self) -> str:
        """The key's public id: the given one, else derived from the key."""
        return self.key_id or "key_" + hashlib.sha256(self.key.encode()).hexdigest()[:16]


class NewKey(BaseModel):
    """The body that creates a key."""

    model_config = ConfigDict(frozen=True)

    name: str
    service_id: Literal["website", "prediction", "platform"] = "platform"
    scopes: tuple[str, ...] = ()
    environment: Literal["production", "test", "development"] = "test"
    expires_in_days: int | None = Field(default=None, ge=1, le=365)
    rate_limit_per_hour: int = Field(default=1000, ge=10, le=100_000)
    monthly_prediction_limit: int | None = None
    allowed_ips: tuple[str, ...] = ()
    billing_plan: str = "free"


def is_expired(key: Key, now: datetime) -> bool:
    """Whether a key's time is over."""
    return key.expires_at is not None and _utc(key.expires_at) <= now


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def judge(key: Key | None, service_id: object, now: datetime) -> Mapping[str, object]:
    """The answer to a validation: what the key may do, or that it is revoked.

    Raises:
        RefusalError: 401, the key is unknown, expired, or belongs to another service.

    """
    if key is None or is_expired(key, now):
        raise RefusalError(401, "API key not found or invalid")
    if service_id is not None and service_id != key.service_id:
        raise RefusalError(401, wrong_service(str(service_id), key.service_id))
    return {
        "is_valid": key.is_active,
        "key_id": key.id,
        "user_id": key.user_id,
        "service_id": key.service_id,
        "scopes": list(key.scopes),
        "rate_limit_per_hour": key.rate_limit_per_hour,
        "billing_plan": key.billing_plan,
        "monthly_prediction_limit": key.monthly_prediction_limit,
        "error": None if key.is_active else "API key is revoked",
    }


def wrong_service(asked: str, own: str) -> str:
    """What auth says of a key that belongs to another service: both are named."""
    return (
        f"API key does not have access to service '{asked}'; it belongs to service '{own}'. "
        f"Valid service ids: {', '.join(SERVICE_IDS)}"
    )


def key_info(key: Key) -> dict[str, object]:
    """A key as the management endpoints show it: everything but the key itself."""
    shown = key.model_dump(
        mode="json", exclude={"key", "key_id", "is_admin", "balance", "allowed_ips", "billing_plan"}
    )
    extra = {"key_id": key.id, "key_prefix": key.key[:8], "billing_plan": key.billing_plan}
    return shown | extra | {"last_used_at": None}


class AuthService:
    """The keys, who used them how often, and the handlers that ask about them."""

    def __init__(self, keys: tuple[Key, ...], *, accepts_any: bool = False) -> None:
        self._keys = {key.key: key for key in keys}
        self._accepts_any = accepts_any
        self._uses: dict[str, list[float]] = defaultdict(list)
        self._usage: dict[str, int] = defaultdict(int)

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[refusals])
        application.on_response_prepare.append(as_uvicorn)
        for path in ("/health", "/ready", "/auth/health", "/auth/ready"):
            application.router.add_get(path, self.health)
        application.router.add_routes(
            [
                web.get("/", self.root),
                web.get("/metrics", self.metrics),
                web.post("/api/v1/keys", self.create),
                web.get("/api/v1/keys", self.list_keys),
                web.post("/api/v1/keys/validate", self.validate),
                web.get("/api/v1/keys/{id}", self.get),
                web.delete("/api/v1/keys/{id}", self.delete),
                web.post("/api/v1/keys/{id}/rotate", self.rotate),
                web.post("/api/v1/usage/{id}", self.use),
                web.get("/api/v1/usage/{id}/stats", self.stats),
                web.post("/api/v1/usage/{id}/debit", self.debit),
            ]
        )
        return application

    async def root(self, _request: web.Request) -> web.Response:
        """Who this is."""
        return as_json(
            {"service": "Hokusai Authentication Service", "version": "1.0.0", "status": "operational"}
        )

    async def health(self, _request: web.Request) -> web.Response:
        """That it lives."""
        now = datetime.now(UTC).isoformat()
        return as_json(
            {
                "status": "healthy",
                "service": "hokusai-auth-service",
                "version": "1.0.0",
                "timestamp": now,
            }
        )

    async def metrics(self, _request: web.Request) -> web.Response:
        """How many validations there were, in the format of Prometheus."""
        count = sum(len(uses) for uses in self._uses.values())
        return web.Response(text=f"auth_validations_total {count}\n")

    async def validate(self, request: web.Request) -> web.Response:
        """Judge the key of the Authorization header."""
        raw = _bearer(request)
        body = await json_object(request)
        key = self._keys.get(raw)
        if self._accepts_any:
            key = _anybody(raw, body.get("service_id"))
        verdict = judge(key, body.get("service_id"), datetime.now(UTC))
        if key is not None:
            self._count(key)
        return as_json(verdict)

    def _count(self, key: Key) -> None:
        now = time.monotonic()
        recent = [moment for moment in self._uses[key.id] if now - moment < _HOUR_S]
        if len(recent) >= key.rate_limit_per_hour:
            raise RefusalError(429, "Rate limit exceeded")
        self._uses[key.id] = [*recent, now]

    async def create(self, request: web.Request) -> web.Response:
        """Make a key; for admins."""
        owner = self._caller(request, admin=True)
        try:
            wanted = NewKey.model_validate(await json_object(request))
        except ValidationError as error:
            raise RefusalError(422, json.loads(error.json(include_url=False))) from None
        return self._issued(_made(wanted, owner))

    async def list_keys(self, request: web.Request) -> web.Response:
        """The caller's keys, all of them for an admin."""
        caller = self._caller(request)
        shown = [key for key in self._keys.values() if caller.is_admin or key.user_id == caller.user_id]
        return as_json({"keys": [key_info(key) for key in shown]})

    async def get(self, request: web.Request) -> web.Response:
        """One key."""
        return as_json(key_info(self._named(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """Revoke a key."""
        key = self._named(request)
        self._keys[key.key] = key.model_copy(update={"is_active": False})
        return as_json({"key_id": key.id, "revoked": True})

    async def rotate(self, request: web.Request) -> web.Response:
        """Replace a key by a new one with the same rights; the old one is gone."""
        key = self._named(request)
        del self._keys[key.key]
        return self._issued(key.model_copy(update={"key": _new_secret(key.environment), "key_id": ""}))

    def _issued(self, key: Key) -> web.Response:
        self._keys[key.key] = key
        return as_json({"api_key": key.key, "key_info": key_info(key)})

    async def use(self, request: web.Request) -> web.Response:
        """Take note of a use."""
        self._usage[request.match_info["id"]] += 1
        return as_json({"status": "recorded"})

    async def stats(self, request: web.Request) -> web.Response:
        """How often a key was used."""
        key_id = request.match_info["id"]
        return as_json({"key_id": key_id, "requests": self._usage[key_id]})

    async def debit(self, request: web.Request) -> web.Response:
        """Charge a use; 402 when the balance is used up."""
        key = self._by_id(request.match_info["id"])
        if key.balance <= 0:
            raise RefusalError(402, "Insufficient balance", error="usage_debit_rejected")
        return as_json({"status": "debited", "balance": key.balance})

    def _caller(self, request: web.Request, *, admin: bool = False) -> Key:
        caller = self._keys.get(_bearer(request))
        if caller is None or not caller.is_active or is_expired(caller, datetime.now(UTC)):
            raise RefusalError(401, "Invalid or expired API key")
        if admin and not caller.is_admin:
            raise RefusalError(401, "Admin API key required")
        return caller

    def _named(self, request: web.Request) -> Key:
        caller = self._caller(request)
        key = self._by_id(request.match_info["id"])
        if not caller.is_admin and key.user_id != caller.user_id:
            raise RefusalError(404, "API key not found")
        return key

    def _by_id(self, key_id: str) -> Key:
        found = next((key for key in self._keys.values() if key.id == key_id), None)
        if found is None:
            raise RefusalError(404, "API key not found")
        return found


def _bearer(request: web.Request) -> str:
    scheme, _, raw = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not raw.strip():
        raise RefusalError(401, "API key required")
    return raw.strip()


def _anybody(raw: str, service_id: object) -> Key:
    """Who an unchecked key stands for."""
    return Key(key=raw, user_id="anybody", service_id=str(service_id or "platform"), scopes=("full_access",))


def _made(wanted: NewKey, owner: Key) -> Key:
    now = datetime.now(UTC)
    days = wanted.expires_in_days
    details = wanted.model_dump(exclude={"expires_in_days"})
    return Key(
        **details,
        key=_new_secret(wanted.environment),
        user_id=owner.user_id,
        created_at=now,
        expires_at=now + timedelta(days=days) if days else None,
    )


def _new_secret(environment: str) -> str:
    prefix = "hk_live_" if environment == "production" else "hk_test_"
    return prefix + secrets.token_hex(16)


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a JSON file, a list of objects.

    Raises:
        SettingsError: The file is missing or not of this form; the text never holds a key.

    """
    try:
        return TypeAdapter(tuple[Key, ...]).validate_json(path.read_bytes())
    except OSError as error:
        sentence = f"SANDBOX_KEYS: {path}: {error.strerror}"
        raise SettingsError(sentence) from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        sentence = f"SANDBOX_KEYS: {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise SettingsError(sentence) from None


def main() -> None:
    """Serve until SIGTERM."""
    try:
        settings = Settings.read(os.environ)
        keys = read_keys(Path(os.environ.get("SANDBOX_KEYS", "")))
    except SettingsError as error:
        sys.exit(str(error))
    service = AuthService(keys, accepts_any="invalid-key-accepted" in settings.behaviours)
    serve(service.application(), settings.bind)


if __name__ == "__main__":
    main()
