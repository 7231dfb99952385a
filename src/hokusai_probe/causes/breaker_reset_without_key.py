"""Anybody may reset the gateway's circuit breaker."""

from collections.abc import Iterator

from hokusai_probe.answers import responder
from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.health_bodies import RESET, HealthBodiesFacts


@cause(
    component="gateway",
    priority="low",
    effort="hours",
    sensitive=True,
    look_alikes={
        "preflight-requires-key": "the reverse: there a request that needs no key is refused without one",
        "key-accepted-when-invalid": "there a made-up key is let in, here none is asked for",
    },
    source="L-10; contract 3.1 and 6",
)
def breaker_reset_without_key(
    bodies: HealthBodiesFacts, ecs: EcsServicesFacts | None, target: Target
) -> Iterator[Case]:
    """``POST /health/mlflow/reset`` needs no key, so anybody may close the gateway's circuit breaker.

    Paths are exempt from authentication by prefix, and ``/health`` covers the reset too. A GET without a key
    is answered 405 ``Method Not Allowed`` by the router, where 401 ``API key required`` is right.
    """
    if "breaker-reset-open" in target.accept.behaviours:
        return
    answer = bodies.reset
    seen = answer is not None and responder(answer) == "gateway" and answer.status in {401, 403, 404, 405}
    yield Case(
        subject="gateway",
        breaks=("gateway/breaker-reset",),
        claims=(
            answered(
                f"without a key a GET of {RESET} passes authentication and is refused for its verb alone",
                answer is not None and answer.status == 405 if seen else None,
                answer,
                "reset",
                by=HealthBodiesFacts,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary=f"Exempt whole paths from authentication in the gateway, not prefixes, so that {RESET} "
            "asks for a key; deploy.",
            rollback=previous_revision(ecs, "gateway"),
            also_touches="Operators' scripts that reset the breaker without a key will need one.",
            verify="hokusai-probe verify breaker-reset-without-key",
        ),
    )
