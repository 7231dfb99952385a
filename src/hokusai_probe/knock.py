"""A word with a store, over a connection that carries no user, no password and no key.

Both protocols begin with a message that is answered before anybody logs in. Postgres answers an SSLRequest of
eight bytes with S (it speaks TLS) or N (it does not): "Message Flow, SSL Session Encryption", PostgreSQL 15.
Redis answers PING with +PONG, or with an error that begins with a hyphen: "Redis serialization protocol".

A Redis that takes TLS alone closes a plain connection, or waits for more, so it is asked again over TLS. That
handshake verifies nothing: nothing that is worth protecting is sent, and what is said back is one word.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hokusai_probe.failures import Failure, connect_failure
from hokusai_probe.handshake import unverified
from hokusai_probe.model import Frozen

Protocol = Literal["postgres", "redis"]
Word = Literal["tls", "no-tls", "pong", "login", "error", "other"]

OF: Mapping[Protocol, frozenset[Word]] = {
    "postgres": frozenset({"tls", "no-tls", "error"}),
    "redis": frozenset({"pong", "login", "error"}),
}
"""What a server of each protocol says. ``other`` is said by something else."""

_GREETING: Mapping[Protocol, bytes] = {
    "postgres": bytes.fromhex("00000008 04d2162f"),
    "redis": b"PING\r\n",
}
_POSTGRES: Mapping[bytes, Word] = {b"S": "tls", b"N": "no-tls"}
_MOST_BYTES = 512

_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Heard(Frozen):
    """What a store said, or why it said nothing.

    tls, no-tls: Postgres, and whether it speaks TLS. pong, login: Redis, which answers anybody, or asks for a
    password first. error: an error in the words of the protocol. other: bytes of something else.
    ``connected``: somebody took the connection. ``secure``: it was said over TLS.
    """

    connected: bool = False
    word: Word | None = None
    secure: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """Where to connect: by which name the server goes decides what it is asked for over TLS."""

    name: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


async def heard(protocol: Protocol, name: str, address: str, port: int, seconds: float) -> Heard:
    """What is said at an address within so many seconds. What the network does is a fact.

    Raises ProbeError where this machine itself cannot open a connection.
    """
    way, end = _Way(name, address, port), asyncio.get_running_loop().time() + seconds
    patience = seconds / 2 if protocol == "redis" else seconds
    plain = await _asked(protocol, way, end, patience)
    if protocol != "redis" or not plain.connected or plain.word not in {None, "other"}:
        return plain
    secured = await _asked(protocol, way, end, seconds, unverified())
    return secured if secured.word in OF[protocol] else plain


async def _asked(
    protocol: Protocol, way: _Way, end: float, patience: float, tls: ssl.SSLContext | None = None
) -> Heard:
    """Connect until ``end``, greet, and wait for an answer so many seconds, or until ``end``."""
    name = way.name if tls else None
    try:
        async with asyncio.timeout_at(end):
            stream = await asyncio.open_connection(way.address, way.port, ssl=tls, server_hostname=name)
    except TimeoutError:
        return Heard(failure=Failure(kind="connect-timeout", detail=f"connecting to {way} timed out"))
    except OSError as trouble:
        return Heard(failure=connect_failure(trouble, str(way)))
    try:
        return await _greeted(protocol, stream, min(end, _from_now(patience)), secure=tls is not None)
    finally:
        stream[1].transport.abort()


def _from_now(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def _greeted(protocol: Protocol, stream: _Stream, end: float, *, secure: bool) -> Heard:
    try:
        async with asyncio.timeout_at(end):
            stream[1].write(_GREETING[protocol])
            said = await stream[0].read(_MOST_BYTES)
    except TimeoutError:
        detail = "the connection was taken, and nothing was said"
        return Heard(connected=True, failure=Failure(kind="timeout", detail=detail, code="answer"))
    except OSError:
        said = b""
    if not said:
        detail = "the connection was taken and closed without a word"
        return Heard(connected=True, failure=Failure(kind="reset", detail=detail, code="answer"))
    return Heard(connected=True, word=_word(protocol, said), secure=secure)


def _word(protocol: Protocol, said: bytes) -> Word:
    """Which word it is. Strict, because an address may lead to anything."""
    if protocol == "postgres":
        return _POSTGRES.get(said) or ("error" if said[:1] == b"E" and b"\0" in said else "other")
    if said.startswith(b"+PONG"):
        return "pong"
    if said.startswith(b"-NOAUTH"):
        return "login"
    return "error" if said[:1] == b"-" else "other"
