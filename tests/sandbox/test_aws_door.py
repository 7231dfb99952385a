"""The AWS door: faults, refused keys, a clock that is wrong, and everything else handed on to moto."""

import email.utils
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_kit import Kit, Opened, aws_client, opened, refusal, served
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from hokusai_probe.sandbox.aws_door import EDGE, AwsGate, wrong_time
from hokusai_probe.sandbox.clock import PlatformClock
from hokusai_probe.sandbox.door import Door, Place
from hokusai_probe.sandbox.faults import parse_fault, write_table

SCALE = 5.0

CALLS: dict[str, Callable[[Any], object]] = {
    "ec2": lambda client: client.describe_vpcs(),
    "ecs": lambda client: client.list_clusters(),
    "elbv2": lambda client: client.describe_load_balancers(),
    "iam": lambda client: client.list_roles(),
    "route53": lambda client: client.list_hosted_zones(),
    "s3": lambda client: client.list_buckets(),
    "sts": lambda client: client.get_caller_identity(),
}
"""One harmless call of a service for each way in which AWS speaks, and some more."""


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    """A control plane."""
    with served() as plane:
        yield plane


@contextmanager
def a_door(kit: Kit, faults: Path, *, refuses: bool = False, offset_s: float = 0.0) -> Iterator[Opened]:
    """A door to a control plane."""
    clock = PlatformClock(offset_s)
    place = Place("127.0.0.1", kit.endpoint, faults, SCALE, clock)
    with opened(Door(EDGE, place, AwsGate(clock, refuses_keys=refuses))) as door:
        yield door


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    """A table of faults, empty."""
    return tmp_path / "faults.json"


def inject(faults: Path, **step: object) -> None:
    """Put one fault on the door's edge."""
    write_table(faults, [parse_fault({"edge": EDGE, **step})])


def test_without_faults_every_protocol_passes_through(kit: Kit, faults: Path) -> None:
    """Queries, JSON, REST and a body of a megabyte reach moto and come back as they are."""
    with a_door(kit, faults) as door:
        s3, ecs = aws_client("s3", door.url), aws_client("ecs", door.url)
        s3.create_bucket(Bucket="through-the-door")
        body = bytes(range(256)) * 4096
        s3.put_object(Bucket="through-the-door", Key="a/b c", Body=body)
        got = s3.get_object(Bucket="through-the-door", Key="a/b c")["Body"].read()
        ecs.create_cluster(clusterName="through")
        direct = kit.client("ecs").list_clusters()["clusterArns"]
        answers = {name: status_of(name, door.url) for name in CALLS}
    assert got == body
    assert direct == [f"arn:aws:ecs:us-east-1:{kit.account}:cluster/through"]
    assert answers == dict.fromkeys(CALLS, 200)


def status_of(service: str, url: str) -> int:
    """The status with which a service answers its harmless call."""
    answer: Any = CALLS[service](aws_client(service, url))
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


