"""Looks at keys and at the auth service: what their checks say, and what they send."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from _facts import (
    TARGET,
    answer,
    bad_gateway,
    invalid_facts,
    refusal,
    validation_facts,
)
from _servers import LOCAL, Server, http, says, serving
from pydantic import SecretStr
from test_checks import PASS, Told, failing, skipped, told, verdict

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import HttpDoor
from hokusai_probe.keys import Keys
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Hosts, Target
from hokusai_probe.probes.invalid_keys import FAKES, MALFORMED, ROUGH, invalid_keys
from hokusai_probe.probes.key_shape import KeyShapeFacts, key_shape
from hokusai_probe.probes.key_spellings import KeySpellingsFacts, key_spellings
from hokusai_probe.probes.key_validation import KeyValidationFacts, key_validation
from hokusai_probe.probes.preflight import PreflightFacts, preflight
from hokusai_probe.probes.service_ids import ServiceIdsFacts, service_ids
from hokusai_probe.redact import Redactor

KEY = "hk_test_fedcba9876543210"
IN = refusal(404, "Not Found")
UNKNOWN = refusal(401, "API key not found or invalid")
CORS = {"access-control-allow-origin": "https://hokus.ai"}
GOOD = answer(body={"is_valid": True, "service_id": "platform"})
ELSEWHERE = refusal(401, "API key does not have access to service 'website'")


def spelt(**changed: object) -> KeySpellingsFacts:
    """Every spelling is let in, some changed."""
    known = {"bearer-two-blanks": IN, "x-api-key-lower": IN, "x-api-key-upper": IN}
    return KeySpellingsFacts(answers=known | {n.replace("_", "-"): a for n, a in changed.items()})


def ids(website: object = ELSEWHERE, own: str | None = "platform") -> ServiceIdsFacts:
    """The key is good for the platform alone, unless told otherwise."""
    return ServiceIdsFacts(own=own, answers={"platform": GOOD, "website": website})


ODD = KeyShapeFacts(variable="HOKUSAI_API_KEY", prefix="", misplaced=True, odd=2)
PLAIN = KeyShapeFacts(variable="HOKUSAI_API_KEY", prefix="hk_test_")
BARE_KEY = KeyShapeFacts(variable="MY_KEY")
NO_PREFIX = "does not begin with hk_live_ or hk_test_"

ROWS: list[tuple[str, tuple[Facts, ...], Told]] = [
    ("spellings-are-accepted", (spelt(),), PASS),
    (
        "spellings-are-accepted",
        (spelt(bearer_two_blanks=refusal(401, "API key required")),),
        failing("with two blanks after Bearer the key gets 401 from the gateway ('API key required')"),
    ),
    ("preflight-needs-no-key", (PreflightFacts(answer=answer(200, "OK", headers=CORS)),), PASS),
    ("preflight-needs-no-key", (PreflightFacts(answer=answer(204, headers=CORS)),), PASS),
    (
        "preflight-needs-no-key",
        (PreflightFacts(answer=answer(200, "OK")),),
        failing("OPTIONS without a key: 200 from MLflow (text/plain)"),
    ),
    (
        "preflight-needs-no-key",
        (PreflightFacts(answer=refusal(401, "API key required")),),
        failing("OPTIONS without a key: 401 from the gateway ('API key required')"),
    ),
    (
        "preflight-needs-no-key",
        (PreflightFacts(answer=answer(400, "Disallowed CORS origin")),),
        skipped("cannot-tell", "the gateway lets other origins ask than the one that was tried"),
    ),
    ("other-services-are-refused", (ids(),), PASS),
    (
        "other-services-are-refused",
        (ids(GOOD),),
        failing("a key of 'platform' is accepted for website: 200 from an unknown sender (application/json)"),
    ),
    (
        "other-services-are-refused",
        (ids(own=None),),
        skipped("cannot-tell", "the auth service does not say for which service the key was issued"),
    ),
    (
        "other-services-are-refused",
        (ServiceIdsFacts(),),
        skipped("blocked", "the auth service gave no verdict"),
    ),
    ("key-has-a-known-form", (PLAIN, validation_facts(UNKNOWN)), PASS),
    ("key-has-a-known-form", (BARE_KEY, validation_facts()), PASS),
    (
        "key-has-a-known-form",
        (ODD, validation_facts(UNKNOWN)),
        failing(
            f"the key in HOKUSAI_API_KEY {NO_PREFIX}; something else stands before it, and the auth service "
            "refuses it"
        ),
    ),
    (
        "key-has-a-known-form",
        (BARE_KEY, validation_facts(bad_gateway())),
        skipped("cannot-tell", f"the key {NO_PREFIX}, and the auth service gave no verdict on it"),
    ),
    (
        "key-has-a-known-form",
        (KeyShapeFacts(variable="MY_KEY", prefix="hk_live_", odd=1), validation_facts(UNKNOWN)),
        failing(
            "the key in MY_KEY holds 1 character(s) that no key has, such as quotes, and the auth service "
            "refuses it"
        ),
    ),
    (
        "invalid-keys-are-refused",
        (invalid_facts().model_copy(update={"rough": {"over-long": answer(500, {"detail": "no"})}}),),
        failing("a made-up key (over-long) gets 500 from the gateway ('no')"),
    ),
    (
        "invalid-keys-are-refused",
        (invalid_facts().model_copy(update={"rough": {"over-long": answer(431)}, "query": IN}),),
        failing("a made-up key (in the query) gets 404 from the gateway ('Not Found')"),
    ),
]


@pytest.mark.parametrize(("check", "facts", "expected"), ROWS)
def test_each_check_says_what_is_wrong_and_nothing_else(
    real: Catalogue, check: str, facts: tuple[Facts, ...], expected: Told
) -> None:
    """Whole verdicts: what passes, what fails and in which words, what cannot be told."""
    assert told(verdict(real, check, *facts)) == expected


def test_a_preflight_that_the_target_accepts_is_named_and_does_not_fail(real: Catalogue) -> None:
    """In 2025-08 browsers were refused, and everybody knew."""
    accept = TARGET.accept.model_copy(update={"behaviours": ("preflight-needs-key",)})
    asked = PreflightFacts(answer=refusal(401, "API key required"))
    found = verdict(
        real, "preflight-needs-no-key", asked, target=TARGET.model_copy(update={"accept": accept})
    )
    assert (found.status, found.skip_kind) == ("skip", "not-applicable")
    assert "accepted by the target (preflight-needs-key)" in found.reason


# --- what the looks send ------------------------------------------------------------------------------

VALID = b'{"is_valid": true, "service_id": "website", "scopes": ["a"], "is_admin": false, "balance": 1}'


F = TypeVar("F", bound=Facts)


def taken(take: Callable[[Look], Awaitable[F]], reply: bytes, key: str | None = KEY) -> tuple[F, Server]:
    """What a look makes of a server that always answers this, and what the server was asked."""

    async def look() -> tuple[F, Server]:
        async with serving(says(reply)) as server:
            base = f"http://{LOCAL}:{server.port}"
            target = Target(name="t", hosts=Hosts(registry=base, auth=base))
            keys = Keys(main=SecretStr(key) if key else None)
            async with HttpDoor(target, keys, Redactor(keys.secrets())) as door:
                facts = await take(Look.new(target, door, None, keys, "run"))
            return facts, server

    return asyncio.run(look())


def test_invalid_keys_are_many_kinds_and_none_is_the_real_one() -> None:
    """Seven made-up keys as Bearer, one in forms that count as none, one in the query, one at auth."""
    facts, server = taken(invalid_keys, http("401 Unauthorized", b'{"detail": "Invalid or expired API key"}'))
    sent = b"\n".join(server.heads)
    assert (set(facts.fakes), set(facts.rough), set(facts.malformed)) == (
        set(FAKES),
        set(ROUGH),
        set(MALFORMED),
    )
    assert KEY.encode() not in sent
    assert (sent.count(b"GET /api/"), sent.count(b"POST /api/v1/keys/validate")) == (12, 1)
    assert b"?api_key=hk_test_nobody" in sent
    assert set(facts.places) >= {"fakes.unknown", "rough.empty", "malformed.basic", "query"}


def test_spellings_go_out_as_they_are_written() -> None:
    """Two blanks stay two, and the header's name keeps its letters."""
    _, server = taken(key_spellings, http("404 Not Found"))
    found = {line for head in server.heads for line in head.split(b"\r\n") if KEY.encode() in line}
    assert found == {
        b"Authorization: Bearer  " + KEY.encode(),
        b"x-api-key: " + KEY.encode(),
        b"X-API-KEY: " + KEY.encode(),
    }


