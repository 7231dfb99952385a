"""The doors of the stores: TCP in front of the server, with the faults of the edge.

A door is an address on the store's port; the database has three, the cache one. Whether it is open follows
from the facts of the moment (`condition_of`): as in a network, a connect is refused where nothing listens and
hangs where packets vanish. Connections that stand share the fate of new ones: cut where nothing listens any
more, frozen where packets vanish or the server hangs, going on when that ends. For security groups that is a
simplification: AWS lets a tracked connection run on until it times out (EC2 user guide, "Security group
connection tracking").

A fault with ``every`` meets each third connection only, which is accepted first: one that is dropped is never
answered, one that is refused or reset is reset. A delay holds each answer back.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hokusai_probe.sandbox.blackhole import BlackHole
from hokusai_probe.sandbox.faults import Do, FaultTable

Condition = Literal["open", "refused", "dropped", "hanging"]
"""What a connect comes to: an answer, a refusal, a wait for packets, a connection that nobody answers."""

Engine = Literal["up", "down", "hanging"]
"""How the server itself is."""

_CHUNK = 65536
_NO_DELAY_S = 1e-9  # a fault has to say something
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether a door is open.

    Attributes:
        exists: Whether the instance is there and running, as far as the control plane says.
        engine: How the server is.
        standing: The refuse or drop that meets every connection of the edge, None for none.
        dropped: Whether security groups or ACLs let no packet through.

    """

    exists: bool
    engine: Engine
    standing: Do | None
    dropped: bool


def condition_of(facts: Facts) -> Condition:
    """What a connect comes to. A stopped instance keeps its name and has no host: packets vanish."""
    if facts.dropped or not facts.exists or (facts.standing is not None and facts.standing.drop):
        return "dropped"
    if facts.standing is not None or facts.engine == "down":
        return "refused"
    return "open" if facts.engine == "up" else "hanging"


class Door:
    """One door. It belongs to one event loop.

    Args:
        address: Where it is.
        port: The store's port.
        edge: Whose connections come through it.
        host: The name that the store goes by, for faults that match on it.
        server: The server's Unix socket, or its address and port.
        faults: The faults of the edge.
        time_scale: How many times faster than the platform; a fault's delay is divided by it.

    """

    def __init__(
        self,
        address: str,
        port: int,
        edge: str,
        host: str,
        server: Path | tuple[str, int],
        faults: FaultTable,
        time_scale: float,
    ) -> None:
        self.address = address
        self.edge = edge
        self.condition: Condition = "refused"
        self._port = port
        self._host = host
        self._server = server
        self._faults = faults
        self._time_scale = time_scale
        self._hole = BlackHole()
        self._listener: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()

    async def show(self, condition: Condition) -> None:
        """Be in a condition from now on.

        Raises:
            OSError: The address cannot be bound.

        """
        if condition == self.condition:
            return
        await self._shut()
        self.condition = condition
        if condition == "open":
            self._flowing.set()
        else:
            self._flowing.clear()
        if condition == "refused":
            await self._cut()
        elif condition == "dropped":
            self._hole.open(self.address, self._port)
        else:
            self._listener = await asyncio.start_server(self._serve, self.address, self._port)

    def standing(self) -> Do | None:
        """The refuse or drop that meets every connection for now."""
        return self._faults.standing(self.edge, self._host)

    async def close(self) -> None:
        """Refuse everybody from now on."""
        await self.show("refused")

    async def _shut(self) -> None:
        self._hole.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            await asyncio.sleep(0)

    async def _cut(self) -> None:
        relays = list(self._relays)
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        try:
            if await self._meet(reader, writer):
                writer.close()
        except (OSError, asyncio.CancelledError):
            pass  # the other side went away, or the door was shut; below, whoever is still there is told
        finally:
            self._relays.discard(relay)
            reset(writer)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a connection came to a proper end."""
        do = self._faults.connection(self.edge, self._host) or Do(delay_s=_NO_DELAY_S)
        if do.drop:
            await asyncio.Event().wait()
        if do.refuse or do.reset:
            return False
        await self._flowing.wait()
        far_reader, far_writer = await self._far()
        try:
            await self._relay((reader, writer), (far_reader, far_writer), do.delay_s / self._time_scale)
        finally:
            far_writer.transport.abort()
        return True

    async def _far(self) -> "_Stream":
        if isinstance(self._server, Path):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection(*self._server)

    async def _relay(self, near: "_Stream", far: "_Stream", delay_s: float) -> None:
        """Carry bytes both ways until either side ends."""
        asked = asyncio.Event()
        questions = asyncio.ensure_future(self._carry_questions(near[0], far[1], asked))
        answers = asyncio.ensure_future(self._carry_answers(far[0], near[1], asked, delay_s))
        try:
            await asyncio.wait({questions, answers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            questions.cancel()
            answers.cancel()
            await asyncio.gather(questions, answers, return_exceptions=True)

    async def _carry_questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._flowing.wait()
            asked.set()
            writer.write(chunk)
            await writer.drain()

    async def _carry_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event, delay_s: float
    ) -> None:
        """The first bytes after a question wait for the delay, the rest of the answer does not."""
        while chunk := await reader.read(_CHUNK):
            if asked.is_set():
                asked.clear()
                await asyncio.sleep(delay_s)
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, whatever is still to be sent."""
    if writer.transport.is_closing():
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
