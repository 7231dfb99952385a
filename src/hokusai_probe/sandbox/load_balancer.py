"""An Application Load Balancer in miniature, with the semantics and the words of AWS.

Sources: the AWS pages "Listener rules for your Application Load Balancer", "Target groups for your
Application Load Balancers" (fail open, draining, certificates of targets are not validated), "HTTP headers
and Application Load Balancers" and "Troubleshoot your Application Load Balancers" (which failure is a 502, a
503, a 504). What a listener does is read from the control plane anew at each request. Whether the client can
connect at all is the business of its sockets (`front.Front`): a security group or network ACL that keeps the
client out lets connects hang.

Not there: WebSocket upgrades, HTTP/2, stickiness, authentication actions, header transforms.
"""

import asyncio
import dataclasses
import itertools
import re
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from hokusai_probe.sandbox import routing
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.faults import Edit, Effect, FaultTable, Seen
from hokusai_probe.sandbox.front import Front, Reach
from hokusai_probe.sandbox.metrics import BalancerMetrics, Recorder
from hokusai_probe.sandbox.network import CLIENT, NetworkView, load_balancer
from hokusai_probe.sandbox.routing import Incoming
from hokusai_probe.sandbox.state import (
    Action,
    ControlPlane,
    Endpoint,
    Health,
    Listener,
    RegisteredTarget,
    TargetGroup,
)
from hokusai_probe.sandbox.wire import (
    Answer,
    AnswerTimeoutError,
    ConnectRefusedError,
    ConnectTimeoutError,
    Outgoing,
    Timeouts,
    Wire,
    WireError,
    cut_off,
    edited,
    end_to_end,
    made_answer,
    relay,
    whole,
)

