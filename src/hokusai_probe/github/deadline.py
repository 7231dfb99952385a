"""Connections that end at a moment, whatever the server still sends.

A timeout of a socket counts from the last byte: a server that sends one now and then holds its caller for as
long as it likes. Here the socket is shut down instead, so that whoever reads from it finds its end.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_AFTER_S = 0.01  # so that whoever is cut off finds that the moment is over
Moment = Callable[[], float]
"""When what is under way must be over, on the monotonic clock."""


class EndingAdapter(HTTPAdapter):
    """Sends requests that are tried once, on connections that end at the moment that is then asked for."""

    def __init__(self, moment: Moment) -> None:
        super().__init__(max_retries=0)
        self.poolmanager.pool_classes_by_scheme = {"http": _plain(moment), "https": _encrypted(moment)}


def _plain(moment: Moment) -> type[HTTPConnectionPool]:
    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            _end_at(self.sock, moment())

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    return Pool


def _encrypted(moment: Moment) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            _end_at(self.sock, moment())

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def _end_at(connected: socket.socket | None, moment: float) -> None:
    """Have the connection shut down then. What was closed before has nothing to shut down."""
    if connected is None:
        return
    timer = threading.Timer(max(moment - time.monotonic(), 0.0) + _AFTER_S, _shut_down, (connected,))
    timer.daemon = True
    timer.start()


def _shut_down(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # an encrypted one would say goodbye first
