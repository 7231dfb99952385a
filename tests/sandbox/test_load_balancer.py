"""The load balancer: which rule takes a request, which target gets it, and what it says itself."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from data_side import (
    NOBODY,
    FakePlane,
    asynchronous,
    certificate,
    default,
    forward,
    group,
    network,
    network_view,
    path,
    raw_target,
    rule,
    target,
)

from hokusai_probe.sandbox import routing
from hokusai_probe.sandbox.faults import Do, Edit, Fault, Match, parse_fault, write_table
from hokusai_probe.sandbox.load_balancer import LoadBalancer, forwarded_headers
from hokusai_probe.sandbox.network import NetworkView, Ports
from hokusai_probe.sandbox.routing import Incoming
from hokusai_probe.sandbox.state import Action, Condition, Health, Listener, RegisteredTarget, Rule

EDITED = Do(status=503, body="hello", edit=Edit(body_replace="HELLO", truncate=4))
NOT_FOUND = Action("fixed-response", status=404, content_type="text/plain", body="Not Found")


def page(title: str) -> str:
    """A page of the load balancer's own, as AWS sends it."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )


def condition(field: str, *values: str, name: str = "") -> Condition:
    """A condition."""
    return Condition(field, values, name)  # type: ignore[arg-type]


# --- routing, pure ---


@pytest.mark.parametrize(
    ("conditions", "changes", "expected"),
    [
        ([path("/api/*")], {"path": "/api/x"}, True),
        ([path("/api/*")], {"path": "/api"}, False),
        ([path("/api*")], {"path": "/api"}, True),
        ([path("/API/*")], {"path": "/api/x"}, False),
        ([path("/mlflow", "/mlflow/*")], {"path": "/mlflow"}, True),
        ([path("/mlflow", "/mlflow/*")], {"path": "/mlflowx"}, False),
        ([path("/a?c")], {"path": "/abc"}, True),
        ([path("/a?c")], {"path": "/ac"}, False),
        ([path("/*.png")], {"path": "/img/x.png"}, True),
        ([path("/a+b")], {"path": "/aab"}, False),
        ([path("/api/*")], {"path": "/x", "query": "/api/x"}, False),
        ([path("/api/*")], {"path": "/x/../api/y"}, True),
        ([path("/api/*")], {"path": "/api/../x"}, False),
        ([path("/api/*")], {"path": "/%61pi/x"}, True),
        ([condition("host-header", "Auth.*.test")], {"host": "AUTH.z.test"}, True),
        ([condition("host-header", "auth.*.test")], {"host": "registry.z.test"}, False),
        (
            [condition("http-header", "*Chrome*", name="User-Agent")],
            {"headers": [("user-agent", "x chrome y")]},
            True,
        ),
        (
            [condition("http-header", "*Chrome*", name="User-Agent")],
            {"headers": [("user-agent", "curl")]},
            False,
        ),
        ([condition("http-header", "b", name="X-A")], {"headers": [("X-A", "a"), ("x-a", "b")]}, True),
        ([condition("http-header", "*", name="X-A")], {}, False),
        ([condition("http-request-method", "PUT", "GET")], {"method": "GET"}, True),
        ([condition("http-request-method", "get")], {"method": "GET"}, False),
        ([condition("query-string", "version=v*")], {"query": "a=1&VERSION=V2"}, True),
        ([condition("query-string", "version=v1")], {"query": "version=v2"}, False),
        ([condition("query-string", "*example*")], {"query": "q=an%20example"}, True),
        ([condition("query-string", "*example*")], {"query": "example=1"}, False),
        ([condition("source-ip", "10.0.0.0/8")], {"peer": "127.0.0.1"}, False),
        ([condition("source-ip", "10.0.0.0/8")], {"peer": "10.1.2.3"}, True),
        ([condition("source-ip", "192.0.2.0/24", "127.0.0.0/8")], {"peer": "127.0.0.1"}, True),
        ([path("/a"), condition("http-request-method", "GET")], {"path": "/a"}, True),
        ([path("/a"), condition("http-request-method", "PUT")], {"path": "/a"}, False),
        ([path("/a"), path("/b")], {"path": "/a"}, False),
    ],
)
def test_when_a_rule_applies(
    conditions: list[Condition], changes: Mapping[str, object], expected: bool
) -> None:
    """Every condition must hold, of a condition's values any."""
    incoming = replace(Incoming("GET", "registry.z.test", "/"), **changes)
    assert routing.applies(Rule("r", 1, tuple(conditions), ()), incoming) is expected


