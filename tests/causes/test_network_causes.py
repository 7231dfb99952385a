"""What is barred in the network, what health checks ask, and what is not mistaken for either."""

from typing import Any

import pytest
from _evidence import unfounded
from _facts import (
    ALL_IN,
    ALL_OUT,
    ANYWHERE,
    DENIED,
    OUTSIDE,
    SEARCH,
    TARGET,
    acl_facts,
    answer,
    api_facts,
    balancer,
    balancer_page,
    definition_facts,
    discovery_facts,
    forward,
    group,
    group_facts,
    inside,
    outside,
    refusal,
    registered,
    rule,
    rules_facts,
    security_facts,
    security_group,
    unavailable,
)
from test_diagnoses import behind_auth, behind_gateway, concluded, lines, mlflow_unreached, named
from test_remedies import SEEN, bare_brackets, is_good_shell, typed, unset

from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import arguments_of
from hokusai_probe.model import Facts, Observation, Remedy
from hokusai_probe.probes._firewall import AclEntry
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.load_balancer_attributes import LoadBalancerAttributesFacts
from hokusai_probe.probes.network_acls import NetworkAclsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import Group, TargetGroupsFacts, TargetSeen

GATEWAY_TIME_OUT = balancer_page(504, "Gateway Time-out")
UNWELL = HealthBodiesFacts(answers={}, services={"redis": "unhealthy", "postgres": "unhealthy"})
URL = "http://mlflow.hokusai.local:5000/mlflow"


def timed_out(service: str, port: int) -> Group:
    """A group whose only target does not answer its health check."""
    return group(service, registered(port, "unhealthy", reason="Target.Timeout"))


def code(service: str, port: int, status: int, **more: Any) -> TargetGroupsFacts:
    """A service whose health check gets this status."""
    said = f"Health checks failed with these codes: [{status}]"
    target = TargetSeen(
        id="10.0.2.9",
        port=port,
        state="unhealthy",
        reason="Target.ResponseCodeMismatch",
        description=said,
    )
    return group_facts(**{service: group(service, target, **more)})


def denied(port: int, *, egress: bool) -> AclEntry:
    """A rule that denies a port before all others."""
    return AclEntry(
        number=50, allow=False, egress=egress, protocol="6", cidr=ANYWHERE, from_port=port, to_port=port
    )


NEW_GROUP = Group(
    arn="arn:new", name="new", port=8000, health_path="/health", matcher="200", attached=True, service=None
)
DETACHED = TargetGroupsFacts(
    groups=(
        group("auth", registered(8000, "unused", reason="Target.NotInUse"), attached=False),
        *group_facts().groups[1:],
        NEW_GROUP,
    )
)
TO_NEW = rules_facts(
    auth=balancer("auth", rule("default", forward("auth").model_copy(update={"target_groups": ("arn:new",)})))
)
LOST = ServiceDiscoveryFacts(zones=("hokusai.local",), names={"auth.hokusai.local": ("10.0.1.8",)})
EMPTY = ServiceDiscoveryFacts(zones=("hokusai.local",), names={"mlflow.hokusai.local": ()})
ONLY_BY_NAME = definition_facts()
GUARDED = ONLY_BY_NAME.model_copy(
    update={
        "definitions": {
            **ONLY_BY_NAME.definitions,
            "mlflow": ONLY_BY_NAME.definitions["mlflow"].model_copy(
                update={"addresses": {"MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow.hokusai.local,localhost"}}
            ),
        }
    }
)

NO_BALANCERS = {f"load-balancer.{key}": DENIED for key in ("auth", "registry", "main")}

