"""A public path that asks for a key."""

from collections.abc import Iterator

from hokusai_probe.answers import detail, responder
from hokusai_probe.causes._words import previous_revision
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts


@cause(
    component="gateway",
    priority="medium",
    effort="hours",
    look_alikes={
        "auth-service-down": "there the 401 speaks of the authentication service",
        "listener-rule-wrong-target-group": "there another service answers",
    },
    source="INC-25; contract 3.1",
)
def public_path_requires_key(
    paths: PublicPathsFacts, ecs: EcsServicesFacts | None, target: Target
) -> Iterator[Case]:
    """A path that is meant to be public answers 401 ``API key required``.

    It is not on the gateway's list of exempt paths. Health checks of load balancers and monitors on such a
    path fail although the service is well.
    """
    asking = [a.path for a in paths.public if a.status == 401 and "required" in detail(a)]
    hidden = any(a.status is None or responder(a) == "load-balancer" for a in paths.public)
    first = next((n for n, a in enumerate(paths.public) if a.path in asking), None)
    if "public-paths-need-key" in target.accept.behaviours:
        return
    yield Case(
        subject="gateway",
        breaks=("public.registry/public-paths",),
        claims=(
            claim(
                f"without a key the gateway answers 401 on {', '.join(asking) or 'a public path'}",
                bool(asking) or (None if hidden else False),
                by=PublicPathsFacts,
                fact="" if first is None else f"public[{first}].status",
                value=None if first is None else paths.public[first].status,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary=f"Exempt {', '.join(asking)} from authentication in the gateway and deploy, or take "
            "them off the target's list of public paths.",
            rollback=previous_revision(ecs, "gateway"),
            also_touches="These paths become readable without a key: see that their answers may be public.",
            verify="hokusai-probe verify public-path-requires-key",
        ),
    )