def test_rules_are_tried_by_priority_and_the_default_comes_last() -> None:
    """The order in which the control plane lists rules does not matter."""
    rules = [
        default(forward("d")),
        rule(20, forward("b"), path("/api/*")),
        rule(10, forward("a"), path("/api/x")),
    ]
    taken = [routing.pick(rules, Incoming("GET", "h", each)) for each in ("/api/x", "/api/y", "/other")]
    assert [each.arn if each else None for each in taken] == ["rule/10", "rule/20", "rule/default"]
    assert routing.pick(rules[1:], Incoming("GET", "h", "/other")) is None


def test_weights_are_shares_of_the_turns() -> None:
    """Three turns to one; a weight of 0 gets nothing, and all zero leaves nobody."""
    groups = [("a", 3), ("b", 1), ("c", 0)]
    assert Counter(routing.choose_weighted(groups, turn) for turn in range(40)) == {"a": 30, "b": 10}
    assert routing.choose_weighted([("a", 0)], 1) is None


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ({"Protocol": "HTTPS", "Port": "443"}, "https://r.z.test:8443/a/b?x=1&y=%2F"),
        ({"Protocol": "HTTPS", "Port": "9999"}, "https://r.z.test:9999/a/b?x=1&y=%2F"),
        ({"Host": "www.#{host}"}, "http://www.r.z.test:8080/a/b?x=1&y=%2F"),
        (
            {"Path": "/new/#{path}", "Query": "#{query}&from=#{protocol}"},
            "http://r.z.test:8080/new/a/b?x=1&y=%2F&from=HTTP",
        ),
    ],
)
def test_where_a_redirect_leads(redirect: Mapping[str, str], expected: str) -> None:
    """Keywords stand for the request's parts; a listener's port is the one where it can be reached here."""
    incoming = Incoming("GET", "r.z.test", "/a/b", "x=1&y=%2F")
    listener = Listener("l", "registry", 80, "HTTP", ())
    assert routing.redirect_location(redirect, incoming, listener, {80: 8080, 443: 8443}) == expected


def test_headers_on_the_way_to_a_target() -> None:
    """The host's name stays, hop-by-hop headers go, X-Forwarded-For grows, Proto and Port are the listener's.

    The trace id is in the table of test_alb_table.
    """
    sent = [
        ("Host", "r.z.test:8443"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "gopher"),
        ("Authorization", "Bearer hk_test_x"),
    ]
    assert forwarded_headers(sent, "127.0.0.1", Listener("l", "registry", 443, "HTTPS", ()))[:-1] == [
        ("Host", "r.z.test"),
        ("Authorization", "Bearer hk_test_x"),
        ("X-Forwarded-For", "203.0.113.7, 127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
    ]


# --- a running load balancer ---


class Box:
    """A load balancer, its plane, and a client."""

    def __init__(self, tmp_path: Path, view: NetworkView | None = None) -> None:
        self.net = network()
        self.plane = FakePlane()
        self.table = tmp_path / "faults.json"
        self.health: dict[tuple[str, str, int], Health] = {}
        self.balancer = LoadBalancer(
            "registry",
            f"{self.net}.3",
            self.plane,
            self.table,
            NOBODY,
            10.0,
            self.health,
            host="r.z.test",
            inner=f"{self.net}.13",
            network=view,
        )

    def rules(self, *rules: Rule) -> None:
        """What the one HTTP listener does."""
        self.plane.listening = [Listener("l", "registry", 80, "HTTP", rules)]

    async def ask(self, where: str = "/", method: str = "GET", **parts: object) -> tuple[int, str, str, str]:
        """Status, content type, server and body."""
        endpoint = (await self.balancer.refresh())[80]
        url = f"http://{endpoint.ip}:{endpoint.port}{where}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, allow_redirects=False, **parts) as answer,
        ):
            text = await answer.text()
            headers = answer.headers
            return answer.status, headers.get("Content-Type", ""), headers.get("Server", ""), text


