"""What the causes about the way from the gateway to MLflow share: its address, and how asking fails."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import JsonValue

from hokusai_probe.answers import detail
from hokusai_probe.causes._stores import logged_lately
from hokusai_probe.causes._symptoms import health_errors, health_of_mlflow
from hokusai_probe.model import Facts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

VARIABLE = "MLFLOW_SERVER_URL"
_URL = re.compile(r"https?://[^\s\"'<>]+")


@dataclass(frozen=True, slots=True)
class Told:
    """The address of MLflow that the gateway uses, and the fact that says so."""

    url: str
    by: type[Facts]
    fact: str
    value: JsonValue

    @property
    def host(self) -> str:
        """The host of it, in lower case."""
        return (urlsplit(self.url).hostname or "").rstrip(".")

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return urlsplit(self.url).scheme

    @property
    def is_fixed(self) -> bool:
        """Whether it is an IP address, not a name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


def told(
    api: MlflowApiFacts | None, paths: PublicPathsFacts | None, definitions: TaskDefinitionsFacts | None
) -> Told | None:
    """Where the gateway looks for MLflow: by its task definition, else by what it says to outside eyes.

    Its health check of MLflow names the address, and so does its 502 (contract 4 and 4.1).
    """
    gateway = definitions.of("gateway") if definitions else None
    url = gateway.addresses.get(VARIABLE) if gateway else None
    if url:
        return Told(url, TaskDefinitionsFacts, f"definitions.gateway.addresses.{VARIABLE}", url)
    health = health_of_mlflow(paths)
    if health is not None and (url := _named(health[1].json())):
        return Told(url, PublicPathsFacts, f"{health[0]}.status", health[1].status)
    found = _URL.search(detail(api.search)) if api else None
    return Told(found.group(), MlflowApiFacts, "search.status", api.search.status) if api and found else None


def _named(body: JsonValue) -> str | None:
    inner = body.get("detail", body) if isinstance(body, Mapping) else None
    url = inner.get("mlflow_server") if isinstance(inner, Mapping) else None
    return url if isinstance(url, str) and _URL.fullmatch(url) else None


def addresses_of_mlflow(
    groups: TargetGroupsFacts | None, discovery: ServiceDiscoveryFacts | None
) -> dict[str, str]:
    """Addresses that MLflow's tasks have now -> who says so. Targets that drain are of tasks that end."""
    found = {
        target.id: "target group"
        for group in (groups.of("mlflow") if groups else ())
        for target in group.targets
        if target.state != "draining"
    }
    for name, addresses in (discovery.names if discovery else {}).items():
        if name.startswith("mlflow."):
            found |= dict.fromkeys(addresses, "Cloud Map")
    return found


def private_url(
    present: str, mlflow: TaskDefinition | None, discovery: ServiceDiscoveryFacts | None
) -> str | None:
    """MLflow's address by its private name, with the path that the present one has; None without a name."""
    name = next((n for n in (discovery.names if discovery else ()) if n.startswith("mlflow.")), None)
    parts = urlsplit(present)
    port = mlflow.ports[0] if mlflow and mlflow.ports else parts.port or 5000
    return f"{parts.scheme or 'http'}://{name}:{port}{parts.path}" if name else None


# --- how asking fails -------------------------------------------------------------------------------

How = Literal["tls", "name", "refused", "connect-timeout", "late", "broken"]
# words of httpx, aiohttp, requests and OpenSSL, the more telling ones first
_WORDS: Mapping[How, str] = {
    "tls": r"\btls\b|\[SSL|SSLError|SSLCert|WRONG_VERSION_NUMBER|certificate[ _]verify[ _]failed",
    "name": r"NameUnknown|name or service not known|name resolution|nodename nor servname|getaddrinfo",
    "connect-timeout": r"connect[ _-]?timeout|connection timed out|timed out while connecting",
    "refused": r"connect[ _-]?refused|connection refused|connect call failed|all connection attempts failed",
    "late": r"(answer|read)[ _-]?timeout|read timed out|TimeoutError",
    "broken": r"BrokenConnection|RemoteDisconnected|Server disconnected|RemoteProtocolError|reset by peer",
}
_ABOUT_MLFLOW = r"mlflow"


@dataclass(frozen=True, slots=True)
class Heard:
    """How the gateway's requests to MLflow fail by its own words, the words, and the fact that holds them."""

    how: How
    words: str
    by: type[Facts]
    fact: str
    value: JsonValue


def heard(paths: PublicPathsFacts | None, logs: LogTailsFacts | None) -> Heard | None:
    """How asking MLflow fails, by the gateway's own health check of it, else by its log of late."""
    health = health_of_mlflow(paths)
    for words in health_errors(health[1]).values() if health else ():
        how = _how(words)
        if how and health:
            return Heard(how, words, PublicPathsFacts, f"{health[0]}.status", health[1].status)
    line = logged_lately(logs, "gateway", f"(?=.*{_ABOUT_MLFLOW})(?:.*({'|'.join(_WORDS.values())}))")
    how = _how(line[1].text) if line else None
    return Heard(how, line[1].text, LogTailsFacts, line[0], line[1].text) if how and line else None


def _how(words: str) -> How | None:
    return next((how for how, pattern in _WORDS.items() if re.search(pattern, words, re.IGNORECASE)), None)
