"""Who must act when keys are refused: the caller, the gateway or auth, and when nobody can tell."""

from typing import Any

import pytest
from _evidence import unfounded
from _facts import (
    DENIED,
    GOOD_KEY,
    OUTSIDE,
    TARGET,
    answer,
    api_facts,
    bad_gateway,
    discovery_facts,
    form_facts,
    hosts_facts,
    inside,
    invalid_facts,
    no_key_facts,
    outside,
    refusal,
    unavailable,
    validation_facts,
)
from test_diagnoses import DEAD_AUTH, NOBODY_KNOWS, behind_auth, concluded, lines, named, registration
from test_remedies import is_good_shell, typed, unset

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import blamed
from hokusai_probe.engine import arguments_of, judge
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Observation, Target
from hokusai_probe.probes.key_shape import KeyShapeFacts
from hokusai_probe.probes.key_spellings import KeySpellingsFacts
from hokusai_probe.probes.log_tails import LogLine, LogTailsFacts, ServiceLog
from hokusai_probe.probes.preflight import PreflightFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.service_ids import ServiceIdsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

AUTH_URL = "https://auth.hokus.ai"
UNKNOWN = refusal(401, "API key not found or invalid")
TIMEOUT = refusal(503, "Authentication service timeout")
REQUIRED = refusal(401, "API key required")
NO_TABLE = refusal(500, '(psycopg2.errors.UndefinedTable) relation "x" does not exist')
REVOKED = answer(body={"is_valid": False, "error": "API key is revoked"})
IN = refusal(404, "Not Found")
POOR = refusal(402, "Insufficient balance")
TOO_OFTEN = refusal(429, "Rate limit exceeded")
NO_ADMIN = answer(403, {"detail": "Admin access required", "error": "REGISTRY_ADMIN_REQUIRED"})


def gateway_told(**addresses: str) -> TaskDefinitionsFacts:
    """The gateway is told these addresses; auth listens on 8000."""
    told = {
        "MLFLOW_SERVER_URL": "http://mlflow.hokusai.local:5000/mlflow",
        "HOKUSAI_AUTH_SERVICE_URL": AUTH_URL,
        "AUTH_SERVICE_ID": "platform",
    } | addresses
    return TaskDefinitionsFacts(
        definitions={
            "gateway": TaskDefinition(arn="gateway:1", container="gateway", addresses=told, ports=(8001,)),
            "auth": TaskDefinition(arn="auth:1", container="auth", ports=(8000,), log_group="/ecs/auth"),
        }
    )


def refusing(**more: Facts) -> dict[str, Facts]:
    """The gateway refuses the key, which auth accepts."""
    return outside(key_forms=form_facts(NOBODY_KNOWS), mlflow_api=api_facts(NOBODY_KNOWS)) | more


def no_verdict(text: Answer = DEAD_AUTH, **more: Facts) -> dict[str, Facts]:
    """The gateway has no verdict on any key, and auth judges them when asked directly."""
    return (
        outside(key_forms=form_facts(text), invalid_keys=invalid_facts(text), mlflow_api=api_facts(text))
        | more
    )


def auth_api(given: Answer, **more: Facts) -> dict[str, Facts]:
    """Auth's health is well, and it validates no key but answers so."""
    return no_verdict(key_validation=validation_facts(given), **more)


def auth_log(*texts: str) -> LogTailsFacts:
    """Auth's log with these lines."""
    found = tuple(LogLine(at="2026-06-01T10:00:00Z", text=t) for t in texts)
    return LogTailsFacts(logs={"auth": ServiceLog(group="/ecs/auth", lines=found)})


LATE_GOOD = answer(body=GOOD_KEY).model_copy(update={"elapsed_s": 6.0})


def slow(given: Answer, seconds: float = 6.0) -> dict[str, Facts]:
    """Auth answers a validation so late, and everything else at once."""
    late = given.model_copy(update={"elapsed_s": seconds})
    return no_verdict(TIMEOUT, key_validation=validation_facts(late))


def spelt(**changed: Answer) -> KeySpellingsFacts:
    """Each spelling is let in, some changed."""
    known = {"bearer-two-blanks": IN, "x-api-key-lower": IN, "x-api-key-upper": IN}
    return KeySpellingsFacts(answers=known | {n.replace("_", "-"): a for n, a in changed.items()})


def right(**addresses: str) -> dict[str, Facts]:
    """What AWS shows, with the gateway told these addresses."""
    return inside(task_definitions=gateway_told(**addresses))


