"""The gateway is told a wrong address of MLflow."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from hokusai_probe.answers import error_code, said
from hokusai_probe.causes._mlflow_address import addresses_of_mlflow, heard
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._words import answered, describe_definition, group_of, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
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
    groups: TargetGroupsFacts | None,
    logs: LogTailsFacts | None,
) -> Iterator[Case]:
    """The gateway's MLFLOW_SERVER_URL does not lead to MLflow: wrong name, port, scheme or path.

    Keys are accepted and every MLflow call ends in the gateway's own JSON 502
    ``Failed to connect to MLflow server``, while MLflow itself is well. Without MLflow's static prefix every
    call is 404 RESOURCE_NOT_FOUND, which the gateway makes of MLflow's ``Not Found``.
    """
    gateway = definitions.of("gateway") if definitions else None
    mlflow = definitions.of("mlflow") if definitions else None
    url = gateway.addresses.get(VARIABLE) if gateway else None
    words, lost = heard(paths, logs), _no_such_route(api)
    proven = _is_well(groups, ecs) or (words is not None and words.how == "name")
    yield Case(
        subject="gateway",
        breaks=("gateway-to-mlflow",),
        claims=(
            _symptom(api, paths),
            claim(
                f"{VARIABLE} is {url}, which does not lead to MLflow" if url else f"{VARIABLE} is wrong",
                None if url is None else _wrong(url, mlflow, discovery, groups, lost=lost, proven=proven),
                by=TaskDefinitionsFacts,
                fact=f"definitions.gateway.addresses.{VARIABLE}" if url else "",
                value=url,
                telling=True,
                aws_cli=describe_definition(gateway, "gateway"),
            ),
        ),
        remedy=_remedy(gateway, mlflow, discovery, ecs),
    )


def _symptom(api: MlflowApiFacts, paths: PublicPathsFacts | None) -> Claim:
    """No answer of MLflow's, or its word that it has no such route, which is that of a wrong path."""
    if not _no_such_route(api):
        return gateway_cannot_reach_mlflow(api, paths)
    text = f"MLflow's router does not know what the gateway asks for: {said(api.search)}"
    return answered(text, 1, api.search, "search", by=MlflowApiFacts)


def _no_such_route(api: MlflowApiFacts) -> bool:
    return api.search.status == 404 and error_code(api.search) == "RESOURCE_NOT_FOUND"


def _is_well(groups: TargetGroupsFacts | None, ecs: EcsServicesFacts | None) -> bool:
    """MLflow answers the load balancer: then what the gateway does not reach is not MLflow."""
    one = ecs.services.get("mlflow") if ecs else None
    return not (one and one.short) and bool(groups and groups.serves("mlflow"))


def _wrong(
    url: str,
    mlflow: TaskDefinition | None,
    discovery: ServiceDiscoveryFacts | None,
    groups: TargetGroupsFacts | None,
    *,
    lost: bool,
    proven: bool,
) -> bool | None:
    """``lost``: what answers has no such route. ``proven``: the name is not found, or MLflow is well.

    A zone that Cloud Map does not have may be Route 53's own: it is wrong only where that is proven.
    """
    if lost:
        prefix = _prefix(groups)
        return None if prefix is None else urlsplit(url).path.rstrip("/") != prefix or None
    if discovery is None:
        return None
    leads = discovery.leads(url)
    if _wrong_port(url, mlflow) or (leads == "no-such-zone" and proven):
        return True
    if leads == "no-such-name":
        return not (urlsplit(url).hostname or "").startswith("mlflow.")
    return _astray(url, discovery, groups) if leads == "somewhere" else None


def _prefix(groups: TargetGroupsFacts | None) -> str | None:
    """MLflow's static prefix, by the path on which it says that it is well (contract 4.2)."""
    group, _ = group_of(groups, "mlflow")
    known = group is not None and group.serves and group.health_path.endswith("/health")
    return group.health_path.removesuffix("/health") if group and known else None


def _astray(url: str, discovery: ServiceDiscoveryFacts, groups: TargetGroupsFacts | None) -> bool | None:
    """Whether a private name leads to somebody else; None where nobody knows MLflow's own addresses."""
    theirs = set(discovery.names.get((urlsplit(url).hostname or "").rstrip("."), ()))
    own = set(addresses_of_mlflow(groups, discovery))
    if theirs & own:
        return False
    return True if own else None


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
    return set_variable(
        gateway,
        ecs,
        "gateway",
        (VARIABLE, word(right, "MLFLOW_URL")),
        summary=f"Register a revision of the gateway's task definition whose {VARIABLE} is {shown}, and "
        "deploy it.",
        verify="hokusai-probe verify gateway-mlflow-url-wrong",
        shown=shown,
    )


def _right(mlflow: TaskDefinition | None, discovery: ServiceDiscoveryFacts | None) -> str | None:
    """MLflow's private address with its static prefix (contract 4.2), None where Cloud Map names none."""
    name = next((n for n in (discovery.names if discovery else ()) if n.startswith("mlflow.")), None)
    port = mlflow.ports[0] if mlflow and mlflow.ports else 5000
    return f"http://{name}:{port}/mlflow" if name else None
