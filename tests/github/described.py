"""What GitHub publishes of its API: requests to the stand-in and its answers are held against it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.testing import MockRequest, MockResponse
from standin import Back, Call

HERE = "http://localhost"
# answered by GitHub's front door whatever the path, so not described with each; issues that are switched off
# are described for opening one and not for listing them
EVERYWHERE = {401, 403, 404, 410, 429, 500, 502, 503}


@cache
def description() -> OpenAPI:
    """The part of the description that tests/github/openapi.md tells of."""
    return OpenAPI.from_dict(json.loads(Path(__file__).with_name("openapi.json").read_text("utf-8")))


_SEEN: set[str] = set()


def complaint(call: Call, back: Back | None = None) -> str:
    """What the description has against a request, or against the answer to it; empty when nothing."""
    known = repr(
        (call.method, _shape(call.path.split("/")), _shape(call.query), _shape(call.body), _kind(back))
    )
    if known in _SEEN:
        return ""
    request = MockRequest(HERE, call.method, call.path, args=call.query, data=_bytes(call.body))
    try:
        description().validate_request(request)
        if back is not None:
            _check_answer(request, back)
    except OpenAPIError as error:
        what = f"{call.method} {call.path} {call.query} {call.body}"
        return f"{what} -> {back}: {error} {getattr(error.__cause__, 'schema_errors', '')}"
    _SEEN.add(known)
    return ""


def _check_answer(request: MockRequest, back: Back) -> None:
    try:
        description().validate_response(request, MockResponse(_bytes(back.value) or b"", back.status))
    except ResponseNotFound:
        if back.status not in EVERYWHERE or not {"message", "documentation_url"} <= set(back.value):
            raise


def _bytes(value: Any) -> bytes | None:
    return None if value is None else json.dumps(value).encode()


def _kind(back: Back | None) -> Any:
    return back and (back.status, _shape(back.value))


def _shape(value: Any) -> Any:
    """What of a value the description speaks of: names, kinds, and words of a few."""
    if isinstance(value, dict):
        return {k: v if k in {"state", "state_reason"} else _shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted({repr(_shape(item)) for item in value})
    return type(value).__name__
