"""The healthy platform, running: the control plane tells the truth, and is obeyed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from control_side import Prober, accepts, eventually, ip_of

from hokusai_probe.sandbox.early import TIME_SCALE

pytestmark = pytest.mark.xdist_group("healthy")

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=1"
ACTION_SECONDS = 5.0
ROLLOUT_SECONDS = 90 / TIME_SCALE
"""AWS: half a minute until a Fargate task starts, then a container check within its start period of 60 s."""


@pytest.fixture
def prober(healthy: Prober) -> Prober:
    """One healthy sandbox for all tests here; each leaves it healthy."""
    return healthy


def test_everything_works_from_outside(prober: Prober) -> None:
    """Public paths answer without a key, required ones with it, artifacts come back as they went."""
    paths = prober.target["paths"]
    public = {path: prober.ask("registry", path, key="")[0] for path in paths["public"]}
    required = {path: prober.ask("registry", f"{path}?max_results=1")[0] for path in paths["required"]}
    artifact = "/api/mlflow/api/2.0/mlflow-artifacts/artifacts/probe/x.bin"
    upload = prober.ask("registry", artifact, method="PUT", body=b"\x00\x01")
    assert {*public.values(), *required.values()} == {200}
    assert (upload, prober.ask("registry", artifact)) == ((200, b"{}"), (200, b"\x00\x01"))
    assert prober.ask("auth", "/health")[0] == 200
    assert prober.ask("api", "/health")[0] == 200
    assert prober.ask("api", "/") == (404, b"Not Found")


def test_a_request_without_a_key_is_refused(prober: Prober) -> None:
    """MLflow cannot be reached from outside without a key, on any of its paths."""
    paths = [SEARCH, SEARCH.replace("/api/mlflow", "/mlflow"), "/mlflow/"]
    assert [prober.ask("registry", path, key="")[0] for path in paths] == [401, 401, 401]


@pytest.mark.parametrize(("service", "port"), [("auth", 8000), ("gateway", 8001), ("mlflow", 5000)])
def test_ecs_tells_what_runs(prober: Prober, service: str, port: int) -> None:
    """Counts, deployments, events, tasks and targets agree with the process that listens."""
    found, tasks = prober.describe(service), prober.tasks(service)
    (deployment,) = found["deployments"]
    assert (found["runningCount"], found["pendingCount"], found["desiredCount"]) == (1, 0, 1)
    assert (deployment["status"], deployment["rolloutState"], deployment["runningCount"]) == (
        "PRIMARY",
        "COMPLETED",
        1,
    )
    assert any(event["message"].endswith("has reached a steady state.") for event in found["events"])
    assert [(task["lastStatus"], task["containers"][0]["lastStatus"]) for task in tasks] == [
        ("RUNNING", "RUNNING")
    ]
    assert tasks[0]["startedAt"] >= tasks[0]["createdAt"]
    assert accepts(ip_of(tasks[0]), port)
    assert prober.serving(service) == [(ip_of(tasks[0]), port, "healthy", "")]


def test_scaling_to_zero_stops_the_process_and_back_starts_another(prober: Prober) -> None:
    """``update-service --desired-count 0`` ends the process within a second; its target and name go too."""
    names = prober.box.names
    address = ip_of(prober.tasks("mlflow")[0])
    private = f"mlflow.{names['zone']}"
    assert prober.resolve(private) == [address]
    with prober.aws("ecs") as ecs:
        ecs.update_service(cluster=names["cluster"], service=names["service.mlflow"], desiredCount=0)
        assert eventually(lambda: not accepts(address, 5000), 1.0)
        assert eventually(lambda: prober.describe("mlflow")["runningCount"] == 0, 1.0)
        assert (prober.serving("mlflow"), prober.resolve(private), prober.tasks("mlflow")) == ([], [], [])
        stopped = next(task for task in prober.tasks("mlflow", "STOPPED") if ip_of(task) == address)
        assert (stopped["lastStatus"], stopped["stopCode"]) == ("STOPPED", "ServiceSchedulerInitiated")
        ecs.update_service(cluster=names["cluster"], service=names["service.mlflow"], desiredCount=1)
    assert eventually(lambda: [one[2] for one in prober.serving("mlflow")] == ["healthy"], 20.0)
    assert prober.resolve(private) == [ip_of(prober.tasks("mlflow")[0])] != [address]
    assert prober.ask("registry", SEARCH)[0] == 200


def test_a_new_revision_rolls_out_without_a_gap(prober: Prober) -> None:
    """The old task serves until the new one is healthy; a private zone that does not exist is then a 502.

    Several ask all along, so that the old one is asked something at the moment when it ends.
    """
    names = prober.box.names
    (before,) = prober.tasks("gateway")
    wrong = "http://mlflow.hokusai.local:5000/mlflow"
    with prober.aws("ecs") as ecs:
        made = _revision(ecs, before["taskDefinitionArn"], MLFLOW_SERVER_URL=wrong)
        where = {"cluster": names["cluster"], "service": names["service.gateway"]}
        with _asked_all_along(prober) as seen:
            ecs.update_service(**where, taskDefinition=made)
            assert eventually(lambda: _revisions(prober) == [made], ROLLOUT_SECONDS)
        live, (status, body) = prober.ask("registry", "/live")[0], prober.ask("registry", SEARCH)
        ecs.update_service(**where, taskDefinition=before["taskDefinitionArn"])
        assert eventually(lambda: _revisions(prober) == [before["taskDefinitionArn"]], ROLLOUT_SECONDS)
    assert {live, *seen} == {200}
    assert (status, f"Failed to connect to MLflow server at {wrong}" in body.decode()) == (502, True)
    assert [one["status"] for one in prober.describe("gateway")["deployments"]] == ["PRIMARY"]
    assert prober.ask("registry", SEARCH)[0] == 200


@contextmanager
def _asked_all_along(prober: Prober) -> Iterator[list[int]]:
    """Who asks the gateway whether it lives, again and again until the block ends; the statuses."""
    seen, over = list[int](), Event()

    def ask() -> None:
        while not over.is_set():
            seen.append(prober.ask("registry", "/live", key="")[0])

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            yield seen
        finally:
            over.set()
    for one in asking:
        one.result()


def _revision(ecs: Any, like: str, **variables: str) -> str:
    """Register a revision that differs from another one in these variables."""
    good = ecs.describe_task_definition(taskDefinition=like)["taskDefinition"]
    container = good["containerDefinitions"][0]
    kept = [one for one in container["environment"] if one["name"] not in variables]
    container["environment"] = [*kept, *({"name": n, "value": v} for n, v in variables.items())]
    copied = ("family", "networkMode", "cpu", "memory", "executionRoleArn", "taskRoleArn")
    made = ecs.register_task_definition(
        **{key: good[key] for key in copied},
        containerDefinitions=[container],
        requiresCompatibilities=["FARGATE"],
    )
    return str(made["taskDefinition"]["taskDefinitionArn"])


def _revisions(prober: Prober) -> list[str]:
    return [task["taskDefinitionArn"] for task in prober.tasks("gateway")]


def test_a_stopped_task_is_replaced(prober: Prober) -> None:
    """StopTask ends one process; the service starts another; the reason given is kept."""
    (before,) = prober.tasks("auth")
    with prober.aws("ecs") as ecs:
        ecs.stop_task(cluster=prober.box.names["cluster"], task=before["taskArn"], reason="for a test")
    assert eventually(lambda: [one[2] for one in prober.serving("auth")] == ["healthy"]
                      and prober.serving("auth")[0][0] != ip_of(before), ACTION_SECONDS)  # fmt: skip
    gone = next(task for task in prober.tasks("auth", "STOPPED") if task["taskArn"] == before["taskArn"])
    assert (gone["stopCode"], gone["stoppedReason"]) == ("UserInitiated", "for a test")


def test_target_health_is_what_the_checks_see(prober: Prober) -> None:
    """Two ports of one address are two targets; the one nobody listens on is unhealthy, and says why."""
    group, ip = prober.box.names["target_group.auth"], ip_of(prober.tasks("auth")[0])
    with prober.aws("elbv2") as elbv2, _admitted(prober, "auth", 9000):
        elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": ip, "Port": 9000}])
        wanted = [(ip, 8000, "healthy", ""), (ip, 9000, "unhealthy", "Target.FailedHealthChecks")]
        assert eventually(lambda: sorted(prober.serving("auth")) == wanted, ACTION_SECONDS)
        elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": ip, "Port": 8000}])
        assert eventually(lambda: prober.ask("auth", "/health")[0] == 502, ACTION_SECONDS)
        elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": ip, "Port": 8000}])
        elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": ip, "Port": 9000}])
    assert eventually(lambda: prober.serving("auth") == [(ip, 8000, "healthy", "")], ACTION_SECONDS)
    assert prober.ask("auth", "/health")[0] == 200


@contextmanager
def _admitted(prober: Prober, service: str, port: int) -> Iterator[None]:
    """Let the load balancers in on another port than the service's own; else packets to it would vanish."""
    names = prober.box.names
    pair = {"GroupId": names["security_group.load-balancer"]}
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [pair]}
    call = {"GroupId": names[f"security_group.{service}"], "IpPermissions": [rule]}
    with prober.aws("ec2") as ec2:
        ec2.authorize_security_group_ingress(**call)
        yield
        ec2.revoke_security_group_ingress(**call)