UNKNOWN_TOKEN = "The security token included in the request is invalid."
REFUSED = {
    "ec2": (401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
    "ecs": (400, "UnrecognizedClientException", UNKNOWN_TOKEN),
    "elbv2": (403, "InvalidClientTokenId", UNKNOWN_TOKEN),
    "iam": (403, "InvalidClientTokenId", UNKNOWN_TOKEN),
    "route53": (403, "InvalidClientTokenId", UNKNOWN_TOKEN),
    "s3": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    "sts": (403, "InvalidClientTokenId", UNKNOWN_TOKEN),
}


def test_refused_keys_are_refused_in_each_services_own_words(kit: Kit, faults: Path) -> None:
    """With aws = "refused" no call gets in, and boto3 reads the error as AWS means it."""
    with a_door(kit, faults, refuses=True) as door:
        got = {
            name: refusal(lambda: call(aws_client(name, door.url)))  # noqa: B023 - called at once
            for name, call in CALLS.items()
        }
    assert got == REFUSED


@pytest.mark.parametrize(
    ("offset_s", "refused"), [(400.0, True), (-400.0, True), (200.0, False), (0.0, False)]
)
def test_a_clock_more_than_five_minutes_off_is_refused(
    kit: Kit, faults: Path, offset_s: float, refused: bool
) -> None:
    """A signature of another time is refused with both times; S3 and EC2 allow a quarter of an hour."""
    with a_door(kit, faults, offset_s=offset_s) as door:
        assert status_of("s3", door.url) == status_of("ec2", door.url) == 200
        if not refused:
            assert status_of("ecs", door.url) == 200
            return
        status, code, message = refusal(lambda: CALLS["ecs"](aws_client("ecs", door.url)))
        assert refusal(lambda: CALLS["sts"](aws_client("sts", door.url)))[:2] == (
            403,
            "SignatureDoesNotMatch",
        )
    assert (status, code) == (400, "InvalidSignatureException")
    assert message.startswith("Signature not yet current: " if offset_s > 0 else "Signature expired: ")


def test_s3_and_ec2_refuse_a_clock_that_is_further_off(kit: Kit, faults: Path) -> None:
    """Beyond fifteen minutes they refuse as well, in words of their own."""
    with a_door(kit, faults, offset_s=1000.0) as door:
        got = [refusal(lambda: CALLS[name](aws_client(name, door.url)))[:2] for name in ("s3", "ec2")]  # noqa: B023
    assert got == [(403, "RequestTimeTooSkewed"), (400, "RequestExpired")]


def test_the_words_name_both_times() -> None:
    """The message is AWS's, letter by letter, for a clock behind and a clock ahead."""
    now = datetime(2012, 3, 6, 8, 0, 56, tzinfo=UTC)
    before = wrong_time("query", now - timedelta(minutes=16), now)
    after = wrong_time("json", now + timedelta(minutes=6), now)
    assert before is not None
    assert after is not None
    expired = "Signature expired: 20120306T074456Z is now earlier than 20120306T075556Z"
    early = "Signature not yet current: 20120306T080656Z is still later than 20120306T080556Z"
    assert (before.status, f"{expired} (20120306T080056Z - 5 min.)" in before.body.decode()) == (403, True)
    assert (after.status, f"{early} (20120306T080056Z + 5 min.)" in after.body.decode()) == (400, True)


def test_the_date_of_every_answer_is_the_platforms(kit: Kit, faults: Path) -> None:
    """Good answers and refusals carry the platform's time."""
    with a_door(kit, faults, offset_s=200.0) as good, a_door(kit, faults, offset_s=4000.0) as bad:
        passed: Any = CALLS["ecs"](aws_client("ecs", good.url))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - its answer is looked at
            CALLS["ecs"](aws_client("ecs", bad.url))
    dates = [said["ResponseMetadata"]["HTTPHeaders"]["date"] for said in (passed, caught.value.response)]
    behind = [(datetime.now(UTC) - email.utils.parsedate_to_datetime(date)).total_seconds() for date in dates]
    assert behind == [pytest.approx(200, abs=3), pytest.approx(4000, abs=3)]


def test_a_fault_on_everything_is_one_of_the_connection(kit: Kit, faults: Path) -> None:
    """Refuse is ECONNREFUSED, drop a connect that hangs; afterwards the door is open on the same port."""
    with a_door(kit, faults) as door:
        sts = aws_client("sts", door.url)
        inject(faults, do={"refuse": True})
        door.refresh()
        with pytest.raises(EndpointConnectionError):
            sts.get_caller_identity()
        inject(faults, do={"drop": True})
        door.refresh()
        with pytest.raises(ConnectTimeoutError):
            sts.get_caller_identity()
        write_table(faults, [])
        door.refresh()
        assert status_of("sts", door.url) == 200


def test_faults_match_the_service_by_its_own_host(kit: Kit, faults: Path) -> None:
    """``host`` is what AWS itself calls the service, so one of them can fail alone."""
    with a_door(kit, faults) as door:
        inject(faults, match={"host": "ecs.*.amazonaws.com"}, do={"status": 503, "body": "busy"})
        assert refusal(lambda: CALLS["ecs"](aws_client("ecs", door.url)))[0] == 503
        assert status_of("elbv2", door.url) == 200
        inject(faults, match={"host": "ecs.*"}, do={"reset": True})
        with pytest.raises(ConnectionClosedError):
            CALLS["ecs"](aws_client("ecs", door.url))
        inject(faults, match={"host": "ecs.*"}, do={"drop": True})
        with pytest.raises(ReadTimeoutError):
            CALLS["ecs"](aws_client("ecs", door.url, read_s=0.3))
        assert status_of("sts", door.url) == 200


def test_faults_match_one_call_by_its_header_and_count(kit: Kit, faults: Path) -> None:
    """A JSON service's call is known by X-Amz-Target; ``every`` counts those alone."""
    header = {"X-Amz-Target": "*.ListClusters"}
    with a_door(kit, faults) as door:
        inject(faults, match={"header": header}, do={"status": 400, "body": "{}"}, every=2)
        ecs = aws_client("ecs", door.url)
        got = []
        for _ in range(4):
            ecs.list_task_definitions()
            try:
                ecs.list_clusters()
                got.append("answered")
            except ecs.exceptions.ClientError:
                got.append("refused")
    assert got == ["answered", "refused", "answered", "refused"]


def test_delays_and_edits_come_on_top_of_the_real_answer(kit: Kit, faults: Path) -> None:
    """A delay holds the answer back, scaled; an edit changes it."""
    edit = {"json": {"clusterArns": ["arn:aws:ecs:us-east-1:1:cluster/made-up"]}}
    with a_door(kit, faults) as door:
        inject(faults, do={"delay_s": 2.0, "edit": edit})
        started = datetime.now(UTC)
        got: Any = CALLS["ecs"](aws_client("ecs", door.url))
        took = (datetime.now(UTC) - started).total_seconds()
    assert got["clusterArns"] == ["arn:aws:ecs:us-east-1:1:cluster/made-up"]
    assert took >= 2.0 / SCALE


def test_no_header_is_the_librarys(kit: Kit, faults: Path) -> None:
    """An answer has the headers that it was given and that an edit left, and what the connection needs."""
    seen = []
    with a_door(kit, faults) as door:
        for drop in (["X-A"], ["Server", "Content-Type", "Date"]):
            inject(faults, do={"status": 503, "headers": {"X-A": "1"}, "edit": {"header_drop": drop}})
            seen.append(header_names(door.url))
    assert seen == [["content-length", "content-type", "date"], ["content-length", "x-a"]]


def header_names(url: str) -> list[str]:
    """The names of an answer's headers, sorted."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5)
    names = sorted(name.lower() for name in caught.value.headers)
    caught.value.close()
    return [name for name in names if name != "connection"]


def test_a_control_plane_that_is_gone_breaks_the_connection(faults: Path) -> None:
    """Nothing of the sandbox's own trouble looks like an answer of AWS."""
    with ExitStack() as stack:
        kit = stack.enter_context(served())
        gone = Kit(kit.account, "http://127.0.0.1:1", kit.history, kit.recorder, kit.clock)
        door = stack.enter_context(a_door(gone, faults))
        with pytest.raises(ConnectionClosedError):
            CALLS["sts"](aws_client("sts", door.url))
