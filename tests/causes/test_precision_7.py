"""Causes that were named on evidence that something else shows, too; each test is one such mistake."""

from _facts import (
    OUTSIDE,
    balancer_page,
    hosts_facts,
    inside,
    invalid_facts,
    outside,
    unavailable,
)
from test_diagnoses import NOBODY_KNOWS, behind_auth, behind_gateway, concluded, named

from hokusai_probe.declare import Catalogue

# --- who answers is not down ----------------------------------------------------------------------------

TASKS_ARE_GONE = {"ecs-service-missing", "ecs-service-scaled-to-zero", "image-cannot-be-pulled"}


def test_a_gateway_that_answers_at_its_other_host_is_not_down(real: Catalogue) -> None:
    """503 at the registry alone is a rule or a target group; the gateway's tasks run."""
    sick = behind_gateway(unavailable()) | {"hosts": hosts_facts(registry=unavailable())}
    assert "gateway-down" in named(
        concluded(real, behind_gateway(unavailable()).values(), OUTSIDE), "present"
    )
    found = concluded(real, sick.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert "gateway-down" in named(found, "ruled_out")
    assert not named(found, "undecided") & TASKS_ARE_GONE
    with_aws = concluded(real, (sick | inside()).values())
    assert "gateway-down" not in named(with_aws, "present")


def test_an_auth_service_that_judges_keys_is_not_down(real: Catalogue) -> None:
    """Its health path fails, and it validates the key all the same, with and without AWS."""
    sick = outside(hosts=hosts_facts(auth=balancer_page(502, "Bad Gateway")))
    found = concluded(real, sick.values(), OUTSIDE)
    assert named(found, "present") == set()
    assert "auth-service-down" in named(found, "ruled_out")
    unwell = outside(hosts=hosts_facts(auth=unavailable()))
    open_ones = named(concluded(real, unwell.values(), OUTSIDE), "undecided")
    assert not open_ones & {"ecs-service-missing", "ecs-service-scaled-to-zero", "target-group-empty"}
    assert "auth-service-down" not in named(concluded(real, (sick | inside()).values()), "present")


def test_an_auth_service_that_refuses_a_made_up_key_is_not_down(real: Catalogue) -> None:
    """Without a key of our own, what auth says of a made-up one shows that it is there."""
    sick = outside(hosts=hosts_facts(auth=unavailable()))
    sick["invalid_keys"] = invalid_facts().model_copy(update={"direct": NOBODY_KNOWS})
    del sick["key_validation"]
    assert "auth-service-down" in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")


def test_an_auth_service_whose_validation_nobody_asked_for_is_not_denied_to_be_down(real: Catalogue) -> None:
    """A well /health says nothing of its API: without that look it stays open whether auth is down."""
    sick = behind_auth(hosts_facts().hosts["auth"].health)
    del sick["key_validation"]
    assert "auth-service-down" not in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")
