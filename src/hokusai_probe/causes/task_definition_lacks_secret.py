"""A secret that the revision in use does not ask for any more."""

from collections.abc import Iterator

from hokusai_probe.causes._lost import named_as_missing
from hokusai_probe.causes._revision import set_secret
from hokusai_probe.causes._tasks import CONSEQUENCES, Seen, unseen
from hokusai_probe.causes._words import describe_definition, whose, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.revisions import RevisionsFacts
from hokusai_probe.probes.secrets_and_parameters import SecretsAndParametersFacts
from hokusai_probe.probes.serving import ServingFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

_SERVING = "authenticated/serving"
_LACKS = "the revision in use lacks a secret that the one before it had"
_COMMON = frozenset({"token", "secret", "password", "auth"})
_SHORTEST = 4


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
    serving: ServingFacts | None,
    *,
    tasks: EcsTasksFacts | None,
    logs: LogTailsFacts | None,
) -> Iterator[Case]:
    """The revision in use does not fill a variable from a secret, as the one before it did.

    ``HuggingFace token not configured``, ``Database password not found``: the secret exists and Terraform
    lists it, and the revision that a pipeline registered has left it out. A time bomb where the old task
    goes on for days: compare with the revision that the old task ran, not with the last deployment. It may
    have been dropped on purpose: certain is only what the service itself says that it misses.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    if definitions is None:
        yield from unseen(seen, _LACKS, RevisionsFacts)
        yield from _not_served(serving)
    if definitions is None or revisions is None or ecs is None:
        return
    for service, family in revisions.families.items():
        used = definitions.of(service)
        lost = revisions.lost(service, used) if used else {}
        for name in sorted(lost):
            before = family.earlier[lost[name]]
            if used and name in before.secret_refs:
                says = named_as_missing(seen, logs, service, used, name, secret=True)
                case = _case(service, used, (name, before), lost[name], ecs, stores, says)
                yield _with_serving(case, name, serving) if service == "gateway" else case


def _not_served(serving: ServingFacts | None) -> Iterator[Case]:
    """Outside eyes see a prediction fail for want of a secret, and not whether a revision has lost one."""
    if serving is not None and serving.lacks:
        claims = (_complaint(serving), claim(_LACKS, None, by=RevisionsFacts))
        yield Case(subject="gateway", breaks=(_SERVING,), claims=claims)


def _with_serving(case: Case, name: str, serving: ServingFacts | None) -> Case:
    """The case, with a prediction that fails for want of just this secret."""
    if serving is None or not _speaks_of(name, serving.lacks):
        return case
    return case.model_copy(
        update={
            "breaks": (*case.breaks, _SERVING),
            "claims": (*case.claims, _complaint(serving, telling=True)),
        }
    )


def _speaks_of(name: str, words: str) -> bool:
    """Whether words are about a variable: HUGGINGFACE_API_KEY is what ``HuggingFace token`` is about."""
    own = (part for part in name.lower().split("_") if len(part) >= _SHORTEST and part not in _COMMON)
    return any(part in words.lower() for part in own)


def _complaint(serving: ServingFacts, *, telling: bool = False) -> Claim:
    return claim(
        f"a prediction of model {serving.model} is refused for want of a secret: {serving.lacks}",
        holds=True,
        by=ServingFacts,
        fact="prediction.status",
        value=serving.prediction.status if serving.prediction else None,
        telling=telling,
    )


def _case(
    service: str,
    used: TaskDefinition,
    lost: tuple[str, TaskDefinition],
    place: int,
    ecs: EcsServicesFacts,
    stores: SecretsAndParametersFacts | None,
    says: Claim | None,
) -> Case:
    """``says``: the service's own words that it misses this."""
    name, before = lost
    one = ecs.services.get(service)
    ref = before.secret_refs[name]
    missing = stores.missing(ref) if stores else None
    still = None if missing is None else not missing
    died = one is not None and one.short and says is not None
    return Case(
        subject=service,
        breaks=("deployments/variables", f"ecs.{service}" if died else f"{service}/{name.lower()}"),
        claims=(
            _lacks(service, used, lost, place),
            *((says,) if says else ()),
            _exists(ref, still=still),
        ),
        remedy=_remedy(service, used, (name, ref), ecs, sure=says is not None),
    )


def _remedy(
    service: str, used: TaskDefinition, secret: tuple[str, str], ecs: EcsServicesFacts, *, sure: bool
) -> Remedy:
    """Without the service's own word a person must say first whether it was dropped on purpose."""
    name, ref = secret
    return set_secret(
        used,
        ecs,
        service,
        (name, word(ref, "SECRET_ARN")),
        summary=f"Register a revision of {whose(service)} task definition in which {name} comes from "
        f"{ref} again, and deploy it.",
        verify="hokusai-probe verify task-definition-lacks-secret",
        doubt="" if sure else f"{name} was dropped on purpose",
    )


def _lacks(service: str, used: TaskDefinition, lost: tuple[str, TaskDefinition], place: int) -> Claim:
    """Never telling: nobody knows by this alone whether it was dropped on purpose."""
    name, before = lost
    return claim(
        f"{_short(before)} fills {name} from a secret, and {_short(used)}, which is in use, does not have it",
        name not in used.secrets,
        by=RevisionsFacts,
        fact=f"families.{service}.earlier[{place}].secret_refs.{name}",
        value=before.secret_refs[name],
        aws_cli=describe_definition(used),
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
