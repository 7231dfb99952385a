"""The artifact bucket does not exist."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._bucket import heard_from_s3, storing_fails
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts
from hokusai_probe.probes.artifact_durability import ArtifactDurabilityFacts
from hokusai_probe.probes.model_registration import RegistrationFacts

_WORDS = ("NoSuchBucket", "The specified bucket does not exist")


@cause(
    component="storage",
    priority="critical",
    effort="hours",
    look_alikes={
        "artifact-bucket-access-denied": "there S3 says AccessDenied, and the bucket is there",
        "gateway-translates-path-wrongly": "there the artifact path is 404 and never reaches MLflow",
        "mlflow-artifacts-disabled": "there the answer is 503 and names the switch",
    },
    source="AWS: S3 error responses, NoSuchBucket; MLflow 3.17: upload 500, listing 404 with S3's words",
)
def artifact_bucket_missing(
    registration: RegistrationFacts | None,
    bucket: ArtifactBucketFacts | None,
    durability: ArtifactDurabilityFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The bucket in which MLflow keeps artifacts was deleted, or never made.

    Uploads are 500 ``Internal Server Error``, everything else of a registration works; fetching says ``The
    specified bucket does not exist`` (``NoSuchBucket``), and so does MLflow's log.
    """
    spoken = heard_from_s3("S3 tells MLflow that there is no such bucket", _WORDS, registration, durability)
    symptom = storing_fails(registration)
    yield Case(
        subject="storage",
        breaks=("storage", "mlflow-health"),
        claims=(
            symptom if symptom.holds else symptom.model_copy(update={"holds": None}),
            *([spoken] if spoken else []),
            _gone(bucket, spoken),
        ),
        remedy=_remedy(bucket, target),
    )


def _gone(bucket: ArtifactBucketFacts | None, spoken: Claim | None) -> Claim:
    """S3's own word. Where MLflow is told otherwise, its bucket is another than the target's."""
    exists = bucket.exists if bucket else None
    name = bucket.name if bucket and bucket.name else "the artifact bucket"
    known = exists is not None
    holds = None if not known or (exists and spoken) else not exists
    return claim(
        f"S3 has no bucket {name}" if exists is False else f"S3 does not have {name}",
        holds,
        by=ArtifactBucketFacts,
        fact="exists" if known else "",
        value=exists,
        telling=True,
        aws_cli=f"aws s3api head-bucket --bucket {quote(name)}" if bucket and bucket.name else None,
    )


def _remedy(bucket: ArtifactBucketFacts | None, target: Target) -> Remedy | None:
    """An empty bucket of the same name, as the old one was configured; what was in it is lost."""
    if bucket is None or bucket.name is None or target.aws is None:
        return None
    name, region = quote(bucket.name), target.aws.region
    # us-east-1 is the one region that CreateBucket does not take as a location constraint
    placed = "" if region == "us-east-1" else f" --create-bucket-configuration LocationConstraint={region}"
    closed = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
    return Remedy(
        kind="automatic",
        summary=f"Make {bucket.name} again, closed and versioned. What was in it is lost, unless a "
        "replica or a backup has it: look there first.",
        before=(f"aws s3api head-bucket --bucket {name}", "aws s3api list-buckets --query 'Buckets[].Name'"),
        aws_cli=(
            f"aws s3api create-bucket --bucket {name} --region {quote(region)}{placed}",
            f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration {closed}",
            f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled",
        ),
        terraform=f'resource "aws_s3_bucket" "artifacts" {{\n  bucket = "{bucket.name}"\n}}\n',
        after=(f"aws s3api wait bucket-exists --bucket {name}",),
        rollback=f"aws s3api delete-bucket --bucket {name}",
        also_touches="Models that were registered before still point at artifacts that are not there.",
        verify="hokusai-probe verify artifact-bucket-missing",
    )
