"""What goes out: where to, with which headers, and the command by which a person repeats it."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit

import httpcore

from hokusai_probe.failures import fail
from hokusai_probe.model import Target

KeyForm = Literal[
    "bearer", "apikey", "x-api-key", "bearer-lower", "bearer-two-blanks", "raw", "basic",
    "bearer-no-blank", "x-api-key-lower", "x-api-key-upper", "query-fake",
]  # fmt: skip

_TELLING = (12, 64)
"""So many characters of a key are no accident where they come back; a longer one may come back cut."""
INVALID_KEY = "INVALID_KEY"
"""The variable that stands for a made-up key in a command, which sets it itself."""

LENT_KEY = "ISSUED_KEY"
"""The variable that stands for a key that was issued during a run and revoked in it."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a host of the target is. ``prefix`` is the path of its base URL."""

    scheme: str
    name: str
    port: int
    prefix: str

    def plain(self, port: int) -> Origin:
        """The same host over plain http."""
        return replace(self, scheme="http", port=port)

    @property
    def netloc(self) -> str:
        """Name and port as URLs and the Host header write them."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Credential:
    """A key in the form in which it goes out, and the variable that stands for it in a command."""

    form: KeyForm
    value: str
    variable: str

    def header(self) -> dict[str, str]:
        """The header that carries it; none where the query does."""
        if self.form == "query-fake":
            return {}
        name, template = _KEY_HEADERS[self.form]
        value = self.value
        if self.form == "basic":
            value = base64.b64encode(f"{value}:".encode()).decode()
        return {name: template.format(value).strip()}  # a header cannot end in a blank, as an empty key would

    def comes_back(self, heard: bytes) -> bool:
        """Whether what was sent as the key lies in this: as it is, as JSON writes it, or encoded."""
        least, most = _TELLING
        sent = " ".join(self.header().values()).rpartition(" ")[2]
        texts = {text[:most] for text in (self.value, json.dumps(self.value)[1:-1], sent) if text}
        return len(self.value) >= least and any(t.encode(errors="replace") in heard for t in texts)

    def option(self) -> str:
        """The curl option that sends it."""
        if self.form == "basic":
            return f'-u "${self.variable}:"'
        if self.form == "query-fake":
            return f'--url-query "api_key=${self.variable}"'
        name, template = _KEY_HEADERS[self.form]
        return f'-H "{name}: {template.format(f"${self.variable}")}"'


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole. ``total_s`` seconds and ``cap`` bytes of body are what its answer may take."""

    method: str
    origin: Origin
    path: str
    query: str
    headers: Mapping[str, str]
    content: bytes | None
    credential: Credential | None
    total_s: float
    cap: int

    @property
    def target(self) -> str:
        """Path and query as they go over the wire."""
        query = "&".join(filter(None, (self.query, self._fake())))
        return self.path + ("&" if "?" in self.path else "?") * bool(query) + query

    @property
    def url(self) -> str:
        """Without user-info, and without a key."""
        between = ("&" if "?" in self.path else "?") * bool(self.query)
        return f"{self.origin.scheme}://{self.origin.netloc}{self.path}{between}{self.query}"

    def _fake(self) -> str:
        fake = self.credential is not None and self.credential.form == "query-fake"
        return urlencode({"api_key": self.credential.value}) if fake and self.credential else ""

    def wire_headers(self) -> list[tuple[bytes, bytes]]:
        """All headers. What the caller gave replaces ours of the same name."""
        ours = {"Host": self.origin.netloc, "User-Agent": user_agent(), "Accept": "*/*"}
        ours["Accept-Encoding"] = "identity"
        if self.content is not None or self.method in {"POST", "PUT", "PATCH"}:
            ours["Content-Length"] = str(len(self.content or b""))
        key = self.credential.header() if self.credential else {}
        given = (*ours.items(), *self.headers.items(), *key.items())
        by_name = {name.lower(): (name, value) for name, value in given}
        return [(n.encode(errors="replace"), v.encode(errors="replace")) for n, v in by_name.values()]

    def outgoing(self, extensions: dict[str, object]) -> httpcore.Request:
        """The request as the library wants it."""
        url = httpcore.URL(
            scheme=self.origin.scheme.encode(),
            host=self.origin.name.encode(),
            port=self.origin.port,
            target=self.target.encode(),
        )
        headers, content = self.wire_headers(), self.content
        return httpcore.Request(self.method, url, headers=headers, content=content, extensions=extensions)


