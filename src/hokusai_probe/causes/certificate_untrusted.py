"""A host's certificate is of an issuer that is not trusted."""

from collections.abc import Iterator

from hokusai_probe.causes._tls import BEHIND_TLS, good_certificate, is_meant_for, show_another, shown_by
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Target
from hokusai_probe.probes.certificates import CertificatesFacts
from hokusai_probe.probes.control_host import ControlHostFacts
from hokusai_probe.probes.dns_records import DnsRecordsFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.tls import TlsFacts, distrusted


@cause(
    component="tls",
    priority="critical",
    effort="minutes",
    entails=BEHIND_TLS,
    look_alikes={
        "certificate-expired": "there the issuer is known and the dates are not right",
        "certificate-wrong-name": "there the issuer is known and the names are not right",
        "probe-has-no-network": "there nothing is reached; a proxy that opens TLS shows there, too",
    },
    source="RFC 5280 section 6; AWS: Prerequisites for importing certificates (the chain)",
)
def certificate_untrusted(
    tls: TlsFacts,
    hosts: HostsFacts,
    control: ControlHostFacts | None,
    rules: ListenerRulesFacts | None,
    stored: CertificatesFacts | None,
    records: DnsRecordsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The certificate that a host shows leads to no authority that is known here.

    Texts: ``unable to get local issuer certificate``, ``self-signed certificate``. An imported certificate
    without its chain looks the same as one of a stranger. A private authority is named in ``[tls] ca_file``.
    One that is for other names, too, may be that of somebody else to whom the name leads.
    """
    proxied = _is_tls(control)
    for host, one in shown_by(tls, target):
        assert one.certificate is not None
        untrusted = distrusted(hosts, host)
        yield Case(
            subject=host,
            breaks=(f"tls.{host}", "certificates/trust"),
            claims=(
                claim(
                    f"the certificate of {one.name} is issued by {one.certificate.issuer or 'nobody named'}, "
                    "which is not trusted here",
                    untrusted,
                    by=HostsFacts,
                    fact=f"hosts.{host}.health.failure.code" if untrusted else "",
                    value="untrusted" if untrusted else None,
                    telling=not proxied and is_meant_for(host, one, hosts, records, target),
                ),
                *(_not_ours() if proxied else ()),
            ),
            remedy=show_another(
                host,
                "of an authority that clients know",
                "certificate-untrusted",
                rules,
                good_certificate(one.name, tls, hosts, stored),
                one,
            ),
        )


def _is_tls(control: ControlHostFacts | None) -> bool:
    """Whether the control host's certificate is no good either: then something of our own may open TLS."""
    failure = control.answer.failure if control and control.answer else None
    return failure is not None and failure.kind == "tls"


def _not_ours() -> Iterator[Claim]:
    yield claim("nothing on our own side opens TLS", None, by=ControlHostFacts)
