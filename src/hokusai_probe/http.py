"""The HTTP door: one request in, one :class:`Answer` out, whatever the platform does.

Deadlines, caps and redaction are ours. The total deadline covers name, connection, handshake, headers
and body together. Redirects are never followed, cookies never kept, proxies and ``.netrc`` never asked,
certificates always verified. A key travels in a header only, and only to the target's own hosts: every
URL is put together here from a host of the target and a path.
"""

from __future__ import annotations

import asyncio
import json as json_module
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, Self, cast
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

import certifi
import httpcore
from pydantic import Field, JsonValue, PrivateAttr, SerializerFunctionWrapHandler, model_serializer

from hokusai_probe.certificate import Certificate, names_cover
from hokusai_probe.errors import ProbeError
from hokusai_probe.failures import ERRORS, Failure, FailureKind, Trouble, connect_failure, failure_of
from hokusai_probe.handshake import Shown, shown
from hokusai_probe.keys import Keys, Whose
from hokusai_probe.lookups import Lookups, Resolution
from hokusai_probe.model import Frozen, Target
from hokusai_probe.received import LARGEST_BYTES, READ_FOR_SHOWING, SHOWN_CHARACTERS, Body, Received, Timing
from hokusai_probe.redact import Redactor
from hokusai_probe.request import (
    INVALID_KEY,
    LENT_KEY,
    Credential,
    KeyForm,
    Origin,
    Request,
    command,
    origin_of,
    user_agent,
    wire_path,
)
from hokusai_probe.strictjson import strict_json
from hokusai_probe.text import clean
from hokusai_probe.turns import Turns

__all__ = [
    "Answer", "BudgetExhausted", "Certificate", "Failure", "FailureKind", "Host", "HttpDoor", "KeyForm",
    "Resolution", "Shown", "Timing", "names_cover", "strict_json",
]  # fmt: skip

Host = Literal["registry", "auth", "api", "control"]

HEADERS = frozenset({
    "content-type", "content-length", "location", "server", "retry-after", "www-authenticate", "allow",
    "access-control-allow-origin", "x-ratelimit-limit", "x-ratelimit-remaining", "date",
})  # fmt: skip

_IDLE_S = 4.0
_MOST_ADDRESSES = 4
_AT_ONCE = 6  # requests under way at one origin: a probe must not be the load that it then measures
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


def may_carry_keys(target: Target) -> bool:
    """Whether keys may be sent to this target: over https, or over http to loopback."""
    return all(_is_private(urlsplit(url)) for url in target.hosts.present().values())


def _is_private(url: SplitResult) -> bool:
    if url.scheme == "https" or url.hostname == "localhost":
        return True
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return False


class BudgetExhausted(ProbeError):  # noqa: N818 - the name users catch
    """The target's budget of requests or bytes is used up: our own trouble, not the platform's."""


