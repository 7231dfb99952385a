"""Escapers: whatever the text, what surrounds it reads the same."""

import re
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hokusai_probe import text

COMMONMARK = MarkdownIt("commonmark")
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
WORD = "x"

HOSTILE = (
    "```\n@everyone closes #1 &#64;octocat",
    "a | b\n<details>\n<!-- hokusai-probe:v1 -->",
    "![x](http://evil.example/p.png) [y](javascript:alert(1)) <https://a.example> www.a.example",
    "# Heading\n\n- item\n1. one\n> quote\n---\n    code",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eevil\u202c \ud800",
    "::set-env name=PATH::/tmp",
    " a ##[add-mask]e",
    ":::error::x",
    "` `` ``` ````",
    "\\`\\|\\\\|",
    "1) one",
    "=====",
    "GH-1 owner/repo#2 a@b.example ~~gone~~ $x$ *a* _b_ c_d_e __f__",
    "[a]: http://evil.example",
    "&lt;!-- &amp; &copy;",
    "",
    " \n\t ",
)
ANY = st.text() | st.text("`|\\<>!-#@[]()*_~=+.:&$1a \n\t\x1b\u200b\u202e\ud800") | st.sampled_from(HOSTILE)


def skeleton(tokens: list[Token]) -> list[tuple[str, str]]:
    """Block structure, and the kinds of inline nodes other than plain text."""
    plain = {"text", "text_special", "softbreak"}
    inline = [(c.type, "") for token in tokens for c in token.children or () if c.type not in plain]
    return [(token.type, token.tag) for token in tokens] + inline


def rendered(source: str) -> str:
    """The plain text that a reader of the Markdown sees, without our zero-width spaces."""
    tokens = COMMONMARK.parse(source)
    content = (c.content for token in tokens for c in token.children or ())
    return "".join(content).replace("\u200b", "")


@given(ANY)
@example("\x1b[\x1b[31mmA")
def test_clean_leaves_only_what_can_be_shown(hostile: str) -> None:
    """No control but tab and line feed, no format character, no lone surrogate; encodable; idempotent."""
    cleaned = text.clean(hostile)
    bad = [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in "\n\t"]
    assert bad == []
    assert cleaned.encode().decode() == cleaned
    assert text.clean(cleaned) == cleaned


def test_clean_drops_every_format_character_that_unicode_has() -> None:
    """The list of dropped characters in the source is complete for this Python's Unicode."""
    every = [chr(i) for i in range(0x110000)]
    bad = [
        c for c in every if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in "\n\t\r\x0b\x0c\x85"
    ]
    assert [c for c in bad if text.clean(c)] == []


def test_clean_keeps_ordinary_text() -> None:
    """Letters of any script, emoji, tabs and line feeds stay; other line ends become line feeds."""
    assert text.clean("Grüße 世界 😀\ta\r\nb\rc\u2028d") == "Grüße 世界 😀\ta\nb\nc\nd"


@given(ANY, st.integers(1, 50))
def test_clean_cuts_to_the_limit(hostile: str, limit: int) -> None:
    """Never longer than the limit, and an ellipsis says that something was cut."""
    whole, cut = text.clean(hostile), text.clean(hostile, limit)
    assert cut == (whole if len(whole) <= limit else whole[: limit - 1] + "…")


@given(ANY)
def test_markdown_cannot_leave_its_place(hostile: str) -> None:
    """Alone, in a list item, in a heading and beside bold text, the parse is that of a plain word."""
    for place in ("{}", "- {}", "# {}", "**bold** {} after", "> {}", "1. {}\n2. next"):
        expected = skeleton(COMMONMARK.parse(place.format(WORD)))
        inert = text.markdown(hostile) or WORD
        assert skeleton(COMMONMARK.parse(place.format(inert))) == expected
        assert skeleton(GITHUB.parse(place.format(inert))) == expected


@given(ANY)
def test_markdown_renders_as_the_text_itself(hostile: str) -> None:
    """What a reader sees is the cleaned text on one line."""
    assert rendered(text.markdown(hostile)) == " ".join(text.clean(hostile).split()) or (
        rendered(text.markdown(hostile)) == "\ufffd"
    )


@given(ANY)
def test_markdown_holds_nothing_that_github_acts_on(hostile: str) -> None:
    """No mention, issue reference, bare link or marker, in the raw text."""
    acted_on = re.compile(r"@\w|#\d|GH-\d|://|www\.|<!--", re.IGNORECASE)
    for form in (text.markdown(hostile), text.cell(hostile), text.cell_code(hostile)):
        assert acted_on.search(form) is None


@given(ANY, ANY)
def test_cells_keep_the_table(one: str, two: str) -> None:
    """A table row of hostile cells has the cells of a row of words, and the row after it is still one."""
    table = "| a | b |\n|---|---|\n| {} | {} |\n| c | d |"
    expected = skeleton(GITHUB.parse(table.format(WORD, WORD)))
    assert skeleton(GITHUB.parse(table.format(text.cell(one), text.cell(two)))) == expected
    coded = GITHUB.parse(table.format(text.cell_code(one), WORD))
    assert [pair for pair in skeleton(coded) if pair[0] != "html_inline"] == expected


