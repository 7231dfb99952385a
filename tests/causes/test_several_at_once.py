"""Faults beside one another, and leftovers that hurt nobody: what may not be named, nor denied."""

import pytest
from _facts import SEARCH, answer, api_facts, group, group_facts, inside, outside, registered
from test_diagnoses import concluded, named, registration

from hokusai_probe.declare import Catalogue

TEXT = "text/plain; charset=utf-8"
PORTS = {"auth": 8000, "gateway": 8001, "mlflow": 5000}


@pytest.mark.parametrize("service", PORTS)
def test_a_dead_registration_beside_a_good_one_is_neither_named_nor_denied(
    real: Catalogue, service: str
) -> None:
    """The load balancer passes it by, so nothing fails for it; that it is there is true all the same."""
    good, dead = registered(PORTS[service]), registered(7777, "unhealthy", reason="Target.Timeout")
    groups = group_facts(**{service: group(service, good, dead)})
    found = concluded(real, (outside() | inside(target_groups=groups)).values())

    assert named(found, "present") | named(found, "undecided") == set()
    assert "target-port-mismatch" not in named(found, "ruled_out")


def test_targets_on_their_containers_ports_are_no_mismatch(real: Catalogue) -> None:
    """Nor is one that is on its way out."""
    groups = group_facts(auth=group("auth", registered(8000), registered(7777, "draining")))
    found = concluded(real, (outside() | inside(target_groups=groups)).values())

    assert "target-port-mismatch" in named(found, "ruled_out")


def test_a_refused_host_does_not_deny_that_artifacts_are_switched_off(real: Catalogue) -> None:
    """MLflow's Host check refuses before any route is looked at."""
    guard = answer(403, "Invalid Host header - possible DNS rebinding attack detected", TEXT, path=SEARCH)
    facts = outside(mlflow_api=api_facts(guard)) | {"registration": registration(guard)}
    found = concluded(real, facts.values())

    assert named(found, "present") == {"mlflow-refuses-host"}
    assert "mlflow-artifacts-disabled" not in named(found, "ruled_out")


@pytest.mark.parametrize("reason", ["Target.Timeout", "Target.FailedHealthChecks"])
def test_a_check_that_does_not_arrive_does_not_deny_that_it_asks_a_wrong_path(
    real: Catalogue, reason: str
) -> None:
    """What keeps it from the target hides what the target would say; one that is healthy says it."""
    silent = group_facts(auth=group("auth", registered(8000, "unhealthy", reason=reason)))
    of_checks = {"health-check-path-wrong", "health-check-matcher-too-narrow"}

    found = concluded(real, (outside() | inside(target_groups=silent)).values())
    assert not of_checks & (named(found, "present") | named(found, "undecided") | named(found, "ruled_out"))
    found = concluded(real, (outside() | inside()).values())
    assert of_checks <= named(found, "ruled_out")
