"""Outgoing connections: names, black holes, failures and faults, each as its own kind of error."""

import asyncio
import json
import ssl
import time
from pathlib import Path

import pytest
from aiohttp import web
from data_side import (
    NOBODY,
    FakePlane,
    asynchronous,
    certificate,
    network,
    network_view,
    raw_target,
    target,
)

from hokusai_probe.sandbox.dns import DnsServer
from hokusai_probe.sandbox.faults import Do, Edit, Fault, FaultTable, Match, Rewrite, write_table
from hokusai_probe.sandbox.wire import (
    AnswerTimeoutError,
    BrokenConnectionError,
    ConnectRefusedError,
    ConnectTimeoutError,
    NameUnknownError,
    Outgoing,
    Timeouts,
    TlsError,
    Wire,
    WireError,
    cut_off,
    end_to_end,
    relay,
    whole,
)

QUICK = Timeouts(0.2, 0.3)


async def hello(request: web.Request) -> web.Response:
    """What the target says: who was asked for what."""
    return web.json_response(
        {"path": request.raw_path, "host": request.headers["Host"], "peer": request.remote}
    )


async def outcome(wire: Wire, url: str, **parts: object) -> tuple[int, bytes] | type[WireError]:
    """Status and body, or the kind of error."""
    try:
        async with wire.send("gateway->auth", Outgoing("GET", url, **parts), QUICK) as answer:
            return answer.status, await answer.read()
    except WireError as error:
        return type(error)


def made(tmp_path: Path, *dos: Do, **settings: object) -> Wire:
    """A wire with faults on the edge gateway->auth."""
    path = tmp_path / "faults.json"
    write_table(path, [Fault(edge="gateway->auth", do=do) for do in dos])
    return Wire(FaultTable(path), **({"resolver": NOBODY, "time_scale": 10.0} | settings))


@asynchronous
async def test_a_request_arrives_as_it_was_sent(tmp_path: Path) -> None:
    """Path and query keep their escapes and dots, Host and the caller's own address are seen."""
    net = network()
    async with target(f"{net}.4", hello) as port, made(tmp_path, source=f"{net}.9") as wire:
        url = f"http://{net}.4:{port}/a/../b%2Fc%20d?x=%2B&x=1"
        async with wire.send("gateway->auth", Outgoing("GET", url, (("Host", "h.test:1"),)), QUICK) as answer:
            body = await answer.read()
    expected = '{"path": "/a/../b%2Fc%20d?x=%2B&x=1", "host": "h.test:1", "peer": "' + f'{net}.9"' + "}"
    assert body.decode() == expected


@asynchronous
async def test_names_come_from_the_sandboxs_dns_server(tmp_path: Path) -> None:
    """A name that the control plane knows is reached by it, another is unknown, a dead server too."""
    net = network()
    plane = FakePlane(names={"auth.z.test": [f"{net}.4"]})
    server = DnsServer(f"{net}.10", plane, tmp_path / "none.json")
    resolver = (f"{net}.10", await server.start())
    async with target(f"{net}.4", hello) as port, made(tmp_path, resolver=resolver) as wire:
        known = await outcome(wire, f"http://auth.z.test:{port}/")
        unknown = await outcome(wire, f"http://other.z.test:{port}/")
        await server.close()
        dead = await outcome(wire, f"http://auth.z.test:{port}/")
    assert known == (200, f'{{"path": "/", "host": "auth.z.test:{port}", "peer": "127.0.0.1"}}'.encode())
    assert (unknown, dead) == (NameUnknownError, NameUnknownError)


@pytest.mark.parametrize(
    "address", ["10.0.1.173", "192.0.2.1", "169.254.169.254", "[2001:db8::1]", "8.8.8.8"]
)
def test_an_address_off_loopback_is_a_black_hole(address: str, tmp_path: Path) -> None:
    """The caller waits out its connect timeout; nothing is sent."""

    async def look() -> None:
        async with made(tmp_path) as wire:
            started = time.monotonic()
            assert await outcome(wire, f"http://{address}:80/") is ConnectTimeoutError
            assert 0.15 < time.monotonic() - started < 0.5

    asynchronous(look)()


