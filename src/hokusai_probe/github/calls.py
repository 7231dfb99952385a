"""A request, its answer, and whoever carries one to the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from pydantic import JsonValue

from hokusai_probe.model import Frozen
from hokusai_probe.strictjson import strict_json

Method = Literal["GET", "POST", "PATCH", "DELETE"]

_NEXT = re.compile(r"<([^<>]*)>[^<>,]*;\s*rel=\"?next\"?")


class Request(Frozen):
    """What is asked of GitHub. ``once``: asking twice may do it twice, so it is never repeated blindly."""

    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, JsonValue] | None = None
    once: bool = False

    @property
    def writes(self) -> bool:
        """Whether it is meant to change anything."""
        return self.method != "GET"


class Reply(Frozen):
    """What GitHub answered. Names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str] = {}
    text: str = ""

    def json_value(self) -> JsonValue | None:
        """The body's value, None where it is not strict JSON."""
        return strict_json(self.text)

    def next_query(self) -> tuple[tuple[str, str], ...] | None:
        """The query of the next page, None on the last one. Its host and path are not ours to follow."""
        found = _NEXT.search(self.headers.get("link", ""))
        return tuple(parse_qsl(urlsplit(found[1]).query)) if found else None


class UnansweredError(Exception):
    """No answer came. ``sent``: GitHub may have read the request, and done what it says."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Door(Protocol):
    """Carries requests under one token."""

    def ask(self, request: Request, timeout_s: float) -> Reply:
        """The answer, whatever its status, within about ``timeout_s`` seconds. Raises UnansweredError."""
