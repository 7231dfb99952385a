"""Every outgoing HTTP connection of the sandbox: load balancer, health checks, gateway.

Names are resolved by the sandbox's own DNS server, at each request anew. An address outside 127.0.0.0/8
behaves as a black hole: the caller waits out its connect timeout and no packet leaves the machine; so does
one that security groups or network ACLs keep the caller from. The faults of the edge apply here. What can go
wrong in asking is a `WireError`.

Parts that stand at an edge hand on what came back (`relay`) or give no answer at all (`cut_off`).
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from hokusai_probe.sandbox.addresses import is_address, is_inside
from hokusai_probe.sandbox.faults import Do, Edit, Effect, FaultTable, Rewrite, Seen, patched
from hokusai_probe.sandbox.network import NetworkView

if TYPE_CHECKING:
    from types import TracebackType


HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection (RFC 9110 section 7.6.1) and are not passed on."""

_KEPT_S = 2.0
_RESET = struct.pack("ii", 1, 0)  # closing then sends RST, not FIN
_OURS = (hdrs.CONTENT_TYPE, hdrs.DATE, hdrs.SERVER)
"""Headers that aiohttp adds to an answer without them."""


class _Keeping(TypedDict, total=False):
    keepalive_timeout: float
    force_close: bool


_OWN_NAMES = frozenset({"localhost", "127.0.0.1"})

Body = bytes | AsyncIterator[bytes] | None


class WireError(Exception):
    """A request that got no answer."""


class NameUnknownError(WireError):
    """The host has no address."""


class ConnectRefusedError(WireError):
    """The other side refused the connection."""


class ConnectTimeoutError(WireError):
    """No connection within the connect timeout: dropped packets, or an address that is not there."""


class TlsError(WireError):
    """The TLS handshake failed: no TLS there, or a certificate that is not trusted."""


class AnswerTimeoutError(WireError):
    """Connected, but no answer in time."""


class BrokenConnectionError(WireError):
    """The connection was reset or closed early, or what came back is not HTTP."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect (name, socket, TLS), and to the answer's head or its next bytes."""

    connect_s: float
    answer_s: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request to send. ``url`` is sent as it is, ``headers`` exactly as given."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: Body = None

    def header(self, name: str) -> str:
        """The first value of a header, empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` can be read once."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: AsyncIterator[bytes] = field(repr=False)

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.body])


def end_to_end(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers without those that belong to one connection or that ``Connection`` names."""
    named = {
        word.strip().lower()
        for key, value in headers
        if key.lower() == "connection"
        for word in value.split(",")
    }
    return [(key, value) for key, value in headers if key.lower() not in HOP_BY_HOP | named]


def seen_by_faults(outgoing: Outgoing) -> Seen:
    """What a fault's match can look at in a request."""
    url = URL(outgoing.url, encoded=True)
    length = outgoing.header("content-length")
    declared = int(length) if length.isdigit() else 0
    return Seen(
        host=_host_of(outgoing.header("host")) or url.host or "",
        path=url.raw_path,
        method=outgoing.method,
        query=dict(url.query),
        headers={name.lower(): value for name, value in outgoing.headers},
        body_bytes=len(outgoing.body) if isinstance(outgoing.body, bytes) else declared,
    )


def _host_of(header: str) -> str:
    return header.rsplit(":", 1)[0] if header.count(":") == 1 else header


def rewritten(outgoing: Outgoing, rewrites: Sequence[Rewrite]) -> Outgoing:
    """The request after the rewrites of the faults that matched."""
    for rewrite in rewrites:
        outgoing = replace(
            outgoing, url=_with_query(outgoing.url, rewrite), headers=_with_headers(outgoing.headers, rewrite)
        )
    return outgoing


def _with_query(url: str, rewrite: Rewrite) -> str:
    path, mark, query = url.partition("?")
    if rewrite.query_keep is None or not mark:
        return url
    parts = [(part.partition("=")[0], part) for part in query.split("&")]
    kept = dict(parts if rewrite.query_keep == "last" else reversed(parts))
    return path + mark + "&".join(kept[name] for name in dict.fromkeys(name for name, _ in parts))


def _with_headers(headers: Sequence[tuple[str, str]], rewrite: Rewrite) -> list[tuple[str, str]]:
    gone = {name.lower() for name in (*rewrite.header_drop, *rewrite.header_set)}
    return [
        *((name, value) for name, value in headers if name.lower() not in gone),
        *rewrite.header_set.items(),
    ]


