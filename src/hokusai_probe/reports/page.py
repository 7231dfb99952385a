"""The frame of an HTML page that needs no network, and its smallest parts. Pure.

The page allows itself one style sheet and one script, each by its hash, and nothing else: whatever
hostile text should become live in spite of its escaper has nothing to run with and nowhere to go.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from hokusai_probe import text
from hokusai_probe.reports import answer

_SENTENCE_CHARACTERS = 1_000


class Html:
    """How HTML writes slugs, emphasis and foreign text."""

    def slug(self, text_: str) -> str:
        """A name in code type."""
        return f"<code>{text.html(text.one_line(text_))}</code>"

    def strong(self, text_: str) -> str:
        """Bold words of ours."""
        return f"<strong>{text.html(text_)}</strong>"

    def prose(self, text_: str) -> str:
        """Foreign text on one line, inert."""
        return text.html(text.one_line(text_))


STYLE = Html()


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


_LONG = 6  # entries; a longer list is folded


def _hash(said: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(said.encode()).digest()).decode()}'"


def whole(title: str, *body: str) -> str:
    """A whole page, ending in a newline. ``title`` may be foreign, ``body`` is HTML."""
    css, js = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(css)}; script-src {_hash(js)}; "
        "base-uri 'none'; form-action 'none'"
    )
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        '<link rel="icon" href="data:,">',
        f"<title>{STYLE.prose(title)}</title>",
        f"<style>{css}</style>",
    )
    said = '<p id="copied" role="status"></p>'
    lines = ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>"]
    return (
        "\n".join([*lines, *(b for b in body if b), said, f"<script>{js}</script>", "</body>", "</html>"])
        + "\n"
    )


def section(name: str, title: str, *parts: str) -> str:
    """A section with its heading, or nothing where there is nothing to say. ``name`` is ours."""
    said = "\n".join(p for p in parts if p)
    if not said:
        return ""
    return f'<section aria-labelledby="{name}"><h2 id="{name}" tabindex="-1">{title}</h2>\n{said}\n</section>'


def under(title: str, *parts: str, level: int = 4) -> str:
    """A smaller heading over its parts, or nothing."""
    said = "\n".join(p for p in parts if p)
    return f"<h{level}>{title}</h{level}>\n{said}" if said else ""


def folded(entries: Iterable[str], what: str) -> str:
    """A list; one that is long is folded away, under its length and what it is of."""
    found = list(entries)
    if len(found) <= _LONG:
        return items(found)
    return f"<details><summary>{len(found)} {what}</summary>\n{items(found)}</details>"


def items(entries: Iterable[str], *, numbered: bool = False) -> str:
    """A list; nothing for none."""
    lines = "".join(f"<li>{entry}</li>\n" for entry in entries)
    tag = "ol" if numbered else "ul"
    return f"<{tag}>\n{lines}</{tag}>" if lines else ""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names of ours with what is known of each."""
    lines = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>\n" for name, value in pairs if value)
    return f'<dl class="facts">\n{lines}</dl>' if lines else ""


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row; it scrolls by itself where the screen is narrow."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>\n'
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table>\n'
        f"<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def paragraph(said: str) -> str:
    """A paragraph of HTML; nothing for none."""
    return f"<p>{said}</p>" if said else ""


def sentence(said: str) -> str:
    """Foreign text as one inert sentence."""
    return STYLE.prose(answer.sentence(text.clean(text.one_line(said), _SENTENCE_CHARACTERS)))


def copied(lines: Iterable[str], name: str) -> str:
    """Commands with a button that copies them; ``name`` says what they are for. Nothing for none."""
    said = text.html("\n".join(lines))
    if not said:
        return ""
    return (
        f'<div class="copy"><pre><code>{said}</code></pre>'
        f'<button type="button" data-copy hidden aria-label="Copy: {STYLE.prose(name)}">Copy</button></div>'
    )