@asynccontextmanager
async def running(tmp_path: Path, view: NetworkView | None = None) -> AsyncIterator[Box]:
    """A load balancer with no listener yet."""
    box = Box(tmp_path, view)
    await box.balancer.start()
    try:
        yield box
    finally:
        await box.balancer.close()


def says(text: str):
    """A target that always says the same."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, headers={"Server": "uvicorn"})

    return answer


@asynchronous
async def test_a_changed_rule_moves_the_very_next_request(tmp_path: Path) -> None:
    """Rules and target groups are read anew at each request."""
    async with (
        running(tmp_path) as box,
        target(f"{box.net}.40", says("a")) as a,
        target(f"{box.net}.41", says("b")) as b,
    ):
        box.plane.groups = [group("a", (f"{box.net}.40", a)), group("b", (f"{box.net}.41", b))]
        seen = []
        for action in (forward("a"), forward("b"), NOT_FOUND):
            box.rules(default(action))
            seen.append(await box.ask())
    assert seen == [
        (200, "text/plain; charset=utf-8", "uvicorn", "a"),
        (200, "text/plain; charset=utf-8", "uvicorn", "b"),
        (404, "text/plain; charset=utf-8", "awselb/2.0", "Not Found"),
    ]


@asynchronous
async def test_what_the_target_gets(tmp_path: Path) -> None:
    """Method, path, query, Host and body arrive untouched, with the forwarding headers added."""
    got: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        forwarded = {
            name: request.headers[name]
            for name in ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port")
        }
        got.extend([request.method, request.raw_path, forwarded, body, request.remote])
        return web.Response(status=201)

    async with running(tmp_path) as box, target(f"{box.net}.40", answer) as port:
        box.plane.groups = [group("a", (f"{box.net}.40", port))]
        box.rules(default(forward("a")))
        seen = await box.ask("/a%2Fb?x=1&x=2", "PUT", data=b"body", headers={"Host": "r.z.test:1"})
        address = f"{box.net}.3"
    assert seen[0] == 201
    forwarded = {
        "Host": "r.z.test",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Port": "80",
    }
    assert got == ["PUT", "/a%2Fb?x=1&x=2", forwarded, b"body", address]


@asynchronous
async def test_large_bodies_stream_both_ways(tmp_path: Path) -> None:
    """Ten megabytes there and back, sent in chunks without a length."""

    async def echo(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    async def parts() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([97 + number % 26]) * 100_000

    async with running(tmp_path) as box, target(f"{box.net}.40", echo) as port:
        box.plane.groups = [group("a", (f"{box.net}.40", port))]
        box.plane.idle_s = 5.0
        box.rules(default(forward("a")))
        status, _, _, text = await box.ask("/", "POST", data=parts())
    expected = b"".join([chunk async for chunk in parts()]).decode()
    assert status == 200
    assert text == expected


@asynchronous
async def test_answers_without_a_body(tmp_path: Path) -> None:
    """HEAD keeps the length it was told, 204 and 304 have nothing."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.path[1:]), text="hello" if request.path == "/200" else None)

    async with running(tmp_path) as box, target(f"{box.net}.40", answer) as port:
        box.plane.groups = [group("a", (f"{box.net}.40", port))]
        box.rules(default(forward("a")))
        seen = [
            (await box.ask(where, method))[::3]
            for where, method in (("/200", "HEAD"), ("/204", "GET"), ("/304", "GET"))
        ]
    assert seen == [(200, ""), (204, ""), (304, "")]


@pytest.mark.parametrize(
    ("reply", "port", "ip", "expected"),
    [
        (b"", None, ".40", "502 Bad Gateway"),
        (b"nonsense\r\n\r\n", None, ".40", "502 Bad Gateway"),
        (b"", 9, ".40", "502 Bad Gateway"),
        (None, None, ".40", "504 Gateway Time-out"),
        (b"", 8001, "10.0.1.173", "504 Gateway Time-out"),
    ],
)
def test_its_own_words_for_a_target_that_fails(
    reply: bytes | None, port: int | None, ip: str, expected: str, tmp_path: Path
) -> None:
    """Closed, malformed and refused are 502; silent and unreachable are 504; the pages are AWS's."""

    async def look() -> None:
        async with running(tmp_path) as box, raw_target(f"{box.net}.40", reply) as listening:
            address = ip if ip.startswith("10.") else box.net + ip
            box.plane.groups = [group("a", (address, port or listening))]
            box.rules(default(forward("a")))
            assert await box.ask() == (int(expected[:3]), "text/html", "awselb/2.0", page(expected))

    asynchronous(look)()


