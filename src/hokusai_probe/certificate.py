"""What a server's certificate says, read from its DER. Pure: nothing here is trusted or verified.

The ssl module tells what is in a certificate only when the certificate holds, and what is wanted to know here
is what is in one that does not. So the few fields that matter are read by hand (RFC 5280 section 4.1; ITU-T
X.690 section 8). The bytes come from a stranger: what does not read as a certificate is a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address

from hokusai_probe.model import Frozen, Utc
from hokusai_probe.text import clean

_SEQUENCE, _OID, _UTC_TIME, _VERSION, _EXTENSIONS = 0x30, 0x06, 0x17, 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_COMMON_NAME, _ORGANISATION, _ALTERNATIVE_NAMES = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x1d\x11"
_MOST_NAMES = 100
_LONGEST = 253

Piece = tuple[int, bytes]


class Certificate(Frozen):
    """A server's certificate. ``issuer`` is its common name, or its organisation where it has none.

    ``names`` are those that it is for: host names, with ``*`` for a label, and addresses; a hundred at most.
    ``self_issued``: issuer and subject are the same.
    """

    names: tuple[str, ...]
    issuer: str
    self_issued: bool
    not_before: Utc
    not_after: Utc

    def covers(self, name: str) -> bool:
        """Whether it is for this host."""
        return names_cover(self.names, name)


def names_cover(names: Iterable[str], name: str) -> bool:
    """Whether one of these names is this host; ``*`` is one whole label, the first (RFC 6125 6.4)."""
    wanted = name.lower().rstrip(".")
    parent = wanted.partition(".")[2]
    return any(known.lower() in {wanted, f"*.{parent}"} for known in names)


def parse(der: bytes) -> Certificate:
    """The certificate in these bytes. Raises ValueError for what is none."""
    try:
        return _parsed(der)
    except IndexError as trouble:
        msg = "these bytes are no certificate"
        raise ValueError(msg) from trouble


def _parsed(der: bytes) -> Certificate:
    signed = _only(_only(der))
    fields = [piece for piece in _pieces(signed) if piece[0] != _VERSION]
    _serial, _algorithm, issuer, validity, subject = fields[:5]
    begins, ends = (_moment(piece) for piece in _pieces(_inside(validity)))
    return Certificate(
        names=tuple(_names(fields[5:]))[:_MOST_NAMES],
        issuer=_called(issuer),
        self_issued=issuer == subject,
        not_before=begins,
        not_after=ends,
    )


def _pieces(data: bytes) -> Iterator[Piece]:
    """Tag and content of each value that stands in these bytes, one after the other."""
    at = 0
    while at < len(data):
        start, size = _header(data, at)
        if start + size > len(data):
            msg = "a value is longer than what holds it"
            raise ValueError(msg)
        yield data[at], data[start : start + size]
        at = start + size


def _header(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the value at a place begins, and how long it is."""
    first = data[at + 1]
    if first < 0x80:
        return at + 2, first
    count = first & 0x7F
    if not 1 <= count <= 4:
        msg = "a length that DER does not have"
        raise ValueError(msg)
    return at + 2 + count, int.from_bytes(data[at + 2 : at + 2 + count])


def _only(data: bytes) -> bytes:
    """The content of the sequence that stands first in these bytes."""
    return _inside(next(_pieces(data), (0, b"")))


def _inside(piece: Piece) -> bytes:
    if piece[0] != _SEQUENCE:
        msg = "something else stands where a sequence belongs"
        raise ValueError(msg)
    return piece[1]


def _moment(piece: Piece) -> datetime:
    """A time as certificates have it: in UTC, years of two digits until 2049 (RFC 5280 section 4.1.2.5)."""
    tag, text = piece[0], piece[1].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _called(name: Piece) -> str:
    parts = (_pieces(_inside(part)) for _, group in _pieces(_inside(name)) for part in _pieces(group))
    known = {kind: value for (_, kind), (_, value) in parts}
    found = known.get(_COMMON_NAME) or known.get(_ORGANISATION) or b""
    return clean(found.decode("utf-8", errors="replace"), _LONGEST)


def _names(fields: list[Piece]) -> Iterator[str]:
    for tag, content in fields:
        if tag == _EXTENSIONS:
            for extension in _pieces(_only(content)):
                yield from _alternatives(list(_pieces(_inside(extension))))


def _alternatives(extension: list[Piece]) -> Iterator[str]:
    if extension[0] != (_OID, _ALTERNATIVE_NAMES):
        return
    for tag, value in _pieces(_only(extension[-1][1])):
        if tag == _DNS_NAME:
            yield clean(value.decode("ascii"), _LONGEST)
        if tag == _IP_ADDRESS:
            yield str(ip_address(value))
