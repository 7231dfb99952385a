"""The sandbox's DNS server: answers A queries from the control plane, and from nothing else.

A name that the plane knows has its addresses, no other record type (an empty NOERROR, as for AAAA in a
zone without IPv6), and a name that it does not know is NXDOMAIN. Faults on the edge ``client->dns`` meet
the client's queries only; the platform's own parts ask from an address of the sandbox's network, and are led
to the inner address of whatever has one.
"""

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from hokusai_probe.sandbox.faults import Do, FaultTable, Seen
from hokusai_probe.sandbox.state import ControlPlane

TTL_S = 10
"""Time to live of every answer, that of the platform's Cloud Map records."""

_BIND_ATTEMPTS = 20


class DnsServer:
    """A name server for one sandbox, on UDP and TCP.

    Args:
        ip: The address to listen on.
        plane: Who knows the names.
        faults_path: The table of faults.
        time_scale: How many times faster than the platform; a fault's ``delay_s`` is divided by it.
        inner: For the sandbox's own parts: what they get instead of an address.

    """

    def __init__(
        self,
        ip: str,
        plane: ControlPlane,
        faults_path: Path,
        time_scale: float = 10.0,
        inner: Mapping[str, str] | None = None,
    ) -> None:
        self._ip = ip
        self._plane = plane
        self._faults = FaultTable(faults_path)
        self._time_scale = time_scale
        self._inner = inner or {}
        self._inside = ipaddress.ip_network(f"{ip}/24", strict=False)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on UDP and TCP; returns the port that the system picked (one for both).

        Raises:
            OSError: The address cannot be bound.

        """
        for _ in range(_BIND_ATTEMPTS - 1):
            with suppress(OSError):  # the UDP port that the system picked may be taken on TCP
                return await self._bind()
        return await self._bind()

    async def close(self) -> None:
        """Stop listening."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()
        self._udp = self._tcp = None

    async def _bind(self) -> int:
        self._tcp = await asyncio.start_server(self._serve_tcp, self._ip, 0)
        port: int = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(self._ip, port)
            )
        except OSError:
            self._tcp.close()
            raise
        return port

    async def answer(self, query: bytes, peer: str) -> bytes | None:
        """The answer to a query from an address; None: none is sent."""
        try:
            message = dns.message.from_wire(query)
        except dns.exception.DNSException:
            return None
        if not message.question:
            return None
        name = message.question[0].name.to_text(omit_final_dot=True).lower()
        known = list(self._plane.addresses(name))
        if ipaddress.ip_address(peer) in self._inside:
            return _reply(message, [self._inner.get(one, one) for one in known], None).to_wire()
        effect = self._faults.effect("client->dns", Seen(host=name))
        await asyncio.sleep(effect.delay_s / self._time_scale)
        if effect.answer is not None and effect.answer.drop:
            return None
        return _reply(message, known, effect.answer).to_wire()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: str = writer.get_extra_info("peername")[0]
        try:
            length = int.from_bytes(await reader.readexactly(2))
            reply = await self.answer(await reader.readexactly(length), peer)
            if reply is not None:
                writer.write(len(reply).to_bytes(2) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side went away; there is nobody to tell
        finally:
            writer.close()


def _reply(query: dns.message.Message, known: Sequence[str], do: Do | None) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    code = _forced_code(do)
    addresses = [do.address] if do and do.address else list(known)
    if code is not None:
        reply.set_rcode(code)
    elif not addresses:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif query.question[0].rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text_list(query.question[0].name, TTL_S, "IN", "A", addresses))
    return reply


def _forced_code(do: Do | None) -> dns.rcode.Rcode | None:
    """The response code that a fault asks for: NXDOMAIN, REFUSED, or SERVFAIL where DNS has no word."""
    if do is None or do.address:
        return None
    if do.nxdomain:
        return dns.rcode.NXDOMAIN
    return dns.rcode.REFUSED if do.refuse else dns.rcode.SERVFAIL


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._respond(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _respond(self, query: bytes, peer: tuple[str, int]) -> None:
        reply = await self._server.answer(query, peer[0])
        if reply is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(reply, peer)
