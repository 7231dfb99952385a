"""The storage door: the task role's rights, the network, faults, and a storage that is stopped or hangs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aws_kit import Kit, Opened, aws_client, opened, refusal, served
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.door import Place
from hokusai_probe.sandbox.faults import parse_fault, write_table
from hokusai_probe.sandbox.network import STORAGE, NetworkTable, NetworkView, write_network
from hokusai_probe.sandbox.storage_door import EDGE, Caller, Right, StorageDoor, StorageGate, needed
from hokusai_probe.sandbox.wire import Outgoing

BUCKET = "artifacts-of-a-test"
IP = "127.0.0.1"
OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    """A control plane with a bucket and a task role that may use it."""
    with served() as plane:
        plane.client("s3").create_bucket(Bucket=BUCKET)
        trust = {"Version": "2012-10-17", "Statement": []}
        plane.client("iam").create_role(RoleName="task", AssumeRolePolicyDocument=json.dumps(trust))
        yield plane


@pytest.fixture(autouse=True)
def _whole_rights(kit: Kit) -> None:
    allow(kit, *OBJECTS, "s3:ListBucket")


def allow(kit: Kit, *actions: str) -> None:
    """Give the role exactly these rights on the bucket and its objects."""
    resources = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    statement = {"Effect": "Allow", "Action": list(actions) or ["s3:None"], "Resource": resources}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    kit.client("iam").put_role_policy(RoleName="task", PolicyName="buckets", PolicyDocument=document)


@contextmanager
def a_door(kit: Kit, directory: Path, *, known: bool = True) -> Iterator[Opened]:
    """A door through which the task with the role comes, or one that nobody knows."""
    caller = Caller(f"arn:aws:iam::{kit.account}:role/task", "0123abcd") if known else None
    place = Place(IP, kit.endpoint, directory / "faults.json", 5.0, PlatformClock())
    gate = StorageGate(kit.account, lambda: caller)
    with opened(StorageDoor(place, gate, NetworkView(directory / "network.json"))) as door:
        yield door


def test_a_role_that_may_uses_the_bucket_as_if_there_were_no_door(kit: Kit, tmp_path: Path) -> None:
    """Put, get, head, list, a multipart upload and delete all work."""
    with a_door(kit, tmp_path) as door:
        s3 = aws_client("s3", door.url)
        s3.put_object(Bucket=BUCKET, Key="run 1/model.bin", Body=b"bytes" * 100)
        got = s3.get_object(Bucket=BUCKET, Key="run 1/model.bin")["Body"].read()
        length = s3.head_object(Bucket=BUCKET, Key="run 1/model.bin")["ContentLength"]
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        part = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=parts)
        names = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": name} for name in names]})
        left = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
    assert (got, length, names, left) == (b"bytes" * 100, 500, ["parts", "run 1/model.bin"], 0)


def test_a_role_that_may_not_is_denied_in_the_words_of_s3(kit: Kit, tmp_path: Path) -> None:
    """Who, what, on what, and why; and nothing reaches the bucket."""
    allow(kit, "s3:GetObject", "s3:ListBucket")
    with a_door(kit, tmp_path) as door:
        s3 = aws_client("s3", door.url)
        got = refusal(lambda: s3.put_object(Bucket=BUCKET, Key="a/b", Body=b"x" * 100_000))
        empty = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
    who = f"arn:aws:sts::{kit.account}:assumed-role/task/0123abcd"
    what = f's3:PutObject on resource: "arn:aws:s3:::{BUCKET}/a/b"'
    why = "because no identity-based policy allows the s3:PutObject action"
    said = f"User: {who} is not authorized to perform: {what} {why}"
    assert got == (403, "AccessDenied", said)
    assert empty == 0


def test_a_missing_object_is_told_to_those_alone_who_may_list(kit: Kit, tmp_path: Path) -> None:
    """404 with s3:ListBucket, 403 without it."""
    with a_door(kit, tmp_path) as door:
        s3 = aws_client("s3", door.url)
        listing = refusal(lambda: s3.get_object(Bucket=BUCKET, Key="nothing"))[:2]
        allow(kit, *OBJECTS)
        blind = refusal(lambda: s3.get_object(Bucket=BUCKET, Key="nothing"))[:2]
        with pytest.raises(ClientError, match="403"):
            s3.head_object(Bucket=BUCKET, Key="nothing")
    assert (listing, blind) == ((404, "NoSuchKey"), (403, "AccessDenied"))


def test_a_task_without_a_role_may_do_nothing(kit: Kit, tmp_path: Path) -> None:
    """Nobody that is known is denied without a word about whom."""
    with a_door(kit, tmp_path, known=False) as door:
        got = refusal(lambda: aws_client("s3", door.url).list_objects_v2(Bucket=BUCKET))
    assert got == (403, "AccessDenied", "Access Denied")


def test_a_bucket_policy_that_denies_wins_over_the_role(kit: Kit, tmp_path: Path) -> None:
    """The control plane's own judgement of bucket policies still holds behind the door."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    kit.client("s3").put_bucket_policy(Bucket=BUCKET, Policy=policy)
    try:
        with a_door(kit, tmp_path) as door:
            s3 = aws_client("s3", door.url)
            got = refusal(lambda: s3.put_object(Bucket=BUCKET, Key="k", Body=b"x"))
    finally:
        kit.client("s3").delete_bucket_policy(Bucket=BUCKET)
    who = f"arn:aws:sts::{kit.account}:assumed-role/task/0123abcd"
    what = f's3:PutObject on resource: "arn:aws:s3:::{BUCKET}/k"'
    why = "with an explicit deny in a resource-based policy"
    said = f"User: {who} is not authorized to perform: {what} {why}"
    assert got == (403, "AccessDenied", said)


