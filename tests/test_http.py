"""The HTTP door against real servers that misbehave, all on the loopback."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import resource
import shlex
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import trustme
from _servers import (
    LOCAL,
    Reply,
    accepting,
    black_hole,
    echo,
    free_port,
    http,
    json_answer,
    resolving,
    says,
    serving,
)

from hokusai_probe.errors import ProbeError
from hokusai_probe.http import Answer, BudgetExhausted, Failure, HttpDoor, Resolution, strict_json
from hokusai_probe.keys import Keys
from hokusai_probe.model import Budget, Hosts, Network, Target, Timeouts, Tls
from hokusai_probe.redact import REDACTED, Redactor

CANARY = "hk_test_Zx9qLmP2vR7tYw4B"
Use = Callable[[HttpDoor], Awaitable[Answer]]


def _door(url: str, *, key: str = CANARY, **target: Any) -> HttpDoor:
    settings: dict[str, Any] = {"timeouts": Timeouts(connect_s=0.4, total_s=1.0), **target}
    whole = Target(name="test", hosts=Hosts(registry=url), **settings)
    keys = Keys.read(whole.key, {"HOKUSAI_API_KEY": key})
    return HttpDoor(whole, keys, Redactor(keys.secrets()))


async def _get(door: HttpDoor) -> Answer:
    return await door.send("GET", "registry", "/x")


def _ask(reply: Reply, use: Use = _get, **target: Any) -> Answer:
    """What the door says of a server that replies so."""

    async def run() -> Answer:
        async with serving(reply) as server, _door(f"http://{LOCAL}:{server.port}", **target) as door:
            return await use(door)

    return asyncio.run(run())


def _at(url: str, use: Use = _get, **target: Any) -> Answer:
    async def run() -> Answer:
        async with _door(url, **target) as door:
            return await use(door)

    return asyncio.run(run())


# --- A platform that is well ----------------------------------------------------------------------


def test_an_answer_holds_what_came() -> None:
    """Status, allowed headers in lower case, type, body, JSON, size and where it came from."""
    answer = _ask(
        says(
            http(
                body=b'{"a": [1]}',
                Content_Type="application/JSON; charset=utf-8",
                Server="s",
                Set_Cookie="c=1",
            )
        )
    )
    assert answer.answered
    assert answer.model_dump(exclude={"elapsed_s", "timing", "url", "reproduce"}) == {
        "method": "GET",
        "path": "/x",
        "status": 200,
        "failure": None,
        "headers": {"content-length": "10", "content-type": "application/JSON; charset=utf-8", "server": "s"},
        "content_type": "application/json",
        "body": '{"a": [1]}',
        "body_bytes": 10,
        "truncated": False,
        "key_form": None,
        "echoes": None,
        "address": LOCAL,
        "sha256": None,
    }
    assert answer.json() == {"a": [1]}
    assert answer.kept == b'{"a": [1]}'
    assert Answer.model_validate_json(answer.model_dump_json()).json() == {"a": [1]}


def test_a_request_goes_out_as_asked() -> None:
    """Path and query are encoded, never normalised; our headers say who we are and refuse compression."""

    async def run() -> bytes:
        async with serving(echo) as server, _door(f"http://u:pw@{LOCAL}:{server.port}/base") as door:
            answer = await door.send(
                "POST",
                "registry",
                "/a/../b c#é",
                query=[("q", "1 &")],
                json={"k": "é"},
                headers={"accept": "text/x"},
            )
            assert answer.url == f"http://{LOCAL}:{server.port}/base/a/../b%20c%23%C3%A9?q=1+%26"
            return server.heads[0].replace(str(server.port).encode(), b"PORT")

    head, *headers = asyncio.run(run()).decode().strip().split("\r\n")
    assert head == "POST /base/a/../b%20c%23%C3%A9?q=1+%26 HTTP/1.1"
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Content-Length: 15",
        "Content-Type: application/json",
        "Host: 127.0.0.1:PORT",
        f"User-Agent: hokusai-probe/{version('hokusai-probe')}",
        "accept: text/x",
    ]


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("bearer", "Authorization: Bearer hk_test_no"),
        ("apikey", "Authorization: ApiKey hk_test_no"),
        ("x-api-key", "X-API-Key: hk_test_no"),
        ("bearer-lower", "Authorization: bearer hk_test_no"),
        ("bearer-two-blanks", "Authorization: Bearer  hk_test_no"),
        ("raw", "Authorization: hk_test_no"),
        ("basic", "Authorization: Basic aGtfdGVzdF9ubzo="),
        ("bearer-no-blank", "Authorization: Bearerhk_test_no"),
    ],
)
def test_each_key_form_is_its_header(form: Any, header: str) -> None:
    """The forms in which the platform takes a key, and those that it should refuse."""

    async def run() -> str:
        async with serving(echo) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            await door.send("GET", "registry", "/", key=form, key_value="hk_test_no")
            return server.heads[0].decode()

    assert header in asyncio.run(run()).split("\r\n")


def test_an_empty_key_is_sent_as_nothing_but_the_scheme() -> None:
    """A header cannot end in a blank."""

    async def run() -> str:
        async with serving(echo) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            assert (await door.send("GET", "registry", "/", key="bearer", key_value="")).answered
            return server.heads[0].decode()

    assert "\r\nAuthorization: Bearer\r\n" in asyncio.run(run())


ECHOES = {
    "the body": (http(body=CANARY.encode()), "bearer", True),
    "a header": (http(location=f"/{CANARY}"), "x-api-key", True),
    "as it was encoded": (http(body=b64encode(f"{CANARY}:".encode())), "basic", True),
    "a fixed text": (http(body=b"Authorization: Bearer YOUR_API_KEY hk_test_"), "bearer", False),
    "nothing": (http(body=b"no"), "bearer", False),
    "no key was sent": (http(body=CANARY.encode()), None, None),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_comes_back_is_noticed_before_it_is_redacted(name: str) -> None:
    """Of a real key, too; and no text that only looks like one counts."""
    reply, form, expected = ECHOES[name]
    found = _ask(says(reply), lambda door: door.send("GET", "registry", "/x", key=form))

    assert found.echoes is expected
    assert CANARY not in found.model_dump_json()


def test_a_made_up_key_in_the_query_is_looked_for_as_well() -> None:
    """It goes into no header, and is compared all the same."""
    fake = "hk_test_nobody-was-ever-given-this-key"

    async def ask(door: HttpDoor) -> Answer:
        return await door.send("GET", "registry", "/x", key="query-fake", key_value=fake)

    assert [_ask(says(http(body=b)), ask).echoes for b in (b"no", fake.encode())] == [False, True]


def test_connections_are_reused_for_reads_only() -> None:
    """Three reads share a connection; a write opens its own, so that its reset has one meaning."""

    async def run() -> tuple[int, int]:
        async with serving(says(http())) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            for _ in range(3):
                await _get(door)
            reads = server.connections
            await door.send("POST", "registry", "/x", json=None, content=b"")
            return reads, server.connections

    assert asyncio.run(run()) == (1, 2)


def test_hash_and_larger_bodies_on_request() -> None:
    """An artifact larger than what is usually read is hashed whole, and kept when the caller says so."""
    data = bytes(range(256)) * 8192

    async def use(door: HttpDoor) -> Answer:
        return await door.send("GET", "registry", "/x", max_bytes=4 << 20, hash_body=True)

    answer = _ask(says(http(body=data)), use)
    assert answer.failure is None
    assert (answer.sha256, answer.body_bytes, answer.kept == data) == (
        hashlib.sha256(data).hexdigest(),
        len(data),
        True,
    )


def test_a_long_body_is_cut_and_still_read_as_json() -> None:
    """The report shows 8 KiB; the look may read all that was kept; a record of it admits that it cannot."""
    answer = _ask(says(json_answer('{"a": "' + "x" * 50_000 + '"}')))
    assert (len(answer.body), answer.truncated, answer.body_bytes) == (8192, True, 50_009)
    assert answer.json() == {"a": "x" * 50_000}
    assert Answer.model_validate_json(answer.model_dump_json()).json() is None


# --- Keys -----------------------------------------------------------------------------------------


def test_an_echoed_key_is_in_no_form_in_what_leaves() -> None:
    """A server that sends back everything it got learns the key; nobody who reads the answer does."""

    async def run() -> list[Answer]:
        forms: list[Any] = ["bearer", "apikey", "x-api-key", "basic", "raw", "bearer-no-blank"]
        async with serving(echo) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            return [await door.send("GET", "registry", "/x", key=form, query=[("a", "b")]) for form in forms]

    for answer in asyncio.run(run()):
        out = answer.model_dump_json() + repr(answer) + str(answer) + answer.curl()
        assert answer.status == 200
        assert REDACTED in answer.body
        assert not [CANARY[i : i + 8] for i in range(1, len(CANARY) - 7) if CANARY[i : i + 8] in out]
        assert "aGtfdGVzdF9aeDlx" not in out


def test_a_redirect_is_a_fact_and_nobody_else_gets_anything() -> None:
    """The location is reported; the other host sees no connection, let alone a key."""

    async def run() -> tuple[Answer, int]:
        async with serving(says(http())) as other:
            location = f"http://{LOCAL}:{other.port}/?api_key=stolen"
            async with (
                serving(says(http("302 Found", location=location))) as server,
                _door(f"http://{LOCAL}:{server.port}") as door,
            ):
                answer = await door.send("GET", "registry", "/x", key="x-api-key")
                return answer, other.connections

    answer, connections = asyncio.run(run())
    assert (answer.status, connections) == (302, 0)
    assert answer.headers["location"].endswith(f"/?api_key={REDACTED}")


@pytest.mark.parametrize(
    "location", ["http://[::1", "javascript:alert(1)", "http://a:99999/", "\x1b[31m::error::x", ""]
)
def test_a_malformed_location_is_only_text(location: str) -> None:
    """What cannot be followed is not followed either."""
    answer = _ask(says(http("302 Found", location=location)))
    assert (answer.status, answer.failure) == (302, None)
    assert "\x1b" not in answer.headers["location"]


@pytest.mark.parametrize(
    "use",
    [
        lambda door: door.send("GET", "registry", f"/x/{CANARY}"),
        lambda door: door.send("GET", "registry", "/x", query=[("k", CANARY)]),
        lambda door: door.send("POST", "registry", "/x", json={"api_key": CANARY}),
        lambda door: door.send("GET", "registry", "/x", key="query-fake"),
        lambda door: door.send("GET", "control", "/", key="bearer"),
    ],
)
def test_a_real_key_goes_only_in_a_header_to_the_target(use: Use) -> None:
    """Anything else is a mistake of ours, found before anything is sent."""

    async def run() -> int:
        async with serving(echo) as server:
            url = f"http://{LOCAL}:{server.port}"
            async with _door(url, network=Network(control_host=url)) as door:
                with pytest.raises(ValueError, match="a real key goes only"):
                    await use(door)
            return server.connections

    assert asyncio.run(run()) == 0


def test_a_key_that_is_not_set_is_our_trouble() -> None:
    """A look that needs a key says so instead of asking without."""
    with pytest.raises(ProbeError, match="needs the second key"):
        _at(
            "http://127.0.0.1:9", lambda door: door.send("GET", "registry", "/", key="bearer", whose="second")
        )


def test_a_key_that_is_issued_in_a_run_is_hidden_from_then_on_and_never_shown_in_a_command() -> None:
    """As the run's own: in a header only, and as a variable that nobody sets for the reader."""
    issued = "a-key-of-no-known-shape-2718281828"

    async def use(door: HttpDoor) -> Answer:
        door.lend(issued)
        with pytest.raises(ValueError, match="only in a header"):
            await door.send("GET", "registry", f"/{issued}")
        with pytest.raises(ValueError, match="only in a header"):
            await door.send("GET", "registry", "/", key="query-fake", key_value=issued)
        return await door.send("GET", "registry", "/x", key="bearer", key_value=issued)

    answer = _ask(echo, use)
    assert f"Bearer {REDACTED}" in answer.body
    assert answer.echoes
    assert issued[:8] not in answer.model_dump_json()
    assert answer.reproduce.startswith("curl ")
    assert '"Authorization: Bearer $ISSUED_KEY"' in answer.reproduce


