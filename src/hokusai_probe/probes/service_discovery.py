"""Cloud Map: the private names of the platform and the addresses behind them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.topology import SERVICES

PRIVATE_ENDINGS = (".local", ".internal")
Leads = Literal["somewhere", "to-nothing", "no-such-name", "no-such-zone", "unknown"]
LEADS = {
    "to-nothing": "to a private name with no address registered",
    "no-such-name": "to a name that the private zone does not have",
    "no-such-zone": "into a private zone that does not exist",
}


class ServiceDiscoveryFacts(Facts):
    """``zones``: private namespaces that services' addresses lie in.

    ``names``: private DNS names -> addresses registered for them. ``hosted``: Route 53's zones that hold one
    of the services' private addresses that no namespace holds; None: there is none such, or they could not
    be read.
    """

    zones: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = {}
    hosted: tuple[str, ...] | None = None
    failure: AwsFailure | None = None

    def leads(self, url: str) -> Leads:
        """Where the host of an address leads by these names; ``unknown`` for public names and for IPs.

        Cloud Map is not the only one that has private zones: that there is no such zone is said only where
        those of Route 53 were read, and none holds the name.
        """
        host = (urlsplit(url).hostname or "").rstrip(".")
        if self.failure is not None or not host or is_ip(host):
            return "unknown"
        if host in self.names:
            return "somewhere" if self.names[host] else "to-nothing"
        if _holding(host, self.zones):
            return "no-such-name"
        none = self.hosted is not None and not _holding(host, self.hosted)
        return "no-such-zone" if none and host.endswith(PRIVATE_ENDINGS) else "unknown"


def strangers(facts: ServiceDiscoveryFacts, url: str, groups: TargetGroupsFacts | None) -> tuple[str, ...]:
    """The addresses behind a private name where none is MLflow's; none where that is not known.

    A target that its load balancer finds healthy shows where MLflow is. One that is not, not yet or no
    longer, may be MLflow's all the same.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    found = facts.names.get(host, ()) if facts.failure is None else ()
    if groups is None or not groups.serves("mlflow"):
        return ()
    targets = {target.id for group in groups.of("mlflow") for target in group.targets}
    return () if targets & {*found} else found


def is_ip(host: str) -> bool:
    """Whether a host is an address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _holding(host: str, zones: Iterable[str]) -> list[str]:
    return [zone for zone in zones if f".{host}".endswith(f".{zone}")]


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=9)
async def service_discovery(look: Look, definitions: TaskDefinitionsFacts) -> ServiceDiscoveryFacts:
    """Cloud Map's private names: servicediscovery:ListNamespaces, ListServices, ListInstances.

    Only of the namespaces that services' addresses lie in. Where an address lies in none, or is an IP, the
    right name may be in any: then all are asked, and names are kept that name a service of the platform or
    lead to such an IP. Where a private name lies in none, route53:ListHostedZones says whether another
    zone holds it.
    """
    aws, hosts = look.cloud(), _hosts(definitions)
    spaces = await aws.pages("servicediscovery", "list_namespaces", "Namespaces")
    if spaces.failure is not None:
        return ServiceDiscoveryFacts(failure=spaces.failure)
    zones = {str(s["Id"]): str(s["Name"]) for s in spaces.data["Namespaces"]}
    ours = {zone for host in hosts for zone in _holding(host, zones.values())}
    homeless = {host for host in hosts if not _holding(host, ours) and (is_ip(host) or _is_private(host))}
    asked = zones if homeless else {space: zone for space, zone in zones.items() if zone in ours}
    hosted, found = await asyncio.gather(
        _hosted(aws, {host for host in homeless if _is_private(host)}),
        asyncio.gather(*(_zone(aws, space, zone) for space, zone in asked.items())),
    )
    failure = next((f for f in found if isinstance(f, AwsFailure)), None)
    names = {n: ips for pairs in found if not isinstance(pairs, AwsFailure) for n, ips in pairs}
    return ServiceDiscoveryFacts(
        zones=tuple(sorted(ours)),
        names={n: ips for n, ips in names.items() if _holding(n, ours) or _is_meant(n, ips, homeless)},
        hosted=hosted,
        failure=failure,
    )


def _hosts(definitions: TaskDefinitionsFacts) -> set[str]:
    """The hosts of all URLs that services are given, names without a URL's scheme included."""
    read = (one for service in definitions.definitions if (one := definitions.of(service)) is not None)
    values = (value for one in read for value in one.addresses.values())
    return {host for value in values if (host := _host(value))}


