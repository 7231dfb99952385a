"""What a caller of the gateway may do: pure rules, from the path, the method and what auth said of the key.

Contract 3 (scanner filter), 3.1 (paths that need no key) and 3.4 (scopes, admins, balance). In that order:
balance, admin lock, scope; all three are refused by the authenticating layer, which lies outside the CORS
layer and the routing.
"""

import re
from collections.abc import Mapping

from hokusai_probe.sandbox.services.answers import RefusalError
from hokusai_probe.sandbox.services.gateway_auth import Caller

WRITE_SCOPES = frozenset(
    {"model:write", "mlflow:write", "mlflow:access", "admin", "mlflow:admin", "write", "full_access"}
)
"""Scopes of which any allows to write (contract 3.4)."""

ADMIN_SCOPES = frozenset({"admin", "mlflow:admin", "registry:admin", "model-registry:admin"})
"""Scopes of which any makes an admin of the registry (contract 3.4)."""

RESET_PATH = "/health/mlflow/reset"

_ALWAYS_PUBLIC = ("/health", "/docs", "/openapi.json", "/redoc", "/favicon.ico")
_PUBLIC_SINCE_2025_08_11 = (
    "/ready",
    "/live",
    "/version",
    "/metrics",
    "/api/v1/dspy/health",
    "/api/health/mlflow",
)
_SCANNED = re.compile(
    r"/\.(env|git|aws|svn)(/.*)?|/(wp-admin|wp-content|wp-includes|phpmyadmin|cgi-bin|actuator)(/.*)?|/[\w-]+\.php",
    re.IGNORECASE,
)
_READS_BY_POST = frozenset({"search", "get-latest-versions"})
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MODEL = re.compile(r"/api/v1/models/[^/]+/")


def is_scanned(path: str) -> bool:
    """Whether only vulnerability scanners ask for a path: answered with an empty 404 before anything else.

    Since 2026-06-02 (S-12). Which paths the platform's filter lists is not documented; these are common ones.
    """
    return _SCANNED.fullmatch(path) is not None


def public_prefixes(behaviours: frozenset[str]) -> tuple[str, ...]:
    """The prefixes of paths that need no key (contract 3.1); ``public-paths-need-key`` is the old list."""
    if "public-paths-need-key" in behaviours:
        return _ALWAYS_PUBLIC
    return _ALWAYS_PUBLIC + _PUBLIC_SINCE_2025_08_11


def needs_key(method: str, path: str, behaviours: frozenset[str]) -> bool:
    """Whether a request must bring a key. Repaired: so must the breaker's reset, whose prefix is public.

    The behaviour ``breaker-reset-open`` leaves the reset to the prefix, as on the platform (L-10).
    """
    if method == "OPTIONS":
        return "preflight-needs-key" in behaviours
    if path == RESET_PATH and "breaker-reset-open" not in behaviours:
        return True
    return not path.startswith(public_prefixes(behaviours))


def is_write(method: str, path: str) -> bool:
    """Whether a request changes the registry; MLflow has searches that are POSTs."""
    if method in _READ_METHODS:
        return False
    return not (method == "POST" and path.rsplit("/", 1)[-1] in _READS_BY_POST)


def is_debited(method: str, path: str, *, is_mlflow: bool) -> bool:
    """Whether auth is asked to charge a request before it is carried out: what writes, and what predicts."""
    return (is_mlflow or _MODEL.match(path) is not None) and is_write(method, path)


def check_balance(caller: Caller) -> None:
    """Refuse whoever cannot pay, reads as well: contract 3.4 names no exception.

    Raises:
        RefusalError: 402.

    """
    if not caller.has_sufficient_balance:
        raise RefusalError(402, "Insufficient balance")


def check_registry(
    caller: Caller, method: str, path: str, behaviours: frozenset[str], admins: frozenset[str]
) -> None:
    """Refuse who may not use the registry like this: the admin lock where it is on, else the write scopes.

    Args:
        caller: Who asks.
        method: The request's method.
        path: Its path.
        behaviours: ``admin-only`` is the lock of 2026-06-30, ``no-scope-check`` the time before 2025-09-15.
        admins: E-mail addresses that are admins (REGISTRY_ADMIN_USER_EMAILS).

    Raises:
        RefusalError: 403.

    """
    if "admin-only" in behaviours:
        _check_admin(caller, admins)
    elif "no-scope-check" not in behaviours and is_write(method, path):
        _check_scope(caller)


def _check_admin(caller: Caller, admins: frozenset[str]) -> None:
    if caller.is_admin or caller.email.lower() in admins or ADMIN_SCOPES & set(caller.scopes):
        return
    raise RefusalError(403, "Admin access required for the model registry", error="REGISTRY_ADMIN_REQUIRED")


def _check_scope(caller: Caller) -> None:
    if WRITE_SCOPES & set(caller.scopes):
        return
    raise RefusalError(
        403,
        "Insufficient permissions for this operation",
        error="FORBIDDEN",
        required_scope="model:write",
        current_scopes=list(caller.scopes),
    )


def admin_emails(variables: Mapping[str, str]) -> frozenset[str]:
    """The addresses of REGISTRY_ADMIN_USER_EMAILS, separated by commas, in lower case."""
    listed = variables.get("REGISTRY_ADMIN_USER_EMAILS", "").split(",")
    return frozenset(email.strip().lower() for email in listed if email.strip())
