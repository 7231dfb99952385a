"""A host's certificate is out of date."""

from collections.abc import Iterator

from hokusai_probe.causes._tls import (
    BEHIND_TLS,
    clock_is_right,
    dates_at,
    good_certificate,
    is_meant_for,
    show_another,
    shown_by,
)
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Target
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.certificates import CertificatesFacts
from hokusai_probe.probes.control_host import ControlHostFacts
from hokusai_probe.probes.dns_records import DnsRecordsFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.tls import TlsFacts, when


@cause(
    component="tls",
    priority="critical",
    effort="minutes",
    entails=BEHIND_TLS,
    look_alikes={
        "clock-skewed": "there our own clock is wrong, and every certificate may look out of date",
        "certificate-wrong-name": "there the dates are right and the names are not",
        "certificate-untrusted": "there the issuer is not known",
    },
    source="RFC 5280 section 4.1.2.5; AWS: ACM does not renew imported certificates (Managed renewal)",
)
def certificate_expired(
    tls: TlsFacts,
    hosts: HostsFacts,
    control: ControlHostFacts | None,
    identity: AwsIdentityFacts | None,
    rules: ListenerRulesFacts | None,
    stored: CertificatesFacts | None,
    records: DnsRecordsFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The certificate that a host shows has ended, or has not begun: every client that verifies turns away.

    Texts: ``certificate has expired``, ``certificate is not yet valid``. Certificate Manager renews its own
    certificates and never imported ones, which a load balancer goes on showing after their end.
    One that is for other names, too, may be that of somebody else to whom the name leads.
    """
    clock = clock_is_right(control, hosts, identity)
    for host, one in shown_by(tls, target):
        assert one.certificate is not None
        place, value = dates_at(host, tls)
        yield Case(
            subject=host,
            breaks=(f"tls.{host}", "certificates/dates", "certificates/stored"),
            claims=(
                claim(
                    f"the certificate of {one.name} is {when(one.certificate, tls.at)}",
                    tls.out_of_date(host),
                    by=TlsFacts,
                    fact=place,
                    value=value,
                    telling=clock.holds is True and is_meant_for(host, one, hosts, records, target),
                ),
                clock,
            ),
            remedy=show_another(
                host,
                "that is in date",
                "certificate-expired",
                rules,
                good_certificate(one.name, tls, hosts, stored),
                one,
            ),
        )
