"""Bodies above a size are refused on the way."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, Claim, cause
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.artifact_sizes import ArtifactSizesFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.model_registration import RegistrationFacts


@cause(
    component="gateway",
    priority="high",
    effort="minutes",
    look_alikes={
        "gateway-translates-path-wrongly": "there the answer is 404, whatever the size",
        "mlflow-artifacts-disabled": "there the answer is 503, whatever the size",
        "gateway-proxy-timeout-too-short": "there a large upload ends in 504",
    },
    source="AWS: an Application Load Balancer sends no 413 for a target with an address; MLflow has no limit",
)
def gateway_body_limit(
    sizes: ArtifactSizesFacts | None, registration: RegistrationFacts | None, ecs: EcsServicesFacts | None
) -> Iterator[Case]:
    """The gateway, or a proxy before it, answers 413 to artifacts above a size.

    Small models can be logged and larger ones fail: ``413 Request Entity Too Large``, ``Payload Too Large``,
    ``client_max_body_size``. Neither the load balancer nor MLflow says that.
    """
    if sizes is None and registration is None:
        return
    large = _large(sizes)
    yield Case(
        subject="gateway",
        breaks=("artifact-route",),
        claims=(large if large is not None else _small(registration), *_limit(sizes)),
        remedy=_remedy(sizes, ecs),
    )


def _large(sizes: ArtifactSizesFacts | None) -> Claim | None:
    if sizes is None:
        return None
    return answered(
        f"storing {sizes.size} bytes is refused as too large: {said(sizes.upload)}",
        _too_large(sizes.upload),
        sizes.upload,
        "upload",
        by=ArtifactSizesFacts,
        telling=True,
    )


def _small(registration: RegistrationFacts | None) -> Claim:
    """Where nothing larger was tried: the registration's own small artifact."""
    upload = registration.upload if registration else None
    return answered(
        "storing an artifact is refused as too large" + (f": {said(upload)}" if upload else ""),
        (_too_large(upload) or None) if upload else None,
        upload,
        "upload",
        by=RegistrationFacts,
        telling=True,
    )


def _too_large(answer: Answer) -> bool | None:
    """Whether it is 413; hidden where the request was refused for another reason or came to nothing."""
    if answer.status == 413:
        return True
    return False if answer.status == 200 else None


def _limit(sizes: ArtifactSizesFacts | None) -> Iterator[Claim]:
    """Smaller ones are taken: it is the size, not the path."""
    for number, one in enumerate(sizes.tried if sizes else ()):
        if one.answer.status == 200:
            text = f"{one.size} bytes are stored"
            yield answered(text, 1, one.answer, f"tried[{number}].answer", by=ArtifactSizesFacts)


def _remedy(sizes: ArtifactSizesFacts | None, ecs: EcsServicesFacts | None) -> Remedy:
    taken = sizes.largest_taken if sizes else None
    refused = sizes.smallest_refused if sizes else None
    between = f" It lies between {taken} and {refused} bytes." if taken and refused else ""
    return Remedy(
        kind="outside-aws",
        summary="Raise the limit on request bodies in the gateway, or in the web server or firewall before "
        f"it (nginx: client_max_body_size), to the size of the largest model.{between}",
        rollback=previous_revision(ecs, "gateway"),
        also_touches="How much memory or disk one request may take, if the gateway keeps bodies.",
        verify="hokusai-probe verify gateway-body-limit",
    )
