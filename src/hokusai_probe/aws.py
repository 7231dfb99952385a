"""The AWS door: read-only calls by construction, answered with data or with a typed failure.

Only methods that read may be called, and of those none that returns a secret. Of the environments in
task definitions only the values of address-like variables leave here, without user-info and query.
botocore is loaded with the first call. A thread cannot be cancelled, so every call has short timeouts
and is repeated once at most, and never after a timeout.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import PrivateAttr

from hokusai_probe.model import AwsTarget, Frozen
from hokusai_probe.redact import Redactor
from hokusai_probe.text import clean

if TYPE_CHECKING:
    from botocore.client import BaseClient

Said = Callable[[str, int], str]
"""How free text of AWS becomes a fact of at most so many characters: :meth:`AwsDoor.said`."""

AwsFailureKind = Literal[
    "denied", "credentials-missing", "credentials-refused", "not-found", "throttled", "unreachable",
    "timeout", "error",
]  # fmt: skip

MOST_PAGES = 20
_THREADS = 8
_PAUSE_S = 0.5

_READS = re.compile(r"(describe|list|get|lookup|head|filter|discover)_[a-z0-9_]+")
_GIVES_SECRETS = re.compile(
    r"get_(secret_value|random_password|parameters?|parameters_by_path|parameter_history|object\w*|password_data"
    r"|console_output|console_screenshot|launch_template_data|session_token|federation_token|authorization_token"
    r"|role_credentials|\w*credentials\w*|id|open_id_token\w*|access_token|login_profile|download_url_for_layer"
    r"|function|query_results|log_record|data_key\w*)|describe_(instance_attribute|launch_template_versions)"
)

_ADDRESS_LIKE = re.compile(
    r"(?:.*_)?(?:URL|URI|HOST|HOSTS|HOSTNAME|PORT|ENDPOINT|ADDRESS|ADDR|SERVICE_ID|DB_NAME|DATABASE|BUCKET|REGION"
    r"|ARTIFACT_ROOT|ARTIFACTS_DESTINATION|SERVE_ARTIFACTS|FALLBACK_IP)"
)
_SECRET_LIKE = re.compile(r"KEY|SECRET|TOKEN|PASS|HOOK|DSN|CREDENTIAL|AUTH_URL", re.IGNORECASE)
_PLAIN_ADDRESS = re.compile(r"[\w.,:/\[\]*-]{0,1000}")


class AwsFailure(Frozen):
    """Why AWS did not answer. ``code`` is AWS's own or the exception's name; ``detail`` is redacted.

    denied: we are known and may not. credentials-missing: none were found, or they could not be got.
    credentials-refused: AWS does not take them, or they are out of date. not-found: the thing does not
    exist. unreachable: no connection. timeout: no answer in time.
    """

    kind: AwsFailureKind
    code: str = ""
    detail: str = ""


class AwsAnswer(Frozen):
    """What one call gave. ``truncated``: there were more pages than :data:`MOST_PAGES`.

    The data is never serialised: copy what a look needs into its facts.
    """

    service: str
    method: str
    failure: AwsFailure | None = None
    truncated: bool = False
    _data: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def data(self) -> Mapping[str, Any]:
        """The parsed response, read only; empty when the call failed."""
        return self._data

    @property
    def answered(self) -> bool:
        """Whether AWS gave what was asked for."""
        return self.failure is None


class AwsDoor:
    """Calls AWS as the target and the environment say. Nothing else of this process's environment is read.

    ``calls`` counts requests sent. Use it as a context manager, or call :meth:`close`.
    """

    def __init__(
        self,
        target: AwsTarget,
        redactor: Redactor,
        environment: Mapping[str, str],
        *,
        connect_s: float = 3.0,
        read_s: float = 10.0,
    ) -> None:
        self.calls = 0
        self._target = target
        self._redactor = redactor
        self._environment = dict(environment)
        self._timeouts = (connect_s, read_s)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")
        self._lock = threading.Lock()
        self._create: Callable[[str], BaseClient] | None = None
        self._clients: dict[str, BaseClient] = {}
        self._silent: dict[str, AwsFailure] = {}

    async def __aenter__(self) -> Self:
        """Load boto3 now: its import would otherwise be timed with the first HTTP requests."""
        await asyncio.to_thread(import_module, "boto3")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Start no more calls. Those under way end at their own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def said(self, text: str, limit: int) -> str:
        """Free text of AWS as a fact may hold it: redacted, then cleaned and cut to ``limit`` characters.

        In this order: of a secret that a cut divides, what is left has no longer the shape of one.
        """
        return clean(self._redactor.text(text), limit)

    async def call(self, service: str, method: str, **params: Any) -> AwsAnswer:
        """One call, as ``call("elbv2", "describe_rules", ListenerArn=...)``. Never raises for what AWS does.

        Raises ValueError for a method that does not only read, or that returns secrets.
        """

        def once(client: BaseClient) -> tuple[Mapping[str, Any], bool]:
            self._count()
            return getattr(client, method)(**params), False

        return await self._answer(service, method, once)

    async def pages(self, service: str, method: str, key: str, **params: Any) -> AwsAnswer:
        """All pages of a call, as ``{key: [items of all pages]}``; twenty pages at most.

        Raises as :meth:`call`.
        """

        def all_pages(client: BaseClient) -> tuple[Mapping[str, Any], bool]:
            if not client.can_paginate(method):
                self._count()
                return {key: getattr(client, method)(**params).get(key, [])}, False
            items: list[Any] = []
            for number, page in enumerate(client.get_paginator(method).paginate(**params)):
                self._count()
                if number == MOST_PAGES:
                    return {key: items}, True
                items += page.get(key, [])
            return {key: items}, False

        return await self._answer(service, method, all_pages)

    async def _answer(
        self, service: str, method: str, work: Callable[[BaseClient], tuple[Mapping[str, Any], bool]]
    ) -> AwsAnswer:
        _must_read(method)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, self._work, service, work)
        if isinstance(found, AwsFailure):
            return AwsAnswer(service=service, method=method, failure=found)
        data, truncated = found
        answer = AwsAnswer(service=service, method=method, truncated=truncated)
        answer._data = MappingProxyType(data)  # noqa: SLF001 - our own
        return answer

    def _work(
        self, service: str, work: Callable[[BaseClient], tuple[Mapping[str, Any], bool]]
    ) -> tuple[Mapping[str, Any], bool] | AwsFailure:
        """In a thread: try, and once more where trying again can help."""
        found = self._try(service, work)
        if isinstance(found, AwsFailure) and _passes(found):
            time.sleep(_PAUSE_S)
            found = self._try(service, work)
        if isinstance(found, AwsFailure) and found.code == "ConnectTimeoutError":
            self._silent[service] = found
        return found

    def _try(
        self, service: str, work: Callable[[BaseClient], tuple[Mapping[str, Any], bool]]
    ) -> tuple[Mapping[str, Any], bool] | AwsFailure:
        from botocore.exceptions import BotoCoreError, ClientError

        if service in self._silent:
            return self._silent[service]
        try:
            data, truncated = work(self._client(service))
        except (BotoCoreError, ClientError) as e:
            failure = _failure(e)
            return failure.model_copy(update={"detail": self.said(failure.detail, 300)})
        return _without_values(data), truncated

    def _count(self) -> None:
        with self._lock:
            self.calls += 1

    def _client(self, service: str) -> BaseClient:
        """One client per service; a botocore session is not safe to share while it makes them."""
        with self._lock:
            if self._create is None:
                self._create = _client_maker(self._target, self._environment, *self._timeouts)
            if service not in self._clients:
                self._clients[service] = self._create(service)
            return self._clients[service]


def _must_read(method: str) -> None:
    if not _READS.fullmatch(method) or _GIVES_SECRETS.fullmatch(method):
        msg = f"{method} is not a call that only reads, or it returns secrets"
        raise ValueError(msg)


# --- Sessions -------------------------------------------------------------------------------------


def _client_maker(
    target: AwsTarget, environment: Mapping[str, str], connect_s: float, read_s: float
) -> Callable[[str], BaseClient]:
    """What makes clients with the target's region, endpoint and role, and the environment's credentials."""
    from botocore.config import Config

    session = _session(target, environment)
    config = Config(
        connect_timeout=connect_s,
        read_timeout=read_s,
        retries={"total_max_attempts": 1},
        max_pool_connections=_THREADS,
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs do not know it
        inject_host_prefix=target.endpoint_url is None,
        proxies={} if target.endpoint_url else None,
        s3={"addressing_style": "path"} if target.endpoint_url else None,
    )

    def make(service: str, **given: Any) -> BaseClient:
        settings = {
            "region_name": target.region,
            "endpoint_url": target.endpoint_url,
            "config": config,
            **given,
        }
        return session.create_client(service, **settings)  # type: ignore[no-any-return]

    if target.role_arn:
        _assume(session, target.role_arn, make)
    return make


def _session(target: AwsTarget, environment: Mapping[str, str]) -> Any:
    """A botocore session that looks for profile, files and credentials where the environment says."""
    from botocore.credentials import create_credential_resolver
    from botocore.session import Session

    home = f"{environment.get('HOME', '~')}/.aws"
    profile = target.profile or environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    session = Session({"profile": (None, None, None, None)}, profile=profile)
    session.register_component("data_loader", _service_models())
    files = {
        "config_file": environment.get("AWS_CONFIG_FILE", f"{home}/config"),
        "credentials_file": environment.get("AWS_SHARED_CREDENTIALS_FILE", f"{home}/credentials"),
        "ca_bundle": environment.get("AWS_CA_BUNDLE"),
    }
    for name, value in files.items():
        if value:
            session.set_config_variable(name, value)
    resolver = create_credential_resolver(session, region_name=target.region)
    session.register_component("credential_provider", _from_environment(resolver, target, environment))
    return session


@cache
def _service_models() -> Any:
    """What botocore knows of each service, read once for all runs of this process: half a second of work."""
    from botocore.loaders import create_loader

    return create_loader()


def _from_environment(resolver: Any, target: AwsTarget, environment: Mapping[str, str]) -> Any:
    """The chain of providers, without those that would read another environment than ours.

    A profile that the target names comes before keys in the environment, as in the AWS CLI.
    """
    from botocore.credentials import EnvProvider

    ours = {
        "assume-role-with-web-identity": "AWS_WEB_IDENTITY_TOKEN_FILE" in environment,
        "container-role": any(name.startswith("AWS_CONTAINER_CREDENTIALS_") for name in environment),
        "iam-role": environment.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true",
        "ec2-credentials-file": False,
        "boto-config": False,
    }
    kept = [p for p in resolver.providers if p.METHOD != "env" and ours.get(p.METHOD, True)]
    resolver.providers = kept if target.profile else [EnvProvider(environment), *kept]
    return resolver


def _assume(session: Any, role_arn: str, make: Callable[..., BaseClient]) -> None:
    """Have the session's credentials be those of the role, got when they are first needed."""
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )

    source = session.get_credentials()
    if source is None:
        return  # the first call will say that there are no credentials
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **keys: make(
            service, **{k: v for k, v in keys.items() if k != "region_name"}
        ),
        source_credentials=source,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "hokusai-probe"},
    )
    assumed = DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
    session._credentials = assumed  # noqa: SLF001 - botocore's own way to replace them (boto3 does it too)
    session.register_component("credential_provider", CredentialResolver([]))


