"""A host's certificate is for other names."""

from collections.abc import Iterator

from pydantic import JsonValue

from hokusai_probe.causes._tls import BEHIND_TLS, at_its_place, good_certificate, show_another, shown_by
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import HostName, Target
from hokusai_probe.probes.certificates import CertificatesFacts
from hokusai_probe.probes.dns_records import DnsRecordsFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.tls import HostCertificate, TlsFacts, distrusted


@cause(
    component="tls",
    priority="critical",
    effort="minutes",
    entails=BEHIND_TLS,
    look_alikes={
        "host-resolves-to-wrong-place": "there the certificate fits whoever is reached, elsewhere",
        "certificate-expired": "there the names are right and the dates are not",
        "certificate-untrusted": "there the issuer is not known",
    },
    source="RFC 6125 section 6; AWS: Update the default certificate (Application Load Balancers)",
)
def certificate_wrong_name(
    tls: TlsFacts,
    hosts: HostsFacts,
    rules: ListenerRulesFacts | None,
    stored: CertificatesFacts | None,
    records: DnsRecordsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The certificate that a host shows is for other names, so no client that verifies goes on.

    Texts: ``hostname mismatch``, ``certificate is not valid for``, ``ERR_CERT_COMMON_NAME_INVALID``. Where
    the name may lead to somebody else, whose certificate is quite right for other names, it stays open which
    of the two is wrong.
    """
    for host, one in shown_by(tls, target):
        assert one.certificate is not None
        names: list[JsonValue] = list(one.certificate.names)
        place = at_its_place(host, hosts, records, target)
        listed = ", ".join(one.certificate.names[:5]) or "no name"
        yield Case(
            subject=host,
            breaks=(f"tls.{host}", "certificates/names"),
            claims=(
                claim(
                    f"the certificate of {one.name} is for {listed}",
                    _speaks(misses=tls.misses_name(host), place=place),
                    by=TlsFacts,
                    fact=f"hosts.{host}.certificate.names",
                    value=names,
                    telling=place or _is_anothers(host, one, tls, hosts),
                ),
            ),
            remedy=show_another(
                host,
                "itself",
                "certificate-wrong-name",
                rules,
                good_certificate(one.name, tls, hosts, stored),
                one,
            ),
        )


def _speaks(*, misses: bool | None, place: bool | None) -> bool | None:
    """Elsewhere, a certificate for other names is a stranger's, and speaks neither for nor against ours."""
    return None if misses and place is False else misses


def _is_anothers(host: HostName, one: HostCertificate, tls: TlsFacts, hosts: HostsFacts) -> bool:
    """Whether it is the certificate of another host of the target: who shows it is the platform.

    Where the address is that host's, too, it may be the name that is wrong.
    """
    assert one.certificate is not None
    owners = [h for h, other in tls.hosts.items() if h != host and one.certificate.covers(other.name)]
    mine = set(hosts.hosts[host].resolution.addresses)
    there = (mine & set(hosts.hosts[h].resolution.addresses) for h in owners)
    return bool(owners) and not distrusted(hosts, host) and not any(there)