class Answer(Frozen):
    """What came back for one request; all texts are redacted.

    ``status`` and ``failure`` may both be there: headers arrived and the body did not. ``headers`` are
    those of :data:`HEADERS`, names in lower case. ``body`` is at most 8 KiB characters, ``truncated``
    says that more arrived; ``body_bytes`` counts all of it, decoded. ``elapsed_s`` is from the call to
    the last byte, in seconds, and ``timing`` says where they went; None: it was not measured. ``sha256``
    is of the whole body when it was asked for. ``address`` is where the request went. ``echoes`` says
    whether what was sent as the key came back in a header or the body, looked for before redacting;
    None: none was sent. ``reproduce`` is a curl command.
    """

    method: str
    url: str
    path: str
    status: int | None = None
    failure: Failure | None = None
    headers: Mapping[str, str] = Field(default_factory=dict)
    content_type: str = ""
    body: str = ""
    body_bytes: int = 0
    truncated: bool = False
    elapsed_s: float = 0.0
    timing: Timing | None = None
    key_form: KeyForm | None = None
    echoes: bool | None = None
    address: str | None = None
    sha256: str | None = None
    reproduce: str = ""
    _kept: bytes = PrivateAttr(default=b"")
    _redactor: Redactor = PrivateAttr(default_factory=Redactor)

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """An answer whose parts nobody measured reads as it did before anybody could."""
        found: dict[str, JsonValue] = handler(self)
        return found if self.timing is not None else {k: v for k, v in found.items() if k != "timing"}

    @property
    def answered(self) -> bool:
        """Whether a whole answer came, of whatever status."""
        return self.status is not None and self.failure is None

    @property
    def kept(self) -> bytes:
        """The body's first 256 KiB (or the caller's larger cap) as received. Never put it into facts."""
        return self._kept

    def json(self) -> JsonValue | None:  # type: ignore[override]  # pydantic's own is deprecated
        """The body as strict JSON, redacted; None when it is not, or is not whole.

        NaN, duplicate names, lone surrogates, numbers of more than 24 digits and nesting deeper than
        100 are malformed. A recorded answer gives the same as long as its body is not truncated.
        """
        if self.failure is not None:
            return None
        if not self.truncated:
            return strict_json(self.body)
        if not self._kept or len(self._kept) < self.body_bytes:
            return None
        try:
            return self._redactor.json(strict_json(self._kept.decode()))
        except UnicodeDecodeError:
            return None

    def curl(self, base: str | None = None) -> str:
        """A command that repeats the request; the key is the variable that the target names.

        ``base`` replaces scheme, host and port of the URL.
        """
        if base is None:
            return self.reproduce
        parts = urlsplit(self.url)
        return self.reproduce.replace(f"{parts.scheme}://{parts.netloc}", base.rstrip("/"))


