"""What comes in: decoded with a cap, counted, and its beginning kept."""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import httpcore

from hokusai_probe.failures import fail
from hokusai_probe.model import Frozen
from hokusai_probe.text import clean

SHOWN_CHARACTERS = 8 * 1024
KEPT_BYTES = 256 * 1024
LARGEST_BYTES = 1024 * 1024
READ_FOR_SHOWING = 4 * SHOWN_CHARACTERS

_CHARSETS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252"})


class Timing(Frozen):
    """Where the time of one request went, in seconds.

    ``connect_s``: until the connection stood, the name's lookup not counted; ``tls_s``: the handshake. None:
    the request went over a connection that was open already, or without TLS. ``first_byte_s``: from the
    request's first byte to the end of the answer's head; None: no head came.
    """

    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None


class Body:
    """Takes a body in, chunk by chunk: decodes, counts, hashes, and keeps its beginning."""

    def __init__(self, cap: int, *, hashed: bool) -> None:
        self.size = 0
        self._raw = 0
        self.kept = bytearray()
        self._cap = cap
        self._keep = max(KEPT_BYTES, cap) if cap > LARGEST_BYTES else KEPT_BYTES
        self._hash = hashlib.sha256() if hashed else None
        self._inflate: zlib._Decompress | None = None

    def encoded_as(self, encodings: Sequence[str]) -> None:
        """Refuse what we did not ask for and cannot bound: several encodings, and those not zlib's."""
        wanted = [e for e in encodings if e not in {"", "identity"}]
        if len(wanted) > 1 or not set(wanted) <= {"gzip", "x-gzip", "deflate"}:
            names = clean(", ".join(wanted), 80)
            fail("encoding", f"the body is encoded as {names}, which was not asked for", "unknown")
        if wanted:
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def feed(self, chunk: bytes) -> None:
        """Take one chunk. Raises when the body grows over the cap or cannot be decoded."""
        data = self._decoded(chunk)
        self.size += len(data)
        self._raw += len(chunk)
        if self._hash:
            self._hash.update(data)
        self.kept += data[: max(self._keep - len(self.kept), 0)]
        if max(self.size, self._raw) > self._cap:
            fail("too-large", f"the body is larger than {self._cap} bytes; reading it was stopped")

    def _decoded(self, chunk: bytes) -> bytes:
        try:
            return self._inflate.decompress(chunk, self._cap - self.size + 1) if self._inflate else chunk
        except zlib.error:
            fail("encoding", "the compressed body is damaged", "damaged")

    def finish(self) -> None:
        """Say that no more comes. Raises when a compressed body ended in the middle."""
        if self._inflate and self._raw and not self._inflate.eof:
            fail("encoding", "the compressed body ends in the middle", "truncated")

    def sha256(self) -> str | None:
        """The digest in hex, None when none was asked for."""
        return self._hash.hexdigest() if self._hash else None


@dataclass(slots=True)
class Received:
    """What has come in so far."""

    body: Body
    phase: Literal["connect", "handshake", "headers", "body", "done"] = "connect"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    address: str | None = None
    clock: Callable[[], float] = time.monotonic
    timing: Timing = field(default_factory=Timing)
    since: float = 0.0

    def take_head(self, response: httpcore.Response) -> None:
        """Status and headers; a header that comes twice is joined by a comma."""
        self.status, self.phase = response.status, "body"
        for name, value in response.headers:
            low, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[low] = f"{self.headers[low]}, {text}" if low in self.headers else text

    def content_type(self) -> str:
        """The bare type in lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def text(self) -> str:
        """The beginning of the body as text; bytes that do not fit become U+FFFD."""
        found = re.search(r"charset=[\"']?([\w-]{1,20})", self.headers.get("content-type", "").lower())
        charset = found[1] if found and found[1] in _CHARSETS else "utf-8"
        return bytes(self.body.kept[:READ_FOR_SHOWING]).decode(charset, errors="replace")

    def everything(self) -> bytes:
        """All that was kept, headers and body, as it came."""
        headers = "\n".join(self.headers.values()).encode("latin-1", errors="replace")
        return headers + b"\n" + bytes(self.body.kept)

    async def traced(self, event: str, _: object) -> None:
        """Note that the connection stands and the request goes out, and how long each part took."""
        if event == "http11.send_request_headers.started":
            self.phase = "headers"
        if event in _BEGIN:
            self.since = self.clock()
        elif event in _ENDS:
            self.took(_ENDS[event])

    def took(self, part: Literal["connect_s", "tls_s", "first_byte_s"]) -> None:
        """A part that began at ``since`` ends now. What an earlier connection took is of no interest."""
        before = Timing() if part == "connect_s" else self.timing
        self.timing = before.model_copy(update={part: round(self.clock() - self.since, 6)})


_BEGIN = frozenset({"connection.start_tls.started", "http11.send_request_headers.started"})
_ENDS: Mapping[str, Literal["tls_s", "first_byte_s"]] = {
    "connection.start_tls.complete": "tls_s",
    "http11.receive_response_headers.complete": "first_byte_s",
}
