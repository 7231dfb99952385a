"""A lifecycle rule of the artifact bucket deletes artifacts that are in use."""

from collections.abc import Iterator
from shlex import quote

from pydantic import JsonValue

from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts, kept_under, said_of
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts

_SWITCH_OFF = (
    "import json, sys; ids = sys.argv[1:]; rules = json.load(sys.stdin); "
    '[rule.update(Status="Disabled") for rule in rules if rule.get("ID") in ids]; '
    'json.dump({"Rules": rules}, sys.stdout)'
)


@cause(
    component="storage",
    priority="high",
    effort="minutes",
    look_alikes={
        "mlflow-artifacts-on-task-disk": "there artifacts never reach the bucket",
        "artifact-bucket-missing": "there nothing can be stored at all",
    },
    source="S-02; AWS: Lifecycle configuration elements, Expiration",
)
def artifact_bucket_expires_artifacts(
    bucket: ArtifactBucketFacts, kept: MlflowStoresFacts | None
) -> Iterator[Case]:
    """A rule removes what is current in the bucket, so that models lose their artifacts as they age.

    Nothing fails on the day; weeks later ``No such artifact`` or 404 for a model that was well. Rules for old
    versions (NoncurrentVersionExpiration) and for broken uploads do no harm.
    """
    if not bucket.exists or bucket.rules is None:
        return
    prefixes = kept_under(kept, bucket.name or "")
    found = bucket.expiring(prefixes)
    none = _none(bucket, known=not bucket.unsure(prefixes))
    yield Case(
        subject="storage",
        breaks=("storage/lifecycle",),
        claims=tuple(_expires(bucket, number) for number in found) or (none,),
        remedy=_remedy(bucket, found),
    )


def _expires(bucket: ArtifactBucketFacts, number: int) -> Claim:
    rule = (bucket.rules or ())[number]
    field = "days" if rule.days is not None else "date"
    return claim(
        said_of(rule),
        holds=True,
        by=ArtifactBucketFacts,
        fact=f"rules[{number}].{field}",
        value=rule.days if rule.days is not None else rule.date,
        telling=True,
        aws_cli=_read(bucket),
    )


def _none(bucket: ArtifactBucketFacts, *, known: bool) -> Claim:
    """A rule for a prefix is open where MLflow's own is not known."""
    text = "a rule of the bucket removes current artifacts"
    rules: JsonValue = [rule.model_dump(mode="json") for rule in bucket.rules or ()]
    return claim(text, False if known else None, by=ArtifactBucketFacts, fact="rules", value=rules)


def _read(bucket: ArtifactBucketFacts) -> str:
    return f"aws s3api get-bucket-lifecycle-configuration --bucket {quote(bucket.name or '')}"


def _remedy(bucket: ArtifactBucketFacts, found: tuple[int, ...]) -> Remedy | None:
    """Switch the rules off, by their ids; a rule that is off can be switched on again."""
    if not found:
        return None
    ids = [(bucket.rules or ())[number].id for number in found]
    name = quote(bucket.name or "")
    filtered = f"{_read(bucket)} --query Rules --output json | python3 -c {quote(_SWITCH_OFF)}"
    change = f"{filtered} {' '.join(map(quote, ids))} > lifecycle.json"
    put = f"aws s3api put-bucket-lifecycle-configuration --bucket {name}"
    versions = 'resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {\n  bucket = "'
    rule = '"\n\n  rule {\n    id     = "old-versions"\n    status = "Enabled"\n\n    filter {}\n\n'
    noncurrent = "    noncurrent_version_expiration {\n      noncurrent_days = 90\n    }\n  }\n}\n"
    return Remedy(
        kind="automatic" if all(ids) else "needs-value",
        summary=f"Switch off {', '.join(filter(None, ids)) or 'the rule'} of {bucket.name}. Old versions may "
        "go on expiring; what is current must stay as long as a model points at it.",
        before=(_read(bucket),),
        aws_cli=(change, f"{put} --lifecycle-configuration file://lifecycle.json"),
        terraform=f"{versions}{bucket.name}{rule}{noncurrent}",
        after=(_read(bucket),),
        also_touches="The bucket grows: what the rule was to tidy up needs another way. Objects that it "
        "removed from a versioned bucket can be brought back by deleting their delete markers.",
        verify="hokusai-probe verify artifact-bucket-expires-artifacts",
    )