def test_an_issued_key_is_not_sent_where_others_can_listen() -> None:
    """Over plain http to another machine none is."""

    async def use(door: HttpDoor) -> Answer:
        door.lend("a-key-of-no-known-shape-2718281828")
        return await door.send(
            "GET", "registry", "/", key="bearer", key_value="a-key-of-no-known-shape-2718281828"
        )

    with pytest.raises(ProbeError, match="never sent over plain http"):
        _at("http://192.0.2.1", use)


# --- Slow, large, broken --------------------------------------------------------------------------


def _timed(reply: Reply) -> tuple[Answer, float]:
    started = time.monotonic()
    answer = _ask(reply, timeouts=Timeouts(connect_s=0.4, total_s=0.5))
    return answer, time.monotonic() - started


def test_dripping_headers_end_at_the_total_deadline() -> None:
    """A byte now and then does not extend the deadline."""
    answer, seconds = _timed(says(*[bytes([b]) for b in http(server="x" * 80)], pause_s=0.05))
    assert answer.failure == Failure(
        kind="timeout", code="headers", detail="no whole answer within 0.5 s: its headers had not ended"
    )
    assert 0.45 < seconds < 1.5


def test_a_dripping_body_ends_at_the_total_deadline() -> None:
    """The status is known, what came of the body is kept, and the answer is not whole."""
    answer, seconds = _timed(says(http(body=b"0123456789" * 10)[:-95], *[b"x"] * 95, pause_s=0.05))
    assert answer.failure == Failure(
        kind="timeout", code="body", detail="no whole answer within 0.5 s: its body had not ended"
    )
    assert (answer.status, answer.answered, answer.json()) == (200, False, None)
    assert answer.body.startswith("01234x")
    assert 0.45 < seconds < 1.5


