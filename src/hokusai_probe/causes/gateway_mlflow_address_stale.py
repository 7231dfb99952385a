"""The gateway knows MLflow by the address of a task that is gone."""

from collections.abc import Iterator

from hokusai_probe.causes._mlflow_address import VARIABLE, Told, addresses_of_mlflow, private_url, told
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._words import describe_health, group_of, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

_OWN = frozenset({"127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared with, never listened on


@cause(
    component="gateway",
    priority="critical",
    effort="minutes",
    entails=("mlflow-down",),
    look_alikes={
        "gateway-mlflow-url-wrong": "there the address is a name, or a port, that never was MLflow's",
        "security-group-blocks-mlflow": "there the address is one of MLflow's tasks and connecting times out",
        "service-discovery-name-missing": "there the gateway uses the right name, which has no address",
        "mlflow-down": "there MLflow has no task that is well",
    },
    source="INC-30",
)
def gateway_mlflow_address_stale(
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    groups: TargetGroupsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The gateway's MLFLOW_SERVER_URL is the IP address of a task that MLflow no longer has.

    Everything worked until MLflow's next deployment or restart, which gave its task another address. Since
    then every MLflow call is ``MLflow server request timeout after 30.0s`` (nobody has the address) or
    ``Failed to connect to MLflow server at http://10.`` (somebody else has it), while MLflow itself is well.
    """
    given = told(api, paths, definitions)
    yield Case(
        subject="gateway",
        breaks=("gateway-to-mlflow",),
        claims=(
            gateway_cannot_reach_mlflow(api, paths),
            _fixed(given),
            _of_nobody(given, groups, discovery),
        ),
        remedy=_remedy(given, definitions, discovery, ecs),
    )


def _fixed(given: Told | None) -> Claim:
    if given is None:
        return claim("the gateway knows MLflow by a fixed address", None, by=TaskDefinitionsFacts)
    holds = given.is_fixed and given.host not in _OWN
    text = f"the gateway knows MLflow by a fixed address: {given.url}"
    return claim(text, holds, by=given.by, fact=given.fact, value=given.value)


def _of_nobody(
    given: Told | None, groups: TargetGroupsFacts | None, discovery: ServiceDiscoveryFacts | None
) -> Claim:
    """None of MLflow's tasks has the address. Where MLflow has no task at all, nobody can say."""
    current = addresses_of_mlflow(groups, discovery)
    known = given is not None and given.by is TaskDefinitionsFacts and given.is_fixed and current
    listed = ", ".join(sorted(current)) or "unknown"
    return claim(
        f"no task of MLflow's has that address; theirs are: {listed}",
        given.host not in current if known and given else None,
        by=TaskDefinitionsFacts,
        fact=given.fact if known and given else "",
        value=given.value if known and given else None,
        telling=True,
        aws_cli=describe_health(group_of(groups, "mlflow")[0], "mlflow"),
    )


def _remedy(
    given: Told | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
) -> Remedy:
    """The private name in place of the address, so that it lasts beyond the next deployment of MLflow."""
    mlflow = definitions.of("mlflow") if definitions else None
    right = private_url(given.url, mlflow, discovery) if given else None
    shown = right or "MLflow's private name, port and static prefix"
    return set_variable(
        definitions.of("gateway") if definitions else None,
        ecs,
        "gateway",
        (VARIABLE, word(right, "MLFLOW_URL")),
        summary=f"Register a revision of the gateway's task definition whose {VARIABLE} is {shown}, and "
        "deploy it. Another fixed address would be stale after the next deployment of MLflow.",
        verify="hokusai-probe verify gateway-mlflow-address-stale",
        shown=shown,
    )
