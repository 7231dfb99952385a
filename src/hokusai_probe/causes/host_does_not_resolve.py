"""No address for a host."""

from collections.abc import Iterator

from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.hosts import HostsFacts

OUR_RESOLVER = claim(
    "our own resolver works: another name resolves",
    None,
    by=HostsFacts,
    aws_cli="aws route53 list-hosted-zones",
)


@cause(
    component="dns",
    priority="critical",
    effort="minutes",
    entails=("auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "probe-has-no-network": "there no name resolves, not even one outside the platform",
        "host-resolves-to-wrong-place": "there the name resolves, to something else",
    },
    source="RFC 8020 (NXDOMAIN: there really is nothing underneath); contract 1",
)
def host_does_not_resolve(hosts: HostsFacts) -> Iterator[Case]:
    """A host of the target has no address: its record is gone, or the zone is.

    Nothing behind the name can be reached, and nothing is known about it. If no host of the target
    resolves, our own resolver is as likely.
    """
    unresolved = {name: s for name, s in hosts.hosts.items() if _no_address(s.resolution.failure)}
    some_resolve = len(unresolved) < len(hosts.hosts)
    for name, seen in hosts.hosts.items():
        yield Case(
            subject=name,
            breaks=(f"dns.{name}",),
            claims=(
                *(() if some_resolve else (OUR_RESOLVER,)),
                claim(
                    f"{seen.resolution.name} has no address",
                    name in unresolved,
                    by=HostsFacts,
                    fact=f"hosts.{name}.resolution.failure",
                    value=seen.resolution.failure.detail if seen.resolution.failure else None,
                    telling=some_resolve,
                    aws_cli=f"aws route53 list-resource-record-sets --hosted-zone-id <zone> "
                    f"--query \"ResourceRecordSets[?Name=='{seen.resolution.name}.']\"",
                ),
            ),
            remedy=_remedy(seen.resolution.name),
        )


def _no_address(failure: object) -> bool:
    return getattr(failure, "kind", None) == "dns"


def _remedy(name: str) -> Remedy:
    return Remedy(
        kind="needs-value",
        summary=f"Make the alias record {name} -> its load balancer again.",
        before=("aws route53 list-hosted-zones",),
        aws_cli=(
            "aws route53 change-resource-record-sets --hosted-zone-id <zone> --change-batch file://alias.json",
        ),
        rollback="Delete the record again.",
        also_touches="Resolvers may remember the absence for the zone's negative TTL.",
        verify="hokusai-probe verify host-does-not-resolve",
    )