def test_silence_after_the_request_is_a_timeout() -> None:
    """The connection was accepted and no byte came."""
    answer, _ = _timed(says(b""))
    assert answer.failure is not None
    assert (answer.status, answer.failure.kind, answer.failure.code) == (None, "timeout", "headers")


def test_a_black_hole_is_a_connect_timeout() -> None:
    """Nothing accepts: given up at the connect deadline, not at the total one."""
    with black_hole() as port:
        started = time.monotonic()
        answer = _at(f"http://{LOCAL}:{port}", timeouts=Timeouts(connect_s=0.3, total_s=5))
        seconds = time.monotonic() - started
    detail = f"connecting to {LOCAL}:{port} timed out after 0.3 s"
    assert answer.failure == Failure(kind="connect-timeout", detail=detail)
    assert 0.25 < seconds < 1.2


def test_refused() -> None:
    """Nobody listens."""
    port = free_port()
    answer = _at(f"http://{LOCAL}:{port}")
    assert answer.failure == Failure(kind="refused", detail=f"connecting to {LOCAL}:{port} was refused")
    assert answer.address == LOCAL


CUT_SHORT = gzip.compress(b"x" * 5000, mtime=0)[:-12]
BOMB = gzip.compress(b"\0" * (64 << 20), mtime=0)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (http(body=BOMB, content_encoding="gzip"), "too-large", None),
        (http(body=gzip.compress(BOMB, mtime=0), content_encoding="gzip, gzip"), "encoding", "unknown"),
        (http(body=b"x", content_encoding="br"), "encoding", "unknown"),
        (http(body=CUT_SHORT, content_encoding="gzip"), "encoding", "truncated"),
        (http(body=b"not gzip at all", content_encoding="gzip"), "encoding", "damaged"),
        (http(body=b"x" * (1 << 20) + b"y"), "too-large", None),
        (http(server="x" * 150_000), "too-large", "headers"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "malformed", "headers"),
        (b"HTTP/1.1 abc\r\n\r\n", "malformed", "headers"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", "malformed", "headers"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "malformed", "body"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_answer_is_a_typed_failure(answer: bytes, kind: str, code: str | None) -> None:
    """Bombs, floods, truncation and nonsense cost little and are told apart."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    got = _ask(says(answer, then="close"))
    assert got.failure is not None
    assert (got.failure.kind, got.failure.code) == (kind, code)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_gzip_that_was_not_asked_for_is_read() -> None:
    """One encoding within the cap is decoded as the server meant it."""
    answer = _ask(says(http(body=gzip.compress(b'{"a": 1}', mtime=0), content_encoding="gzip")))
    assert (answer.json(), answer.body_bytes) == ({"a": 1}, 8)


def test_large_headers_within_reason_are_read() -> None:
    """Ninety kilobytes of headers are an answer; what is kept of each is short."""
    answer = _ask(says(http(server="x" * 90_000)))
    assert (answer.status, len(answer.headers["server"])) == (200, 500)


def test_status_999_is_a_status() -> None:
    """Whether it makes sense is for a check to say."""
    assert _ask(says(http("999 Very Odd"))).status == 999


def test_a_hostile_reason_phrase_goes_nowhere() -> None:
    """The text beside the status is dropped at the door."""
    answer = _ask(says(b"HTTP/1.1 200 \x1b[31m::error::pwned ##[add-mask]x\r\ncontent-length: 0\r\n\r\n"))
    assert "error" not in answer.model_dump_json()


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (says(b"", then="reset"), None, "headers"),
        (says(b"", then="close"), None, "headers"),
        (says(b"HTTP/1.1 200 OK\r\nser", then="close"), None, "headers"),
        (says(http(body=b"x" * 100)[:-50], then="close"), 200, "body"),
        (says(http(body=b"x" * 100)[:-50], b"x", pause_s=0.05, then="reset"), 200, "body"),
        (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", then="close"), 200, "body"),
    ],
)
def test_a_connection_cut_short_is_a_reset(reply: Reply, status: int | None, code: str) -> None:
    """With no answer, or in the middle of one; the phase tells."""
    answer = _ask(reply)
    assert answer.failure is not None
    assert (answer.status, answer.failure.kind, answer.failure.code) == (status, "reset", code)


@pytest.mark.parametrize("how", ["reset", "close"])
def test_an_idle_connection_that_dies_is_not_the_platforms_fault(how: str) -> None:
    """The second read meets a connection that the server drops on sight: it is sent again on a new one."""

    async def run() -> tuple[list[Answer], int]:
        served = 0

        async def once_each(writer: asyncio.StreamWriter, head: bytes) -> None:
            nonlocal served
            served += 1
            await (says(b"", then=how) if served == 2 else says(http()))(writer, head)

        async with serving(once_each) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            return [await _get(door), await _get(door)], door.requests_sent

    answers, sent = asyncio.run(run())
    assert [(a.status, a.failure) for a in answers] == [(200, None), (200, None)]
    assert sent == 3


def test_a_connection_that_was_idle_too_long_is_closed() -> None:
    """What is too old to be used again is not left open: the server hears its end."""

    async def run() -> list[bytes]:
        now, ends = 0.0, asyncio.Queue[bytes]()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(http())
            ends.put_nowait(await reader.read())

        async with accepting(connected) as port:
            target = Target(name="test", hosts=Hosts(registry=f"http://{LOCAL}:{port}"))
            async with HttpDoor(target, Keys(), Redactor(), clock=lambda: now) as door:
                await _get(door)
                now = 60.0
                await _get(door)
                return [await asyncio.wait_for(ends.get(), 5)]

    assert asyncio.run(run()) == [b""]


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}', "Infinity", "1e999", '{"a": 1, "a": 2}', "[" * 200_000, "[" * 101 + "]" * 101,
        '{"a":' * 200_000, "1" * 5_000, "1" * 25, '"\\ud800"', '{"\\udc00": 1}', "", "<html>", "\ufeff{}",
        '{"a": 1} x', "{'a': 1}",
    ],
)  # fmt: skip
def test_json_that_is_not_strict_is_none(text: str) -> None:
    """Nothing that could not be written into a report again is read out of an answer."""
    assert strict_json(text) is None
    assert _ask(says(json_answer(text[:200_000]))).json() is None


@pytest.mark.parametrize(
    ("text", "value"),
    [('"é\\u00e9\\ud83d\\ude00"', "éé😀"), ("[" * 99 + "]" * 99, None), ("123456789012345678901234", None),
     ("null", None)],
)  # fmt: skip
def test_json_that_is_strict_is_read(text: str, value: object) -> None:
    """Pairs of surrogates, moderate depth and large numbers are JSON."""
    expected = value if value is not None else __import__("json").loads(text)
    assert strict_json(text) == expected


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    """Our own certificate authority and its file."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, str(path)


def _over_tls(
    ca: trustme.CA, ca_file: str | None, *names: str, host: str = LOCAL, **certificate: Any
) -> Answer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, **certificate).configure_cert(context)

    async def run() -> Answer:
        async with (
            serving(says(http(body=b"hi")), tls=context) as server,
            resolving(registry_example=LOCAL) as (resolver, _),
            _door(
                f"https://{host}:{server.port}", tls=Tls(ca_file=ca_file), network=Network(resolver=resolver)
            ) as door,
        ):
            return await _get(door)

    return asyncio.run(run())


