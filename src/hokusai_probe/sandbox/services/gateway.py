"""The gateway in miniature: the registry API of the platform, written to its observable contract.

Sections 3 to 6 of the contract, known defects repaired; each defect comes back as a behaviour named in
SANDBOX_BEHAVIOURS. Order of a request: scanner filter, preflight, key, balance, scope, debit, routing. So a
request without a key is a 401 on every path that is not public, whether it exists or not (3). Answers from
behind the authentication carry CORS headers, its refusals do not.

Environment: MLFLOW_SERVER_URL, HOKUSAI_AUTH_SERVICE_URL, AUTH_SERVICE_ID, REDIS_URL, REDIS_HOST, REDIS_PORT,
DB_HOST, DB_PORT, DB_NAME, DB_FALLBACK_NAME, DB_USER, MLFLOW_SERVE_ARTIFACTS, MLFLOW_CB_FAILURE_THRESHOLD,
MLFLOW_CB_RECOVERY_TIMEOUT, REGISTRY_ADMIN_USER_EMAILS, WEBHOOK_URL, HOKUSAI_CONTRIBUTIONS_BUCKET, and the
sandbox's own; KEY_CACHE_TTL_S, in platform seconds, is ours: what the platform calls it is not known.
Secrets, from the file that SANDBOX_SECRETS names: DB_PASSWORD, WEBHOOK_SECRET, HUGGINGFACE_API_KEY.

Not here: ``/models/...`` of the old days, and DSPy programs beyond their health.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from hokusai_probe.sandbox.faults import FaultTable
from hokusai_probe.sandbox.network import NetworkView
from hokusai_probe.sandbox.services.answers import Handler, RefusalError, as_json, as_uvicorn, refusals
from hokusai_probe.sandbox.services.gateway_access import (
    admin_emails,
    check_balance,
    check_registry,
    is_debited,
    is_scanned,
    needs_key,
)
from hokusai_probe.sandbox.services.gateway_auth import (
    CACHE_TTL_S,
    Authenticator,
    AuthSettings,
    Caller,
    KeyCache,
)
from hokusai_probe.sandbox.services.gateway_database import Database, DatabaseSettings
from hokusai_probe.sandbox.services.gateway_health import Breaker, BreakerSettings, Health, Neighbours
from hokusai_probe.sandbox.services.gateway_models import MINUTE_S, Limiter, Models, template_of
from hokusai_probe.sandbox.services.gateway_proxy import Proxy, ProxySettings, mount_of
from hokusai_probe.sandbox.services.gateway_stall import stall
from hokusai_probe.sandbox.services.gateway_webhook import Webhook, WebhookSettings
from hokusai_probe.sandbox.services.settings import Settings, SettingsError, serve
from hokusai_probe.sandbox.wire import Wire

_let_in: ContextVar[bool] = ContextVar("let in", default=False)
"""Whether the request that is being answered has passed the authentication."""

_SECRETS = TypeAdapter(dict[str, str])


def preflight_answer(request: web.Request) -> web.Response:
    """The answer to a preflight, with what the browser wants to know; to be kept for 600 s."""
    asked = request.headers.get("Access-Control-Request-Headers", "*")
    headers = {
        "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
        "Access-Control-Allow-Methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        "Access-Control-Allow-Headers": asked,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
    return web.Response(text="OK", headers=headers)


async def cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let browsers read what comes from behind the authentication, but not its refusals (contract 3.3)."""
    origin = request.headers.get("Origin")
    if origin and _let_in.get():
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"


def open_api(paths: Mapping[tuple[str, str], Handler], behaviours: frozenset[str]) -> dict[str, object]:
    """The API document: the way to learn which routes there really are."""
    listed: dict[str, dict[str, object]] = {}
    for method, path in paths:
        listed.setdefault(path, {})[method.lower()] = {"responses": {"200": {"description": "OK"}}}
    for mount in ("/mlflow", "/api/mlflow", "/api/2.0/mlflow"):
        if mount_of(f"{mount}/x", behaviours) == mount:
            listed[f"{mount}/{{path}}"] = {"get": {"responses": {"200": {"description": "OK"}}}}
    info = {"title": "Hokusai Data Pipeline API", "version": "1.0.0"}
    return {"openapi": "3.1.0", "info": info, "paths": listed}


