"""Whether the gateway remembers a key that it has just validated, read in the auth service's own log."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from itertools import pairwise

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

CALLS = 4
MARKS = 2 * CALLS + 1
"""One before everything, and two after each counted call: between these two nothing is called."""
UNKNOWN = "/api/v1/hokusai-probe-no-such-path"
VALIDATES = "/api/v1/keys/validate"
_PATIENCE_S = (0.0, 0.1, 0.3, 0.8)
_RESTS_S = (0.5, 1.5, 3.0)  # without a cache our own other looks are strangers, too: they end soon
_BEFORE_MS = 10_000  # events carry the clock of the machine that wrote them


class CacheEffectFacts(Facts):
    """Calls with the key, one after another, and how many validations the auth service logged at each.

    ``calls``: status codes of the gateway, the first of which is not counted: it fills the cache.
    ``validations``: of each counted call, in order; None: the log did not show the marks that we left
    there before and after each call, so that nothing can be counted. ``idle``: of each gap beside them in
    which we called nothing; those are strangers'.
    """

    group: str = ""
    calls: tuple[int | None, ...] = ()
    validations: tuple[int, ...] | None = None
    idle: tuple[int, ...] = ()
    failure: AwsFailure | None = None

    @property
    def effective(self) -> bool | None:
        """Whether some call was answered without asking the auth service.

        None where nothing was counted, or where strangers' validations may be what was.
        """
        if not self.validations:
            return None
        return True if 0 in self.validations else None if any(self.idle) else False


@probe(
    area="data",
    needs=("aws", "key", "auth-host"),
    after=("auth-accepts-the-key",),
    cost=(CALLS + 1 + MARKS) * (1 + len(_RESTS_S)),
)
async def cache_effect(
    look: Look,
    definitions: TaskDefinitionsFacts,
    _validation: KeyValidationFacts,
    _forms: KeyFormsFacts | None,
    _invalid: InvalidKeysFacts | None,
) -> CacheEffectFacts:
    """Whether a warm call is answered without the auth service: logs:FilterLogEvents of the auth service.

    Latency cannot tell: a validation takes a few milliseconds, less than the noise of the way. So between
    calls with the key the auth host is asked for paths that do not exist, whose access lines are marks in
    its log; what was validated stands between them. It needs one auth task, an access log, and none of our
    own looks at keys under way (they come first). Strangers' validations are seen in the gaps beside: with
    a cache and few of them there are gaps without any; where all gaps have some, nobody knows whose, and
    it is tried again a little later.
    """
    auth = definitions.of("auth")
    group = auth.log_group if auth else ""
    if not group:
        return CacheEffectFacts()
    found = await _series(look, group)
    for rest in _RESTS_S:
        if found.effective is not None or not found.validations:
            break
        await asyncio.sleep(rest)
        found = await _series(look, group)
    return found


async def _series(look: Look, group: str) -> CacheEffectFacts:
    """Calls and marks in turn, and what the log has between them."""
    since, mark = int(time.time() * 1000) - _BEFORE_MS, f"hkprobe-{secrets.token_hex(4)}"
    calls = [await _call(look)]
    await _mark(look, mark, 0)
    for number in range(1, CALLS + 1):
        calls.append(await _call(look))
        await _mark(look, mark, 2 * number - 1)
        await _mark(look, mark, 2 * number)
    counted = await _counted(look.cloud(), group, since, mark)
    statuses = tuple(answer.status for answer in calls)
    if isinstance(counted, AwsFailure):
        return CacheEffectFacts(group=group, calls=statuses, failure=counted)
    return CacheEffectFacts(
        group=group,
        calls=statuses,
        validations=counted[0::2] if counted else None,
        idle=counted[1::2] if counted else (),
    )


async def _call(look: Look) -> Answer:
    """A call that costs the gateway no more than finding out who calls."""
    return await look.http.send("GET", "registry", UNKNOWN, key="bearer")


async def _mark(look: Look, mark: str, number: int) -> None:
    await look.http.send("GET", "auth", f"/api/v1/{mark}-{number}")


async def _counted(aws: AwsDoor, group: str, since: int, mark: str) -> tuple[int, ...] | AwsFailure | None:
    """Read the log until the last mark is there, a second in all."""
    for pause in _PATIENCE_S:
        await asyncio.sleep(pause)
        answer = await aws.pages(
            *("logs", "filter_log_events", "events"),
            logGroupName=group,
            startTime=since,
            filterPattern=f'?"{mark}" ?"{VALIDATES}"',  # a busy service's log is long
        )
        if answer.failure is not None:
            return answer.failure
        found = between([(str(e["logStreamName"]), str(e["message"])) for e in answer.data["events"]], mark)
        if found is not None:
            return found
    return None


def between(events: Sequence[tuple[str, str]], mark: str) -> tuple[int, ...] | None:
    """Validations between one mark and the next, in the one stream that has them all; None where none has.

    They are of a call and of a gap without one, in turn. ``events``: stream and message, oldest first.
    """
    streams = {stream for stream, text in events if f"{mark}-0" in text}
    lines = [text for stream, text in events if stream in streams]
    places = [next((i for i, t in enumerate(lines) if f"{mark}-{n} " in t), None) for n in range(MARKS)]
    known = [place for place in places if place is not None]
    if len(streams) != 1 or len(known) != MARKS or known != sorted(known):
        return None
    return tuple(sum(VALIDATES in text for text in lines[a:b]) for a, b in pairwise(known))


@check(hop="gateway-to-cache/effect", behaviour="cache-off")
def warm_calls_spare_the_auth_service(facts: CacheEffectFacts) -> Sentence:
    """A key that was validated a moment ago is not validated again for each call.

    ``gateway-reaches-its-cache`` fails with it where Redis is gone; this one also where Redis is well and
    the gateway does not use it.
    """
    if not facts.group:
        return NotApplicable(reason="the auth service has no log group that is known")
    if facts.failure is not None:
        return CannotTell(reason=f"logs:FilterLogEvents: {facts.failure.kind}")
    if any(status in {None, 401, 402, 403} or (status or 0) >= 500 for status in facts.calls):
        return CannotTell(reason="the gateway did not let in each of the calls")
    if facts.effective is None and facts.validations:
        return CannotTell(reason="keys were validated all the time, also where nothing was called from here")
    if facts.effective is None:
        return CannotTell(reason="the auth service's log does not show what it was asked, or not yet")
    if facts.effective:
        return None
    return f"each of {len(facts.validations or ())} calls with the same key was validated at the auth service"
