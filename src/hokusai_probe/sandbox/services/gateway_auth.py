"""How the gateway finds out who calls: the key in the request, the cache, the auth service.

Contract sections 3.2 (forms of sending a key), 3.3 (what becomes of auth's answer) and 3.5 (cache). The
repaired gateway answers an outage of auth with 503; the behaviour ``outage-as-401`` answers it with 401, as
the platform did until June 2026 (INC-49).
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, urlsplit

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hokusai_probe.sandbox.addresses import is_inside
from hokusai_probe.sandbox.faults import Do, FaultTable, Seen
from hokusai_probe.sandbox.services.answers import RefusalError
from hokusai_probe.sandbox.wire import (
    AnswerTimeoutError,
    ConnectTimeoutError,
    NameUnknownError,
    Outgoing,
    Timeouts,
    Wire,
    WireError,
)

AUTH_TIMEOUT_S = 5.0
CACHE_TIMEOUT_S = 2.0
CACHE_TTL_S = 60.0  # since February 2026; 300 before

_FORMS = ("Bearer ", "ApiKey ")
_INVALID = "Invalid or expired API key"
_SERVICE_ERROR = "Authentication service error"
_TIMEOUT = "Authentication service timeout"
_UNAVAILABLE = "Authentication service unavailable"


class Caller(BaseModel):
    """What auth said of a key. Unknown fields are kept out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    is_valid: bool = True
    key_id: str = ""
    user_id: str = ""
    email: str = ""
    is_admin: bool = False
    scopes: tuple[str, ...] = ()
    has_sufficient_balance: bool = True


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Where auth is and what the gateway asks it. Times in platform seconds are divided by ``time_scale``."""

    url: str
    service_id: str
    time_scale: float
    behaviours: frozenset[str]


def sent_key(headers: Mapping[str, str], query: Mapping[str, str], behaviours: frozenset[str]) -> str | None:
    """The key in a request, None when there is none in a form that counts.

    ``Bearer`` and ``ApiKey`` are spelt exactly so and followed by one blank; a second blank belongs to the
    key. The behaviour ``auth-header-dropped`` loses the Authorization header on the way in.
    """
    authorization = "" if "auth-header-dropped" in behaviours else headers.get("Authorization", "")
    for form in _FORMS:
        if authorization.startswith(form):
            return authorization.removeprefix(form) or None
    return headers.get("X-API-Key") or query.get("api_key") or None


def judged(status: int, body: bytes, behaviours: frozenset[str]) -> Caller:
    """The caller, from auth's answer.

    Raises:
        RefusalError: The key is refused, or auth did not do its work.

    """
    if status == 401:
        raise RefusalError(401, _INVALID)
    if status == 429:
        raise rate_limited(behaviours)
    if status != 200:
        raise outage(_SERVICE_ERROR, behaviours)
    try:
        caller = Caller.model_validate_json(body)
    except ValidationError:
        raise outage(_SERVICE_ERROR, behaviours) from None
    if not caller.is_valid and "is-valid-ignored" not in behaviours:
        raise RefusalError(401, _INVALID)
    return caller


def rate_limited(behaviours: frozenset[str]) -> RefusalError:
    """The refusal when auth says that the key is used too often."""
    if "outage-as-401" in behaviours:
        return RefusalError(401, "Rate limit exceeded")
    return RefusalError(429, "Rate limit exceeded", {"Retry-After": "60"})


def outage(text: str, behaviours: frozenset[str]) -> RefusalError:
    """The refusal when auth gives no verdict: 503, or the 401 of the old days."""
    if "outage-as-401" in behaviours:
        return RefusalError(401, text)
    return RefusalError(503, text, {"Retry-After": "1"})


def debit_rejected(body: bytes) -> RefusalError:
    """The refusal that follows from a rejected debit: auth's reason, as far as it gives one."""
    try:
        said = _Rejection.model_validate_json(body)
    except ValidationError:
        said = _Rejection()
    return RefusalError(
        402, error="usage_debit_rejected", reason=said.reason or said.detail, reason_code=said.reason_code
    )


class _Rejection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str | None = None
    reason_code: str | None = None
    detail: str | None = None


