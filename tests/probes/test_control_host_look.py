"""A host outside the platform: whether we reach anybody, and what time it is."""

import pytest
from _edge import all_silent, control, dated, hosts_at
from _facts import answer, silence
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Catalogue
from hokusai_probe.probes.control_host import ControlHostFacts, ahead, least_offset, too_old_for_aws
from hokusai_probe.probes.hosts import HostsFacts

REACHED: list[tuple[ControlHostFacts, HostsFacts, Told]] = [
    (control(dated(0)), all_silent("connect-timeout"), PASS),
    (control(silence("connect-timeout", "no way")), hosts_at(), PASS),
    (
        control(silence("connect-timeout", "no way")),
        all_silent("connect-timeout"),
        ("error", None, "not even the control host: no way"),
    ),
    (control(None), all_silent("dns"), skipped("not-applicable", "the target names no control host")),
]


@pytest.mark.parametrize(("facts", "hosts", "expected"), REACHED)
def test_silence_is_ours_where_nobody_is_reached(
    real: Catalogue, facts: ControlHostFacts, hosts: HostsFacts, expected: Told
) -> None:
    """It is our network where not even the control host answers, and theirs where anybody does."""
    assert told(verdict(real, "we-reach-somebody", facts, hosts)) == expected


CLOCKS: list[tuple[ControlHostFacts, HostsFacts, Told]] = [
    (control(dated(0)), hosts_at(), PASS),
    (control(dated(-290)), hosts_at(), PASS),
    (
        control(dated(1200)),
        hosts_at(auth=dated(1201), registry=dated(1202), api=dated(1203)),
        ("error", None, "our clock is 20 minutes ahead of that of the control host"),
    ),
    (control(dated(1200)), hosts_at(api=dated(3)), PASS),
    (
        control(None),
        hosts_at(auth=dated(-90000)),
        ("error", None, "our clock is 25 hours behind that of the auth host"),
    ),
    (control(None), hosts_at(), skipped("cannot-tell", "no server said what time it is")),
    (
        control(answer(headers={"date": "yesterday"})),
        hosts_at(),
        skipped("cannot-tell", "no server said what time it is"),
    ),
]


@pytest.mark.parametrize(("facts", "hosts", "expected"), CLOCKS)
def test_our_clock_is_wrong_where_nobody_agrees_with_it(
    real: Catalogue, facts: ControlHostFacts, hosts: HostsFacts, expected: Told
) -> None:
    """More than five minutes from the server that agrees best; one server alone may be wrong itself."""
    assert told(verdict(real, "our-clock-is-right", facts, hosts)) == expected


def test_an_offset_says_where_it_was_read() -> None:
    """The header, its value and the facts that hold it."""
    found = least_offset(control(dated(7)), None)

    assert found is not None
    assert (found.seconds, found.by, found.fact, found.value) == (
        7.0,
        ControlHostFacts,
        "answer.headers.date",
        "Tue, 05 Aug 2025 09:26:53 GMT",
    )


@pytest.mark.parametrize(
    ("code", "detail", "expected"),
    [
        ("RequestTimeTooSkewed", "", True),
        ("RequestExpired", "Request has expired.", True),
        ("SignatureDoesNotMatch", "Signature expired: 20250805T092700Z is now earlier than ...", True),
        ("InvalidSignatureException", "Signature not yet current: ...", True),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", False),
        ("ExpiredToken", "The security token included in the request is expired", False),
    ],
)
def test_aws_says_when_it_is_a_matter_of_time(code: str, detail: str, expected: bool) -> None:
    """A session that is over is no matter of our clock."""
    assert too_old_for_aws(AwsFailure(kind="credentials-refused", code=code, detail=detail)) is expected
    assert too_old_for_aws(None) is False


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "3 seconds ahead of"), (-600, "10 minutes behind"), (7200, "2 hours ahead of"),
     (-4e7, "463 days behind")],
)  # fmt: skip
def test_how_far_is_said_in_words(seconds: float, words: str) -> None:
    """In the largest unit of which there are two."""
    assert ahead(seconds) == words


def test_failing_is_not_used_for_our_own_side() -> None:
    """What is wrong with us is an error, never a failure of the platform."""
    assert failing("x")[0] == "fail"
    assert [row[2][0] for row in (*REACHED, *CLOCKS) if row[2][0] == "fail"] == []
