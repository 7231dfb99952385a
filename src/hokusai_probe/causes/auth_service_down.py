"""What outside eyes see when nothing deeper can be seen."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._down import down_at, look_deeper, not_connected
from hokusai_probe.causes._keys import auth_serves, direct, refused_by_gateway
from hokusai_probe.declare import Case, cause
from hokusai_probe.http import Answer
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts, let_in
from hokusai_probe.probes.key_validation import KeyValidationFacts, no_verdict
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="auth",
    priority="critical",
    effort="hours",
    fallback=True,
    look_alikes={
        "target-port-mismatch": "seen in the registered targets' ports",
        "ecs-service-missing": "seen in the ECS service",
        "target-group-empty": "seen in the target group",
        "auth-service-slow": "there auth answers, too late for the gateway",
        "auth-database-schema-missing": "there auth says which table it lacks",
        "key-unknown-or-expired": "there auth answers, and refuses the key",
    },
    source="INC-08, INC-15",
)
def auth_service_down(
    hosts: HostsFacts,
    validation: KeyValidationFacts | None,
    invalid: InvalidKeysFacts | None,
    forms: KeyFormsFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """The auth service does not answer, and nothing deeper that would explain it is seen.

    No key can be validated: the gateway answers 503, or in the 2025-08 era 401
    `Authentication service error`. Its `/health` may be well all the same, and only its API fail. An auth
    service that judges keys, asked directly or by the gateway, is there, whatever its host says to `/health`;
    so is one that its load balancer finds well where only we do not reach that load balancer.
    """
    if validation is not None and _well(hosts) and all(map(_fails, validation.answers)):
        yield _api_down(validation, ecs, groups)
    else:
        well = groups.serves("auth") if groups else None
        known = auth_serves(validation, invalid) or _judges_for_gateway(invalid)
        yield from down_at(
            hosts,
            "auth",
            "auth",
            ecs,
            groups,
            serves=known or (_is_unreached(hosts) and well is True),
            doubted=_lets_keys_in(forms) and well is not False,
            whole=validation is not None,
        )


def _judges_for_gateway(invalid: InvalidKeysFacts | None) -> bool:
    """The gateway has auth's verdict on a made-up key; no refusal is cached (contract 3.5), it is fresh."""
    return invalid is not None and any(map(refused_by_gateway, invalid.fakes.values()))


def _well(hosts: HostsFacts) -> bool:
    health = hosts.health("auth")
    return health is not None and health.status == 200 and responder(health) == "auth"


def _is_unreached(hosts: HostsFacts) -> bool:
    """Whether no connection of ours to its load balancer came about."""
    health = hosts.health("auth")
    return health is not None and not_connected(health)


def _lets_keys_in(forms: KeyFormsFacts | None) -> bool:
    """The gateway lets keys in: auth judges them, or did lately, for verdicts are kept (contract 3.5)."""
    return forms is not None and any(map(let_in, forms.answers.values()))


def _fails(answer: Answer) -> bool:
    """5xx, of whomever but the gateway in auth's place (INC-07)."""
    return answer.status is not None and answer.status >= 500 and no_verdict(answer) is None


def _api_down(
    validation: KeyValidationFacts, ecs: EcsServicesFacts | None, groups: TargetGroupsFacts | None
) -> Case:
    said_so = said(validation.for_platform, "auth")
    return Case(
        subject="auth",
        breaks=("validation", "gateway-to-auth"),
        claims=(
            direct(
                f"auth's /health is well and its API does not work ({said_so})",
                validation,
                "for_platform",
                holds=True,
            ),
        ),
        remedy=look_deeper("auth", ecs, groups),
    )
