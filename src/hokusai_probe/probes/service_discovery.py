"""Cloud Map: the private names of the platform and the addresses behind them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts
from hokusai_probe.probes.aws_identity import AwsIdentityFacts

PRIVATE_ENDINGS = (".local", ".internal")
Leads = Literal["somewhere", "to-nothing", "no-such-name", "no-such-zone", "unknown"]


class ServiceDiscoveryFacts(Facts):
    """``zones``: private namespaces. ``names``: private DNS names -> addresses registered for them."""

    zones: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = {}
    failure: AwsFailure | None = None

    def leads(self, url: str) -> Leads:
        """Where the host of an address leads by these names; ``unknown`` for public names and for IPs."""
        host = (urlsplit(url).hostname or "").rstrip(".")
        if self.failure is not None or not host or is_ip(host):
            return "unknown"
        if host in self.names:
            return "somewhere" if self.names[host] else "to-nothing"
        if any(host.endswith("." + zone) for zone in self.zones):
            return "no-such-name"
        return "no-such-zone" if host.endswith(PRIVATE_ENDINGS) else "unknown"


def is_ip(host: str) -> bool:
    """Whether a host is an address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=8)
async def service_discovery(look: Look, _identity: AwsIdentityFacts) -> ServiceDiscoveryFacts:
    """Cloud Map's private names: servicediscovery:ListNamespaces, ListServices, ListInstances."""
    aws = look.cloud()
    spaces = await aws.pages("servicediscovery", "list_namespaces", "Namespaces")
    if spaces.failure is not None:
        return ServiceDiscoveryFacts(failure=spaces.failure)
    zones = {str(s["Id"]): str(s["Name"]) for s in spaces.data["Namespaces"]}
    found = await asyncio.gather(*(_zone(aws, space, zone) for space, zone in zones.items()))
    failure = next((f for f in found if isinstance(f, AwsFailure)), None)
    names = {name: ips for pairs in found if not isinstance(pairs, AwsFailure) for name, ips in pairs}
    return ServiceDiscoveryFacts(zones=tuple(sorted(zones.values())), names=names, failure=failure)


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
