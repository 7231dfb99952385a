"""The certificate of each host: its dates, its names, its issuer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Certificate, Failure, Shown
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, HostName, NotApplicable, Utc
from hokusai_probe.probes.hosts import HostsFacts


class HostCertificate(Frozen):
    """The certificate that one host shows, or why none was seen."""

    name: str
    certificate: Certificate | None = None
    failure: Failure | None = None


class TlsFacts(Facts):
    """The certificates of the hosts that are asked over https, looked at when our clock said ``at``."""

    at: Utc
    hosts: Mapping[str, HostCertificate]

    def out_of_date(self, host: str) -> bool | None:
        """Whether a host's certificate has ended or not begun by our clock; None: none was seen."""
        found = self.hosts.get(host)
        if found is None or found.certificate is None:
            return None
        return not found.certificate.not_before <= self.at <= found.certificate.not_after

    def misses_name(self, host: str) -> bool | None:
        """Whether a host's certificate is for other names; None: none was seen."""
        found = self.hosts.get(host)
        if found is None or found.certificate is None:
            return None
        return not found.certificate.covers(found.name)


@probe(area="infrastructure", cost=0, deadline_s=30.0)
async def tls(look: Look, hosts: HostsFacts) -> TlsFacts:
    """Which certificate each host shows.

    One handshake a host that verifies nothing and sends nothing; all other looks verify. A host that took no
    connection a moment ago is not asked again.
    """
    secure = [name for name, url in look.target.hosts.present().items() if urlsplit(url).scheme == "https"]
    found = await asyncio.gather(*(_of_host(look, name, hosts) for name in secure))
    return TlsFacts(at=datetime.now(UTC), hosts=dict(zip(secure, found, strict=True)))


async def _of_host(look: Look, host: HostName, hosts: HostsFacts) -> HostCertificate:
    seen = hosts.hosts[host]
    name, address, failure = seen.resolution.name, seen.health.address, seen.health.failure
    if address is None or (failure is not None and failure.kind not in {"tls", "reset", "malformed"}):
        return HostCertificate(name=name, failure=failure)
    shown: Shown = await look.http.certificate(host, address)
    return HostCertificate(name=name, certificate=shown.certificate, failure=shown.failure)


def distrusted(hosts: HostsFacts, host: str) -> bool | None:
    """Whether verifying a host's certificate ended at its issuer; None: nobody came so far.

    OpenSSL looks for the issuer first, then at the name, then at the dates (X509_verify_cert).
    """
    answer = hosts.health(host)
    if answer is None:
        return None
    if answer.failure is None or answer.status is not None:
        return False
    if answer.failure.kind != "tls":
        return None
    known = {"untrusted": True, "wrong-name": False, "expired": False, "not-yet-valid": False}
    return known.get(answer.failure.code or "")


# --- checks -----------------------------------------------------------------------------------------


def _unseen(facts: TlsFacts) -> Sentence:
    """What is said where nothing is wrong with the certificates that were seen."""
    if not facts.hosts:
        return NotApplicable(reason="no host of the target is asked over https")
    unseen = [name for name, one in facts.hosts.items() if one.certificate is None]
    return CannotTell(reason=f"no certificate was seen: {', '.join(unseen)}") if unseen else None


def _joined(complaints: Iterator[str], facts: TlsFacts) -> Sentence:
    return "; ".join(complaints) or _unseen(facts)


@check(hop="certificates/dates")
def certificates_are_in_date(facts: TlsFacts) -> Sentence:
    """Each host's certificate has begun and not ended, by our clock."""
    return _joined(_past(facts), facts)


def _past(facts: TlsFacts) -> Iterator[str]:
    for host, one in facts.hosts.items():
        if one.certificate is not None and facts.out_of_date(host):
            yield f"the certificate of {one.name} is {when(one.certificate, facts.at)}"


def when(certificate: Certificate, at: datetime) -> str:
    """How a certificate's dates stand at a moment, as words that follow ``is``."""
    if at < certificate.not_before:
        return f"not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    if at > certificate.not_after:
        days = (at - certificate.not_after).days
        return f"out of date since {certificate.not_after:%Y-%m-%d %H:%M} UTC, {days} days ago"
    return f"good for {(certificate.not_after - at).days} more days"


@check(hop="certificates/names")
def certificates_cover_their_names(facts: TlsFacts) -> Sentence:
    """Each host's certificate is for that host."""
    return _joined(_elsewhere(facts), facts)


def _elsewhere(facts: TlsFacts) -> Iterator[str]:
    for host, one in facts.hosts.items():
        if one.certificate is not None and facts.misses_name(host):
            names = ", ".join(one.certificate.names[:5]) or "no name"
            yield f"the certificate of {one.name} is for {names}"


@check(hop="certificates/trust")
def certificates_are_trusted(facts: TlsFacts, hosts: HostsFacts) -> Sentence:
    """Each host's certificate leads to an authority that is known here."""
    return _joined(_strange(facts, hosts), facts)


def _strange(facts: TlsFacts, hosts: HostsFacts) -> Iterator[str]:
    for host, one in facts.hosts.items():
        if distrusted(hosts, host):
            by = "itself" if one.certificate and one.certificate.self_issued else None
            issuer = by or (one.certificate.issuer if one.certificate else "") or "nobody named"
            yield f"the certificate of {one.name} is issued by {issuer}, which is not trusted here"