def test_the_next_request_follows_a_modified_rule(prober: Prober) -> None:
    """``modify-rule`` moves traffic at once, and back."""
    names = prober.box.names
    rule = names["rule.registry.api_mlflow"]
    with prober.aws("elbv2") as elbv2:
        elbv2.modify_rule(RuleArn=rule, Actions=[_forward(names["target_group.mlflow"])])
        assert prober.ask("registry", SEARCH)[0] == 404
        elbv2.modify_rule(RuleArn=rule, Actions=[_forward(names["target_group.gateway"])])
    assert prober.ask("registry", SEARCH)[0] == 200


def _forward(group: str) -> dict[str, str]:
    return {"Type": "forward", "TargetGroupArn": group}


def test_a_service_that_is_not_there_is_missing(prober: Prober) -> None:
    """DescribeServices answers with a failure, not with an empty list alone."""
    with prober.aws("ecs") as ecs:
        found = ecs.describe_services(cluster=prober.box.names["cluster"], services=["nobody"])
    assert (found["services"], [one["reason"] for one in found["failures"]]) == ([], ["MISSING"])


def test_the_target_file_says_what_a_prober_needs(prober: Prober) -> None:
    """The tables of the target contract, with this sandbox's own names."""
    target, names = prober.target, prober.box.names
    assert list(target) == [
        "name", "hosts", "paths", "key", "aws", "tls", "network", "timeouts", "slo", "allow", "accept",
        "criteria", "owners",
    ]  # fmt: skip
    assert target["key"] == {"env": "HOKUSAI_API_KEY"}
    assert target["allow"] == {"classes": ["read", "write", "hostile", "disruptive"]}
    assert target["accept"] == {"behaviours": []}
    teams = {name: owner["team"] for name, owner in target["owners"].items()}
    assert [teams[name] for name in ("auth", "gateway", "mlflow")] == [
        "auth team",
        "gateway team",
        "mlflow team",
    ]
    assert (teams["load-balancer"], len(teams)) == ("infrastructure team", 13)
    assert target["criteria"] == {"infrastructure": 80.0, "authentication": 90.0}
    aws = target["aws"]
    assert aws["cluster"] == names["cluster"]
    assert aws["services"] == {name: names[f"service.{name}"] for name in ("auth", "gateway", "mlflow")}
    assert aws["load_balancers"] == {
        key: names[f"load_balancer.{key}"].split("/")[-2] for key in ("auth", "registry", "main")
    }
    assert "bucket" not in aws
    assert target["timeouts"]["load_balancer_connect_s"] == 10 / TIME_SCALE


