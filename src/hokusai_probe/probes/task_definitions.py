"""What the running revision of each service tells its container: ports, and the addresses it obeys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import probe
from hokusai_probe.looking import Look
from hokusai_probe.model import Facts, Frozen, Utc
from hokusai_probe.probes.ecs_services import EcsServicesFacts


class TaskDefinition(Frozen):
    """The container that serves. ``addresses`` holds allow-listed variables only; ``names`` all of them.

    ``secrets``: names of variables that are filled from a secret or parameter; ``secret_refs`` name -> where
    from (an ARN or a parameter's name, never a value). ``log_prefix``: what names of its log streams begin
    with. ``architecture``: X86_64 or ARM64, "" where it is not
    said. ``registered_at``: UTC, None where AWS does not say.
    """

    arn: str
    container: str = ""
    image: str = ""
    ports: tuple[int, ...] = ()
    addresses: Mapping[str, str] = {}
    names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    secret_refs: Mapping[str, str] = {}
    log_group: str = ""
    log_prefix: str = ""
    architecture: str = ""
    execution_role: str = ""
    task_role: str = ""
    registered_at: Utc | None = None
    failure: AwsFailure | None = None


class TaskDefinitionsFacts(Facts):
    """The task definition in use, by the platform's name for the service."""

    definitions: Mapping[str, TaskDefinition]

    def of(self, service: str) -> TaskDefinition | None:
        """The definition of a service, None where there is none or it could not be read."""
        found = self.definitions.get(service)
        return found if found and found.failure is None else None


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=3)
async def task_definitions(look: Look, ecs: EcsServicesFacts) -> TaskDefinitionsFacts:
    """Task definitions in use: ``ecs:DescribeTaskDefinition``.

    Of the environment only address-like variables leave the door, without user-info and query; of
    secrets only the names.
    """
    running = {name: s for name, s in ecs.services.items() if s.task_definition and not s.gone}
    found = await asyncio.gather(
        *(definition(look.cloud(), s.task_definition, s.container) for s in running.values())
    )
    return TaskDefinitionsFacts(definitions=dict(zip(running, found, strict=True)))


async def definition(aws: AwsDoor, arn: str, container: str) -> TaskDefinition:
    """One revision by its ARN, or by ``family`` (its newest) or ``family:number``; never raises for AWS."""
    answer = await aws.call("ecs", "describe_task_definition", taskDefinition=arn)
    if answer.failure is not None:
        return TaskDefinition(arn=arn, failure=answer.failure)
    whole = answer.data["taskDefinition"]
    containers = whole["containerDefinitions"]
    one = next((c for c in containers if c["name"] == container), containers[0])
    logs = one.get("logConfiguration", {}).get("options", {})
    return TaskDefinition(
        arn=whole["taskDefinitionArn"],
        container=one["name"],
        image=one.get("image", ""),
        ports=tuple(int(p["containerPort"]) for p in one.get("portMappings", ())),
        log_group=logs.get("awslogs-group", ""),
        log_prefix=logs.get("awslogs-stream-prefix", ""),
        architecture=whole.get("runtimePlatform", {}).get("cpuArchitecture", ""),
        execution_role=whole.get("executionRoleArn", ""),
        task_role=whole.get("taskRoleArn", ""),
        registered_at=whole.get("registeredAt"),
        **_variables(one),
    )


def _variables(container: Mapping[str, Any]) -> dict[str, Any]:
    environment = container.get("environment", ())
    secrets = {str(s["name"]): str(s["valueFrom"]) for s in container.get("secrets", ())}
    return {
        "addresses": {e["name"]: e["value"] for e in environment if "value" in e},
        "names": tuple(sorted(e["name"] for e in environment)),
        "secrets": tuple(sorted(secrets)),
        "secret_refs": secrets,
    }
