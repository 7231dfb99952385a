"""What the causes about certificates share: who is looked at, whether our clock is right, and how to mend."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._records import fronted, placed
from hokusai_probe.causes._words import one_line, readiness, ready, word
from hokusai_probe.declare import Claim, claim
from hokusai_probe.model import HostName, Remedy, Target
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.certificates import CertificatesFacts, Stored
from hokusai_probe.probes.control_host import TOLERANCE_S, ControlHostFacts, ahead, least_offset
from hokusai_probe.probes.dns_records import DnsRecordsFacts, apart, well
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import Listener, ListenerRulesFacts
from hokusai_probe.probes.tls import HostCertificate, TlsFacts, distrusted
from hokusai_probe.topology import LOAD_BALANCER_OF_HOST

_LIST = (
    "aws acm list-certificates --query 'CertificateSummaryList[].[CertificateArn,DomainName,Status,NotAfter]'"
)
BEHIND_TLS = ("auth-service-down", "gateway-down", "mlflow-down")


def shown_by(tls: TlsFacts, target: Target) -> Iterator[tuple[HostName, HostCertificate]]:
    """The hosts that showed a certificate."""
    for host in target.hosts.present():
        one = tls.hosts.get(host)
        if one is not None and one.certificate is not None:
            yield host, one


def dates_at(host: HostName, tls: TlsFacts) -> tuple[str, str]:
    """Where the date lies that a host's certificate does not meet, and its value as facts write it."""
    dumped = tls.model_dump(mode="json")["hosts"][host]["certificate"]
    found = tls.hosts[host].certificate
    name = "not_before" if found is not None and tls.at < found.not_before else "not_after"
    return f"hosts.{host}.certificate.{name}", dumped[name]


def clock_is_right(
    control: ControlHostFacts | None, hosts: HostsFacts, identity: AwsIdentityFacts | None
) -> Claim:
    """That our own clock is within what AWS tolerates, by whoever says what time it is."""
    offset = least_offset(control, hosts)
    if offset is not None:
        return claim(
            f"our clock is right: it is {ahead(offset.seconds)} that of {offset.who}",
            abs(offset.seconds) <= TOLERANCE_S,
            by=offset.by,
            fact=offset.fact,
            value=offset.value,
        )
    accepted = identity is not None and identity.failure is None
    return claim(
        "our clock is right: AWS accepts our signatures" if accepted else "our clock is right",
        True if accepted else None,
        by=AwsIdentityFacts if accepted else ControlHostFacts,
        fact="failure" if accepted else "",
    )


def at_its_place(
    host: HostName, hosts: HostsFacts, records: DnsRecordsFacts | None, target: Target
) -> bool | None:
    """Whether what was reached is known to be the host's load balancer, by its addresses; None: not known.

    Else a certificate that does not hold may be a stranger's, to whom the name leads. By what AWS says, or by
    another host of the same load balancer that is well there.
    """
    mine = hosts.hosts[host].resolution.addresses
    one = placed(records, host)
    elsewhere = apart(one, mine) if one and not fronted(one) else None
    if elsewhere is not None:
        return not elsewhere
    shared = (
        well(seen.health, other) and set(mine) & set(seen.resolution.addresses)
        for other, seen in hosts.hosts.items()
        if other != host and balancer_named(other, target) == balancer_named(host, target) is not None
    )
    return True if any(shared) else None


def is_meant_for(
    host: HostName,
    one: HostCertificate,
    hosts: HostsFacts,
    records: DnsRecordsFacts | None,
    target: Target,
) -> bool:
    """Whether a certificate is the host's, bad as it is: for its name, or shown by its own load balancer."""
    covers = one.certificate is not None and one.certificate.covers(one.name)
    return covers or at_its_place(host, hosts, records, target) is True


def balancer_named(host: str, target: Target) -> str | None:
    """The name that the target gives to a host's load balancer."""
    return target.aws.load_balancers.get(LOAD_BALANCER_OF_HOST[host]) if target.aws else None


# --- mending ------------------------------------------------------------------------------------------


def listener_of(host: HostName, rules: ListenerRulesFacts | None) -> Listener | None:
    """The listener on port 443 of a host's load balancer."""
    balancer = rules.of_host(host) if rules else None
    return balancer.listener(443) if balancer else None


def good_certificate(
    name: str, tls: TlsFacts, hosts: HostsFacts, stored: CertificatesFacts | None
) -> Stored | None:
    """The one certificate in Certificate Manager that would do for a name; None: there is none, or several.

    In date, for the name, and of Amazon or of an authority that another certificate here is trusted for.
    """
    trusted = {
        one.certificate.issuer
        for host, one in tls.hosts.items()
        if one.certificate is not None and distrusted(hosts, host) is False
    }
    good = [
        s
        for s in (stored.certificates if stored else ())
        if s.serves(name, tls.at) and (s.issued_by_amazon or s.issuer in trusted)
    ]
    return good[0] if len(good) == 1 else None


def show_another(
    host: HostName,
    why: str,
    slug: str,
    rules: ListenerRulesFacts | None,
    good: Stored | None,
    bad: HostCertificate,
) -> Remedy:
    """The remedy that all three share: have the listener show a certificate that holds."""
    listener = listener_of(host, rules)
    before = listener.certificates[0] if listener and listener.certificates else None
    change = _change(host, listener, good.arn if good else None)
    return Remedy(
        kind=readiness(change),
        summary=f"Have the {host} host's load balancer show a certificate for {bad.name} {why}.",
        before=(
            _describe(host, listener),
            _LIST,
        ),
        aws_cli=ready(change),
        terraform=f'# in the aws_lb_listener of port 443\ncertificate_arn = "{good.arn}"\n' if good else "",
        rollback=one_line(_change(host, listener, before)),
        also_touches="Every host name that this listener serves.",
        verify=f"hokusai-probe verify {slug}",
    )


def _change(host: HostName, listener: Listener | None, arn: str | None) -> str:
    wanted = word(arn, f"{host.upper()}_CERTIFICATE")
    where = word(listener.arn if listener else None, f"{host.upper()}_LISTENER")
    return f"aws elbv2 modify-listener --listener-arn {where} --certificates CertificateArn={wanted}"


def _describe(host: HostName, listener: Listener | None) -> str:
    if listener is None:
        where = word(None, f"{host.upper()}_LISTENER")
        return one_line(f"aws elbv2 describe-listener-certificates --listener-arn {where}")
    return f"aws elbv2 describe-listener-certificates --listener-arn {quote(listener.arn)}"
