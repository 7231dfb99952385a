"""A secret that the revision in use does not ask for any more."""

from collections.abc import Iterator

from hokusai_probe.causes._revision import set_secret
from hokusai_probe.causes._tasks import CONSEQUENCES, Seen, unseen
from hokusai_probe.causes._words import one_line, whose, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.revisions import RevisionsFacts
from hokusai_probe.probes.secrets_and_parameters import SecretsAndParametersFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="deployment",
    priority="high",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "secret-missing-or-misnamed": "there the revision asks for it, and it does not exist",
        "tasks-crash-at-start": "there the revision has all that its predecessor had",
    },
    source="INC-35, INC-42",
)
def task_definition_lacks_secret(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    revisions: RevisionsFacts | None,
    ecs: EcsServicesFacts | None,
    stores: SecretsAndParametersFacts | None,
) -> Iterator[Case]:
    """The revision in use does not fill a variable from a secret, as the one before it did.

    ``HuggingFace token not configured``, ``Database password not found``: the secret exists and Terraform
    lists it, and the revision that a pipeline registered has left it out. A time bomb where the old task
    goes on for days: compare with the revision that the old task ran, not with the last deployment.
    """
    if definitions is None:
        seen = Seen(hosts, api, paths, ecs, None)
        yield from unseen(
            seen, "the revision in use lacks a secret that the one before it had", RevisionsFacts
        )
    if definitions is None or revisions is None or ecs is None:
        return
    for service, family in revisions.families.items():
        used = definitions.of(service)
        lost = revisions.lost(service, used) if used else {}
        for name in sorted(lost):
            before = family.earlier[lost[name]]
            if used and name in before.secret_refs:
                yield _case(service, used, (name, before), lost[name], ecs, stores)


def _case(
    service: str,
    used: TaskDefinition,
    lost: tuple[str, TaskDefinition],
    place: int,
    ecs: EcsServicesFacts,
    stores: SecretsAndParametersFacts | None,
) -> Case:
    name, before = lost
    one = ecs.services.get(service)
    ref = before.secret_refs[name]
    missing = stores.missing(ref) if stores else None
    still = None if missing is None else not missing
    return Case(
        subject=service,
        breaks=(
            "deployments/variables",
            f"ecs.{service}" if one and one.short else f"{service}/{name.lower()}",
        ),
        claims=(_lacks(service, used, lost, place, telling=still is not False), _exists(ref, still=still)),
        remedy=set_secret(
            used,
            ecs,
            service,
            (name, word(ref, "SECRET_ARN")),
            summary=f"Register a revision of {whose(service)} task definition in which {name} comes from "
            f"{ref} again, and deploy it.",
            verify="hokusai-probe verify task-definition-lacks-secret",
        ),
    )


def _lacks(
    service: str, used: TaskDefinition, lost: tuple[str, TaskDefinition], place: int, *, telling: bool
) -> Claim:
    name, before = lost
    return claim(
        f"{_short(before)} fills {name} from a secret, and {_short(used)}, which is in use, does not have it",
        name not in used.secrets,
        by=RevisionsFacts,
        fact=f"families.{service}.earlier[{place}].secret_refs.{name}",
        value=before.secret_refs[name],
        telling=telling,
        aws_cli=one_line(
            f"aws ecs describe-task-definition --task-definition {word(used.arn, 'DEFINITION')}"
        ),
    )


def _exists(ref: str, *, still: bool | None) -> Claim:
    """A secret that is gone as well may have been taken away on purpose: then that is left open."""
    return claim(
        f"{ref} still exists",
        still or None,
        by=SecretsAndParametersFacts,
        fact="truncated" if still else "",
        value=False if still else None,
    )


def _short(one: TaskDefinition) -> str:
    return one.arn.rpartition("/")[2]
