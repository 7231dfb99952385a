"""A host's certificate is for other names."""

from collections.abc import Iterator

from pydantic import JsonValue

from hokusai_probe.causes._tls import BEHIND_TLS, good_certificate, show_another, shown_by
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import HostName, Target
from hokusai_probe.probes.certificates import CertificatesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.tls import HostCertificate, TlsFacts


@cause(
    component="tls",
    priority="critical",
    effort="minutes",
    entails=BEHIND_TLS,
    look_alikes={
        "host-resolves-to-wrong-place": "there the certificate fits whoever is reached",
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
    target: Target,
) -> Iterator[Case]:
    """The certificate that a host shows is for other names, so no client that verifies goes on.

    Texts: ``hostname mismatch``, ``certificate is not valid for``, ``ERR_CERT_COMMON_NAME_INVALID``. Where
    address and certificate are both those of another host, it may be the name that is wrong.
    """
    for host, one in shown_by(tls, target):
        assert one.certificate is not None
        names: list[JsonValue] = list(one.certificate.names)
        listed = ", ".join(one.certificate.names[:5]) or "no name"
        yield Case(
            subject=host,
            breaks=(f"tls.{host}", "certificates/names"),
            claims=(
                claim(
                    f"the certificate of {one.name} is for {listed}",
                    tls.misses_name(host),
                    by=TlsFacts,
                    fact=f"hosts.{host}.certificate.names",
                    value=names,
                    telling=not _is_anothers(host, one, tls, hosts),
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


def _is_anothers(host: HostName, one: HostCertificate, tls: TlsFacts, hosts: HostsFacts) -> bool:
    """Whether the address and the certificate are both those of another host of the target."""
    mine = set(hosts.hosts[host].resolution.addresses)
    return any(
        one.certificate is not None
        and one.certificate.covers(other.name)
        and mine & set(hosts.hosts[name].resolution.addresses)
        for name, other in tls.hosts.items()
        if name != host
    )
