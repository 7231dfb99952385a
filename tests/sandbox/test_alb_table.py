"""The load balancer's rules as a table, each row with the AWS page that it follows.

Every row runs against the load balancer itself, on a socket; the routing rows run against a second,
independent load balancer as well (ministack's). `Row.other` says where that one differs; the row's page says
who is right.
"""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from data_side import NOBODY, FakePlane, asynchronous, default, forward, group, network, raw_target, target

from hokusai_probe.sandbox import control_plane
from hokusai_probe.sandbox.load_balancer import LoadBalancer
from hokusai_probe.sandbox.state import Action, Condition, Health, Listener, RegisteredTarget, Rule

CONDITIONS = "Condition types for listener rules"
RULES = "Listener rules for your Application Load Balancer"
ACTIONS = "Action types for listener rules"
HEADERS = "HTTP headers and Application Load Balancers"
ATTRIBUTES = "Edit attributes for your Application Load Balancer"
TRACING = "Request tracing for your Application Load Balancer"
TARGETS = "Target groups for your Application Load Balancers"
TROUBLE = "Troubleshoot your Application Load Balancers"
QUOTAS = "Quotas for your Application Load Balancers"


@dataclass(frozen=True)
class Row:
    """One request to a listener, and the rule that takes it."""

    name: str
    page: str
    rules: Mapping[str, Sequence[dict[str, Any]]]  # name -> conditions as the API has them, in priority order
    wins: str
    target: str = "/"
    method: str = "GET"
    host: str = "registry.example.com"
    headers: tuple[tuple[str, str], ...] = ()
    other: str = ""  # what ministack takes instead, when it does


def _condition(field: str, config: str, **values: object) -> dict[str, Any]:
    return {"Field": field, config: values}


def path(*values: str) -> dict[str, Any]:
    """A path-pattern condition as the API has it."""
    return _condition("path-pattern", "PathPatternConfig", Values=list(values))


def host(*values: str) -> dict[str, Any]:
    """A host-header condition."""
    return _condition("host-header", "HostHeaderConfig", Values=list(values))


def header(name: str, *values: str) -> dict[str, Any]:
    """An http-header condition."""
    return _condition("http-header", "HttpHeaderConfig", HttpHeaderName=name, Values=list(values))


def method(*values: str) -> dict[str, Any]:
    """An http-request-method condition."""
    return _condition("http-request-method", "HttpRequestMethodConfig", Values=list(values))


def query(*values: tuple[str, str] | str) -> dict[str, Any]:
    """A query-string condition: pairs, or values alone."""
    pairs = [{"Value": one} if isinstance(one, str) else {"Key": one[0], "Value": one[1]} for one in values]
    return _condition("query-string", "QueryStringConfig", Values=pairs)


def source(*values: str) -> dict[str, Any]:
    """A source-ip condition."""
    return _condition("source-ip", "SourceIpConfig", Values=list(values))


def one(*conditions: dict[str, Any]) -> dict[str, Sequence[dict[str, Any]]]:
    """A rule set of one rule."""
    return {"rule": conditions}


_P, _H, _Q = f"{CONDITIONS}, Path conditions", f"{CONDITIONS}, Host conditions", f"{CONDITIONS}, Query string"
_HH, _M = f"{CONDITIONS}, HTTP header conditions", f"{CONDITIONS}, HTTP request method conditions"
_S, _B = f"{CONDITIONS}, Source IP address conditions", f"{CONDITIONS}, Condition basics"
_AGENT = (("User-Agent", "Mozilla/5.0 chrome/99"),)