@asynchronous
async def test_an_address_that_the_network_keeps_one_from_is_a_black_hole(tmp_path: Path) -> None:
    """What security groups and ACLs drop costs the connect timeout, and is asked anew for each request."""
    net = network()
    parts = {f"{net}.4": "target", f"{net}.9": "caller"}
    async with target(f"{net}.4", hello) as port:
        view = network_view(tmp_path / "network.json", parts, {"caller": {"target": ((port, port),)}})
        async with made(tmp_path, source=f"{net}.9", keep_alive=True, network=view) as wire:
            url = f"http://{net}.4:{port}/"
            before = await outcome(wire, url)
            network_view(tmp_path / "network.json", parts, {"caller": {}})
            started = time.monotonic()
            dropped = await outcome(wire, url)
            waited = time.monotonic() - started
            network_view(tmp_path / "network.json", parts, {"caller": {"target": ((1, 65535),)}})
            after = await outcome(wire, url)
    assert (before[0], dropped, after[0]) == (200, ConnectTimeoutError, 200)
    assert 0.15 < waited < 0.5


@asynchronous
async def test_of_several_addresses_one_that_can_be_reached_is_taken(tmp_path: Path) -> None:
    """A name with two addresses leads to the one that is not dropped."""
    net = network()
    view = network_view(tmp_path / "n.json", {f"{net}.4": "far", f"{net}.9": "caller"}, {"caller": {}})
    plane = FakePlane(names={"m.z.test": [f"{net}.4", f"{net}.5"]})
    server = DnsServer(f"{net}.10", plane, tmp_path / "none.json")
    resolver = (f"{net}.10", await server.start())
    async with (
        target(f"{net}.5", hello) as port,
        made(tmp_path, source=f"{net}.9", resolver=resolver, network=view) as wire,
    ):
        status, _ = await outcome(wire, f"http://m.z.test:{port}/")
    await server.close()
    assert status == 200


@asynchronous
async def test_name_faults_of_an_edge_that_is_not_http(tmp_path: Path) -> None:
    """Whoever connects by other means resolves with the edge, and gets its nxdomain and address."""
    table = tmp_path / "faults.json"
    async with Wire(FaultTable(table), NOBODY, 10.0) as wire:
        plain = await wire.resolve("127.0.0.4", 0.1, "gateway->database")
        write_table(table, [Fault(edge="gateway->database", do=Do(address="10.1.2.3"))])
        moved = await wire.resolve("127.0.0.4", 0.1, "gateway->database")
        write_table(table, [Fault(edge="gateway->database", do=Do(nxdomain=True))])
        with pytest.raises(NameUnknownError):
            await wire.resolve("127.0.0.4", 0.1, "gateway->database")
        other = await wire.resolve("127.0.0.4", 0.1, "mlflow->database")
    assert (plain, moved, other) == (["127.0.0.4"], ["10.1.2.3"], ["127.0.0.4"])


@asynchronous
async def test_a_tasks_localhost_is_the_task(tmp_path: Path) -> None:
    """The name localhost is the caller's own address, not this machine's first one."""
    net = network()
    async with (
        target(f"{net}.4", hello) as port,
        made(tmp_path, source=f"{net}.4") as own,
        made(tmp_path, source=f"{net}.5") as other,
    ):
        seen = [await outcome(wire, f"http://localhost:{port}/") for wire in (own, other)]
    assert seen[0][0] == 200
    assert seen[1] is ConnectRefusedError


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"", BrokenConnectionError),
        (b"not http at all\r\n\r\n", BrokenConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", BrokenConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
        (None, AnswerTimeoutError),
    ],
)
def test_what_a_bad_server_comes_to(reply: bytes | None, expected: object, tmp_path: Path) -> None:
    """Closed early, no HTTP, cut short, silent: each has its error."""

    async def look() -> None:
        net = network()
        async with raw_target(f"{net}.4", reply) as port, made(tmp_path) as wire:
            assert await outcome(wire, f"http://{net}.4:{port}/") == expected

    asynchronous(look)()