def test_a_preflight_has_an_origin_and_no_key() -> None:
    """The standard: OPTIONS with Origin and what is asked for, never with credentials."""
    _, server = taken(preflight, http("200 OK", b"OK", access_control_allow_origin="*"))
    (head,) = server.heads
    assert head.startswith(b"OPTIONS /api/")
    assert b"Origin: https://" in head
    assert KEY.encode() not in head


@pytest.mark.parametrize(
    ("key", "prefix", "misplaced", "odd", "well"),
    [
        (KEY, "hk_test_", False, 0, True),
        ("hk_live_a-b_c", "hk_live_", False, 0, True),
        (f"'{KEY}'", "", True, 2, False),
        (f"HOKUSAI_API_KEY={KEY}", "", True, 1, False),
        ("0123456789abcdef", "", False, 0, False),
        (f"{KEY},", "hk_test_", False, 1, False),
    ],
)
def test_a_keys_shape_is_told_without_the_key(
    key: str, prefix: str, misplaced: bool, odd: int, well: bool
) -> None:
    """Prefix, what stands before it, and how much of it no key has; no request is sent."""
    facts, server = taken(key_shape, http(), key)
    assert (facts.prefix, facts.misplaced, facts.odd, facts.well) == (prefix, misplaced, odd, well)
    assert server.heads == []
    assert "9876543210" not in facts.model_dump_json()