# Where ministack differs, AWS's pages are against it: it takes brackets for sets, minds the case of hosts,
# sees only the last of a header sent twice, and holds every query-string and source-ip condition for true.
ROWS = [
    Row("path-equal", _P, one(path("/api")), "rule", "/api"),
    Row("path-is-whole", _P, one(path("/api")), "default", "/api/x"),
    Row("path-star-is-any-number", _P, one(path("/api/*")), "rule", "/api/a/b/c"),
    Row("path-star-may-be-empty", _P, one(path("/api/*")), "rule", "/api/"),
    Row("path-star-needs-its-slash", _P, one(path("/api/*")), "default", "/api"),
    Row("path-star-in-the-middle", _P, one(path("/a/*/z")), "rule", "/a/b/c/z"),
    Row("path-question-is-one", _P, one(path("/a?c")), "rule", "/abc"),
    Row("path-question-is-not-none", _P, one(path("/a?c")), "default", "/ac"),
    Row("path-question-is-not-two", _P, one(path("/a?c")), "default", "/abbc"),
    Row("path-knows-case", _P, one(path("/API/*")), "default", "/api/x"),
    Row("path-is-no-regular-expression", _P, one(path("/a.c+")), "default", "/abc"),
    Row("path-brackets-are-letters", _P, one(path("/a[bc]")), "default", "/ab", other="rule"),
    Row("path-leaves-the-query-out", _P, one(path("/api/*")), "default", "/x?to=/api/y"),
    Row("path-before-the-query", _P, one(path("/api/x")), "rule", "/api/x?y=1"),
    Row("path-several-values-or", _B, one(path("/mlflow", "/mlflow/*")), "rule", "/mlflow"),
    Row("path-several-values-none", _B, one(path("/mlflow", "/mlflow/*")), "default", "/mlflows"),
    Row("host-equal", _H, one(host("registry.example.com")), "rule"),
    Row("host-knows-no-case", _H, one(host("Registry.Example.com")), "rule", other="default"),
    Row("host-sent-in-capitals", _H, one(host("registry.example.com")), "rule", host="REGISTRY.example.com",
        other="default"),
    Row("host-without-its-port", _H, one(host("registry.example.com")), "rule",
        host="registry.example.com:80"),
    Row("host-star", _H, one(host("*.example.com")), "rule"),
    Row("host-star-needs-its-dot", _H, one(host("*.example.com")), "default", host="example.com"),
    Row("host-question", _H, one(host("registr?.example.com")), "rule"),
    Row("host-several-values", _B, one(host("auth.example.com", "registry.example.com")), "rule"),
    Row("header-star", _HH, one(header("User-Agent", "*Chrome*")), "rule", headers=_AGENT),
    Row("header-other-value", _HH, one(header("User-Agent", "*Safari*")), "default", headers=_AGENT),
    Row("header-name-knows-no-case", _HH, one(header("x-tier", "gold")), "rule",
        headers=(("X-TIER", "gold"),)),
    Row("header-value-knows-no-case", _HH, one(header("X-Tier", "gold")), "rule",
        headers=(("X-Tier", "GOLD"),)),
    Row("header-missing", _HH, one(header("X-Tier", "*")), "default"),
    Row("header-any-of-its-values", _HH, one(header("X-Tier", "silver", "gold")), "rule",
        headers=(("X-Tier", "gold"),)),
    Row("header-sent-twice", _HH, one(header("X-Tier", "gold")), "rule",
        headers=(("X-Tier", "lead"), ("X-Tier", "gold")), other="default"),
    Row("header-twice-as-two-conditions", _B, one(header("X-A", "1"), header("X-B", "2")), "default",
        headers=(("X-A", "1"),)),
    Row("method-equal", _M, one(method("PUT")), "rule", method="PUT"),
    Row("method-other", _M, one(method("PUT")), "default"),
    Row("method-several-values", _M, one(method("GET", "PUT")), "rule"),
    Row("method-of-ones-own", _M, one(method("PURGE")), "rule", method="PURGE"),
    Row("method-head-is-not-get", _M, one(method("GET")), "default", method="HEAD"),
    Row("query-pair", _Q, one(query(("version", "v1"))), "rule", "/?version=v1"),
    Row("query-pair-other-value", _Q, one(query(("version", "v1"))), "default", "/?version=v2", other="rule"),
    Row("query-pair-among-others", _Q, one(query(("version", "v1"))), "rule", "/?a=b&version=v1&c=d"),
    Row("query-knows-no-case", _Q, one(query(("version", "v1"))), "rule", "/?VERSION=V1"),
    Row("query-star", _Q, one(query(("version", "v*"))), "rule", "/?version=v17"),
    Row("query-value-of-any-key", _Q, one(query("*example*")), "rule", "/?q=an-example-1"),
    Row("query-value-is-no-key", _Q, one(query("example")), "default", "/?example=1", other="rule"),
    Row("query-any-of-its-values", _Q, one(query(("a", "1"), ("b", "2"))), "rule", "/?b=2"),
    Row("query-two-conditions", _B, one(query(("a", "1")), query(("b", "2"))), "default", "/?b=2",
        other="rule"),
    Row("query-escaped-star", _Q, one(query(("a", r"1\*"))), "rule", "/?a=1*"),
    Row("query-escaped-star-is-no-wildcard", _Q, one(query(("a", r"1\*"))), "default", "/?a=12",
        other="rule"),
    Row("query-percent-encoded", _Q, one(query(("a", "b c"))), "rule", "/?a=b%20c"),
    Row("query-none", _Q, one(query(("a", "1"))), "default", "/", other="rule"),
    Row("source-inside", _S, one(source("127.0.0.0/8")), "rule"),
    Row("source-outside", _S, one(source("10.0.0.0/8")), "default", other="rule"),
    Row("source-several-values", _S, one(source("192.0.2.0/24", "127.0.0.0/8")), "rule"),
    Row("source-is-the-peer-not-a-header", _S, one(source("10.0.0.0/8")), "default", other="rule",
        headers=(("X-Forwarded-For", "10.1.2.3"),)),
    Row("conditions-all", _B, one(path("/api/*"), host("registry.*"), method("GET")), "rule", "/api/x"),
    Row("conditions-not-all", _B, one(path("/api/*"), host("auth.*"), method("GET")), "default", "/api/x"),
    Row("priority-lowest-first", RULES, {"first": [path("/api/x")], "second": [path("/api/*")]}, "first",
        "/api/x"),
    Row("priority-not-the-most-specific", RULES, {"first": [path("/api/*")], "second": [path("/api/x")]},
        "first", "/api/x"),
    Row("priority-next-when-it-fails", RULES, {"first": [path("/api/x")], "second": [path("/api/*")]},
        "second", "/api/y"),
    Row("default-last", RULES, {"first": [path("/a")], "second": [path("/b")]}, "default", "/c"),
    Row("default-of-no-rules", RULES, {}, "default", "/a"),
]  # fmt: skip


