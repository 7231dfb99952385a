"""Looks of the probe whose traces only the control plane can show, taken at a platform with cloud stores."""

import pytest
from control_side import Prober

from hokusai_probe.cli.run import bare_environment
from hokusai_probe.model import Report
from hokusai_probe.probes.multipart_uploads import MultipartUploadsFacts
from hokusai_probe.runner import run

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
