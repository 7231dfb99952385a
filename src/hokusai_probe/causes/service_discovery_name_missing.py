"""Cloud Map has lost the private name."""

from collections.abc import Iterator
from shlex import quote
from urllib.parse import urlsplit

from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._words import update_service, wait_for
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.service_discovery import LEADS, ServiceDiscoveryFacts, strangers
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

VARIABLE = "MLFLOW_SERVER_URL"


@cause(
    component="network",
    priority="critical",
    effort="minutes",
    entails=("mlflow-down",),
    look_alikes={
        "gateway-mlflow-url-wrong": "there the name never was MLflow's",
        "security-group-blocks-mlflow": "there the name resolves and connecting times out",
        "ecs-service-scaled-to-zero": "there no task runs, so that none is registered",
        "gateway-mlflow-address-stale": "there the address is a fixed one",
    },
    source="INC-23, INC-28; AWS: Cloud Map, DNS names of services without instances have no records",
)
def service_discovery_name_missing(
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    groups: TargetGroupsFacts | None,
) -> Iterator[Case]:
    """MLflow's private name is gone from Cloud Map, or has no instance of MLflow's, while MLflow runs.

    The gateway uses the right name and cannot resolve it: JSON 502 ``Failed to connect to MLflow server``,
    ``Name or service not known`` in its log. A service that was created again without ``serviceRegistries``
    does not register its tasks. Where an instance of old is left, the name leads to an address that nobody
    has: connecting times out (INC-28).
    """
    gateway = definitions.of("gateway") if definitions else None
    url = gateway.addresses.get(VARIABLE) if gateway else None
    dying = _dies(ecs, tasks)
    stale = _stale(url, discovery, groups)
    symptom, lost = gateway_cannot_reach_mlflow(api, paths), _lost(url, discovery, stale, telling=not dying)
    yield Case(
        subject="mlflow",
        breaks=("discovery",),
        claims=(
            symptom,
            lost,
            _runs(ecs, speaks=not dying and bool(symptom.holds or lost.holds)),
        ),
        remedy=_remedy(url, discovery, ecs, stale),
    )


def _host(url: str | None) -> str:
    return (urlsplit(url or "").hostname or "").rstrip(".")


def _stale(
    url: str | None, discovery: ServiceDiscoveryFacts | None, groups: TargetGroupsFacts | None
) -> tuple[str, ...]:
    """The addresses that MLflow's name has, where none is MLflow's. Another's name was never right."""
    right = url and discovery and _host(url).startswith("mlflow.")
    return strangers(discovery, url, groups) if right and discovery and url else ()


def _lost(
    url: str | None, discovery: ServiceDiscoveryFacts | None, stale: tuple[str, ...], *, telling: bool
) -> Claim:
    """The name is there and empty or leads past MLflow, or nothing in the zone could have been meant."""
    leads = discovery.leads(url) if url and discovery else "unknown"
    gone = leads == "to-nothing" or (leads == "no-such-name" and _was_right(_host(url), discovery))
    shown = discovery is not None and (leads in LEADS or bool(stale))
    return claim(
        _sentence(url, LEADS.get(leads, ""), stale),
        None if leads == "unknown" else gone or bool(stale),
        by=ServiceDiscoveryFacts,
        fact="names" if shown else "",
        value={n: list(ips) for n, ips in discovery.names.items()} if discovery and shown else None,
        telling=telling,
        aws_cli="aws servicediscovery list-services",
    )


def _sentence(url: str | None, where: str, stale: tuple[str, ...]) -> str:
    if stale:
        return f"{VARIABLE} is {url}, which leads to {', '.join(stale)}, an address of no task of MLflow's"
    return f"{VARIABLE} is {url}, which leads {where}" if where else "MLflow's name is lost"


def _was_right(host: str, discovery: ServiceDiscoveryFacts | None) -> bool:
    """MLflow's name as the platform has it; with another name of MLflow's there, that one is meant."""
    names = discovery.names if discovery else {}
    return host.startswith("mlflow.") and not any("mlflow" in name for name in names)


