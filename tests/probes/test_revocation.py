"""Keys that are issued for a look, revoked, and used again: verdicts, what is followed, and what is left."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from _facts import TARGET, answer, no_key_facts, outside, refusal, silence
from test_checks import PASS, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import diagnose
from hokusai_probe.engine import judge
from hokusai_probe.http import Answer
from hokusai_probe.looking import Entry, Journal
from hokusai_probe.model import PROBE_OF_FACTS, Observation
from hokusai_probe.probes.revocation import RevocationFacts, patience, revocation, until_refused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISSUED = answer(path="/api/v1/keys", method="POST")
IN, OUT = refusal(404, "Not Found"), refusal(401, "Invalid or expired API key")
REVOKED = answer(body={"revoked": True}, method="DELETE")
NO_LONGER = answer(body={"is_valid": False})
WELL = {
    "used": IN, "revoked": (REVOKED, REVOKED), "validated": NO_LONGER, "fresh": OUT, "last": OUT,
    "delay_s": 31.0, "followed_s": 31.0,
}  # fmt: skip


def facts(*, issued: Answer = ISSUED, **changed: Any) -> RevocationFacts:
    """Two keys with which all went well, unless told otherwise; None: it did not come to that."""
    told_of = {name: value for name, value in {**WELL, **changed}.items() if value is not None}
    return RevocationFacts(issued=(ISSUED, issued), **told_of)


NEVER = {"used": None, "revoked": (), "validated": None, "fresh": None, "last": None, "delay_s": None}
ROWS: list[tuple[RevocationFacts, tuple[str, str | None, str]]] = [
    (facts(), PASS),
    (facts(revoked=(REVOKED, refusal(404, "API key not found"))), PASS),
    (
        facts(issued=refusal(401, "Admin API key required"), **NEVER),
        skipped("cannot-tell", "no key was issued: 401 from the auth service ('Admin API key required')"),
    ),
    (
        facts(**NEVER),
        skipped("cannot-tell", "no key was issued: 200 from an unknown sender (text/plain)"),
    ),
    (
        facts(**{**NEVER, "used": OUT, "revoked": (REVOKED, REVOKED)}),
        skipped(
            "cannot-tell",
            "a key that was just issued gets 401 from the gateway ('Invalid or expired API key')",
        ),
    ),
    (
        facts(**{**NEVER, "used": IN, "revoked": (REVOKED, refusal(500, "oops"))}),
        failing("revoking a key: 500 from the auth service ('oops')"),
    ),
    (
        facts(validated=answer(body={"is_valid": True})),
        failing("the auth service says of a key that it has revoked that it is valid"),
    ),
    (facts(fresh=IN), failing("a key that the gateway had not seen before it was revoked is let in")),
    (
        facts(last=IN, delay_s=None, followed_s=67.2),
        failing("a key is let in 67 s after it was revoked; the gateway is to remember one for 60 s"),
    ),
    (
        facts(last=silence("timeout", "no answer in 8 s"), delay_s=None, followed_s=67.2),
        skipped(
            "cannot-tell",
            "within 67 s of its revocation the key was not refused: no answer (timeout: no answer in 8 s)",
        ),
    ),
    (
        facts(fresh=refusal(503, "Authentication service timeout"), last=None, delay_s=None, followed_s=0.0),
        skipped(
            "cannot-tell",
            "within 0 s of its revocation the key was not refused: 503 from the gateway "
            "('Authentication service timeout')",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_a_verdict(real: Catalogue, seen: RevocationFacts, expected: tuple[str, str | None, str]) -> None:
    """Refused in time passes; let in too long or for no reason fails; what was not seen is not judged."""
    assert told(verdict(real, "revoked-key-stops-working", seen)) == expected


def test_what_is_wrong_at_the_auth_service_is_the_auth_services(real: Catalogue) -> None:
    """The hop is where the key is judged, not where it is let in."""
    found = verdict(real, "revoked-key-stops-working", facts(validated=answer(body={"is_valid": True})))
    assert (found.hop, found.component) == ("validation/revocation", "auth")


def test_a_gateway_that_remembers_for_longer_than_we_wait_is_not_accused() -> None:
    """After the end of our patience nothing is known."""
    still = facts(last=IN, delay_s=None, followed_s=patience(300.0))
    assert (still.overdue(60.0), still.overdue(300.0)) == (True, False)


@pytest.mark.parametrize(
    ("changed", "subjects"),
    [
        ({}, []),
        ({"fresh": IN}, ["gateway"]),
        ({"last": IN, "delay_s": None, "followed_s": 70.0}, ["gateway"]),
        ({"last": IN, "delay_s": None, "followed_s": 60.0}, []),
        ({"fresh": IN, "validated": answer(body={"is_valid": True})}, ["auth"]),
    ],
)
def test_who_lets_in_what_was_revoked_is_named(
    real: Catalogue, changed: dict[str, Any], subjects: list[str]
) -> None:
    """Without any made-up key, and whether or not the gateway has a cache."""
    seen = outside(ended=facts(**changed), without=no_key_facts())
    observations = [
        Observation(probe=PROBE_OF_FACTS[type(f)], started_at=NOW, duration_s=0.1, status="seen", facts=f)
        for f in seen.values()
    ]
    verdicts = judge(real, observations, TARGET, frozenset(real.checks))
    found = diagnose(real, observations, verdicts, TARGET).diagnoses
    present = [d for d in found if d.cause == "key-accepted-when-invalid" and d.status == "present"]
    assert [s for d in present for s in d.subjects] == subjects


def asked(*answers: Answer) -> tuple[Callable[[], Awaitable[Answer]], list[Answer]]:
    """Something to ask that gives these answers, the last one for ever, and a list of what it gave."""
    given: list[Answer] = []

    async def ask() -> Answer:
        given.append(answers[min(len(given), len(answers) - 1)])
        return given[-1]

    return ask, given


def test_it_is_asked_until_it_is_refused() -> None:
    """An answer that is neither is no refusal, and the time is that of the first one."""
    ask, given = asked(IN, silence(), refusal(503, "Authentication service timeout"), OUT, IN)
    last, delay_s, followed_s = asyncio.run(until_refused(ask, time.monotonic(), 2.0))
    assert (last, given[-1], len(given)) == (OUT, OUT, 4)
    assert delay_s == followed_s
    assert 0.2 < followed_s < 2.0


def test_it_is_not_asked_for_ever() -> None:
    """At most as often as the look's cost says."""
    ask, given = asked(IN)
    last, delay_s, followed_s = asyncio.run(until_refused(ask, time.monotonic(), 0.25))
    assert (last, delay_s) == (IN, None)
    assert followed_s >= 0.25
    assert 2 <= len(given) <= 27


