"""The task definition revisions around the one in use: a newer one, and what earlier ones had."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable
from hokusai_probe.probes._variables import STORES
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts, definition

EARLIER = 2
"""How many revisions before the one in use are read."""

_SEEN_ELSEWHERE = re.compile("|".join((r"DB_(?!PASSWORD).*", "MLFLOW_SERVER_ALLOWED_HOSTS", *STORES)))
"""Without them a service takes another database, store or Host: defects with names of their own."""

_OUTSIDE = re.compile(
    r"(.*_)?(URL|URI|HOST|ENDPOINT|ADDRESS|BUCKET|QUEUE|TOPIC|TABLE|ARN|KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)"
)
"""Names of what a program reaches or is known by. Others, such as LOG_LEVEL, are often dropped on purpose."""
STANDS_IN: Mapping[str, str] = {
    "AUTH_SERVICE_URL": "HOKUSAI_AUTH_SERVICE_URL",
    "HOKUSAI_AUTH_SERVICE_URL": "AUTH_SERVICE_URL",
    "AUTH_SERVICE_ID": "HOKUSAI_AUTH_SERVICE_ID",
    "HOKUSAI_AUTH_SERVICE_ID": "AUTH_SERVICE_ID",
    "REDIS_URL": "REDIS_HOST",
    "REDIS_HOST": "REDIS_URL",
    "REDIS_PORT": "REDIS_URL",
}
"""Names that say the same: while the other one is there, dropping this one loses nothing by itself."""

_NUMBERED = re.compile(r"(?P<family>[^/]+):(?P<number>\d+)")


def number(arn: str) -> int | None:
    """The number of a revision; None where the text names none."""
    found = _NUMBERED.search(arn.rpartition("/")[2])
    return int(found["number"]) if found else None


class Family(Frozen):
    """The revisions of one service's family. ``newest``: the newest ACTIVE one; ``earlier``: newest first."""

    name: str
    newest: TaskDefinition
    earlier: tuple[TaskDefinition, ...] = ()

    def waiting(self, one: EcsService) -> bool:
        """A newer revision than the one in use is there, and nothing was deployed since it was registered."""
        used, newest = number(one.task_definition), number(self.newest.arn)
        return used is not None and newest is not None and newest > used and not self.tried(one)

    def tried(self, one: EcsService) -> bool:
        """Whether ECS deployed, or tried to deploy, something since the newest revision was registered.

        Where AWS does not say when that was, a deployment that failed is taken for it.
        """
        since = self.newest.registered_at
        if any(r.revision == self.newest.arn for r in one.rollouts):
            return True
        if since is None:
            return one.rolled_back is not None or one.stalled
        deployed = (r.created_at for r in one.rollouts if r.created_at)
        told = (e.at for e in one.history if "deployment" in e.text)
        return any(at >= since for at in (*deployed, *told))


class RevisionsFacts(Facts):
    """Families by the platform's name for the service; one that could not be read is in ``failures``."""

    families: Mapping[str, Family] = {}
    failures: Mapping[str, AwsFailure] = {}

    def lost(self, service: str, used: TaskDefinition, *, doubled: bool = False) -> Mapping[str, int]:
        """Names that the revision in use lacks, with the place of the earlier one that had it last.

        Neither as variable nor as secret, and with no name in its place, be it new or, unless ``doubled``,
        one that says the same. Names whose loss shows itself as something else are left to who looks at that.
        """
        family = self.families.get(service)
        found: dict[str, int] = {}
        for place, before in enumerate(family.earlier if family else ()):
            for name in {*before.names, *before.secrets} - {*used.names, *used.secrets}:
                spared = not doubled and STANDS_IN.get(name) in {*used.names, *used.secrets}
                if not spared and not _SEEN_ELSEWHERE.fullmatch(name) and not _replaced(used, before, name):
                    found.setdefault(name, place)
        return found


def missed(lost: Mapping[str, int], family: Family) -> tuple[str, ...]:
    """Of lost names those that were filled from a secret, or name something that the program reaches."""
    return tuple(
        name
        for name, place in sorted(lost.items())
        if name in {*family.earlier[place].secrets, *family.earlier[place].addresses}
        or _OUTSIDE.fullmatch(name)
    )