@dataclass(frozen=True, slots=True)
class Environment:
    """The gateway's own variables, as its task definition gives them."""

    mlflow_url: str
    auth_url: str
    service_id: str
    redis_url: str
    key_cache_s: float
    redis_check_url: str  # what /health looks at; another setting than the cache's, as on the platform
    serves_artifacts: bool
    breaker_threshold: int
    breaker_recovery_s: float
    admins: frozenset[str]
    database: DatabaseSettings
    variables: Mapping[str, str]  # for the parts that read their own

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Environment":
        """The variables and secrets, with the platform's defaults for those that are missing.

        Raises:
            SettingsError: A number is none.

        """
        redis_url = variables.get("REDIS_URL", "")
        return cls(
            mlflow_url=variables.get("MLFLOW_SERVER_URL", "http://localhost:5000").rstrip("/"),
            auth_url=variables.get("HOKUSAI_AUTH_SERVICE_URL", "https://auth.hokus.ai").rstrip("/"),
            service_id=variables.get("AUTH_SERVICE_ID", "platform"),
            redis_url=redis_url,
            key_cache_s=_number(variables, "KEY_CACHE_TTL_S", CACHE_TTL_S),
            redis_check_url=_redis_check_url(variables, redis_url),
            serves_artifacts=variables.get("MLFLOW_SERVE_ARTIFACTS", "true").lower() != "false",
            breaker_threshold=int(_number(variables, "MLFLOW_CB_FAILURE_THRESHOLD", 5)),
            breaker_recovery_s=_number(variables, "MLFLOW_CB_RECOVERY_TIMEOUT", 60),
            admins=admin_emails(variables),
            database=DatabaseSettings.read(variables),
            variables=variables,
        )


