"""MLflow keeps experiments and models on the disk of its task."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._words import wait_for
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes._variables import BACKEND
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts


@cause(
    component="mlflow",
    priority="critical",
    effort="hours",
    look_alikes={
        "mlflow-artifacts-on-task-disk": "there the artifacts are at stake, here runs and models",
        "mlflow-database-unreachable": "there a database is configured and does not answer",
    },
    source="L-08; MLflow: Backend Stores, --backend-store-uri",
)
def mlflow_file_store(
    kept: MlflowStoresFacts,
    instance: DatabaseInstanceFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """MLflow was given no BACKEND_STORE_URI, or one on its task's own disk.

    It starts healthy and works; with the task go all experiments, runs and registered models, and ids begin
    again at 0. "My experiment is gone", ``RESOURCE_DOES_NOT_EXIST`` for what was there yesterday.
    """
    if not kept.definition or "file-store" in target.accept.behaviours:
        return
    said = f"{BACKEND[0]} is {kept.store_uri}" if kept.store_uri else f"{BACKEND[0]} is not set"
    lost = kept.backend in {"unset", "task-disk"}
    yield Case(
        subject="mlflow",
        breaks=("mlflow/backend-store",),
        claims=(
            claim(
                f"{said}: what MLflow keeps is gone with its task",
                None if kept.backend == "unknown" else lost,
                by=MlflowStoresFacts,
                fact="backend",
                value=kept.backend,
                telling=True,
                aws_cli=f"aws ecs describe-task-definition --task-definition {quote(kept.definition)}",
            ),
        ),
        remedy=_remedy(instance, ecs),
    )


def _remedy(instance: DatabaseInstanceFacts | None, ecs: EcsServicesFacts | None) -> Remedy:
    """The address holds a password, so it comes from a secret, which no command of ours writes."""
    where = "of a database"
    if instance is not None and instance.host and instance.database:
        where = (
            f"of {instance.name} (host {instance.host}, port {instance.port}, database {instance.database})"
        )
    variable = 'secrets = [{ name = "BACKEND_STORE_URI", valueFrom = aws_secretsmanager_secret.store.arn }]'
    return Remedy(
        kind="needs-value",
        summary="Save what there is (mlflow-export-import) before the task ends. Then write the whole "
        f"address {where}, with user and password, into a secret, let {BACKEND[0]} come from "
        "it, and deploy MLflow.",
        terraform=f"# of the container\n{variable}\n",
        after=(wait_for(ecs, "mlflow"),),
        also_touches="A deployment replaces the task, and with it all that was kept on its disk.",
        verify="hokusai-probe verify mlflow-file-store",
    )
