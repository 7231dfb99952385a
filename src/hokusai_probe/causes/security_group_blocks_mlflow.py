"""The gateway may not connect to MLflow."""

from collections.abc import Iterator

from hokusai_probe.causes._network import barred, open_up, takes_the_gateway_along
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._tasks import toll
from hokusai_probe.declare import Case, cause
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.security_groups import SecurityGroupsFacts


@cause(
    component="network",
    priority="critical",
    effort="minutes",
    entails=("mlflow-down",),
    look_alikes={
        "gateway-mlflow-url-wrong": "there the name does not resolve, or the port is another one",
        "gateway-mlflow-address-stale": "there a fixed address belongs to no task of MLflow any more",
        "service-discovery-name-missing": "there the private name has no address",
        "mlflow-down": "there the load balancer does not reach MLflow either",
    },
    source="INC-19, INC-28: connecting to a name that resolves times out",
)
def security_group_blocks_mlflow(
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    health: HealthBodiesFacts | None,
    facts: SecurityGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """MLflow's security group does not admit the gateway on MLflow's port.

    The name resolves, MLflow is healthy behind its load balancer, and every call through the gateway ends in
    the gateway's own JSON 502 ``Failed to connect to MLflow server`` or 504, after the connect timeout. The
    same where the gateway's own group does not let it out.
    """
    edges = facts.between("gateway", "mlflow") if facts else ()
    yield Case(
        subject="mlflow",
        breaks=("gateway-to-mlflow", *takes_the_gateway_along(health)),
        claims=(
            gateway_cannot_reach_mlflow(api, paths),
            barred(facts, edges, "the security group of MLflow does not admit the gateway"),
        ),
        remedy=open_up(facts, edges, "security-group-blocks-mlflow"),
        covers=toll(ecs, tasks, "mlflow", "gateway").covers,
    )