# --- Failures -------------------------------------------------------------------------------------


_DENIED = re.compile(
    r"AccessDenied\w*|UnauthorizedOperation|AuthorizationError\w*|NotAuthorized\w*|Forbidden|403"
)
_REFUSED = re.compile(
    r"InvalidClientTokenId|UnrecognizedClient\w*|AuthFailure|SignatureDoesNotMatch|Expired\w*|RequestExpired"
    r"|InvalidSignature\w*|InvalidAccessKeyId|IncompleteSignature|MissingAuthenticationToken\w*|InvalidToken\w*"
    r"|RequestTimeTooSkewed|InvalidIdentityToken|TokenRefreshRequired"
)
_THROTTLED = re.compile(
    r"Thrott\w*|RequestThrott\w*|RequestLimitExceeded|TooManyRequests\w*|SlowDown|BandwidthLimitExceeded|LimitExceeded"
)
_NOT_FOUND = re.compile(r".*NotFound(Exception|Fault)?|NoSuch\w+|404")
_ABSENT_TEXT = re.compile(r"Unable to describe task definition|does not exist", re.IGNORECASE)
_SERVER_SIDE = re.compile(
    r"InternalError\w*|InternalFailure|ServiceUnavailable\w*|Unavailable|5\d\d|ServerException"
)


