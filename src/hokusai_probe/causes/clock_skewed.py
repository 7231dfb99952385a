"""Our own clock is wrong."""

from collections.abc import Iterator

from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Failure
from hokusai_probe.model import Remedy
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.control_host import (
    TOLERANCE_S,
    ControlHostFacts,
    ahead,
    least_offset,
    too_old_for_aws,
    witnesses,
)
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.tls import TlsFacts

OFF_DATE = frozenset({"expired", "not-yet-valid"})


@cause(
    component="probe",
    priority="high",
    effort="minutes",
    entails=("certificate-expired", "aws-credentials-refused"),
    look_alikes={
        "certificate-expired": "there other servers agree with our clock",
        "aws-credentials-refused": "there AWS does not speak of time",
    },
    source="AWS: IAM user guide, Troubleshoot Signature Version 4 (five minutes either way); RFC 9110 6.6.1",
)
def clock_skewed(
    hosts: HostsFacts,
    control: ControlHostFacts | None,
    tls: TlsFacts | None,
    identity: AwsIdentityFacts | None,
) -> Iterator[Case]:
    """Our own clock is wrong: AWS refuses what we sign, and good certificates look out of date.

    Texts: ``Signature expired``, ``Signature not yet current``, ``RequestTimeTooSkewed``. The Date headers of
    servers say by how much; where all agree with each other and not with us, it is us.
    One server alone proves nothing: the wrong clock may be its own.
    """
    failure = identity.failure if identity else None
    late = too_old_for_aws(failure)
    off = [host for host, seen in hosts.hosts.items() if _failed_by_date(seen.health.failure)]
    certificates = tuple(_by_certificates(tls, hosts, off))
    yield Case(
        subject="clock",
        breaks=("network/clock", *(("aws",) if late else ()), *(f"tls.{host}" for host in off)),
        claims=(
            _by_date(control, hosts, by_certificates=bool(certificates)),
            *((_by_aws(identity, late=late),) if identity else ()),
            *certificates,
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Set this machine's clock: have it follow a time server.",
            before=("timedatectl status",),
            rollback="None needed.",
            also_touches="Everything else on this machine that looks at the time.",
            verify="hokusai-probe run --only our-clock-is-right",
        ),
    )


def _failed_by_date(failure: Failure | None) -> bool:
    return failure is not None and failure.kind == "tls" and failure.code in OFF_DATE


def _by_date(control: ControlHostFacts | None, hosts: HostsFacts, *, by_certificates: bool) -> Claim:
    """What servers say. One alone may be the one whose clock is wrong, if no certificate bears it out."""
    offset = least_offset(control, hosts)
    if offset is None:
        return claim("our clock differs from that of every server", None, by=ControlHostFacts)
    return claim(
        f"our clock is {ahead(offset.seconds)} that of {offset.who}, which agrees with it best",
        abs(offset.seconds) > TOLERANCE_S,
        by=offset.by,
        fact=offset.fact,
        value=offset.value,
        telling=by_certificates or witnesses(control, hosts) > 1,
    )


def _by_aws(identity: AwsIdentityFacts, *, late: bool) -> Claim:
    """AWS accepts what is signed within five minutes; of another refusal nothing follows."""
    failure = identity.failure
    return claim(
        "AWS refuses our signature for its time",
        (late or None) if failure else False,
        by=AwsIdentityFacts,
        fact="failure.code" if failure else "failure",
        value=failure.code if failure else None,
        telling=True,
        aws_cli="aws sts get-caller-identity",
    )


def _by_certificates(tls: TlsFacts | None, hosts: HostsFacts, off: list[str]) -> Iterator[Claim]:
    """That all certificates look out of date at once speaks for it, and proves nothing."""
    first = hosts.hosts[off[0]].health.failure if off else None
    if first is not None and tls is not None and len(off) == len(tls.hosts):
        yield claim(
            "every host's certificate is out of date by our clock",
            holds=True,
            by=HostsFacts,
            fact=f"hosts.{off[0]}.health.failure.code",
            value=first.code,
        )
