"""The target file and the keys of one sandbox, as data."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hokusai_probe.sandbox.identity import REGION
from hokusai_probe.sandbox.names import LOAD_BALANCERS, SERVICES
from hokusai_probe.sandbox.state import Endpoint

PUBLIC_PATHS = (
    "/health",
    "/docs",
    "/openapi.json",
    "/redoc",
    "/ready",
    "/live",
    "/version",
    "/metrics",
    "/api/health/mlflow",
)
"""Paths of the gateway that need no key: contract section 3.1, as far as section 4 says they exist."""

REQUIRED_PATHS = (
    "/api/mlflow/api/2.0/mlflow/experiments/search",
    "/api/mlflow/api/2.0/mlflow/registered-models/search",
    "/api/mlflow/api/2.0/mlflow-artifacts/artifacts",
    "/mlflow/api/2.0/mlflow/experiments/search",
    "/api/health/mlflow",
)
"""Paths of the registry host without which the platform is of no use: contract section 4."""

SERVING_MODEL = "21"
"""The model that INC-42 is about; the sandbox's gateway predicts for any."""
ADMIN_VARIABLE = "HOKUSAI_ADMIN_KEY"
"""The variable of an administrator's key, where a scenario gives the prober one beside its own."""

_P95_MS = 500.0
"""Half of the platform's objective: its waits are a fifth here, its work is not done any faster."""

_AUTH_S, _PROXY_S, _CONNECT_S, _IDLE_S, _KEY_CACHE_S = 5.0, 30.0, 10.0, 60.0, 60.0
_WRITE_SCOPES = ["mlflow:read", "mlflow:write", "model:read", "model:write"]
_INFRASTRUCTURE = (
    "load-balancer", "network", "ecs", "dns", "tls", "deployment", "secrets", "storage", "database", "cache",
)  # fmt: skip
_INFRASTRUCTURE_TEAM = {
    "team": "infrastructure team",
    "contact": "infrastructure@hokusai.test",
    "github": "hokusai-infrastructure-team",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the target file says of this sandbox."""

    name: str
    fronts: Mapping[str, Mapping[int, Endpoint]]  # load balancer -> listener port -> where it listens
    names: Mapping[str, str]
    endpoint: str
    trail: str
    resolver: str
    control_host: str
    database: str
    cache: str
    ca_file: Path
    time_scale: float
    accepted: Sequence[str]
    with_aws: bool
    with_admin: bool = False


def target(facts: Facts) -> dict[str, object]:
    """The target file's content; see the target file contract of the documentation."""
    names = facts.names
    hosts = {"registry": "registry", "auth": "auth", "api": "main"}
    urls = {
        key: f"https://{names[f'host.{balancer}']}:{facts.fronts[balancer][443].port}"
        for key, balancer in hosts.items()
    }
    aws = {"aws": _aws(facts)} if facts.with_aws else {}
    return {
        "name": facts.name,
        "hosts": urls,
        "paths": {
            "mlflow": "/api/mlflow",
            "mlflow_direct": "/mlflow",
            "public": PUBLIC_PATHS,
            "required": REQUIRED_PATHS,
            "serving_model": SERVING_MODEL,
        },
        "key": {"env": "HOKUSAI_API_KEY", **({"admin_env": ADMIN_VARIABLE} if facts.with_admin else {})},
        **aws,
        "tls": {"ca_file": str(facts.ca_file)},
        "network": {
            "control_host": facts.control_host,
            "resolver": facts.resolver,
            "database": facts.database,
            "cache": facts.cache,
            "http_ports": {key: facts.fronts[balancer][80].port for key, balancer in hosts.items()},
        },
        "timeouts": _timeouts(facts.time_scale),
        "slo": {"p95_ms": _P95_MS},
        "allow": {"classes": ["read", "write", "hostile", "disruptive"]},
        "accept": {"behaviours": list(facts.accepted)},
        "criteria": {"infrastructure": 80.0, "authentication": 90.0},
        "owners": _owners(),
    }


def _timeouts(scale: float) -> dict[str, float]:
    return {
        "connect_s": 2.0,
        "total_s": 8.0,
        "load_balancer_connect_s": _CONNECT_S / scale,
        "idle_s": _IDLE_S / scale,
        "gateway_auth_s": _AUTH_S / scale,
        "gateway_proxy_s": _PROXY_S / scale,
        "gateway_key_cache_s": _KEY_CACHE_S / scale,
    }


def _aws(facts: Facts) -> dict[str, object]:
    names = facts.names
    bucket = {"bucket": names["bucket.artifacts"]} if "bucket.artifacts" in names else {}
    balancers = {key: names[f"load_balancer.{key}"].split("/")[-2] for key in LOAD_BALANCERS}
    return {
        "region": REGION,
        "endpoint_url": facts.endpoint,
        "cluster": names["cluster"],
        "services": {service: names[f"service.{service}"] for service in SERVICES},
        "load_balancers": balancers,
        "database": names["database"],
        "cache": names["cache"],
        "trail": facts.trail,
        **bucket,
    }


def _owners() -> dict[str, dict[str, str]]:
    services = {service: _owner(service) for service in SERVICES}
    return {**services, **dict.fromkeys(_INFRASTRUCTURE, _INFRASTRUCTURE_TEAM)}


def _owner(service: str) -> dict[str, str]:
    return {
        "team": f"{service} team",
        "contact": f"{service}@hokusai.test",
        "github": f"hokusai-{service}-team",
        "repository": f"hokusai-sandbox/{service}",
    }


def toml(content: Mapping[str, object]) -> str:
    """The content as TOML: scalars and arrays first, then a table per mapping, at any depth."""
    return "\n".join(_lines(content, ())) + "\n"


def _lines(content: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    lines = [f"{key} = {_scalar(value)}" for key, value in content.items() if key not in tables]
    for key, table in tables.items():
        inner = (*path, key)
        lines += ["", f"[{'.'.join(inner)}]", *_lines(table, inner)]
    return lines


def _scalar(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_scalar(part) for part in value)}]"
    if isinstance(value, (str, bool, int, float)):
        return json.dumps(value)
    sentence = f"no TOML for {type(value).__name__}"
    raise TypeError(sentence)


