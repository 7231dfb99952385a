"""Asked too often."""

from collections.abc import Iterator

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._keys import Sighting, at_gateway, hops_of, seen, with_key
from hokusai_probe.declare import Case, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts


@cause(
    component="client",
    blame="policy",
    priority="medium",
    effort="minutes",
    look_alikes={
        "account-out-of-balance": "there the status is 402, and waiting does not help",
        "auth-service-down": "there the status is 503 and the text speaks of the authentication service",
    },
    source="contract 3.3 and 3.6",
)
def rate_limited(
    forms: KeyFormsFacts | None,
    invalid: InvalidKeysFacts | None,
    validation: KeyValidationFacts | None,
    api: MlflowApiFacts | None,
    registration: RegistrationFacts | None,
    paths: PublicPathsFacts | None,
) -> Iterator[Case]:
    """Requests are answered 429: the key, or the address that the requests come from, is used too often.

    Auth limits each key by the hour, the gateway some paths by the caller's address, which behind a load
    balancer all callers share. Until 2026-06 the gateway showed auth's 429 as 401 ``Rate limit exceeded``.
    """
    nearer: list[Sighting] = [*with_key(forms, api, registration), *at_gateway(None, invalid)]
    required = paths.required if paths else ()
    listed: list[Sighting] = [(PublicPathsFacts, f"required[{n}]", a) for n, a in enumerate(required)]
    asked: list[Sighting] = (
        [(KeyValidationFacts, "for_platform", validation.for_platform)] if validation else []
    )
    limited = tuple(s for s in (*nearer, *listed, *asked) if _too_often(s[2]))
    yield Case(
        subject="key",
        breaks=(*hops_of(limited), *_others(limited)) or ("authenticated",),
        claims=(
            seen(
                "requests are refused for being too many"
                + (f": {limited[0][2].path}: {said(limited[0][2])}" if limited else ""),
                limited[0] if limited else None,
                holds=True if limited else None,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Send fewer requests: wait as long as Retry-After says, and space out what is scheduled. "
            "If the limit is too low for what is needed, ask for a higher one.",
            rollback="None needed.",
            also_touches="Limits by address are shared by all callers behind the same one.",
            verify="hokusai-probe verify rate-limited",
        ),
    )


def _too_often(answer: Answer) -> bool:
    told = answer.status == 401 and detail(answer) == "Rate limit exceeded"
    return (answer.status == 429 and responder(answer) != "load-balancer") or told


def _others(limited: tuple[Sighting, ...]) -> Iterator[str]:
    """What fails beside requests with the key: made-up keys, the paths that must exist, auth itself."""
    hops = {
        InvalidKeysFacts: "gateway-auth",
        PublicPathsFacts: "required-paths",
        KeyValidationFacts: "validation",
    }
    yield from (hop for facts, hop in hops.items() if any(s[0] is facts for s in limited))
    if any(by is MlflowApiFacts or by is RegistrationFacts or by is PublicPathsFacts for by, _, _ in limited):
        yield from ("mlflow-api", "required-paths")  # a share of all that goes there, whichever we drew
