"""Escapers of hostile text, one per place that text can go. Pure.

What a platform answers may be written by whoever broke into it. Redact first
(:mod:`hokusai_probe.redact`), then clean and cut, then escape for the place: a line of Markdown, a table
cell, a code span, a fenced block, a terminal, the log of a GitHub Actions job, HTML, XML (SVG too), a label
of a Mermaid picture, or a label of a Prometheus metric.

Escaping works by entities, backslashes and U+200B (zero-width space). The last is what breaks what
GitHub finds before or after it reads Markdown: mentions, issue references, bare links, and ``<!--``, by
which our own markers are found.
"""

from __future__ import annotations

import html as _standard
import re

from hokusai_probe.redact import ANSI

_ZERO_WIDTH = "\u200b"
_UNPRINTABLE = "\ufffd"

_ANSI = re.compile(ANSI)
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")

# Unicode's controls, formats (bidi, zero width, tags) and surrogates, and the noncharacters, which XML
# refuses; not tab and line feed. The \N-th planes' noncharacters end in fffe and ffff.
_DROPPED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f" + "".join(map(chr, range(0x1FFFE, 0x10FFFF, 0x10000)))
    + "".join(map(chr, range(0x1FFFF, 0x110000, 0x10000))) + "]"
)  # fmt: skip

_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "|": "&vert;",
    "@": f"@{_ZERO_WIDTH}",
    "#": f"#{_ZERO_WIDTH}",
}
_SPECIAL = re.compile(r"[&<>|@#]|[\\`*\[\]~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BARE_LINK = re.compile(r"(:)(?=//)|(?i:(\bwww)(?=\.)|(\bgh-)(?=\d))")
_BLOCK_START = re.compile(r"^(\d{0,9})(?=[-+=.)])")
_REFERENCE = re.compile(r"@(?=\w)|#(?=\d)")
_COMMAND = re.compile(r":(?=:)|#(?=#\[)")
_TICKS = re.compile(r"`+")
_NOT_INFO = re.compile(r"[^A-Za-z0-9_+-]")
_PROMETHEUS = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_NOT_PLAIN = re.compile(r"[^\w .,:/()-]")


def clean(text: str, limit: int | None = None) -> str:
    """The text without ANSI sequences, controls, bidi and other formats, and lone surrogates.

    Line ends become line feeds; tabs stay. Longer than ``limit`` characters: cut, ending in an ellipsis.
    """
    text = _DROPPED.sub("", _LINE_END.sub("\n", _ANSI.sub("", text)))
    return text if limit is None or len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def one_line(text: str) -> str:
    """The clean text with every run of white space made one blank. Unprintable text becomes U+FFFD."""
    return " ".join(clean(text).split()) or (_UNPRINTABLE if text else "")


def markdown(text: str) -> str:
    """The text as inline Markdown that renders as itself: one line, no markup, wherever it stands.

    It cannot start a block, and it holds no link, image, HTML, mention, issue reference or marker.
    """
    escaped = _SPECIAL.sub(_escaped, _BARE_LINK.sub(_broken, one_line(text)))
    return _BLOCK_START.sub(r"\1\\", escaped)


def _escaped(match: re.Match[str]) -> str:
    return _ENTITIES.get(match[0], f"\\{match[0]}")


def _broken(match: re.Match[str]) -> str:
    return match[0] + _ZERO_WIDTH


def cell(text: str) -> str:
    """The text for a cell of a GitHub table: as :func:`markdown`, whose pipes are entities already."""
    return markdown(text)


def cell_code(text: str) -> str:
    """The text in fixed width for a table cell, where a code span cannot hold every pipe."""
    return f"<code>{markdown(text) or ' '}</code>"


def _quoted(text: str, *, exact: bool) -> str:
    text = text.replace("<!--", f"<{_ZERO_WIDTH}!--")
    return text if exact else _REFERENCE.sub(_broken, text)


def _longest_ticks(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)


def code(text: str, *, exact: bool = False) -> str:
    """The text as an inline code span, not for tables. ``exact``: ours, so mentions are left as they are.

    GitHub's mails are plain text, where code does not stop a mention.
    """
    line = _quoted(one_line(text), exact=exact) or " "
    ticks = "`" * (_longest_ticks(line) + 1)
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fence(text: str, info: str = "", *, exact: bool = False) -> str:
    """The text as a fenced block that starts and ends a line, without a line feed after it.

    ``exact``: the text is ours and is to be pasted, so only our marker is broken in it.
    """
    body = _quoted(clean(text), exact=exact)
    if body and not body.endswith("\n"):
        body += "\n"
    ticks = "`" * max(_longest_ticks(body) + 1, 3)
    return f"{ticks}{_NOT_INFO.sub('', info)}\n{body}{ticks}"


def terminal(text: str) -> str:
    """The text for a terminal or a job's log: clean, lines kept, and no workflow command in it."""
    return _COMMAND.sub(_broken, clean(text))


def log_line(text: str) -> str:
    r"""The text as one line of a log: line ends become ``\n``, ``::command::`` and ``##[command]`` inert.

    GitHub's runner obeys ``##[`` anywhere in a line and ``::`` at its start.
    """
    return terminal(text).replace("\n", "\\n")


def html(text: str) -> str:
    """The text for an element of HTML or a quoted attribute: clean, lines kept, and no markup in it.

    Not for a URL, a script or a style, where an escaped text is still live.
    """
    return _standard.escape(clean(text))


def xml(text: str) -> str:
    """The text for an element of XML or SVG or a quoted attribute; line feeds and tabs survive both.

    :func:`clean` has dropped what XML 1.0 forbids.
    """
    return html(text).replace("\n", "&#10;").replace("\t", "&#9;")


def mermaid(text: str) -> str:
    """The text for a label of a Mermaid picture that stands in double quotes: one line, the rest entities.

    Mermaid writes an entity as ``#34;``, and reads Markdown and HTML in a label, so whatever is neither a
    letter nor plain punctuation is one.
    """
    return _NOT_PLAIN.sub(lambda found: f"#{ord(found[0])};", one_line(text))


def prometheus(text: str) -> str:
    """The text for a Prometheus label's value, without its quotes: clean, backslashes before specials."""
    return clean(text).translate(_PROMETHEUS)
