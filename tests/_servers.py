"""Misbehaving servers on the loopback: each accepts real connections and does one thing wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

LOCAL = "127.0.0.1"

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Reply = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """A running server: its port, the heads of the requests it got, and how often it was connected to."""

    port: int
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0


def http(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; header names are written with underscores."""
    given = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{n.replace('_', '-')}: {v}" for n, v in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_answer(body: str | bytes) -> bytes:
    """A 200 with a JSON body."""
    return http(body=body.encode() if isinstance(body, str) else body, content_type="application/json")


def says(*chunks: bytes, pause_s: float = 0, then: str = "keep") -> Reply:
    """Send the chunks with a pause before each but the first; then keep, close or reset the connection."""

    async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
        for i, chunk in enumerate(chunks):
            await asyncio.sleep(pause_s if i else 0)
            writer.write(chunk)
            await writer.drain()
        if then == "close":
            writer.close()
        if then == "reset":
            reset(writer)

    return reply


def speaks(words: bytes, got: list[bytes] | None = None) -> Connected:
    """Say this to whatever is said first, which ``got`` gets, and hang up. No HTTP is spoken."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = await reader.read(100)
        if got is not None:
            got.append(told)
        writer.write(words)
        await writer.drain()

    return connected


def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection with a RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def echo(writer: asyncio.StreamWriter, head: bytes) -> None:
    """Answer with everything that was sent, in the body and in every header we let through."""
    value = " ".join(head.decode("latin-1").split())
    writer.write(
        http(body=head, server=value, location=f"https://a.example/?q={value}", www_authenticate=value)
    )
    await writer.drain()


@contextlib.asynccontextmanager
async def accepting(
    connected: Connected,
    *,
    host: str = LOCAL,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Accept connections at the port given until the block ends, and leave none open after it.

    Port 0: one that is free.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await connected(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(accepted, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close a turn of the loop later


@contextlib.asynccontextmanager
async def serving(
    reply: Reply, *, host: str = LOCAL, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve HTTP until the block ends. A reply that raises, or a client that leaves, ends one connection."""
    known = Server(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known.connections += 1
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            known.heads.append(head)
            await _skip_body(reader, head)
            await reply(writer, head)
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with accepting(connected, host=host, tls=tls) as known.port:
        yield known


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))


@contextlib.contextmanager
def black_hole(*, host: str = LOCAL) -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops every further attempt."""
    with socket.socket() as listener, contextlib.ExitStack() as queued:
        listener.bind((host, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(3):
            filler = queued.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield port


def free_port(*, host: str = LOCAL) -> int:
    """A port at which nobody listens."""
    with socket.socket() as s:
        s.bind((host, 0))
        port: int = s.getsockname()[1]
        return port


class _Resolver(asyncio.DatagramProtocol):
    def __init__(self, names: dict[str, str | None]) -> None:
        self._names = names
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        address = self._names.get(name, "nxdomain")
        if address is None:
            return
        if address in {"nxdomain", "servfail"}:
            answer.set_rcode(dns.rcode.from_text(address.upper()))
        elif question.rdtype.name == "A" and address:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", *address.split()))
        self._transport.sendto(answer.to_wire(), addr)


@contextlib.asynccontextmanager
async def resolving(**names: str | None) -> AsyncIterator[tuple[str, list[str]]]:
    """A DNS server, as ``address:port``, and the names it was asked for.

    Underscores in names stand for dots. None: it never answers; ``servfail``; empty: no address.
    """
    table = {name.replace("_", "."): address for name, address in names.items()}
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Resolver(table), local_addr=(LOCAL, 0)
    )
    try:
        yield f"{LOCAL}:{transport.get_extra_info('sockname')[1]}", protocol.asked
    finally:
        transport.close()