STORIES: dict[str, tuple[dict[str, Facts], list[str]]] = {
    "the gateway's group does not admit its load balancers": (
        behind_gateway(GATEWAY_TIME_OUT)
        | inside(
            target_groups=group_facts(gateway=timed_out("gateway", 8001)),
            security_groups=security_facts(gateway=security_group()),
        ),
        ["confirmed security-group-blocks-load-balancer gateway"],
    ),
    "the auth task is not registered at the moment": (
        behind_auth(unavailable())
        | inside(
            target_groups=group_facts(auth=timed_out("auth", 8000)),
            security_groups=security_facts(auth=security_group(("sg-lb", 1))),
        ),
        ["confirmed security-group-blocks-load-balancer auth"],
    ),
    "MLflow's group does not admit the load balancer": (
        outside()
        | inside(
            target_groups=group_facts(mlflow=timed_out("mlflow", 5000)),
            security_groups=security_facts(mlflow=security_group(("sg-gateway", 5000))),
        ),
        ["confirmed security-group-blocks-load-balancer mlflow"],
    ),
    "MLflow's group does not admit the gateway": (
        mlflow_unreached() | inside(security_groups=security_facts(mlflow=security_group(("sg-lb", 5000)))),
        ["confirmed security-group-blocks-mlflow mlflow"],
    ),
    "the cache's group does not admit the gateway": (
        outside(health_bodies=UNWELL) | inside(security_groups=security_facts(cache=security_group())),
        ["confirmed security-group-blocks-cache cache"],
    ),
    "the database's group admits MLflow alone": (
        outside(health_bodies=UNWELL)
        | inside(security_groups=security_facts(database=security_group(("sg-mlflow", 5432)))),
        ["confirmed security-group-blocks-database database"],
    ),
    "an ACL denies MLflow's port": (
        mlflow_unreached()
        | inside(
            network_acls=acl_facts(b=(denied(5000, egress=False), ALL_IN, ALL_OUT)),
            target_groups=group_facts(mlflow=timed_out("mlflow", 5000)),
        ),
        ["confirmed network-acl-blocks-subnet mlflow"],
    ),
    "an ACL denies HTTPS outwards": (
        outside(mlflow_api=api_facts(refusal(503, "Authentication service timeout", path=SEARCH)))
        | inside(network_acls=acl_facts(a=(denied(443, egress=True), ALL_IN, ALL_OUT))),
        ["confirmed network-acl-blocks-subnet auth"],
    ),
    "the auth group is detached": (
        behind_auth(unavailable()) | inside(target_groups=DETACHED, listener_rules=TO_NEW),
        ["confirmed target-group-detached auth"],
    ),
    "the gateway's health check asks what is not there": (
        outside() | inside(target_groups=code("gateway", 8001, 404, health_path="/health/live")),
        ["confirmed health-check-path-wrong gateway"],
    ),
    "MLflow redirects its health check": (
        outside() | inside(target_groups=code("mlflow", 5000, 308, health_path="/mlflow")),
        ["confirmed health-check-matcher-too-narrow mlflow"],
    ),
    "MLflow refuses the health check's Host": (
        outside() | inside(target_groups=code("mlflow", 5000, 403), task_definitions=GUARDED),
        ["confirmed health-check-refused-by-host-guard mlflow"],
    ),
    "Cloud Map has lost MLflow": (
        mlflow_unreached() | inside(service_discovery=LOST),
        ["confirmed service-discovery-name-missing mlflow"],
    ),
    "MLflow's name is empty": (
        mlflow_unreached() | inside(service_discovery=EMPTY),
        ["confirmed service-discovery-name-missing mlflow"],
    ),
    "the load balancer gives up first": (
        outside(mlflow_api=api_facts(balancer_page(504, "Gateway Time-out", path=SEARCH)))
        | inside(load_balancer_attributes=LoadBalancerAttributesFacts(idle_s={"registry": 8})),
        ["confirmed load-balancer-idle-timeout-too-short registry"],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_with_aws_the_cause_is_named_and_what_it_cites_is_there(real: Catalogue, name: str) -> None:
    """Exactly the one cause is present, nothing is undecided, and what is cited lies in the facts."""
    facts = STORIES[name][0]
    found = concluded(real, facts.values())
    assert (lines(found, "present"), named(found, "undecided")) == (STORIES[name][1], set())
    assert unfounded(found.diagnoses, facts.values()) == []


@pytest.mark.parametrize("name", STORIES)
def test_without_aws_it_is_never_present(real: Catalogue, name: str) -> None:
    """What outside eyes see fits other causes as well."""
    cause = STORIES[name][1][0].split()[1]
    seen = {key: f for key, f in STORIES[name][0].items() if key not in inside()}
    found = concluded(real, seen.values(), OUTSIDE)
    assert cause not in named(found, "present")
    assert cause not in named(found, "ruled_out")


def test_a_healthy_platform_rules_them_all_out(real: Catalogue) -> None:
    """Each is denied where AWS was read and shows nothing of it."""
    found = concluded(real, (outside() | inside()).values())
    assert {line[0].split()[1] for _, line in STORIES.values()} <= named(found, "ruled_out")


ALIKE: dict[str, tuple[dict[str, Facts], set[str]]] = {
    # facts -> what must not be present
    "a group that was detached with the rule that led elsewhere": (
        behind_auth(unavailable()) | inside(target_groups=DETACHED),
        {"target-group-detached"},
    ),
    "a service that answers its health check with its own error": (
        behind_gateway(answer(500, {"detail": "Internal server error"}))
        | inside(target_groups=code("gateway", 8001, 500)),
        {"health-check-path-wrong", "health-check-matcher-too-narrow"},
    ),
    "a service that is not ready": (
        outside() | inside(target_groups=code("gateway", 8001, 503, health_path="/ready")),
        {"health-check-path-wrong", "health-check-matcher-too-narrow"},
    ),
    "another name of MLflow's is there": (
        mlflow_unreached()
        | inside(
            service_discovery=discovery_facts(),
            task_definitions=definition_facts("http://mlflow-old.hokusai.local:5000"),
        ),
        {"service-discovery-name-missing"},
    ),
    "rules that bar a cache which is reached": (
        outside(health_bodies=HealthBodiesFacts(answers={}, services={"redis": "healthy"}))
        | inside(security_groups=security_facts(cache=security_group())),
        {"security-group-blocks-cache"},
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_looks_alike_is_not_named(real: Catalogue, name: str) -> None:
    """A look-alike, with AWS read: the cause is not present."""
    facts, absent = ALIKE[name]
    assert absent & named(concluded(real, facts.values()), "present") == set()


UNREAD: dict[str, dict[str, Facts]] = {
    "no block of addresses": {"security_groups": security_facts().model_copy(update={"cidrs": {}})},
    "no ACL": {"network_acls": NetworkAclsFacts()},
    "no load balancer": {"security_groups": security_facts().model_copy(update={"unread": NO_BALANCERS})},
}


@pytest.mark.parametrize("name", UNREAD)
def test_an_acl_that_was_not_read_is_not_ruled_out(real: Catalogue, name: str) -> None:
    """The gateway is not reached in time, and what was read of its subnets does not say why not."""
    cut = behind_gateway(GATEWAY_TIME_OUT) | inside(
        target_groups=group_facts(gateway=timed_out("gateway", 8001)), **UNREAD[name]
    )
    found = concluded(real, cut.values())
    assert "- network-acl-blocks-subnet gateway" in lines(found, "undecided")


# --- remedies -------------------------------------------------------------------------------------------


def remedy(real: Catalogue, name: str) -> Remedy:
    """The remedy of a story's cause."""
    facts, (line,) = STORIES[name]
    diagnoses = concluded(real, facts.values()).diagnoses
    found = next(d.remedy for d in diagnoses if d.cause == line.split()[1])
    assert found is not None
    return found


OPEN = "aws ec2 authorize-security-group-ingress --group-id"
PERMISSION = "--ip-permissions 'IpProtocol=tcp,FromPort={0},ToPort={0},UserIdGroupPairs=[{{GroupId={1}}}]'"
CHECK = f"aws elbv2 modify-target-group --target-group-arn {group('mlflow').arn}"
DEPLOY = "aws ecs update-service --cluster hokusai-development --service hokusai-mlflow-development"
COMMANDS: dict[str, tuple[str, ...]] = {
    "the gateway's group does not admit its load balancers": (
        f"{OPEN} sg-gateway {PERMISSION.format(8001, 'sg-lb')}",
    ),
    "the cache's group does not admit the gateway": (
        f"{OPEN} sg-cache {PERMISSION.format(6379, 'sg-gateway')}",
    ),
    "an ACL denies MLflow's port": (
        "aws ec2 delete-network-acl-entry --network-acl-id acl-b --ingress --rule-number 50",
    ),
    "the auth group is detached": (
        "aws elbv2 modify-listener --listener-arn {} --default-actions "
        f"Type=forward,TargetGroupArn={group('auth').arn}".format(TO_NEW.balancers["auth"].listeners[0].arn),
    ),
    "MLflow redirects its health check": (f'{CHECK} --matcher \'{{"HttpCode": "200,308"}}\'',),
    "MLflow refuses the health check's Host": (f"{CHECK} --health-check-path /mlflow/health",),
    "MLflow's name is empty": (f"{DEPLOY} --force-new-deployment",),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_remedy_is_what_mends_it_with_the_ids_that_were_read(real: Catalogue, name: str) -> None:
    """Automatic: nothing is left to fill in."""
    found = remedy(real, name)
    assert (found.kind, found.aws_cli) == ("automatic", COMMANDS[name])


def test_an_acl_that_allows_nothing_gets_a_rule_of_its_own_number_for_each_way(real: Catalogue) -> None:
    """AWS refuses a number that is taken."""
    facts = behind_gateway(GATEWAY_TIME_OUT) | inside(network_acls=acl_facts(a=(ALL_OUT,)))
    found = next(
        d for d in concluded(real, facts.values()).diagnoses if d.cause == "network-acl-blocks-subnet"
    )
    assert found.remedy is not None
    rules = [line.split(" --rule-number ")[1].split()[0] for line in found.remedy.aws_cli]
    assert len(rules) == len(set(rules)) > 1


@pytest.mark.parametrize("name", STORIES)
def test_every_command_can_be_pasted(real: Catalogue, name: str) -> None:
    """Bash reads each; nothing stands between angle brackets, and a variable is set before it is used."""
    seen = [Observation(probe=f.probe, facts=f, **SEEN) for f in STORIES[name][0].values()]
    cause = real.causes[STORIES[name][1][0].split()[1]]
    given = arguments_of(cause, {o.probe: o for o in seen}, TARGET)
    assert given is not None
    found = list(cause.function(**given))
    lines_typed = [line for case in found for line in typed(case)]
    assert is_good_shell(lines_typed)
    assert [line for line in lines_typed if not is_good_shell([line]) or bare_brackets(line)] == []
    for one in (case.remedy for case in found if case.remedy):
        assert unset(one.aws_cli) == set()
        assert unset([one.rollback]) == set()
