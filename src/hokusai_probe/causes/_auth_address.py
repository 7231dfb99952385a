"""Where the gateway's address of the auth service leads, and which variables say so."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from hokusai_probe.model import Target
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

ADDRESS = ("HOKUSAI_AUTH_SERVICE_URL", "AUTH_SERVICE_URL")
SERVICE_ID = ("AUTH_SERVICE_ID", "HOKUSAI_AUTH_SERVICE_ID")
Leads = Literal["to-auth", "astray", "elsewhere", "unknown"]
_PORTS = {"http": 80, "https": 443}


def variable(gateway: TaskDefinition | None, names: tuple[str, ...]) -> tuple[str, str] | None:
    """The first of these variables that the gateway's task definition has, with its value."""
    known = gateway.addresses if gateway else {}
    return next(((name, known[name]) for name in names if name in known), None)


def leads(
    url: str,
    target: Target,
    discovery: ServiceDiscoveryFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Leads:
    """Where an address leads: to the auth service, certainly not there, to another host, or nobody knows.

    ``astray``: the right host with another scheme, port or path, or a private name that never was auth's.
    """
    if target.hosts.auth is None:
        return "unknown"
    public, asked = _parts(target.hosts.auth), _parts(url)
    if asked == public:
        return "to-auth"
    if asked[1] == public[1]:
        return "astray"
    return _by_names(url, discovery, definitions)


def _by_names(
    url: str, discovery: ServiceDiscoveryFacts | None, definitions: TaskDefinitionsFacts | None
) -> Leads:
    """Where Cloud Map leads it. Private names say nothing where Cloud Map could not be read."""
    host = _parts(url)[1]
    if discovery is None or discovery.failure is not None:
        return "unknown"
    way = discovery.leads(url)
    registered = any(host in addresses for addresses in discovery.names.values())
    if way == "somewhere" or registered:
        return _private(url, definitions)
    lost = way == "no-such-zone" or (way == "no-such-name" and not host.startswith("auth."))
    return "astray" if lost else ("elsewhere" if way == "unknown" else "unknown")


def _parts(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # a port that is no number leads nowhere
        port = 0
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")


def _private(url: str, definitions: TaskDefinitionsFacts | None) -> Leads:
    """A private name with addresses is auth's if the port is; the other services have other ports."""
    auth = definitions.of("auth") if definitions else None
    if auth is None or not auth.ports:
        return "unknown"
    _, _, port, path = _parts(url)
    return "to-auth" if port in auth.ports and not path else "astray"