class Authenticator:
    """Asks cache and auth about keys."""

    def __init__(self, settings: AuthSettings, wire: Wire, cache: "KeyCache | None") -> None:
        self._settings = settings
        self._wire = wire
        self._cache = cache
        self._posting: set[asyncio.Task[None]] = set()
        seconds = AUTH_TIMEOUT_S / settings.time_scale
        self._timeouts = Timeouts(seconds, seconds)

    async def caller(self, request: web.Request) -> Caller:
        """Who calls.

        Raises:
            RefusalError: No key, a refused key, or no verdict on it.

        """
        key = sent_key(request.headers, request.query, self._settings.behaviours)
        if key is None:
            raise RefusalError(401, "API key required")
        if not key.isprintable():  # cannot travel in a header
            raise RefusalError(401, _INVALID)
        known = await self._cache.get(key) if self._cache else None
        if known is not None:
            return known
        return await self._asked(key, _client_ip(request))

    async def _asked(self, key: str, client_ip: str) -> Caller:
        try:
            status, body = await self._validate(key, client_ip)
        except (AnswerTimeoutError, ConnectTimeoutError):
            raise outage(_TIMEOUT, self._settings.behaviours) from None
        except WireError:
            raise outage(_UNAVAILABLE, self._settings.behaviours) from None
        caller = judged(status, body, self._settings.behaviours)
        if self._cache:
            await self._cache.put(key, caller)
        return caller

    async def _validate(self, key: str, client_ip: str) -> tuple[int, bytes]:
        document = {"service_id": self._settings.service_id, "client_ip": client_ip}
        headers = [("Content-Type", "application/json")]
        if "key-sent-in-body" in self._settings.behaviours:
            document["api_key"] = key
        else:
            headers.append(("Authorization", f"Bearer {key}"))
        request = Outgoing(
            "POST", f"{self._settings.url}/api/v1/keys/validate", headers, json.dumps(document).encode()
        )
        async with self._wire.send("gateway->auth", request, self._timeouts) as answer:
            return answer.status, await answer.read()

    async def close(self) -> None:
        """Close what is open, posts under way included."""
        for task in self._posting:
            task.cancel()
        if self._cache:
            await self._cache.close()

    async def debit(self, caller: Caller, path: str) -> None:
        """Have a use charged before it is carried out; an auth service that does not answer charges nothing.

        Raises:
            RefusalError: 402, auth rejects the debit.

        """
        if not caller.key_id:
            return
        outgoing = self._usage(caller, path, "/debit")
        try:
            async with self._wire.send("gateway->auth", outgoing, self._timeouts) as answer:
                body = await answer.read()
        except WireError:
            return
        if answer.status == 402:
            raise debit_rejected(body)

    def _usage(self, caller: Caller, path: str, what: str = "") -> Outgoing:
        url = f"{self._settings.url}/api/v1/usage/{quote(caller.key_id, safe='')}{what}"
        body = json.dumps({"endpoint": path, "service_id": self._settings.service_id}).encode()
        return Outgoing("POST", url, (("Content-Type", "application/json"),), body)

    def record_use(self, caller: Caller, path: str) -> None:
        """Tell auth of a use, without waiting and whatever comes of it."""
        task = asyncio.get_running_loop().create_task(self._post_use(caller, path))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post_use(self, caller: Caller, path: str) -> None:
        outgoing = self._usage(caller, path)
        try:
            async with self._wire.send("gateway->auth", outgoing, self._timeouts) as answer:
                await answer.read()
        except WireError:
            return  # usage is nobody's reason to fail a request


def _client_ip(request: web.Request) -> str:
    forwarded = request.headers.get("X-Forwarded-For", "").partition(",")[0].strip()
    return forwarded or request.remote or ""


class KeyCache:
    """Keys that auth accepted, in Redis, for ``ttl_s`` platform seconds. One that fails knows nothing."""

    def __init__(
        self, url: str, wire: Wire, faults: FaultTable, time_scale: float, ttl_s: float = CACHE_TTL_S
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
            sentence = "REDIS_URL must begin with redis:// or rediss://"
            raise ValueError(sentence)
        self._host = parts.hostname
        self._port = parts.port or 6379
        self._password = parts.password
        self._tls = parts.scheme == "rediss"
        self._wire = wire
        self._faults = faults
        self._time_scale = time_scale
        self._limit_s = CACHE_TIMEOUT_S / time_scale
        self._kept_ms = max(1, round(1000 * ttl_s / time_scale))
        self._clients: dict[str, Redis] = {}

    async def get(self, key: str) -> Caller | None:
        """What auth said of the key lately."""
        try:
            async with asyncio.timeout(self._limit_s):
                found = await (await self._client()).get(_entry(key))
            return Caller.model_validate_json(found) if found else None
        except (RedisError, WireError, OSError, TimeoutError, ValidationError):
            return None

    async def put(self, key: str, caller: Caller) -> None:
        """Remember an accepted key."""
        try:
            async with asyncio.timeout(self._limit_s):
                await (await self._client()).set(_entry(key), caller.model_dump_json(), px=self._kept_ms)
        except (RedisError, WireError, OSError, TimeoutError):
            return

    async def alive(self) -> bool:
        """Whether Redis answers a PING."""
        try:
            async with asyncio.timeout(self._limit_s):
                return bool(await (await self._client()).ping())
        except (RedisError, WireError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close what is open."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _client(self) -> Redis:
        """A client for an address that is really the sandbox's, after the faults of the edge."""
        address = await self._address()
        if address not in self._clients:
            self._clients[address] = Redis(
                host=address,
                port=self._port,
                password=self._password,
                ssl=self._tls,
                socket_timeout=self._limit_s,
                socket_connect_timeout=self._limit_s,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
            )
        return self._clients[address]

    async def _address(self) -> str:
        effect = self._faults.effect("gateway->cache", Seen(host=self._host))
        await asyncio.sleep(effect.delay_s / self._time_scale)
        given = effect.answer.address if effect.answer else None
        if effect.answer is not None and given is None:
            await self._fail(effect.answer)
        address = given or (await self._wire.resolve(self._host, self._limit_s))[0]
        if not is_inside(address) or self._wire.dropped(address, self._port):
            await self._hang()
        return address

    async def _fail(self, fault: Do) -> NoReturn:
        if fault.drop:
            await self._hang()
        if fault.nxdomain:
            raise NameUnknownError
        raise ConnectionResetError if fault.reset else ConnectionRefusedError

    async def _hang(self) -> NoReturn:
        """Packets vanish: wait until the limit, or until the caller's own runs out."""
        await asyncio.sleep(self._limit_s)
        raise TimeoutError


def _entry(key: str) -> str:
    return f"api_key:validation:{key}"
