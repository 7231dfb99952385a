"""The artifact bucket: rules that remove what is in use, and policies that freeze it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from _facts import DENIED
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.aws import AwsAnswer, AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.artifact_bucket import (
    ArtifactBucketFacts,
    LifecycleRule,
    _configuration,
    freezes,
    lifecycle_rule,
)
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts

GONE = AwsFailure(kind="not-found", code="404")
KEPT = MlflowStoresFacts(definition="m:1", destination="s3://b/artifacts")


def bucket(*rules: LifecycleRule, **more: Any) -> ArtifactBucketFacts:
    """A bucket that exists, with these rules."""
    return ArtifactBucketFacts(**({"name": "b", "exists": True, "rules": rules} | more))


def test_a_bucket_that_is_gone_fails_once(real: Catalogue) -> None:
    """Its lifecycle is nobody's concern then."""
    gone = ArtifactBucketFacts(name="b", exists=False, failure=GONE)
    assert told(verdict(real, "artifact-bucket-exists", gone)) == failing("S3 has no bucket b")
    lifecycle = told(verdict(real, "artifacts-in-use-are-kept", gone))
    assert lifecycle == skipped("not-applicable", "there is no bucket b")


def test_a_bucket_that_we_may_not_see_is_not_missing(real: Catalogue) -> None:
    """Denied is a fact about us."""
    unseen = ArtifactBucketFacts(name="b", failure=DENIED)
    for check in ("artifact-bucket-exists", "artifacts-in-use-are-kept"):
        assert told(verdict(real, check, unseen)) == skipped(
            "cannot-tell", "s3:HeadBucket (ListBucket): denied"
        )


def test_a_rule_for_a_prefix_is_open_where_mlflows_own_is_not_known(real: Catalogue) -> None:
    """What it removes may be nobody's loss; a rule that removes everything is one whatever the prefix."""
    logs, everything = LifecycleRule(id="logs", prefix="logs/", days=7), LifecycleRule(id="all", days=30)
    logs_go = "the rule logs removes what begins with logs/ 7 days after it was stored"
    unknown = f"{logs_go}, and under which prefix MLflow keeps artifacts is not known"
    for stores in ((), (MlflowStoresFacts(definition="m:1"),)):
        assert told(verdict(real, "artifacts-in-use-are-kept", bucket(logs), *stores)) == skipped(
            "cannot-tell",
            unknown,
        )
        both = told(verdict(real, "artifacts-in-use-are-kept", bucket(logs, everything), *stores))
        assert both == failing("b: the rule all removes everything 30 days after it was stored")


RULES: list[tuple[LifecycleRule, Told]] = [
    (LifecycleRule(id="old", noncurrent_days=30), PASS),
    (LifecycleRule(id="scratch", prefix="scratch/", days=1), PASS),
    (LifecycleRule(id="tagged", tagged=True, days=1), PASS),
    (
        LifecycleRule(id="all", days=30),
        failing("b: the rule all removes everything 30 days after it was stored"),
    ),
    (
        LifecycleRule(prefix="artifacts/1/", days=0),
        failing(
            "b: the rule (without an id) removes what begins with artifacts/1/ 0 days after it was stored"
        ),
    ),
    (
        LifecycleRule(id="end", prefix="art", date="2031-01-01T00:00:00+00:00"),
        failing("b: the rule end removes what begins with art on 2031-01-01"),
    ),
]


@pytest.mark.parametrize(("rule", "expected"), RULES)
def test_a_rule_counts_where_it_meets_current_artifacts(
    real: Catalogue, rule: LifecycleRule, expected: Told
) -> None:
    """Old versions may go, and so may what is not MLflow's or carries a tag that MLflow never sets."""
    assert told(verdict(real, "artifacts-in-use-are-kept", bucket(rule), KEPT)) == expected


def test_rules_that_cannot_be_read_decide_nothing(real: Catalogue) -> None:
    """Not seen is not well."""
    found = told(verdict(real, "artifacts-in-use-are-kept", bucket(rules=None), KEPT))
    assert found == skipped("cannot-tell", "s3:GetLifecycleConfiguration was not answered")


