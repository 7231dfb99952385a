"""Auth answers, later than anybody waits."""

from __future__ import annotations

from collections.abc import Iterator

from hokusai_probe.answers import responder
from hokusai_probe.causes._keys import at_gateway, direct
from hokusai_probe.causes._words import one_line, ready, word
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts, no_verdict


@cause(
    component="auth",
    priority="high",
    effort="hours",
    look_alikes={
        "auth-service-down": "there auth's other paths do not answer either",
        "listener-rule-wrong-target-group": "there the gateway answers in auth's place: 401 on any path",
        "gateway-auth-url-wrong": "there auth answers us in time",
        "auth-database-schema-missing": "there auth fails at once, with 500",
    },
    source="INC-07 and incidents, section 5: 401 `service timeout`; contract 6: the gateway waits 5 s",
)
def auth_service_slow(
    hosts: HostsFacts,
    validation: KeyValidationFacts,
    forms: KeyFormsFacts | None,
    invalid: InvalidKeysFacts | None,
    target: Target,
) -> Iterator[Case]:
    """Validating a key takes auth longer than the gateway waits for it, while its /health is quick.

    The gateway says ``Authentication service timeout``. Keys in its cache go on working (contract 3.5), so
    some callers notice nothing. Its database is the usual reason. Where it is late now and then, one slow
    validation of ours speaks beside the gateway's word.
    """
    wait_s = target.timeouts.gateway_auth_s
    yield Case(
        subject="auth",
        breaks=("validation", "gateway-to-auth"),
        claims=(_late(hosts, validation, wait_s, timed_out=_timed_out(forms, invalid)),),
        remedy=Remedy(
            kind="outside-aws",
            summary="Find out what auth waits for while it validates, its database first.",
            before=(one_line(f"aws logs tail {word(None, 'AUTH_LOGS')} --since 15m"),),
            aws_cli=ready(f"aws logs tail {word(None, 'AUTH_LOGS')} --since 1h"),
            rollback="Nothing is changed.",
            also_touches="Nothing.",
            verify="hokusai-probe verify auth-service-slow",
        ),
    )


def _timed_out(forms: KeyFormsFacts | None, invalid: InvalidKeysFacts | None) -> bool:
    return any((no_verdict(a) or "").endswith("timeout") for _, _, a in at_gateway(forms, invalid))


def _late(hosts: HostsFacts, validation: KeyValidationFacts, wait_s: float, *, timed_out: bool) -> Claim:
    """In time refutes it, unless the gateway runs out of time all the same: then the way may be slow."""
    text = f"validating a key takes auth {validation.quickest_s:.1f} s; the gateway waits {wait_s:g} s"
    if validation.late(wait_s):
        holds = _is_auths(hosts, validation) or None
        return direct(text, validation, "for_platform", holds, telling=True)
    place, slowest_s = _slowest(validation)
    if timed_out and slowest_s > wait_s and slowest_s - validation.unknown_path.elapsed_s > wait_s / 2:
        text = f"validating a key takes auth up to {slowest_s:.1f} s; the gateway waits {wait_s:g} s, in vain"
        return direct(text, validation, place, _is_auths(hosts, validation) or None, telling=True)
    in_time = validation.by_auth and validation.quickest_s <= wait_s and not timed_out
    unknown = "validating a key takes auth longer than the gateway waits"
    return direct(unknown, validation, "for_platform", holds=False if in_time else None)


def _slowest(validation: KeyValidationFacts) -> tuple[str, float]:
    """Which of our validations took longest, and how many seconds."""
    places = ("for_platform", "without_service")
    times = {place: answer.elapsed_s for place, answer in zip(places, validation.answers, strict=True)}
    slowest = max(times, key=times.__getitem__)
    return slowest, times[slowest]


def _is_auths(hosts: HostsFacts, validation: KeyValidationFacts) -> bool:
    """Auth itself is there, quick, and behind the path that is slow: its health and its router answered."""
    health = hosts.health("auth")
    there = health is not None and health.status == 200 and responder(health) == "auth"
    return there and validation.unknown_path.status == 404 and not any(map(no_verdict, validation.answers))
