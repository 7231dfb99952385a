"""How long a key goes on working once it is revoked."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from pydantic import JsonValue

from hokusai_probe.answers import responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, strict_json
from hokusai_probe.looking import Entry, Look
from hokusai_probe.model import CannotTell, Facts, Target, Wrong
from hokusai_probe.probes._mlflow_rest import never_made, new_name
from hokusai_probe.probes.key_forms import UNKNOWN_PATH, let_in
from hokusai_probe.probes.key_validation import PATH, PLATFORM, accepted, refused_as_unknown
from hokusai_probe.probes.model_registration import UNDO_S

KEYS = "/api/v1/keys"
PATIENCE_S = 90.0
"""A run has five minutes for everything; a gateway that remembers for longer is not waited for."""
POLLS = 25
_ASKED, _MADE = 12, 2  # requests beside those that wait: both keys made, used, revoked, looked at
_NAME = re.compile(r"[\w.-]{1,200}")
_GONE = frozenset({200, 202, 204, 404})


class RevocationFacts(Facts):
    """Two keys that were issued for this look, and revoked. The answers that held them have no body here.

    ``used``: the gateway's answer to the first before its revocation, so that the gateway remembers it.
    ``revoked``: of both. ``validated``: what auth says of the first then. ``fresh``: the gateway's answer to
    the second, which it had never seen before its revocation. ``last``: the last answer to the first.
    ``delay_s``: seconds from its revocation to the first refusal, at most; None: none came.
    ``followed_s``: for how many seconds it was asked.
    """

    issued: tuple[Answer, ...]
    used: Answer | None = None
    revoked: tuple[Answer, ...] = ()
    validated: Answer | None = None
    fresh: Answer | None = None
    last: Answer | None = None
    delay_s: float | None = None
    followed_s: float = 0.0
    entries: tuple[Entry, ...] = ()
    leftovers: tuple[str, ...] = ()

    def overdue(self, remembered_s: float) -> bool:
        """Whether the first key was let in when the gateway had long to have forgotten it."""
        late = self.last is not None and self.delay_s is None and let_in(self.last)
        return late and self.followed_s >= patience(remembered_s) and remembered_s <= PATIENCE_S


def patience(remembered_s: float) -> float:
    """For how many seconds a gateway is asked that remembers keys for so long."""
    return min(1.1 * remembered_s + 1.0, PATIENCE_S)


class _Key:
    """A key of ours, from its issue to its end. Its text goes into headers and nowhere else."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.name = new_name(look.run_id)
        self.issued: Answer | None = None
        self.revoked: Answer | None = None
        self.id, self._text = "", ""

    async def issue(self) -> Answer:
        """Ask for one that may do nothing and ends of itself tomorrow."""
        body: JsonValue = {
            "name": self.name, "service_id": PLATFORM, "scopes": [], "environment": "test",
            "expires_in_days": 1, "rate_limit_per_hour": 1000,
        }  # fmt: skip
        send = self._look.http.send
        self.issued = await send("POST", "auth", KEYS, key="bearer", whose="admin", json=body)
        self._take(_json(self.issued))
        return self.issued

    def _take(self, body: Mapping[str, object]) -> None:
        info, text = body.get("key_info"), body.get("api_key")
        if not isinstance(text, str) or not isinstance(info, Mapping):
            return
        self._look.http.lend(text)
        self.id, self._text = _id(info), text

    @property
    def usable(self) -> bool:
        """Whether there is a key and a way to revoke it."""
        return bool(self.id and self._text)

    async def use(self) -> Answer:
        """What the gateway says to it, at a path that no version has."""
        return await self._look.http.send("GET", "registry", UNKNOWN_PATH, key="bearer", key_value=self._text)

    async def validate(self) -> Answer:
        """What the auth service says of it."""
        body: JsonValue = {"service_id": PLATFORM, "client_ip": "192.0.2.1"}
        return await self._look.http.send("POST", "auth", PATH, key="bearer", key_value=self._text, json=body)

    async def revoke(self) -> bool:
        """Revoke it, unless that is done; one whose issue was not answered is found by its name."""
        if self.revoked is not None and self.revoked.status in _GONE:
            return True
        if not self.id and self.issued is not None and never_made(self.issued):
            return True
        self.id = self.id or await self._found()
        if not self.id:
            return False
        path = f"{KEYS}/{quote(self.id, safe='')}"
        self.revoked = await self._look.http.send("DELETE", "auth", path, key="bearer", whose="admin")
        return self.revoked.status in _GONE

    async def _found(self) -> str:
        listed = _json(await self._look.http.send("GET", "auth", KEYS, key="bearer", whose="admin"))
        keys = listed.get("keys")
        ours = [k for k in keys if isinstance(k, Mapping)] if isinstance(keys, list) else []
        return next((_id(k) for k in ours if k.get("name") == self.name), "")

    async def left(self) -> str:
        """A sentence about a key that is not certainly without effect, or an empty one."""
        if not self.id:
            refused_it = self.issued is not None and never_made(self.issued)
            return "" if refused_it else f"whether the key {self.name} was issued was not seen"
        path = f"{KEYS}/{quote(self.id, safe='')}"
        found = await self._look.http.send("GET", "auth", path, key="bearer", whose="admin")
        ended = found.status == 404 or _json(found).get("is_active") is False
        return "" if ended else f"the key {self.name} may work still: {said(found, 'auth')}"