def test_a_storage_that_is_stopped_hangs_or_is_cut_off(kit: Kit, tmp_path: Path) -> None:
    """Stopped refuses, hung never answers, no egress on 443 lets the connect hang; and all of it ends."""
    with a_door(kit, tmp_path) as door:
        storage: Any = door.door
        s3 = aws_client("s3", door.url, read_s=0.3)
        storage.running = "stopped"
        door.refresh()
        with pytest.raises(EndpointConnectionError):
            s3.list_objects_v2(Bucket=BUCKET)
        storage.running = "hung"
        door.refresh()
        with pytest.raises(ReadTimeoutError):
            s3.list_objects_v2(Bucket=BUCKET)
        storage.running = "running"
        closed = NetworkTable({"mlflow": "mlflow/127.0.0.9", IP: STORAGE}, {}, {"mlflow/127.0.0.9": {}})
        write_network(tmp_path / "network.json", closed)
        door.refresh()
        with pytest.raises(ConnectTimeoutError):
            s3.list_objects_v2(Bucket=BUCKET)
        (tmp_path / "network.json").unlink()
        door.refresh()
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_faults_of_the_edge_apply(kit: Kit, tmp_path: Path) -> None:
    """A path pattern sees bucket and key; other requests pass."""
    fault = {"edge": EDGE, "match": {"path": "*/model.bin", "method": "PUT"}, "do": {"status": 503}}
    write_table(tmp_path / "faults.json", [parse_fault(fault)])
    with a_door(kit, tmp_path) as door:
        s3 = aws_client("s3", door.url)
        assert refusal(lambda: s3.put_object(Bucket=BUCKET, Key="a/model.bin", Body=b"x"))[0] == 503
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("method", "target", "right"),
    [
        ("GET", "/", Right("s3:ListAllMyBuckets", "*")),
        ("GET", "/b?list-type=2&prefix=a", Right("s3:ListBucket", "arn:aws:s3:::b")),
        ("HEAD", "/b", Right("s3:ListBucket", "arn:aws:s3:::b")),
        ("GET", "/b?location", Right("s3:GetBucketLocation", "arn:aws:s3:::b")),
        ("GET", "/b?uploads", Right("s3:ListBucketMultipartUploads", "arn:aws:s3:::b")),
        ("POST", "/b?delete", Right("s3:DeleteObject", "arn:aws:s3:::b/*")),
        ("PUT", "/b", Right("s3:CreateBucket", "arn:aws:s3:::b")),
        ("DELETE", "/b", Right("s3:DeleteBucket", "arn:aws:s3:::b")),
        ("GET", "/b/a%20b/c", Right("s3:GetObject", "arn:aws:s3:::b/a b/c")),
        ("HEAD", "/b/k", Right("s3:GetObject", "arn:aws:s3:::b/k")),
        ("PUT", "/b/k?partNumber=1&uploadId=u", Right("s3:PutObject", "arn:aws:s3:::b/k")),
        ("POST", "/b/k?uploads", Right("s3:PutObject", "arn:aws:s3:::b/k")),
        ("DELETE", "/b/k", Right("s3:DeleteObject", "arn:aws:s3:::b/k")),
        ("DELETE", "/b/k?uploadId=u", Right("s3:AbortMultipartUpload", "arn:aws:s3:::b/k")),
        ("GET", "/b/k?uploadId=u", Right("s3:ListMultipartUploadParts", "arn:aws:s3:::b/k")),
    ],
)
def test_what_an_operation_needs(method: str, target: str, right: Right) -> None:
    """The table of the S3 user guide, "Required permissions for Amazon S3 API operations"."""
    assert needed(Outgoing(method, f"http://127.0.0.22:9{target}")) == right
