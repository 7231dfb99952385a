"""The database refuses MLflow's password."""

from collections.abc import Iterator

from hokusai_probe.causes._stores import (
    LOGIN,
    Complaint,
    gateway_complains,
    heard,
    logged_lately,
    mlflow_complains,
    not_serving,
    where_it_shows,
)
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._tasks import OF_DATABASE, toll
from hokusai_probe.causes._words import one_line, update_service, wait_for
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes._variables import BACKEND
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts


@cause(
    component="database",
    priority="critical",
    effort="minutes",
    entails=(
        "tasks-crash-at-start",
        "ecs-service-short-of-tasks",
        "health-check-kills-slow-start",
        "target-group-empty",
        "service-discovery-name-missing",
        "mlflow-down",
    ),
    look_alikes={
        "tasks-crash-at-start": "that says no more than that the task ends; its log says why",
        "database-settings-wrong": "there the gateway is refused, and MLflow is well",
        "mlflow-database-unreachable": "there no server answers MLflow",
    },
    source="INC-37; PostgreSQL: error code 28P01 invalid_password",
)
def mlflow_database_password_wrong(
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    registration: RegistrationFacts | None,
    stores: GatewayStoresFacts | None,
    kept: MlflowStoresFacts | None,
    logs: LogTailsFacts | None,
    groups: TargetGroupsFacts | None,
    ecs: EcsServicesFacts | None,
    *,
    tasks: EcsTasksFacts | None,
) -> Iterator[Case]:
    """MLflow is given a password, or a user, that its database does not know.

    Its log says ``FATAL: password authentication failed for user "mlflow"`` and ``Error initializing
    backend store``, and the task ends. It strikes at the next start after a rotation, days later perhaps:
    nothing of MLflow's was changed on that day.
    """
    spoken = next((c for c in mlflow_complains(api, registration) if c.trouble == "login"), None)
    symptom = heard("MLflow is refused by its database", spoken) if spoken else _down(api, paths)
    died = () if spoken else ("ecs.mlflow",)
    shared = ("gateway-to-database",) if _shared(stores, spoken, logs) else ()
    yield Case(
        subject="mlflow",
        breaks=("mlflow-to-database", *died, *shared),
        claims=where_it_shows(
            symptom,
            _refused(spoken, logs, symptom),
            *(() if spoken else (not_serving(groups),)),
        ),
        remedy=_remedy(kept, ecs),
        covers=toll(ecs, tasks, OF_DATABASE, "mlflow").covers,
    )


def _down(api: MlflowApiFacts, paths: PublicPathsFacts | None) -> Claim:
    return gateway_cannot_reach_mlflow(api, paths)


def _refused(spoken: Complaint | None, logs: LogTailsFacts | None, symptom: Claim) -> Claim:
    """The database's refusal in MLflow's answer or, of a task that died, in its log."""
    if spoken is not None:
        return heard("the database refuses MLflow's password", spoken, telling=True)
    line = logged_lately(logs, "mlflow", LOGIN) if symptom.holds else None
    silent = logs is not None and logs.read("mlflow") and symptom.holds
    return claim(
        f"MLflow's log says: {line[1].text}" if line else "MLflow's log says that its password is refused",
        True if line else False if silent else None,
        by=LogTailsFacts,
        fact=line[0] if line else "",
        value=line[1].text if line else None,
        telling=True,
    )


def _shared(stores: GatewayStoresFacts | None, spoken: Complaint | None, logs: LogTailsFacts | None) -> bool:
    """The gateway is refused as the same user: one password of both, which the database no longer takes."""
    ours = next((c.words for c in gateway_complains(stores) if c.trouble == "login"), "")
    line = logged_lately(logs, "mlflow", LOGIN)
    theirs = spoken.words if spoken else line[1].text if line else ""
    return bool(_user(ours)) and _user(ours) == _user(theirs)


def _user(words: str) -> str:
    return words.replace("\\", "").partition('for user "')[2].partition('"')[0]


def _remedy(kept: MlflowStoresFacts | None, ecs: EcsServicesFacts | None) -> Remedy:
    """Only a person may see the password. A fixed URI with one in it will break at each rotation."""
    plain = kept is not None and bool(kept.store_uri)
    where = "the secret that it comes from" if not plain else f"{BACKEND[0]} or the secret beside it"
    return Remedy(
        kind="needs-value",
        summary=f"Put the password that the database has into {where}, and deploy MLflow again. Take it from "
        "a secret, never from a variable: one that is written down fails at each rotation.",
        before=("aws secretsmanager list-secrets --query 'SecretList[].[Name,LastChangedDate]'",),
        aws_cli=(one_line(update_service(ecs, "mlflow", "--force-new-deployment")),),
        after=(wait_for(ecs, "mlflow"),),
        also_touches="Whoever shares the user: the gateway may be refused as well.",
        verify="hokusai-probe verify mlflow-database-password-wrong",
    )