@asynchronous
async def test_only_the_sandboxs_certificates_are_trusted(tmp_path: Path) -> None:
    """The CA makes the difference, and so do the name and whether TLS is spoken at all."""
    net = network()
    ca_file, files = certificate(tmp_path, "auth.z.test")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*files)
    plane = FakePlane(names={"auth.z.test": [f"{net}.4"], "wrong.z.test": [f"{net}.4"]})
    server = DnsServer(f"{net}.10", plane, tmp_path / "none.json")
    resolver = (f"{net}.10", await server.start())
    application = web.Application()
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, f"{net}.4", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    async with made(tmp_path, resolver=resolver, ca_file=ca_file) as trusting:
        right = await outcome(trusting, f"https://auth.z.test:{port}/")
        wrong_name = await outcome(trusting, f"https://wrong.z.test:{port}/")
    async with made(tmp_path, resolver=resolver) as distrusting, target(f"{net}.4", hello) as plain:
        untrusted = await outcome(distrusting, f"https://auth.z.test:{port}/")
        no_tls = await outcome(distrusting, f"https://auth.z.test:{plain}/")
    await runner.cleanup()
    await server.close()
    assert right[0] == 200
    assert (wrong_name, untrusted, no_tls) == (TlsError, TlsError, TlsError)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (Do(status=413, body="big", content_type="text/plain"), (413, b"big")),
        (Do(drop=True), ConnectTimeoutError),
        (Do(refuse=True), ConnectRefusedError),
        (Do(reset=True), BrokenConnectionError),
        (Do(nxdomain=True), NameUnknownError),
        (Do(address="10.1.2.3"), ConnectTimeoutError),
        (Do(delay_s=60), AnswerTimeoutError),
        (Do(delay_s=0.1), (200, b"hello")),
        (Do(edit=Edit(body_replace="bye")), (200, b"bye")),
        (Do(edit=Edit(truncate=4)), (200, b"hell")),
        (Do(status=413, body="too big", edit=Edit(truncate=3)), (413, b"too")),
    ],
)
def test_what_a_fault_does(do: Do, expected: object, tmp_path: Path) -> None:
    """Each kind of fault is what a broken edge would be."""

    async def greet(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def look() -> None:
        net = network()
        async with target(f"{net}.4", greet) as port, made(tmp_path, do) as wire:
            assert await outcome(wire, f"http://{net}.4:{port}/") == expected

    asynchronous(look)()


@pytest.mark.parametrize(
    ("rewrite", "path", "kind"),
    [
        (Rewrite(query_keep="last"), "/a?x=%2B3&y=1", "text/plain"),
        (Rewrite(query_keep="first"), "/a?x=1&y=1", "text/plain"),
        (Rewrite(header_set={"content-type": "a/b"}), "/a?x=1&y=1&x=%2B3", "a/b"),
        (Rewrite(header_drop=("content-TYPE",)), "/a?x=1&y=1&x=%2B3", None),
    ],
)
def test_a_rewritten_request(rewrite: Rewrite, path: str, kind: str | None, tmp_path: Path) -> None:
    """One parameter of each name arrives, or other headers; the rest of the request as it was sent."""

    async def told(request: web.Request) -> web.Response:
        return web.json_response([request.raw_path, request.headers.get("Content-Type")])

    async def look() -> None:
        net = network()
        async with target(f"{net}.4", told) as port, made(tmp_path, Do(rewrite=rewrite)) as wire:
            url, headers = f"http://{net}.4:{port}/a?x=1&y=1&x=%2B3", (("Content-Type", "text/plain"),)
            assert await outcome(wire, url, headers=headers) == (200, json.dumps([path, kind]).encode())

    asynchronous(look)()


@asynchronous
async def test_header_edits_and_the_length_of_a_changed_body(tmp_path: Path) -> None:
    """Headers are dropped, set and added; Content-Length follows the new body."""
    edit = Edit(
        header_drop=("Server",), header_set={"X-A": "1"}, header_add={"x-a": "2"}, body_replace="bye!"
    )

    async def greet(_request: web.Request) -> web.Response:
        return web.Response(text="hello", headers={"X-A": "0", "Date": "now"})

    net = network()
    async with (
        target(f"{net}.4", greet) as port,
        made(tmp_path, Do(edit=edit)) as wire,
        wire.send("gateway->auth", Outgoing("GET", f"http://{net}.4:{port}/"), QUICK) as answer,
    ):
        headers = [(name.lower(), value) for name, value in answer.headers.items()]
    assert sorted(headers) == [
        ("connection", "close"),
        ("content-length", "4"),
        ("content-type", "text/plain; charset=utf-8"),
        ("date", "now"),
        ("x-a", "1"),
        ("x-a", "2"),
    ]


@asynchronous
async def test_a_fault_matches_on_the_declared_size(tmp_path: Path) -> None:
    """A limit on large bodies spares small ones."""
    path = tmp_path / "faults.json"
    write_table(path, [Fault(edge="gateway->auth", match=Match(min_body_bytes=10), do=Do(status=413))])

    async def greet(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    net = network()
    async with target(f"{net}.4", greet) as port, Wire(FaultTable(path), NOBODY, 10.0) as wire:
        url = f"http://{net}.4:{port}/"
        seen = [await outcome(wire, url, body=b"x" * size) for size in (9, 10)]
    assert seen == [(200, b"9"), (413, b"")]


def test_headers_of_one_connection_stay_there() -> None:
    """Hop-by-hop headers go, and those that Connection names."""
    headers = [
        ("Connection", "close, X-Mine"),
        ("X-Mine", "1"),
        ("TE", "trailers"),
        ("X-Yours", "2"),
        ("Host", "h"),
    ]
    assert end_to_end(headers) == [("X-Yours", "2"), ("Host", "h")]


async def raw_answer(ip: str, port: int) -> bytes | str:
    """Every byte that comes back until the end, or the kind of error."""
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return await asyncio.wait_for(reader.read(), 2)
    except OSError as error:
        return type(error).__name__
    finally:
        writer.close()


@asynchronous
async def test_a_relayed_answer_has_the_headers_it_was_given(tmp_path: Path) -> None:
    """No Server, Date or Content-Type of this library's own, but the framing that the connection needs."""

    async def pot(request: web.Request) -> web.StreamResponse:
        headers = {"X-A": "1", "TE": "trailers", "Content-Length": "2"}
        return await relay(request, whole(418, headers, b"hi", "Pot"))

    net = network()
    async with target(f"{net}.4", pot) as port:
        seen = await raw_answer(f"{net}.4", port)
    assert seen == b"HTTP/1.1 418 Pot\r\nX-A: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


@asynchronous
async def test_a_connection_is_cut_off_with_a_reset_after_its_silence() -> None:
    """RST and not FIN, once the silence is over."""

    async def cut(request: web.Request) -> web.StreamResponse:
        return await cut_off(request, silent_s=0.3)

    net = network()
    async with target(f"{net}.4", cut) as port:
        started = time.monotonic()
        seen = await raw_answer(f"{net}.4", port)
        waited = time.monotonic() - started
    assert (seen, waited >= 0.3) == ("ConnectionResetError", True)


@asynchronous
async def test_whoever_asked_may_go_before_the_silence_ends() -> None:
    """Cutting off ends with the connection, without an error of its own."""
    ended: asyncio.Future[web.StreamResponse | OSError] = asyncio.get_running_loop().create_future()

    async def cut(request: web.Request) -> web.StreamResponse:
        try:
            ended.set_result(await cut_off(request, silent_s=60))
        except OSError as error:
            ended.set_result(error)
        return web.Response()

    net = network()
    async with target(f"{net}.4", cut) as port:
        _, writer = await asyncio.open_connection(f"{net}.4", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.close()
        seen = await asyncio.wait_for(ended, 2)
    assert isinstance(seen, web.StreamResponse)
