r"""The one redactor: every text that leaves the process has been through it.

Two kinds of rule. *Known secrets* are found as any eight characters in a row of them, in any letter
case, also in base64, base64url, hex, percent-encoding, JSON and HTML escapes, up to four of these one
inside the other, and with line breaks, blanks, ANSI sequences or anything else that is not visible
ASCII in between. *Unknown secrets* are found by their shape: ``hk_live_…``, ``Bearer …``, JWTs, AWS and
GitHub tokens, user-info of URLs, credentials in queries and headers.

Redact whole documents, before cutting or escaping them: a secret split over two calls is two texts of
which neither need contain eight characters of it.
"""

from __future__ import annotations

import base64
import html
import logging
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from pydantic import BaseModel, JsonValue

M = TypeVar("M", bound=BaseModel)

REDACTED = "[redacted]"

# A CSI sequence, as terminals read it. text.clean drops exactly this, so nothing is joined up behind us.
ANSI = r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]"

_RUN = 8
_SHORTEST = 4
_LEVELS = 4
_DEPTH = 200
_PUBLIC = ("hk_live_", "hk_test_")
_PUBLIC_EDGE = 5
_BARRIER = "\0"
_MARKERS = re.compile(rf"(?:{re.escape(REDACTED)})+")

_NOT_VISIBLE = re.compile(r"[^\x1b\x21-\x7e]+")
_INVISIBLE = re.compile(rf"{re.escape(REDACTED)}|{_NOT_VISIBLE.pattern}")
_ESCAPED = re.compile(
    rf"{ANSI}|\x1b|%[0-9a-f]{{2}}|\\u[0-9a-f]{{4}}|\\x[0-9a-f]{{2}}|\\[0-3][0-7]{{2}}|\\[^\x1b]"
    r"|&(?:#[0-9]{1,7};?|#x[0-9a-f]{1,6};?|[a-z]{2,31};)",
    re.IGNORECASE,
)

_TOKEN = r"[\w.~+/=-]+"  # noqa: S105 - a pattern, not a password
_VALUE = r"[^&;#,\s\"'<>\\\[\]$]+"
_PROSE = r"[a-z]?[a-z-]{1,15}[.,;:)]?(?=[\s\"'`<]|$)|(?:realm|error|scope)="
_IS = r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
_NAME = r"api[_-]?key|(?:access_|id_|refresh_)?token|sig(?:nature)?|secret|password"
_SIGNED = r"x-amz-(?:signature|credential|security-token)"


def _shape(sign: str, before: str, secret: str, after: str = "") -> tuple[str, re.Pattern[str], str]:
    """A rule, which is tried only where its sign occurs: that is what makes ordinary text cheap."""
    pattern = re.compile(rf"({before}){secret}" + (f"(?={after})" if after else ""))
    return sign, pattern, rf"\g<1>{REDACTED}"


_PATTERNS = (
    _shape("hk_", "", r"hk_(?:live|test)_\w+"),
    _shape("bearer", rf"(?i:\bbearer(?:[ \t]|%20|\+){{1,8}}(?!{_PROSE}))", _TOKEN),
    _shape("authorization", rf"(?i:\bauthorization{_IS}[a-z]{{1,16}}[ \t]{{1,8}})", _TOKEN),
    _shape("x-api-key", rf"(?i:\bx-api-key{_IS})", _TOKEN),
    _shape("eyj", "", r"\beyJ[\w-]{5,}(?:\.[\w-]+){0,4}"),
    _shape("akia", "", r"\bAKIA[A-Z0-9]{12,}"),
    _shape("asia", "", r"\bASIA[A-Z0-9]{12,}"),
    _shape("gh", "", r"\bgh[pousr]_\w{4,}"),
    _shape("github_pat_", "", r"\bgithub_pat_\w+"),
    _shape("@", "://", rf"(?!{re.escape(REDACTED)}@)[^\s/@\"'<>\\]{{1,256}}", after="@"),
    _shape("=", rf"(?i:[?&;](?:{_NAME}|{_SIGNED})=)", _VALUE),
    _shape("passw", r"(?i:passw(?:or)?d(?:=|[\"']\s{0,4}:\s{0,4}[\"']))", _VALUE),
    _shape("access", r"(?i:secret_?access_?key(?:=|[\"']\s{0,4}:\s{0,4}[\"']))", _VALUE),
    _shape("session", r"(?i:session_?token(?:=|[\"']\s{0,4}:\s{0,4}[\"']))", _VALUE),
)


