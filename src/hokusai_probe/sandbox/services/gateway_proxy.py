"""The gateway's proxy to MLflow: where a path leads, who may write, and what the proxy says when it fails.

Contract section 4.1. The base MLFLOW_SERVER_URL ends in MLflow's own prefix (``/mlflow``), so a mount
prefix is taken off and the rest appended: ``/api/mlflow/api/2.0/x`` leads to ``{base}/api/2.0/x``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from hokusai_probe.sandbox.services.answers import RefusalError, as_json
from hokusai_probe.sandbox.services.gateway_auth import Caller
from hokusai_probe.sandbox.wire import (
    Answer,
    AnswerTimeoutError,
    BrokenConnectionError,
    ConnectTimeoutError,
    Outgoing,
    Timeouts,
    Wire,
    WireError,
    end_to_end,
)

PROXY_TIMEOUT_S = 30.0

WRITE_SCOPES = frozenset(
    {"model:write", "mlflow:write", "mlflow:access", "admin", "mlflow:admin", "write", "full_access"}
)
"""Scopes of which any allows to write (contract 3.4)."""

_MOUNTS = ("/api/2.0/mlflow", "/api/mlflow", "/mlflow")
_READS_BY_POST = frozenset({"search", "get-latest-versions"})
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ARTIFACTS = "/mlflow-artifacts/"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Where MLflow is. ``serves_artifacts`` is the gateway's own switch MLFLOW_SERVE_ARTIFACTS."""

    url: str
    serves_artifacts: bool
    time_scale: float
    behaviours: frozenset[str]


def mount_of(path: str, behaviours: frozenset[str]) -> str | None:
    """The proxy mount that a path lies under, None: it is not for MLflow."""
    missing = {"/api/mlflow"} if "route-missing" in behaviours else set()
    return next(
        (
            mount
            for mount in _MOUNTS
            if mount not in missing and (path == mount or path.startswith(f"{mount}/"))
        ),
        None,
    )


def upstream_path(path: str, mount: str, behaviours: frozenset[str]) -> str:
    """What to append to MLflow's base for a path under a mount.

    The behaviour ``artifact-path-untranslated`` leaves the mount in an artifact's path, where MLflow has no
    such route (INC-09).
    """
    if _ARTIFACTS in path and "artifact-path-untranslated" in behaviours:
        return path
    if mount == "/api/2.0/mlflow":
        return path
    return path.removeprefix(mount)


def is_write(method: str, path: str) -> bool:
    """Whether a request changes the registry; MLflow has searches that are POSTs."""
    if method in _READ_METHODS:
        return False
    return not (method == "POST" and path.rsplit("/", 1)[-1] in _READS_BY_POST)


def check_scope(caller: Caller, method: str, path: str, behaviours: frozenset[str]) -> None:
    """Let a write pass only with a scope that allows it.

    Raises:
        RefusalError: 403 FORBIDDEN.

    """
    if "no-scope-check" in behaviours or not is_write(method, path) or WRITE_SCOPES & set(caller.scopes):
        return
    raise RefusalError(
        403,
        "Insufficient permissions for this operation",
        error="FORBIDDEN",
        required_scope="model:write",
        current_scopes=list(caller.scopes),
    )


def upstream_query(query: str) -> str:
    """The query as it was sent, without a key in it."""
    kept = [part for part in query.split("&") if part.partition("=")[0] != "api_key"]
    return "&".join(kept)


def upstream_headers(headers: Sequence[tuple[str, str]], caller: Caller, url: str) -> list[tuple[str, str]]:
    """The request's headers as MLflow gets them: its own Host, and who calls."""
    own = {"host", "x-hokusai-user-id", "x-hokusai-api-key-id"}
    kept = [(name, value) for name, value in end_to_end(headers) if name.lower() not in own]
    return [
        ("Host", urlsplit(url).netloc.rpartition("@")[2]),
        *kept,
        ("X-Hokusai-User-Id", caller.user_id),
        ("X-Hokusai-API-Key-Id", caller.key_id),
    ]


def failure(error: WireError, settings: ProxySettings) -> RefusalError:
    """What the proxy says when MLflow gives no answer. The time printed is the platform's."""
    if isinstance(error, (ConnectTimeoutError, AnswerTimeoutError)):
        return RefusalError(504, f"MLflow server request timeout after {PROXY_TIMEOUT_S}s")
    if isinstance(error, BrokenConnectionError):
        return RefusalError(500, "Internal server error while proxying to MLflow")
    return RefusalError(502, f"Failed to connect to MLflow server at {settings.url}")


def artifacts_disabled() -> RefusalError:
    """The gateway's own refusal of artifact requests."""
    return RefusalError(
        503,
        {
            "error": "ARTIFACTS_DISABLED",
            "message": "Artifact storage is not enabled; set MLFLOW_SERVE_ARTIFACTS=true",
        },
    )


class Proxy:
    """Passes requests on to MLflow, bodies streamed both ways."""

    def __init__(self, settings: ProxySettings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire
        seconds = PROXY_TIMEOUT_S / settings.time_scale
        self._timeouts = Timeouts(seconds, seconds)

    async def pass_on(self, request: web.Request, mount: str, caller: Caller) -> web.StreamResponse:
        """MLflow's answer to a request under a mount.

        Raises:
            RefusalError: The caller may not write, artifacts are off, or MLflow gave no answer.

        """
        path = request.rel_url.raw_path
        check_scope(caller, request.method, path, self._settings.behaviours)
        if _ARTIFACTS in path and not self._settings.serves_artifacts:
            raise artifacts_disabled()
        rest = upstream_path(path, mount, self._settings.behaviours)
        outgoing = self._outgoing(request, rest, caller)
        try:
            async with self._wire.send("gateway->mlflow", outgoing, self._timeouts) as answer:
                return await _relay(request, rest, answer)
        except WireError as error:
            raise failure(error, self._settings) from None

    def _outgoing(self, request: web.Request, rest: str, caller: Caller) -> Outgoing:
        query = upstream_query(request.rel_url.raw_query_string)
        url = self._settings.url + rest + (f"?{query}" if query else "")
        return Outgoing(
            method=request.method,
            url=url,
            headers=upstream_headers(list(request.headers.items()), caller, url),
            body=request.content.iter_any() if request.body_exists else None,
        )


async def _relay(request: web.Request, rest: str, answer: Answer) -> web.StreamResponse:
    if answer.status == 404 and answer.headers.get("Content-Type", "").startswith("text/html"):
        message = f"The requested resource was not found: {rest}"
        return as_json({"error_code": "RESOURCE_NOT_FOUND", "message": message}, status=404)
    headers = CIMultiDict(end_to_end(list(answer.headers.items())))
    response = web.StreamResponse(status=answer.status, reason=answer.reason or None, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in answer.body:
            await response.write(chunk)
        await response.write_eof()
    except (WireError, ConnectionError):
        _cut(request)
    return response


def _cut(request: web.Request) -> None:
    """Break off an answer that has begun and cannot be finished, so that it does not look whole."""
    if request.transport is not None:
        request.transport.abort()
