"""What outside eyes see when nothing deeper can be seen."""

from collections.abc import Iterator

from hokusai_probe.causes._down import down_at, look_deeper
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.declare import Case, cause
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts


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
def mlflow_down(hosts: HostsFacts, api: MlflowApiFacts | None) -> Iterator[Case]:
    """MLflow does not answer, and nothing deeper that would explain it is seen.

    Behind a gateway that is the gateway's own 502 or 504; on a plain server, silence.
    """
    if hosts.bare:
        yield from down_at(hosts, "registry", "mlflow", breaks=("mlflow", "public.registry"))
    elif api is not None:
        yield Case(
            subject="mlflow",
            breaks=("mlflow",),
            claims=(gateway_cannot_reach_mlflow(api),),
            remedy=look_deeper("mlflow"),
        )
