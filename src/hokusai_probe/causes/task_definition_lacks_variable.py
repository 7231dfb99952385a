"""A variable that the revision in use does not have any more."""

from collections.abc import Iterator

from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._tasks import CONSEQUENCES, Seen, unseen
from hokusai_probe.causes._words import one_line, whose, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.revisions import RevisionsFacts, missed
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

_HOPS = {
    "MLFLOW_SERVER_URL": "gateway-to-mlflow",
    "HOKUSAI_AUTH_SERVICE_URL": "gateway-to-auth",
    "REDIS_URL": "gateway-to-cache",
    "WEBHOOK_URL": "gateway-to-site",
}
"""What a service cannot reach without the variable."""


@cause(
    component="deployment",
    priority="high",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "task-definition-lacks-secret": "there it is filled from a secret",
        "deployment-had-no-effect": "there the revision that has it is not in use",
    },
    source="INC-48",
)
def task_definition_lacks_variable(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    revisions: RevisionsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The revision in use lacks a variable that the one before it had, and nothing stands in its place.

    ``... environment variable is not set``: 503 or 500 from the application itself on every try, never from
    the load balancer, while health says 200. Often added in Terraform only, where the ECS service ignores
    Terraform's task definition. A variable may have been dropped on purpose: then register it as empty.
    """
    if definitions is None:
        seen = Seen(hosts, api, paths, ecs, None)
        yield from unseen(
            seen, "the revision in use lacks a variable that the one before it had", RevisionsFacts
        )
    if definitions is None or revisions is None or ecs is None:
        return
    for service, family in revisions.families.items():
        used = definitions.of(service)
        lost = revisions.lost(service, used) if used else {}
        for name in missed(lost, family):
            place = lost[name]
            before = family.earlier[place]
            if used and name in before.names:
                yield _case(service, used, before, f"families.{service}.earlier[{place}]", name, ecs)


def _case(
    service: str, used: TaskDefinition, before: TaskDefinition, place: str, name: str, ecs: EcsServicesFacts
) -> Case:
    one = ecs.services.get(service)
    hops = (f"ecs.{service}",) if one and one.short else (_HOPS[name],) if name in _HOPS else ()
    return Case(
        subject=service,
        breaks=("deployments/variables", *hops),
        claims=(_lacks(used, before, place, name),),
        remedy=_remedy(service, used, before, name, ecs),
    )


def _lacks(used: TaskDefinition, before: TaskDefinition, place: str, name: str) -> Claim:
    """Telling only of what a service cannot do without: of others nobody knows whether they were dropped."""
    return claim(
        f"{_short(before)} has {name}, and {_short(used)}, which is in use, does not",
        name not in used.names,
        by=RevisionsFacts,
        fact=f"{place}.names",
        value=list(before.names),
        telling=name in _HOPS,
        aws_cli=one_line(
            f"aws ecs describe-task-definition --task-definition {word(used.arn, 'DEFINITION')}"
        ),
    )


def _remedy(
    service: str, used: TaskDefinition, before: TaskDefinition, name: str, ecs: EcsServicesFacts
) -> Remedy:
    value = before.addresses.get(name)
    return set_variable(
        used,
        ecs,
        service,
        (name, word(value, "VARIABLE_VALUE")),
        summary=f"Register a revision of {whose(service)} task definition with {name}"
        + (f" = {value}" if value else "")
        + ", and deploy it.",
        verify="hokusai-probe verify task-definition-lacks-variable",
    )


def _short(one: TaskDefinition) -> str:
    return one.arn.rpartition("/")[2]
