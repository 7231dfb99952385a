"""The certificates in Certificate Manager that listeners name, and those that might take their place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import names_cover
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Target, Utc
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts

_KEY_TYPES = (
    "RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1",
)  # fmt: skip
_MOST = 12


class Stored(Frozen):
    """One certificate of Certificate Manager, or why it could not be read."""

    arn: str
    names: tuple[str, ...] = ()
    status: str = ""
    issuer: str = ""
    issued_by_amazon: bool = False
    not_before: Utc | None = None
    not_after: Utc | None = None
    failure: AwsFailure | None = None

    def is_for(self, name: str) -> bool:
        """Whether it is for this host name, whatever its status and dates."""
        return names_cover(self.names, name)

    def serves(self, name: str, at: datetime) -> bool:
        """Whether it is issued, for this name, and in date at a moment."""
        begun = self.not_before is not None and self.not_before <= at
        ends = self.not_after is not None and at <= self.not_after
        return self.status == "ISSUED" and self.is_for(name) and begun and ends


class CertificatesFacts(Facts):
    """The certificates that listeners name or that are for one of the target's hosts."""

    certificates: tuple[Stored, ...] = ()
    failure: AwsFailure | None = None


@probe(area="infrastructure", needs=("aws",), cost=_MOST + 1)
async def certificates(look: Look, rules: ListenerRulesFacts, hosts: HostsFacts) -> CertificatesFacts:
    """Certificates that the load balancers' listeners name, and others for hosts that do not answer.

    acm:DescribeCertificate, and acm:ListCertificates where some host does not answer over TLS: it may need
    another one. The list alone shows certificates of 2048-bit RSA keys only, unless it is told of others
    (AWS: ACM API reference, Filters).
    """
    aws, failure, wanted = look.cloud(), None, dict.fromkeys(_named(rules))
    if any(seen.health.status is None for seen in hosts.hosts.values()):
        listed = await aws.pages(
            "acm", "list_certificates", "CertificateSummaryList", Includes={"keyTypes": list(_KEY_TYPES)}
        )
        failure = listed.failure
        wanted |= dict.fromkeys(_for_hosts(listed.data.get("CertificateSummaryList", ()), look.target))
    found = await asyncio.gather(*(_stored(aws, arn) for arn in list(wanted)[:_MOST]))
    return CertificatesFacts(certificates=tuple(found), failure=failure)


def _named(rules: ListenerRulesFacts) -> list[str]:
    return [
        arn for b in rules.balancers.values() for listener in b.listeners for arn in listener.certificates
    ]


def _for_hosts(listed: object, target: Target) -> list[str]:
    """The listed certificates whose first name is that of a host, or of a domain above it."""
    hosts = {urlsplit(url).hostname or "" for url in target.hosts.present().values()}
    domains = hosts | {f"*.{host.partition('.')[2]}" for host in hosts} | {h.partition(".")[2] for h in hosts}
    items = listed if isinstance(listed, list) else []
    return [str(i["CertificateArn"]) for i in items if str(i.get("DomainName", "")).lower() in domains]


async def _stored(aws: AwsDoor, arn: str) -> Stored:
    answer = await aws.call("acm", "describe_certificate", CertificateArn=arn)
    if answer.failure is not None:
        return Stored(arn=arn, failure=answer.failure)
    return _read(arn, answer.data.get("Certificate", {}))


def _read(arn: str, item: Mapping[str, object]) -> Stored:
    names = item.get("SubjectAlternativeNames")
    begins, ends = item.get("NotBefore"), item.get("NotAfter")
    return Stored(
        arn=arn,
        names=tuple(str(n) for n in names) if isinstance(names, list) else (str(item.get("DomainName", "")),),
        status=str(item.get("Status", "")),
        issuer=str(item.get("Issuer", "")),
        issued_by_amazon=item.get("Type") == "AMAZON_ISSUED",
        not_before=begins if isinstance(begins, datetime) else None,
        not_after=ends if isinstance(ends, datetime) else None,
    )


# --- checks -----------------------------------------------------------------------------------------


@check(hop="certificates/stored")
def stored_certificates_are_good(facts: CertificatesFacts, rules: ListenerRulesFacts) -> Sentence:
    """Each certificate that a listener names is issued, by Certificate Manager's own word.

    Beside the look at what hosts show, and mostly failing with it: this one is taken where no handshake
    comes through, and sees also that one was revoked or never came to be issued.
    """
    named = set(_named(rules))
    if not named:
        return NotApplicable(reason="no listener that could be read names a certificate")
    mine = [s for s in facts.certificates if s.arn in named]
    bad = [s for s in mine if s.failure is None and s.status != "ISSUED"]
    if bad:
        return "; ".join(f"{s.arn} ({', '.join(s.names)}): {s.status}" for s in bad)
    unread = next((s.failure for s in mine if s.failure is not None), None)
    return CannotTell(reason=f"acm:DescribeCertificate: {unread.kind}") if unread else None
