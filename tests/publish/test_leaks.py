"""The gate: what may be a secret does not pass, and what is none does."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hokusai_probe.publish.errors import LeakError
from hokusai_probe.publish.leaks import Gate
from hokusai_probe.redact import Redactor

KEY = "hk_test_Zx9qLmP2vR7tYw4B"
PASSWORD = "correct horse/battery%staple"
REPORTS = Path(__file__).parent.parent.parent / "reports"


def said(data: bytes, path: str = "history/a.json", source: str = "out/history/a.json") -> str:
    """What closing the gate behind a file says."""
    gate = Gate(Redactor([PASSWORD]))
    gate.check(path, data, source)
    try:
        gate.close()
    except LeakError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "hidden",
    [
        KEY,
        PASSWORD,
        base64.b64encode(f"x:{PASSWORD}".encode()).decode(),
        base64.urlsafe_b64encode(PASSWORD.encode()).decode().rstrip("="),
        PASSWORD.encode().hex(),
        PASSWORD.replace("%", "%25").replace("/", "%2f"),
        PASSWORD[5:20],
        "\n".join(PASSWORD),
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x",
        "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "https://me:hunter22@example.com",
        '"DB_PASSWORD": "hunter22"',
    ],
)
def test_a_secret_does_not_pass(hidden: str) -> None:
    """In whatever form; the file and the line are named, and nothing of the secret is."""
    told = said(f'{{\n"reasons": {{}},\n"x": "{hidden}"\n}}\n'.encode())

    assert told == "nothing is published, because there may be a secret in out/history/a.json, line 3"


def test_the_name_of_a_file_may_be_a_secret_as_well() -> None:
    """It is not repeated."""
    told = said(b"{}", f"history/{KEY}/a.json", f"out/history/{KEY}/a.json")

    assert told == (
        "nothing is published, because there may be a secret in the name of out/history/[redacted]/a.json"
    )


@pytest.mark.parametrize("data", [KEY.encode("utf-16"), b"\xff\xfe"])
def test_what_is_no_text_does_not_pass(data: bytes) -> None:
    """What cannot be read cannot be searched."""
    assert said(data).endswith("in out/history/a.json, which is no UTF-8 text, so that nobody can tell")


def test_every_place_is_named_once() -> None:
    """All of them, so that one look is enough."""
    gate = Gate(Redactor())
    for name in ("a", "b", "a", "c"):
        gate.check(name, KEY.encode() if name != "c" else b"", name)

    with pytest.raises(LeakError, match=r"secret in a, line 1; b, line 1$"):
        gate.close()


@pytest.mark.parametrize("path", sorted(REPORTS.iterdir()), ids=lambda path: path.name)
def test_documents_pass(path: Path) -> None:
    """Those of a real run: where AWS keeps a secret is an address, which is none."""
    assert said(path.read_bytes()) == ""


@settings(max_examples=25, deadline=None)
@given(st.text(), st.text())
def test_the_address_of_a_secret_hides_none(before: str, after: str) -> None:
    """What is known to be an address is read like everything else."""
    address = f'"DB_PASSWORD": "arn:aws:secretsmanager:us-east-1:1:secret:{before}{KEY}{after}"'

    assert said(address.encode(errors="replace")).startswith("nothing is published")