_REASONS = {503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
"""Where the load balancer's words differ from the standard's."""

_CLIENT_EDGE = "client->load-balancer"
_UNREACHED = (ConnectRefusedError, ConnectTimeoutError)

_FORWARDED = frozenset(
    {"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"}
)

_WELL_KNOWN = frozenset({80, 443})
_PORT = re.compile(r":\d+$")

_ANSWER_HEAD_BYTES = 32 * 1024
"""The largest head of an answer that is passed on: "Quotas for your Application Load Balancers"."""

HealthTable = Mapping[tuple[str, str, int], Health]


def own_answer(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """A page of the load balancer's own: error or redirect, as AWS writes it."""
    reason = _REASONS.get(status) or HTTPStatus(status).phrase
    title = f"{status} {reason}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    ).encode()
    base = {"Server": "awselb/2.0", "Content-Type": "text/html", "Content-Length": str(len(body))}
    return whole(status, base | dict(headers or {}), body, reason)


def fixed_response(action: Action) -> Answer:
    """The answer of a fixed-response action; AWS adds the character set to the content type."""
    body = action.body.encode()
    content_type = action.content_type or "text/plain"
    headers = {
        "Server": "awselb/2.0",
        "Content-Type": f"{content_type}; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    return whole(action.status, headers, body)


def eligible(group: TargetGroup, health: HealthTable) -> list[RegisteredTarget]:
    """The targets that may get a request: the healthy ones, or all when none is (fail open).

    A draining target gets nothing new.
    """
    serving = [target for target in group.targets if not target.draining]
    healthy = [
        target
        for target in serving
        if (seen := health.get((group.arn, target.ip, target.port))) and seen.state == "healthy"
    ]
    return healthy or serving


class LoadBalancer:
    """One load balancer: a socket per listener that the control plane names.

    Args:
        name: The load balancer's short name: auth, registry, main.
        ip: The address on which every listener listens; the port is the system's choice.
        plane: Where listeners, rules, target groups, certificates and timeouts are read.
        faults_path: The table of faults (edges ``client->load-balancer`` and ``load-balancer->*``).
        resolver: The sandbox's DNS server.
        time_scale: How many times faster than the platform.
        health: What the health checks saw last; without it every target counts as equal.
        host: The public name that leads here, for faults that match on it.
        inner: A second address for the sandbox's own parts, whom no fault of the client's edge meets.
        network: Who may connect to whom: the client to this, this to the targets.
        metrics: Where answers are counted; None: nowhere.
        clock: The platform's, for the Date of every answer.

    """

    def __init__(
        self,
        name: str,
        ip: str,
        plane: ControlPlane,
        faults_path: Path,
        resolver: tuple[str, int],
        time_scale: float,
        health: HealthTable | None = None,
        *,
        host: str = "",
        inner: str = "",
        network: NetworkView | None = None,
        metrics: BalancerMetrics | None = None,
        clock: PlatformClock | None = None,
    ) -> None:
        self.name = name
        self._metrics = metrics or BalancerMetrics(Recorder(), "")
        self._clock = clock or PlatformClock()
        self._ip = ip
        self._host = host
        self._inner = inner
        self._network = network
        self._plane = plane
        self._faults = FaultTable(faults_path)
        self._wire = Wire(self._faults, resolver, time_scale, source=ip, network=network, verify=False)
        self._time_scale = time_scale
        self._health: HealthTable = {} if health is None else health
        self._ports: dict[int, int] = {}  # listener port -> front port, kept when a listener goes
        self._open: dict[int, tuple[str, Front]] = {}  # listener port -> protocol, sockets
        self._certificates: dict[tuple[Path, Path, int], ssl.SSLContext] = {}
        self._turns = itertools.count()
        self._target_turns = itertools.count()

    async def start(self) -> dict[int, Endpoint]:
        """Open a socket per listener; returns them by the listener's port."""
        return await self.refresh()

    async def refresh(self) -> dict[int, Endpoint]:
        """Open and close sockets so that they match the listeners as they are now, and who may reach them.

        A listener that comes back gets the front port that it had.
        """
        wanted = {listener.port: listener for listener in self._plane.listeners(self.name)}
        for port, (protocol, _) in list(self._open.items()):
            if port not in wanted or wanted[port].protocol != protocol:
                await self._stop(port)
        for port, listener in wanted.items():
            if port not in self._open:
                await self._listen(listener)
            await self._open[port][1].show(self._reach(port))
        return {port: Endpoint(self._ip, self._ports[port]) for port in sorted(self._open)}

    def _reach(self, port: int) -> Reach:
        """What the client's connect to a listener comes to."""
        if self._network is not None and not self._network.lets(CLIENT, load_balancer(self.name), port):
            return "dropped"
        fault = self._faults.standing(_CLIENT_EDGE, self._host)
        if fault is None:
            return "open"
        return "dropped" if fault.drop else "refused"

    async def close(self) -> None:
        """Close every socket and connection."""
        for port in list(self._open):
            await self._stop(port)
        await self._wire.close()

    async def _stop(self, port: int) -> None:
        _, front = self._open.pop(port)
        await front.close()

    async def _listen(self, listener: Listener) -> None:
        port = listener.port

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(port, request)

        server = web.Server(handle, access_log=None, max_line_size=16384, max_field_size=16384)
        front = Front(self._ip, self._inner, self._ports.get(port, 0))
        await front.start(server, self._tls(listener) if listener.protocol == "HTTPS" else None)
        self._ports[port] = front.port
        self._open[port] = (listener.protocol, front)

    # --- TLS ---

    def _tls(self, listener: Listener) -> ssl.SSLContext:
        """A context that picks the listener's certificate at each handshake, as the plane names it then."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            chosen = self._certificate(listener.port)
            if chosen is not None:
                connection.context = chosen

        context.sni_callback = choose
        return context

    def _certificate(self, port: int) -> ssl.SSLContext | None:
        listener = self._listener(port)
        files = self._plane.certificate(listener.certificate_arn) if listener else None
        if files is None:
            return None
        key = (*files, files[0].stat().st_mtime_ns)
        if key not in self._certificates:
            self._certificates[key] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._certificates[key].load_cert_chain(*files)
        return self._certificates[key]

    def _listener(self, port: int) -> Listener | None:
        listeners = self._plane.listeners(self.name)
        return next((listener for listener in listeners if listener.port == port), None)

    # --- requests ---

    async def _handle(self, port: int, request: web.BaseRequest) -> web.StreamResponse:
        listener = self._listener(port)
        incoming = _incoming(request)
        effect = self._client_effect(request, incoming)
        if listener is None or _cuts_off(effect):
            return await cut_off(request, self._silence(effect))
        await _say_continue(request)
        async with self._answer(effect, listener, incoming, request) as answer:
            await asyncio.sleep(effect.delay_s / self._time_scale)
            return await _relay(request, self._dated(answer), effect.edits)

    def _dated(self, answer: Answer) -> Answer:
        """The answer with the platform's time, where it has none or that is another than this machine's."""
        if "Date" in answer.headers and not self._clock.offset_s:
            return answer
        return dataclasses.replace(answer, headers=self._clock.dated(answer.headers))

    def _client_effect(self, request: web.BaseRequest, incoming: Incoming) -> Effect:
        """The faults of the client's edge, which the sandbox's own parts do not meet."""
        name = request.transport.get_extra_info("sockname") if request.transport else None
        if name and name[0] == self._inner:
            return Effect()
        return self._faults.effect(_CLIENT_EDGE, _seen(request, incoming))

    def _silence(self, effect: Effect) -> float:
        """How long whoever is cut off hears nothing, seconds."""
        dropped = effect.answer is not None and effect.answer.drop
        return self._plane.idle_timeout_s(self.name) if dropped else 0.0

    @asynccontextmanager
    async def _answer(
        self, effect: Effect, listener: Listener, incoming: Incoming, request: web.BaseRequest
    ) -> AsyncIterator[Answer]:
        if effect.answer is not None:
            yield made_answer(effect.answer)
            return
        async with self._ruled(listener, incoming, request) as answer:
            yield answer

    @asynccontextmanager
    async def _ruled(
        self, listener: Listener, incoming: Incoming, request: web.BaseRequest
    ) -> AsyncIterator[Answer]:
        """What the listener's rules come to."""
        rule = routing.pick(listener.rules, incoming)
        action = rule.actions[-1] if rule and rule.actions else None
        if request.method == "TRACE":  # "Troubleshoot your Application Load Balancers", HTTP 405
            yield self._own(405)
        elif action is None:
            yield self._own(503)
        elif action.type == "fixed-response":
            self._metrics.own(action.status, action=action.type)
            yield fixed_response(action)
        elif action.type == "redirect":
            answer = self._redirect(action, incoming, listener)
            self._metrics.own(answer.status, action=action.type)
            yield answer
        else:
            async with self._forward(action, listener, request) as answer:
                yield answer

    def _own(self, status: int, group: str | None = None, *, unreachable: bool = False) -> Answer:
        """A page of the load balancer's own, counted."""
        self._metrics.own(status, group, unreachable=unreachable)
        return own_answer(status)

    def _redirect(self, action: Action, incoming: Incoming, listener: Listener) -> Answer:
        location = routing.redirect_location(action.redirect, incoming, listener, self._ports)
        status = int(action.redirect.get("StatusCode", "HTTP_302").removeprefix("HTTP_"))
        return own_answer(status, {"Location": location})

    @asynccontextmanager
    async def _forward(
        self, action: Action, listener: Listener, request: web.BaseRequest
    ) -> AsyncIterator[Answer]:
        chosen = self._target(action)
        if chosen is None:
            yield self._own(503)
            return
        group, target = chosen
        outgoing = _outgoing(request, group.scheme, target, listener)
        async with AsyncExitStack() as stack:
            sending = self._wire.send(f"load-balancer->{group.service}", outgoing, self._timeouts())
            started = time.monotonic()
            try:
                answer = await stack.enter_async_context(sending)
                if _head_bytes(answer) > _ANSWER_HEAD_BYTES:
                    answer = self._own(502, group.arn)
                else:
                    self._metrics.by_target(group.arn, answer.status, time.monotonic() - started)
            except WireError as failure:
                answer = self._own(status_of(failure), group.arn, unreachable=isinstance(failure, _UNREACHED))
            yield answer

    def _target(self, action: Action) -> tuple[TargetGroup, RegisteredTarget] | None:
        arn = routing.choose_weighted(action.target_groups, next(self._turns))
        group = self._plane.target_group(arn) if arn else None
        targets = eligible(group, self._health) if group else []
        if group is None or not targets:
            return None
        return group, targets[next(self._target_turns) % len(targets)]

    def _timeouts(self) -> Timeouts:
        return Timeouts(self._plane.connect_timeout_s(), self._plane.idle_timeout_s(self.name))


def status_of(failure: WireError) -> int:
    """What the load balancer answers when a target does not: 504 for silence, 502 for the rest.

    Source: "Troubleshoot your Application Load Balancers", HTTP 502 and HTTP 504.
    """
    return 504 if isinstance(failure, (ConnectTimeoutError, AnswerTimeoutError)) else 502


def _head_bytes(answer: Answer) -> int:
    return sum(len(name) + len(value) + 4 for name, value in answer.headers.items())


def _incoming(request: web.BaseRequest) -> Incoming:
    host, _, _ = (request.headers.get("Host") or "").partition(":")
    path, _, query = _target_of(request).partition("?")
    return Incoming(request.method, host, path, query, _headers(request), request.remote or "127.0.0.1")


def _target_of(request: web.BaseRequest) -> str:
    """Path and query exactly as sent, also where the request line names the whole URL."""
    return request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs


def _headers(request: web.BaseRequest) -> list[tuple[str, str]]:
    return list(request.headers.items())


def _seen(request: web.BaseRequest, incoming: Incoming) -> Seen:
    return Seen(
        host=incoming.host,
        path=incoming.path,
        method=incoming.method,
        query=dict(request.rel_url.query),
        headers={name.lower(): value for name, value in incoming.headers},
        body_bytes=request.content_length or 0,
    )


def _cuts_off(effect: Effect) -> bool:
    answer = effect.answer
    return answer is not None and (answer.drop or answer.refuse or answer.reset)


def _outgoing(
    request: web.BaseRequest, scheme: str, target: RegisteredTarget, listener: Listener
) -> Outgoing:
    return Outgoing(
        method=request.method,
        url=f"{scheme}://{target.ip}:{target.port}{_target_of(request)}",
        headers=forwarded_headers(_headers(request), request.remote or "", listener),
        body=request.content.iter_any() if request.body_exists else None,
    )


def forwarded_headers(
    headers: Sequence[tuple[str, str]], peer: str, listener: Listener
) -> list[tuple[str, str]]:
    """The request's headers as the target gets them: X-Forwarded-* and the trace id added or renewed.

    X-Forwarded-For is appended to, Proto and Port are the listener's own ("HTTP headers and Application
    Load Balancers"). The host keeps its name ("Edit attributes", host header preservation, off by default).
    """
    kept = [(name, value) for name, value in end_to_end(headers) if name.lower() not in _FORWARDED]
    before = _values(headers, "x-forwarded-for")
    return [
        *(("Host", _host_for_target(host, listener.port)) for host in _values(headers, "host")[:1]),
        *kept,
        ("X-Forwarded-For", ", ".join([*before, peer])),
        ("X-Forwarded-Proto", listener.protocol.lower()),
        ("X-Forwarded-Port", str(listener.port)),
        ("X-Amzn-Trace-Id", traced(";".join(_values(headers, "x-amzn-trace-id")))),
    ]


def _values(headers: Sequence[tuple[str, str]], wanted: str) -> list[str]:
    return [value for name, value in headers if name.lower() == wanted]


def _host_for_target(host: str, listener_port: int) -> str:
    """Without a port behind a listener on 80 or 443, else with the listener's."""
    name = _PORT.sub("", host)
    return name if listener_port in _WELL_KNOWN else f"{name}:{listener_port}"


def traced(given: str) -> str:
    """The X-Amzn-Trace-Id for the target: a Root of its own, or a new Self before what the client sent.

    Source: "Request tracing for your Application Load Balancer".
    """
    own = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    fields = [part for part in given.split(";") if part]
    kept = [part for part in fields if not part.startswith("Self=")]
    named = "Self" if any(part.startswith(("Self=", "Root=")) for part in fields) else "Root"
    return ";".join([f"{named}={own}", *kept])


async def _say_continue(request: web.BaseRequest) -> None:
    """Let a client that asks first send its body (RFC 9110 section 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # what aiohttp counts is the answer


async def _relay(request: web.BaseRequest, answer: Answer, edits: Sequence[Edit] = ()) -> web.StreamResponse:
    """Pass an answer on to the client as it comes in; cut the connection when it breaks off midway."""
    try:
        return await relay(request, await edited(answer, edits))
    except (WireError, ConnectionError):
        # no reset, which would take from the client what it has not read yet
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # never arrives: the connection is gone