class Wire:
    """A client for one part of the sandbox. Use as an async context manager or close it.

    Args:
        faults: The table of faults; each call names its edge.
        resolver: Address and port of the sandbox's DNS server.
        time_scale: How many times faster than the platform; a fault's ``delay_s`` is divided by it.
        ca_file: The sandbox's certificate authority, the only one trusted; None: none is.
        source: The caller's own address, from which it asks and connects; empty: the system picks.
        keep_alive: Whether to keep connections for two seconds, less than any server here does.
        network: Who may connect to whom, asked before each request; None: everybody to everybody.
        verify: Whether a certificate must be of that authority and for the name; else any will do.

    """

    def __init__(
        self,
        faults: FaultTable,
        resolver: tuple[str, int],
        time_scale: float,
        ca_file: Path | None = None,
        source: str = "",
        *,
        keep_alive: bool = False,
        network: NetworkView | None = None,
        verify: bool = True,
    ) -> None:
        self._faults = faults
        self._verify = verify
        self._network = network
        self._resolver = resolver
        self._time_scale = time_scale
        self._ca_file = ca_file
        self._source = source
        self._keep_alive = keep_alive
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Wire":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def send(self, edge: str, outgoing: Outgoing, timeouts: Timeouts) -> AsyncIterator[Answer]:
        """Send a request over an edge and give its answer, whose body streams while in the context.

        Raises:
            WireError: The kind says what stopped it.

        """
        effect = self._faults.effect(edge, seen_by_faults(outgoing))
        if effect.answer is not None and effect.answer.address is None:
            yield await edited(await self._faulty(effect.answer, effect.delay_s, timeouts), effect.edits)
            return
        sent = rewritten(outgoing, effect.rewrites)
        async with self._exchange(sent, effect, timeouts) as answer:
            yield await edited(answer, effect.edits)

    async def _faulty(self, do: Do, delay_s: float, timeouts: Timeouts) -> Answer:
        if do.drop:
            await asyncio.sleep(timeouts.connect_s)
            raise ConnectTimeoutError
        if do.nxdomain:
            raise NameUnknownError
        if do.refuse:
            raise ConnectRefusedError
        await self._hold_back(delay_s, timeouts)
        if do.reset:
            raise BrokenConnectionError
        return made_answer(do)

    async def _hold_back(self, delay_s: float, timeouts: Timeouts) -> None:
        delay = delay_s / self._time_scale
        await asyncio.sleep(min(delay, timeouts.answer_s))
        if delay >= timeouts.answer_s:
            raise AnswerTimeoutError

    @asynccontextmanager
    async def _exchange(
        self, outgoing: Outgoing, effect: Effect, timeouts: Timeouts
    ) -> AsyncIterator[Answer]:
        given = effect.answer.address if effect.answer else None
        address = await self._reachable(given, URL(outgoing.url, encoded=True), timeouts)
        response = await self._request(outgoing, address, timeouts)
        try:
            await self._hold_back(effect.delay_s, timeouts)
            yield Answer(
                status=response.status,
                reason=response.reason or "",
                headers=response.headers,
                body=_stream(response, timeouts.answer_s),
            )
        finally:
            response.close()

    async def _reachable(self, address: str | None, url: URL, timeouts: Timeouts) -> str:
        """An address on loopback that lets the caller in; any other is a black hole."""
        addresses = [address] if address else await self.resolve(url.host or "", timeouts.connect_s)
        port = url.port or 80
        reached = [one for one in addresses if is_inside(one) and not self.dropped(one, port)]
        if not reached:
            await asyncio.sleep(timeouts.connect_s)
            raise ConnectTimeoutError
        return reached[0]

    def dropped(self, ip: str, port: int) -> bool:
        """Whether the network drops this caller's packets to an address; see `NetworkView.dropped`."""
        return self._network is not None and self._network.dropped(self._source, ip, port)

    async def resolve(self, host: str, timeout_s: float, edge: str = "") -> list[str]:
        """The addresses of a host, itself if it is one; from the sandbox's DNS server, never the system's.

        Args:
            host: A name or an address.
            timeout_s: How long to wait for the DNS server, seconds.
            edge: The edge on which the host is going to be asked without `send`, for its faults nxdomain and
                address.

        Raises:
            NameUnknownError: There is no such name, no address, or no DNS server.

        """
        fault = self._faults.name(edge, host) if edge else None
        if fault is not None:
            return _given_by(fault)
        if host in _OWN_NAMES:
            return [self._source or "127.0.0.1"]  # a task's localhost is the task, not this machine
        if is_address(host):
            return [host]
        answer = await self._ask(host, timeout_s)
        found = [
            record.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for record in rrset
        ]
        if not found:
            raise NameUnknownError(dns.rcode.to_text(answer.rcode()))
        return found

    async def _ask(self, host: str, timeout_s: float) -> dns.message.Message:
        address, port = self._resolver
        try:
            query = dns.message.make_query(host, dns.rdatatype.A)
            return await dns.asyncquery.udp(
                query, address, timeout=timeout_s, port=port, source=self._source or None
            )
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise NameUnknownError(type(error).__name__) from error

    async def _request(self, outgoing: Outgoing, address: str, timeouts: Timeouts) -> aiohttp.ClientResponse:
        url = URL(outgoing.url, encoded=True)
        headers = CIMultiDict(outgoing.headers)
        if "Host" not in headers:
            headers["Host"] = url.authority if url.explicit_port else str(url.host)
        try:
            return await self._open().request(
                outgoing.method,
                _at(url, address),
                headers=headers,
                data=outgoing.body,
                allow_redirects=False,
                server_hostname=url.host if url.scheme == "https" else None,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.answer_s
                ),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _wire_error(error) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    ssl=_tls_context(self._ca_file, verify=self._verify),
                    local_addr=(self._source, 0) if self._source else None,
                    **self._keeping(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
                trust_env=False,
                max_line_size=65536,
                max_field_size=65536,
            )
        return self._session

    def _keeping(self) -> "_Keeping":
        return {"keepalive_timeout": _KEPT_S} if self._keep_alive else {"force_close": True}


