"""What the causes at database, cache and bucket share: who complains of the database, and the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from shlex import quote

from hokusai_probe.answers import error_code, responder
from hokusai_probe.causes._words import describe_health, group_of
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Facts, Frozen
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.gateway_stores import DatabaseTrouble, GatewayStoresFacts, database_trouble
from hokusai_probe.probes.log_tails import LogLine, LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import RegistrationFacts
from hokusai_probe.probes.target_groups import TargetGroupsFacts

UNREACHED: frozenset[DatabaseTrouble] = frozenset({"refused", "no-name", "silent"})
LOGIN = r"password authentication failed|role \S+ does not exist"
_OF_DATABASE = re.compile(r"psycopg|OperationalError|sqlalche|FATAL:|postgres", re.IGNORECASE)
_STAGES = ("experiment", "run", "logged", "run_read", "model", "version", "models_found", "version_read")
_LATELY = timedelta(minutes=10)
_SHOWN = 200
_ARN = re.compile(
    r"\barn:aws[\w-]*:[\w-]+:[\w-]*:\d{12}:"
    r"(?:assumed-role/(?P<assumed>[\w+=,.@-]+)|role/(?:[^\s\"'/]+/)*(?P<role>[\w+=,.@-]+))?[^\s\"']*"
)


class Complaint(Frozen):
    """Words about the database: whose look heard them, where they stand, and what they come to."""

    by: type[Facts]
    fact: str
    value: str | int | None
    words: str
    trouble: DatabaseTrouble


def mlflow_complains(
    api: MlflowApiFacts | None, registration: RegistrationFacts | None
) -> Iterator[Complaint]:
    """Answers in which MLflow itself speaks of its database: 5xx with the driver's words."""
    if api is not None:
        yield from _spoken(MlflowApiFacts, {"search": api.search, "unknown_model": api.unknown_model})
    if registration is not None:
        yield from _spoken(RegistrationFacts, {s: getattr(registration, s) for s in _STAGES})


def _spoken(by: type[Facts], answers: Mapping[str, Answer | None]) -> Iterator[Complaint]:
    for place, answer in answers.items():
        if answer is not None and _speaks_of_database(answer):
            yield Complaint(
                by=by,
                fact=f"{place}.status",
                value=answer.status,
                words=shortened(answer.body),
                trouble=database_trouble(answer.body),
            )


def shortened(text: str) -> str:
    """The beginning of a text on one line, for a sentence, without what names an account.

    Of a role that was assumed its name is left; whole words are, too.
    """
    whole = _ARN.sub(_role, " ".join(text.split()))
    if len(whole) <= _SHOWN:
        return whole
    return f"{whole[:_SHOWN].rpartition(' ')[0] or whole[:_SHOWN]}…"


def _role(found: re.Match[str]) -> str:
    name = found["assumed"] or found["role"]
    return f"role {name}" if name else "an ARN"


def _speaks_of_database(answer: Answer) -> bool:
    by_mlflow = (answer.status or 0) >= 500 and responder(answer) == "mlflow" and bool(error_code(answer))
    return by_mlflow and bool(_OF_DATABASE.search(answer.body))


def gateway_complains(stores: GatewayStoresFacts | None) -> Iterator[Complaint]:
    """What the gateway says of its own database, if it cannot use it."""
    if stores is not None and stores.database is False and stores.database_error:
        yield Complaint(
            by=GatewayStoresFacts,
            fact="database_error",
            value=stores.database_error,
            words=stores.database_error,
            trouble=database_trouble(stores.database_error),
        )


def logged_lately(logs: LogTailsFacts | None, service: str, pattern: str) -> tuple[str, LogLine] | None:
    """The newest line of a service that matches, with its place; not one that is long behind the newest."""
    found = logs.matching(service, pattern) if logs else None
    if logs is None or found is None:
        return None
    newest = logs.logs[service].lines[-1].at
    return found if newest - found[1].at <= _LATELY else None


def heard(text: str, found: Complaint | None, otherwise: object = None, *, telling: bool = False) -> Claim:
    """A claim that somebody complains so; ``otherwise`` is what holds when nobody does."""
    if found is None:
        return claim(text, otherwise, by=GatewayStoresFacts, fact="database")
    said = f"{text}: {found.words}"
    return claim(said, holds=True, by=found.by, fact=found.fact, value=found.value, telling=telling)


def where_it_shows(symptom: Claim, *facts: Claim) -> tuple[Claim, ...]:
    """The symptom, and facts that speak for a cause only beside it: they hold in good health, too."""
    if symptom.holds:
        return (symptom, *facts)
    return (symptom, *(f if f.holds is False else f.model_copy(update={"holds": None}) for f in facts))


def keeps_the_gateway_waiting(stores: GatewayStoresFacts | None) -> bool:
    """The gateway, on a way and in a security group of its own, waits for the database in vain."""
    if stores is None or stores.database is not False:
        return False
    return database_trouble(stores.database_error) == "silent"


def instance_is_available(instance: DatabaseInstanceFacts | None) -> Claim:
    """RDS says that the database takes connections; not known without AWS, or where none is named."""
    seen = instance is not None and instance.status is not None
    named = instance.name if instance else None
    gone = instance is not None and instance.missing
    return claim(
        f"RDS takes {named} for one that serves: it is {instance.status}"
        if instance and seen
        else "RDS says that it is available",
        instance.available if instance else None,
        by=DatabaseInstanceFacts,
        fact="status" if seen else "failure.kind" if gone else "",
        value=instance.status if instance and seen else "not-found" if gone else None,
        aws_cli=describe_instance(named),
    )


def not_serving(groups: TargetGroupsFacts | None) -> Claim:
    """MLflow does not answer the load balancer's health check, which goes past the gateway, either."""
    group, place = group_of(groups, "mlflow")
    targets = group.targets if group and not group.failure else ()
    well = next((n for n, t in enumerate(targets) if t.state == "healthy"), None)
    shown = well if well is not None else next(iter(range(len(targets))), None)
    return claim(
        "MLflow does not answer the load balancer either",
        None if shown is None else well is None,
        by=TargetGroupsFacts,
        fact="" if shown is None else f"{place}.targets[{shown}].state",
        value=None if shown is None else targets[shown].state,
        aws_cli=describe_health(group, "mlflow"),
    )


def describe_instance(name: str | None) -> str:
    """The AWS CLI call that shows the state of the database, or of all of them."""
    which = f" --db-instance-identifier {quote(name)}" if name else ""
    columns = "'DBInstances[].[DBInstanceIdentifier,DBInstanceStatus]'"
    return f"aws rds describe-db-instances{which} --query {columns}"