@dataclass(frozen=True, slots=True)
class _View:
    """A text with what hides secrets taken out, and where each of its characters came from."""

    text: str
    parent: _View | None = None
    at: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the source that characters ``start`` to ``end`` stand for."""
        if self.parent is None:
            return start, end
        return self.parent.span(self._from(start)[0], self._from(end - 1)[1])

    def _from(self, index: int) -> tuple[int, int]:
        segment = bisect_right(self.at, index) - 1
        start = self.starts[segment] + index - self.at[segment]
        following = self.at[segment + 1] if segment + 1 < len(self.at) else len(self.text)
        return start, self.ends[segment] if following == index + 1 else start + 1


def _through(parent: _View, pattern: re.Pattern[str]) -> _View:
    """The parent with every match of the pattern decoded, or dropped when that gives nothing visible."""
    parts: list[str] = []
    at, starts, ends = [], [], []
    position = here = 0
    for start, end, piece in _pieces(parent.text, pattern):
        if start > here:
            parts.append(parent.text[here:start])
            at.append(position)
            starts.append(here)
            ends.append(start)
            position += start - here
        if piece:
            parts.append(piece)
            at.append(position)
            starts.append(start)
            ends.append(end)
            position += 1
        here = end
    return _View("".join(parts), parent, at, starts, ends)


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    for match in pattern.finditer(text):
        yield match.start(), match.end(), _decoded(match[0])
    yield len(text), len(text), ""


@lru_cache(maxsize=4096)
def _decoded(token: str) -> str:
    if token == REDACTED:
        return _BARRIER
    character = _character(token)
    return character if len(character) == 1 and ("!" <= character <= "~" or character == "\x1b") else ""


def _character(token: str) -> str:
    if token[0] == "%":
        return chr(int(token[1:], 16))
    if token[0] == "&":
        return html.unescape(token)
    return _after_backslash(token[1:]) if token[0] == "\\" else ""


def _after_backslash(rest: str) -> str:
    if len(rest) > 1:
        return chr(int(rest, 8) if rest.isdigit() and len(rest) == 3 else int(rest[1:], 16))
    if rest == "e":
        return "\x1b"
    return "" if rest in "abfnrtv0" else rest


def _views(text: str) -> Iterator[_View]:
    view = _through(_View(text), _INVISIBLE)
    yield view
    for _ in range(_LEVELS):
        if not _ESCAPED.search(view.text):
            return
        view = _through(view, _ESCAPED)
        yield view


def _plain_views(text: str) -> Iterator[str]:
    """The texts of :func:`_views`, several times faster, without the way back to the source."""
    view = _BARRIER.join(_NOT_VISIBLE.sub("", part) for part in text.split(REDACTED))
    yield view
    for _ in range(_LEVELS):
        if not _ESCAPED.search(view):
            return
        view = _ESCAPED.sub(lambda match: _decoded(match[0]), view)
        yield view


@dataclass(frozen=True, slots=True)
class _Needle:
    """What is searched for, in lower case. ``exact``: only where nothing stands between its characters."""

    text: str
    exact: bool = False


def _windows(text: str, width: int) -> Iterator[str]:
    return (text[i : i + width] for i in range(max(len(text) - width, 0) + 1))


def _raw_needles(secret: str) -> Iterator[_Needle]:
    prefixed = secret.startswith(_PUBLIC)
    for i, window in enumerate(_windows(secret, _RUN)):
        if window not in _PUBLIC:
            yield _Needle(window, exact=prefixed and i <= _PUBLIC_EDGE)


def _encoded_needles(secret: bytes) -> Iterator[_Needle]:
    for window in _windows(secret.hex(), 2 * _RUN):
        yield _Needle(window)
    for offset, first in enumerate((0, 2, 3)):
        whole = (len(secret) + offset) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            settled = encode(b"\0" * offset + secret).decode()[first:whole].lower()
            yield from (_Needle(window) for window in _windows(settled, _RUN))


def _needles(secret: str) -> Iterator[_Needle]:
    """Everything that gives a secret away. One shorter than eight characters is looked for as a whole."""
    for view in _views(secret):
        if len(view.text) >= _SHORTEST:
            yield from _raw_needles(view.text.lower())
    encoded = secret.encode(errors="surrogatepass")
    if len(encoded) >= _RUN:
        yield from _encoded_needles(encoded)


class _Index:
    """Finds many needles in one pass that costs the same whatever the text.

    Any run as long as the shortest needle holds one whole ``width`` window that starts at a multiple of
    ``stride``; so only those windows are looked up.
    """

    def __init__(self, needles: Iterable[_Needle]) -> None:
        wanted = set(needles)
        shortest = min((len(needle.text) for needle in wanted), default=_RUN)
        self._width = 5 if shortest >= _RUN else shortest
        self._stride = min(shortest, _RUN) - self._width + 1
        self._at: dict[str, list[tuple[_Needle, int]]] = {}
        for needle in wanted:
            for offset in range(self._stride):
                window = needle.text[offset : offset + self._width]
                self._at.setdefault(window, []).append((needle, offset))

    def __bool__(self) -> bool:
        return bool(self._at)

    def occurs(self, text: str) -> bool:
        """Whether the text holds anything that might give a secret away."""
        return any(True for _ in self._hits(text.lower()))

    def spans(self, view: _View) -> Iterator[tuple[int, int]]:
        """The parts of the view's source that give a secret away, in order."""
        text = view.text.lower()
        found = (span for hit in self._hits(text) for span in self._around(view, text, hit))
        return (view.span(start, end) for start, end in _merged(found))

    def _hits(self, text: str) -> Iterator[int]:
        width, at = self._width, self._at
        return (i for i in range(0, len(text) - width + 1, self._stride) if text[i : i + width] in at)

    def _around(self, view: _View, text: str, hit: int) -> Iterator[tuple[int, int]]:
        for needle, offset in self._at[text[hit : hit + self._width]]:
            start = hit - offset
            if start < 0 or not text.startswith(needle.text, start):
                continue
            end = start + len(needle.text)
            if not needle.exact or len(range(*view.span(start, end))) == len(needle.text):
                yield start, end


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(set(spans)):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts, here = [], 0
    for start, end in _merged(spans):
        parts += [text[here:start], REDACTED]
        here = end
    return "".join((*parts, text[here:]))