def keys(seed: int) -> dict[str, dict[str, object]]:
    """The keys that the auth service knows, by what a scenario calls them. All are fake."""
    draw = random.Random(f"keys {seed}")  # noqa: S311 - fake keys, reproducible on purpose
    now = datetime.now(UTC)
    special: dict[str, dict[str, object]] = {
        "valid": {},
        "admin": {"is_admin": True, "scopes": [*_WRITE_SCOPES, "admin"]},
        "read-only": {"scopes": ["mlflow:read", "model:read"]},
        "other-service": {"service_id": "website"},
        "expired": {"expires_at": (now - timedelta(days=1)).isoformat()},
    }
    return {kind: _key(draw, kind) | extra for kind, extra in special.items()}


def _key(draw: random.Random, kind: str) -> dict[str, object]:
    return {
        "key": f"hk_test_{draw.getrandbits(128):032x}",
        "user_id": f"user-{kind}",
        "service_id": "platform",
        "scopes": list(_WRITE_SCOPES),
        "is_admin": False,
        "expires_at": None,
        "rate_limit_per_hour": 100000,
        "balance": 1000.0,
        "is_active": True,
    }


def given_key(kind: str, known: Mapping[str, Mapping[str, object]], seed: int) -> str:
    """The key that the prober is given; "" for none.

    An unknown key is one that auth never issued; a malformed one the valid key with its quotes.
    """
    if kind == "none":
        return ""
    if kind == "unknown":
        draw = random.Random(f"unknown {seed}")  # noqa: S311 - as above
        return f"hk_test_{draw.getrandbits(128):032x}"
    if kind == "malformed":
        return f"'{known['valid']['key']}'"
    return str(known[kind]["key"])
