"""Looks of the probe whose traces only the control plane can show, taken at a platform with cloud stores."""

import re

import pytest
from control_side import Prober

from hokusai_probe.cli.run import bare_environment
from hokusai_probe.config import load
from hokusai_probe.model import Report
from hokusai_probe.probes.multipart_uploads import MultipartUploadsFacts
from hokusai_probe.probes.revocation import RevocationFacts
from hokusai_probe.runner import run
from hokusai_probe.sandbox import targetfile

pytestmark = [pytest.mark.xdist_group("backends"), pytest.mark.timeout(240)]


def looked(prober: Prober, only: str) -> Report:
    """One look at the platform, and what it reads."""
    environment = {**bare_environment(), **prober.box.environment}
    return run(prober.box.target_file, only=[only], environment=environment)


def test_an_upload_in_parts_is_begun_and_nothing_of_it_stays(backends: Prober) -> None:
    """S3 began one and ended it: none is open, no object is there, and the address is in no report."""
    bucket = {"Bucket": backends.box.names["bucket.artifacts"]}
    with backends.aws("s3") as s3:
        before = s3.list_objects_v2(**bucket).get("Contents", [])
        report = looked(backends, "multipart-uploads")
        after = s3.list_objects_v2(**bucket).get("Contents", [])
        still_open = s3.list_multipart_uploads(**bucket).get("Uploads", [])
    (seen,) = [o for o in report.observations if o.probe == "multipart-uploads"]
    verdict = next(v for v in report.verdicts if v.check == "uploads-in-parts-can-be-begun")

    assert (verdict.status, verdict.reason) == ("pass", "")
    assert (after, still_open) == (before, [])
    assert isinstance(seen.facts, MultipartUploadsFacts)
    assert (seen.facts.begun.body, seen.facts.has_id, seen.facts.leftovers) == ("", True, ())
    assert [e.removed for e in seen.facts.entries] == [True]
    assert "uploadId" not in report.to_json()


def test_a_key_that_works_on_after_its_end_is_noticed(backends: Prober) -> None:
    """The gateway remembers for 12 s; where it is said to remember for half a second, that is too long."""
    box = backends.box
    admin = str(targetfile.keys(box.seed)["admin"]["key"])
    environment = {**bare_environment(), **box.environment, "ADMIN": admin}
    target = load(box.target_file, environment)
    target = target.model_copy(
        update={
            "key": target.key.model_copy(update={"admin_env": "ADMIN"}),
            "timeouts": target.timeouts.model_copy(update={"gateway_key_cache_s": 0.5}),
        }
    )
    report = run(target, only=["revoked-key-stops-working"], environment=environment)
    verdict = next(v for v in report.verdicts if v.check == "revoked-key-stops-working")
    (seen,) = [o.facts for o in report.observations if o.probe == "revocation"]

    assert verdict.status == "fail"
    assert verdict.reason.endswith("s after it was revoked; the gateway is to remember one for 0.5 s")
    assert [(d.cause, d.subjects) for d in report.roots()] == [("key-accepted-when-invalid", ("gateway",))]
    assert isinstance(seen, RevocationFacts)
    assert (seen.leftovers, [e.removed for e in seen.entries]) == ((), [True, True])
    assert not re.search(r"hk_test_\w", report.to_json())
