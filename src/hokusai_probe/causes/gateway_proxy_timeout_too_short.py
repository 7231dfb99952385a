"""The gateway's proxy gives up while MLflow is still at work."""

from collections.abc import Iterator, Mapping

from hokusai_probe.answers import error_code, responder, said
from hokusai_probe.causes._mlflow_address import addresses_of_mlflow
from hokusai_probe.causes._stores import keeps_the_gateway_waiting, logged_lately
from hokusai_probe.causes._symptoms import health_errors, health_of_mlflow, proxy_gave_up
from hokusai_probe.causes._words import (
    answered,
    beside,
    describe_health,
    group_of,
    one_line,
    previous_revision,
    word,
)
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.mlflow_routes import MlflowRoutesFacts
from hokusai_probe.probes.mlflow_stores import MlflowStoresFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

Asked = tuple[type[Facts], str, Answer]
_BEHIND = (
    r"psycopg|sqlalchemy|OperationalError|TEMPORARILY_UNAVAILABLE|botocore"
    r"|(S3|database)\b.*(error|exception|fail|refus|time[d ]*out|unavailable|cannot|could not)"
)
_STORAGE = "/mlflow-artifacts/"


@cause(
    component="gateway",
    priority="high",
    effort="hours",
    look_alikes={
        "gateway-mlflow-address-stale": "there no request gets through, and the address is nobody's",
        "security-group-blocks-mlflow": "there no request gets through: connecting times out",
        "load-balancer-idle-timeout-too-short": "there the 504 is the load balancer's HTML",
        "mlflow-database-unreachable": "there MLflow does not finish, and its log says why",
        "artifact-bucket-access-denied": "there only artifacts fail, and nothing that was sent is found",
        "mlflow-down": "there MLflow's own health check fails as well",
    },
    source="contract 4.1 and 6: the proxy waits 30 s, MLflow's client 120 s",
)
def gateway_proxy_timeout_too_short(
    api: MlflowApiFacts,
    registration: RegistrationFacts | None,
    routes: MlflowRoutesFacts | None,
    paths: PublicPathsFacts | None,
    groups: TargetGroupsFacts | None,
    logs: LogTailsFacts | None,
    ecs: EcsServicesFacts | None,
    definitions: TaskDefinitionsFacts | None,
    *,
    stores: GatewayStoresFacts | None,
    kept: MlflowStoresFacts | None,
) -> Iterator[Case]:
    """Slow requests end in the gateway's ``MLflow server request timeout after 30.0s``; MLflow finishes them.

    Quick requests work. What a slow one was to create is there when one looks, so that trying again says
    ``RESOURCE_ALREADY_EXISTS``. MLflow's own client would have waited four times as long. Where MLflow itself
    waits for its database or its storage in vain, the words are the same, and nothing is ever finished.
    """
    asked = tuple(_asked(api, registration, routes))
    late = _first(a for a in asked if a[2].status == 504 and proxy_gave_up(a[2]))
    good = _first(a for a in asked if _by_mlflow(a[2]))
    health = health_of_mlflow(paths)
    searched = _searched(good, health)
    yield Case(
        subject="gateway",
        breaks=("gateway-to-mlflow",),
        claims=(
            _late(late, api),
            _reached(late, good, health),
            *_at_work(late, registration, groups, logs, searched=searched),
            *_at_the_database(None if searched else late, stores, kept),
        ),
        remedy=_remedy(ecs, definitions),
    )


def _asked(
    api: MlflowApiFacts,
    registration: RegistrationFacts | None,
    routes: MlflowRoutesFacts | None,
) -> Iterator[Asked]:
    """Every request to MLflow through the proxy, whatever became of it."""
    given: tuple[Facts | None, ...] = (api, registration, routes)
    for facts in (one for one in given if one is not None):
        for name in type(facts).model_fields:
            for place, answer in _in(name, getattr(facts, name)):
                yield type(facts), place, answer


def _in(name: str, value: object) -> Iterator[tuple[str, Answer]]:
    if isinstance(value, Answer):
        yield name, value
    elif isinstance(value, Mapping) and name != "tried":
        yield from ((f"{name}.{key}", one) for key, one in value.items() if isinstance(one, Answer))


def _late(late: Asked | None, api: MlflowApiFacts) -> Claim:
    """The proxy's own words. No, where MLflow answers and nothing came late."""
    if late is None:
        text = "the gateway gives up waiting for MLflow"
        return answered(text, False if api.works else None, api.search, "search", by=MlflowApiFacts)
    by, place, answer = late
    text = f"the gateway gives up waiting for MLflow: {answer.path}: {said(answer)}"
    return answered(text, 1, answer, place, by=by)


def _reached(late: Asked | None, good: Asked | None, health: tuple[str, Answer] | None) -> Claim:
    """MLflow answers other requests of the gateway's, or the gateway's own check connects to it."""
    text = "the gateway reaches MLflow: other requests of its are answered"
    if good is not None:
        by, place, answer = good
        return answered(text, True if late else None, answer, place, by=by)
    if health is None:
        return claim(text, None, by=PublicPathsFacts)
    lost = bool(health_errors(health[1]).get("connectivity"))
    return answered(text, beside(late, fact=not lost), health[1], health[0], by=PublicPathsFacts)


def _by_mlflow(answer: Answer) -> bool:
    own = responder(answer) == "mlflow" and error_code(answer) != ""
    return answer.status == 200 or (own and (answer.status or 0) < 500)


