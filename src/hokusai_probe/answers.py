"""Who gave an answer, read from its body and type. Pure.

Four 404s, three 502s and six 401s of this platform look alike and have different owners. A ``Server``
header alone decides nothing: proxies rewrite it. What decides is the shape of the body:

* the load balancer's own pages: HTML with the status in the heading (502, 503, 504), or the plain text
  of a fixed response (AWS: "Troubleshoot your Application Load Balancers", and INC-12, 15, 17);
* the gateway: JSON with ``detail``, or the RESOURCE_NOT_FOUND that it makes of MLflow's HTML (INC-05);
* MLflow itself: JSON with another ``error_code``, its router's HTML 404 (INC-16), its Host guard's text;
* the auth service: JSON that names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from hokusai_probe.http import Answer

Responder = Literal["load-balancer", "gateway", "mlflow", "auth", "unknown", "nobody"]

_BALANCER_PAGE = re.compile(r"<h1>\s*50[234] [A-Z][A-Za-z -]+</h1>")  # 504 is "Gateway Time-out"
# Flask's heading has no number; a web server's own 404 has, and must not be taken for MLflow's
_ROUTER_PAGE = re.compile(r"<h1>\s*(Not Found|Method Not Allowed)\s*</h1>")
_MLFLOW_TEXTS = ("Invalid Host header", "Cross-origin request blocked")


def responder(answer: Answer) -> Responder:
    """Who answered; ``nobody`` when there was no answer, ``unknown`` when the shape is nobody's."""
    if answer.status is None:
        return "nobody"
    body = answer.json()
    if isinstance(body, Mapping):
        return _json_responder(body)
    return _text_responder(answer)


def _json_responder(body: Mapping[str, JsonValue]) -> Responder:
    if body.get("error_code") == "RESOURCE_NOT_FOUND" or "detail" in body:
        return "auth" if "auth-service" in str(body.get("service", "")) else "gateway"
    if "error_code" in body:
        return "mlflow"
    if "auth" in str(body.get("service", "")).lower():
        return "auth"
    return "gateway" if "status" in body or "services" in body else "unknown"


def _text_responder(answer: Answer) -> Responder:
    if answer.content_type == "text/html" and _BALANCER_PAGE.search(answer.body):
        return "load-balancer"
    if _ROUTER_PAGE.search(answer.body) or answer.body.startswith(_MLFLOW_TEXTS):
        return "mlflow"
    if _is_redirect_or_fixed(answer):
        return "load-balancer"
    return "mlflow" if answer.status == 200 and answer.body.strip() == "OK" else "unknown"


def _is_redirect_or_fixed(answer: Answer) -> bool:
    by_balancer = answer.headers.get("server", "").startswith("awselb/")
    return by_balancer and (answer.status in {301, 302} or answer.content_type == "text/plain")


def detail(answer: Answer) -> str:
    """The text with which the gateway or the auth service refused, or an empty string."""
    body = answer.json()
    said = body.get("detail") if isinstance(body, Mapping) else None
    return said if isinstance(said, str) else ""


def error_code(answer: Answer) -> str:
    """MLflow's error code, or that of the gateway in its place, or an empty string."""
    body = answer.json()
    if not isinstance(body, Mapping):
        return ""
    inner = body.get("detail")
    found = body.get("error_code") or body.get("error")
    if not found and isinstance(inner, Mapping):
        found = inner.get("error")
    return found if isinstance(found, str) else ""


_BY = {
    "load-balancer": "the load balancer itself",
    "unknown": "an unknown sender",
    "auth": "the auth service",
    "gateway": "the gateway",
    "mlflow": "MLflow",
}


def said(answer: Answer, asked: Responder | None = None) -> str:
    """One short phrase for a sentence: what came back, from whom, or why nothing did.

    ``asked``: who was asked, where gateway and auth service refuse in the same words.
    """
    if answer.failure is not None:
        return f"no answer ({answer.failure.kind}: {answer.failure.detail})"
    text = detail(answer) or error_code(answer)
    who = responder(answer)
    by = asked if asked and who == "gateway" else who
    return f"{answer.status} from {_BY.get(by, by)}" + (
        f" ({text!r})" if text else f" ({answer.content_type or 'no type'})"
    )