class _Auth:
    """An auth service with its list of keys, and a gateway that knows who was revoked; loses answers."""

    def __init__(self, lost: frozenset[str] = frozenset()) -> None:
        self.keys: dict[str, dict[str, object]] = {}
        self.lent: list[str] = []
        self._lost = lost

    def lend(self, key: str) -> None:
        """Take note of a key that shall be hidden."""
        self.lent.append(key)

    async def send(self, method: str, host: str, path: str, **how: Any) -> Answer:
        """What either of them says."""
        if host == "registry":
            active = self.keys[f"key_{how['key_value'][-1]}"]["is_active"]
            return IN if active else OUT
        return self._auth(method, path, how.get("json") or {})

    def _auth(self, method: str, path: str, body: dict[str, object]) -> Answer:
        last = path.rpartition("/")[2]
        if (method, last) == ("POST", "keys"):
            return self._issue(body)
        if last == "validate":
            return NO_LONGER
        if method == "DELETE":
            self.keys[last]["is_active"] = False
            return REVOKED
        return whole({"keys": list(self.keys.values())} if last == "keys" else self.keys[last])

    def _issue(self, body: dict[str, object]) -> Answer:
        number = len(self.keys)
        key_id = f"key_{number}"
        self.keys[key_id] = {"key_id": key_id, "name": body["name"], "is_active": True}
        if key_id in self._lost:
            return silence("timeout", "no answer in 8 s")
        return whole({"api_key": f"issued-{number}", "key_info": self.keys[key_id]})


def whole(body: dict[str, object]) -> Answer:
    """An answer with what was received beside what is shown."""
    found = answer(body=body)
    found._kept = json.dumps(body).encode()
    return found


def taken(auth: _Auth) -> tuple[RevocationFacts, tuple[Entry, ...]]:
    """The look, taken where that auth service is."""
    journal = Journal()
    look: Any = SimpleNamespace(http=auth, journal=journal, run_id="r", target=TARGET)
    return asyncio.run(revocation(look)), journal.entries()


def test_both_keys_end_and_neither_is_in_the_facts() -> None:
    """Issued, hidden, used, revoked, refused."""
    auth = _Auth()
    seen, entries = taken(auth)
    assert (seen.delay_s is not None, seen.leftovers) == (True, ())
    assert auth.lent == ["issued-0", "issued-1"]
    assert [k["is_active"] for k in auth.keys.values()] == [False, False]
    assert [e.removed for e in entries] == [True, True]
    assert "issued-" not in seen.model_dump_json()


def test_a_key_whose_issue_was_never_answered_is_found_by_its_name_and_revoked() -> None:
    """It may be there: nobody said so, and nobody said that it is not."""
    auth = _Auth(lost=frozenset({"key_1"}))
    seen, entries = taken(auth)
    assert (seen.used, seen.leftovers) == (None, ())
    assert [k["is_active"] for k in auth.keys.values()] == [False, False]
    assert [e.removed for e in entries] == [True, True]