WRITTEN: list[tuple[dict[str, Any], LifecycleRule]] = [
    ({"ID": "a", "Prefix": "p/", "Expiration": {"Days": 3}}, LifecycleRule(id="a", prefix="p/", days=3)),
    ({"Filter": {"Prefix": "p/"}, "Expiration": {"Days": 3}}, LifecycleRule(id="", prefix="p/", days=3)),
    (
        {
            "Filter": {"And": {"Prefix": "p/", "Tags": [{"Key": "k", "Value": "v"}]}},
            "Expiration": {"Days": 3},
        },
        LifecycleRule(id="", prefix="p/", tagged=True, days=3),
    ),
    (
        {"Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Days": 3}},
        LifecycleRule(id="", tagged=True, days=3),
    ),
    ({"Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}, LifecycleRule(id="")),
    (
        {"Filter": {}, "Expiration": {"Date": datetime(2031, 1, 1, tzinfo=UTC)}},
        LifecycleRule(id="", date="2031-01-01T00:00:00+00:00"),
    ),
    (
        {
            "Filter": {},
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 60, "StorageClass": "GLACIER_IR"},
                {"Days": 7, "StorageClass": "GLACIER"},
                {"Date": datetime(2031, 1, 1, tzinfo=UTC), "StorageClass": "DEEP_ARCHIVE"},
            ],
        },
        LifecycleRule(id="", archives={"GLACIER": 7, "DEEP_ARCHIVE": "2031-01-01T00:00:00+00:00"}),
    ),
]


@pytest.mark.parametrize(("written", "expected"), WRITTEN)
def test_a_rule_is_read_in_each_way_of_writing_it(written: dict[str, Any], expected: LifecycleRule) -> None:
    """The old prefix, the filter, of several conditions, days or a date; archives that cannot be read."""
    assert lifecycle_rule(written) == expected


def statement(**changed: Any) -> dict[str, Any]:
    """A statement that freezes a bucket, some of it changed."""
    return {"Sid": "Freeze", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"} | changed


POLICIES: list[tuple[object, tuple[str, ...]]] = [
    ([statement()], ("Freeze",)),
    (statement(Action=["s3:GetObject", "s3:*"]), ("Freeze",)),
    ([statement(Effect="Allow"), statement(Sid="", Principal={"AWS": "*"})], ("statement 2",)),
    ([statement(Condition={"Bool": {"aws:SecureTransport": "false"}})], ()),
    ([statement(Action="s3:GetObject")], ()),
    ([statement(Principal={"AWS": "arn:aws:iam::1:role/x"})], ()),
]


@pytest.mark.parametrize(("statements", "expected"), POLICIES)
def test_only_a_denial_of_writing_to_everybody_freezes(statements: object, expected: tuple[str, ...]) -> None:
    """A denial with a condition, such as the usual one of plain HTTP, does not."""
    assert freezes(json.dumps({"Statement": statements})) == expected


def test_a_policy_that_is_no_json_freezes_nothing() -> None:
    """S3 would not have taken it, and it is no reason to fail."""
    assert freezes("{") == freezes("[]") == ()


def answered(failure: AwsFailure | None = None, **data: Any) -> AwsAnswer:
    """An answer of S3's."""
    found = AwsAnswer(service="s3", method="get", failure=failure)
    found._data = data
    return found


def test_what_is_not_configured_differs_from_what_may_not_be_read() -> None:
    """No rules is an empty list; rules that we may not read are None."""
    none = answered(AwsFailure(kind="error", code="ServerSideEncryptionConfigurationNotFoundError"))
    absent = answered(AwsFailure(kind="not-found", code="NoSuchLifecycleConfiguration"))
    unread = answered(DENIED)
    assert _configuration(answered(), none, absent, absent, absent) == {
        "versioned": False,
        "encryption": "",
        "closed": False,
        "rules": (),
        "freezes": (),
        "statements": 0,
    }
    assert set(_configuration(unread, unread, unread, unread, unread).values()) == {None}