def test_the_load_balancers_are_laid_out_as_the_contract_says(prober: Prober) -> None:
    """Priorities and paths on 443, a redirect on 80, each certificate for its host."""
    names, found = prober.box.names, {}
    with prober.aws("elbv2") as elbv2:
        for key in ("auth", "registry", "main"):
            rules = elbv2.describe_rules(ListenerArn=names[f"listener.{key}.https"])["Rules"]
            found[key] = [(rule["Priority"], _paths(rule)) for rule in rules]
            (plain,) = elbv2.describe_rules(ListenerArn=names[f"listener.{key}.http"])["Rules"]
            assert plain["Actions"][0]["RedirectConfig"]["StatusCode"] == "HTTP_301"
        sources = elbv2.describe_rules(RuleArns=[names["rule.registry.mlflow"]])["Rules"][0]["Conditions"]
    with prober.aws("acm") as acm:
        certificate = acm.describe_certificate(CertificateArn=names["certificate.main"])["Certificate"]
    assert certificate["DomainName"] == names["host.main"]
    assert found == {
        "auth": [("90", ["/health", "/"]), ("100", ["/api/v1/*"]), ("default", [])],
        "registry": [
            ("100", ["/mlflow", "/mlflow/*"]),
            ("110", ["/api/mlflow/*"]),
            ("120", ["/api/*"]),
            ("default", []),
        ],
        "main": [("100", ["/api/*", "/health", "/ready", "/live", "/version"]), ("default", [])],
    }
    assert sources[1]["SourceIpConfig"] == {"Values": ["10.0.0.0/8"]}