LET_IN = invalid_facts(IN).model_copy(update={"direct": answer(body={"is_valid": True})})
AGAINST_AUTH = invalid_facts(IN).model_copy(update={"direct": UNKNOWN})
QUOTED = KeyShapeFacts(variable="HOKUSAI_API_KEY", misplaced=True, odd=2)
BAD_KEY = {
    "key_forms": form_facts(NOBODY_KNOWS),
    "key_validation": validation_facts(UNKNOWN),
    "mlflow_api": api_facts(NOBODY_KNOWS),
}
WRONG_ID, IN_BODY, WRONG_URL = (
    "gateway-sends-wrong-service-id",
    "gateway-sends-key-where-auth-does-not-look",
    "gateway-auth-url-wrong",
)

Story = tuple[dict[str, Facts], Target, list[str], list[str]]

STORIES: dict[str, Story] = {
    # facts, target -> present, undecided
    "wrong service id": (
        refusing() | right(AUTH_SERVICE_ID="ml-platform"), TARGET, [f"confirmed {WRONG_ID} gateway"], [],
    ),
    "key in the body": (refusing() | right(), TARGET, [f"likely {IN_BODY} gateway"], []),
    "a good key refused, from outside": (
        refusing(), OUTSIDE, [],
        [f"- {WRONG_URL} gateway", f"- {IN_BODY} gateway", f"- {WRONG_ID} gateway"],
    ),
    "a good key refused by another platform's auth": (
        refusing() | right(HOKUSAI_AUTH_SERVICE_URL="https://auth.example"), TARGET,
        [], [f"- {WRONG_URL} gateway", f"- {IN_BODY} gateway"],
    ),
    "a path in auth's address": (
        no_verdict() | right(HOKUSAI_AUTH_SERVICE_URL=f"{AUTH_URL}/api"), TARGET,
        [f"confirmed {WRONG_URL} gateway"], [],
    ),
    "no verdict, from outside": (no_verdict(), OUTSIDE, [], [f"- {WRONG_URL} gateway"]),
    "no verdict, and the address is right": (no_verdict() | right(), TARGET, [], []),
    "auth slow": (slow(answer(body={"is_valid": True})), OUTSIDE, ["confirmed auth-service-slow auth"], []),
    "auth slow now and then": (
        no_verdict(TIMEOUT, key_validation=validation_facts(answer(body=GOOD_KEY), LATE_GOOD)),
        OUTSIDE, ["confirmed auth-service-slow auth"], [],
    ),
    "auth late once, and the gateway never noticed": (
        outside(key_validation=validation_facts(answer(body=GOOD_KEY), LATE_GOOD)), OUTSIDE, [], [],
    ),
    "auth slow, and it does not know the key": (
        slow(UNKNOWN), OUTSIDE,
        ["confirmed auth-service-slow auth", "confirmed key-unknown-or-expired key"], [],
    ),
    "auth's table, in its answer": (
        auth_api(NO_TABLE), OUTSIDE, ["confirmed auth-database-schema-missing auth"], [],
    ),
    "auth's table, in its log": (
        auth_api(refusal(500, "Internal error")) | right() | {"log": auth_log("UndefinedTable: keys")},
        TARGET, ["confirmed auth-database-schema-missing auth"], [],
    ),
    "auth fails and its log names no table": (
        auth_api(refusal(500, "Internal error")) | right() | {"log": auth_log("Traceback")},
        TARGET, ["likely auth-service-down auth"], [],
    ),
    "auth fails, from outside": (
        auth_api(refusal(500, "Internal error")), OUTSIDE,
        ["- auth-service-down auth"], ["- auth-database-schema-missing auth"],
    ),
    "an outage told as 401": (
        behind_auth(unavailable()) | {"key_forms": form_facts(refusal(401, "Authentication service error"))},
        OUTSIDE,
        ["confirmed gateway-hides-auth-outage-as-401 gateway", "- auth-service-down auth"],
        ["- ecs-service-missing auth", "- target-group-empty auth"],
    ),
    "a key with its quotes": (
        outside(**BAD_KEY, key_shape=QUOTED), OUTSIDE,
        ["confirmed key-malformed key", "confirmed key-unknown-or-expired key"], [],
    ),
    "an unknown key of the right form": (
        outside(**BAD_KEY, key_shape=KeyShapeFacts(variable="K", prefix="hk_live_")), OUTSIDE,
        ["confirmed key-unknown-or-expired key"], [],
    ),
    "no admin": (outside(mlflow_api=api_facts(NO_ADMIN)), OUTSIDE, ["confirmed key-not-admin key"], []),
    "no balance": (
        outside(key_forms=form_facts(POOR), mlflow_api=api_facts(POOR)), OUTSIDE,
        ["confirmed account-out-of-balance key"], [],
    ),
    "no balance for what is charged": (
        outside(registration=registration(answer(402, {"error": "usage_debit_rejected"}))), OUTSIDE,
        ["confirmed account-out-of-balance key"], [],
    ),
    "too often": (
        outside(mlflow_api=api_facts(TOO_OFTEN)), OUTSIDE, ["confirmed rate-limited key"], [],
    ),
    "a header that is lost": (
        outside(key_forms=form_facts(bearer=REQUIRED, apikey=REQUIRED), mlflow_api=api_facts(REQUIRED)),
        OUTSIDE, ["confirmed gateway-drops-auth-header gateway"], [],
    ),
    "a spelling that is lost": (
        outside(key_spellings=spelt(bearer_two_blanks=REQUIRED)), OUTSIDE,
        ["confirmed gateway-drops-auth-header gateway"], [],
    ),
    "auth lets anybody in": (
        outside(invalid_keys=LET_IN), OUTSIDE, ["confirmed key-accepted-when-invalid auth"], [],
    ),
    "the gateway lets anybody in": (
        outside(invalid_keys=AGAINST_AUTH), OUTSIDE, ["confirmed key-accepted-when-invalid gateway"], [],
    ),
    "a refusal with the key in it": (
        outside(invalid_keys=invalid_facts(refusal(401, "no: [redacted]", echoes=True))), OUTSIDE,
        ["confirmed gateway-repeats-keys gateway"], [],
    ),
    "a revoked key let in": (
        outside(key_validation=validation_facts(REVOKED)), OUTSIDE,
        ["confirmed key-unknown-or-expired key"], [],
    ),
    "a preflight that wants a key": (
        outside(preflight=PreflightFacts(answer=REQUIRED)), OUTSIDE,
        ["confirmed preflight-requires-key gateway"], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_who_must_act_is_named_or_left_open(real: Catalogue, name: str) -> None:
    """Present and, among others, undecided; nothing unexplained but where no cause fits."""
    facts, target, present, undecided = STORIES[name]
    found = concluded(real, facts.values(), target)
    assert sorted(lines(found, "present")) == sorted(present)
    open_ones = lines(found, "undecided")
    assert set(open_ones) >= set(undecided)
    assert bool(open_ones) == bool(undecided)
    assert found.errors == ()
    assert unfounded(found.diagnoses, facts.values()) == []


def test_a_key_with_its_quotes_is_the_reason_why_auth_does_not_know_it(real: Catalogue) -> None:
    """One defect, one root."""
    found = concluded(real, STORIES["a key with its quotes"][0].values(), OUTSIDE)
    roots = [d.cause for d in found.diagnoses if d.status == "present" and d.caused_by is None]
    assert roots == ["key-malformed"]


MINE = {
    "account-out-of-balance", "auth-database-schema-missing", "auth-service-slow", "gateway-auth-url-wrong",
    "gateway-drops-auth-header", "gateway-repeats-keys", "gateway-sends-wrong-service-id",
    "key-accepted-when-invalid",
    "key-malformed", "key-not-admin", "key-unknown-or-expired", "preflight-requires-key",
}  # fmt: skip


def test_a_healthy_platform_refutes_what_can_be_refuted(real: Catalogue) -> None:
    """Nothing is present or undecided, and what was looked at is denied."""
    facts = outside(
        preflight=PreflightFacts(answer=answer(204)),
        key_shape=KeyShapeFacts(variable="K", prefix="hk_live_"),
        registration=registration(),
    )
    found = concluded(real, (facts | right()).values())
    assert named(found, "present") | named(found, "undecided") == set()
    assert named(found, "ruled_out") >= MINE


HIDDEN = {
    "key-unknown-or-expired", "key-malformed", "key-not-admin", "key-for-another-service", WRONG_ID, IN_BODY,
    "rate-limited", "key-accepted-when-invalid", "account-out-of-balance",
}  # fmt: skip


@pytest.mark.parametrize("health", [bad_gateway(), unavailable()], ids=["502", "503"])
def test_an_outage_of_auth_neither_blames_nor_clears_the_key(real: Catalogue, health: Answer) -> None:
    """While auth is down nothing is known about keys."""
    facts = behind_auth(health) | {"key_shape": QUOTED}
    found = concluded(real, facts.values(), OUTSIDE)
    assert (named(found, "present") | named(found, "undecided") | named(found, "ruled_out")) & HIDDEN == set()


def test_a_bad_key_hides_the_wrong_service_id(real: Catalogue) -> None:
    """With a key that auth refuses nobody can tell whether a good one would be let in."""
    facts = outside(**BAD_KEY) | right(AUTH_SERVICE_ID="ml-platform")
    found = concluded(real, facts.values())
    assert lines(found, "present") == ["confirmed key-unknown-or-expired key"]
    assert WRONG_ID not in named(found, "ruled_out")


def test_what_the_target_accepts_is_no_second_cause(real: Catalogue) -> None:
    """In 2025-08 an outage was told as 401 and preflights wanted a key."""
    accept = OUTSIDE.accept.model_copy(update={"behaviours": ("outage-as-401", "preflight-needs-key")})
    facts = behind_auth(
        unavailable(),
        key_forms=form_facts(refusal(401, "Authentication service error")),
        preflight=PreflightFacts(answer=REQUIRED),
    )
    found = concluded(real, facts.values(), OUTSIDE.model_copy(update={"accept": accept}))
    assert lines(found, "present") == ["- auth-service-down auth"]


ADDRESSES: dict[str, tuple[str, str]] = {
    # the gateway's address of auth, while auth judges keys and the gateway does not hear it
    "the same, port written out": (f"{AUTH_URL}:443/", "ruled_out"),
    "a private name on auth's port": ("http://auth.hokusai.local:8000", "ruled_out"),
    "the address of a task": ("http://10.0.1.10:8000", "ruled_out"),
    "a private name on another port": ("http://auth.hokusai.local:5000", "present"),
    "a port that is none": (f"{AUTH_URL}:https", "present"),
    "plain http": ("http://auth.hokus.ai", "present"),
    "a private name that never was": ("http://login.hokusai.local:8000", "present"),
    "a zone that is not there": ("http://auth.old.local:8000", "present"),
    "another host": ("https://auth.old.example", "present"),
    "a fixed address": ("http://10.0.1.173:8000", "present"),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_of_auth_is_judged_by_where_it_leads(real: Catalogue, name: str) -> None:
    """Auth's public address and its private name are right; another scheme, port or host is not."""
    url, status = ADDRESSES[name]
    found = concluded(real, (no_verdict() | right(HOKUSAI_AUTH_SERVICE_URL=url)).values())
    assert WRONG_URL in named(found, status)


def test_where_cloud_map_cannot_be_read_no_private_name_is_wrong(real: Catalogue) -> None:
    """Denied is not empty."""
    url = gateway_told(HOKUSAI_AUTH_SERVICE_URL="http://auth.hokusai.local:8000")
    blind = ServiceDiscoveryFacts(failure=DENIED)
    found = concluded(real, (no_verdict() | inside(task_definitions=url, service_discovery=blind)).values())
    assert WRONG_URL in named(found, "undecided")


def test_another_host_is_no_proof_while_auth_is_down(real: Catalogue) -> None:
    """It may be a second name of auth's."""
    facts = behind_auth(bad_gateway()) | right(HOKUSAI_AUTH_SERVICE_URL="https://auth.old.example")
    found = concluded(real, facts.values())
    assert WRONG_URL not in named(found, "present") | named(found, "ruled_out")


def test_auths_private_name_without_an_address_is_somebody_elses_matter(real: Catalogue) -> None:
    """The name is right and Cloud Map lost it."""
    facts = no_verdict() | inside(
        task_definitions=gateway_told(HOKUSAI_AUTH_SERVICE_URL="http://auth.hokusai.local:8000"),
        service_discovery=discovery_facts(auth=()),
    )
    assert WRONG_URL not in named(concluded(real, facts.values()), "present")


def test_a_gateway_that_waits_in_vain_for_a_quick_auth_proves_no_slowness(real: Catalogue) -> None:
    """Between the two there may be anything."""
    found = concluded(real, no_verdict(TIMEOUT).values(), OUTSIDE)
    assert "auth-service-slow" not in named(found, "present") | named(found, "ruled_out")


def test_the_gateway_in_auths_place_is_not_auth_being_slow(real: Catalogue) -> None:
    """INC-07: its refusal takes as long as it waits for itself."""
    facts = no_verdict(TIMEOUT)
    late = TIMEOUT.model_copy(update={"elapsed_s": 6.0})
    facts["key_validation"] = validation_facts(late, unknown=REQUIRED)
    assert "auth-service-slow" not in named(concluded(real, facts.values(), OUTSIDE), "present")


def test_an_old_line_of_the_log_proves_nothing_while_keys_are_judged(real: Catalogue) -> None:
    """The table is there by now."""
    facts = outside() | right() | {"log": auth_log("UndefinedTable: keys")}
    assert "auth-database-schema-missing" in named(concluded(real, facts.values()), "ruled_out")


BLAMES = {
    "wrong service id": "them", "auth slow": "them", "an outage told as 401": "them",
    "a key with its quotes": "you", "no balance": "you", "no admin": "policy", "too often": "policy",
    "a preflight that wants a key": "them", "auth lets anybody in": "them",
}  # fmt: skip


@pytest.mark.parametrize("name", BLAMES)
def test_a_third_party_reads_whose_trouble_it_is(real: Catalogue, name: str) -> None:
    """You, them, or a rule: each failing verdict says the same."""
    facts, target, _, _ = STORIES[name]
    seen = observed(facts)
    verdicts = judge(real, seen, target, frozenset(real.checks))
    found = concluded(real, facts.values(), target)
    judged = blamed(real, verdicts, found.diagnoses)
    assert {v.blame for v in judged if v.status == "fail"} == {BLAMES[name]}


def observed(facts: dict[str, Facts]) -> list[Observation]:
    """The facts as a run has them."""
    given: dict[str, Any] = {
        "started_at": "2025-08-05T09:27:00Z", "duration_s": 0.1, "status": "seen",
    }  # fmt: skip
    return [Observation(probe=f.probe, facts=f, **given) for f in facts.values()]


@pytest.mark.parametrize("name", STORIES)
def test_every_command_can_be_pasted(real: Catalogue, name: str) -> None:
    """Bash reads each line, and every variable is set before it is used."""
    facts, target, _, _ = STORIES[name]
    for cause in (real.causes[slug] for slug in sorted(MINE | {IN_BODY, "rate-limited"})):
        given = arguments_of(cause, {o.probe: o for o in observed(facts)}, target)
        for case in cause.function(**given) if given is not None else ():
            assert is_good_shell(list(typed(case)))
            assert case.remedy is None or unset(case.remedy.aws_cli) == set()


def test_a_wrong_address_and_a_wrong_id_are_mended_as_printed(real: Catalogue) -> None:
    """The commands hold the right value and need nothing from a person."""
    for name, value in (("a path in auth's address", AUTH_URL), ("wrong service id", "platform")):
        found = concluded(real, STORIES[name][0].values())
        (remedy,) = (d.remedy for d in found.diagnoses if d.status == "present")
        assert remedy is not None
        assert remedy.kind == "automatic"
        assert f" {value} >" in remedy.aws_cli[0]


def test_an_admins_key_that_is_refused_as_none_is_not_the_callers_fault(real: Catalogue) -> None:
    """Auth marks it as an admin's: the gateway is wrong, and no cause of ours says how."""
    admins = validation_facts().model_copy(update={"is_admin": True})
    facts = outside(mlflow_api=api_facts(NO_ADMIN), key_validation=admins)
    found = concluded(real, facts.values(), OUTSIDE)
    assert (named(found, "present"), "experiments-can-be-searched" in found.unexplained) == (set(), True)


def test_auths_word_on_admins_and_balance_is_evidence(real: Catalogue) -> None:
    """What auth says of the key stands beside the refusal."""
    said = validation_facts().model_copy(update={"is_admin": False, "can_pay": False})
    for refusal_of, fact in ((NO_ADMIN, "is_admin"), (POOR, "can_pay")):
        facts = outside(mlflow_api=api_facts(refusal_of), key_validation=said)
        found = concluded(real, facts.values(), OUTSIDE)
        (present,) = (d for d in found.diagnoses if d.status == "present")
        assert ("key-validation", fact, False) in {(e.probe, e.fact, e.value) for e in present.evidence}


def test_where_no_key_is_asked_for_no_key_is_let_in_wrongly(real: Catalogue) -> None:
    """The auth service's own 404 has the gateway's words; a rule may lead there."""
    facts = outside(no_key=no_key_facts(IN), invalid_keys=invalid_facts(IN))
    assert "key-accepted-when-invalid" not in named(concluded(real, facts.values(), OUTSIDE), "present")


def test_a_service_for_everybody_is_explained_by_auth_that_lets_anybody_in(real: Catalogue) -> None:
    """A key of the platform that is good for the website, too."""
    good = answer(body={"is_valid": True})
    strays = ServiceIdsFacts(own="platform", answers={"platform": good, "website": good})
    facts = outside(invalid_keys=LET_IN, service_ids=strays, no_key=no_key_facts(), hosts=hosts_facts())
    found = concluded(real, facts.values(), OUTSIDE)
    (present,) = (d for d in found.diagnoses if d.status == "present")
    assert set(present.explains) == {"invalid-keys-are-refused", "other-services-are-refused"}
    assert found.unexplained == ()