@dataclass
class Balancer:
    """A load balancer on a network of its own, and what it reads."""

    plane: FakePlane
    net: str
    balancer: LoadBalancer
    health: dict[tuple[str, str, int], Health] = field(default_factory=dict)

    def listens(self, *rules: Rule, port: int = 80) -> None:
        """Give the listener these rules."""
        self.plane.listening = [Listener("l", "registry", port, "HTTP", rules)]

    async def say(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer to these bytes, with the connection closed at its end."""
        endpoint = next(iter((await self.balancer.refresh()).values()))
        return await _exchange((endpoint.ip, endpoint.port), request)

    async def ask(
        self,
        where: str = "/",
        verb: str = "GET",
        name: str = "registry.example.com",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body."""
        return _parsed(*await self.say(_request(where, verb, name, headers, body)))


def _request(where: str, verb: str, name: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    sized = [("Content-Length", str(len(body)))] if body else []
    lines = [f"{key}: {value}" for key, value in (("Host", name), *headers, *sized, ("Connection", "close"))]
    return "\r\n".join([f"{verb} {where} HTTP/1.1", *lines, "", ""]).encode() + body


async def _exchange(address: tuple[str, int], request: bytes) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(-1), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def _parsed(head: bytes, body: bytes) -> tuple[int, dict[str, str], bytes]:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


@asynccontextmanager
async def balancing(tmp_path: Path) -> AsyncIterator[Balancer]:
    """A load balancer whose listener is still to come."""
    plane, net = FakePlane(), network()
    health: dict[tuple[str, str, int], Health] = {}
    made = LoadBalancer("registry", f"{net}.3", plane, tmp_path / "faults.json", NOBODY, 10.0, health)
    try:
        yield Balancer(plane, net, made, health)
    finally:
        await made.close()


def says(text: str) -> Action:
    """A fixed response."""
    return Action("fixed-response", status=200, content_type="text/plain", body=text)


def rules_of(row: Row) -> list[Rule]:
    """The row's rules as the load balancer reads them of the control plane."""
    read: list[Rule] = []
    for priority, (name, conditions) in enumerate(row.rules.items(), start=1):
        parts: tuple[Condition, ...] = tuple(control_plane._condition(part) for part in conditions)
        read.append(Rule(name, priority * 10, parts, (says(name),)))
    return [*reversed(read), default(says("default"))]


async def _winner(box: Balancer, row: Row) -> str:
    box.listens(*rules_of(row))
    # The answer to a HEAD has no body; its rule is told by the length that it would have.
    status, headers, body = await box.ask(row.target, row.method, row.host, row.headers)
    assert status == 200
    lengths = {str(len(name)): name for name in (*row.rules, "default")}
    return body.decode() if row.method != "HEAD" else lengths[headers["content-length"]]


@asynchronous
async def test_which_rule_takes_a_request(tmp_path: Path) -> None:
    """Every row of the table, over the wire; rules reach the balancer out of order."""
    async with balancing(tmp_path) as box:
        took = {row.name: await _winner(box, row) for row in ROWS}
    assert took == {row.name: row.wins for row in ROWS}


def test_the_table_is_one() -> None:
    """Names are unique, and each row names a page of AWS's."""
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {row.page.split(",")[0] for row in ROWS} == {CONDITIONS, RULES}


# --- a second opinion ---


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Ministack's own AWS and load balancers, as a boto3 client of its elbv2."""
    ip = f"{network()}.60"
    with socket.socket() as free:
        free.bind((ip, 0))
        port = free.getsockname()[1]
    directory = tmp_path_factory.mktemp("ministack")
    quiet = {"BIND_HOST": ip, "GATEWAY_PORT": str(port), "HOME": str(directory), "PATH": os.environ["PATH"]}
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack.app"],
        env=quiet,
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_open(process, (ip, port))
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        made = boto3.session.Session().client(
            "elbv2", endpoint_url=f"http://{ip}:{port}", region_name="us-east-1", config=config,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        with contextlib.closing(made):
            yield made
    finally:
        process.kill()
        process.wait()


def _until_open(process: "subprocess.Popen[bytes]", address: tuple[str, int]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(address, 0.2).close()
            return
        time.sleep(0.02)
    sentence = "ministack did not start"
    raise AssertionError(sentence)


def _fixed(text: str) -> list[Any]:
    response = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": text}
    return [{"Type": "fixed-response", "FixedResponseConfig": response}]


def _listener(client: Any, name: str, actions: list[Any]) -> str:
    made = client.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
    listener = client.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=actions
    )
    return str(listener["Listeners"][0]["ListenerArn"])


async def _elsewhere(client: Any, row: Row) -> str:
    listener = _listener(client, row.name[:32].strip("-"), _fixed("default"))
    for priority, (name, conditions) in enumerate(row.rules.items(), start=1):
        client.create_rule(
            ListenerArn=listener, Priority=priority * 10, Conditions=list(conditions), Actions=_fixed(name)
        )
    where = f"/_alb/{row.name[:32].strip('-')}{row.target}"
    return (await _ask_elsewhere(client, where, row))[2].decode()


async def _ask_elsewhere(client: Any, where: str, row: Row) -> tuple[int, dict[str, str], bytes]:
    ip, _, port = client.meta.endpoint_url.removeprefix("http://").partition(":")
    request = _request(where, row.method, row.host, row.headers, b"")
    return _parsed(*await _exchange((ip, int(port)), request))


@asynchronous
async def _compare(client: Any) -> None:
    rows = [row for row in ROWS if row.method != "HEAD"]
    took = {row.name: await _elsewhere(client, row) for row in rows}
    assert took == {row.name: row.other or row.wins for row in rows}


def test_another_load_balancer_agrees_but_for_the_rows_that_say_so(other: Any) -> None:
    """Ministack takes the same rule; where it does not, the row says what it takes instead."""
    _compare(other)


# --- actions ---

REDIRECTS = [
    ("https", {"Protocol": "HTTPS", "Port": "443"}, "https://registry.example.com:443/a/b?x=1&y=%2F"),
    ("port", {"Port": "8443"}, "http://registry.example.com:8443/a/b?x=1&y=%2F"),
    ("host", {"Host": "www.#{host}"}, "http://www.registry.example.com:80/a/b?x=1&y=%2F"),
    ("path", {"Path": "/new/#{path}"}, "http://registry.example.com:80/new/a/b?x=1&y=%2F"),
    ("query", {"Path": "/z", "Query": "#{query}&from=#{protocol}"},
     "http://registry.example.com:80/z?x=1&y=%2F&from=HTTP"),
    ("no-query", {"Path": "/z", "Query": ""}, "http://registry.example.com:80/z?x=1&y=%2F"),
    ("all", {"Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Query": "#{query}",
             "Path": "/#{host}/#{port}/#{path}"}, "http://registry.example.com:80/registry.example.com/80/a/b?x=1&y=%2F"),
]  # fmt: skip
"""Redirect actions ("Action types for listener rules", Redirect actions) and where they lead from /a/b."""

_REDIRECT_DIFFERS = {
    "query": "http://registry.example.com:80/z?x=1&y=%2F&from=#{protocol}",
    "all": "http://registry.example.com:80/#{host}/#{port}/a/b?x=1&y=%2F",
}
"""Where ministack leads instead: it knows a keyword in its own part only. The page allows them in others."""


@pytest.mark.parametrize("code", ["HTTP_301", "HTTP_302"])
@asynchronous
async def test_where_redirects_lead(code: str, tmp_path: Path) -> None:
    """Every keyword, both codes, the port always written (here: where the listener can be reached)."""
    expected = {name: (int(code[5:]), location) for name, _, location in REDIRECTS}
    seen = {}
    async with balancing(tmp_path) as box:
        for name, config, _ in REDIRECTS:
            box.listens(default(Action("redirect", redirect={**config, "StatusCode": code})))
            front = (await box.balancer.refresh())[80].port
            status, headers, body = await box.ask("/a/b?x=1&y=%2F")
            seen[name] = (status, headers["location"].replace(f":{front}/", ":80/"))
            assert body == page("301 Moved Permanently" if code == "HTTP_301" else "302 Found")
    assert seen == expected


def test_another_load_balancer_leads_to_the_same_places(other: Any) -> None:
    """The same redirects of ministack's."""

    @asynchronous
    async def look() -> None:
        seen = {}
        for name, config, _ in REDIRECTS:
            given = {key: value for key, value in config.items() if value}
            action = {"Type": "redirect", "RedirectConfig": {**given, "StatusCode": "HTTP_301"}}
            _listener(other, f"redirect-{name}", [action])
            row = Row(name, ACTIONS, {}, "default")
            seen[name] = (await _ask_elsewhere(other, f"/_alb/redirect-{name}/a/b?x=1&y=%2F", row))[1][
                "location"
            ]
        assert seen == {name: _REDIRECT_DIFFERS.get(name, location) for name, _, location in REDIRECTS}

    look()


def page(title: str) -> bytes:
    """A page of the load balancer's own."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Action("fixed-response", status=404, content_type="text/plain", body="Not Found"),
         (404, "text/plain; charset=utf-8", b"Not Found")),
        (Action("fixed-response", status=503, content_type="application/json", body='{"a": 1}'),
         (503, "application/json; charset=utf-8", b'{"a": 1}')),
        (Action("fixed-response", status=200), (200, "text/plain; charset=utf-8", b"")),
    ],
)  # fmt: skip
@asynchronous
async def test_fixed_responses(action: Action, expected: tuple[int, str, bytes], tmp_path: Path) -> None:
    """Status, content type with its character set, body, also an empty one, from ``awselb/2.0`` (ACTIONS)."""
    async with balancing(tmp_path) as box:
        box.listens(default(action))
        status, headers, body = await box.ask()
    assert (status, headers["content-type"], body) == expected
    assert (headers["server"], headers["content-length"]) == ("awselb/2.0", str(len(body)))


@asynchronous
async def test_weights_share_and_zero_gets_nothing(tmp_path: Path) -> None:
    """Twice the weight, twice the requests; weight 0 none; all 0 is a 503 (ACTIONS, Forward actions)."""
    async with balancing(tmp_path) as box, _named_target(box, "40") as a, _named_target(box, "41") as b:
        box.plane.groups = [group("a", a), group("b", b), group("c", a)]
        box.plane.idle_s = box.plane.connect_s = 5.0  # on a busy machine one of thirty may be late
        box.listens(default(forward(("a", 2), ("b", 1), ("c", 0))))
        shares = Counter([(await box.ask())[2] for _ in range(30)])
        box.listens(default(forward(("a", 0))))
        nobody = await box.ask()
    assert shares == {b"40": 20, b"41": 10}
    assert (nobody[0], nobody[2]) == (503, page("503 Service Temporarily Unavailable"))


@asynccontextmanager
async def _named_target(box: Balancer, number: str) -> AsyncIterator[tuple[str, int]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=number)

    async with target(f"{box.net}.{number}", answer) as port:
        yield f"{box.net}.{number}", port


@asynchronous
async def test_who_gets_requests(tmp_path: Path) -> None:
    """None registered: 503. One healthy: it alone. None healthy: all (TARGETS, health; TROUBLE, 503)."""
    async with balancing(tmp_path) as box, _named_target(box, "40") as a, _named_target(box, "41") as b:
        box.listens(default(forward("g")))
        seen: list[object] = []
        for targets, states in (
            ((), ()),
            ((a, b), ("healthy", "unhealthy")),
            ((a, b), ("unhealthy", "unhealthy")),
            ((a, b), ("initial", "unhealthy")),
        ):
            box.plane.groups = [group("g", *targets)]
            box.health.update({("g", *at): Health(state) for at, state in zip(targets, states, strict=True)})
            seen.append(Counter([(await box.ask())[0::2] for _ in range(4)]))
        draining = replace(
            group("g", a, b), targets=(RegisteredTarget(*a, draining=True), RegisteredTarget(*b))
        )
        box.plane.groups = [draining]
        seen.append(Counter([(await box.ask())[0::2] for _ in range(4)]))
    nobody = (503, page("503 Service Temporarily Unavailable"))
    both = {(200, b"40"): 2, (200, b"41"): 2}
    assert seen == [{nobody: 4}, {(200, b"40"): 4}, both, both, {(200, b"41"): 4}]


FAILURES = [
    ("closes", b"", "502 Bad Gateway"),
    ("no-http", b"SSH-2.0-OpenSSH\r\n", "502 Bad Gateway"),
    ("malformed-header", b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "502 Bad Gateway"),
    ("bad-length", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "502 Bad Gateway"),
    ("header-above-32-kilobytes", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
     + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(5)) + b"\r\n", "502 Bad Gateway"),
    ("silent", None, "504 Gateway Time-out"),
]  # fmt: skip
"""What a target does, and the page that clients get (TROUBLE: HTTP 502, HTTP 504; QUOTAS: HTTP headers)."""


@pytest.mark.parametrize(("name", "reply", "title"), FAILURES, ids=[row[0] for row in FAILURES])
@asynchronous
async def test_targets_that_fail(name: str, reply: bytes | None, title: str, tmp_path: Path) -> None:
    """The load balancer's own page, byte for byte."""
    async with balancing(tmp_path) as box, raw_target(f"{box.net}.40", reply) as port:
        box.plane.groups = [group("g", (f"{box.net}.40", port))]
        box.listens(default(forward("g")))
        status, headers, body = await box.ask()
    assert (name, f"{status}", headers["server"], headers["content-type"], body) == (
        name, title[:3], "awselb/2.0", "text/html", page(title),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("where", "title"), [("refused", "502 Bad Gateway"), ("black-hole", "504 Gateway Time-out")]
)
@asynchronous
async def test_targets_that_cannot_be_reached(where: str, title: str, tmp_path: Path) -> None:
    """A refused connection is a 502; none within the connection timeout a 504 (TROUBLE)."""
    async with balancing(tmp_path) as box:
        at = (f"{box.net}.40", 9) if where == "refused" else ("10.0.1.173", 8001)
        box.plane.groups = [group("g", at)]
        box.listens(default(forward("g")))
        status, _, body = await box.ask()
    assert (status, body) == (int(title[:3]), page(title))


@asynchronous
async def test_trace_is_no_method_for_a_load_balancer(tmp_path: Path) -> None:
    """405, whatever the rules say (TROUBLE, HTTP 405)."""
    async with balancing(tmp_path) as box:
        box.listens(default(says("x")))
        status, headers, _ = await box.ask(verb="TRACE")
    assert (status, headers["server"]) == (405, "awselb/2.0")


# --- what a target gets ---

_TRACE = r"1-[0-9a-f]{8}-[0-9a-f]{24}"

PASSED = [
    ("host-kept", HEADERS, {}, "Host", "registry.example.com"),
    ("for-made", HEADERS, {}, "X-Forwarded-For", "127.0.0.1"),
    ("for-appended", HEADERS, {"X-Forwarded-For": "203.0.113.7, 10.0.0.1"}, "X-Forwarded-For",
     "203.0.113.7, 10.0.0.1, 127.0.0.1"),
    ("proto-is-the-listeners", HEADERS, {"X-Forwarded-Proto": "gopher"}, "X-Forwarded-Proto", "http"),
    ("port-is-the-listeners", HEADERS, {"X-Forwarded-Port": "1"}, "X-Forwarded-Port", "80"),
    ("trace-made", TRACING, {}, "X-Amzn-Trace-Id", f"Root={_TRACE}"),
    ("trace-root-kept", TRACING, {"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678"},
     "X-Amzn-Trace-Id", f"Self={_TRACE};Root=1-67891233-abcdef012345678912345678"),
    ("trace-own-fields-kept", TRACING, {"X-Amzn-Trace-Id": "Root=1-a-b;From=app"}, "X-Amzn-Trace-Id",
     f"Self={_TRACE};Root=1-a-b;From=app"),
    ("trace-self-renewed", TRACING, {"X-Amzn-Trace-Id": "Self=1-67891233-12456789abcdef012345678;Root=1-a-b"},
     "X-Amzn-Trace-Id", f"Self={_TRACE};Root=1-a-b"),
    ("authorization", HEADERS, {"Authorization": "Bearer hk_test_x"}, "Authorization", "Bearer hk_test_x"),
    ("keep-alive-goes", "RFC 9110 section 7.6.1", {"Keep-Alive": "timeout=5"}, "Keep-Alive", ""),
    ("proxy-connection-goes", "RFC 9110 section 7.6.1", {"Proxy-Connection": "close"}, "Proxy-Connection",
     ""),
    ("upgrade-goes", "RFC 9110 section 7.6.1", {"Upgrade": "h2c"}, "Upgrade", ""),
]  # fmt: skip
"""Name, page, headers sent, header looked at, the expression that its value must match; "" is none."""


@asynccontextmanager
async def _listening_target(box: Balancer, got: list[web.Request], body: list[bytes]) -> AsyncIterator[None]:
    async def answer(request: web.Request) -> web.StreamResponse:
        got.append(request)
        body.append(await request.read())
        response = web.StreamResponse(headers={"X-Own": "1", "Keep-Alive": "timeout=5"})
        await response.prepare(request)
        for part in (b"one,", b"two"):
            await response.write(part)
        return response

    async with target(f"{box.net}.40", answer) as port:
        box.plane.groups = [group("g", (f"{box.net}.40", port))]
        box.listens(default(forward("g")))
        yield


@asynchronous
async def test_what_headers_a_target_gets(tmp_path: Path) -> None:
    """Every row of the table."""
    got: list[web.Request] = []
    async with balancing(tmp_path) as box, _listening_target(box, got, []):
        for row in PASSED:
            await box.ask(headers=tuple(row[2].items()))
    arrived = {row[0]: request.headers.get(row[3], "") for row, request in zip(PASSED, got, strict=True)}
    wanted = {row[0]: row[4] for row in PASSED}
    assert {name: value for name, value in arrived.items() if not re.fullmatch(wanted[name], value)} == {}


@pytest.mark.parametrize(
    ("port", "sent", "arrives"),
    [
        (80, "registry.example.com:54321", "registry.example.com"),
        (8080, "registry.example.com", "registry.example.com:8080"),
        (8080, "registry.example.com:54321", "registry.example.com:8080"),
    ],
)
@asynchronous
async def test_the_port_in_a_host_header(port: int, sent: str, arrives: str, tmp_path: Path) -> None:
    """Dropped behind a listener on 80 or 443, else the listener's (ATTRIBUTES, Host header preservation)."""
    async with balancing(tmp_path) as box:
        got: list[web.Request] = []
        async with _listening_target(box, got, []):
            box.listens(default(forward("g")), port=port)
            await box.ask(name=sent)
    assert got[0].headers["Host"] == arrives


@asynchronous
async def test_bodies_in_chunks_both_ways(tmp_path: Path) -> None:
    """A body without a length arrives whole, and so does the answer's; its hop-by-hop headers do not."""
    async with balancing(tmp_path) as box:
        got: list[web.Request] = []
        bodies: list[bytes] = []
        async with _listening_target(box, got, bodies):
            head, body = await box.say(
                b"POST /x HTTP/1.1\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n"
                b"Connection: close\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
            )
    assert bodies == [b"abcdefg"]
    assert b"Transfer-Encoding: chunked" in head
    assert b"Keep-Alive" not in head
    assert body.endswith(b"0\r\n\r\n")
    assert b"".join(re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n", body)) == b"one,two"


@asynchronous
async def test_a_client_that_waits_for_100_continue(tmp_path: Path) -> None:
    """The load balancer says 100 itself (RFC 9110 section 10.1.1) and the body follows."""
    async with balancing(tmp_path) as box:
        got: list[web.Request] = []
        bodies: list[bytes] = []
        async with _listening_target(box, got, bodies):
            endpoint = (await box.balancer.refresh())[80]
            reader, writer = await asyncio.open_connection(endpoint.ip, endpoint.port)
            writer.write(
                b"PUT /x HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 4\r\n"
                b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
            )
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            writer.write(b"body")
            rest = await asyncio.wait_for(reader.read(-1), 5)
            writer.close()
    assert (first, rest[:15], bodies) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK", [b"body"])
    assert "Expect" not in got[0].headers


@asynchronous
async def test_head_has_the_head_of_a_get_and_no_body(tmp_path: Path) -> None:
    """Also of pages that are the load balancer's own (RFC 9110 section 9.3.2)."""
    async with balancing(tmp_path) as box:
        box.listens(default(forward("nobody")))
        seen = [await box.ask(verb=verb) for verb in ("HEAD", "GET")]
    (head_status, head_headers, head_body), (status, headers, body) = seen
    assert (head_status, head_headers["content-length"], head_body) == (503, str(len(body)), b"")
    assert (status, headers["content-length"]) == (503, str(len(body)))