def _paths(rule: dict[str, Any]) -> list[str]:
    return [path for one in rule["Conditions"] for path in one.get("PathPatternConfig", {}).get("Values", [])]


def test_security_groups_admit_by_reference(prober: Prober) -> None:
    """Each service admits the load balancers on its port; MLflow and the cache admit the gateway too.

    The cache admits the Client VPN endpoint besides, as the database does.
    """
    names = prober.box.names
    keys = ("auth", "gateway", "mlflow", "cache")
    with prober.aws("ec2") as ec2:
        groups = ec2.describe_security_groups(GroupIds=[names[f"security_group.{key}"] for key in keys])
    known = {names[f"security_group.{key}"]: key for key in (*keys, "load-balancer", "client-vpn")}
    admitted = {
        known[group["GroupId"]]: sorted(
            (known[pair["GroupId"]], permission["FromPort"])
            for permission in group["IpPermissions"]
            for pair in permission["UserIdGroupPairs"]
        )
        for group in groups["SecurityGroups"]
    }
    assert admitted == {
        "auth": [("load-balancer", 8000)],
        "gateway": [("load-balancer", 8001)],
        "mlflow": [("gateway", 5000), ("load-balancer", 5000)],
        "cache": [("client-vpn", 6379), ("gateway", 6379)],
    }


def test_a_listener_that_goes_closes_its_socket_and_comes_back_where_it_was(prober: Prober) -> None:
    """``delete-listener`` refuses connections at once; a new listener on the port answers again."""
    names = prober.box.names
    port = int(prober.target["hosts"]["api"].rsplit(":", 1)[1])
    ip = prober.resolve(names["host.main"])[0]
    with prober.aws("elbv2") as elbv2:
        (before,) = elbv2.describe_listeners(ListenerArns=[names["listener.main.https"]])["Listeners"]
        elbv2.delete_listener(ListenerArn=names["listener.main.https"])
        assert eventually(lambda: not accepts(ip, port), ACTION_SECONDS)
        elbv2.create_listener(
            LoadBalancerArn=before["LoadBalancerArn"], Protocol="HTTPS", Port=443,
            Certificates=[{"CertificateArn": names["certificate.main"]}],
            DefaultActions=[_forward(names["target_group.gateway"])],
        )  # fmt: skip
    assert eventually(lambda: accepts(ip, port), ACTION_SECONDS)
    assert prober.ask("api", "/health")[0] == 200


def test_a_name_that_does_not_exist_does_not_resolve(prober: Prober) -> None:
    """The sandbox's DNS answers for its own zones and nothing else."""
    assert prober.resolve("mlflow.hokusai.local") == []
