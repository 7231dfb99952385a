"""Nobody pays."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._keys import from_gateway, hops_of, seen, with_key
from hokusai_probe.causes._words import beside
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.key_forms import KeyFormsFacts, let_in
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts


@cause(
    component="client",
    priority="high",
    effort="minutes",
    look_alikes={
        "key-lacks-scope": "there the status is 403",
        "rate-limited": "there the status is 429",
    },
    source="contract 2 and 3.4, from 2026-02; S-13",
)
def account_out_of_balance(
    forms: KeyFormsFacts,
    api: MlflowApiFacts | None,
    registration: RegistrationFacts | None,
    validation: KeyValidationFacts | None,
) -> Iterator[Case]:
    """The key is good and its account has no balance left: 402 ``Insufficient balance``.

    Where the balance runs out while a request is charged, writes alone are 402 ``usage_debit_rejected``.
    """
    heard = with_key(forms, api, registration)
    unpaid = tuple(s for s in heard if from_gateway(s[2], 402))
    written = registration is not None and registration.run is not None and registration.run.status == 200
    well = written and let_in(forms.answers["bearer"])
    yield Case(
        subject="key",
        breaks=hops_of(unpaid) or ("writes",),
        claims=(
            seen(
                "the account of the key has no balance"
                + (f": {unpaid[0][2].path}: {said(unpaid[0][2])}" if unpaid else ""),
                unpaid[0] if unpaid else None,
                holds=True if unpaid else (False if well else None),
                telling=True,
            ),
            claim(
                "auth says that its balance is not sufficient",
                beside(unpaid, fact=True if validation and validation.can_pay is False else None),
                by=KeyValidationFacts,
                fact="can_pay",
                value=validation.can_pay if validation else None,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Top up the account that the key belongs to, or use another account's key.",
            rollback="None needed.",
            also_touches="Every key of this account.",
            verify="hokusai-probe verify account-out-of-balance",
        ),
    )