def _json(answer: Answer) -> Mapping[str, object]:
    """An answer's object as it was received: of a redacted key nobody could make use."""
    good = answer.status in {200, 201}
    body = strict_json(answer.kept.decode(errors="replace")) if good else None
    return body if isinstance(body, Mapping) else {}


def _id(info: Mapping[str, object]) -> str:
    found = info.get("key_id")
    return found if isinstance(found, str) and _NAME.fullmatch(found) else ""


@probe(
    area="authentication",
    safety="write",
    needs=("admin-key", "auth-host"),
    after=("bearer-is-accepted",),
    cost=_ASKED + _MADE * 2 + POLLS,
    deadline_s=PATIENCE_S + 60.0,
)
async def revocation(look: Look) -> RevocationFacts:
    """Has two keys issued that may do nothing, uses one, revokes both, and uses them again until refused.

    With the administrator's key (``[key] admin_env``), which is the only way: revoking a key of somebody's
    would end it for good. Issue and revocation are the auth service's own calls (contract 2). The gateway
    remembers a key that it has seen, for ``[timeouts] gateway_key_cache_s`` (contract 3.5), and the look
    waits at most a little longer than that, and never over 90 s. A revoked key stays in the auth service's
    list of keys.
    """
    used, fresh = keys = (_Key(look), _Key(look))
    for key in keys:
        look.journal.will_create("API key", key.name, key.revoke)
    issued = await asyncio.gather(*(key.issue() for key in keys))
    seen = RevocationFacts(issued=tuple(map(_without_key, issued)))
    if used.usable and fresh.usable:
        seen = await _followed(seen, used, fresh, patience(look.target.timeouts.gateway_key_cache_s))
    entries = await look.journal.undo(UNDO_S)
    left = await asyncio.gather(*(key.left() for key in keys))
    return seen.model_copy(update={"entries": entries, "leftovers": tuple(filter(None, left))})


def _without_key(issued: Answer) -> Answer:
    return issued.model_copy(update={"body": ""}) if issued.status in {200, 201} else issued


async def _followed(seen: RevocationFacts, used: _Key, fresh: _Key, seconds: float) -> RevocationFacts:
    """What became of both keys, as far as it came."""
    before = await used.use()
    gone = await asyncio.gather(used.revoke(), fresh.revoke())
    since = time.monotonic()
    revoked = tuple(key.revoked for key in (used, fresh) if key.revoked is not None)
    seen = seen.model_copy(update={"used": before, "revoked": revoked})
    if not (let_in(before) and all(gone)):
        return seen
    first, validated = await asyncio.gather(fresh.use(), used.validate())
    seen = seen.model_copy(update={"fresh": first, "validated": validated})
    if not refused(first):
        return seen
    last, delay_s, followed_s = await until_refused(used.use, since, seconds)
    return seen.model_copy(update={"last": last, "delay_s": delay_s, "followed_s": followed_s})


async def until_refused(
    ask: Callable[[], Awaitable[Answer]], since: float, seconds: float
) -> tuple[Answer, float | None, float]:
    """Ask until there is a refusal, or the seconds since then are over.

    Returns the last answer, after how many seconds it was a refusal (None: it was none), and for how many
    seconds was asked. Asks at least once, and at most `POLLS` times and once more.
    """
    while True:
        answer, passed = await ask(), time.monotonic() - since
        if refused(answer) or passed >= seconds:
            return answer, passed if refused(answer) else None, passed
        await asyncio.sleep(min(seconds / POLLS, max(seconds - passed, 0.0)))


def refused(answer: Answer) -> bool:
    """The gateway says of a key that auth did not accept it."""
    return refused_as_unknown(answer) and responder(answer) == "gateway"


@check(hop="gateway-auth/revocation", behaviour="is-valid-ignored")
def revoked_key_stops_working(facts: RevocationFacts, target: Target) -> Sentence:
    """A key that was revoked is refused: at once if the gateway has not seen it, else when it has forgotten.

    For how long it may remember is ``[timeouts] gateway_key_cache_s`` of the target.
    """
    unusable = next((a for a in facts.issued if a.status not in {200, 201}), None)
    if unusable is not None or facts.used is None:
        return CannotTell(reason=f"no key was issued: {said(unusable or facts.issued[0], 'auth')}")
    kept = next((a for a in facts.revoked if a.status not in _GONE), None)
    if kept is not None:
        return Wrong(reason=f"revoking a key: {said(kept, 'auth')}", hop="validation/revocation")
    if not let_in(facts.used):
        return CannotTell(reason=f"a key that was just issued gets {said(facts.used)}")
    return _after(facts, target.timeouts.gateway_key_cache_s)


def _after(facts: RevocationFacts, remembered_s: float) -> Sentence:
    """The verdict on what came after the revocation."""
    if facts.validated is not None and accepted(facts.validated):
        reason = "the auth service says of a key that it has revoked that it is valid"
        return Wrong(reason=reason, hop="validation/revocation")
    if facts.fresh is not None and let_in(facts.fresh):
        return Wrong(reason="a key that the gateway had not seen before it was revoked is let in")
    if facts.delay_s is not None:
        return None
    if facts.overdue(remembered_s):
        return Wrong(
            reason=f"a key is let in {facts.followed_s:.0f} s after it was revoked; "
            f"the gateway is to remember one for {remembered_s:g} s"
        )
    last = facts.last or facts.fresh
    told = said(last) if last else "nothing"
    return CannotTell(
        reason=f"within {facts.followed_s:.0f} s of its revocation the key was not refused: {told}"
    )
