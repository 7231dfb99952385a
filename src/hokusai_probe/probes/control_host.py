"""A host that is no part of the platform: whether our own network and our own clock are well."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hokusai_probe.aws import AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, Resolution
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc, Wrong
from hokusai_probe.probes.hosts import HostsFacts

TOLERANCE_S = 300.0
"""AWS takes a signature for five minutes before and after (IAM user guide, Signature Version 4)."""


class ControlHostFacts(Facts):
    """What the control host answered, when by our clock; both None where the target names none."""

    at: Utc
    resolution: Resolution | None = None
    answer: Answer | None = None


class Offset(Frozen):
    """By how many seconds our clock is ahead of a server's, and where its time lies in which facts."""

    seconds: float
    who: str
    by: type[Facts]
    fact: str
    value: str


@probe(area="infrastructure", cost=1)
async def control_host(look: Look) -> ControlHostFacts:
    """Whether a host that is no part of the platform answers, and what time it says it is.

    Where it answers, silence of the platform is the platform's.
    """
    if look.target.network.control_host is None:
        return ControlHostFacts(at=datetime.now(UTC))
    answer = await look.http.send("GET", "control", "/")
    resolution = await look.http.resolve("control")
    return ControlHostFacts(at=datetime.now(UTC), resolution=resolution, answer=answer)


def silent(answer: Answer) -> bool:
    """Whether nobody was reached: no name, or no connection."""
    cut = {"dns", "refused", "unreachable", "connect-timeout"}
    return answer.status is None and answer.failure is not None and answer.failure.kind in cut


def least_offset(control: ControlHostFacts | None, hosts: HostsFacts | None) -> Offset | None:
    """How far our clock is from the server that agrees best; None: no server said what time it is.

    One server whose own clock is wrong, or whose answer lay in a cache, proves nothing against ours.
    """
    return min(_offsets(control, hosts), key=lambda offset: abs(offset.seconds), default=None)


def witnesses(control: ControlHostFacts | None, hosts: HostsFacts | None) -> int:
    """How many servers said what time it is."""
    return sum(1 for _ in _offsets(control, hosts))


def _offsets(control: ControlHostFacts | None, hosts: HostsFacts | None) -> Iterator[Offset]:
    if control is not None and control.answer is not None:
        yield from _offset(control.answer, control.at, "the control host", "answer", ControlHostFacts)
    for host, seen in hosts.hosts.items() if hosts else ():
        if seen.at is not None:
            place = f"hosts.{host}.health"
            yield from _offset(seen.health, seen.at, f"the {host} host", place, HostsFacts)


def _offset(answer: Answer, at: datetime, who: str, place: str, by: type[Facts]) -> Iterator[Offset]:
    said = answer.headers.get("date", "")
    try:
        theirs = parsedate_to_datetime(said)
    except ValueError:
        return
    if theirs.tzinfo is not None:
        yield Offset(
            seconds=(at - theirs).total_seconds(), who=who, by=by, fact=f"{place}.headers.date", value=said
        )


def too_old_for_aws(failure: AwsFailure | None) -> bool:
    """Whether AWS refused a request for the time at which it was signed.

    RequestTimeTooSkewed (S3), RequestExpired (EC2), and the words of all others: "Signature expired",
    "Signature not yet current" (IAM user guide, "Troubleshoot Signature Version 4 signing").
    """
    if failure is None:
        return False
    words = ("Signature expired", "Signature not yet current", "Request has expired")
    return failure.code in {"RequestTimeTooSkewed", "RequestExpired"} or any(
        said in failure.detail for said in words
    )


def ahead(seconds: float) -> str:
    """How far a clock is from another one, as words that follow ``is``."""
    amount = abs(seconds)
    size = next((n for n in ((86400, "days"), (3600, "hours"), (60, "minutes")) if amount >= 2 * n[0]), None)
    number = f"{amount / size[0]:.0f} {size[1]}" if size else f"{amount:.0f} seconds"
    return f"{number} {'ahead of' if seconds > 0 else 'behind'}"


# --- checks -----------------------------------------------------------------------------------------


@check(hop="network")
def we_reach_somebody(facts: ControlHostFacts, hosts: HostsFacts | None) -> Sentence:
    """Our own machine reaches somebody: the control host, or the platform."""
    if facts.answer is None:
        return NotApplicable(reason="the target names no control host")
    if not silent(facts.answer) or any(not silent(s.health) for s in (hosts.hosts.values() if hosts else ())):
        return None
    reason = facts.answer.failure.detail if facts.answer.failure else ""
    return Wrong(reason=f"not even the control host: {reason}", reproduce=facts.answer.curl())


@check(hop="network/clock")
def our_clock_is_right(facts: ControlHostFacts, hosts: HostsFacts | None) -> Sentence:
    """Our clock is within five minutes of a server's, which is what AWS tolerates."""
    offset = least_offset(facts, hosts)
    if offset is None:
        return CannotTell(reason="no server said what time it is")
    if abs(offset.seconds) <= TOLERANCE_S:
        return None
    return f"our clock is {ahead(offset.seconds)} that of {offset.who}"
