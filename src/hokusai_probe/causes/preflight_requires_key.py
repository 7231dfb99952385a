"""A browser cannot ask."""

from collections.abc import Iterator

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.preflight import PreflightFacts


@cause(
    component="gateway",
    priority="medium",
    effort="hours",
    look_alikes={
        "public-path-requires-key": "there a GET on a public path is refused",
        "key-unknown-or-expired": "there programs are refused, too",
    },
    source="INC-41; contract 3.3",
)
def preflight_requires_key(
    asked: PreflightFacts, ecs: EcsServicesFacts | None, target: Target
) -> Iterator[Case]:
    """The gateway wants a key of a browser's preflight, which has none by the standard: 401 without CORS.

    Programs and curl work; in a browser every call fails with "network error" or "blocked by CORS policy".
    """
    if "preflight-needs-key" in target.accept.behaviours:
        return
    answer = asked.answer
    wants = answer.status == 401 and responder(answer) == "gateway" and "required" in detail(answer)
    yield Case(
        subject="gateway",
        breaks=("required-paths/preflight",),
        claims=(
            answered(
                f"a preflight without a key is refused: {said(answer)}",
                True if wants else (False if answer.status in {200, 204} else None),
                answer,
                "answer",
                by=PreflightFacts,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Have the gateway answer OPTIONS before it asks for a key: the CORS layer outside of the "
            "authenticating one.",
            rollback=previous_revision(ecs, "gateway"),
            also_touches="Nothing: a preflight reads and changes nothing.",
            verify="hokusai-probe verify preflight-requires-key",
        ),
    )
