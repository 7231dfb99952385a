"""What the gateway's health endpoints say of it and of what it depends on, word for word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import JsonValue

from hokusai_probe.answers import responder
from hokusai_probe.declare import probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts

PATHS = ("/health", "/ready", "/live", "/health/mlflow", "/api/health/mlflow")


class HealthBodiesFacts(Facts):
    """The answers by path, and what their bodies say.

    ``services``: of ``/health``, such as ``{"redis": "unhealthy"}``; empty where it is constant.
    ``ready`` and ``serves``: the two flags of ``/ready``; ``database_error`` and ``database_settings`` (host,
    port, user, primary_db, fallback_db as text) what it says of the database when that check fails.
    ``breaker``: the circuit breaker's state in capitals; ``breaker_connected`` what it says of MLflow.
    None: not said.
    """

    answers: Mapping[str, Answer]
    services: Mapping[str, str] = {}
    ready: bool | None = None
    serves: bool | None = None
    database_error: str | None = None
    database_settings: Mapping[str, str] = {}
    breaker: str | None = None
    breaker_connected: bool | None = None


@probe(area="resilience", needs=("auth-host",), cost=5)
async def health_bodies(look: Look) -> HealthBodiesFacts:
    """The bodies of the gateway's health endpoints: codes alone say "healthy" in most faults (contract 5).

    Asked with the key where there is one, because in August 2025 some of them wanted one (INC-25).
    """
    key = look.key_form()
    found = await asyncio.gather(*(look.http.send("GET", "registry", path, key=key) for path in PATHS))
    answers = dict(zip(PATHS, found, strict=True))
    bodies = {path: _body(answer) for path, answer in answers.items()}
    return HealthBodiesFacts(
        answers=answers,
        services=_words(bodies["/health"].get("services")),
        ready=_flag(bodies["/ready"], "ready"),
        serves=_flag(bodies["/ready"], "can_serve_traffic"),
        breaker=_text(bodies["/health/mlflow"].get("circuit_breaker_state")),
        breaker_connected=_flag(bodies["/health/mlflow"], "connected"),
        **_database(bodies["/ready"]),
    )


def _body(answer: Answer) -> Mapping[str, JsonValue]:
    body = answer.json() if responder(answer) == "gateway" else None
    return body if isinstance(body, Mapping) else {}


def _words(value: JsonValue) -> dict[str, str]:
    found = value if isinstance(value, Mapping) else {}
    return {str(name): word for name, word in found.items() if isinstance(word, str)}


def _flag(body: Mapping[str, JsonValue], name: str) -> bool | None:
    value = body.get(name)
    return value if isinstance(value, bool) else None


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _database(body: Mapping[str, JsonValue]) -> dict[str, object]:
    checks = body.get("checks")
    listed = [c for c in checks if isinstance(c, Mapping)] if isinstance(checks, list) else []
    found = next((c for c in listed if c.get("name") == "database" and c.get("passed") is False), {})
    details = found.get("connection_details")
    settings = details if isinstance(details, Mapping) else {}
    return {
        "database_error": _text(found.get("error")),
        "database_settings": {str(k): str(v) for k, v in settings.items()},
    }