def test_tls_is_verified_against_the_name_and_our_authority(authority: tuple[trustme.CA, str]) -> None:
    """Connected by address, verified by name."""
    answer = _over_tls(*authority, "registry.example", host="registry.example")
    assert (answer.status, answer.body, answer.address) == (200, "hi", LOCAL)
    assert f"--cacert {authority[1]}" in answer.curl()


def test_tls_failures_are_told_apart(authority: tuple[trustme.CA, str]) -> None:
    """Expired, wrong name, unknown authority and a plain-text port have different owners."""
    ca, ca_file = authority
    now = datetime.now(UTC)
    old: dict[str, Any] = {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=2)}
    early: dict[str, Any] = {"not_before": now + timedelta(days=1), "not_after": now + timedelta(days=9)}
    name = {"host": "registry.example"}
    answers = [
        _over_tls(ca, ca_file, "registry.example", **name, **old),
        _over_tls(ca, ca_file, "registry.example", **name, **early),
        _over_tls(ca, ca_file, "other.example", **name),
        _over_tls(ca, ca_file, "other.example"),
        _over_tls(ca, None, "registry.example", **name),
        _over_tls(trustme.CA(), ca_file, "registry.example", **name),
    ]
    failures = [answer.failure for answer in answers]
    assert [(f.kind, f.code) for f in failures if f] == [
        ("tls", "expired"),
        ("tls", "not-yet-valid"),
        ("tls", "wrong-name"),
        ("tls", "wrong-name"),
        ("tls", "untrusted"),
        ("tls", "untrusted"),
    ]
    assert failures[0] is not None
    assert failures[0].detail == (
        "the certificate does not hold: certificate has expired (OpenSSL verify code 10)"
    )


