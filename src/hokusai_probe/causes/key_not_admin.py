"""The registry is for admins, and this is no admin's key."""

from collections.abc import Iterator

from hokusai_probe.answers import error_code, said
from hokusai_probe.causes._keys import seen, with_key
from hokusai_probe.causes._words import beside
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts

CODE = "REGISTRY_ADMIN_REQUIRED"


@cause(
    component="client",
    blame="policy",
    priority="high",
    effort="minutes",
    look_alikes={
        "key-lacks-scope": "there the error is FORBIDDEN, and reads work",
        "mlflow-refuses-host": "there the 403 is plain text: Invalid Host header",
        "gateway-sends-wrong-service-id": "there the key is refused: 401",
    },
    source="INC-50; contract 3.4, from 2026-06-30",
)
def key_not_admin(
    api: MlflowApiFacts, registration: RegistrationFacts | None, validation: KeyValidationFacts | None
) -> Iterator[Case]:
    """The key is good, and the registry admits admins only: 403 ``REGISTRY_ADMIN_REQUIRED``, reads as well.

    A rule of the platform since 2026-06-30 and no fault of it. An admin is who is marked so, who has a scope
    such as `registry:admin`, or whose e-mail address is among REGISTRY_ADMIN_USER_EMAILS.
    """
    heard = with_key(None, api, registration)
    refused = next((s for s in heard if s[2].status == 403 and error_code(s[2]) == CODE), None)
    yield Case(
        subject="key",
        breaks=("mlflow-api",),
        claims=(
            seen(
                "the registry admits admins only"
                + (f": {refused[2].path}: {said(refused[2])}" if refused else ""),
                refused or (MlflowApiFacts, "search", api.search),
                holds=True if refused else (False if api.works else None),
                telling=True,
            ),
            _no_admins(validation, seen=refused is not None),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Use an admin's key, or ask the gateway's team to list the key's owner in "
            "REGISTRY_ADMIN_USER_EMAILS or to give the key the scope `registry:admin`.",
            rollback="Take the owner off the list, or the scope off the key.",
            also_touches="An admin may change everybody's models.",
            verify="hokusai-probe verify key-not-admin",
        ),
    )


def _no_admins(validation: KeyValidationFacts | None, *, seen: bool) -> Claim:
    """An admin's key that is refused as none would be the gateway's fault."""
    admin = validation.is_admin if validation else None
    return claim(
        "auth does not mark the key as an admin's",
        beside(seen, fact=None if admin is None else not admin),
        by=KeyValidationFacts,
        fact="is_admin",
        value=admin,
    )
