"""S3 does not let MLflow read or write its artifacts."""

import json
from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._bucket import heard_from_s3, storing_fails
from hokusai_probe.causes._stores import where_it_shows
from hokusai_probe.causes._words import beside
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.artifact_bucket import ArtifactBucketFacts
from hokusai_probe.probes.artifact_durability import ArtifactDurabilityFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

_WORDS = ("AccessDenied", "Access Denied", "is not authorized to perform: s3:", "AllAccessDisabled")
_THAW = (
    "import json, sys; policy = json.load(sys.stdin); sids = sys.argv[1:]; "
    'policy["Statement"] = [s for s in policy["Statement"] if s.get("Sid") not in sids]; '
    "json.dump(policy, sys.stdout)"
)


@cause(
    component="storage",
    priority="critical",
    effort="minutes",
    look_alikes={
        "artifact-bucket-missing": "there S3 says NoSuchBucket",
        "key-lacks-scope": "there the gateway refuses with 403, and other writes fail, too",
        "execution-role-lacks-permission": "that is the role that starts the task, not the one it works with",
    },
    source="AWS: Troubleshoot access denied (403 Forbidden) errors in Amazon S3",
)
def artifact_bucket_access_denied(
    registration: RegistrationFacts,
    bucket: ArtifactBucketFacts | None,
    durability: ArtifactDurabilityFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Iterator[Case]:
    """MLflow's task role may not use the bucket, or a policy of the bucket denies it.

    Uploads are 500 ``Internal Server Error``; ``An error occurred (AccessDenied) when calling the PutObject
    operation`` in MLflow's log, ``is not authorized to perform: s3:ListBucket`` or PERMISSION_DENIED in its
    answers. Everything else of a registration works.
    """
    spoken = heard_from_s3("S3 denies MLflow access", _WORDS, registration, durability)
    symptom = storing_fails(registration)
    yield Case(
        subject="storage",
        breaks=("mlflow-to-storage", "mlflow-health"),
        claims=where_it_shows(
            symptom,
            spoken or _not_heard(),
            *([_frozen(bucket, symptom)] if bucket and bucket.freezes else []),
            _is_there(bucket, spoken),
        ),
        remedy=_remedy(bucket, definitions),
    )


def _not_heard() -> Claim:
    return claim("S3 denies MLflow access", None, by=ArtifactDurabilityFacts)


def _frozen(bucket: ArtifactBucketFacts, symptom: Claim) -> Claim:
    """A policy that denies writing to everybody; one that MLflow can write in spite of is none."""
    denies = ", ".join(bucket.freezes or ())
    return claim(
        f"the bucket's policy denies writing to everybody ({denies})",
        beside(symptom.holds, fact=True),
        by=ArtifactBucketFacts,
        fact="freezes",
        value=list(bucket.freezes or ()),
        telling=True,
        aws_cli=f"aws s3api get-bucket-policy --bucket {quote(bucket.name or '')}",
    )


def _is_there(bucket: ArtifactBucketFacts | None, spoken: Claim | None) -> Claim:
    """A bucket that is not there denies nobody; one that we may not see is not missing."""
    exists = bucket.exists if bucket else None
    return claim(
        "the bucket exists",
        None if exists is None or (spoken and not exists) else exists,
        by=ArtifactBucketFacts,
        fact="" if exists is None else "exists",
        value=exists,
    )


def _remedy(bucket: ArtifactBucketFacts | None, definitions: TaskDefinitionsFacts | None) -> Remedy | None:
    if bucket is None or bucket.name is None:
        return None
    return _thaw(bucket) if bucket.freezes else _allow(bucket.name, definitions)


def _thaw(bucket: ArtifactBucketFacts) -> Remedy:
    """Take the statements out of the policy; a policy must not be empty, so the last one takes it along."""
    name, sids = quote(bucket.name or ""), bucket.freezes or ()
    read = f"aws s3api get-bucket-policy --bucket {name} --query Policy --output text"
    filtered = f"{read} | python3 -c {quote(_THAW)} {' '.join(map(quote, sids))} > policy.json"
    put = f"aws s3api put-bucket-policy --bucket {name} --policy file://policy.json"
    only = bucket.statements == len(sids)
    named = not any(sid.startswith("statement ") for sid in sids)
    return Remedy(
        kind="automatic" if only or named else "needs-value",
        summary=f"Take {', '.join(sids)} out of the policy of {bucket.name}, once it is clear whose it is.",
        before=(read,),
        aws_cli=(f"aws s3api delete-bucket-policy --bucket {name}",) if only else (filtered, put),
        after=(f"aws s3api get-bucket-policy-status --bucket {name}",),
        also_touches="Whoever else the policy kept from writing may write again.",
        verify="hokusai-probe verify artifact-bucket-access-denied",
    )


def _allow(bucket: str, definitions: TaskDefinitionsFacts | None) -> Remedy:
    """An inline policy of the task's role with what MLflow needs, and no more."""
    mlflow = definitions.of("mlflow") if definitions else None
    role = mlflow.task_role.rpartition("/")[2] if mlflow else ""
    arn = f"arn:aws:s3:::{bucket}"
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    statements = [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": arn},
        {"Effect": "Allow", "Action": objects, "Resource": f"{arn}/*"},
    ]
    policy = quote(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    named = f"--role-name {quote(role)} --policy-name mlflow-artifacts"
    put = f"aws iam put-role-policy {named} --policy-document {policy}"
    return Remedy(
        kind="automatic" if role else "needs-value",
        summary=f"Allow MLflow's task role {role or '(see its task definition)'} to use {bucket}. Where "
        "it has the rights already, an explicit deny is against it: in a bucket policy, a boundary, a key's.",
        before=(f"aws iam list-role-policies --role-name {quote(role)}",) if role else (),
        aws_cli=(put,) if role else (),
        after=(f"aws iam get-role-policy {named}",) if role else (),
        rollback=f"aws iam delete-role-policy {named}" if role else "",
        also_touches="Every task that works with the same role.",
        verify="hokusai-probe verify artifact-bucket-access-denied",
    )
