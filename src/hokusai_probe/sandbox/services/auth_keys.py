"""API keys: what one may do, who may use it, and how it is shown. Nothing here asks or answers anybody."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hokusai_probe.sandbox.services.answers import RefusalError
from hokusai_probe.sandbox.services.settings import SettingsError

SERVICE_IDS = ("platform", "website", "prediction-api", "ml-platform")
"""The service ids that the refusal of a wrong one names (contract 2)."""

_UNKNOWN = "API key not found or invalid"


class Key(BaseModel):
    """A key and what it may do. ``expires_at`` is UTC; None: never. ``balance`` pays for its use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(repr=False)
    user_id: str = "user-1"
    email: str = ""
    service_id: str = "platform"
    scopes: tuple[str, ...] = ()
    is_admin: bool = False
    is_active: bool = True
    expires_at: datetime | None = None
    rate_limit_per_hour: int = 100_000
    balance: float = 100.0
    key_id: str = ""
    name: str = ""
    environment: str = "test"
    billing_plan: str = "free"
    monthly_prediction_limit: int | None = None
    allowed_ips: tuple[str, ...] = ()
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def id(self) -> str:
        """The key's public id: the given one, else derived from the key."""
        return self.key_id or "key_" + hashlib.sha256(self.key.encode()).hexdigest()[:16]


class NewKey(BaseModel):
    """The body that creates a key (contract 2)."""

    model_config = ConfigDict(frozen=True)

    name: str
    service_id: Literal["website", "prediction", "platform"] = "platform"
    scopes: tuple[str, ...] = ()
    environment: Literal["production", "test", "development"] = "test"
    expires_in_days: int | None = Field(default=None, ge=1, le=365)
    rate_limit_per_hour: int = Field(default=1000, ge=10, le=100_000)
    monthly_prediction_limit: int | None = None
    allowed_ips: tuple[str, ...] = ()
    billing_plan: str = "free"


class Asked(BaseModel):
    """The body of a validation. What is left out is not checked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service_id: str | None = None
    client_ip: str | None = None


def is_expired(key: Key, now: datetime) -> bool:
    """Whether a key's time is over."""
    return key.expires_at is not None and _utc(key.expires_at) <= now


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def judge(key: Key | None, asked: Asked, now: datetime) -> Mapping[str, object]:
    """The answer to a validation: what the key may do, or that it is revoked.

    The last four entries came with billing and the registry's admin lock, 2026 (contract 3.4 reads them).

    Raises:
        RefusalError: 401, the key is unknown, expired, not for this address, or belongs to another service.

    """
    if key is None or is_expired(key, now) or not _is_at_home(key, asked.client_ip):
        raise RefusalError(401, _UNKNOWN)
    if asked.service_id is not None and asked.service_id != key.service_id:
        raise RefusalError(401, wrong_service(asked.service_id, key.service_id))
    return {
        "is_valid": key.is_active,
        "key_id": key.id,
        "user_id": key.user_id,
        "service_id": key.service_id,
        "scopes": list(key.scopes),
        "rate_limit_per_hour": key.rate_limit_per_hour,
        "billing_plan": key.billing_plan,
        "monthly_prediction_limit": key.monthly_prediction_limit,
        "error": None if key.is_active else "API key is revoked",
        "email": key.email,
        "is_admin": key.is_admin,
        "has_sufficient_balance": key.balance > 0,
        "balance": key.balance,
    }


def _is_at_home(key: Key, client_ip: str | None) -> bool:
    return not key.allowed_ips or client_ip is None or client_ip in key.allowed_ips


def wrong_service(asked: str, own: str) -> str:
    """What auth says of a key that belongs to another service: both are named."""
    return (
        f"API key does not have access to service '{asked}'; it belongs to service '{own}'. "
        f"Valid service ids: {', '.join(SERVICE_IDS)}"
    )


def key_info(key: Key, last_used: datetime | None = None) -> dict[str, object]:
    """A key as the management endpoints show it: everything but the key itself (contract 2)."""
    plain = ("name", "user_id", "service_id", "scopes", "environment", "is_active", "rate_limit_per_hour",
             "monthly_prediction_limit", "billing_plan", "created_at", "expires_at")  # fmt: skip
    shown: dict[str, object] = {"key_id": key.id, "key_prefix": key.key[:8]}
    shown |= key.model_dump(mode="json", include=set(plain))
    return shown | {"last_used_at": last_used.isoformat() if last_used else None}


def anybody(raw: str, service_id: str | None) -> Key:
    """Who an unchecked key stands for."""
    return Key(key=raw, user_id="anybody", service_id=service_id or "platform", scopes=("full_access",))


def made(wanted: NewKey, owner: Key) -> Key:
    """A new key of an owner."""
    now = datetime.now(UTC)
    days = wanted.expires_in_days
    return Key(
        **wanted.model_dump(exclude={"expires_in_days"}),
        key=new_secret(wanted.environment),
        user_id=owner.user_id,
        created_at=now,
        expires_at=now + timedelta(days=days) if days else None,
    )


def new_secret(environment: str) -> str:
    """A new key's own text."""
    prefix = "hk_live_" if environment == "production" else "hk_test_"
    return prefix + secrets.token_hex(16)


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a JSON file, a list of objects.

    Raises:
        SettingsError: The file is missing or not of this form; the text never holds a key.

    """
    try:
        return TypeAdapter(tuple[Key, ...]).validate_json(path.read_bytes())
    except OSError as error:
        sentence = f"SANDBOX_KEYS: {path}: {error.strerror}"
        raise SettingsError(sentence) from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        sentence = f"SANDBOX_KEYS: {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise SettingsError(sentence) from None
