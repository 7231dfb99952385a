"""MLflow's REST API and its artifact store under one prefix, and values out of its answers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from hokusai_probe.answers import detail, error_code
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look

EXPERIMENT = "hokusai-probe"  # one for ever: MLflow keeps the name of a deleted experiment (reliability)
PREFIX = "hkprobe-"
TAG = "hkprobe"
REST = "/api/2.0/mlflow/"
STORE = "/api/2.0/mlflow-artifacts/artifacts/"


_STAMP = "%Y%m%dT%H%M%S"
_NAME = re.compile(rf"{PREFIX}([0-9]{{8}}T[0-9]{{6}})-[0-9a-f]{{8}}-[0-9a-f]{{8}}")


def new_name(run_id: str) -> str:
    """A name for what is made now, which nothing else on the platform has; it says when that was (UTC)."""
    return f"{PREFIX}{datetime.now(UTC).strftime(_STAMP)}-{run_id}-{secrets.token_hex(4)}"


def made_at(name: str) -> datetime | None:
    """When a thing of that name was made (:func:`new_name`), in UTC; None: the name is none of ours."""
    found = _NAME.fullmatch(name)
    try:
        return datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC) if found else None
    except ValueError:  # digits that are no moment
        return None


class Rest:
    """Requests to MLflow's API below a prefix of the registry host, with the run's key if there is one."""

    def __init__(self, look: Look, prefix: str) -> None:
        self._look = look
        self._prefix = prefix

    async def call(
        self, method: str, call: str, json: JsonValue = None, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """One call of the REST API, such as ``runs/create``."""
        return await self._look.http.send(
            method, "registry", self._prefix + REST + call, key=self._look.key_form(), json=json, query=query
        )

    async def store(
        self, method: str, path: str, content: bytes | None = None, most: int | None = None
    ) -> Answer:
        """One request to the artifact store, with the whole answer's SHA-256; ``most`` bytes, or 1 MiB."""
        return await self._look.http.send(
            method,
            "registry",
            self._prefix + STORE + path,
            key=self._look.key_form(),
            content=content,
            hash_body=True,
            max_bytes=most,
        )

    async def list_store(self, folder: str) -> Answer:
        """MLflow's listing of a folder of the artifact store."""
        path = self._prefix + STORE.rstrip("/")
        key = self._look.key_form()
        return await self._look.http.send("GET", "registry", path, key=key, query=[("path", folder)])


def dig(answer: Answer | None, *path: str) -> str | None:
    """A text or a whole number out of an answer's JSON, as text."""
    value = answer.json() if answer else None
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return str(value) if isinstance(value, str | int) else None


def dig_list(answer: Answer | None, *path: str) -> list[Mapping[str, JsonValue]]:
    """The objects of a list out of an answer's JSON."""
    value = answer.json() if answer else None
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return [i for i in value if isinstance(i, Mapping)] if isinstance(value, list) else []


def never_made(answer: Answer | None) -> bool:
    """Whether a creating request certainly created nothing. No answer, or a 5xx, proves nothing.

    Two 5xx do: 503 comes before MLflow is asked, and the gateway's "Failed to connect" (contract 4.1).
    """
    if answer is None or answer.status is None:
        return False
    refused = 400 <= answer.status < 500 or answer.status == 503
    return refused or (answer.status == 502 and detail(answer).startswith("Failed to connect"))


def is_unknown(answer: Answer) -> bool:
    """MLflow itself says that there is no such thing; a 404 of a missing route would prove nothing."""
    return answer.status == 404 and error_code(answer) == "RESOURCE_DOES_NOT_EXIST"


def is_gone(answer: Answer) -> bool:
    """A deletion that succeeded, or that was not needed any more."""
    return answer.status in {200, 204} or is_unknown(answer)


def lists_nothing(answer: Answer) -> bool:
    """A listing of artifacts that is MLflow's own and empty."""
    body = answer.json()
    return is_unknown(answer) or (
        answer.status == 200 and isinstance(body, Mapping) and not body.get("files")
    )