def _dies(ecs: EcsServicesFacts | None, tasks: EcsTasksFacts | None) -> bool:
    """Whether MLflow's tasks come and go: then its name is empty now and again."""
    one = ecs.services.get("mlflow") if ecs else None
    return bool(one and tasks and tasks.dying("mlflow", one))


def _runs(ecs: EcsServicesFacts | None, *, speaks: bool) -> Claim:
    """Without a task nothing registers: then the name is empty because MLflow is not there.

    That it runs speaks for nothing by itself, nor where its tasks come and go.
    """
    one = ecs.services.get("mlflow") if ecs and ecs.failure is None else None
    return claim(
        f"MLflow runs {one.running} task(s)" if one else "MLflow runs its tasks",
        None if one is None or (one.running and not speaks) else one.running > 0,
        by=EcsServicesFacts,
        fact="services.mlflow.running" if one else "",
        value=one.running if one else None,
    )


def _remedy(
    url: str | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
    stale: tuple[str, ...],
) -> Remedy | None:
    """A deployment registers the new task where the name is still there; a lost name is made again first."""
    if url is None or discovery is None:
        return None
    deploy = update_service(ecs, "mlflow", "--force-new-deployment")
    there = bool(stale) or discovery.leads(url) == "to-nothing"
    lines = (deploy, *(_deregister(url, stale) if stale else ())) if there else _recreate(url, deploy)
    return Remedy(
        kind="needs-value" if any("$" in line for line in lines) else "automatic",
        summary=_summary(there=there, stale=bool(stale)),
        before=("aws servicediscovery list-namespaces", "aws servicediscovery list-services"),
        aws_cli=lines,
        terraform='# resource "aws_service_discovery_service" and the service_registries block of the ECS '
        "service\n",
        after=(wait_for(ecs, "mlflow"),),
        rollback="None needed: a deployment of the same revision changes nothing else.",
        also_touches="MLflow's task is replaced.",
        verify="hokusai-probe verify service-discovery-name-missing",
    )


def _summary(*, there: bool, stale: bool) -> str:
    if not there:
        return "Create the name in Cloud Map again, have MLflow's ECS service register with it, and deploy."
    also = ", and take the instance of old out of Cloud Map" if stale else ""
    return f"Deploy MLflow again: ECS registers its new task under the name{also}."


def _deregister(url: str, stale: tuple[str, ...]) -> tuple[str, ...]:
    """ECS takes out only what it put in itself."""
    name, _, zone = _host(url).partition(".")
    listed = f"--filters Name=NAMESPACE_ID,Values=$namespace --query {quote(f'Services[?Name==`{name}`].Id')}"
    return (
        _namespace(zone),
        f"service=$(aws servicediscovery list-services {listed} --output text)",
        *(line for address in stale for line in _take_out(address)),
    )


def _take_out(address: str) -> tuple[str, str]:
    of_address = quote(f"Instances[?Attributes.AWS_INSTANCE_IPV4==`{address}`].Id | [0]")
    listed = f"--service-id $service --query {of_address} --output text"
    return (
        f"instance=$(aws servicediscovery list-instances {listed})",
        "aws servicediscovery deregister-instance --service-id $service --instance-id $instance",
    )


def _namespace(zone: str) -> str:
    of_zone = f"--query {quote(f'Namespaces[?Name==`{zone}`].Id')} --output text"
    return f"namespace=$(aws servicediscovery list-namespaces {of_zone})"


def _recreate(url: str, deploy: str) -> tuple[str, ...]:
    name, _, zone = _host(url).partition(".")
    dns = "RoutingPolicy=MULTIVALUE,DnsRecords=[{Type=A,TTL=10}]"
    create = f"aws servicediscovery create-service --name {quote(name)} --namespace-id $namespace"
    return (
        _namespace(zone),
        f"registry=$({create} --dns-config {quote(dns)} --query Service.Arn --output text)",
        f"{deploy} --service-registries registryArn=$registry",
    )
