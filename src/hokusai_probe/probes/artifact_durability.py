"""Where an artifact that was just stored really went: into the bucket, or nowhere that lasts."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Blocked, CannotTell, Facts, NotApplicable
from hokusai_probe.probes._variables import DESTINATION
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts, kept_under
from hokusai_probe.probes.log_tails import LogLine
from hokusai_probe.probes.mlflow_stores import DESTINATION_FLAG, MlflowStoresFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

FILE = "model.json"
_LOOK_BACK_MS = 120_000
_S3_SAID = re.compile(r"An error occurred \(\w+\) when calling the \w+ operation.*")


class ArtifactDurabilityFacts(Facts):
    """What S3 still knows of the artifact of our registration, which has been removed again by now.

    A versioned bucket keeps what was there. ``looked_under``: the keys' prefixes that were asked for.
    ``versions``: how many versions and delete markers of our artifact it has; None: it was not asked,
    or S3 did not say. ``errors``: what S3 answered MLflow, in the words of MLflow's log.
    """

    stored: bool | None = None
    looked_under: tuple[str, ...] = ()
    versions: int | None = None
    failure: AwsFailure | None = None
    errors: tuple[LogLine, ...] = ()


@probe(area="data", needs=("aws",), after=("aws-knows-us",), cost=3)
async def artifact_durability(
    look: Look,
    registration: RegistrationFacts,
    bucket: ArtifactBucketFacts,
    definitions: TaskDefinitionsFacts,
    stores: MlflowStoresFacts | None,
) -> ArtifactDurabilityFacts:
    """Whether the artifact that was stored through the platform went into the bucket.

    s3:ListBucketVersions; where storing failed, logs:FilterLogEvents of MLflow for what S3 told it. A 200
    on upload and a good download do not prove that anything is kept: the task's own disk gives both (L-07).
    """
    stored = stored_and_fetched(registration)
    if stored is False:
        mlflow = definitions.of("mlflow")
        errors = await _errors(look.cloud(), mlflow.log_group) if mlflow and mlflow.log_group else ()
        return ArtifactDurabilityFacts(stored=stored, errors=errors)
    if not (stored and bucket.exists and bucket.versioned and registration.run_id):
        return ArtifactDurabilityFacts(stored=stored)
    folder = f"{registration.experiment_id or '0'}/{registration.run_id}/"
    roots = kept_under(stores, bucket.name or "") or ("", "artifacts/")
    return await _versions(look.cloud(), bucket.name or "", tuple(root + folder for root in roots))


def stored_and_fetched(registration: RegistrationFacts) -> bool | None:
    """Whether the artifact was taken and came back; None where it was not tried or nobody answered."""
    upload, download = registration.upload, registration.download
    if upload is None or upload.status is None:
        return None
    whole = download is not None and download.sha256 == registration.sent_sha256
    return upload.status == 200 and whole


async def _versions(aws: AwsDoor, bucket: str, prefixes: tuple[str, ...]) -> ArtifactDurabilityFacts:
    found = 0
    for prefix in prefixes:
        answer = await aws.call("s3", "list_object_versions", Bucket=bucket, Prefix=prefix, MaxKeys=10)
        if answer.failure is not None:
            return ArtifactDurabilityFacts(stored=True, looked_under=prefixes, failure=answer.failure)
        found += len(answer.data.get("Versions", ())) + len(answer.data.get("DeleteMarkers", ()))
    return ArtifactDurabilityFacts(stored=True, looked_under=prefixes, versions=found)


async def _errors(aws: AwsDoor, group: str) -> tuple[LogLine, ...]:
    """What S3 answered MLflow in the last two minutes, newest last, each once."""
    since = int(time.time() * 1000) - _LOOK_BACK_MS
    answer = await aws.call(
        "logs", "filter_log_events", logGroupName=group, startTime=since, filterPattern='"An error occurred"'
    )
    told = {
        found[0]: int(event["timestamp"])
        for event in answer.data.get("events", ())
        if (found := _S3_SAID.search(str(event["message"])))
    }
    return tuple(
        LogLine(at=datetime.fromtimestamp(at / 1000, UTC), text=aws.said(text, 300))
        for text, at in list(told.items())[-5:]
    )


@check(hop="artifacts/durable", behaviour="artifacts-on-task-disk")
def stored_artifact_is_in_the_bucket(
    facts: ArtifactDurabilityFacts, bucket: ArtifactBucketFacts, stores: MlflowStoresFacts | None
) -> Sentence:
    """An artifact that was stored and fetched went into the bucket that the target names."""
    if bucket.name is None:
        return NotApplicable(reason="the target names no bucket")
    if not facts.stored:
        return Blocked(reason="no artifact was stored and fetched", waited_for="artifact-survives")
    if facts.failure is not None:
        return CannotTell(reason=f"s3:ListBucketVersions: {facts.failure.kind}")
    if facts.versions is None:
        return CannotTell(reason="the bucket keeps no versions, or cannot be read: nothing is left to see")
    if facts.versions or elsewhere(stores, bucket.name):
        return None if facts.versions else CannotTell(reason="MLflow is told to keep artifacts elsewhere")
    return f"the artifact came back from MLflow, and {bucket.name} has never had it"


def elsewhere(stores: MlflowStoresFacts | None, bucket: str) -> bool:
    """MLflow's destination is another bucket, or is not to be seen."""
    if stores is None or not stores.definition or not stores.command_read:
        return True
    if DESTINATION_FLAG in stores.flags or any(name in stores.hidden for name in DESTINATION):
        return True
    in_s3 = stores.destination is not None and stores.destination.startswith("s3:")
    return in_s3 and not kept_under(stores, bucket)