class Redactor:
    """Replaces secrets by :data:`REDACTED`, a text that says nothing of what stood there.

    ``secrets`` shorter than four characters are not looked for: hiding them would shred every text.
    The public prefixes ``hk_live_`` and ``hk_test_`` alone are no secret. Printing it shows no secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._needles = tuple(needle for secret in secrets for needle in _needles(secret))
        self._index = _Index(self._needles)

    def learn(self, secret: str) -> None:
        """Redact this one too from now on, as a key that was issued in the middle of a run."""
        self._needles += tuple(_needles(secret))
        self._index = _Index(self._needles)

    def text(self, s: str) -> str:
        """The text without secrets. Total and idempotent; about 0.2 s for a mebibyte of JSON."""
        while True:
            redacted = self._once(s)
            if redacted == s:
                return s
            s = redacted

    def _once(self, s: str) -> str:
        if self._index and any(self._index.occurs(view) for view in _plain_views(s)):
            s = _cut(s, (span for view in _views(s) for span in self._index.spans(view)))
        lower = s.lower()
        for sign, pattern, replacement in _PATTERNS:
            s = pattern.sub(replacement, s) if sign in lower else s
        return _MARKERS.sub(REDACTED, s)

    def json(self, value: JsonValue) -> JsonValue:
        """The value with every string in it redacted, keys included, at any depth.

        What lies deeper than two hundred levels is replaced as a whole.
        """
        return self._json(value, _DEPTH)

    def _json(self, value: JsonValue, depth: int) -> JsonValue:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (list, dict)) and not depth:
            return REDACTED
        if isinstance(value, list):
            return [self._json(item, depth - 1) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._json(item, depth - 1) for name, item in value.items()}
        return value

    def model(self, m: M) -> M:
        """A copy of a pydantic model, of the same class, with every string in it redacted."""
        fields = {**{name: getattr(m, name) for name in type(m).model_fields}, **(m.model_extra or {})}
        return m.model_copy(update={name: self._any(value) for name, value in fields.items()})

    def _any(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value) if type(value) is str else value
        if isinstance(value, BaseModel):
            return self.model(value)
        if isinstance(value, Mapping):
            return {self._any(name): self._any(item) for name, item in value.items()}
        if isinstance(value, (tuple, list, set, frozenset)):
            return type(value)(self._any(item) for item in value)
        return value

    def filter(self) -> logging.Filter:
        """A filter for the root logger's handlers: messages, tracebacks and stacks are redacted."""
        return _LogFilter(self)


class _LogFilter(logging.Filter):
    """Redacts a record in place, so that every formatter sees the redacted text only."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.text(_message(record)), ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        record.exc_text = self._redactor.text(record.exc_text) if record.exc_text else None
        record.stack_info = self._redactor.text(record.stack_info) if record.stack_info else None
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError, IndexError):
        return str(record.msg)  # logging would print the arguments, unredacted, to standard error
