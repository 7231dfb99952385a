"""Every connection that the database has to spare, held by somebody else: the real thing, no fault.

They are those of an ordinary user, so that the few that Postgres keeps for administrators stay free
(superuser_reserved_connections), and idle. Whatever becomes free later is taken as well, as by a client that
leaks them; connections that others have already stay theirs.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import psycopg

_USER, _DATABASE = "auth", "auth_db"
_AGAIN_S = 0.05
_MOST = 1000


class ConnectionsError(Exception):
    """The connections cannot be held; the text is one sentence."""


class Connections:
    """The connections of one server.

    Args:
        socket: The directory of the server's socket.
        password: Of the user ``auth``, who is not MLflow's.

    """

    def __init__(self, socket: Path, password: str) -> None:
        self._socket = socket
        self._password = password
        self._held: list[psycopg.Connection] = []
        self._over = threading.Event()
        self._taker: threading.Thread | None = None

    def become(self, state: Literal["held", "free"]) -> None:
        """Hold all that can be had, and go on taking; or let go of them.

        Raises:
            ConnectionsError: The server does not answer, or has no end of connections.

        """
        self.close()
        if state == "free":
            return
        self._take_all()
        self._over = threading.Event()
        self._taker = threading.Thread(target=self._go_on, args=(self._over,), daemon=True)
        self._taker.start()

    def close(self) -> None:
        """Let go of all; the server has them back when this returns."""
        self._over.set()
        if self._taker is not None:
            self._taker.join()
            self._taker = None
        while self._held:
            self._held.pop().close()

    def _take_all(self) -> None:
        refused = ""
        while not refused and len(self._held) < _MOST:
            refused = self._take()
        if not _is_full(refused):
            self.close()
            sentence = f"the database's connections cannot be held: {refused or 'there is no end of them'}"
            raise ConnectionsError(sentence)

    def _go_on(self, over: threading.Event) -> None:
        while not over.wait(_AGAIN_S):
            self._take()

    def _take(self) -> str:
        """Take one; what the server said where it gave none."""
        import psycopg

        try:
            self._held.append(
                psycopg.connect(
                    host=str(self._socket), user=_USER, password=self._password, dbname=_DATABASE,
                    application_name="leaky", autocommit=True, connect_timeout=5,
                )
            )  # fmt: skip
        except psycopg.OperationalError as error:
            return " ".join(str(error).split())
        return ""


def _is_full(said: str) -> bool:
    """Whether these are the words of a server that has no connection to spare (SQLSTATE 53300).

    libpq gives no SQLSTATE for a connection that was not made.
    """
    return "remaining connection slots" in said or "too many clients" in said
