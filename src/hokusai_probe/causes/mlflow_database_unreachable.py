"""MLflow does not reach a database that is well."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from hokusai_probe.causes._stores import (
    UNREACHED,
    Complaint,
    heard,
    instance_is_available,
    keeps_the_gateway_waiting,
    logged_lately,
    mlflow_complains,
    not_serving,
    where_it_shows,
)
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._tasks import OF_DATABASE, toll
from hokusai_probe.causes._words import one_line, update_service, wait_for
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts, database_trouble
from hokusai_probe.probes.health_bodies import HealthBodiesFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts

OWN_VIEW = "/api/health/mlflow"
_NO_CONNECTION = (
    r"(psycopg\S*|OperationalError|connection to server).*"
    r"(connection refused|failed to resolve|could not translate|timeout expired|timed out|no route)"
)


@cause(
    component="database",
    priority="critical",
    effort="hours",
    entails=(
        "tasks-crash-at-start",
        "ecs-service-short-of-tasks",
        "target-group-empty",
        "service-discovery-name-missing",
        "mlflow-down",
    ),
    look_alikes={
        "database-unavailable": "there RDS itself is not available",
        "security-group-blocks-database": "there a group does not admit MLflow, and connects time out",
        "mlflow-database-password-wrong": "there the server answers and refuses the password",
        "database-connections-exhausted": "there the server answers 'too many clients'",
        "gateway-proxy-timeout-too-short": "there MLflow finishes what the gateway gave up; here it hangs",
    },
    source="MLflow 3.17: 503 TEMPORARILY_UNAVAILABLE with SQLAlchemy's words; /health stays 200",
)
def mlflow_database_unreachable(
    api: MlflowApiFacts,
    registration: RegistrationFacts | None,
    bodies: HealthBodiesFacts | None,
    kept: MlflowStoresFacts | None,
    instance: DatabaseInstanceFacts | None,
    logs: LogTailsFacts | None,
    groups: TargetGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    *,
    tasks: EcsTasksFacts | None,
    stores: GatewayStoresFacts | None,
) -> Iterator[Case]:
    """MLflow's connections to its database are refused, time out or find no name, and RDS is available.

    Its /health is 200, and everything that needs the database is 503 TEMPORARILY_UNAVAILABLE with
    ``(psycopg.OperationalError) connection failed``, or hangs until the gateway says 504. At a start MLflow
    gives up and its task ends: ``Error initializing backend store``. Where it hangs and the gateway waits in
    vain for the same database as well, the database is what they share.
    """
    found = next((c for c in mlflow_complains(api, registration) if c.trouble in UNREACHED), None)
    symptom = _symptom(api, bodies, found)
    died = symptom.probe == "mlflow-api" and found is None
    available = instance.available if instance else None
    shared = _silent_to_the_gateway(stores, available=available) if symptom.probe == "health-bodies" else None
    yield Case(
        subject="mlflow",
        breaks=_broken(died=died, shared=bool(shared)),
        claims=where_it_shows(
            symptom,
            _uses_a_database(kept),
            instance_is_available(instance),
            shared or _proof(found, symptom, logs, available=available),
            *((not_serving(groups),) if died else ()),
        ),
        remedy=_remedy(ecs),
        covers=toll(ecs, tasks, OF_DATABASE, "mlflow").covers,
    )


def _broken(*, died: bool, shared: bool) -> tuple[str, ...]:
    more = ("ecs.mlflow",) if died else ("gateway-to-database",) if shared else ()
    return ("mlflow-to-database", *more)


def _silent_to_the_gateway(stores: GatewayStoresFacts | None, *, available: bool | None) -> Claim | None:
    """What two services wait for is at fault, and neither of their ways, while RDS is available."""
    if stores is None or not keeps_the_gateway_waiting(stores):
        return None
    return claim(
        f"the gateway waits for the database in vain as well: {stores.database_error}",
        holds=available or None,
        by=GatewayStoresFacts,
        fact="database_error",
        value=stores.database_error,
    )


def _symptom(api: MlflowApiFacts, bodies: HealthBodiesFacts | None, found: Complaint | None) -> Claim:
    """MLflow says so; or its API hangs while all of it that needs no database is well; or it is not there."""
    if found is not None:
        return heard("MLflow cannot reach its database", found)
    hangs = _only_the_database_hangs(bodies.answers[OWN_VIEW].json()) if bodies else False
    if bodies and hangs and api.search.status == 504:
        return claim(
            "MLflow's health and artifacts are well, and what needs its database hangs",
            holds=True,
            by=HealthBodiesFacts,
            fact=f"answers.{OWN_VIEW}.status",
            value=bodies.answers[OWN_VIEW].status,
        )
    return gateway_cannot_reach_mlflow(api, None) if not hangs else _works(api)


def _works(api: MlflowApiFacts) -> Claim:
    text = "MLflow cannot reach its database"
    works = False if api.works else None
    return claim(text, works, by=MlflowApiFacts, fact="search.status", value=api.search.status)


def _only_the_database_hangs(body: JsonValue) -> bool:
    detail = body.get("detail") if isinstance(body, Mapping) else None
    checks = detail.get("checks") if isinstance(detail, Mapping) else None
    found = checks if isinstance(checks, Mapping) else {}
    words = {str(n): v for n, v in found.items() if isinstance(v, Mapping)}
    well = all(words.get(n, {}).get("status") == "healthy" for n in ("connectivity", "artifacts_api"))
    return well and "imeout" in str(words.get("experiments_api", {}).get("error"))


def _uses_a_database(kept: MlflowStoresFacts | None) -> Claim:
    known = kept is not None and kept.backend in {"database", "unset", "task-disk"}
    sqlite = kept is not None and (kept.store_uri or "").startswith("sqlite:")
    return claim(
        "MLflow keeps its data in a database server",
        False if sqlite else kept.backend == "database" if kept and known else None,
        by=MlflowStoresFacts,
        fact="store_uri" if sqlite else "backend" if known else "",
        value=kept.store_uri if kept and sqlite else kept.backend if kept and known else None,
    )


def _proof(
    found: Complaint | None, symptom: Claim, logs: LogTailsFacts | None, *, available: bool | None
) -> Claim:
    """A refusal or a missing name while RDS is available. A timeout is never proof: a firewall gives one."""
    text = "connecting to it fails at once, which no firewall does"
    line = logged_lately(logs, "mlflow", _NO_CONNECTION) if symptom.holds else None
    trouble = found.trouble if found else database_trouble(line[1].text) if line else None
    by: type[Facts] = found.by if found else LogTailsFacts
    fact, value = (found.fact, found.value) if found else (line[0], line[1].text) if line else ("", None)
    at_once = trouble in {"refused", "no-name"}
    down = found is None and symptom.probe == "mlflow-api" and bool(symptom.holds)
    holds = None if trouble is None or not at_once or not available else True
    if trouble is None and down and logs is not None and logs.read("mlflow"):
        holds = False
    if trouble == "silent" and available:
        text, holds = "connecting to it times out", True
    return claim(text, holds, by=by, fact=fact, value=value, telling=at_once)


def _remedy(ecs: EcsServicesFacts | None) -> Remedy:
    """The way is mended elsewhere; what can be said here is where to look, in the order of likelihood."""
    return Remedy(
        kind="needs-value",
        summary="Look at the way from MLflow's task to the database: the host, port and name in "
        "BACKEND_STORE_URI, security groups and ACLs, the subnet's routes, a proxy in between. Then deploy "
        "MLflow again.",
        before=("aws rds describe-db-instances --query 'DBInstances[].[DBInstanceIdentifier,Endpoint]'",),
        aws_cli=(one_line(update_service(ecs, "mlflow", "--force-new-deployment")),),
        after=(wait_for(ecs, "mlflow"),),
        also_touches="MLflow's running task is replaced.",
        verify="hokusai-probe verify mlflow-database-unreachable",
    )
