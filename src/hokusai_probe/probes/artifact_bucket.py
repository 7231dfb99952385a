"""The artifact bucket: is it there, is it closed and encrypted, and does a rule delete what is in use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from hokusai_probe.aws import AwsAnswer, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes.aws_identity import AwsIdentityFacts
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts

CLOSED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
WRITING = ("s3:PutObject", "s3:Put*", "s3:*", "*")


class LifecycleRule(Frozen):
    """A rule of the bucket's lifecycle that is switched on, as far as it concerns current objects.

    ``days`` or ``date`` (ISO 8601): when current objects expire, both None where they do not.
    ``noncurrent_days``: when old versions go. ``tagged``: only objects with certain tags; MLflow sets none.
    ``archives``: storage classes that it moves current objects to which cannot be read until somebody
    restores them (AWS: Understanding and managing Amazon S3 storage classes), each with days or date.
    """

    id: str = ""
    prefix: str = ""
    tagged: bool = False
    days: int | None = None
    date: str | None = None
    noncurrent_days: int | None = None
    archives: Mapping[str, int | str] = {}

    @property
    def expires(self) -> bool:
        """Whether it removes current objects."""
        return (self.days is not None or self.date is not None) and not self.tagged


class ArtifactBucketFacts(Facts):
    """The bucket that the target names. ``name`` None: it names none.

    ``exists`` None: S3 did not say (``failure`` says why not). ``versioned``, ``encryption`` (the default
    algorithm, "" for none), ``closed`` (all four public access blocks), ``rules`` and ``freezes`` (ids of
    statements of its policy that deny writing to everybody, of ``statements`` in all) are None where they
    could not be read. Encryption, public access and archives are facts without a check: none of them keeps
    anybody from registering today, no defect of the platform's history is one, and S3 encrypts and closes
    what is new by itself.
    """

    name: str | None = None
    exists: bool | None = None
    failure: AwsFailure | None = None
    region: str = ""
    versioned: bool | None = None
    encryption: str | None = None
    closed: bool | None = None
    rules: tuple[LifecycleRule, ...] | None = None
    freezes: tuple[str, ...] | None = None
    statements: int | None = None

    def expiring(self, prefixes: tuple[str, ...]) -> tuple[int, ...]:
        """Places of rules that remove current objects under one of these prefixes.

        Where no prefix is known, of those alone that remove everything.
        """
        return tuple(
            i for i, rule in enumerate(self.rules or ()) if rule.expires and _meets(rule.prefix, prefixes)
        )

    def unsure(self, prefixes: tuple[str, ...]) -> tuple[int, ...]:
        """Places of rules that remove a part of the bucket, where it is not known which part MLflow uses."""
        rules = enumerate(self.rules or ())
        return tuple(i for i, rule in rules if rule.expires and rule.prefix and not prefixes)


def _meets(prefix: str, prefixes: tuple[str, ...]) -> bool:
    return not prefix or any(p.startswith(prefix) or prefix.startswith(p) for p in prefixes)


def kept_under(stores: MlflowStoresFacts | None, bucket: str) -> tuple[str, ...]:
    """Prefixes of the bucket under which MLflow is told to keep artifacts, such as ``artifacts/``."""
    parts = [urlsplit(uri) for uri in (stores.buckets if stores else ())]
    return tuple(dict.fromkeys(p.path.strip("/") + "/" for p in parts if p.netloc == bucket))


@probe(area="data", needs=("aws",), after=("aws-knows-us",), cost=7)
async def artifact_bucket(look: Look, _identity: AwsIdentityFacts) -> ArtifactBucketFacts:
    """The artifact bucket: s3:HeadBucket, and what of its configuration may be read.

    s3:GetBucketVersioning, GetEncryptionConfiguration, GetBucketPublicAccessBlock,
    GetLifecycleConfiguration and GetBucketPolicy. No object is read.
    """
    name = look.target.aws.bucket if look.target.aws else None
    if not name:
        return ArtifactBucketFacts()
    head = await look.cloud().call("s3", "head_bucket", Bucket=name)
    if head.failure is not None:
        gone = head.failure.kind == "not-found"
        return ArtifactBucketFacts(name=name, exists=False if gone else None, failure=head.failure)
    calls = (
        "get_bucket_versioning",
        "get_bucket_encryption",
        "get_public_access_block",
        "get_bucket_lifecycle_configuration",
        "get_bucket_policy",
    )
    found = await asyncio.gather(*(look.cloud().call("s3", call, Bucket=name) for call in calls))
    return ArtifactBucketFacts(
        name=name, exists=True, region=str(head.data.get("BucketRegion", "")), **_configuration(*found)
    )


def _configuration(
    versioning: AwsAnswer, encryption: AwsAnswer, access: AwsAnswer, lifecycle: AwsAnswer, policy: AwsAnswer
) -> dict[str, Any]:
    """What each call gave; a configuration that is not there is a fact of its own."""
    block = _read(access, {}, "PublicAccessBlockConfiguration")
    sealed = _read(encryption, {}, "ServerSideEncryptionConfiguration")
    rules, text = _read(lifecycle, [], "Rules"), _read(policy, "{}", "Policy")
    unread = versioning.failure is not None
    return {
        "versioned": None if unread else versioning.data.get("Status") == "Enabled",
        "encryption": None if sealed is None else _sse(sealed),
        "closed": None if block is None else all(block.get(name) for name in CLOSED),
        "rules": None if rules is None else tuple(lifecycle_rule(r) for r in rules if _is_on(r)),
        "freezes": None if text is None else freezes(text),
        "statements": None if text is None else len(_statements(text)),
    }


def _read(answer: AwsAnswer, absent: Any, key: str) -> Any:
    """The part of an answer; ``absent`` where S3 says that there is none, None where it did not say."""
    if answer.failure is None:
        return answer.data.get(key, absent)
    none = answer.failure.kind == "not-found" or answer.failure.code.endswith("NotFoundError")
    return absent if none else None


def _is_on(rule: Mapping[str, Any]) -> bool:
    return bool(rule.get("Status") == "Enabled")


def _sse(configuration: Mapping[str, Any]) -> str:
    rules = configuration.get("Rules", ())
    found = (r.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "") for r in rules)
    return next(found, "")


def lifecycle_rule(item: Mapping[str, Any]) -> LifecycleRule:
    """A rule of GetBucketLifecycleConfiguration, its filter in any of the four ways of writing one."""
    said = item.get("Filter") or {}
    both = said.get("And") or said
    gone = item.get("Expiration") or {}
    date = gone.get("Date")
    return LifecycleRule(
        id=str(item.get("ID", "")),
        prefix=str(both.get("Prefix") or item.get("Prefix") or ""),
        tagged=bool(both.get("Tag") or both.get("Tags")),
        days=gone.get("Days"),
        date=None if date is None else _day(date),
        noncurrent_days=(item.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays"),
        archives=_archives(item.get("Transitions", ())),
    )


def _archives(transitions: Iterable[Mapping[str, Any]]) -> dict[str, int | str]:
    """When current objects go where nobody can read them at once; other moves only cost less."""
    return {
        t["StorageClass"]: t["Days"] if "Days" in t else _day(t.get("Date"))
        for t in transitions
        if t.get("StorageClass") in ARCHIVES
    }


def _day(date: Any) -> str:
    return str(getattr(date, "isoformat", lambda: date)())


def freezes(policy: str) -> tuple[str, ...]:
    """Ids of a bucket policy's statements that deny writing to everybody, without a condition."""
    listed = enumerate(_statements(policy), 1)
    return tuple(str(s.get("Sid", "")) or f"statement {n}" for n, s in listed if _freezes(s))