def _passes(failure: AwsFailure) -> bool:
    """Whether the same call may well succeed in a moment."""
    return (
        failure.kind == "throttled"
        or bool(_SERVER_SIDE.fullmatch(failure.code))
        or failure.code == "ConnectionClosedError"
    )


def _failure(error: Exception) -> AwsFailure:
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        code, text = str(said.get("Code", "")), str(said.get("Message", ""))
        return AwsFailure(kind=_kind_of_code(code, text), code=code, detail=text)
    return AwsFailure(kind=_kind_of_error(error), code=type(error).__name__, detail=str(error))


def _kind_of_code(code: str, text: str) -> AwsFailureKind:
    kinds: tuple[tuple[re.Pattern[str], AwsFailureKind], ...] = (
        (_DENIED, "denied"),
        (_REFUSED, "credentials-refused"),
        (_THROTTLED, "throttled"),
        (_NOT_FOUND, "not-found"),
    )
    found = next((kind for pattern, kind in kinds if pattern.fullmatch(code)), None)
    if found is None and code in {"ClientException", "ValidationError"} and _ABSENT_TEXT.search(text):
        return "not-found"
    return found or "error"


def _kind_of_error(error: Exception) -> AwsFailureKind:
    from botocore import exceptions as e

    kinds: tuple[tuple[tuple[type[Exception], ...], AwsFailureKind], ...] = (
        ((e.ConnectTimeoutError, e.ReadTimeoutError), "timeout"),
        ((e.UnauthorizedSSOTokenError, e.RefreshWithMFAUnsupportedError), "credentials-refused"),
        (
            (e.NoCredentialsError, e.PartialCredentialsError, e.CredentialRetrievalError),
            "credentials-missing",
        ),
        (
            (e.ProfileNotFound, e.ConfigParseError, e.ConfigNotFound, e.NoAuthTokenError),
            "credentials-missing",
        ),
        ((e.TokenRetrievalError, e.SSOError, e.MetadataRetrievalError), "credentials-missing"),
        ((e.HTTPClientError, e.ConnectionError), "unreachable"),
    )
    return next((kind for types, kind in kinds if isinstance(error, types)), "error")


# --- Environments ---------------------------------------------------------------------------------


def _without_values(value: Any) -> Any:
    """The response without what anyone may have written into an environment, addresses excepted."""
    if isinstance(value, list):
        return [_without_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: [_variable(v) for v in item]
        if name == "environment" and isinstance(item, list)
        else _without_values(item)
        for name, item in value.items()
    }


def _variable(variable: Any) -> dict[str, str]:
    """Name and, where it is address-like, value of a variable. Every other value stays behind."""
    name, value = str(variable.get("name", "")), str(variable.get("value", ""))
    address = _address(value) if _ADDRESS_LIKE.fullmatch(name) and not _SECRET_LIKE.search(name) else None
    return {"name": name} if address is None else {"name": name, "value": address}


def _address(value: str) -> str | None:
    """The value without user-info, query and fragment; None when it does not read as an address."""
    if "://" in value:
        try:
            parts = urlsplit(value)
        except ValueError:
            return None
        value = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return value if _PLAIN_ADDRESS.fullmatch(value) else None
