"""The gateway is told a wrong address of MLflow."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._words import one_line, word
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
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
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
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
            gateway_cannot_reach_mlflow(api, paths),
            claim(
                f"{VARIABLE} is {url}, which does not lead to MLflow" if url else f"{VARIABLE} is wrong",
                None if url is None or discovery is None else _wrong(url, mlflow, discovery),
                by=TaskDefinitionsFacts,
                fact=f"definitions.gateway.addresses.{VARIABLE}" if url else "",
                value=url,
                telling=True,
                aws_cli=_describe(gateway),
            ),
        ),
        remedy=_remedy(gateway, mlflow, discovery, ecs),
    )


def _describe(gateway: TaskDefinition | None) -> str:
    arn = word(gateway.arn if gateway else None, "GATEWAY_DEFINITION")
    return one_line(f"aws ecs describe-task-definition --task-definition {arn}")


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
    gateway: TaskDefinition | None,
    mlflow: TaskDefinition | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
) -> Remedy | None:
    if gateway is None:
        return None
    right = _right(mlflow, discovery)
    shown = right or "the private address of MLflow with its static prefix, /mlflow"
    said = set_variable(
        gateway,
        ecs,
        "gateway",
        (VARIABLE, word(right, "MLFLOW_URL")),
        summary=f"Register a revision of the gateway's task definition whose {VARIABLE} is {shown}, and "
        "deploy it.",
        verify="hokusai-probe verify gateway-mlflow-url-wrong",
    )
    variable = f'# environment of the container\n{{ name = "{VARIABLE}", value = "{shown}" }}\n'
    return said.model_copy(update={"terraform": variable})


def _right(mlflow: TaskDefinition | None, discovery: ServiceDiscoveryFacts | None) -> str | None:
    """MLflow's private address with its static prefix (contract 4.2), None where Cloud Map names none."""
    name = next((n for n in (discovery.names if discovery else ()) if n.startswith("mlflow.")), None)
    port = mlflow.ports[0] if mlflow and mlflow.ports else 5000
    return f"http://{name}:{port}/mlflow" if name else None