def _given_by(fault: Do) -> list[str]:
    if fault.address is None:
        raise NameUnknownError
    return [fault.address]


def made_answer(do: Do) -> Answer:
    """The answer that a fault with ``status`` gives."""
    body = do.body.encode()
    headers = CIMultiDict({"Content-Type": do.content_type, "Content-Length": str(len(body))})
    headers.update(do.headers)
    return whole(do.status or 200, headers, body)


def whole(status: int, headers: Mapping[str, str], body: bytes, reason: str = "") -> Answer:
    """An answer whose body is at hand."""
    return Answer(status, reason, CIMultiDictProxy(CIMultiDict(headers)), _once(body))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def edited(answer: Answer, edits: Sequence[Edit]) -> Answer:
    """The answer after the edits of the faults that matched."""
    if not edits:
        return answer
    headers = CIMultiDict(answer.headers)
    body = answer.body
    if any(edit.changes_body for edit in edits):
        content = await answer.read()
        for edit in edits:
            content = patched(content, edit)
        headers["Content-Length"] = str(len(content))
        headers.popall("Transfer-Encoding", None)
        body = _once(content)
    for edit in edits:
        _edit_headers(headers, edit)
    return Answer(answer.status, answer.reason, CIMultiDictProxy(headers), body)


def _edit_headers(headers: CIMultiDict[str], edit: Edit) -> None:
    for name in edit.header_drop:
        headers.popall(name, None)
    for name, value in edit.header_set.items():
        headers[name] = value
    for name, value in edit.header_add.items():
        headers.add(name, value)


class _Relayed(web.StreamResponse):
    """The head of an answer: the headers it was given and, of aiohttp's, the framing only."""

    def __init__(self, answer: Answer) -> None:
        headers = CIMultiDict(end_to_end(list(answer.headers.items())))
        self._added = [name for name in _OURS if name not in headers]
        super().__init__(status=answer.status, reason=answer.reason or None, headers=headers)

    async def _prepare_headers(self) -> None:
        # the one moment between aiohttp's additions and the wire; the public hook is an application's only
        await super()._prepare_headers()
        for name in self._added:
            self.headers.pop(name, None)


async def relay(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Pass an answer on as it comes in, with its own headers and those that the connection needs.

    Raises:
        ConnectionError: Whoever asked is gone.
        WireError: The answer broke off midway.

    """
    response = _Relayed(answer)
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.body:
            await response.write(chunk)
    await response.write_eof()
    return response


async def cut_off(request: web.BaseRequest, silent_s: float = 0.0) -> web.StreamResponse:
    """Reset the connection, after a silence that whoever asked may end first.

    Args:
        request: What is not answered.
        silent_s: How long to wait before, in real seconds.

    Returns:
        What a handler has to return. It never arrives: the connection is gone.

    """
    transport = request.transport
    for _ in range(int(silent_s * 10)):
        if transport is None or transport.is_closing():
            break
        await asyncio.sleep(0.1)
    if transport is not None and not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    return web.Response(status=500)


async def _stream(response: aiohttp.ClientResponse, idle_s: float) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.wait_for(response.content.readany(), idle_s):
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _wire_error(error) from error


def _wire_error(error: Exception) -> WireError:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectTimeoutError()
    if isinstance(error, TimeoutError):
        return AnswerTimeoutError()
    if isinstance(error, aiohttp.ClientSSLError):
        return TlsError(str(error))
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectRefusedError(str(error))
    return BrokenConnectionError(str(error) or type(error).__name__)


def _at(url: URL, address: str) -> URL:
    """The same resource at an address, path and query untouched."""
    port = url.explicit_port or {"https": 443}.get(url.scheme, 80)
    return URL(f"{url.scheme}://{address}:{port}{url.raw_path_qs}", encoded=True)


def _tls_context(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
