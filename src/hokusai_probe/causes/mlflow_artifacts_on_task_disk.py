"""Artifacts that MLflow takes never reach the bucket."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._stores import where_it_shows
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes._variables import DESTINATION
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts
from hokusai_probe.probes.artifact_durability import ArtifactDurabilityFacts, elsewhere
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_stores import DESTINATION_FLAG, MlflowStoresFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts


@cause(
    component="mlflow",
    priority="critical",
    effort="minutes",
    look_alikes={
        "artifact-bucket-missing": "there storing fails; here it is 200",
        "artifact-bucket-expires-artifacts": "there artifacts are in the bucket first, and go later",
        "mlflow-file-store": "there runs and models are at stake, here the artifacts",
    },
    source="L-07, INC-09; contract 4.2: --default-artifact-root without --artifacts-destination",
)
def mlflow_artifacts_on_task_disk(
    durability: ArtifactDurabilityFacts,
    bucket: ArtifactBucketFacts,
    kept: MlflowStoresFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """MLflow proxies artifacts and has no destination for them, so they land on its task's own disk.

    Uploads are 200 and downloads right until the task is replaced; then ``No such artifact``, and the list of
    ``mlflow-artifacts`` is empty. A DEFAULT_ARTIFACT_ROOT of s3:// does not help: the proxy goes by
    ARTIFACTS_DESTINATION, and falls back to ./mlartifacts.
    """
    if bucket.name is None or "artifacts-on-task-disk" in target.accept.behaviours:
        return
    versions = durability.versions
    seen = versions is not None and not elsewhere(kept, bucket.name)
    yield Case(
        subject="mlflow",
        breaks=("artifacts/durable",),
        claims=where_it_shows(
            claim(
                f"{bucket.name} has never had the artifact that MLflow gave back a moment ago",
                versions == 0 if seen or versions else None,
                by=ArtifactDurabilityFacts,
                fact="versions",
                value=versions,
                telling=True,
                aws_cli=f"aws s3api list-object-versions --bucket {quote(bucket.name)} --max-items 10",
            ),
            _no_destination(kept),
        ),
        remedy=_remedy(bucket.name, definitions, ecs),
    )


def _no_destination(kept: MlflowStoresFacts | None) -> Claim:
    """Nothing, or a place on the task's disk, where the bucket should stand."""
    hidden = kept is None or DESTINATION_FLAG in kept.flags or any(n in kept.hidden for n in DESTINATION)
    known = kept is not None and bool(kept.definition) and kept.command_read and not hidden
    where = kept.destination if kept else None
    return claim(
        f"{DESTINATION[0]} is {where}" if where else f"{DESTINATION[0]} is not set",
        True if known and not (where or "").startswith("s3:") else None,
        by=MlflowStoresFacts,
        fact="destination" if known else "",
        value=where if known else None,
    )


def _remedy(bucket: str, definitions: TaskDefinitionsFacts | None, ecs: EcsServicesFacts | None) -> Remedy:
    place = f"s3://{bucket}/artifacts"
    return set_variable(
        definitions.of("mlflow") if definitions else None,
        ecs,
        "mlflow",
        (DESTINATION[0], quote(place)),
        summary=f"Set {DESTINATION[0]} to {place} for MLflow, and deploy it. First save what is on the "
        "running task's disk, through MLflow itself: it is gone with the task.",
        verify="hokusai-probe verify mlflow-artifacts-on-task-disk",
        shown=place,
    )