_STALE = (httpcore.NetworkError, httpcore.RemoteProtocolError, ConnectionError)


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that we resolved, within our deadline, and notes how far it came."""

    def __init__(self, lookups: Lookups, connect_s: float, received: Received) -> None:
        self._lookups = lookups
        self._connect_s = connect_s
        self._received = received
        self._inner = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def aclose(self) -> None:
        """Close what was connected; the library forgets it when a handshake is cut short."""
        if self._stream is not None:
            await self._stream.aclose()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - ours is for all addresses together
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """The first address that takes a connection. Each is given its share of what time is left."""
        resolution = await self._lookups.get(host)
        if resolution.failure is not None:
            raise Trouble(resolution.failure)
        addresses = resolution.addresses[:_MOST_ADDRESSES]
        loop = asyncio.get_running_loop()
        end, failures = loop.time() + self._connect_s, list[Failure]()
        self._received.since = self._received.clock()  # an address that is dead costs time, too
        for i, address in enumerate(addresses):
            share = max(end - loop.time(), 0.01) / (len(addresses) - i)
            stream = await self._attempt(address, port, share, failures)
            if stream is not None:
                return stream
        raise Trouble(failures[-1])

    async def _attempt(
        self, address: str, port: int, seconds: float, failures: list[Failure]
    ) -> httpcore.AsyncNetworkStream | None:
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._received.address = address
        try:
            stream = await self._inner.connect_tcp(address, port, timeout=seconds)
        except httpcore.ConnectTimeout:
            detail = f"connecting to {where} timed out after {self._connect_s:g} s"
            failures.append(Failure(kind="connect-timeout", detail=detail))
            return None
        except httpcore.ConnectError as e:
            failures.append(connect_failure(e, where))
            return None
        self._received.took("connect_s")
        self._received.phase, self._stream = "handshake", stream
        return stream


@dataclass(slots=True)
class _Connection:
    """A connection, the address at its other end, and since when it has been idle."""

    inner: httpcore.AsyncHTTPConnection
    backend: _Backend
    address: str | None = None
    idle_since: float = 0.0

    async def aclose(self) -> None:
        """Close it, however far it came."""
        await self.inner.aclose()
        await self.backend.aclose()


# --- The door -------------------------------------------------------------------------------------


class HttpDoor:
    """Sends requests to the hosts of one target. Use it as an async context manager, in one loop.

    ``requests_sent`` and ``bytes_received`` count against the target's budget. ``at_once`` requests at most
    are under way at one origin; others wait for their turn, which no time of theirs counts.
    """

    def __init__(
        self,
        target: Target,
        keys: Keys,
        redactor: Redactor,
        *,
        clock: Callable[[], float] = time.monotonic,
        at_once: int = _AT_ONCE,
    ) -> None:
        self.requests_sent = 0
        self.bytes_received = 0
        self._target = target
        self._keys = keys
        self._redactor = redactor
        self._clock = clock
        self._at_once = at_once
        self._lookups = Lookups(target.network.resolver, target.timeouts.connect_s, clock)
        self._idle: dict[Origin, list[_Connection]] = {}
        self._turns: dict[Origin, Turns] = {}
        self._reached: set[Origin] = set()
        self._silent: dict[Origin, Failure] = {}
        self._context: ssl.SSLContext | None = None
        self._lent: set[str] = set()

    async def __aenter__(self) -> Self:
        """Load now what the first request would otherwise be timed with. Raises ProbeError."""
        user_agent()
        await httpcore.AnyIOBackend().sleep(0)
        if any(url.startswith("https:") for url in self._target.hosts.present().values()):
            self._tls()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lookups.aclose()
        idle = [connection for connections in self._idle.values() for connection in connections]
        self._idle.clear()
        for connection in idle:
            await connection.aclose()

    async def resolve(self, host: Host) -> Resolution:
        """The host's name and addresses, asked anew. Never raises for what the network does."""
        try:
            origin = self._origin(host)
        except Trouble as trouble:
            return Resolution(name="", failure=trouble.failure)
        return await self._lookups.ask(origin.name)

    async def lookup(self, name: str) -> Resolution:
        """The addresses of any name, known or asked for; nothing is sent there."""
        return await self._lookups.get(name)

    async def certificate(self, host: Host, address: str) -> Shown:
        """The certificate that a host of the target shows at an address, unverified; no request is sent."""
        try:
            origin = self._origin(host)
        except Trouble as trouble:
            return Shown(failure=trouble.failure)
        return await shown(origin.name, address, origin.port, self._target.timeouts.connect_s)

    def count(self, requests: int) -> None:
        """Count requests that went to the target by another way, such as a client library's own.

        Raises BudgetExhausted.
        """
        for _ in range(requests):
            self._spend()

    def lend(self, key: str) -> None:
        """Treat a key that was issued in this run as those that it began with: hidden, in headers only."""
        self._redactor.learn(key)
        self._lent.add(key)

    def said(self, text: str, limit: int | None = None) -> str:
        """Free text as a fact may hold it: redacted, then cleaned and cut to ``limit`` characters.

        In this order: of a secret that a cut divides, what is left has no longer the shape of one.
        """
        return clean(self._redactor.text(text), limit)

    async def send(
        self,
        method: str,
        host: Host,
        path: str,
        *,
        key: KeyForm | None = None,
        key_value: str | None = None,
        whose: Whose = "main",
        headers: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        json: JsonValue | None = None,
        content: bytes | None = None,
        total_s: float | None = None,
        max_bytes: int | None = None,
        hash_body: bool = False,
        plain: bool = False,
    ) -> Answer:
        """One request and what came of it. Never raises for anything that the platform does.

        ``key`` sends the run's key in that form (``whose`` says which), or ``key_value``, which must be
        a made-up one, or one that :meth:`lend` was told of. ``json`` and ``content`` are the body, one of
        them at most. ``total_s`` seconds instead of the target's, ``max_bytes`` of body instead of 1 MiB.
        ``plain``: over http, without a key.

        Raises BudgetExhausted, ProbeError (a key that is not set, a CA file that cannot be read), and
        ValueError for a real key anywhere but in a header, and for any over plain http.
        """
        if plain and key is not None:
            msg = "no key is sent over plain http"
            raise ValueError(msg)
        credential = self._credential(host, key, key_value, whose)
        typed = {} if json is None else {"Content-Type": "application/json"}
        try:
            origin = self._origin(host, plain=plain)
            request = Request(
                method=method,
                origin=origin,
                path=wire_path(origin.prefix, path),
                query=urlencode(query, errors="replace"),
                headers={**typed, **(headers or {})},
                content=content if json is None else json_module.dumps(json).encode(),
                credential=credential,
                total_s=total_s or self._target.timeouts.total_s,
                cap=max_bytes or LARGEST_BYTES,
            )
        except Trouble as trouble:
            return Answer(method=method, url="", path=self.said(path), failure=trouble.failure)
        return await self._sent(request, path, hash_body=hash_body)

    async def _sent(self, request: Request, path: str, *, hash_body: bool) -> Answer:
        self._refuse_keys(request)
        received = Received(Body(request.cap, hashed=hash_body), clock=self._clock)
        async with self._turns.setdefault(request.origin, Turns(self._at_once)):
            started = self._clock()
            failure = await self._exchange_unless_silent(request, received)
            elapsed = self._clock() - started
        answer = self._answer(request, received, failure)
        return answer.model_copy(update={"path": self.said(path), "elapsed_s": elapsed})

    def _answer(self, request: Request, received: Received, failure: Failure | None) -> Answer:
        shown = self._redactor.text(received.text())
        headers = {n: self.said(v, 500) for n, v in received.headers.items() if n in HEADERS}
        if failure is not None:
            failure = failure.model_copy(update={"detail": self.said(failure.detail, 300)})
        answer = Answer(
            method=request.method,
            url=self.said(request.url),
            path=self.said(request.path),
            status=received.status,
            failure=failure,
            headers=headers,
            content_type=self.said(received.content_type(), 100),
            body=shown[:SHOWN_CHARACTERS],
            body_bytes=received.body.size,
            truncated=len(shown) > SHOWN_CHARACTERS or received.body.size > READ_FOR_SHOWING,
            key_form=request.credential.form if request.credential else None,
            echoes=request.credential.comes_back(received.everything()) if request.credential else None,
            address=received.address,
            timing=received.timing if received.status is not None else None,
            sha256=received.body.sha256() if received.phase == "done" else None,
            reproduce=self.said(command(request, self._target, received.address)),
        )
        answer._kept, answer._redactor = bytes(received.body.kept), self._redactor  # noqa: SLF001 - our own
        return answer

    def _origin(self, host: Host, *, plain: bool = False) -> Origin:
        if host == "control":
            return origin_of(self._target.network.control_host, host)
        found = origin_of(self._target.hosts.present().get(host), host)
        return found.plain(self._target.network.http_ports.get(host, 80)) if plain else found

    def _credential(
        self, host: Host, form: KeyForm | None, fake: str | None, whose: Whose
    ) -> Credential | None:
        """The key to be sent. A real one never goes into a query or to a control host."""
        if form is None:
            return None
        if fake is not None and fake not in self._lent:
            return Credential(form, fake, INVALID_KEY)
        if not may_carry_keys(self._target):
            msg = "a key is never sent over plain http, but to this machine itself"
            raise ProbeError(msg)
        if host == "control" or form == "query-fake":
            msg = "a real key goes only to the target's own hosts, and only in a header"
            raise ValueError(msg)
        return Credential(form, fake, LENT_KEY) if fake is not None else self._own(form, whose)

    def _own(self, form: KeyForm, whose: Whose) -> Credential:
        secret = self._keys.of(whose)
        if secret is None:
            msg = f"the request needs the {whose} key, which is not set"
            raise ProbeError(msg)
        names = self._target.key
        variable = {"main": names.env, "second": names.second_env, "admin": names.admin_env}[whose]
        return Credential(form, secret.get_secret_value(), variable)

    def _refuse_keys(self, request: Request) -> None:
        """Fake keys may stand anywhere; a real one stands in a header, or the request is not sent."""
        seen = f"{request.target} {unquote(request.target)}".encode() + b" " + (request.content or b"")
        if any(secret.encode() in seen for secret in (*self._keys.secrets(), *self._lent)):
            msg = "a real key goes only in a header, never into a path, a query or a body"
            raise ValueError(msg)

    async def _exchange_unless_silent(self, request: Request, received: Received) -> Failure | None:
        """An origin that has let every request run out of time is not asked again in this run."""
        known = self._silent.get(request.origin)
        if known is not None and request.origin not in self._reached:
            return known
        failure = await self._exchange(request, received)
        if failure is not None and failure.kind in {"connect-timeout", "timeout"} and received.status is None:
            self._silent[request.origin] = failure
        else:
            self._reached.add(request.origin)
        return failure

    async def _exchange(self, request: Request, received: Received) -> Failure | None:
        try:
            async with asyncio.timeout(request.total_s):
                await self._send_once_or_again(request, received)
        except ERRORS as error:
            return failure_of(error, received.phase, request.total_s)
        return None

    async def _send_once_or_again(self, request: Request, received: Received) -> None:
        """On an idle connection that turns out dead, send again: closing idle connections is no fault.

        Only requests that change nothing are put on one, for nobody knows what became of the first.
        """
        used = await self._take_idle(request)
        if used is not None:
            try:
                return await self._send_over(used, request, received)
            except _STALE:
                if received.status is not None:
                    raise
        backend = _Backend(self._lookups, self._target.timeouts.connect_s, received)
        return await self._send_over(self._fresh(request.origin, backend), request, received)

    async def _take_idle(self, request: Request) -> _Connection | None:
        idle = self._idle.get(request.origin, [])
        while request.method in _REPEATABLE and idle:
            connection = idle.pop()
            young = self._clock() - connection.idle_since < _IDLE_S
            if young and connection.inner.is_idle() and not connection.inner.has_expired():
                return connection
            await connection.aclose()
        return None

    def _fresh(self, origin: Origin, backend: _Backend) -> _Connection:
        return _Connection(
            httpcore.AsyncHTTPConnection(
                httpcore.Origin(origin.scheme.encode(), origin.name.encode(), origin.port),
                ssl_context=self._tls() if origin.scheme == "https" else None,
                network_backend=backend,
            ),
            backend,
        )

    def _tls(self) -> ssl.SSLContext:
        """One context per door: loading the certificate authorities takes longer than most requests."""
        if self._context is None:
            context = ssl.create_default_context(cafile=certifi.where())
            ca_file = self._target.tls.ca_file
            try:
                if ca_file is not None:
                    context.load_verify_locations(ca_file)
            except (OSError, ssl.SSLError) as e:
                msg = f"[tls] ca_file {ca_file}: cannot be read as certificates in PEM ({type(e).__name__})"
                raise ProbeError(msg) from None
            self._context = context
        return self._context

    async def _send_over(self, connection: _Connection, request: Request, received: Received) -> None:
        received.address = connection.address or received.address
        timeout = {"connect": self._target.timeouts.connect_s}
        outgoing = request.outgoing({"timeout": timeout, "trace": received.traced})
        try:
            self._spend()
            response = await connection.inner.handle_async_request(outgoing)
            received.take_head(response)
            await self._read(response, received)
        finally:
            await self._put_back(connection, request.origin, received)

    async def _read(self, response: httpcore.Response, received: Received) -> None:
        encodings = received.headers.get("content-encoding", "").lower().replace(" ", "")
        received.body.encoded_as(encodings.split(","))
        stream = cast("AsyncGenerator[bytes, None]", aiter(cast("AsyncIterable[bytes]", response.stream)))
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                self._receive(len(chunk))
                received.body.feed(chunk)
        received.body.finish()
        await response.aclose()
        received.phase = "done"

    async def _put_back(self, connection: _Connection, origin: Origin, received: Received) -> None:
        if received.phase == "done" and connection.inner.is_idle():
            connection.address, connection.idle_since = received.address, self._clock()
            self._idle.setdefault(origin, []).append(connection)
        else:
            await connection.aclose()

    def _spend(self) -> None:
        allowed = self._target.budget.requests
        if self.requests_sent >= allowed:
            msg = (
                f"the budget of {allowed} requests is used up; [budget] requests of the target says how many"
            )
            raise BudgetExhausted(msg)
        self.requests_sent += 1

    def _receive(self, size: int) -> None:
        allowed = self._target.budget.bytes
        self.bytes_received += size
        if self.bytes_received > allowed:
            msg = f"the budget of {allowed} bytes is used up; [budget] bytes of the target says how many"
            raise BudgetExhausted(msg)