def test_validation_keeps_what_the_key_may_do_and_nothing_of_whom() -> None:
    """Scopes, service, whether it is an admin's; what the answer does not say stays open."""
    facts, _ = taken(key_validation, http("200 OK", VALID, content_type="application/json"))
    assert (facts.service_id, facts.scopes, facts.is_admin, facts.can_pay) == ("website", ("a",), False, None)


def test_other_services_are_asked_for_once_auth_gave_a_verdict() -> None:
    """Three more validations, or none where the first two had no answer of auth's."""
    reply = http("200 OK", VALID, content_type="application/json")

    async def asked(look: Look, validation: KeyValidationFacts) -> ServiceIdsFacts:
        return await service_ids(look, validation)

    facts, server = taken(lambda look: asked(look, validation_facts()), reply)
    assert (len(server.heads), set(facts.answers)) == (
        3,
        {"platform", "website", "prediction-api", "ml-platform"},
    )
    nothing, server = taken(lambda look: asked(look, validation_facts(bad_gateway())), reply)
    assert (server.heads, nothing) == ([], ServiceIdsFacts())


def test_the_gateway_in_auths_place_is_not_auth() -> None:
    """INC-07: a 401 about the authentication service, or any 401 on a path that nobody has, is not auth's."""
    late = refusal(401, "Authentication service timeout")
    assert validation_facts().by_auth
    assert validation_facts(UNKNOWN).by_auth
    assert not validation_facts(late).by_auth
    assert not validation_facts(UNKNOWN, unknown=refusal(401, "API key required")).by_auth
