"""The gateway in miniature: the registry API of the platform, written to its observable contract.

Sections 3 to 6 of the contract, known defects repaired; each defect comes back as a behaviour named in
SANDBOX_BEHAVIOURS. Order of a request: preflight, key, routing. So a request without a key is a 401 on
every path that is not public, whether it exists or not (3).

Environment: MLFLOW_SERVER_URL, HOKUSAI_AUTH_SERVICE_URL, AUTH_SERVICE_ID, REDIS_URL, REDIS_HOST,
REDIS_PORT, MLFLOW_SERVE_ARTIFACTS, MLFLOW_CB_FAILURE_THRESHOLD, MLFLOW_CB_RECOVERY_TIMEOUT, and the
sandbox's own.
"""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from hokusai_probe.sandbox.faults import FaultTable
from hokusai_probe.sandbox.services.answers import Handler, RefusalError, as_json, as_uvicorn, refusals
from hokusai_probe.sandbox.services.gateway_auth import Authenticator, AuthSettings, KeyCache
from hokusai_probe.sandbox.services.gateway_health import Breaker, BreakerSettings, Health
from hokusai_probe.sandbox.services.gateway_proxy import Proxy, ProxySettings, mount_of
from hokusai_probe.sandbox.services.settings import Settings, SettingsError, serve
from hokusai_probe.sandbox.wire import Wire

_ALWAYS_PUBLIC = ("/health", "/docs", "/openapi.json", "/redoc", "/favicon.ico")
_PUBLIC_SINCE_2025_08_11 = (
    "/ready",
    "/live",
    "/version",
    "/metrics",
    "/api/v1/dspy/health",
    "/api/health/mlflow",
)


def public_prefixes(behaviours: frozenset[str]) -> tuple[str, ...]:
    """The prefixes of paths that need no key (contract 3.1); ``public-paths-need-key`` is the old list."""
    if "public-paths-need-key" in behaviours:
        return _ALWAYS_PUBLIC
    return _ALWAYS_PUBLIC + _PUBLIC_SINCE_2025_08_11


def needs_key(method: str, path: str, behaviours: frozenset[str]) -> bool:
    """Whether a request must bring a key. Repaired: only reading is public, so a breaker reset is not."""
    if method == "OPTIONS":
        return "preflight-needs-key" in behaviours
    return method not in {"GET", "HEAD"} or not path.startswith(public_prefixes(behaviours))


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
    redis_check_url: str  # what /health looks at; another setting than the cache's, as on the platform
    serves_artifacts: bool
    breaker_threshold: int
    breaker_recovery_s: float

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Environment":
        """The variables, with the platform's defaults for those that are missing.

        Raises:
            SettingsError: A number is none.

        """
        redis_url = variables.get("REDIS_URL", "")
        return cls(
            mlflow_url=variables.get("MLFLOW_SERVER_URL", "http://localhost:5000").rstrip("/"),
            auth_url=variables.get("HOKUSAI_AUTH_SERVICE_URL", "https://auth.hokus.ai").rstrip("/"),
            service_id=variables.get("AUTH_SERVICE_ID", "platform"),
            redis_url=redis_url,
            redis_check_url=_redis_check_url(variables, redis_url),
            serves_artifacts=variables.get("MLFLOW_SERVE_ARTIFACTS", "true").lower() != "false",
            breaker_threshold=int(_number(variables, "MLFLOW_CB_FAILURE_THRESHOLD", 5)),
            breaker_recovery_s=_number(variables, "MLFLOW_CB_RECOVERY_TIMEOUT", 60),
        )


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
        self._wire = Wire(
            faults,
            settings.resolver,
            settings.time_scale,
            settings.ca_file,
            source=settings.bind[0],
            keep_alive=True,
        )
        self._authenticator = Authenticator(
            AuthSettings(
                environment.auth_url, environment.service_id, settings.time_scale, settings.behaviours
            ),
            self._wire,
            self._cache(environment.redis_url, faults) if "cache-off" not in settings.behaviours else None,
        )
        self._proxy = Proxy(
            ProxySettings(
                environment.mlflow_url,
                environment.serves_artifacts,
                settings.time_scale,
                settings.behaviours,
            ),
            self._wire,
        )
        self._health = self._made_health(faults)
        self._routes = self._table(self._health)

    def _cache(self, url: str, faults: FaultTable) -> KeyCache | None:
        """The cache, None when the setting makes no sense: then every call goes to auth (L-03)."""
        try:
            return KeyCache(url, self._wire, faults, self._settings.time_scale)
        except ValueError:
            return None

    def _made_health(self, faults: FaultTable) -> Health:
        environment, scale = self._environment, self._settings.time_scale
        breaker = BreakerSettings(environment.breaker_threshold, environment.breaker_recovery_s / scale)
        return Health(
            environment.mlflow_url,
            self._wire,
            self._cache(environment.redis_check_url, faults),
            Breaker(breaker, stuck="breaker-stuck-open" in self._behaviours),
            self._behaviours,
            scale,
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
            ("GET", "/openapi.json"): self._openapi,
            ("GET", "/docs"): self._docs,
            ("GET", "/redoc"): self._docs,
        }

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[refusals])
        application.on_response_prepare.append(as_uvicorn)
        application.router.add_route("*", "/{path:.*}", self._enter)
        application.cleanup_ctx.append(self._closing)
        return application

    async def _closing(self, _application: web.Application) -> AsyncIterator[None]:
        yield
        await self._authenticator.close()
        await self._health.close()
        await self._wire.close()

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if not needs_key(request.method, path, self._behaviours):
            return await self._public(request, path)
        caller = await self._authenticator.caller(request)
        self._authenticator.record_use(caller, path)
        mount = mount_of(path, self._behaviours)
        if mount is not None:
            return await self._proxy.pass_on(request, mount, caller)
        return await self._routed(request, path)

    async def _public(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return preflight_answer(request)
        return await self._routed(request, path)

    async def _routed(self, request: web.Request, path: str) -> web.StreamResponse:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._routes.get((method, path))
        if handler is not None:
            return await handler(request)
        allowed = sorted(known for known, route in self._routes if route == path)
        if allowed:
            raise RefusalError(405, "Method Not Allowed", {"Allow": ", ".join(allowed)})
        raise RefusalError(404, "Not Found")

    async def _root(self, _request: web.Request) -> web.StreamResponse:
        return as_json({"service": "Hokusai Data Pipeline API", "version": "1.0.0", "status": "operational"})

    async def _openapi(self, _request: web.Request) -> web.StreamResponse:
        return as_json(open_api(self._routes, self._behaviours))

    async def _docs(self, _request: web.Request) -> web.StreamResponse:
        page = "<!DOCTYPE html>\n<html><head><title>Hokusai Data Pipeline API</title></head></html>\n"
        return web.Response(text=page, content_type="text/html")


def main() -> None:
    """Serve until SIGTERM."""
    try:
        settings = Settings.read(os.environ)
        environment = Environment.read(os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    serve(Gateway(settings, environment).application(), settings.bind)


if __name__ == "__main__":
    main()
