"""What fails on the way, with one verb, or now and then only, is not what fails always."""

import pytest
from _facts import (
    OUTSIDE,
    answer,
    ecs_facts,
    form_facts,
    group,
    group_facts,
    hosts_facts,
    inside,
    outside,
    refusal,
    registered,
    silence,
)
from test_diagnoses import behind_auth, concluded, named, registration

from hokusai_probe.declare import Catalogue
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts

DOWN, LOST = "auth-service-down", "gateway-drops-auth-header"
RESET = silence("reset", "the connection was reset with no answer")
REQUIRED = refusal(401, "API key required", method="POST", path="/api/2.0/mlflow/runs/search")


def cut_off(**more: Facts) -> dict[str, Facts]:
    """Our connections to the auth host are reset; nothing is known of what the gateway hears from auth."""
    facts = behind_auth(RESET, **more)
    for look in ("invalid_keys", "key_forms"):
        if look not in more:
            del facts[look]
    return facts


# --- the way to the auth host ---------------------------------------------------------------------------


def test_an_auth_service_that_judges_keys_for_the_gateway_is_not_down(real: Catalogue) -> None:
    """Made-up keys are refused by the gateway for auth's verdict, which no cache holds."""
    sick = outside(hosts=hosts_facts(auth=RESET))
    del sick["key_validation"]
    assert DOWN in named(concluded(real, sick.values(), OUTSIDE), "ruled_out")


def test_an_auth_service_that_its_load_balancer_finds_healthy_is_not_down(real: Catalogue) -> None:
    """The health check's connections come about; only ours do not."""
    sick = cut_off()
    assert DOWN in named(concluded(real, sick.values(), OUTSIDE), "present")
    well = group_facts(auth=group("auth", registered(8000)))
    assert DOWN in named(concluded(real, (sick | {"target_groups": well}).values()), "ruled_out")


def test_a_key_that_is_let_in_leaves_open_whether_a_reset_is_auths_or_the_ways(real: Catalogue) -> None:
    """It may be remembered from before an outage. A load balancer's own page is no matter of the way."""
    sick = cut_off(key_forms=form_facts())
    found = concluded(real, sick.values(), OUTSIDE)
    assert DOWN not in named(found, "present") | named(found, "ruled_out")
    late = sick | {"hosts": hosts_facts(auth=silence("timeout", "no answer within 10 s"))}
    assert DOWN in named(concluded(real, late.values(), OUTSIDE), "present")


# --- a key that is lost with one verb -------------------------------------------------------------------


def test_a_key_that_is_lost_from_what_is_posted_did_not_arrive(real: Catalogue) -> None:
    """Each form of the key is let in with GET, and each POST is told that it has none."""
    sick = outside(registration=registration(REQUIRED))
    assert named(concluded(real, sick.values(), OUTSIDE), "present") == {LOST}


def test_a_key_that_is_lost_from_a_search_did_not_arrive(real: Catalogue) -> None:
    """Reading alone shows it: MLflow searches runs by POST."""
    well = answer(body={})
    reads = {"models": well, "versions": well, "runs": REQUIRED, "pages": well}
    sick = outside(routes=MlflowRoutesFacts(reads=reads, listing=well))
    assert named(concluded(real, sick.values(), OUTSIDE), "present") == {LOST}


# --- now and then ---------------------------------------------------------------------------------------


def test_one_task_of_mlflows_speaks_one_scheme(real: Catalogue) -> None:
    """Some calls break off and most are answered: two schemes would take two tasks."""
    broken = refusal(500, "Internal server error while proxying to MLflow")
    well = answer(body={})
    reads = {"models": broken, "versions": well, "runs": well, "pages": well}
    sick = outside(routes=MlflowRoutesFacts(reads=reads, listing=well))
    ruled_out = named(concluded(real, (sick | inside()).values()), "ruled_out")
    assert "mlflow-scheme-mismatch" in ruled_out
    rollout = inside(ecs_services=ecs_facts(mlflow={"running": 2, "deployments": 2}))
    assert "mlflow-scheme-mismatch" not in named(concluded(real, (sick | rollout).values()), "ruled_out")


# --- a switch that reading shows ------------------------------------------------------------------------


@pytest.mark.parametrize("upload", [None, refusal(403, {"error": "FORBIDDEN"})])
def test_listing_artifacts_shows_that_they_are_switched_off(real: Catalogue, upload: Answer | None) -> None:
    """A run that only reads, or a key that may only read, meets the refusal that names the switch."""
    off = refusal(503, {"error": "ARTIFACTS_DISABLED", "message": "Artifact storage is disabled"})
    well = answer(body={})
    reads = dict.fromkeys(("models", "versions", "runs", "pages"), well)
    sick = outside(routes=MlflowRoutesFacts(reads=reads, listing=off))
    if upload is not None:
        sick["registration"] = registration(upload=upload)
    assert "mlflow-artifacts-disabled" in named(concluded(real, sick.values(), OUTSIDE), "present")
