"""The auth service in miniature, written to the platform's observable contract (section 2).

Keys come from the JSON file SANDBOX_KEYS and live in memory from then on. A key is looked for in the
Authorization header only, whatever the OpenAPI document says of the body (INC-03). An unknown and an
expired key get the same 401; a revoked one gets 200 with ``is_valid`` false, which a caller must read.

Every use that is debited costs `PRICE`; a key whose balance is used up is told so at validation
(``has_sufficient_balance``) and its debit is rejected with 402. Usage, statistics and billing ask for no key:
the contract has the platform's own services call them, and names no refusal.

The behaviour ``invalid-key-accepted`` lets in any key at all.
"""

import json
import os
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from hokusai_probe.sandbox.clock import RIGHT, PlatformClock
from hokusai_probe.sandbox.services.answers import RefusalError, as_json, as_uvicorn, json_object, refusals
from hokusai_probe.sandbox.services.auth_keys import (
    Asked,
    Key,
    NewKey,
    anybody,
    is_expired,
    judge,
    key_info,
    made,
    new_secret,
    read_keys,
)
from hokusai_probe.sandbox.services.settings import Settings, SettingsError, serve

HOUR_S = 3600.0
_Body = TypeVar("_Body", Asked, NewKey)

PRICE = 0.001
"""What a debited use costs. The platform's real prices are not known; this one empties no sandbox."""


class AuthService:
    """The keys, who used them how often, and the handlers that ask about them.

    Args:
        keys: The keys that it knows at first.
        accepts_any: Whether it lets in any key at all.
        hour_s: How long an hour of ``rate_limit_per_hour`` takes here, in seconds.
        clock: The platform's, by which it dates its answers.

    """

    def __init__(
        self,
        keys: tuple[Key, ...],
        *,
        accepts_any: bool = False,
        hour_s: float = HOUR_S,
        clock: PlatformClock = RIGHT,
    ) -> None:
        self._clock = clock
        self._keys = {key.key: key for key in keys}
        self._accepts_any = accepts_any
        self._hour_s = hour_s
        self._uses: dict[str, list[float]] = defaultdict(list)
        self._last_used: dict[str, datetime] = {}
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
                web.get("/api/v1/usage/aggregate", self.aggregate),
                web.post("/api/v1/usage/{id}", self.use),
                web.get("/api/v1/usage/{id}/stats", self.stats),
                web.get("/api/v1/usage/{id}/billing", self.billing),
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
        now = self._clock.now().isoformat()
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
        asked = _checked(Asked, await json_object(request))
        key = anybody(raw, asked.service_id) if self._accepts_any else self._keys.get(raw)
        verdict = judge(key, asked, datetime.now(UTC))
        if key is not None:
            self._count(key)
        return as_json(verdict)

    def _count(self, key: Key) -> None:
        now = time.monotonic()
        recent = [moment for moment in self._uses[key.id] if now - moment < self._hour_s]
        if len(recent) >= key.rate_limit_per_hour:
            raise RefusalError(429, "Rate limit exceeded")
        self._uses[key.id] = [*recent, now]
        self._last_used[key.id] = datetime.now(UTC)

    async def create(self, request: web.Request) -> web.Response:
        """Make a key; for admins."""
        owner = self._caller(request, admin=True)
        return self._issued(made(_checked(NewKey, await json_object(request)), owner))

    async def list_keys(self, request: web.Request) -> web.Response:
        """The caller's keys, all of them for an admin."""
        caller = self._caller(request)
        shown = [key for key in self._keys.values() if caller.is_admin or key.user_id == caller.user_id]
        return as_json({"keys": [self._info(key) for key in shown]})

    async def get(self, request: web.Request) -> web.Response:
        """One key."""
        return as_json(self._info(self._named(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """Revoke a key."""
        key = self._named(request)
        self._keys[key.key] = key.model_copy(update={"is_active": False})
        return as_json({"key_id": key.id, "revoked": True})

    async def rotate(self, request: web.Request) -> web.Response:
        """Replace a key by a new one with the same rights; the old one is gone."""
        key = self._named(request)
        del self._keys[key.key]
        return self._issued(key.model_copy(update={"key": new_secret(key.environment), "key_id": ""}))

    def _issued(self, key: Key) -> web.Response:
        self._keys[key.key] = key
        return as_json({"api_key": key.key, "key_info": self._info(key)})

    def _info(self, key: Key) -> dict[str, object]:
        return key_info(key, self._last_used.get(key.id))

    async def use(self, request: web.Request) -> web.Response:
        """Take note of a use."""
        self._usage[request.match_info["id"]] += 1
        return as_json({"status": "recorded"})

    async def stats(self, request: web.Request) -> web.Response:
        """How often a key was used."""
        key_id = request.match_info["id"]
        return as_json({"key_id": key_id, "requests": self._usage[key_id]})

    async def billing(self, request: web.Request) -> web.Response:
        """What a key's use is paid from."""
        key = self._by_id(request.match_info["id"])
        return as_json(
            {
                "key_id": key.id,
                "billing_plan": key.billing_plan,
                "balance": key.balance,
                "requests": self._usage[key.id],
            }
        )

    async def aggregate(self, _request: web.Request) -> web.Response:
        """How often all keys together were used."""
        return as_json({"keys": len(self._usage), "requests": sum(self._usage.values())})

    async def debit(self, request: web.Request) -> web.Response:
        """Charge a use; 402 when the balance is used up."""
        key = self._by_id(request.match_info["id"])
        if key.balance <= 0:
            raise RefusalError(
                402,
                error="usage_debit_rejected",
                reason=f"Balance {key.balance:.2f} is insufficient",
                reason_code="insufficient_balance",
            )
        left = max(0.0, key.balance - PRICE)
        self._keys[key.key] = key.model_copy(update={"balance": left})
        return as_json({"status": "debited", "balance": left})

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


def _checked(model: type[_Body], body: dict[str, object]) -> _Body:
    """A body that is what the endpoint wants, else 422 in FastAPI's words."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RefusalError(422, json.loads(error.json(include_url=False, include_input=False))) from None


def main() -> None:
    """Serve until SIGTERM."""
    try:
        settings = Settings.read(os.environ)
        keys = read_keys(Path(os.environ.get("SANDBOX_KEYS", "")))
    except SettingsError as error:
        sys.exit(str(error))
    service = AuthService(
        keys,
        accepts_any="invalid-key-accepted" in settings.behaviours,
        hour_s=HOUR_S / settings.time_scale,
        clock=settings.clock,
    )
    serve(service.application(), settings.bind)


if __name__ == "__main__":
    main()
