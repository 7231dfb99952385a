"""Greeting a store: what each server says, and what is made of those that say something else or nothing."""

import asyncio
import ssl

import pytest
import trustme
from _servers import LOCAL, Connected, accepting, black_hole, speaks

from hokusai_probe.knock import Heard, Protocol, Word, heard

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """A server that takes a connection and says nothing."""
    await reader.read(100)
    await asyncio.sleep(60)


def ask(
    protocol: Protocol, server: Connected, seconds: float = 5.0, tls: ssl.SSLContext | None = None
) -> Heard:
    """What is heard from a server."""

    async def run() -> Heard:
        async with accepting(server, tls=tls) as port:
            return await heard(protocol, "store.example", LOCAL, port, seconds)

    return asyncio.run(run())


def test_nothing_but_the_greeting_is_sent() -> None:
    """Eight bytes to Postgres, six to Redis."""
    got: list[bytes] = []
    ask("postgres", speaks(b"S", got))
    ask("redis", speaks(b"+PONG\r\n", got))
    assert got == [SSL_REQUEST, b"PING\r\n"]


WORDS: list[tuple[Protocol, bytes, Word]] = [
    ("postgres", b"S", "tls"),
    ("postgres", b"N", "no-tls"),
    ("postgres", b"EFATAL:  could not fork new process for connection\n\0", "error"),
    ("postgres", b"SSH-2.0-OpenSSH_9.6\r\n", "other"),
    ("postgres", b"HTTP/1.1 400 Bad Request\r\n\r\n", "other"),
    ("redis", b"+PONG\r\n", "pong"),
    ("redis", b"-NOAUTH Authentication required.\r\n", "login"),
    ("redis", b"-ERR max number of clients reached\r\n", "error"),
    ("redis", b"HTTP/1.1 400 Bad Request\r\n\r\n", "other"),
]


@pytest.mark.parametrize(("protocol", "words", "expected"), WORDS)
def test_what_is_said_is_one_word(protocol: Protocol, words: bytes, expected: Word) -> None:
    """A server of the protocol is known by its first bytes, and anything else is no store."""
    assert ask(protocol, speaks(words)) == Heard(connected=True, word=expected)


@pytest.mark.parametrize("protocol", ["postgres", "redis"])
def test_a_connection_that_is_taken_and_closed_says_so(protocol: Protocol) -> None:
    """As a tunnel does whose far end cannot be reached."""
    found = ask(protocol, speaks(b""))
    assert (found.connected, found.word) == (True, None)
    assert found.failure is not None
    assert (found.failure.kind, found.failure.detail) == (
        "reset",
        "the connection was taken and closed without a word",
    )


@pytest.mark.parametrize("protocol", ["postgres", "redis"])
def test_silence_ends_with_the_time(protocol: Protocol) -> None:
    """All attempts together take no longer than the seconds given."""

    async def run() -> tuple[Heard, float]:
        loop = asyncio.get_running_loop()
        async with accepting(silence) as port:
            began = loop.time()
            return await heard(protocol, "s.example", LOCAL, port, 0.4), loop.time() - began

    found, took = asyncio.run(run())
    assert found.failure is not None
    assert (found.connected, found.failure.kind, 0.3 < took < 2) == (True, "timeout", True)


def test_who_does_not_answer_a_connect_is_told_apart() -> None:
    """Nobody listens: refused. Packets vanish: no connection within the time."""

    async def run(port: int) -> Heard:
        return await heard("postgres", "s.example", LOCAL, port, 0.3)

    with black_hole() as port:
        dropped = asyncio.run(run(port))
    refused = asyncio.run(run(port))
    assert [found.connected for found in (dropped, refused)] == [False, False]
    kinds = [found.failure.kind if found.failure else None for found in (dropped, refused)]
    assert kinds == ["connect-timeout", "refused"]


@pytest.mark.parametrize(("words", "expected"), [(b"+PONG\r\n", "pong"), (b"-NOAUTH x\r\n", "login")])
def test_a_cache_that_takes_tls_alone_is_asked_over_tls(words: bytes, expected: Word) -> None:
    """Its certificate is of no interest: nothing is sent that anybody may not know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(context)
    found = ask("redis", speaks(words), tls=context)
    assert found == Heard(connected=True, word=expected, secure=True)
