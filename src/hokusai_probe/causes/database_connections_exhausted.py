"""The database has no connection to spare."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._stores import (
    gateway_complains,
    heard,
    instance_is_available,
    mlflow_complains,
    where_it_shows,
)
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts


@cause(
    component="database",
    priority="high",
    effort="hours",
    look_alikes={
        "database-unavailable": "there no server answers",
        "mlflow-database-unreachable": "there MLflow's words are of a connection that was not made",
        "target-group-empty": "its 503 is the load balancer's page, not MLflow's JSON",
    },
    source="PostgreSQL: error code 53300 too_many_connections; AWS: Quotas and constraints, max_connections",
)
def database_connections_exhausted(
    stores: GatewayStoresFacts | None,
    api: MlflowApiFacts | None,
    registration: RegistrationFacts | None,
    instance: DatabaseInstanceFacts | None,
) -> Iterator[Case]:
    """The server is up and takes no more clients, always or now and then.

    MLflow answers 503 TEMPORARILY_UNAVAILABLE with ``FATAL: sorry, too many clients already`` or
    ``remaining connection slots are reserved``; the gateway's /ready may say the same. Who comes when a
    connection is free is served, so it looks like a fault that comes and goes.
    """
    said = [*mlflow_complains(api, registration), *gateway_complains(stores)]
    full = next((c for c in said if c.trouble == "too-many"), None)
    well = api is not None and api.works and stores is not None and stores.database is True and not said
    yield Case(
        subject="database",
        breaks=("mlflow-to-database", "gateway-to-database", "database/connections"),
        claims=where_it_shows(
            heard("the database has no free connection", full, False if well else None, telling=True),
            instance_is_available(instance),
        ),
        remedy=_remedy(instance),
    )


def _remedy(instance: DatabaseInstanceFacts | None) -> Remedy:
    """Who holds the connections is a question for SQL; a larger instance is the way without."""
    name = instance.name if instance else None
    which = f"--db-instance-identifier {quote(name)}" if name else ""
    period = "--start-time $(date -u -d '-3 hours' +%FT%TZ) --end-time $(date -u +%FT%TZ) --period 300"
    metric = "--namespace AWS/RDS --metric-name DatabaseConnections --statistics Maximum"
    seen = (
        f"aws cloudwatch get-metric-statistics {metric} --dimensions Name=DBInstanceIdentifier,Value={name}"
    )
    return Remedy(
        kind="needs-value",
        summary="End the sessions that nobody uses (pg_stat_activity says whose they are), and bound the "
        "pools: MLFLOW_SQLALCHEMYSTORE_POOL_SIZE of MLflow times its workers, and those of gateway and auth. "
        "Else raise max_connections in the parameter group, or take a larger instance class.",
        before=(f"{seen} {period}",) if name else (),
        after=(f"aws rds describe-db-instances {which} --query 'DBInstances[].DBParameterGroups'",)
        if name
        else (),
        also_touches="A new max_connections holds from the next reboot on, which ends all connections.",
        verify="hokusai-probe verify database-connections-exhausted",
    )