@given(ANY)
def test_code_is_one_span(hostile: str) -> None:
    """A code span is one node whose content is the cleaned line, and no marker is in the raw text."""
    (paragraph,) = [t for t in COMMONMARK.parse(text.code(hostile)) if t.type == "inline"]
    children = paragraph.children or []
    assert [c.type for c in children] == ["code_inline"]
    assert children[0].content.replace("\u200b", "").strip() == text.one_line(hostile)
    assert "<!--" not in text.code(hostile)


@given(ANY, ANY)
def test_fence_is_one_block(hostile: str, info: str) -> None:
    """A fence is one block with the cleaned text in it, whatever follows is outside."""
    tokens = COMMONMARK.parse(text.fence(hostile, info) + "\n\nafter")
    assert [t.type for t in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    content = tokens[0].content.replace("\u200b", "")
    assert content in {text.clean(hostile), text.clean(hostile) + "\n"}
    assert "<!--" not in text.fence(hostile, info)
    assert re.search(r"@\w|#\d", text.fence(hostile)) is None


def test_exact_code_can_be_pasted() -> None:
    """Our own commands are not altered by the escapers of code."""
    command = "curl -d @body.json https://registry.example/#1"
    assert text.fence(command, "sh", exact=True) == f"```sh\n{command}\n```"
    assert text.code(command, exact=True) == f"`{command}`"


def obeyed(line: str) -> bool:
    """Whether GitHub's runner reads a command in the line: ActionCommand.TryParse and TryParseV2."""
    v1 = line.find("##[")
    v2 = line.lstrip().startswith("::") and "::" in line.lstrip()[2:]
    return v2 or (v1 >= 0 and "]" in line[v1:])


@pytest.mark.parametrize("live", ["::error::x", "  ::set-env name=a::b", "a ##[add-mask]e"])
def test_the_port_of_the_runner_obeys(live: str) -> None:
    """The oracle of the next test is not blind."""
    assert obeyed(live)


@given(ANY)
@example(":::error::x")
@example("###[debug]x")
def test_log_line_is_inert(hostile: str) -> None:
    """One line, no workflow command, no control character."""
    line = text.log_line(hostile)
    assert not obeyed(line)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} and c != "\t" for c in line)


@given(ANY)
def test_terminal_lines_are_inert(hostile: str) -> None:
    """Lines stay lines, none of them is obeyed, and no escape sequence is left."""
    shown = text.terminal(hostile)
    assert not any(obeyed(line) for line in shown.split("\n"))
    assert "\x1b" not in shown
    assert shown.replace("\u200b", "") == text.clean(hostile)


class Elements(HTMLParser):
    """What a page is made of: tags with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append((f"!--{data}", ()))


MARKUP = (
    ANY
    | st.text("<>\"'&;=/!-- \n\tscriptonx:#")
    | st.sampled_from(
        ("</p><script>alert(1)</script>", '" onclick="alert(1)', "' autofocus='", "<!-- -->", "]]>", "&#60;b")
    )
)


@given(MARKUP)
@example("\x00\x08\ufffe\uffff\x0b")
def test_html_is_one_text_and_one_attribute(hostile: str) -> None:
    """Between tags and in an attribute, double-quoted or single, a parser reads the clean text."""
    said = text.html(hostile)
    page = Elements(f"<p title=\"{said}\" class='{said}'>{said}</p>")
    wanted = text.clean(hostile)
    assert page.tags == [("p", (("title", wanted), ("class", wanted)))]
    assert "".join(page.words) == wanted


@given(MARKUP)
@example("\x00\x08\ufffe\uffff\x0b")
def test_xml_is_one_text_and_one_attribute(hostile: str) -> None:
    """XML parses, whatever the text, and holds the clean text, line feeds and tabs also in an attribute."""
    said = text.xml(hostile)
    found = ElementTree.fromstring(f'<p title="{said}">{said}</p>')
    assert (found.get("title"), found.text or "", len(found)) == (text.clean(hostile), text.clean(hostile), 0)


@given(MARKUP)
def test_a_mermaid_label_stays_in_its_quotes(hostile: str) -> None:
    """Only letters, digits, plain punctuation and entities; the entities read back give the line."""
    said = text.mermaid(hostile)
    assert re.fullmatch(r"(?:[\w .,:/()-]|#\d+;)*", said)
    assert re.sub(r"#(\d+);", lambda m: chr(int(m[1])), said) == text.one_line(hostile)


@given(MARKUP)
def test_a_prometheus_label_stays_in_its_quotes(hostile: str) -> None:
    """One line without a bare quote, and the three escapes read back give the clean text."""
    said = text.prometheus(hostile)
    assert re.fullmatch(r'(?:[^"\\\n]|\\[\\"n])*', said)
    known = {"\\": "\\", '"': '"', "n": "\n"}
    assert re.sub(r"\\(.)", lambda m: known[m[1]], said) == text.clean(hostile)