def _first(found: Iterator[Asked]) -> Asked | None:
    """The first that is not about artifacts: only those ask nothing of the storage behind MLflow."""
    listed = list(found)
    return next((a for a in listed if _STORAGE not in a[2].path), next(iter(listed), None))


def _at_work(
    late: Asked | None,
    registration: RegistrationFacts | None,
    groups: TargetGroupsFacts | None,
    logs: LogTailsFacts | None,
    *,
    searched: bool,
) -> Iterator[Claim]:
    """That MLflow is at work meanwhile, and does not wait in vain for what is behind it.

    Proven by what is there afterwards. Else by its database's answers to like requests, while its log speaks
    of no trouble; its storage has no such witness.
    """
    done = _done(registration) if late else None
    if done is not None:
        place, answer = done
        text = "MLflow finished what the gateway had given up"
        yield answered(f"{text}: {said(answer)}", 1, answer, place, by=RegistrationFacts, telling=True)
        return
    yield _quiet(late, groups, logs)
    if late is not None and _STORAGE in late[2].path:
        yield claim("MLflow finishes what the gateway gives up", None, by=RegistrationFacts)
    elif searched:
        yield _one_task(late, groups, telling=logs is not None and logs.read("mlflow"))


def _at_the_database(
    late: Asked | None, stores: GatewayStoresFacts | None, kept: MlflowStoresFacts | None
) -> Iterator[Claim]:
    """Nothing that needs the database was answered, and the gateway waits for the same one in vain."""
    in_database = kept is not None and kept.backend == "database"
    if late is None or stores is None or not in_database or not keeps_the_gateway_waiting(stores):
        return
    yield claim(
        "MLflow waits for something else than a database that keeps the gateway waiting as well",
        holds=False,
        by=GatewayStoresFacts,
        fact="database_error",
        value=stores.database_error,
    )


def _searched(good: Asked | None, health: tuple[str, Answer] | None) -> bool:
    """Whether something that needs MLflow's database was answered, were it to the gateway's own check."""
    checked = health_errors(health[1]).get("experiments_api") == "" if health else False
    return checked or (good is not None and _STORAGE not in good[2].path)


def _done(registration: RegistrationFacts | None) -> tuple[str, Answer] | None:
    """What shows that a request which came late was finished: the thing is there under its own new name."""
    facts = registration
    if facts is None:
        return None
    if _gave_up(facts.upload) and facts.download is not None and facts.download.status == 200:
        return "download", facts.download
    found = facts.models_found
    if _gave_up(facts.model) and found is not None and found.status == 200 and facts.name in found.body:
        return "models_found", found
    again = ((name, getattr(facts, name)) for name in ("run", "model", "version"))
    return next(((n, a) for n, a in again if a and error_code(a) == "RESOURCE_ALREADY_EXISTS"), None)


def _gave_up(answer: Answer | None) -> bool:
    return answer is not None and answer.status == 504 and proxy_gave_up(answer)


def _one_task(late: Asked | None, groups: TargetGroupsFacts | None, *, telling: bool) -> Claim:
    """One address: it cannot be that one of MLflow's tasks is reached and another is not."""
    group, place = group_of(groups, "mlflow")
    addresses = addresses_of_mlflow(groups, None)
    number = next((n for n, t in enumerate(group.targets if group else ()) if t.id in addresses), None)
    alone = group is not None and number is not None and len(addresses) == 1
    return claim(
        "MLflow has one task, so that a request waits for its answer and not for a connection",
        beside(late, fact=True if alone else None),
        by=TargetGroupsFacts,
        fact=f"{place}.targets[{number}].id" if alone else "",
        value=group.targets[number].id if alone and group and number is not None else None,
        telling=telling,
        aws_cli=describe_health(group, "mlflow"),
    )


def _quiet(late: Asked | None, groups: TargetGroupsFacts | None, logs: LogTailsFacts | None) -> Claim:
    """MLflow is well, and its log knows of no trouble behind it lately."""
    group, place = group_of(groups, "mlflow")
    number = next((n for n, t in enumerate(group.targets if group else ()) if t.state == "healthy"), None)
    troubled = logged_lately(logs, "mlflow", _BEHIND) is not None
    known = number is not None and logs is not None and logs.read("mlflow")
    return claim(
        "MLflow's target is healthy, and its log speaks of no database or storage that fails",
        beside(late, fact=False if troubled else (True if known else None)),
        by=TargetGroupsFacts,
        fact=f"{place}.targets[{number}].state" if known else "",
        value="healthy" if known else None,
    )


def _remedy(ecs: EcsServicesFacts | None, definitions: TaskDefinitionsFacts | None) -> Remedy:
    mlflow = definitions.of("mlflow") if definitions else None
    group = word(mlflow.log_group if mlflow else None, "MLFLOW_LOGS")
    return Remedy(
        kind="outside-aws",
        summary="Let the gateway's proxy wait longer than MLflow's slowest request takes, and the load "
        "balancer's idle timeout longer than that; or make what is slow quicker: MLflow's log says which "
        "requests were answered late, and the database and the artifact store why.",
        before=(one_line(f"aws logs tail {group} --since 15m"),),
        rollback=previous_revision(ecs, "gateway"),
        also_touches="Every request to MLflow. Whoever tried again after a 504 may have made things twice.",
        verify="hokusai-probe verify gateway-proxy-timeout-too-short",
    )
