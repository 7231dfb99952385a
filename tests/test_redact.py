"""The redactor: no form of a secret gets through, and ordinary text does."""

import base64
import html
import json
import logging
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from hokusai_probe.model import Frozen
from hokusai_probe.redact import REDACTED, Redactor
from hokusai_probe.text import clean, code, fence, log_line, markdown

CANARY = "hk_test_Zx9qLmP2vR7t/Yw4B+dK=1F"
PUBLIC = ("hk_live_", "hk_test_")

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=60)
SECRETS = st.builds(str.__add__, st.sampled_from((*PUBLIC, "")), VISIBLE)
AROUND = st.text(max_size=30) | st.text("%\\u0&#x41;\x1b[m \n=hk_", max_size=20)


def _percent(s: str) -> str:
    return "".join(f"%{ord(c):02x}" for c in s)


def _json_escapes(s: str) -> str:
    return "".join(f"\\u{ord(c):04X}" for c in s)


def _entities(s: str) -> str:
    return "".join(f"&#{ord(c)};" for c in s)


def _wrapped(s: str) -> str:
    return "\n".join(s[i : i + 5] for i in range(0, len(s), 5))


def _coloured(s: str) -> str:
    return "\x1b[31m".join(s[i : i + 3] for i in range(0, len(s), 3))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "exact": str,
    "upper": str.upper,
    "swapped case": str.swapcase,
    "percent, all": _percent,
    "percent, what must": lambda s: urllib.parse.quote(s, safe=""),
    "percent, slash kept": urllib.parse.quote,
    "percent, lower": lambda s: urllib.parse.quote(s, safe="").lower(),
    "percent, twice": lambda s: urllib.parse.quote(_percent(s), safe=""),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON, slash": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "JSON, all": _json_escapes,
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)),
    "HTML": html.escape,
    "HTML, all": _entities,
    "HTML, hex": lambda s: "".join(f"&#x{ord(c):x};" for c in s),
    "repr": repr,
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "wrapped": _wrapped,
    "coloured": _coloured,
    "coloured, escaped": lambda s: json.dumps(_coloured(s)),
    "NUL between": "\0".join,
    "zero width between": "\u200b".join,
}

BASE64: dict[str, Callable[[bytes], str]] = {
    "base64": lambda b: base64.b64encode(b).decode(),
    "base64url": lambda b: base64.urlsafe_b64encode(b).decode(),
    "no padding": lambda b: base64.urlsafe_b64encode(b).decode().rstrip("="),
    "last quantum lost": lambda b: base64.b64encode(b).decode()[:-4],
    "MIME": lambda b: base64.encodebytes(b * 5).decode(),
    "percent of base64": lambda b: urllib.parse.quote(base64.b64encode(b).decode(), safe=""),
}


def gives_away(text: str, secret: str) -> list[str]:
    """The runs of eight characters of the secret, in any case, that the text still holds."""
    runs = {secret[i : i + 8].lower() for i in range(len(secret) - 7)}.difference(PUBLIC)
    low = text.lower()
    return [run for run in sorted(runs) if run in low.replace(REDACTED, "\0")]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(secret=SECRETS, before=AROUND, after=AROUND)
@settings(max_examples=30)
def test_no_encoding_of_a_secret_survives(encoding: str, secret: str, before: str, after: str) -> None:
    """Whatever stands around it, no encoded run of eight characters is left, and a second pass is idle."""
    redactor = Redactor([secret])
    encode = ENCODINGS[encoding]
    redacted = redactor.text(before + encode(secret) + after)
    assert gives_away(redacted, secret) == []
    assert encode(secret) not in redacted
    assert redactor.text(redacted) == redacted


@pytest.mark.parametrize("encoding", BASE64)
@given(secret=SECRETS, before=st.binary(max_size=2), after=st.binary(max_size=2))
@settings(max_examples=30)
def test_no_base64_of_a_secret_survives(encoding: str, secret: str, before: bytes, after: bytes) -> None:
    """At any offset, of key and what follows it, cut or not: at most a few characters at the edges stay."""
    encoded = BASE64[encoding](before + secret.encode() + after)
    redacted = Redactor([secret]).text(encoded)
    left = max(map(len, redacted.split(REDACTED)))
    assert REDACTED in redacted
    assert left < 8 + 3 * 4  # less than a run, and a quantum of percent-encoded edge