def test_https_at_a_plain_port() -> None:
    """A server that speaks no TLS is named as such."""

    async def run() -> Answer:
        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await asyncio.sleep(0.2)

        async with accepting(connected) as port, _door(f"https://{LOCAL}:{port}") as door:
            return await _get(door)

    answer = asyncio.run(run())
    assert answer.failure is not None
    assert (answer.failure.kind, answer.failure.code) == ("tls", "not-tls")


@pytest.mark.parametrize(("then", "kind"), [("keep", "timeout"), ("close", "reset"), ("reset", "reset")])
def test_a_handshake_that_does_not_end_well(then: str, kind: str) -> None:
    """Accepted, and then silence, a close or a reset before the handshake was done."""

    async def run() -> Answer:
        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await says(b"", then=then)(writer, b"")
            await asyncio.sleep(0.6)

        async with accepting(connected) as port, _door(f"https://{LOCAL}:{port}") as door:
            return await _get(door)

    answer = asyncio.run(run())
    assert answer.failure is not None
    assert (answer.failure.kind, answer.failure.code) == (kind, "handshake")


def test_a_ca_file_that_cannot_be_read_is_our_trouble(tmp_path: Path) -> None:
    """The sentence names the setting; no traceback of ssl."""
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "absent.pem"):
        with pytest.raises(ProbeError, match=r"\[tls\] ca_file .*cannot be read"):
            _at("https://127.0.0.1:9", tls=Tls(ca_file=str(path)))


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "code"),
    [("nxdomain", "nxdomain"), ("servfail", "servfail"), ("", "no-address"), (None, "timeout")],
)
def test_a_name_that_does_not_resolve(address: str | None, code: str) -> None:
    """Absent, broken, empty and silent are different failures of the name, and no connection is tried."""

    async def run() -> tuple[Answer, Resolution]:
        async with (
            resolving(registry_example=address) as (resolver, _),
            _door("http://registry.example", network=Network(resolver=resolver)) as door,
        ):
            return await _get(door), await door.resolve("registry")

    answer, resolution = asyncio.run(run())
    assert answer.failure == resolution.failure
    assert answer.failure is not None
    assert (answer.failure.kind, answer.failure.code, answer.address) == ("dns", code, None)
    assert answer.failure.detail.startswith("registry.example: ")


