"""What outside eyes see when nothing deeper can be seen."""

from collections.abc import Iterator

from hokusai_probe.causes._down import down_at, look_deeper
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._words import beside, describe_health, group_of
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="mlflow",
    priority="critical",
    effort="hours",
    fallback=True,
    look_alikes={
        "gateway-mlflow-url-wrong": "seen in the gateway's task definition",
        "ecs-service-missing": "seen in the ECS service",
        "gateway-down": "there the gateway itself does not answer",
    },
    source="INC-37; MLflow behind the contract's proxy (4.1)",
)
def mlflow_down(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    ecs: EcsServicesFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """MLflow does not answer, and nothing deeper that would explain it is seen.

    Behind a gateway that is the gateway's own 502 or 504, while the load balancer does not reach MLflow
    either; on a plain server, silence.
    """
    if hosts.bare:
        yield from down_at(hosts, "registry", "mlflow", breaks=("mlflow", "public.registry"))
    elif api is not None:
        symptom = gateway_cannot_reach_mlflow(api, paths)
        yield Case(
            subject="mlflow",
            breaks=("mlflow",),
            claims=(symptom, _unhealthy(groups, symptom)),
            remedy=look_deeper("mlflow", ecs, groups),
        )


def _unhealthy(groups: TargetGroupsFacts | None, symptom: Claim) -> Claim:
    """The load balancer's own health check, which does not go through the gateway."""
    group, place = group_of(groups, "mlflow")
    serving = [t for t in group.targets if t.state != "draining"] if group and not group.failure else []
    well = next((t for t in serving if t.state == "healthy"), None)
    shown = well or (serving[0] if serving else None)
    return claim(
        "the load balancer does not reach MLflow either",
        False if well else beside(symptom.holds, fact=True if shown else None),
        by=TargetGroupsFacts,
        fact=f"{place}.targets[{group.targets.index(shown)}].state" if group and shown else "",
        value=shown.state if shown else None,
        aws_cli=describe_health(group, "mlflow"),
    )