@asynchronous
async def test_503_when_there_is_nobody_to_ask(tmp_path: Path) -> None:
    """No registered target, only draining ones, all weights zero, no such group."""
    async with running(tmp_path) as box:
        here = f"{box.net}.40"
        draining = replace(group("draining"), targets=(RegisteredTarget(here, 9, draining=True),))
        box.plane.groups = [group("empty"), draining, group("weightless", (here, 9))]
        seen = []
        for action in (forward("empty"), forward("draining"), forward(("weightless", 0)), forward("gone")):
            box.rules(default(action))
            seen.append(await box.ask())
    expected = (503, "text/html", "awselb/2.0", page("503 Service Temporarily Unavailable"))
    assert seen == [expected] * 4


@asynchronous
async def test_healthy_targets_are_preferred_and_all_unhealthy_fail_open(tmp_path: Path) -> None:
    """One healthy: it gets everything. None healthy: all get their share. Draining: nothing."""
    async with (
        running(tmp_path) as box,
        target(f"{box.net}.40", says("a")) as a,
        target(f"{box.net}.41", says("b")) as b,
    ):
        keys = [("g", f"{box.net}.40", a), ("g", f"{box.net}.41", b)]
        both = group("g", (f"{box.net}.40", a), (f"{box.net}.41", b))
        box.plane.groups = [both]
        box.rules(default(forward("g")))
        shares = []
        for states in (
            ("healthy", "unhealthy"),
            ("unhealthy", "unhealthy"),
            ("healthy", "healthy"),
            ("initial", "healthy"),
        ):
            box.health.update(zip(keys, map(Health, states), strict=True))
            shares.append(Counter([(await box.ask())[3] for _ in range(4)]))
        box.plane.groups = [replace(both, targets=(replace(both.targets[0], draining=True), both.targets[1]))]
        shares.append(Counter([(await box.ask())[3] for _ in range(4)]))
    assert shares == [{"a": 4}, {"a": 2, "b": 2}, {"a": 2, "b": 2}, {"b": 4}, {"b": 4}]


@asynchronous
async def test_a_target_is_spoken_to_as_its_group_says(tmp_path: Path) -> None:
    """In TLS, whoever signed its certificate; where target and group disagree, that is a 502."""
    _, (chain, key) = certificate(tmp_path, "somebody-else.test")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    seen = []
    async with (
        running(tmp_path) as box,
        target(f"{box.net}.40", says("plain")) as plain,
        target(f"{box.net}.41", says("tls"), tls=tls) as secure,
    ):
        box.rules(default(forward("g")))
        for scheme in ("http", "https"):
            for end in ((f"{box.net}.40", plain), (f"{box.net}.41", secure)):
                box.plane.groups = [group("g", end, scheme=scheme)]
                status, _, _, text = await box.ask()
                seen.append((scheme, status, text if status == 200 else ""))
    assert seen == [("http", 200, "plain"), ("http", 502, ""), ("https", 502, ""), ("https", 200, "tls")]


@asynchronous
async def test_a_redirect_is_a_page_with_a_place(tmp_path: Path) -> None:
    """301 in AWS's words, to the port where the listener 443 can be reached."""
    async with running(tmp_path) as box:
        to_https = Action("redirect", redirect={"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"})
        box.rules(default(to_https))
        box.plane.listening.append(Listener("l2", "registry", 443, "HTTPS", ()))
        ends = await box.balancer.refresh()
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"http://{box.net}.3:{ends[80].port}/a?b=c",
                headers={"Host": "r.z.test:80"},
                allow_redirects=False,
            ) as answer,
        ):
            seen = answer.status, answer.headers["Location"], await answer.text()
    assert seen == (301, f"https://r.z.test:{ends[443].port}/a?b=c", page("301 Moved Permanently"))


