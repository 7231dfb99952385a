"""MLflow keeps experiments and models on the disk of its task."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._revision import set_variable
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.mlflow_stores import BACKEND, MlflowStoresFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts


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
    definitions: TaskDefinitionsFacts | None,
    instance: DatabaseInstanceFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """MLflow was given no BACKEND_STORE_URI, or one on its task's own disk.

    It starts healthy and works; with the task go all experiments, runs and registered models, and ids begin
    again at 0. "My experiment is gone", ``RESOURCE_DOES_NOT_EXIST`` for what was there yesterday.
    """
    if not kept.definition:
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
        remedy=_remedy(definitions, instance, ecs),
    )


def _remedy(
    definitions: TaskDefinitionsFacts | None,
    instance: DatabaseInstanceFacts | None,
    ecs: EcsServicesFacts | None,
) -> Remedy:
    """The address is RDS's; the password comes from a secret that a person must name."""
    save = "Save what there is (mlflow-export-import) before the task ends. Then set "
    verify = "hokusai-probe verify mlflow-file-store"
    if instance is None or not instance.host or not instance.database:
        summary = f"{save}{BACKEND[0]} to the address of a database, and deploy MLflow."
        return Remedy(kind="needs-value", summary=summary, verify=verify)
    uri = f"postgresql://{instance.master}@{instance.host}:{instance.port}/{instance.database}"
    said = set_variable(
        definitions.of("mlflow") if definitions else None,
        ecs,
        "mlflow",
        (BACKEND[0], quote(uri)),
        summary=f"{save}{BACKEND[0]} to {uri}, let its password come from a secret, and deploy MLflow.",
        verify=verify,
    )
    variable = f'# environment of the container\n{{ name = "{BACKEND[0]}", value = "{uri}" }}\n'
    return said.model_copy(update={"kind": "needs-value", "terraform": variable})
