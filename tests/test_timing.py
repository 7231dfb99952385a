"""Where the time of a request went: what the door measures, and a slow edge as a history tells it."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpcore
import pytest
import trustme
from _servers import LOCAL, Reply, http, resolving, says, serving

from hokusai_probe.history.condense import run_of
from hokusai_probe.history.pace import paces
from hokusai_probe.http import Answer, HttpDoor, Timing
from hokusai_probe.keys import Keys
from hokusai_probe.model import Facts, Hosts, Network, Observation, Report, Target, Tls
from hokusai_probe.redact import Redactor

START = datetime(2026, 1, 1, tzinfo=UTC)
DEAD = "127.0.0.0"  # sorts before every other
HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"hi"


def target(port: int, scheme: str = "http", ca_file: str | None = None) -> Target:
    """A registry on this machine."""
    return Target(name="t", hosts=Hosts(registry=f"{scheme}://{LOCAL}:{port}"), tls=Tls(ca_file=ca_file))


async def got(at: Target, count: int) -> tuple[Answer, ...]:
    """Answers to the same request, one after the other."""
    keys = Keys.read(at.key, {})
    async with HttpDoor(at, keys, Redactor(())) as door:
        return tuple([await door.send("GET", "registry", "/live") for _ in range(count)])


def timings(reply: Reply, count: int) -> list[Timing]:
    """Where the time of requests to such a server went."""

    async def ask() -> tuple[Answer, ...]:
        async with serving(reply) as server:
            return await got(target(server.port), count)

    return [a.timing or Timing() for a in asyncio.run(ask())]


def test_a_kept_connection_has_neither_connect_nor_tls() -> None:
    """The first request opens one, and the second finds it open."""
    first, second = timings(says(http(body=b"hi")), 2)

    assert first.connect_s is not None
    assert 0 < first.connect_s < 1
    assert (first.tls_s, second.connect_s, second.tls_s) == (None, None, None)
    assert second.first_byte_s is not None


def test_an_address_that_is_dead_costs_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load balancer with one dead address of two connects late, and that is what its users feel."""
    connect = httpcore.AnyIOBackend.connect_tcp

    async def slow_where_dead(self: httpcore.AnyIOBackend, host: str, *rest: Any, **more: Any) -> Any:
        if host == DEAD:
            await asyncio.sleep(0.1)
            raise httpcore.ConnectError
        return await connect(self, host, *rest, **more)

    async def ask() -> tuple[Answer, ...]:
        async with serving(says(http(body=b"hi"))) as server, resolving(a_test=f"{DEAD} {LOCAL}") as (at, _):
            hosts = Hosts(registry=f"http://a.test:{server.port}")
            return await got(Target(name="t", hosts=hosts, network=Network(resolver=at)), 1)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", slow_where_dead)
    (answer,) = asyncio.run(ask())

    assert answer.timing is not None
    assert (answer.timing.connect_s or 0.0) >= 0.1


def test_the_first_byte_is_the_platform_s_time_and_the_body_is_not() -> None:
    """The head comes at once and the body after a pause, which only the total knows."""

    async def ask() -> tuple[Answer, ...]:
        async with serving(says(HEAD, BODY, pause_s=0.2)) as server:
            return await got(target(server.port), 1)

    (answer,) = asyncio.run(ask())

    assert answer.timing is not None
    assert (answer.timing.first_byte_s or 1) < 0.15
    assert answer.elapsed_s >= 0.2


def test_the_handshake_is_counted_by_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Over TLS both parts of opening a connection are known, and together are no more than the whole."""
    ca, path = trustme.CA(), tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(LOCAL).configure_cert(context)

    async def ask() -> tuple[Answer, ...]:
        async with serving(says(http(body=b"hi")), tls=context) as server:
            return await got(target(server.port, "https", str(path)), 1)

    (answer,) = asyncio.run(ask())
    timing = answer.timing or Timing()
    parts = [timing.connect_s or 0.0, timing.tls_s or 0.0, timing.first_byte_s or 0.0]

    assert min(parts) > 0
    assert sum(parts) <= answer.elapsed_s


def test_who_never_answered_has_no_timing() -> None:
    """Nothing listens there."""
    (answer,) = asyncio.run(got(target(1), 1))

    assert (answer.timing, "timing" in answer.model_dump()) == (None, False)


def test_an_answer_of_an_earlier_version_is_read_and_written_as_it_was() -> None:
    """The field may be missing, and then it is not written."""
    old = '{"method":"GET","url":"u","path":"p","status":200,"elapsed_s":0.5}'
    read = Answer.model_validate_json(old)

    assert read.timing is None
    assert read.model_dump_json(exclude_defaults=True) == old
    assert "timing" not in read.model_dump_json()


class Answers(Facts):
    """What one look saw."""

    answers: tuple[Answer, ...] = ()


def reported(at: Target, hour: int, answers: Sequence[Answer]) -> Report:
    """The report of an hour's run."""
    when = START + timedelta(hours=hour)
    look = Observation(
        probe="public-paths", started_at=when, duration_s=0.1, status="seen",
        facts=Answers(answers=tuple(answers)),
    )  # fmt: skip
    return Report(
        target="t", configuration=at, started_at=when, duration_s=0.1, tool_version="0", observations=(look,)
    )


def test_a_slow_edge_is_found_in_real_answers() -> None:
    """Hours of a server on this machine, the last eight behind an edge that holds answers up for 60 ms.

    From the door over the kept runs to the sentence: the first byte takes longer, connecting does not.
    """
    slow = False

    async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(0.06 if slow else 0)
        writer.write(http(body=b"hi"))
        await writer.drain()

    async def hours() -> list[Report]:
        nonlocal slow
        found: list[Report] = []
        async with serving(reply) as server:
            at = target(server.port)
            for hour in range(44):
                slow = hour >= 36
                found.append(reported(at, hour, await got(at, 2)))
        return found

    runs = [run_of(report) for report in asyncio.run(hours())]
    before, after = paces(runs[:36], 1000.0)["constant"], paces(runs, 1000.0)["constant"]

    assert before.baseline.status == "pass"
    assert after.baseline.status == "fail"
    assert after.baseline.since is not None
    assert 33 <= (after.baseline.since - START) / timedelta(hours=1) <= 36
    assert "first byte" in after.baseline.reason
    assert "connect" not in after.baseline.reason
    assert after.objective.status == "pass"
