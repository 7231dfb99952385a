"""The gateway's proxy to MLflow: where a path leads, and what the proxy says when MLflow does not answer.

Contract section 4.1. The base MLFLOW_SERVER_URL ends in MLflow's own prefix (``/mlflow``), so a mount
prefix is taken off and the rest appended: ``/api/mlflow/api/2.0/x`` leads to ``{base}/api/2.0/x``. Where the
base is the registry's public host, ``api/2.0`` becomes ``ajax-api/2.0``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from hokusai_probe.sandbox.services.answers import RefusalError, as_json, log
from hokusai_probe.sandbox.services.gateway_auth import Caller
from hokusai_probe.sandbox.services.gateway_webhook import is_registration
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

_MOUNTS = ("/api/2.0/mlflow", "/api/mlflow", "/mlflow")
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

    ``/api/2.0/mlflow`` is MLflow's own path and stays; the behaviour ``api-2.0-mount-strips-prefix`` takes it
    off all the same, and MLflow has no such route (S-06). The behaviour ``artifact-path-untranslated`` leaves
    the mount in an artifact's path, where MLflow has none either (INC-09).
    """
    if _ARTIFACTS in path and "artifact-path-untranslated" in behaviours:
        return path
    if mount == "/api/2.0/mlflow" and "api-2.0-mount-strips-prefix" not in behaviours:
        return path
    return path.removeprefix(mount)


def translated(rest: str, base: str) -> str:
    """The path for a base that is the registry's public host: MLflow's other API prefix."""
    host = urlsplit(base).hostname or ""
    if host.startswith("registry.") and rest.startswith("/api/2.0/"):
        return f"/ajax-api/2.0/{rest.removeprefix('/api/2.0/')}"
    return rest


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
    """Passes requests on to MLflow, bodies streamed both ways.

    Args:
        settings: Where MLflow is.
        wire: The gateway's own.
        registered: Called with MLflow's answer when it has made a model version.

    """

    def __init__(self, settings: ProxySettings, wire: Wire, registered: Callable[[bytes], None]) -> None:
        self._settings = settings
        self._wire = wire
        self._registered = registered
        seconds = PROXY_TIMEOUT_S / settings.time_scale
        self._timeouts = Timeouts(seconds, seconds)

    async def pass_on(self, request: web.Request, mount: str, caller: Caller) -> web.StreamResponse:
        """MLflow's answer to a request under a mount.

        Raises:
            RefusalError: Artifacts are off, or MLflow gave no answer.

        """
        path = request.rel_url.raw_path
        if _ARTIFACTS in path and not self._settings.serves_artifacts:
            raise artifacts_disabled()
        rest = translated(upstream_path(path, mount, self._settings.behaviours), self._settings.url)
        outgoing = self._outgoing(request, rest, caller)
        try:
            async with self._wire.send("gateway->mlflow", outgoing, self._timeouts) as answer:
                copy = bytearray() if is_registration(request.method, rest) else None
                response = await _relay(request, rest, answer, copy)
        except WireError as error:
            log(f"MLflow gave no answer: {_kind(error)}", "ERROR")
            raise failure(error, self._settings) from None
        if copy and response.status == 200:
            self._registered(bytes(copy))
        return response

    def _outgoing(self, request: web.Request, rest: str, caller: Caller) -> Outgoing:
        query = upstream_query(request.rel_url.raw_query_string)
        url = self._settings.url + rest + (f"?{query}" if query else "")
        return Outgoing(
            method=request.method,
            url=url,
            headers=upstream_headers(list(request.headers.items()), caller, url),
            body=request.content.iter_any() if request.body_exists else None,
        )


def _kind(error: WireError) -> str:
    """What stopped a request, for the log: the answer to the caller does not say."""
    return ": ".join(part for part in (type(error).__name__.removesuffix("Error"), str(error)) if part)


async def _relay(
    request: web.Request, rest: str, answer: Answer, copy: bytearray | None
) -> web.StreamResponse:
    """Pass an answer on, and keep a copy of its body if one is wanted."""
    if answer.status == 404 and answer.headers.get("Content-Type", "").startswith("text/html"):
        message = f"The requested resource was not found: {rest}"
        return as_json({"error_code": "RESOURCE_NOT_FOUND", "message": message}, status=404)
    headers = CIMultiDict(end_to_end(list(answer.headers.items())))
    response = web.StreamResponse(status=answer.status, reason=answer.reason or None, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in answer.body:
            if copy is not None:
                copy += chunk
            await response.write(chunk)
        await response.write_eof()
    except (WireError, ConnectionError):
        _cut(request)
    return response


def _cut(request: web.Request) -> None:
    """Break off an answer that has begun and cannot be finished, so that it does not look whole."""
    if request.transport is not None:
        request.transport.abort()