def _host(address: str) -> str:
    """A bare IP is a database's or a listening address: it is no host that a private name should be for."""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
    return "" if is_ip(host) and "://" not in address else host.rstrip(".")


def _is_private(host: str) -> bool:
    return host.endswith(PRIVATE_ENDINGS)


def _is_meant(name: str, addresses: Iterable[str], homeless: set[str]) -> bool:
    """Whether an address that lies in no namespace may have meant this name."""
    return bool(homeless & {*addresses}) or any(service in name for service in SERVICES)


async def _hosted(aws: AwsDoor, hosts: set[str]) -> tuple[str, ...] | None:
    """Route 53's zones, public or private, that hold one of these names."""
    if not hosts:
        return None
    answer = await aws.pages("route53", "list_hosted_zones", "HostedZones")
    if answer.failure is not None or answer.truncated:
        return None
    zones = {str(zone["Name"]).rstrip(".").lower() for zone in answer.data["HostedZones"]}
    return tuple(sorted(zone for host in hosts for zone in _holding(host, zones)))


async def _zone(aws: AwsDoor, space: str, zone: str) -> AwsFailure | list[tuple[str, tuple[str, ...]]]:
    """The names of one namespace. Services are asked for by namespace: a summary need not name its own."""
    by_space = [{"Name": "NAMESPACE_ID", "Values": [space], "Condition": "EQ"}]
    services = await aws.pages("servicediscovery", "list_services", "Services", Filters=by_space)
    if services.failure is not None:
        return services.failure
    found = await asyncio.gather(*(_name(aws, service, zone) for service in services.data["Services"]))
    failure = next((f for f in found if isinstance(f, AwsFailure)), None)
    return failure or [pair for pair in found if not isinstance(pair, AwsFailure)]


async def _name(
    aws: AwsDoor, service: Mapping[str, Any], zone: str
) -> AwsFailure | tuple[str, tuple[str, ...]]:
    answer = await aws.pages("servicediscovery", "list_instances", "Instances", ServiceId=service["Id"])
    if answer.failure is not None:
        return answer.failure
    instances = answer.data["Instances"]
    addresses = (i.get("Attributes", {}).get("AWS_INSTANCE_IPV4") for i in instances)
    return f"{service['Name']}.{zone}", tuple(sorted(a for a in addresses if a))


@check(hop="gateway-to-mlflow/address")
def gateway_names_an_existing_mlflow(
    facts: ServiceDiscoveryFacts, definitions: TaskDefinitionsFacts, groups: TargetGroupsFacts | None
) -> Sentence:
    """The address of MLflow that the gateway is given leads to MLflow's tasks."""
    gateway = definitions.of("gateway")
    if gateway is None:
        return NotApplicable(reason="the gateway has no task definition that could be read")
    url = gateway.addresses.get("MLFLOW_SERVER_URL")
    if url is None:
        return CannotTell(reason="MLFLOW_SERVER_URL is not in the gateway's task definition")
    leads = facts.leads(url)
    if leads == "unknown":
        return CannotTell(reason=f"{url}: whether it leads to MLflow is not seen from Cloud Map's names")
    if strange := strangers(facts, url, groups):  # something in between may have that address
        return CannotTell(reason=f"{url} leads to {', '.join(strange)}, which no target of MLflow's has")
    return None if leads == "somewhere" else f"MLFLOW_SERVER_URL is {url}, which leads {LEADS[leads]}"