def _statements(policy: str) -> list[Mapping[str, Any]]:
    """The statements of a policy, of which one alone may stand without a list."""
    try:
        found = json.loads(policy).get("Statement", [])
    except (ValueError, AttributeError):
        return []
    return [s for s in (found if isinstance(found, list) else [found]) if isinstance(s, Mapping)]


def _freezes(statement: Mapping[str, Any]) -> bool:
    if statement.get("Condition"):
        return False
    actions = statement.get("Action", ())
    everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    listed = [actions] if isinstance(actions, str) else list(actions)
    return statement.get("Effect") == "Deny" and everybody and any(a in WRITING for a in listed)


def _unread(facts: ArtifactBucketFacts) -> Sentence:
    if facts.name is None:
        return NotApplicable(reason="the target names no bucket")
    if facts.exists is False:
        return NotApplicable(reason=f"there is no bucket {facts.name}")
    if facts.exists is None:
        return CannotTell(reason=f"s3:HeadBucket (ListBucket): {facts.failure.kind if facts.failure else ''}")
    return None


@check(hop="storage")
def artifact_bucket_exists(facts: ArtifactBucketFacts) -> Sentence:
    """The bucket that the target names for artifacts exists."""
    return f"S3 has no bucket {facts.name}" if facts.exists is False else _unread(facts)


@check(hop="storage/lifecycle")
def artifacts_in_use_are_kept(facts: ArtifactBucketFacts, stores: MlflowStoresFacts | None) -> Sentence:
    """No lifecycle rule removes current artifacts; old versions may go."""
    unread = _unread(facts)
    if unread is not None:
        return unread
    if facts.rules is None:
        return CannotTell(reason="s3:GetLifecycleConfiguration was not answered")
    prefixes = kept_under(stores, facts.name or "")
    found, unsure = ([facts.rules[i] for i in of(prefixes)] for of in (facts.expiring, facts.unsure))
    if found or not unsure:
        return "; ".join(f"{facts.name}: {said_of(rule)}" for rule in found) or None
    said = "; ".join(said_of(rule) for rule in unsure)
    return CannotTell(reason=f"{said}, and under which prefix MLflow keeps artifacts is not known")


def said_of(rule: LifecycleRule) -> str:
    """A rule in words: what it removes, and when."""
    what = f"what begins with {rule.prefix}" if rule.prefix else "everything"
    when = (
        f"{rule.days} days after it was stored" if rule.days is not None else f"on {(rule.date or '')[:10]}"
    )
    return f"the rule {rule.id or '(without an id)'} removes {what} {when}"
