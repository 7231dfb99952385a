"""Models of the gateway's own: what of them can be seen from outside (contract 4), and their limits (3.6).

Stand-ins: a prediction is a constant and a contribution is not kept. What is real is what they need of the
task definition: the secret HUGGINGFACE_API_KEY (INC-42: without it predictions are 500, information and
health 200) and the variable HOKUSAI_CONTRIBUTIONS_BUCKET (INC-48: without it contributions are 503).

The routes below ``/api/models`` (since May 2026; before that they were elsewhere, or nowhere) are the only
ones with a limit that works: so many requests a minute for each remote address, and that is the load
balancer's node. What is over it is a 429 without Retry-After and without any X-RateLimit header.
"""

import re
import time
import uuid
from collections.abc import Callable, Mapping

from aiohttp import web

from hokusai_probe.sandbox.services.answers import Handler, RefusalError, as_json, json_object

_PATH = re.compile(r"/api/v1/models/(?P<model>[^/]+)/(?P<what>info|health|predict|contributions)")
_PREFIX = "/api/v1/models/{model_id}"
_MOST_ROWS = 10_000

REGISTER = "/api/models/register"
LINEAGE = "/api/models/{model_id}/lineage"
IMPACT = "/api/models/contributors/{address}/impact"
LIMITS: Mapping[str, int] = {LINEAGE: 100, REGISTER: 20, IMPACT: 100}
"""Requests in a minute that a route takes of one remote address (contract 3.6)."""
MINUTE_S = 60.0
_LIMITED = {
    LINEAGE: re.compile(r"/api/models/[^/]+/lineage"),
    IMPACT: re.compile(r"/api/models/contributors/[^/]+/impact"),
}
_ADDRESS = re.compile(r"0x[a-fA-F0-9]{40}")


def template_of(path: str) -> str:
    """The path with the model's id taken out; any other path as it is."""
    found = _PATH.fullmatch(path)
    if found:
        return f"{_PREFIX}/{found['what']}"
    return next((route for route, known in _LIMITED.items() if known.fullmatch(path)), path)


class Limiter:
    """Counts requests by route and remote address in windows that begin with their first request.

    Args:
        window_s: The minute of the limits, in seconds as they pass here.
        now: A monotonic clock, in seconds.

    """

    def __init__(self, window_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._now = now
        self._windows: dict[tuple[str, str | None], tuple[float, int]] = {}

    def check(self, route: str, request: web.Request) -> None:
        """Count a request. Raises RefusalError (429) for one that is too many."""
        key, now = (route, request.remote), self._now()
        began, count = self._windows.get(key, (now, 0))
        if now - began >= self._window_s:
            began, count = now, 0
        self._windows[key] = (began, count + 1)
        if count >= LIMITS[route]:
            raise RefusalError(429, error=f"Rate limit exceeded: {LIMITS[route]} per 1 minute")


def _model_of(request: web.Request) -> str:
    found = _PATH.fullmatch(request.path)
    assert found is not None  # the router let nothing else through
    return found["model"]


class Models:
    """The handlers.

    Args:
        variables: The task's variables and secrets.
        limiter: Of the routes that have a limit.

    """

    def __init__(self, variables: Mapping[str, str], limiter: Limiter) -> None:
        self._limiter = limiter
        self._may_predict = bool(variables.get("HUGGINGFACE_API_KEY"))
        self._bucket = variables.get("HOKUSAI_CONTRIBUTIONS_BUCKET", "")

    def routes(self) -> dict[tuple[str, str], Handler]:
        """What is served, by method and path."""
        return {
            ("GET", f"{_PREFIX}/info"): self.info,
            ("GET", f"{_PREFIX}/health"): self.health,
            ("POST", f"{_PREFIX}/predict"): self.predict,
            ("POST", f"{_PREFIX}/contributions"): self.contribute,
            ("GET", LINEAGE): self.lineage,
            ("POST", REGISTER): self.register,
            ("GET", IMPACT): self.impact,
        }

    async def lineage(self, request: web.Request) -> web.Response:
        """The history of a model; here none has one."""
        self._limiter.check(LINEAGE, request)
        model = request.path.split("/")[3]
        return as_json({"model_id": model, "lineage": [], "total_versions": 0, "latest_version": "0"})

    async def register(self, request: web.Request) -> web.Response:
        """Register a baseline, of which nothing is kept. A bad body is refused before it is counted."""
        body = await json_object(request)
        if missing := [name for name in ("model_type", "metadata") if name not in body]:
            raise RefusalError(
                422, [{"type": "missing", "loc": ["body", name], "msg": "Field required"} for name in missing]
            )
        self._limiter.check(REGISTER, request)
        made = {"model_id": uuid.uuid4().hex, "model_name": f"hokusai_{body['model_type']}", "version": "1"}
        return as_json(made, status=201)

    async def impact(self, request: web.Request) -> web.Response:
        """What a contributor has improved; here nobody has."""
        self._limiter.check(IMPACT, request)
        address = request.path.split("/")[4]
        if not _ADDRESS.fullmatch(address):
            raise RefusalError(400, "Invalid Ethereum address format")
        return as_json({"address": address, "total_models_improved": 0, "total_improvement_score": 0.0})

    async def info(self, request: web.Request) -> web.Response:
        """What is known of a model."""
        return as_json({"model_id": _model_of(request), "provider": "huggingface", "is_available": True})

    async def health(self, request: web.Request) -> web.Response:
        """A constant, as on the platform: it does not look whether the model can be asked."""
        return as_json({"model_id": _model_of(request), "status": "healthy"})

    async def predict(self, request: web.Request) -> web.Response:
        """A prediction; 500 without the token."""
        body = await json_object(request)
        if "inputs" not in body:
            raise RefusalError(422, [{"type": "missing", "loc": ["body", "inputs"], "msg": "Field required"}])
        if not self._may_predict:
            raise RefusalError(500, "HuggingFace token not configured")
        return as_json({"model_id": _model_of(request), "predictions": [0.5]})

    async def contribute(self, request: web.Request) -> web.Response:
        """Accept rows; 503 without a bucket to keep them in."""
        rows = (await json_object(request)).get("rows")
        if not isinstance(rows, list) or not 0 < len(rows) <= _MOST_ROWS:
            place = {"type": "list_type", "loc": ["body", "rows"], "msg": "Input should be a list of rows"}
            raise RefusalError(422, [place])
        if not self._bucket:
            reason = "HOKUSAI_CONTRIBUTIONS_BUCKET environment variable is not set"
            raise RefusalError(503, reason, error="persistence_unavailable")
        accepted = {
            "accepted": True,
            "modelId": _model_of(request),
            "submissionId": uuid.uuid4().hex,
            "rowsAccepted": len(rows),
        }
        return as_json(accepted, status=201)
