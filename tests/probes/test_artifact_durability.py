"""Whether a stored artifact went into the bucket, judged from what a versioned bucket still knows."""

from typing import Any

import pytest
from _facts import DENIED, answer
from test_checks import PASS, Told, failing, registered_facts, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts
from hokusai_probe.probes.artifact_durability import ArtifactDurabilityFacts, stored_and_fetched
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts

BUCKET = ArtifactBucketFacts(name="b", exists=True, versioned=True)
HERE = MlflowStoresFacts(definition="m:1", destination="s3://b/artifacts")
NOWHERE = MlflowStoresFacts(definition="m:1", root="s3://b/artifacts")
THERE = MlflowStoresFacts(definition="m:1", destination="s3://other/artifacts")


def kept(**more: Any) -> ArtifactDurabilityFacts:
    """An artifact that was stored and fetched."""
    return ArtifactDurabilityFacts(**({"stored": True} | more))


LOST = failing("the artifact came back from MLflow, and b has never had it")
ROWS: list[tuple[tuple[Facts, ...], Told]] = [
    ((kept(versions=2), BUCKET, HERE), PASS),
    ((kept(versions=0), BUCKET, HERE), LOST),
    ((kept(versions=0), BUCKET, NOWHERE), LOST),
    ((kept(versions=2), BUCKET, THERE), PASS),
    ((kept(versions=0), BUCKET, THERE), skipped("cannot-tell", "MLflow is told to keep artifacts elsewhere")),
    (
        (kept(versions=0), BUCKET, MlflowStoresFacts()),
        skipped("cannot-tell", "MLflow is told to keep artifacts elsewhere"),
    ),
    (
        (kept(versions=0), BUCKET, NOWHERE.model_copy(update={"command_read": False})),
        skipped("cannot-tell", "MLflow is told to keep artifacts elsewhere"),
    ),
    ((kept(versions=0), BUCKET), skipped("cannot-tell", "MLflow is told to keep artifacts elsewhere")),
    (
        (kept(), BUCKET, HERE),
        skipped("cannot-tell", "the bucket keeps no versions, or cannot be read: nothing is left to see"),
    ),
    ((kept(failure=DENIED), BUCKET, HERE), skipped("cannot-tell", "s3:ListBucketVersions: denied")),
    (
        (ArtifactDurabilityFacts(stored=False), BUCKET, HERE),
        skipped("blocked", "no artifact was stored and fetched"),
    ),
    (
        (kept(), ArtifactBucketFacts(), HERE),
        skipped("not-applicable", "the target names no bucket"),
    ),
]


@pytest.mark.parametrize(("facts", "expected"), ROWS)
def test_versions_tell_where_an_artifact_went(
    real: Catalogue, facts: tuple[Facts, ...], expected: Told
) -> None:
    """A bucket that keeps versions and has none never had it, if that is where MLflow is told to keep it."""
    assert told(verdict(real, "stored-artifact-is-in-the-bucket", *facts)) == expected


def test_stored_means_taken_and_given_back_whole() -> None:
    """A 200 alone is not enough; nothing sent is not known."""
    assert stored_and_fetched(registered_facts()) is True
    assert stored_and_fetched(registered_facts(download=answer(body="y", sha256="other"))) is False
    assert stored_and_fetched(registered_facts(upload=answer(500, "no"))) is False
    assert stored_and_fetched(registered_facts(upload=None)) is None