@asynchronous
async def test_listeners_come_and_go_and_keep_their_ports(tmp_path: Path) -> None:
    """A deleted listener refuses, a new one listens, one that returns is where it was."""
    async with running(tmp_path) as box:
        first = Listener("l", "registry", 80, "HTTP", (default(NOT_FOUND),))
        box.plane.listening = [first]
        before = await box.balancer.refresh()
        box.plane.listening = [replace(first, port=8080)]
        between = await box.balancer.refresh()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(before[80].ip, before[80].port)
        box.plane.listening = [first]
        after = await box.balancer.refresh()
    assert list(before) == [80]
    assert list(between) == [8080]
    assert after == before


@asynchronous
async def test_https_with_the_certificate_that_the_plane_names(tmp_path: Path) -> None:
    """The certificate is chosen at each handshake: another ARN, another certificate, without a restart."""
    async with running(tmp_path) as box:
        authorities = {}
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            authorities[name], box.plane.certificates[name] = certificate(tmp_path / name, "r.z.test")
        listener = Listener("l", "registry", 443, "HTTPS", (default(NOT_FOUND),), "one")
        seen = []
        for arn, trusted in (("one", "one"), ("two", "one"), ("two", "two")):
            box.plane.listening = [replace(listener, certificate_arn=arn)]
            ends = await box.balancer.refresh()
            tls = ssl.create_default_context(cafile=authorities[trusted])
            seen.append(await https_status(box.net, ends[443].port, tls))
    assert seen == [404, "ClientConnectorCertificateError", 404]


async def https_status(net: str, port: int, tls: ssl.SSLContext) -> int | str:
    """The status of a request, or the kind of error."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://{net}.3:{port}/", ssl=tls, server_hostname="r.z.test") as answer,
        ):
            return answer.status
    except aiohttp.ClientError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("edge", "do", "expected"),
    [
        (
            "load-balancer->gateway",
            Do(status=429, body="slow down", content_type="text/plain"),
            (429, "slow down"),
        ),
        ("load-balancer->gateway", Do(drop=True), (504, page("504 Gateway Time-out"))),
        ("load-balancer->gateway", Do(refuse=True), (502, page("502 Bad Gateway"))),
        ("load-balancer->gateway", Do(delay_s=60), (504, page("504 Gateway Time-out"))),
        ("load-balancer->auth", Do(status=500), (200, "a")),
        ("client->load-balancer", Do(status=403, body="waf"), (403, "waf")),
        ("client->load-balancer", Do(reset=True), "ClientOSError"),
        ("client->load-balancer", EDITED, (503, "HELL")),
        ("load-balancer->gateway", EDITED, (503, "HELL")),
    ],
)
def test_faults_of_its_edges(edge: str, do: Do, expected: object, tmp_path: Path) -> None:
    """Faults towards a service happen behind the load balancer, those of the client in front of it."""

    async def look() -> None:
        async with running(tmp_path) as box, target(f"{box.net}.40", says("a")) as port:
            box.plane.groups = [group("a", (f"{box.net}.40", port))]
            box.rules(default(forward("a")))
            write_table(box.table, [Fault.model_validate({"edge": edge, "do": do})])
            try:
                seen: object = (await box.ask())[::3]
            except aiohttp.ClientError as error:
                seen = type(error).__name__
            assert seen == expected

    asynchronous(look)()


async def status_line_and_names(box: Box) -> list[str]:
    """The first line of an answer, and the names of its headers, sorted."""
    endpoint = (await box.balancer.refresh())[80]
    reader, writer = await asyncio.open_connection(endpoint.ip, endpoint.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: r.z.test\r\nConnection: close\r\n\r\n")
    head = (await asyncio.wait_for(reader.read(), 2)).partition(b"\r\n\r\n")[0].decode()
    writer.close()
    first, *lines = head.split("\r\n")
    return [first, *sorted(line.partition(":")[0] for line in lines)]


FRAMING = ["Connection", "Content-Length"]


@pytest.mark.parametrize(
    ("edge", "do", "expected"),
    [
        ("client->aws", Do(drop=True), [*FRAMING, "Date"]),
        ("load-balancer->gateway", Do(status=200), [*FRAMING, "Content-Type", "Date"]),
        ("client->load-balancer", Do(status=200), [*FRAMING, "Content-Type", "Date"]),
        (
            "client->load-balancer",
            Do(status=200, headers={"Server": "a"}, edit=Edit(header_drop=("content-type", "date"))),
            [*FRAMING, "Server"],
        ),
        ("client->load-balancer", Do(edit=Edit(header_drop=("Date",))), FRAMING),
    ],
)
def test_no_header_is_the_librarys(edge: str, do: Do, expected: list[str], tmp_path: Path) -> None:
    """An answer without Server or Content-Type stays without; only the Date is the load balancer's to add."""

    async def look() -> None:
        async with (
            running(tmp_path) as box,
            raw_target(f"{box.net}.40", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as port,
        ):
            box.plane.groups = [group("a", (f"{box.net}.40", port))]
            box.rules(default(forward("a")))
            write_table(box.table, [Fault.model_validate({"edge": edge, "do": do})])
            assert await status_line_and_names(box) == ["HTTP/1.1 200 OK", *expected]

    asynchronous(look)()


@asynchronous
async def test_a_delay_holds_back_what_the_target_has_done(tmp_path: Path) -> None:
    """The target is asked at once; the client alone waits."""
    arrived: list[float] = []

    async def answer(_request: web.Request) -> web.Response:
        arrived.append(time.monotonic())
        return web.Response(text="done")

    async with running(tmp_path) as box, target(f"{box.net}.40", answer) as port:
        box.plane.groups = [group("a", (f"{box.net}.40", port))]
        box.rules(default(forward("a")))
        write_table(box.table, [parse_fault({"edge": "client->load-balancer", "do": {"delay_s": 5}})])
        seen = await box.ask()
        waited = time.monotonic() - arrived[0]
    assert (seen[0], seen[3], waited >= 0.45) == (200, "done", True)


@asynchronous
async def test_a_reset_through_tls_is_one(tmp_path: Path) -> None:
    """Behind a handshake that went well the connection is reset as well."""
    async with running(tmp_path) as box:
        authority, box.plane.certificates["one"] = certificate(tmp_path, "r.z.test")
        box.plane.listening = [Listener("l", "registry", 443, "HTTPS", (default(NOT_FOUND),), "one")]
        ends = await box.balancer.refresh()
        write_table(
            box.table, [Fault(edge="client->load-balancer", match=Match(path="/"), do=Do(reset=True))]
        )
        tls = ssl.create_default_context(cafile=authority)
        seen = await https_status(box.net, ends[443].port, tls)
    assert seen == "ClientOSError"


# --- whether the client can connect ---


async def connect(ip: str, port: int, source: str = "") -> str:
    """What a connect comes to within a fifth of a second."""
    local = (source, 0) if source else None
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port, local_addr=local), 0.2)
    except TimeoutError:
        return "hangs"
    except ConnectionRefusedError:
        return "refused"
    writer.close()
    return "connected"


