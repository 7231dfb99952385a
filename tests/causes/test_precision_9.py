"""A name that leads past MLflow, and health checks that ask beside the service."""

from typing import Any

import pytest
from _evidence import unfounded
from _facts import (
    OUTSIDE,
    SEARCH,
    discovery_facts,
    group,
    group_facts,
    hosts_facts,
    inside,
    outside,
    refusal,
    registered,
    silence,
    unavailable,
)
from test_diagnoses import concluded, lines, named
from test_way_to_mlflow import LATE, NAME, NEW, OLD, seen, told

from hokusai_probe.declare import Catalogue
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts

MISSING, PATH = "service-discovery-name-missing", "health-check-path-wrong"


def remedy(real: Catalogue, facts: dict[str, Facts], cause: str) -> Remedy:
    """What is to be typed against a cause that is present."""
    found = concluded(real, facts.values()).diagnoses
    one = next(d for d in found if d.cause == cause and d.status == "present").remedy
    assert one is not None
    return one


# --- Cloud Map ------------------------------------------------------------------------------------------


def leading(*addresses: str, search: Any = LATE, mlflow: Group | None = None) -> dict[str, Facts]:
    """The gateway uses MLflow's name, which has these addresses."""
    groups = group_facts(mlflow=mlflow or group("mlflow", registered(5000, ip=NEW)))
    there = discovery_facts(mlflow=addresses)
    return seen(search) | inside(task_definitions=told(NAME), target_groups=groups, service_discovery=there)


@pytest.mark.parametrize(
    "search", [LATE, refusal(502, f"Failed to connect to MLflow server at {NAME}", path=SEARCH)]
)
def test_a_name_that_leads_to_a_task_of_old_is_lost(real: Catalogue, search: Any) -> None:
    """INC-28: connecting times out, or somebody else refuses; the gateway's own setting is right."""
    facts = leading(OLD, search=search)
    found = concluded(real, facts.values())

    assert lines(found, "present")[0] == f"confirmed {MISSING} mlflow"
    assert not unfounded(found.diagnoses, facts.values())


def test_an_instance_of_old_is_taken_out_and_a_new_task_registered(real: Catalogue) -> None:
    """ECS registers its own task only, and leaves alone what somebody else put there."""
    one = remedy(real, leading(OLD), MISSING)

    assert one.kind == "needs-value"
    assert "--force-new-deployment" in one.aws_cli[0]
    assert OLD in "".join(one.aws_cli)
    assert "deregister-instance" in one.aws_cli[-1]


@pytest.mark.parametrize(
    "facts",
    [
        leading(NEW),
        leading(OLD, NEW),
        leading(OLD, mlflow=group("mlflow", registered(5000, "draining", ip=OLD), registered(5000, ip=NEW))),
        leading(OLD, mlflow=group("mlflow", registered(5000, "unhealthy", ip=NEW))),
    ],
    ids=["MLflow's own", "MLflow's own among others", "a task that ends", "a target that is not well"],
)
def test_a_name_is_not_lost_where_it_may_lead_to_mlflow(real: Catalogue, facts: dict[str, Facts]) -> None:
    """Only a target that is well shows where MLflow is; one that leaves is MLflow's still."""
    assert MISSING not in named(concluded(real, facts.values()), "present")


# --- health checks --------------------------------------------------------------------------------------


def checked(service: str, reason: str, state: str = "unhealthy", **more: Any) -> dict[str, Facts]:
    """A platform that works, where a group's health check is set so and says this of its one target."""
    port = {"auth": 8000, "gateway": 8001, "mlflow": 5000}[service]
    target = registered(port, state, reason=reason)
    groups = group_facts(**{service: group(service, target, protocol="HTTP", **more)})
    return outside() | inside(target_groups=groups)


BESIDE = [
    ("mlflow", "Target.Timeout", {"health_port": "9101"}, "--health-check-port traffic-port"),
    ("auth", "Target.FailedHealthChecks", {"health_port": "80"}, "--health-check-port traffic-port"),
    ("gateway", "Target.FailedHealthChecks", {"health_protocol": "HTTPS"}, "--health-check-protocol HTTP"),
]


@pytest.mark.parametrize(("service", "reason", "asked", "option"), BESIDE)
def test_a_health_check_that_asks_beside_the_service_is_named(
    real: Catalogue, service: str, reason: str, asked: dict[str, str], option: str
) -> None:
    """The service works, and its load balancer asks a port or in a protocol that it does not have."""
    facts = checked(service, reason, **asked)
    found = concluded(real, facts.values())

    assert lines(found, "present") == [f"confirmed {PATH} {service}"]
    assert not unfounded(found.diagnoses, facts.values())
    assert remedy(real, facts, PATH).aws_cli[0].endswith(option)


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        ("healthy", {"health_port": "9101"}),
        ("initial", {"health_port": "9101"}),
        ("unhealthy", {"health_port": "5000", "health_protocol": "HTTP"}),
        ("unhealthy", {}),
    ],
    ids=["a port of its own that answers", "not asked yet", "as requests do", "nothing known"],
)
def test_a_health_check_is_not_blamed_for_how_it_asks(
    real: Catalogue, state: str, asked: dict[str, str]
) -> None:
    """A port of its own is a setting like any other while the check succeeds."""
    facts = checked("mlflow", "Target.Timeout", state, **asked)
    assert PATH not in named(concluded(real, facts.values()), "present")


def test_how_a_group_asks_is_not_known_of_older_recordings() -> None:
    """Observations of before have neither port nor protocol."""
    old = group("auth").model_dump(exclude={"health_port", "health_protocol", "protocol"})
    facts = TargetGroupsFacts.model_validate({"groups": [old]})
    assert (facts.groups[0].health_port, facts.groups[0].health_protocol) == ("traffic-port", "")


# --- a host whose rule leads to a group without a target ---------------------------------------------------

WRONG = "listener-rule-wrong-target-group"


@pytest.mark.parametrize(("registry", "open_"), [({}, True), ({"registry": unavailable()}, False)])
def test_503_at_one_of_two_hosts_may_be_its_rule(
    real: Catalogue, registry: dict[str, Any], open_: bool
) -> None:
    """The gateway answers at the registry host, so it has a target; the api host leads to another group."""
    facts = outside(hosts=hosts_facts(api=unavailable(), **registry))
    undecided = named(concluded(real, facts.values(), OUTSIDE), "undecided")
    assert (WRONG in undecided) is open_


# --- a load balancer that nobody reaches --------------------------------------------------------------------


def unheard(**shut: Any) -> dict[str, Facts]:
    """Hosts that take no connection; no key was judged, so that nothing is known of auth from elsewhere."""
    seen_ = outside(hosts=hosts_facts(**dict.fromkeys(shut, silence("connect-timeout"))))
    return {name: f for name, f in seen_.items() if f.probe not in {"key-validation", "invalid-keys"}}


@pytest.mark.parametrize(("state", "down"), [("healthy", False), ("unhealthy", True)])
def test_auth_is_not_down_where_only_its_load_balancer_is_out_of_reach(
    real: Catalogue, state: str, down: bool
) -> None:
    """The load balancer finds its target well, so what drops our packets stands before it."""
    groups = group_facts(auth=group("auth", registered(8000, state)))
    facts = unheard(auth=True) | inside(target_groups=groups)
    present = named(concluded(real, facts.values()), "present")

    assert ("auth-service-down" in present) is down