def test_the_targets_resolver_decides_where_a_name_is() -> None:
    """The Host header is the name, the connection goes to the address; addresses are tried in turn."""

    async def run() -> tuple[Answer, bytes, Resolution]:
        async with (
            serving(says(http()), host="127.0.0.5") as server,
            resolving(registry_example="127.0.0.5 127.0.0.2") as (resolver, _),
            _door(f"http://registry.example:{server.port}", network=Network(resolver=resolver)) as door,
        ):
            resolution = await door.resolve("registry")
            return await _get(door), server.heads[0], resolution

    answer, head, resolution = asyncio.run(run())
    assert resolution == Resolution(name="registry.example", addresses=("127.0.0.2", "127.0.0.5"))
    assert (answer.status, answer.address) == (200, "127.0.0.5")
    assert b"\r\nHost: registry.example:" in head
    assert f"--resolve registry.example:{answer.url.split(':')[2].split('/')[0]}:127.0.0.5" in answer.curl()


def test_many_requests_ask_for_a_name_once() -> None:
    """Two questions (IPv4 and IPv6), however many requests wait for them."""

    async def run() -> list[str]:
        async with (
            serving(says(http())) as server,
            resolving(registry_example=LOCAL) as (resolver, asked),
            _door(f"http://registry.example:{server.port}", network=Network(resolver=resolver)) as door,
        ):
            answers = await asyncio.gather(*(_get(door) for _ in range(10)))
            assert [a.status for a in answers] == [200] * 10
            return asked

    assert asyncio.run(run()) == ["registry.example"] * 2