@cache
def user_agent() -> str:
    """How we call ourselves, with our version."""
    return f"hokusai-probe/{version('hokusai-probe')}"


def origin_of(base: str | None, host: str) -> Origin:
    """The origin in the base URL of a host; user-info in it is dropped. Raises Trouble."""
    if base is None:
        fail("bad-url", f"the target has no {host} host")
    try:
        parts = urlsplit(base)
        name, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        name, port, parts = "", None, urlsplit("")
    if not name or parts.scheme not in {"http", "https"}:
        fail("bad-url", f"the target's {host} host is not an http or https URL")
    return Origin(parts.scheme, name, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def wire_path(prefix: str, path: str) -> str:
    """The path as it goes over the wire: what it cannot carry is percent-encoded, nothing is normalised.

    Raises Trouble.
    """
    if not path.startswith("/"):
        fail("bad-url", "a path starts with a slash")
    return re.sub(r"[^\x21-\x7e]|#", lambda match: quote(match[0], errors="replace"), prefix + path)


_KEY_HEADERS: Mapping[KeyForm, tuple[str, str]] = {
    "bearer": ("Authorization", "Bearer {}"),
    "apikey": ("Authorization", "ApiKey {}"),
    "x-api-key": ("X-API-Key", "{}"),
    "bearer-lower": ("Authorization", "bearer {}"),
    "bearer-two-blanks": ("Authorization", "Bearer  {}"),
    "raw": ("Authorization", "{}"),
    "basic": ("Authorization", "Basic {}"),
    "bearer-no-blank": ("Authorization", "Bearer{}"),
    "x-api-key-lower": ("x-api-key", "{}"),
    "x-api-key-upper": ("X-API-KEY", "{}"),
}


def command(request: Request, target: Target, address: str | None) -> str:
    """The curl command that repeats the request, not yet redacted."""
    options = ["curl", "-sS", "-i" if request.method != "HEAD" else "-I", "--path-as-is"]
    options += ["-X", request.method] if request.method not in {"GET", "HEAD"} else []
    options += [f"--max-time {request.total_s:g}"]
    if target.network.resolver and address:
        options += [f"--resolve {request.origin.name}:{request.origin.port}:{address}"]
    if target.tls.ca_file and request.origin.scheme == "https":
        options += ["--cacert", shlex.quote(target.tls.ca_file)]
    options += [request.credential.option()] if request.credential else []
    options += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers.items()]
    body, piped = _command_body(request.content)
    line = " ".join((*options, *body, shlex.quote(request.url)))
    return f"{_made_up(request.credential)}{piped}{line}"


def _made_up(credential: Credential | None) -> str:
    """What sets the variable of a made-up key; one like it serves as well, for its own text is redacted."""
    if credential is None or credential.variable != INVALID_KEY:
        return ""
    return f"{INVALID_KEY}={'hk_test_...' if credential.value else repr('')}; "


def _command_body(content: bytes | None) -> tuple[tuple[str, ...], str]:
    """The options that send a body, and what is piped into curl where it cannot be pasted: as many zeros."""
    if content is None:
        return (), ""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if len(text) <= 1000 and text.isprintable():
        return ("--data-binary", shlex.quote(text)), ""
    return ("--data-binary", "@-"), f"head -c {len(content)} /dev/zero | "
