"""Addresses of this machine at which a connect hangs, as it does where packets are dropped on the way.

A listening socket whose queue of finished handshakes is full answers no further SYN (Linux, listen(2) and
``net.ipv4.tcp_abort_on_overflow`` = 0, its default): the caller's connect waits until its own timeout. The
queue of a socket with backlog 0 is full with one connection, which is the black hole's own.
"""

import socket
from typing import Self


class BlackHole:
    """Up to any number of addresses and ports at which connects hang until `close`.

    Opening is a matter of microseconds and blocks nobody; use it from an event loop or from a thread.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def open(self, ip: str, port: int) -> int:
        """Have connects to an address of this machine hang.

        Args:
            ip: The address.
            port: The port, which nobody may be listening on; 0: the system picks one.

        Returns:
            The port.

        Raises:
            OSError: The port is taken.

        """
        front = held(ip, port)
        self._sockets.append(front)
        front.listen(0)
        filler = socket.socket()
        self._sockets.append(filler)
        filler.setblocking(False)  # noqa: FBT003 - the standard library's signature
        filler.connect_ex(front.getsockname())
        return int(front.getsockname()[1])

    def close(self) -> None:
        """Let go of every address; whoever hangs goes on hanging until they try again."""
        for one in reversed(self._sockets):
            one.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def held(ip: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen: connects are refused, and nobody else gets the port.

    Raises:
        OSError: The port is taken.

    """
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ip, port))
    except OSError:
        made.close()
        raise
    return made
