"""A service may not connect to the database."""

from collections.abc import Iterator

from hokusai_probe.causes._network import (
    barred,
    database_fails_mlflow,
    open_up,
    says_unwell,
    takes_the_gateway_along,
)
from hokusai_probe.causes._tasks import OF_DATABASE, toll
from hokusai_probe.declare import Case, cause
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.security_groups import SecurityGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts
from hokusai_probe.topology import NAMES


@cause(
    component="network",
    priority="critical",
    effort="minutes",
    entails=("mlflow-database-unreachable", "mlflow-down", "tasks-crash-at-start"),
    look_alikes={
        "database-unavailable": "there RDS says that the database is not available",
        "database-settings-wrong": "there the database refuses at once: user, name or host are wrong",
        "database-connections-exhausted": "there the database refuses at once: too many clients",
        "mlflow-database-password-wrong": "there the database refuses at once, and says so in MLflow's log",
    },
    source="AWS: Controlling access with security groups (RDS): can't connect, connection timed out",
)
def security_group_blocks_database(
    health: HealthBodiesFacts | None,
    api: MlflowApiFacts | None,
    facts: SecurityGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
    definitions: TaskDefinitionsFacts | None,
) -> Iterator[Case]:
    """The database's security group does not admit a service that needs it.

    RDS is available and connecting times out: the gateway's ``/ready`` is 503 with ``connection timed out``
    or ``timeout expired`` in its database check; MLflow answers its own 503 ``TEMPORARILY_UNAVAILABLE`` or
    hangs, and does not come up after a restart.
    """
    symptoms = {
        "gateway": says_unwell(health, "postgres", "the gateway says of the database"),
        "mlflow": database_fails_mlflow(api),
    }
    along = {"gateway": takes_the_gateway_along(health)}
    for service, symptom in symptoms.items():
        edges = facts.between(service, "database") if facts else ()
        taken = toll(ecs, tasks, OF_DATABASE, service)
        rules = barred(
            facts, edges, f"the security group of the database does not admit the {NAMES[service]}"
        )
        if facts and not edges and definitions and definitions.of(service):
            rules = rules.model_copy(update={"holds": False})  # its settings name no database server
        yield Case(
            subject="database",
            breaks=(
                f"{service}-to-database",
                *along.get(service, ()),
                *taken.breaks,
            ),
            claims=(
                symptom,
                rules,
            ),
            remedy=open_up(facts, edges, "security-group-blocks-database"),
            covers=taken.covers,
        )
