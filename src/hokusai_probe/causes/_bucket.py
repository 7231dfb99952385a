"""What the causes at the artifact bucket share: how storing failed, and what S3 was heard to say."""

from __future__ import annotations

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._stores import shortened
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.probes.artifact_durability import ArtifactDurabilityFacts
from hokusai_probe.probes.model_registration import RegistrationFacts

WORKS = frozenset({200, 201, 204})


def storing_fails(registration: RegistrationFacts | None) -> Claim:
    """MLflow itself fails to store an artifact, while what needs no storage works.

    No: it stores it. Hidden: the upload was not tried, did not come as far, or all of MLflow fails.
    """
    upload = registration.upload if registration else None
    text = "MLflow fails to store an artifact" + (f": {said(upload)}" if upload else "")
    fails = upload is not None and registration is not None and _by_storage(registration, upload)
    works = upload is not None and upload.status in WORKS
    holds = True if fails else False if works else None
    return answered(text, holds, upload, "upload", by=RegistrationFacts)


def _by_storage(registration: RegistrationFacts, upload: Answer) -> bool:
    """500 as HTML is how MLflow says that storage failed; 4xx and 5xx as JSON are its own, too."""
    rest = registration.run is not None and registration.run.status == 200
    who = responder(upload)
    failed = (upload.status == 500 and who == "unknown") or (
        upload.status in {403, 404, 500} and who == "mlflow"
    )
    routed = upload.status != 404 or "bucket" in upload.body.lower()
    return rest and failed and routed


def heard_from_s3(
    text: str,
    words: tuple[str, ...],
    registration: RegistrationFacts | None,
    durability: ArtifactDurabilityFacts | None,
) -> Claim | None:
    """A telling claim that S3 said one of these words to MLflow, in an answer or its log; None: not heard."""
    for place in ("upload", "download"):
        answer: Answer | None = getattr(registration, place) if registration else None
        if answer is not None and (answer.status or 0) >= 400 and _says(answer.body, words):
            whole = f"{text}: {shortened(answer.body)}"
            return answered(whole, True, answer, place, by=RegistrationFacts, telling=True)  # noqa: FBT003
    for number, line in enumerate(durability.errors if durability else ()):
        if _says(line.text, words):
            fact, whole = f"errors[{number}].text", f"{text}: {line.text}"
            return claim(
                whole, holds=True, by=ArtifactDurabilityFacts, fact=fact, value=line.text, telling=True
            )
    return None


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(word.lower() in text.lower() for word in words)