async def both_ways(box: Box) -> tuple[str, str]:
    """What connects to the listener on 80 come to: the client's, and that of the sandbox's own parts."""
    endpoint = (await box.balancer.refresh())[80]
    return await connect(endpoint.ip, endpoint.port), await connect(f"{box.net}.13", endpoint.port)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"do": {"refuse": True}}, "refused"),
        ({"do": {"drop": True}}, "hangs"),
        ({"do": {"drop": True}, "match": {"host": "R.*"}}, "hangs"),
        ({"do": {"drop": True}, "match": {"host": "api.*"}}, "connected"),
        ({"do": {"refuse": True}, "match": {"path": "/x"}}, "connected"),
        ({"do": {"refuse": True}, "every": 2}, "connected"),
    ],
)
def test_a_standing_fault_is_one_of_the_connection(
    fault: dict[str, object], expected: str, tmp_path: Path
) -> None:
    """It refuses or swallows the client's connects, nobody else's; when it ends, all is as before."""

    async def look() -> None:
        async with running(tmp_path) as box:
            box.rules(default(NOT_FOUND))
            before, ends = await both_ways(box), await box.balancer.refresh()
            write_table(box.table, [parse_fault({"edge": "client->load-balancer"} | fault)])
            during = await both_ways(box)
            write_table(box.table, [])
            after = await both_ways(box)
            assert (before, during, after) == (
                ("connected", "connected"),
                (expected, "connected"),
                ("connected", "connected"),
            )
            assert await box.balancer.refresh() == ends
            assert (await box.ask())[0] == 404

    asynchronous(look)()