@given(secret=SECRETS, cut=st.tuples(st.integers(0, 30), st.integers(8, 30)), before=AROUND, after=AROUND)
def test_no_slice_of_eight_survives(secret: str, cut: tuple[int, int], before: str, after: str) -> None:
    """A truncated key is a secret as well."""
    part = secret[cut[0] : cut[0] + cut[1]]
    assert gives_away(Redactor([secret]).text(before + part + after), secret) == []


@given(secret=SECRETS, before=AROUND, after=AROUND)
@example("hk_test_abcdefghijkl", "", "\x1b]")
def test_nothing_downstream_joins_up_a_secret(secret: str, before: str, after: str) -> None:
    """What the escapers drop from redacted text does not bring a secret's parts together."""
    pieces = [secret[:6], "\x1b]0;", secret[6:7], "\x1b[3", secret[7:], "\x9b", secret]
    redacted = Redactor([secret]).text(before + "\x1b".join(pieces) + after)
    for escape in (clean, markdown, code, fence, log_line):
        joined = escape(redacted).replace("\u200b", "")
        assert gives_away(joined, secret) == []


@given(
    st.text()
    | AROUND
    | st.from_regex(r"(Bearer |://|\?token=|eyJ|hk_live_|password=)\S{0,9}", fullmatch=False)
)
def test_redaction_is_total_and_idempotent(text: str) -> None:
    """Any text has a redacted form, which is its own."""
    once = Redactor([CANARY]).text(text)
    assert Redactor([CANARY]).text(once) == once


def test_a_document_redacted_whole_needs_no_luck_with_chunks() -> None:
    """A secret split over two texts is found only in their sum: sinks redact documents, not chunks."""
    redactor = Redactor([CANARY])
    for cut in range(len(CANARY) + 1):
        assert gives_away(redactor.text("".join([CANARY[:cut], CANARY[cut:]])), CANARY) == []


