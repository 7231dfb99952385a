"""Facts of the platform's edge made by hand: certificates, clocks, names, listeners."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from _facts import answer, hosts_facts, rules_facts, silence

from hokusai_probe.certificate import Certificate
from hokusai_probe.failures import Failure, FailureKind
from hokusai_probe.http import Answer
from hokusai_probe.probes.certificates import Stored
from hokusai_probe.probes.control_host import ControlHostFacts
from hokusai_probe.probes.dns_records import DnsRecordsFacts, HostRecords, Record
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.tls import HostCertificate, TlsFacts

NOW = datetime(2025, 8, 5, 9, 27, tzinfo=UTC)


BEGAN, ENDS = NOW - timedelta(days=60), NOW + timedelta(days=30)


NOBODY = Failure(kind="refused", detail="connecting was refused")


def certificate(
    *names: str, begins: datetime = BEGAN, ends: datetime = ENDS, issuer: str = "Good CA"
) -> Certificate:
    """A certificate for these names."""
    return Certificate(names=names, issuer=issuer, self_issued=False, not_before=begins, not_after=ends)


def tls_facts(**changed: Certificate | None) -> TlsFacts:
    """Good certificates of all three hosts, some changed; None: none was seen."""
    good = {h: certificate(f"{h}.hokus.ai") for h in ("auth", "registry", "api")}
    return TlsFacts(
        at=NOW,
        hosts={
            h: HostCertificate(name=f"{h}.hokus.ai", certificate=c, failure=None if c else NOBODY)
            for h, c in (good | changed).items()
        },
    )


def refused_for(code: str, **more: str) -> HostsFacts:
    """The api host's certificate does not hold, for this reason."""
    return hosts_facts(api=silence("tls", "the certificate does not hold", path="/health").model_copy(
        update={"failure": Failure(kind="tls", detail="x", code=code)}
    ))  # fmt: skip


def dated(ahead_s: float) -> Answer:
    """An answer of a server from whose clock ours is so far ahead."""
    theirs = format_datetime(NOW - timedelta(seconds=ahead_s), usegmt=True)
    return answer(body="ok", headers={"date": theirs}, path="/")


def control(given: Answer | None) -> ControlHostFacts:
    """What the control host answered."""
    return ControlHostFacts(at=NOW, answer=given)


def hosts_at(**health: Answer) -> HostsFacts:
    """Hosts that answered just now."""
    facts = hosts_facts(**health)
    seen = {name: one.model_copy(update={"at": NOW}) for name, one in facts.hosts.items()}
    return facts.model_copy(update={"hosts": seen})


def all_silent(kind: FailureKind) -> HostsFacts:
    """No host is reached."""
    nobody = silence(kind, "no way", path="/health")
    return hosts_at(auth=nobody, registry=nobody, api=nobody)


ALIAS = Record(type="A", alias="registry-1.us-east-1.elb.amazonaws.com")


def records(*there: str, host: str = "registry", **more: Any) -> DnsRecordsFacts:
    """One host whose load balancer is at these addresses."""
    given = {"zone": "Z1", "records": (ALIAS,)} | more
    one = HostRecords(name=f"{host}.hokus.ai", balancer=ALIAS.alias, balancer_addresses=there, **given)
    return DnsRecordsFacts(hosts={host: one})


ARN = "arn:aws:acm:us-east-1:123456789012:certificate/1"


def stored(arn: str = ARN, **changed: Any) -> Stored:
    """An issued certificate for the registry host."""
    given = {
        "names": ("registry.hokus.ai",),
        "status": "ISSUED",
        "issuer": "Good CA",
        "not_before": NOW - timedelta(days=60),
        "not_after": NOW + timedelta(days=30),
    }
    return Stored(arn=arn, **(given | changed))


def named(*arns: str) -> ListenerRulesFacts:
    """Listeners, of which the registry's names these certificates."""
    facts = rules_facts()
    registry = facts.balancers["registry"]
    secure = registry.listeners[0].model_copy(update={"certificates": arns})
    changed = registry.model_copy(update={"listeners": (secure, *registry.listeners[1:])})
    return facts.model_copy(update={"balancers": {**facts.balancers, "registry": changed}})