def _replaced(used: TaskDefinition, before: TaskDefinition, name: str) -> bool:
    """The revision in use has a new name that begins or ends like the one that it lost."""
    new = {*used.names, *used.secrets} - {*before.names, *before.secrets}
    first, last = name.partition("_")[0], name.rpartition("_")[2]
    return any(one.partition("_")[0] == first or one.rpartition("_")[2] == last for one in new)


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=9)
async def revisions(look: Look, definitions: TaskDefinitionsFacts) -> RevisionsFacts:
    """The newest revision of each service's family, and the two before the one in use.

    ecs:DescribeTaskDefinition. What a revision lost is seen only beside the one that its predecessor ran:
    a task of the old one may have served for days (INC-35).
    """
    used = {
        name: one for name in definitions.definitions if (one := definitions.of(name)) and number(one.arn)
    }
    found = await asyncio.gather(*(_family(look.cloud(), one) for one in used.values()))
    pairs = dict(zip(used, found, strict=True))
    return RevisionsFacts(
        families={n: f for n, f in pairs.items() if isinstance(f, Family)},
        failures={n: f for n, f in pairs.items() if isinstance(f, AwsFailure)},
    )


async def _family(aws: AwsDoor, used: TaskDefinition) -> Family | AwsFailure:
    name, last = used.arn.rpartition("/")[2].partition(":")[0], number(used.arn) or 0
    before = range(last - 1, max(last - 1 - EARLIER, 0), -1)
    newest, *earlier = await asyncio.gather(
        definition(aws, name, used.container),
        *(definition(aws, f"{name}:{one}", used.container) for one in before),
    )
    if newest.failure is not None:
        return newest.failure
    return Family(name=name, newest=newest, earlier=tuple(one for one in earlier if one.failure is None))


@check(hop="deployments/newest")
def newest_revisions_run(facts: RevisionsFacts, ecs: EcsServicesFacts) -> Sentence:
    """No service runs an older revision than the newest one while nobody has tried to deploy that.

    A revision that was tried and rolled back, or passed over by a later deployment, is no news here.
    """
    if facts.failures:
        return CannotTell(reason=_unread(facts))
    if not facts.families:
        return NotApplicable(reason="no service has a task definition that could be read")
    waiting = (
        f"{ecs.services[name].name} runs {used_name(ecs.services[name])} and revision "
        f"{number(family.newest.arn)} is registered"
        for name, family in facts.families.items()
        if name in ecs.services and family.waiting(ecs.services[name])
    )
    return "; ".join(waiting) or None


def used_name(one: EcsService) -> str:
    """The family and number of the revision that a service uses."""
    return one.task_definition.rpartition("/")[2]


@check(hop="deployments/variables")
def revisions_keep_their_variables(facts: RevisionsFacts, definitions: TaskDefinitionsFacts) -> Sentence:
    """The revision in use has every secret and address that the ones before it had.

    One that got another name, by its first or last word, is not lost. Whether any other variable was dropped
    on purpose nobody can tell from here.
    """
    if facts.failures:
        return CannotTell(reason=_unread(facts))
    if not any(family.earlier for family in facts.families.values()):
        return NotApplicable(reason="no revision in use has a predecessor that could be read")
    lacking = {
        service: (used, facts.lost(service, used))
        for service in facts.families
        if (used := definitions.of(service))
    }
    said = [
        f"{used.arn.rpartition('/')[2]} of the {service} service lacks {', '.join(names)}"
        for service, (used, lost) in lacking.items()
        if (names := missed(lost, facts.families[service]))
    ]
    dropped = sorted(name for _, lost in lacking.values() for name in lost)
    if dropped and not said:
        return CannotTell(reason=f"{', '.join(dropped)} may have been dropped on purpose")
    return "; ".join(said) or None


def _unread(facts: RevisionsFacts) -> str:
    return "; ".join(f"ecs:DescribeTaskDefinition for {s}: {f.kind}" for s, f in facts.failures.items())