def test_the_systems_resolver() -> None:
    """Without a resolver in the target, the system is asked; an address needs none."""

    async def run() -> tuple[Resolution, Resolution]:
        async with _door("http://localhost") as door, _door("http://127.0.0.9") as other:
            return await door.resolve("registry"), await other.resolve("registry")

    named, literal = asyncio.run(run())
    assert LOCAL in named.addresses
    assert literal == Resolution(name="127.0.0.9", addresses=("127.0.0.9",))


def test_a_resolver_that_is_no_address_is_refused() -> None:
    """The sentence says what to write."""
    with pytest.raises(ProbeError, match=r"as in 10\.0\.0\.2:53"):
        _door("http://registry.example", network=Network(resolver="dns.example:x"))


@pytest.mark.parametrize("url", ["ftp://a.example", "http://", "http://a:99999", "http://[::1", "nothing"])
def test_a_host_that_is_no_url(url: str) -> None:
    """A typed failure, like everything else."""
    answer = _at(url)
    assert answer.failure == Failure(
        kind="bad-url", detail="the target's registry host is not an http or https URL"
    )


def test_a_host_that_the_target_does_not_have() -> None:
    """Asking for the auth host of a plain server is answered calmly."""
    answer = _at("http://127.0.0.1:9", lambda door: door.send("GET", "auth", "/"))
    assert answer.failure == Failure(kind="bad-url", detail="the target has no auth host")


def test_a_path_without_a_slash_cannot_change_the_host() -> None:
    """``@evil.example`` would otherwise become one."""
    answer = _at("http://127.0.0.1:9", lambda door: door.send("GET", "registry", "@evil.example/"))
    assert answer.failure == Failure(kind="bad-url", detail="a path starts with a slash")


# --- Budgets and commands -------------------------------------------------------------------------


def test_the_budget_of_requests_is_enforced() -> None:
    """The request after the last allowed one is not sent, and that is our trouble."""

    async def use(door: HttpDoor) -> Answer:
        await _get(door)
        with pytest.raises(BudgetExhausted, match="budget of 1 requests is used up"):
            await _get(door)
        assert door.requests_sent == 1
        return Answer(method="", url="", path="")

    _ask(says(http()), use, budget=Budget(requests=1))


def test_the_budget_of_bytes_is_enforced() -> None:
    """Reading stops in the middle of a body."""
    with pytest.raises(BudgetExhausted, match="budget of 1000 bytes is used up"):
        _ask(says(http(body=b"x" * 5000)), budget=Budget(bytes=1000))