@asynchronous
async def test_from_one_standing_fault_to_another(tmp_path: Path) -> None:
    """A black hole becomes a refusal and the other way round on the same port."""
    async with running(tmp_path) as box:
        box.rules(default(NOT_FOUND))
        seen = []
        for do in (Do(drop=True), Do(refuse=True), Do(drop=True)):
            write_table(box.table, [Fault(edge="client->load-balancer", do=do)])
            seen.append(await both_ways(box))
        box.plane.listening = []
        await box.balancer.refresh()
        box.rules(default(NOT_FOUND))
        seen.append(await both_ways(box))
    assert [client for client, _ in seen] == ["hangs", "refused", "hangs", "hangs"]


@asynchronous
async def test_its_security_group_decides_who_connects(tmp_path: Path) -> None:
    """The client is kept from a port that no rule opens, listener by listener, until a rule does."""
    path = tmp_path / "network.json"

    def admitting(ports: Ports) -> NetworkView:
        parts = {"203.0.113.3": "load-balancer.registry"}
        return network_view(path, parts, {"client": {"load-balancer.registry": ports}})

    seen = []
    async with running(tmp_path, admitting(((80, 80), (8080, 8080)))) as box:
        listener = Listener("l", "registry", 80, "HTTP", (default(NOT_FOUND),))
        box.plane.listening = [listener, replace(listener, port=8080)]
        for ports in (((80, 80), (8080, 8080)), ((8080, 8080),), (), ((80, 80),)):
            admitting(ports)
            ends = await box.balancer.refresh()
            seen.append([await connect(end.ip, end.port) for end in ends.values()])
    assert seen == [
        ["connected", "connected"],
        ["hangs", "connected"],
        ["hangs", "hangs"],
        ["connected", "hangs"],
    ]


@asynchronous
async def test_a_target_that_the_network_keeps_it_from_is_a_504(tmp_path: Path) -> None:
    """Packets to the target vanish: no connection within the connect timeout."""
    path = tmp_path / "network.json"
    view = network_view(path, {}, {})
    async with running(tmp_path, view) as box, target(f"{box.net}.40", says("a")) as port:
        box.plane.groups = [group("a", (f"{box.net}.40", port))]
        box.rules(default(forward("a")))
        parts = {f"{box.net}.3": "load-balancer.registry", f"{box.net}.40": "gateway"}
        network_view(path, parts, {"load-balancer.registry": {}})
        shut = await box.ask()
        network_view(path, parts, {"load-balancer.registry": {"gateway": ((port, port),)}})
        opened = await box.ask()
    assert (shut[0], shut[3], opened[0]) == (504, page("504 Gateway Time-out"), 200)


@asynchronous
async def test_faults_of_the_client_spare_the_platforms_own_parts(tmp_path: Path) -> None:
    """A request that comes in on the inner address meets no fault between client and load balancer."""
    async with running(tmp_path) as box:
        box.rules(default(NOT_FOUND))
        do = Do(status=403, body="waf")
        write_table(box.table, [Fault(edge="client->load-balancer", match=Match(path="/"), do=do)])
        outer = await box.ask()
        port = (await box.balancer.refresh())[80].port
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{box.net}.13:{port}/") as answer,
        ):
            inner = answer.status
    assert (outer[0], inner) == (403, 404)


@asynchronous
async def test_every_third_request_of_all_load_balancers_together(tmp_path: Path) -> None:
    """Two load balancers count their requests together, refused ones included."""
    async with running(tmp_path) as one, running(tmp_path) as other:
        for box in (one, other):
            box.rules(default(NOT_FOUND))
        write_table(one.table, [Fault(edge="client->load-balancer", do=Do(status=500), every=3)])
        seen = [(await box.ask())[0] for box in (one, other, one, other, one, other)]
    assert seen == [404, 404, 500, 404, 404, 500]


@asynchronous
async def test_a_drop_for_some_requests_leaves_the_others(tmp_path: Path) -> None:
    """A request that is dropped by its path gets no answer until the idle timeout; the port stays open."""
    async with running(tmp_path) as box:
        box.rules(default(NOT_FOUND))
        write_table(
            box.table, [Fault(edge="client->load-balancer", match=Match(path="/x"), do=Do(drop=True))]
        )
        started = time.monotonic()
        with pytest.raises(aiohttp.ClientOSError):
            await box.ask("/x")
        waited = time.monotonic() - started
        assert (await box.ask("/y"))[0] == 404
    assert waited >= box.plane.idle_s
