"""Serving models and taking contributions: what of them can be seen from outside (contract 4).

Stand-ins: a prediction is a constant and a contribution is not kept. What is real is what they need of the
task definition: the secret HUGGINGFACE_API_KEY (INC-42: without it predictions are 500, information and
health 200) and the variable HOKUSAI_CONTRIBUTIONS_BUCKET (INC-48: without it contributions are 503).
"""

import re
import uuid
from collections.abc import Mapping

from aiohttp import web

from hokusai_probe.sandbox.services.answers import Handler, RefusalError, as_json, json_object

_PATH = re.compile(r"/api/v1/models/(?P<model>[^/]+)/(?P<what>info|health|predict|contributions)")
_PREFIX = "/api/v1/models/{model_id}"
_MOST_ROWS = 10_000


def template_of(path: str) -> str:
    """The path with the model's id taken out; any other path as it is."""
    found = _PATH.fullmatch(path)
    return f"{_PREFIX}/{found['what']}" if found else path


def _model_of(request: web.Request) -> str:
    found = _PATH.fullmatch(request.path)
    assert found is not None  # the router let nothing else through
    return found["model"]


class Models:
    """The handlers.

    Args:
        variables: The task's variables and secrets.

    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._may_predict = bool(variables.get("HUGGINGFACE_API_KEY"))
        self._bucket = variables.get("HOKUSAI_CONTRIBUTIONS_BUCKET", "")

    def routes(self) -> dict[tuple[str, str], Handler]:
        """What is served, by method and path."""
        return {
            ("GET", f"{_PREFIX}/info"): self.info,
            ("GET", f"{_PREFIX}/health"): self.health,
            ("POST", f"{_PREFIX}/predict"): self.predict,
            ("POST", f"{_PREFIX}/contributions"): self.contribute,
        }

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