def test_the_command_repeats_the_request() -> None:
    """Pasted with the key in its variable, curl sends what the door sent; no key is in it."""

    async def run() -> tuple[list[bytes], str]:
        async with serving(echo) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            answer = await door.send(
                "POST", "registry", "/a/../b", key="bearer", query=[("q", "it's")], json={"a": "it's"}
            )
            command = answer.curl()
            process = await asyncio.create_subprocess_shell(
                command, env={"HOKUSAI_API_KEY": CANARY, "PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL
            )
            await process.wait()
            return server.heads, command

    (ours, theirs), command = asyncio.run(run())
    assert CANARY not in command
    kept = (b"POST", b"Host", b"Authorization", b"Content-Type", b"Content-Length")
    lines = [sorted(x for x in head.split(b"\r\n") if x.startswith(kept)) for head in (ours, theirs)]
    assert lines[0] == lines[1]


def test_the_command_has_a_body_that_can_be_pasted() -> None:
    """The body itself: never a file that is not there."""
    assert shlex.split(_sent(content=b'{"a": 1}'))[-2:-1] == ['{"a": 1}']


@pytest.mark.parametrize("content", [b"\x80\x00", b"a\nb", b"x" * 1001])
def test_what_cannot_be_pasted_is_replaced_by_as_many_zeros(content: bytes) -> None:
    """A refusal for its size is met again."""
    words = shlex.split(_sent(content=content))
    assert words[:6] == ["head", "-c", str(len(content)), "/dev/zero", "|", "curl"]
    assert words[-3:-1] == ["--data-binary", "@-"]


@pytest.mark.parametrize(
    ("fake", "given"), [("hk_test_nobody", "INVALID_KEY=hk_test_...; "), ("", "INVALID_KEY=''; ")]
)
def test_the_variable_of_a_made_up_key_is_set_where_it_is_used(fake: str, given: str) -> None:
    """The redactor leaves it as it is."""
    said = _sent(key="bearer", key_value=fake)
    assert said.startswith(f"{given}curl ")
    assert '"Authorization: Bearer $INVALID_KEY"' in said


def _sent(**given: Any) -> str:
    """The command that repeats a request."""

    async def run() -> str:
        async with serving(says(http())) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            return (await door.send("PUT", "registry", "/x", **given)).curl()

    return asyncio.run(run())


def test_the_command_can_name_another_host() -> None:
    """For a person who reaches the platform by another way."""
    answer = _ask(says(http()))
    assert shlex.split(answer.curl(base="https://registry.example"))[-1] == "https://registry.example/x"


# --- Manners --------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://registry.example", "http://192.0.2.7:8080"])
def test_a_key_is_never_sent_over_plain_http_to_another_machine(url: str) -> None:
    """Before any packet: not to a name, not to an address. Without a key the request would be sent."""
    with pytest.raises(ProbeError, match="never sent over plain http"):
        _at(url, lambda door: door.send("GET", "registry", "/x", key="bearer"))


def test_an_origin_that_lets_requests_run_out_of_time_is_not_asked_again() -> None:
    """The second request takes no time and is not sent; its failure is the first one's."""

    async def twice() -> tuple[Answer, Answer, int]:
        async with serving(says(then="keep")) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            first = await door.send("GET", "registry", "/x", total_s=0.3)
            second = await door.send("GET", "registry", "/y", total_s=0.3)
            return first, second, door.requests_sent

    first, second, sent = asyncio.run(twice())
    assert first.failure == second.failure
    assert first.failure is not None
    assert first.failure.kind == "timeout"
    assert second.elapsed_s < 0.1
    assert sent == 1


def test_an_origin_that_answered_once_is_asked_again_after_a_slow_answer() -> None:
    """One slow answer among good ones says nothing of the others."""
    replies = [json_answer("{}"), b"", json_answer("{}")]

    async def reply(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(replies.pop(0))
        await writer.drain()

    async def three() -> list[int | None]:
        async with serving(reply) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            posts = [await door.send("POST", "registry", "/x", total_s=0.3) for _ in range(3)]
            return [answer.status for answer in posts]

    assert asyncio.run(three()) == [200, None, 200]


def test_at_most_six_requests_are_under_way_at_one_origin() -> None:
    """Twenty at once come in sixes at most: a probe must not be the load that it measures."""
    under_way, most = 0, 0

    async def reply(writer: asyncio.StreamWriter, head: bytes) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.03)
        under_way -= 1
        writer.write(json_answer("{}"))
        await writer.drain()

    async def twenty() -> None:
        async with serving(reply) as server, _door(f"http://{LOCAL}:{server.port}") as door:
            await asyncio.gather(*(door.send("GET", "registry", f"/{i}") for i in range(20)))

    asyncio.run(twenty())
    assert most == 6
