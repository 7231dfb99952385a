"""The gateway is told a wrong address of MLflow."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

VARIABLE = "MLFLOW_SERVER_URL"


@cause(
    component="gateway",
    priority="critical",
    effort="minutes",
    entails=("mlflow-down",),
    look_alikes={
        "mlflow-down": "there the address is right and MLflow does not answer",
        "service-discovery-name-missing": "there the name is right and Cloud Map no longer has it",
        "gateway-mlflow-address-stale": "there the address is a fixed one of a task that is gone",
        "security-group-blocks-mlflow": "there the name resolves and connecting times out",
    },
    source="INC-05, INC-19, INC-23",
)
def gateway_mlflow_url_wrong(
    api: MlflowApiFacts, definitions: TaskDefinitionsFacts | None, discovery: ServiceDiscoveryFacts | None
) -> Iterator[Case]:
    """The gateway's MLFLOW_SERVER_URL does not lead to MLflow: wrong name, port or scheme.

    Keys are accepted and every MLflow call ends in the gateway's own JSON 502
    ``Failed to connect to MLflow server``, while MLflow itself is well.
    """
    gateway = definitions.of("gateway") if definitions else None
    mlflow = definitions.of("mlflow") if definitions else None
    url = gateway.addresses.get(VARIABLE) if gateway else None
    yield Case(
        subject="gateway",
        breaks=("gateway-to-mlflow",),
        claims=(
            gateway_cannot_reach_mlflow(api),
            claim(
                f"{VARIABLE} is {url}, which does not lead to MLflow" if url else f"{VARIABLE} is wrong",
                None if url is None or discovery is None else _wrong(url, mlflow, discovery),
                by=TaskDefinitionsFacts,
                fact=f"definitions.gateway.addresses.{VARIABLE}",
                value=url,
                telling=True,
                aws_cli="aws ecs describe-task-definition --task-definition "
                + (gateway.arn if gateway else "<the gateway's task definition>"),
            ),
        ),
        remedy=_remedy(gateway, mlflow, discovery),
    )


def _wrong(url: str, mlflow: TaskDefinition | None, discovery: ServiceDiscoveryFacts) -> bool | None:
    leads = discovery.leads(url)
    if leads == "no-such-zone" or _wrong_port(url, mlflow):
        return True
    if leads == "no-such-name":
        return not (urlsplit(url).hostname or "").startswith("mlflow.")
    return False if leads == "somewhere" else None


def _wrong_port(url: str, mlflow: TaskDefinition | None) -> bool:
    """A private name with another port than MLflow's container has; public addresses have their own."""
    parts = urlsplit(url)
    private = (parts.hostname or "").endswith((".local", ".internal"))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return private and mlflow is not None and bool(mlflow.ports) and port not in mlflow.ports


def _remedy(
    gateway: TaskDefinition | None, mlflow: TaskDefinition | None, discovery: ServiceDiscoveryFacts | None
) -> Remedy | None:
    if gateway is None:
        return None
    names = [n for n in (discovery.names if discovery else ()) if n.startswith("mlflow.")]
    port = mlflow.ports[0] if mlflow and mlflow.ports else 5000
    right = f"http://{names[0]}:{port}" if names else "<the private address of MLflow>"
    return Remedy(
        kind="needs-value",
        summary=f"Register a revision of the gateway's task definition with {VARIABLE}={right} (and MLflow's "
        "static prefix, /mlflow, where the server is started with one), and deploy it.",
        before=(f"aws ecs describe-task-definition --task-definition {gateway.arn}",),
        aws_cli=(
            f"aws ecs describe-task-definition --task-definition {gateway.arn} --query taskDefinition",
            "aws ecs register-task-definition --cli-input-json file://gateway.json",
            "aws ecs update-service --cluster <cluster> --service <service> --task-definition <new ARN>",
        ),
        terraform=f'# environment of the container\n{{ name = "{VARIABLE}", value = "{right}/mlflow" }}\n',
        rollback=f"aws ecs update-service --cluster <cluster> --service <gateway service> "
        f"--task-definition {gateway.arn}",
        also_touches="A deployment replaces the gateway's tasks.",
        verify="hokusai-probe verify gateway-mlflow-url-wrong",
    )
