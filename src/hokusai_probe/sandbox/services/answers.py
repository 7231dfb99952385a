"""What auth service and gateway have in common: JSON answers as FastAPI writes them, and an access log."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusalError(Exception):
    """A request that ends here, with this status and JSON body. Without a detail the body has none."""

    def __init__(
        self, status: int, detail: object = None, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body: dict[str, object] = more if detail is None else {"detail": detail, **more}
        self.headers = dict(headers or {})


def as_json(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer, compact and without a character set, as FastAPI writes it."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals and the router's own 404 and 405 into JSON."""
    try:
        return await handler(request)
    except RefusalError as refusal:
        return as_json(refusal.body, status=refusal.status, headers=refusal.headers)
    except web.HTTPNotFound:
        return as_json({"detail": "Not Found"}, status=404)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return as_json({"detail": "Method Not Allowed"}, status=405, headers={"Allow": allowed})


async def as_uvicorn(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Name the server and log the request as uvicorn does, without the query: it may hold a key."""
    response.headers["Server"] = "uvicorn"
    line = f"{request.method} {request.rel_url.raw_path} HTTP/1.1"
    log(f'{request.remote} - "{line}" {response.status}')


def log(text: str, level: str = "INFO") -> None:
    """Write a line to the service's log, which is its stderr. Never pass it a key or a secret."""
    sys.stderr.write(f"{level + ':':<9} {text}\n")


async def json_object(request: web.Request) -> dict[str, object]:
    """The request's JSON object, empty for an empty body.

    Raises:
        RefusalError: 422, the body is no JSON object.

    """
    if not request.body_exists:
        return {}
    try:
        body: object = await request.json()
    except ValueError:
        raise RefusalError(422, [_invalid("body", "JSON decode error")]) from None
    if not isinstance(body, dict):
        raise RefusalError(422, [_invalid("body", "Input should be a valid dictionary")])
    return body


def _invalid(where: str, message: str) -> dict[str, object]:
    return {"type": "value_error", "loc": [where], "msg": message}