def with_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables and, beside them as ECS puts them there, the secrets of the file SANDBOX_SECRETS.

    Raises:
        SettingsError: The file cannot be read; the text holds none of it.

    """
    path = variables.get("SANDBOX_SECRETS")
    if not path:
        return dict(variables)
    try:
        return {**variables, **_SECRETS.validate_json(Path(path).read_bytes())}
    except (OSError, ValidationError):
        sentence = f"SANDBOX_SECRETS: {path} is not a readable JSON object of strings"
        raise SettingsError(sentence) from None


def _redis_check_url(variables: Mapping[str, str], redis_url: str) -> str:
    if host := variables.get("REDIS_HOST"):
        return f"redis://{host}:{variables.get('REDIS_PORT') or 6379}"
    return redis_url if "://" in redis_url else f"redis://{redis_url or 'localhost'}"


def _number(variables: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(variables.get(name) or default)
    except ValueError:
        sentence = f"{name} must be a number, not {variables[name]!r}"
        raise SettingsError(sentence) from None


class Gateway:
    """The gateway's parts and its one entrance."""

    def __init__(self, settings: Settings, environment: Environment) -> None:
        self._settings = settings
        self._environment = environment
        self._behaviours = settings.behaviours
        faults = FaultTable(settings.faults)
        self._wire = self._made_wire(faults, settings.ca_file)
        self._authenticator = Authenticator(
            AuthSettings(
                environment.auth_url, environment.service_id, settings.time_scale, settings.behaviours
            ),
            self._wire,
            self._cache(environment.redis_url, faults) if "cache-off" not in settings.behaviours else None,
        )
        self._webhook = Webhook(
            WebhookSettings.read(environment.variables, settings.behaviours), self._wire, settings.time_scale
        )
        self._proxy = Proxy(
            ProxySettings(
                environment.mlflow_url,
                environment.serves_artifacts,
                settings.time_scale,
                settings.behaviours,
            ),
            self._wire,
            self._webhook.announce,
        )
        self._health_wire = self._made_health_wire(faults)
        self._health = self._made_health(faults)
        self._routes = self._table(self._health)

    def _made_wire(self, faults: FaultTable, ca_file: Path | None) -> Wire:
        return Wire(
            faults,
            self._settings.resolver,
            self._settings.time_scale,
            ca_file,
            source=self._settings.bind[0],
            keep_alive=True,
            network=NetworkView(self._settings.network),
        )

    def _made_health_wire(self, faults: FaultTable) -> Wire:
        """The wire for looks at MLflow: the gateway's own, or one that trusts no authority (INC-47)."""
        if "health-uses-other-tls" in self._behaviours:
            return self._made_wire(faults, None)
        return self._wire

    def _health_url(self) -> str:
        """MLflow's address for those looks: with settings of their own they insist on TLS (INC-47)."""
        url = self._environment.mlflow_url
        if "health-uses-other-tls" in self._behaviours and url.startswith("http://"):
            return url.replace("http://", "https://", 1)
        return url

    def _cache(self, url: str, faults: FaultTable) -> KeyCache | None:
        """The cache, None when the setting makes no sense: then every call goes to auth (L-03)."""
        try:
            kept_s = self._environment.key_cache_s
            return KeyCache(url, self._wire, faults, self._settings.time_scale, kept_s)
        except ValueError:
            return None

    def _made_health(self, faults: FaultTable) -> Health:
        environment, scale = self._environment, self._settings.time_scale
        breaker = BreakerSettings(environment.breaker_threshold, environment.breaker_recovery_s / scale)
        return Health(
            Neighbours(
                self._health_url(),
                self._health_wire,
                self._cache(environment.redis_check_url, faults),
                Database(environment.database, self._wire, scale),
            ),
            Breaker(breaker, stuck="breaker-stuck-open" in self._behaviours),
            self._behaviours,
            scale,
            self._settings.clock,
        )

    def _table(self, health: Health) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/"): self._root,
            ("GET", "/health"): health.health,
            ("GET", "/health/alb"): health.alb,
            ("GET", "/health/status"): health.status,
            ("GET", "/health/mlflow"): health.mlflow,
            ("POST", "/health/mlflow/reset"): health.reset,
            ("GET", "/ready"): health.ready,
            ("GET", "/live"): health.live,
            ("GET", "/version"): health.version,
            ("GET", "/metrics"): health.metrics,
            ("GET", "/api/health/mlflow"): health.api_mlflow,
            ("GET", "/api/health/mlflow/detailed"): health.api_mlflow_detailed,
            ("GET", "/api/health/mlflow/connectivity"): health.api_mlflow_connectivity,
            ("GET", "/api/v1/dspy/health"): self._dspy_health,
            **Models(self._environment.variables, Limiter(MINUTE_S / self._settings.time_scale)).routes(),
            ("GET", "/openapi.json"): self._openapi,
            ("GET", "/docs"): self._docs,
            ("GET", "/redoc"): self._docs,
        }

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[refusals])
        application.on_response_prepare.append(cors_headers)
        application.on_response_prepare.append(as_uvicorn)
        application.router.add_route("*", "/{path:.*}", self._enter)
        application.cleanup_ctx.append(self._closing)
        if "event-loop-blocked" in self._behaviours:
            application.cleanup_ctx.append(self._stalling)
        return application

    async def _closing(self, _application: web.Application) -> AsyncIterator[None]:
        yield
        await self._webhook.close()
        await self._authenticator.close()
        await self._health.close()
        await self._health_wire.close()
        await self._wire.close()

    async def _stalling(self, _application: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(stall(self._settings.time_scale))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        _let_in.set(False)  # one task answers all requests of a connection
        if is_scanned(path):
            return web.Response(status=404, headers={"Cache-Control": "no-store"})
        if not needs_key(request.method, path, self._behaviours):
            _let_in.set(True)
            return await self._public(request, path)
        caller = await self._authenticator.caller(request)
        try:
            return await self._known(request, path, caller)
        finally:
            self._authenticator.record_use(caller, path)

    async def _known(self, request: web.Request, path: str, caller: Caller) -> web.StreamResponse:
        """The answer to a request whose key is good."""
        mount = mount_of(path, self._behaviours)
        check_balance(caller)
        if mount is not None:
            check_registry(caller, request.method, path, self._behaviours, self._environment.admins)
        if is_debited(request.method, path, is_mlflow=mount is not None):
            await self._authenticator.debit(caller, path)
        _let_in.set(True)
        if mount is not None:
            return await self._proxy.pass_on(request, mount, caller)
        return await self._routed(request, path)

    async def _public(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return preflight_answer(request)
        return await self._routed(request, path)

    async def _routed(self, request: web.Request, path: str) -> web.StreamResponse:
        method = "GET" if request.method == "HEAD" else request.method
        template = template_of(path)
        handler = self._routes.get((method, template))
        if handler is not None:
            return await handler(request)
        allowed = sorted(known for known, route in self._routes if route == template)
        if allowed:
            raise RefusalError(405, "Method Not Allowed", {"Allow": ", ".join(allowed)})
        raise RefusalError(404, "Not Found")

    async def _root(self, _request: web.Request) -> web.StreamResponse:
        return as_json({"service": "Hokusai Data Pipeline API", "version": "1.0.0", "status": "operational"})

    async def _dspy_health(self, _request: web.Request) -> web.StreamResponse:
        return as_json({"status": "healthy", "service": "dspy"})

    async def _openapi(self, _request: web.Request) -> web.StreamResponse:
        return as_json(open_api(self._routes, self._behaviours))

    async def _docs(self, _request: web.Request) -> web.StreamResponse:
        page = "<!DOCTYPE html>\n<html><head><title>Hokusai Data Pipeline API</title></head></html>\n"
        return web.Response(text=page, content_type="text/html")


def main() -> None:
    """Serve until SIGTERM."""
    try:
        settings = Settings.read(os.environ)
        environment = Environment.read(with_secrets(os.environ))
    except SettingsError as error:
        sys.exit(str(error))
    serve(Gateway(settings, environment).application(), settings.bind)


if __name__ == "__main__":
    main()
