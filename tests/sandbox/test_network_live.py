"""Security groups, network ACLs and draining on a whole platform, changed as with the AWS CLI."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from control_side import Prober, eventually, ip_of

from hokusai_probe.sandbox.early import TIME_SCALE

pytestmark = pytest.mark.xdist_group("healthy")

ACTION_SECONDS = 20.0
SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.fixture
def prober(healthy: Prober) -> Iterator[Prober]:
    """One healthy platform for all tests here; each puts back what it changes, and the gateway notices."""
    yield healthy
    assert eventually(
        lambda: {status(healthy, "registry", path) for path in healthy.target["paths"]["public"]} == {200},
        ACTION_SECONDS,
    )


def permission(port: int, **source: Any) -> list[dict[str, Any]]:
    """A rule's permission for one TCP port."""
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port} | source]


def from_group(prober: Prober, key: str) -> dict[str, Any]:
    """Whoever is in the security group of a part."""
    return {"UserIdGroupPairs": [{"GroupId": prober.box.names[f"security_group.{key}"]}]}


class Revoked:
    """An ingress rule that is gone while in the ``with`` block."""

    def __init__(self, prober: Prober, group: str, permissions: list[dict[str, Any]]) -> None:
        self._prober = prober
        self._call = {"GroupId": prober.box.names[f"security_group.{group}"], "IpPermissions": permissions}

    def __enter__(self) -> None:
        with self._prober.aws("ec2") as ec2:
            ec2.revoke_security_group_ingress(**self._call)

    def __exit__(self, *_: object) -> None:
        with self._prober.aws("ec2") as ec2:
            ec2.authorize_security_group_ingress(**self._call)


def status(prober: Prober, host: str, path: str) -> int:
    """The status of a request."""
    return prober.ask(host, path)[0]


def redis_says(prober: Prober) -> str:
    """What the gateway's health says of Redis."""
    return str(json.loads(prober.ask("registry", "/health")[1])["services"]["redis"])


def connects(prober: Prober) -> bool:
    """Whether a connect to the auth host's load balancer is answered within half a second."""
    name, port = prober.target["hosts"]["auth"].removeprefix("https://").split(":")
    try:
        socket.create_connection((prober.resolve(name)[0], int(port)), 0.5).close()
    except TimeoutError:
        return False
    return True


def test_a_service_that_shuts_out_the_load_balancer(prober: Prober) -> None:
    """Its target times out and its host answers 504; with the rule back, both are well again."""
    auth = ip_of(prober.tasks("auth")[0])
    with Revoked(prober, "auth", permission(8000, **from_group(prober, "load-balancer"))):
        assert eventually(
            lambda: prober.serving("auth") == [(auth, 8000, "unhealthy", "Target.Timeout")], ACTION_SECONDS
        )
        assert status(prober, "auth", "/health") == 504
        assert [state for _, _, state, _ in prober.serving("gateway")] == ["healthy"]
    assert eventually(lambda: status(prober, "auth", "/health") == 200, ACTION_SECONDS)
    assert eventually(lambda: prober.serving("auth") == [(auth, 8000, "healthy", "")], ACTION_SECONDS)


def test_mlflow_that_shuts_out_the_gateway(prober: Prober) -> None:
    """Calls through the gateway fail while the load balancer still finds MLflow healthy."""
    with Revoked(prober, "mlflow", permission(5000, **from_group(prober, "gateway"))):
        assert eventually(lambda: status(prober, "registry", SEARCH) in (502, 504), ACTION_SECONDS)
        assert [state for _, _, state, _ in prober.serving("mlflow")] == ["healthy"]
        assert status(prober, "registry", "/live") == 200
    assert eventually(lambda: status(prober, "registry", SEARCH) == 200, ACTION_SECONDS)


def test_a_cache_that_shuts_out_the_gateway(prober: Prober) -> None:
    """Redis is unhealthy in the gateway's eyes, and its calls wait for it, but go on."""
    assert redis_says(prober) == "healthy"
    with Revoked(prober, "cache", permission(6379, **from_group(prober, "gateway"))):
        assert eventually(lambda: redis_says(prober) == "unhealthy", ACTION_SECONDS)
        started = time.monotonic()
        assert status(prober, "registry", SEARCH) == 200
        assert time.monotonic() - started > 2.0 / TIME_SCALE
    assert eventually(lambda: redis_says(prober) == "healthy", ACTION_SECONDS)


def test_a_load_balancer_that_shuts_out_the_internet(prober: Prober) -> None:
    """The client's connects hang; with the rule back they are answered on the same port."""
    assert connects(prober)
    with Revoked(prober, "load-balancer", permission(443, IpRanges=[{"CidrIp": "0.0.0.0/0"}])):
        assert eventually(lambda: not connects(prober), ACTION_SECONDS)
    assert eventually(lambda: connects(prober), ACTION_SECONDS)
    assert status(prober, "auth", "/health") == 200


def test_an_acl_between_gateway_and_mlflow(prober: Prober) -> None:
    """An entry that denies the answers' ports to the gateway's subnet stops its calls alone."""
    entry = {"NetworkAclId": prober.box.names["acl.b"], "RuleNumber": 50, "Egress": True}
    ports = {"From": 1024, "To": 65535}
    with prober.aws("ec2") as ec2:
        ec2.create_network_acl_entry(
            **entry, Protocol="6", RuleAction="deny", CidrBlock="10.0.1.0/24", PortRange=ports
        )
        assert eventually(lambda: status(prober, "registry", SEARCH) in (502, 504), ACTION_SECONDS)
        assert [state for _, _, state, _ in prober.serving("mlflow")] == ["healthy"]
        ec2.delete_network_acl_entry(**entry)
    assert eventually(lambda: status(prober, "registry", SEARCH) == 200, ACTION_SECONDS)


def test_the_target_of_a_replaced_task_drains(prober: Prober) -> None:
    """After a deployment the old task's target is shown as draining, beside the new one that serves."""
    old = ip_of(prober.tasks("auth")[0])
    names = prober.box.names
    assert prober.serving("auth") == [(old, 8000, "healthy", "")]
    with prober.aws("ecs") as ecs:
        ecs.update_service(cluster=names["cluster"], service=names["service.auth"], forceNewDeployment=True)
    draining = (old, 8000, "draining", "Target.DeregistrationInProgress")
    assert eventually(
        lambda: (
            draining in prober.health("auth")
            and [(ip == old, state) for ip, _, state, _ in prober.serving("auth")] == [(False, "healthy")]
        ),
        ACTION_SECONDS,
    )
    assert status(prober, "auth", "/health") == 200
