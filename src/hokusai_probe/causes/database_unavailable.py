"""The database is not there, or not in a state in which it takes connections."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._stores import (
    UNREACHED,
    describe_instance,
    gateway_complains,
    heard,
    mlflow_complains,
)
from hokusai_probe.causes._tasks import OF_DATABASE, toll
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.direct_stores import DirectStoresFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.topology import SERVICES


@cause(
    component="database",
    priority="critical",
    effort="minutes",
    entails=("mlflow-down",),
    look_alikes={
        "security-group-blocks-database": "there RDS is available and a group does not admit the caller",
        "mlflow-database-unreachable": "there RDS is available and the gateway reaches it",
        "database-settings-wrong": "there the server answers, and refuses the user or the name",
        "database-connections-exhausted": "there the server says 'too many clients'",
    },
    source="AWS: Viewing Amazon RDS DB instance status; INC-20, INC-21",
)
def database_unavailable(
    stores: GatewayStoresFacts | None,
    api: MlflowApiFacts | None,
    registration: RegistrationFacts | None,
    instance: DatabaseInstanceFacts | None,
    direct: DirectStoresFacts | None,
    ecs: EcsServicesFacts | None,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """RDS says that the instance is stopped, full, failed, being made, or that there is none.

    A stopped instance keeps its name and address, so that connects run into their timeout: "connection
    timeout expired", "could not connect to server: Connection timed out". Its /health stays 200 (MLflow)
    or says degraded (the gateway), /ready is 503, and MLflow's REST API hangs until the gateway gives up.
    """
    said = [*gateway_complains(stores), *mlflow_complains(api, registration)]
    unreached = next((c for c in said if c.trouble in UNREACHED), None)
    taken = toll(ecs, tasks, OF_DATABASE, *SERVICES)
    yield Case(
        subject="database",
        breaks=("database", *taken.breaks),
        claims=(
            heard("the database does not answer", unreached),
            _state(instance),
            *_from_here(direct, heard_of=unreached is not None),
        ),
        remedy=_remedy(instance),
        covers=taken.covers,
    )


def _from_here(direct: DirectStoresFacts | None, *, heard_of: bool) -> Iterator[Claim]:
    """What answers us is there. Where nothing does and nobody complains, the way from here may be shut."""
    seen = direct.database if direct else None
    if seen is None or seen.heard is None:
        return
    word = seen.heard.word is not None
    yield claim(
        f"no Postgres answers us at {seen.place}",
        False if seen.answers else (heard_of or None),
        by=DirectStoresFacts,
        fact="database.heard.word" if word else "database.heard.connected",
        value=seen.heard.word if word else seen.heard.connected,
    )


def _state(instance: DatabaseInstanceFacts | None) -> Claim:
    gone = instance is not None and instance.missing
    state = "not there" if gone else instance.status if instance else None
    return claim(
        f"RDS says that {instance.name} is {state}"
        if instance and state
        else "RDS says that it is not available",
        None if instance is None or instance.available is None else not instance.available,
        by=DatabaseInstanceFacts,
        fact="failure.kind" if gone else "status" if state else "",
        value="not-found" if gone else instance.status if instance else None,
        telling=True,
        aws_cli=describe_instance(instance.name if instance else None),
    )


def _remedy(instance: DatabaseInstanceFacts | None) -> Remedy | None:
    """A stopped instance is started, a full one gets a fifth more; the rest is a person's decision."""
    if instance is None or instance.name is None:
        return None
    name = f"--db-instance-identifier {quote(instance.name)}"
    more = max(instance.allocated_gib + 10, instance.allocated_gib * 6 // 5 + 1)
    ways = {
        "stopped": (f"Start {instance.name}.", f"aws rds start-db-instance {name}"),
        "storage-full": (
            f"Give {instance.name} {more} GiB of storage.",
            f"aws rds modify-db-instance {name} --allocated-storage {more} --apply-immediately",
        ),
    }
    summary, command = ways.get(instance.status or "", (_otherwise(instance), ""))
    return Remedy(
        kind="automatic" if command else "needs-value",
        summary=summary,
        before=(describe_instance(instance.name), _events(instance.name)),
        aws_cli=(command,) if command else (),
        after=(f"aws rds wait db-instance-available {name}",),
        rollback=f"aws rds stop-db-instance {name}" if instance.status == "stopped" else "",
        also_touches="Everything that keeps its data there: MLflow, the gateway, the auth service.",
        verify="hokusai-probe verify database-unavailable",
    )


def _events(name: str) -> str:
    of_it = f"--source-identifier {quote(name)} --source-type db-instance"
    return f"aws rds describe-events {of_it} --duration 1440"


def _otherwise(instance: DatabaseInstanceFacts) -> str:
    if instance.missing:
        return f"Restore {instance.name} from its newest snapshot, or find out under which name it lives now."
    return f"{instance.name} is {instance.status}: read its events; wait, or restore its newest snapshot."
