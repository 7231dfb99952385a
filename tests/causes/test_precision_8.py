"""What port 80 and an open circuit breaker prove, and what they do not."""

import pytest
from _facts import (
    GATEWAY_OK,
    OUTSIDE,
    answer,
    fixed_404,
    hosts_facts,
    outside,
    silence,
    unavailable,
)
from test_diagnoses import concluded, named

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Target
from hokusai_probe.probes.health_bodies import views_in
from hokusai_probe.probes.plain_http import ASKED, PlainHttpFacts, hosts_of

REDIRECT = answer(
    301, "", "text/html", headers={"server": "awselb/2.0", "location": "https://api.hokus.ai:443/"}
)
SERVED = answer(body=GATEWAY_OK)
HTTP, MISSING = "listener-rules-only-on-http", "listener-rule-missing"


def on_80(host: str = "api", served: Answer = SERVED, nobodys: Answer = REDIRECT) -> PlainHttpFacts:
    """Port 80 redirects everywhere but on one path of one host."""
    paths: dict[str, Answer] = dict.fromkeys(ASKED, REDIRECT) | {host: served}
    others: dict[str, Answer] = dict.fromkeys(ASKED, REDIRECT) | {host: nobodys}
    return PlainHttpFacts.model_validate({"answers": paths, "nobodys": others})


def found(real: Catalogue, plain: PlainHttpFacts | None, **hosts: Answer) -> tuple[set[str], set[str]]:
    """Which of the two are present and which undecided, from outside, where hosts answer so."""
    facts = outside() | {"hosts": hosts_facts(**hosts)} | ({"p": plain} if plain else {})
    concluded_ = concluded(real, facts.values(), OUTSIDE)
    both = {HTTP, MISSING}
    return named(concluded_, "present") & both, named(concluded_, "undecided") & both


def test_a_rule_on_port_80_is_proof_where_port_443_answers_itself(real: Catalogue) -> None:
    """Before port 80 was asked both were open; a service there names one, a redirect denies it."""
    assert found(real, None, api=fixed_404()) == (set(), {HTTP, MISSING})
    assert found(real, on_80(), api=fixed_404()) == ({HTTP}, set())
    assert found(real, on_80(served=REDIRECT), api=fixed_404()) == (set(), {MISSING})


@pytest.mark.parametrize(
    ("plain", "hosts"),
    [
        (on_80("registry"), {"api": fixed_404()}),
        (on_80("auth"), {"api": fixed_404(), "auth": silence()}),
        (on_80("registry"), {"registry": unavailable()}),
    ],
    ids=["another host is well", "another host is dead", "nobody answered 404"],
)
def test_a_service_on_port_80_proves_nothing_where_port_443_was_not_seen_to_answer_itself(
    real: Catalogue, plain: PlainHttpFacts, hosts: dict[str, Answer]
) -> None:
    """That port 80 serves is a fault of its own, and no reason for what fails elsewhere."""
    assert HTTP not in found(real, plain, **hosts)[0]


@pytest.mark.parametrize(
    "plain",
    [
        on_80(nobodys=answer(404, {"detail": "Not Found"})),
        on_80(served=unavailable()),
        on_80(served=silence()),
    ],
    ids=["every path is served", "nobody is behind the rule", "no answer"],
)
def test_port_80_leaves_open_what_it_does_not_show(real: Catalogue, plain: PlainHttpFacts) -> None:
    """A default that takes everything is no rule; a 5xx may come from a rule or from the default."""
    assert found(real, plain, api=fixed_404()) == (set(), {HTTP, MISSING})


@pytest.mark.parametrize(
    ("url", "ports", "asked"),
    [
        ("https://m.example", {}, ("registry",)),
        ("https://m.example:443", {}, ("registry",)),
        ("https://m.example:8443", {}, ()),
        ("https://m.example:8443", {"registry": 8080}, ("registry",)),
        ("http://m.example:8001", {}, ()),
    ],
)
def test_port_80_is_asked_only_where_it_is_the_same_load_balancers(
    url: str, ports: dict[str, int], asked: tuple[str, ...]
) -> None:
    """Beside another port than 443, anybody may listen on 80."""
    target = Target.model_validate(
        {"name": "t", "hosts": {"registry": url}, "network": {"http_ports": ports}}
    )

    assert hosts_of(target) == asked


def breaker(path: str, error: str, status: int = 503, **more: object) -> Answer:
    """One of the gateway's two MLflow health paths, unwell."""
    body = {"connected": False, "circuit_breaker_state": "OPEN", "error": error} | more
    if path == "/api/health/mlflow":
        body = {"detail": {"checks": {"connectivity": {"status": "unhealthy", "error": error}}}}
    return answer(status, body, path=path)


HEALTH, API = "/health/mlflow", "/api/health/mlflow"
OPEN = {path: breaker(path, "circuit breaker is open") for path in (HEALTH, API)}


def said_of_mlflow(first: dict[str, Answer]) -> list[str]:
    """What is said of MLflow itself where the breaker answers in its stead afterwards."""
    return [v.error for v in views_in(OPEN, first) if not v.by_breaker]


def test_the_500_of_an_open_breaker_says_nothing_of_mlflow() -> None:
    """Its state cannot be written (L-05); ``connected: false`` stands beside that."""
    unwritten = "Object of type datetime is not JSON serializable"
    told = breaker(HEALTH, unwritten, 500, circuit_breaker_state="UNKNOWN")

    assert [v.by_breaker for v in views_in({HEALTH: told}, {})] == [True]


def test_a_complaint_that_was_made_once_is_not_held_against_traffic() -> None:
    """MLflow may have come between two looks; two paths that complain, or an answer, are another matter."""
    refused, missing = "connection refused", "HTTP 404"

    assert said_of_mlflow({HEALTH: breaker(HEALTH, refused)}) == []
    assert said_of_mlflow({p: breaker(p, refused) for p in (HEALTH, API)}) == [refused, refused]
    assert said_of_mlflow({HEALTH: breaker(HEALTH, missing)}) == [missing]