@pytest.mark.parametrize(
    ("unknown", "redacted"),
    [
        ("key hk_live_" + "notarealkey0" + ".", f"key {REDACTED}."),
        ("key hk_test_1234", f"key {REDACTED}"),
        ("Authorization: Bearer s3cret-token", f"Authorization: Bearer {REDACTED}"),
        ("authorization=basic dXNlcjpwdw==", f"authorization=basic {REDACTED}"),
        ("BEARER  abc.def123", f"BEARER  {REDACTED}"),
        ('{"x-api-key": "abcd"}', f'{{"x-api-key": "{REDACTED}"}}'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", REDACTED),
        ("id AKIAIOSFODNN7EXAMPLE", f"id {REDACTED}"),
        ("id ASIAIOSFODNN7EXAMPLE", f"id {REDACTED}"),
        ("ghp_0123456789abcdef ghs_abcd", f"{REDACTED} {REDACTED}"),
        ("github_pat_11AAA_bbb", REDACTED),
        ("postgresql://mlflow:pw@db:5432/mlflow", f"postgresql://{REDACTED}@db:5432/mlflow"),
        ("https://a.example/?api_key=foo&b=1", f"https://a.example/?api_key={REDACTED}&b=1"),
        ("https://a.example/?a=1&X-Amz-Signature=ab12", f"https://a.example/?a=1&X-Amz-Signature={REDACTED}"),
        ('{"password": "hunter2", "a": 1}', f'{{"password": "{REDACTED}", "a": 1}}'),
    ],
)  # fmt: skip
def test_unknown_secrets_are_known_by_their_shape(unknown: str, redacted: str) -> None:
    """Keys that we were never told of do not get through either."""
    assert Redactor().text(unknown) == redacted


@pytest.mark.parametrize(
    "plain",
    [
        "A key starts with hk_live_ or hk_test_ and is never printed.",
        'curl -H "Authorization: Bearer $HOKUSAI_API_KEY" https://registry.example/',
        "Bearer token, bearer form: Bearer realm=\"x\"",
        "https://registry.example/api/2.0/mlflow/experiments/search?max_results=1",
        '{"detail": "Invalid or expired API key", "user": "a@b.example"}',
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/x/0123456789abcdef",
        "Grüße 世界 😀 \x1b[31m",
        "",
    ],
)  # fmt: skip
def test_ordinary_text_is_left_alone(plain: str) -> None:
    """What is no secret stays readable, with a key known and without."""
    assert Redactor([CANARY]).text(plain) == plain


def test_short_secrets() -> None:
    """Four to seven characters are found as a whole; fewer would shred every text, and are let be."""
    assert Redactor(["s3cr", "a"]).text("an S3CR and a s3c") == f"an {REDACTED} and a s3c"


def test_json_is_redacted_at_any_depth() -> None:
    """Strings and names, in lists and objects; other values are left alone."""
    value = {"a": [CANARY, 1, None, {CANARY: True}], "b": 1.5}
    assert Redactor([CANARY]).json(value) == {
        "a": [REDACTED_CANARY, 1, None, {REDACTED_CANARY: True}],
        "b": 1.5,
    }


def test_json_too_deep_is_replaced() -> None:
    """Depth is bounded, so hostile nesting cannot exhaust the stack."""
    value: object = CANARY
    for _ in range(5000):
        value = [value]
    assert str(Redactor([CANARY]).json(value)).count(REDACTED) == 1  # type: ignore[arg-type]


REDACTED_CANARY = Redactor([CANARY]).text(CANARY)


class Inner(Frozen):
    text: str
    count: int = 1


class Outer(Frozen):
    inner: Inner
    many: tuple[Inner, ...] = ()
    names: Mapping[str, str] = Field(default_factory=dict)
    nothing: str | None = None


def test_a_model_is_redacted_and_keeps_its_class() -> None:
    """Nested models, tuples and mappings; the original is not touched."""
    model = Outer(inner=Inner(text=CANARY), many=(Inner(text=CANARY, count=2),), names={CANARY: CANARY})
    assert Redactor([CANARY]).model(model) == Outer(
        inner=Inner(text=REDACTED_CANARY),
        many=(Inner(text=REDACTED_CANARY, count=2),),
        names={REDACTED_CANARY: REDACTED_CANARY},
    )
    assert model.inner.text == CANARY


def test_printing_a_redactor_shows_no_secret() -> None:
    """A traceback with locals does not print the key through the redactor."""
    assert gives_away(repr(Redactor([CANARY])), CANARY) == []


@pytest.fixture
def record() -> logging.LogRecord:
    """A record as ``logger.exception`` makes it, with the key in the message and in the exception."""
    try:
        int(CANARY)
    except ValueError:
        return logging.LogRecord("x", logging.ERROR, "f", 1, "key %s", (CANARY,), sys.exc_info())


def test_the_log_filter_redacts_messages_and_tracebacks(record: logging.LogRecord) -> None:
    """Whatever formats the record afterwards sees no secret."""
    assert Redactor([CANARY]).filter().filter(record)
    shown = logging.Formatter().format(record)
    assert shown.startswith(f"key {REDACTED_CANARY}\nTraceback")
    assert shown.endswith(f"ValueError: invalid literal for int() with base 10: '{REDACTED_CANARY}'")
    assert gives_away(shown, CANARY) == []


def test_the_log_filter_survives_a_broken_message() -> None:
    """Arguments that do not fit would be printed unredacted by logging itself."""
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "no place", (CANARY,), None)
    assert Redactor([CANARY]).filter().filter(record)
    assert record.getMessage() == "no place"


@pytest.mark.parametrize(
    "hostile",
    [
        "://",
        "eyJ",
        "bearer ",
        "%25",
        "\\u0041",
        "&#",
        "hk_live_",
        "\x1b[",
        "?api_key=",
        " a",
        "password",
        "a" * 8,
    ],
)
def test_cost_is_linear(hostile: str) -> None:
    """No text of 256 KiB, the most that is ever kept of an answer, costs more than a moment."""
    started = time.process_time()
    Redactor([CANARY]).text(hostile * (256 * 1024 // len(hostile)))
    assert time.process_time() - started < 1.0
