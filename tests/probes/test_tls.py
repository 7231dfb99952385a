"""Certificates: what is read from their bytes, what a handshake shows, and what the checks say of it."""

import asyncio
import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import trustme
from _edge import BEGAN, ENDS, NOW, certificate, refused_for, tls_facts
from _facts import TARGET, hosts_facts, silence
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.certificate import Certificate, names_cover, parse
from hokusai_probe.declare import Catalogue
from hokusai_probe.handshake import Shown, shown
from hokusai_probe.probes.tls import TlsFacts, distrusted, when

# --- reading ------------------------------------------------------------------------------------------


def issued(*names: str, **given: object) -> bytes:
    """A certificate's bytes, as an authority issues it."""
    chain = trustme.CA(organization_name="Some CA").issue_cert(*names, **given).cert_chain_pems[0]  # type: ignore[arg-type]
    return ssl.PEM_cert_to_DER_cert(chain.bytes().decode())


def test_what_a_certificate_says_is_read_from_its_bytes() -> None:
    """Names of hosts and addresses, dates, the issuer's organisation where it has no common name."""
    read = parse(issued("a.example", "*.b.example", "192.0.2.1", not_before=BEGAN, not_after=ENDS))

    assert read == Certificate(
        names=("a.example", "*.b.example", "192.0.2.1"),
        issuer="Some CA",
        self_issued=False,
        not_before=BEGAN,
        not_after=ENDS,
    )


def test_an_authoritys_own_certificate_is_self_issued() -> None:
    """Its issuer is its subject, and it is for no host."""
    own = ssl.PEM_cert_to_DER_cert(trustme.CA(organization_name="Own").cert_pem.bytes().decode())

    assert (parse(own).self_issued, parse(own).names, parse(own).issuer) == (True, (), "Own")


def test_damaged_bytes_are_a_value_error_and_nothing_else() -> None:
    """A stranger's bytes end in a certificate or in ValueError, wherever they are cut or changed."""
    whole, draw, refused = issued("a.example"), random.Random(1), 0
    for round_ in range(3000):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] = draw.randrange(256)
        try:
            parse(bytes(damaged[: draw.randrange(len(whole) + 1)]) if round_ % 2 else bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize(
    ("name", "covered"),
    [("a.example", True), ("A.Example.", True), ("x.b.example", True), ("b.example", False),
     ("y.x.b.example", False), ("example", False)],
)  # fmt: skip
def test_a_star_is_one_whole_label(name: str, covered: bool) -> None:
    """``*.b.example`` is for ``x.b.example``, and neither for its parent nor for its children."""
    assert names_cover(("a.example", "*.b.example"), name) is covered


# --- shaking hands ------------------------------------------------------------------------------------


@contextmanager
def server(directory: Path, *names: str) -> Iterator[tuple[int, list[bytes]]]:
    """A TLS server whose certificate nobody trusts: its port, and what it was sent then."""
    context, heard = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[bytes]()
    trustme.CA().issue_cert(*names, not_after=NOW).configure_cert(context)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listening.accept()
        with plain, context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=True) as secure:
            try:
                heard.append(secure.recv(100))
            except OSError:
                heard.append(b"")

    thread = Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1], heard
    finally:
        thread.join(5)
        listening.close()


def test_a_certificate_that_does_not_hold_is_seen_and_nothing_is_sent(tmp_path: Path) -> None:
    """Untrusted, out of date, for another name: it is shown all the same, and no byte of ours arrives."""
    with server(tmp_path, "other.example") as (port, heard):
        seen = asyncio.run(shown("a.example", "127.0.0.1", port, 5.0))

    assert seen.certificate is not None
    assert (seen.certificate.names, seen.certificate.not_after) == (("other.example",), NOW)
    assert heard == [b""]


def test_who_does_not_speak_tls_or_is_not_there_shows_nothing() -> None:
    """A closed port is a reset, a silent server a timeout; neither raises."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        late = asyncio.run(shown("a.example", "127.0.0.1", port, 0.2))
    gone = asyncio.run(shown("a.example", "127.0.0.1", port, 0.2))

    assert [(s.certificate, s.failure.kind if s.failure else None) for s in (late, gone)] == [
        (None, "timeout"), (None, "reset"),
    ]  # fmt: skip
    assert isinstance(late, Shown)


# --- judging ------------------------------------------------------------------------------------------


def test_good_certificates_pass(real: Catalogue) -> None:
    """In date, for their hosts, and trusted."""
    for check in ("certificates-are-in-date", "certificates-cover-their-names", "certificates-are-trusted"):
        assert told(verdict(real, check, tls_facts(), hosts_facts())) == PASS


def test_dates_are_said_in_days(real: Catalogue) -> None:
    """Out of date since when, or not yet valid."""
    old = certificate("api.hokus.ai", ends=NOW - timedelta(days=3))
    young = certificate("auth.hokus.ai", begins=NOW + timedelta(hours=1))

    assert told(verdict(real, "certificates-are-in-date", tls_facts(api=old, auth=young))) == failing(
        "the certificate of auth.hokus.ai is not valid before 2025-08-05 10:27 UTC; "
        "the certificate of api.hokus.ai is out of date since 2025-08-02 09:27 UTC, 3 days ago"
    )
    assert when(certificate(), NOW) == "good for 30 more days"


def test_names_of_others_are_listed(real: Catalogue) -> None:
    """A certificate for another host."""
    facts = tls_facts(registry=certificate("auth.hokus.ai"))

    assert told(verdict(real, "certificates-cover-their-names", facts)) == failing(
        "the certificate of registry.hokus.ai is for auth.hokus.ai"
    )


def test_an_unknown_issuer_is_named(real: Catalogue) -> None:
    """The issuer that verification did not find, by its name."""
    facts = tls_facts(api=certificate("api.hokus.ai", issuer="Stranger"))

    assert told(verdict(real, "certificates-are-trusted", facts, refused_for("untrusted"))) == failing(
        "the certificate of api.hokus.ai is issued by Stranger, which is not trusted here"
    )


def test_what_was_not_seen_is_not_well(real: Catalogue) -> None:
    """A host that showed no certificate leaves the question open."""
    assert told(verdict(real, "certificates-are-in-date", tls_facts(auth=None))) == skipped(
        "cannot-tell", "no certificate was seen: auth"
    )
    assert told(verdict(real, "certificates-are-in-date", TlsFacts(at=NOW, hosts={}))) == skipped(
        "not-applicable", "no host of the target is asked over https"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [("untrusted", True), ("wrong-name", False), ("expired", False), ("handshake", None)],
)
def test_who_fails_later_is_trusted(code: str, expected: bool | None) -> None:
    """Names and dates are looked at only when the issuer was found."""
    assert distrusted(refused_for(code), "api") is expected
    assert distrusted(hosts_facts(), "api") is False
    assert distrusted(hosts_facts(api=silence()), "api") is None


def test_the_target_is_the_one_that_ships() -> None:
    """The names above are those of its hosts."""
    assert set(TARGET.hosts.present()) == {"auth", "registry", "api"}
