"""Hops and what they rest on, as data.

A *hop* is something that must work: a name, a listener, a rule, a process, an edge between two
services, or a whole capability. A check tests one hop; a cause breaks one or more. That a check
fails because of a cause is derived here and nowhere else: the hop it tests rests on one that is broken.

``aspect`` hops need no entry: ``gateway/health-body`` is a side of ``gateway`` that rests on it, so
that a check of something small touches no list. Nothing else rests on an aspect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from hokusai_probe.model import Component

SERVICES = ("auth", "gateway", "mlflow")
HOSTS = ("auth", "registry", "api")
NAMES = {"auth": "auth service", "gateway": "gateway", "mlflow": "MLflow server"}
SERVICE_OF_HOST = {"auth": "auth", "registry": "gateway", "api": "gateway"}
LOAD_BALANCER_OF_HOST = {"auth": "auth", "registry": "registry", "api": "main"}


@dataclass(frozen=True, slots=True)
class Hop:
    """Something that must work, who must act when it does not, and what it rests on."""

    title: str
    component: Component
    rests_on: tuple[str, ...] = ()


def _host_hops(host: str) -> dict[str, Hop]:
    service = SERVICE_OF_HOST[host]
    return {
        f"dns.{host}": Hop(f"the name of the {host} host", "dns", ("network",)),
        f"listener.{host}": Hop(
            f"the {host} host's load balancer accepts", "load-balancer", (f"dns.{host}",)
        ),
        f"tls.{host}": Hop(f"the {host} host's certificate", "tls", (f"listener.{host}",)),
        f"rule.{host}": Hop(f"listener rules of the {host} host", "load-balancer", (f"tls.{host}",)),
        f"public.{host}": Hop(
            f"the {service} service seen from outside at the {host} host",
            service,  # type: ignore[arg-type]  # every service is a component of the same name
            (f"rule.{host}", f"target-group.{service}", service),
        ),
    }


def _service_hops(service: str) -> dict[str, Hop]:
    return {
        f"ecs.{service}": Hop(f"the {service} ECS service runs its tasks", "ecs"),
        f"network.{service}": Hop(f"the way from the load balancer to the {service} task", "network"),
        f"target-group.{service}": Hop(
            f"the {service} target group",
            "load-balancer",
            (f"ecs.{service}", f"network.{service}", service),
        ),
    }


HOPS: Mapping[str, Hop] = {
    "network": Hop("our own way to the internet", "probe"),
    "aws": Hop("our own way to AWS", "probe"),
    **_host_hops("auth"),
    **_host_hops("registry"),
    **_host_hops("api"),
    **_service_hops("auth"),
    **_service_hops("gateway"),
    **_service_hops("mlflow"),
    "names": Hop("the names of all hosts", "dns", tuple(f"dns.{h}" for h in HOSTS)),
    "listeners": Hop("the listeners of all hosts", "load-balancer", tuple(f"listener.{h}" for h in HOSTS)),
    "certificates": Hop("the certificates of all hosts", "tls", tuple(f"tls.{h}" for h in HOSTS)),
    "auth": Hop("the auth service's process", "auth", ("ecs.auth",)),
    "gateway": Hop("the gateway's process", "gateway", ("ecs.gateway",)),
    "database": Hop("the database", "database"),
    "storage": Hop("the artifact store", "storage"),
    "secrets": Hop("the secrets and parameters that tasks start with", "secrets"),
    "deployments": Hop("what was deployed is what runs", "deployment"),
    "images": Hop("the images that tasks start from", "ecs"),
    "site": Hop("the website that is told of registrations", "site"),
    "client": Hop("the settings and versions of the client", "client"),
    "cache": Hop("the cache", "cache"),
    "subnets": Hop("the network ACLs of the platform's subnets", "network"),
    "mlflow-to-database": Hop("MLflow reaches its database", "database", ("database",)),
    "mlflow-to-storage": Hop("MLflow reaches the artifact store", "storage", ("storage",)),
    "mlflow": Hop("MLflow's process", "mlflow", ("ecs.mlflow", "mlflow-to-database")),
    "discovery": Hop("service discovery", "network"),
    "gateway-to-auth": Hop("the gateway asks the auth service", "gateway", ("public.auth",)),
    "gateway-to-cache": Hop("the gateway reaches its cache", "cache", ("cache",)),
    "gateway-to-database": Hop("the gateway reaches the database", "database", ("database",)),
    "gateway-to-site": Hop("the gateway tells the website of a registration", "site", ("site",)),
    "gateway-to-mlflow": Hop(
        "the gateway reaches MLflow", "gateway", ("mlflow", "discovery", "network.mlflow")
    ),
    "gateway-auth": Hop(
        "the gateway tells good keys from bad", "gateway", ("public.registry", "gateway-to-auth")
    ),
    "key": Hop("the key that was used", "client"),
    "validation": Hop("the auth service validates the key", "auth", ("public.auth", "key")),
    "authenticated": Hop("a request with the key is let in", "gateway", ("gateway-auth", "key")),
    "rule.mlflow": Hop("the rule for MLflow's path on the registry host", "load-balancer", ("tls.registry",)),
    "rule.artifacts": Hop(
        "the rule for MLflow's artifact paths on the registry host", "load-balancer", ("tls.registry",)
    ),
    "required-paths": Hop(
        "the paths that a client needs lead to the gateway",
        "load-balancer",
        ("public.registry", "rule.mlflow", "rule.artifacts"),
    ),
    "mlflow-api": Hop(
        "MLflow's API through the gateway", "gateway", ("authenticated", "rule.mlflow", "gateway-to-mlflow")
    ),
    "pace.key": Hop("the time that judging a key takes", "gateway", ("authenticated", "gateway-to-cache")),
    "pace.search": Hop("the time that a search takes", "mlflow", ("mlflow-api", "pace.key")),
    "scope": Hop("the key may write", "client"),
    "writes": Hop("writing to the registry", "mlflow", ("mlflow-api", "scope")),
    "artifact-route": Hop("artifact paths through the gateway", "gateway", ("gateway-to-mlflow",)),
    "mlflow-health": Hop(
        "the gateway's own view of MLflow",
        "gateway",
        ("public.registry", "gateway-to-mlflow", "artifact-route"),
    ),
    "artifacts": Hop(
        "storing and fetching artifacts",
        "mlflow",
        ("writes", "artifact-route", "rule.artifacts", "mlflow-to-storage"),
    ),
    "mlflow-client": Hop("MLflow's own client against the platform", "client", ("artifacts", "client")),
    "webhook": Hop("the website learns of a registration", "site", ("writes", "gateway-to-site")),
    "traffic.registry": Hop(
        "the registry's load balancer leaves its answers to what is behind it",
        "load-balancer",
        ("required-paths", "artifact-route", "target-group.mlflow"),
    ),
    "traffic": Hop(
        "what alarms on several parts counted",
        "load-balancer",
        ("public.auth", "public.registry", "public.api", "mlflow-api", "artifacts", "target-group.mlflow"),
    ),
}


def parents(hop: str) -> tuple[str, ...]:
    """What a hop rests on directly. An aspect rests on the hop before its slash. Raises KeyError."""
    base, slash, _ = hop.partition("/")
    below = HOPS[base].rests_on
    return (base,) if slash else below


def component(hop: str) -> Component:
    """Who must act when the hop itself is broken. Raises KeyError for a hop that does not exist."""
    return HOPS[hop.partition("/")[0]].component


@cache
def foundations(hop: str) -> frozenset[str]:
    """The hop itself and everything it rests on, however far down."""
    below = (foundations(parent) for parent in parents(hop))
    return frozenset({hop}).union(*below)


def rests_on(hop: str, broken: str) -> bool:
    """Whether breaking ``broken`` breaks ``hop``. A hop rests on itself."""
    return broken in foundations(hop)


def known(hop: str) -> bool:
    """Whether the hop exists: it is listed, or an aspect of one that is."""
    return hop.partition("/")[0] in HOPS
