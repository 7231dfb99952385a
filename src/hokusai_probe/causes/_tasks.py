"""What the causes share that are read off tasks that stopped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow, serves_elsewhere, service_claim
from hokusai_probe.causes._words import cluster, one_line, service_name, whose
from hokusai_probe.declare import Case, Claim, claim
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.ecs_services import EcsService, EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import STAGE, EcsTasksFacts, Kind, StoppedTask, ending
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.secrets_and_parameters import SecretsAndParametersFacts
from hokusai_probe.topology import SERVICES

CONSEQUENCES = (
    "deployment-rolled-back", "ecs-service-short-of-tasks", "tasks-crash-at-start", "target-group-empty",
    "service-discovery-name-missing", "auth-service-down", "gateway-down", "mlflow-down",
)  # fmt: skip
"""What follows when the tasks of a service cannot start."""

OF_DATABASE = r"psycopg|operationalerror|sqlalchemy|postgres|5432|initializing backend store"
OF_CACHE = r"redis|6379"
"""Words with which a task speaks of a neighbour before it ends."""

SECRET, PARAMETER = ":secret:", ":parameter/"
"""What the ARN of a secret, and of a parameter, has and no other."""
_REFUSED = re.compile(r"not authorized to perform: (?P<action>[\w-]+:\w+) on resource: (?P<resource>\S+)")

NEVER_THERE, NOW_AND_THEN = (503,), (502, 503, 504)
"""What the load balancer answers by itself: no target was ever registered, or one that comes and goes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The facts that all of these causes look at."""

    hosts: HostsFacts
    api: MlflowApiFacts | None
    paths: PublicPathsFacts | None
    ecs: EcsServicesFacts | None
    tasks: EcsTasksFacts | None

    def subjects(self) -> Iterator[str]:
        """The services that can have tasks; one that is gone, or told to run none, has another cause."""
        for service in () if self.hosts.bare else SERVICES:
            one = self.service(service)
            if one is None or (not one.gone and one.desired > 0):
                yield service

    def service(self, service: str) -> EcsService | None:
        """The ECS service, None where ECS could not be asked."""
        return self.ecs.services.get(service) if self.ecs else None

    def deaths(self, service: str) -> tuple[tuple[int, StoppedTask], ...]:
        """Stopped tasks that matter now, newest first, with their places: of what runs, or failed to."""
        return _deaths(self.service(service), self.tasks, service)

    def well(self, service: str) -> bool | None:
        """Whether a service runs all its tasks and its last deployment went through."""
        one = self.service(service)
        if one is None or self.tasks is None or service not in self.tasks.services:
            return None
        return not one.short and not one.stalled and one.rolled_back is None and not self.deaths(service)

    def breaks(self, service: str) -> tuple[str, ...]:
        """What does not work when tasks of a service die: all of it, unless others serve in their place."""
        one = self.service(service)
        return (f"ecs.{service}",) if one is None else _broken(one, service)

    def outside(self, service: str, statuses: tuple[int, ...] = NEVER_THERE) -> tuple[Claim, ...]:
        """The symptom that outside eyes see; none is predicted where tasks serve all the same."""
        one = self.service(service)
        if one is not None and one.running:
            return ()
        serves = serves_elsewhere(self.hosts, service)
        return (service_claim(self.hosts, self.api, self.paths, service, statuses, serves=serves),)

    def newest(self, service: str) -> tuple[str, StoppedTask | None]:
        """The newest death with its place in the facts."""
        found = next(iter(self.deaths(service)), None)
        return (f"services.{service}.stopped[{found[0]}]", found[1]) if found else ("", None)

    def of_kind(self, service: str, *kinds: Kind) -> bool | None:
        """Whether the newest death is of a kind. None: what was seen hides it, or nothing was seen."""
        _, task = self.newest(service)
        if task is None:
            return False if self.well(service) else None
        if task.kind in kinds:
            return True
        stage = min(STAGE[kind] for kind in kinds)
        return None if STAGE[task.kind] < stage or STAGE[task.kind] == stage == 0 else False

    def died(self, service: str, text: str, *kinds: Kind, many: int = 1, telling: bool = True) -> Claim:
        """The claim that tasks of a service die like this, at least so many of them."""
        place, task = self.newest(service)
        holds = self.of_kind(service, *kinds)
        few = sum(t.kind in kinds for _, t in self.deaths(service)) < many
        said = f": {ending(task)}" if task and holds else ""
        return claim(
            f"{whose(service)} {text}{said}",
            None if holds and few else holds,
            by=EcsTasksFacts,
            fact=f"{place}.reason" if task else "",
            value=task.reason if task else None,
            telling=telling,
            aws_cli=stopped_tasks(self.ecs, service),
        )

    def last_words(self, service: str, text: str, says: Callable[[str], object]) -> Claim:
        """The claim that some line of the log of a task that died speaks for it; never against."""
        dead = ((place, t) for place, t in self.deaths(service) if t.last_words)
        lines = [
            (f"services.{service}.stopped[{place}].last_words[{n}]", line)
            for place, task in dead
            for n, line in enumerate(task.last_words)
        ]
        found = next(((fact, line) for fact, line in reversed(lines) if says(line)), None)
        return claim(
            f"{text}: {found[1]}" if found else text,
            True if found else None,
            by=EcsTasksFacts,
            fact=found[0] if found else "",
            value=found[1] if found else None,
            aws_cli=stopped_tasks(self.ecs, service),
        )


def cases(
    seen: Seen,
    text: str,
    *kinds: Kind,
    remedy: Callable[[str, StoppedTask | None], Remedy],
    beside: Callable[[str], tuple[Claim, ...]] = lambda _: (),
    breaks: tuple[str, ...] = (),
) -> Iterator[Case]:
    """A case for each service: its tasks die of one of these kinds. ``breaks``: what else that breaks."""
    for service in seen.subjects():
        task = seen.newest(service)[1]
        mine = task if task is not None and task.kind in kinds else None
        yield Case(
            subject=service,
            breaks=(*seen.breaks(service), *breaks),
            claims=(*seen.outside(service), seen.died(service, text, *kinds), *beside(service)),
            remedy=remedy(service, mine),
        )


def unseen(seen: Seen, text: str, by: type[Facts]) -> Iterator[Case]:
    """A case for each service where nothing of its revisions was seen: what outside eyes see may follow."""
    for service in seen.subjects():
        mlflow = seen.api and gateway_cannot_reach_mlflow(seen.api, seen.paths)
        through = (mlflow,) if service == "gateway" and mlflow and mlflow.holds else ()
        yield Case(
            subject=service,
            breaks=("gateway-to-mlflow",) if through else (f"ecs.{service}",),
            claims=(*(through or seen.outside(service, NOW_AND_THEN)), claim(text, None, by=by)),
        )


def refused(task: StoppedTask | None) -> tuple[str, str] | None:
    """The action that a task was not allowed, and on what, as its stopped reason has them."""
    found = _REFUSED.search(f"{task.reason} {task.container_reason}") if task else None
    return (found["action"], found["resource"].rstrip(".,;")) if found else None


def refused_and_missing(task: StoppedTask | None, stores: SecretsAndParametersFacts | None) -> str | None:
    """The secret or parameter that a task was refused and that does not exist.

    A policy that names what it allows answers AccessDenied for what is not there (INC-38).
    """
    denied = refused(task)
    if stores is None or denied is None or not any(kind in denied[1] for kind in (SECRET, PARAMETER)):
        return None
    return denied[1] if stores.missing(denied[1]) else None


def refused_in_vain(
    seen: Seen, case: Case, stores: SecretsAndParametersFacts | None, kind: str
) -> Case | None:
    """The case of what is not there, where tasks are refused it: no permission would help."""
    place, task = seen.newest(case.subject)
    missing = refused_and_missing(task, stores)
    if task is None or missing is None or kind not in missing:
        return None
    gone = claim(
        f"{whose(case.subject)} tasks are refused {missing}, which does not exist",
        holds=True,
        by=EcsTasksFacts,
        fact=f"{place}.reason",
        value=task.reason,
        telling=True,
        aws_cli=stopped_tasks(seen.ecs, case.subject),
    )
    return case.model_copy(update={"claims": (*case.claims[:-1], gone)})


def or_not_there(seen: Seen, case: Case, gone: Claim, hop: str) -> Case:
    """The case with the claim that what a task definition names is not there any more, which breaks ``hop``.

    Where no task has died of it, those that run go on, and the next one cannot start: then that is the case.
    That it is there speaks against nothing, and while something earlier stops the tasks, it proves nothing.
    """
    died = case.claims[-1].holds
    if gone.holds and died is False:
        return case.model_copy(update={"breaks": (hop,), "claims": (gone,)})
    hidden = died is None and seen.newest(case.subject)[1] is not None
    update = {"holds": gone.holds or None, "telling": gone.telling and not hidden}
    breaks = (*case.breaks, hop) if gone.holds else case.breaks
    return case.model_copy(
        update={"breaks": breaks, "claims": (*case.claims, gone.model_copy(update=update))}
    )


@dataclass(frozen=True, slots=True)
class Toll:
    """What a neighbour that is not reached does to the tasks of services: what breaks, and what it causes."""

    breaks: tuple[str, ...] = ()
    covers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _deaths(
    one: EcsService | None, tasks: EcsTasksFacts | None, service: str
) -> tuple[tuple[int, StoppedTask], ...]:
    if one is None or tasks is None:
        return ()
    return tasks.dying(service, one) or tasks.undeployed(service, one)


def _broken(one: EcsService, service: str) -> tuple[str, ...]:
    failed = ("deployments/rollout",) if one.stalled or one.rolled_back is not None else ()
    return (f"ecs.{service}" if one.short else f"ecs.{service}/tasks", *failed)


def toll(ecs: EcsServicesFacts | None, tasks: EcsTasksFacts | None, words: str, *services: str) -> Toll:
    """What is a neighbour's doing: tasks that speak of it before they die, and what follows from that.

    A task that ECS stops for its health checks says nothing mostly: a start that hangs, or a rollback, is
    laid at the neighbour's door; that tasks die for it takes words.
    """
    breaks: list[str] = []
    covers: dict[str, tuple[str, ...]] = {}
    for service in services:
        one = ecs.services.get(service) if ecs else None
        task = next((t for _, t in _deaths(one, tasks, service)), None)
        spoken = task is not None and _speaks(task, words)
        breaks += _broken(one, service) if one and spoken else ()
        slugs = CONSEQUENCES if spoken else ()
        slow = ("health-check-kills-slow-start",) if task and (spoken or task.kind == "health") else ()
        for slug in (*slugs, *slow, *rollback(ecs, tasks, service, words)):
            covers[slug] = tuple(dict.fromkeys((*covers.get(slug, ()), service)))
    return Toll(tuple(breaks), covers)


def rollback(
    ecs: EcsServicesFacts | None, tasks: EcsTasksFacts | None, service: str, words: str = ""
) -> Mapping[str, tuple[str, ...]]:
    """The rollback of a service, where its new tasks failed health checks or died with such words.

    Where ECS no longer shows how they ended, it is what else is wrong with the service that tells. One
    whose new tasks died of anything else is another story.
    """
    one = ecs.services.get(service) if ecs else None
    if one is None or one.rolled_back is None:
        return {}
    dead = tasks.undeployed(service, one) if tasks else ()
    task = dead[0][1] if dead else None
    if task is None or task.kind == "health" or (words and _speaks(task, words)):
        return {"deployment-rolled-back": (service,)}
    return {}


def _speaks(task: StoppedTask, words: str) -> bool:
    return any(re.search(words, line, re.IGNORECASE) for line in task.last_words)


def stopped_tasks(ecs: EcsServicesFacts | None, service: str) -> str:
    """The AWS CLI calls that show the stopped tasks of a service with their reasons."""
    found = f"aws ecs list-tasks {cluster(ecs)} --service-name {service_name(ecs, service)}"
    listed = f"{found} --desired-status STOPPED --query taskArns --output text"
    return one_line(
        f"aws ecs describe-tasks {cluster(ecs)} --tasks $({listed}) "
        "--query 'tasks[].[stoppedAt,stoppedReason,containers[].[name,exitCode,reason]]'"
    )
