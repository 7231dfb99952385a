"""The gateway asks for a user or a database that the server does not have."""

from collections.abc import Iterator, Mapping
from shlex import quote

from hokusai_probe.causes._revision import set_variables
from hokusai_probe.causes._stores import (
    LOGIN,
    Complaint,
    gateway_complains,
    heard,
    instance_is_available,
    logged_lately,
    where_it_shows,
)
from hokusai_probe.causes._words import one_line, update_service, wait_for
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.database_instance import DatabaseInstanceFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.gateway_stores import DatabaseTrouble, GatewayStoresFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

_VARIABLES = {"host": "DB_HOST", "port": "DB_PORT", "user": "DB_USER", "primary_db": "DB_NAME"}
_MENDS: Mapping[DatabaseTrouble, tuple[str, ...]] = {
    "no-database": ("primary_db",),
    "refused": ("host", "port"),
    "no-name": ("host",),
    "silent": ("port",),
}
"""The settings that a trouble names. Never the user: RDS tells of its master alone, which is for nobody."""
_VERIFY = "hokusai-probe verify database-settings-wrong"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@cause(
    component="database",
    priority="high",
    effort="minutes",
    look_alikes={
        "database-unavailable": "there no server answers; here one answers and refuses",
        "security-group-blocks-database": "there connecting times out",
        "mlflow-database-password-wrong": "there MLflow is refused, in its own log",
        "task-definition-lacks-secret": "there the revision has no DB_PASSWORD at all",
    },
    source="INC-21; PostgreSQL: error codes 28P01 invalid_password, 3D000 invalid_catalog_name",
)
def database_settings_wrong(
    stores: GatewayStoresFacts,
    api: MlflowApiFacts | None,
    instance: DatabaseInstanceFacts | None,
    definitions: TaskDefinitionsFacts | None,
    logs: LogTailsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The user, password, name or host that the gateway is given does not match the database.

    The server answers: ``password authentication failed for user "postgres"``, ``database "mlflow" does
    not exist``, ``role does not exist``. /health is 200 degraded with postgres unhealthy, /ready 503;
    registering models goes on, because the proxy does not need the database.
    """
    said = next(gateway_complains(stores), None)
    wrong = _differing(stores.database_settings, instance)
    shared = _alone(said, logs, api)
    refused = _refused(stores, said, wrong, alone=shared.holds is True)
    yield Case(
        subject="gateway",
        breaks=("gateway-to-database",),
        claims=where_it_shows(
            refused,
            shared,
            *(_differs(stores, name, instance) for name in wrong),
            *_available(instance, refused, wrong),
        ),
        remedy=_remedy(stores, said, definitions, ecs, instance),
    )


def _available(
    instance: DatabaseInstanceFacts | None, refused: Claim, wrong: Mapping[str, str]
) -> Iterator[Claim]:
    """That RDS serves. Where it does not and says nothing, settings that are not its own are not denied.

    A user that is not RDS's master is no such setting: services have users of their own.
    """
    found = instance_is_available(instance)
    masked = refused.holds is not True and bool(wrong.keys() - {"user"})
    if found.holds is not False or not masked:
        yield found


def _refused(
    stores: GatewayStoresFacts, said: Complaint | None, wrong: Mapping[str, str], *, alone: bool
) -> Claim:
    """A server that refuses, or an address that is nobody's: neither comes of a firewall.

    RDS listens on one port alone: at its own host another one is refused, or dropped by what admits that one.
    """
    elsewhere = stores.database_settings.get("host") in _LOOPBACK or "host" in wrong
    beside = "port" in wrong and not elsewhere
    refused = said is not None and said.trouble in {"login", "no-database"}
    astray = said is not None and (
        (said.trouble in {"refused", "no-name"} and elsewhere)
        or (said.trouble in {"refused", "silent"} and beside)
    )
    told = said if refused or astray else None
    proof = alone or (told is not None and told.trouble != "login")
    return heard("the database refuses the gateway", told, False if stores.database else None, telling=proof)


def _alone(said: Complaint | None, logs: LogTailsFacts | None, api: MlflowApiFacts | None) -> Claim:
    """Whether MLflow gets in where the gateway's user is refused.

    No, where its log has the same refusal: then it is the password of both, and not these settings.
    """
    found = logged_lately(logs, "mlflow", LOGIN) if said and said.trouble == "login" else None
    alike = said is not None and found is not None and _user(found[1].text) == _user(said.words)
    text = "MLflow is not refused as the same user"
    if found is not None and alike:
        return claim(text, holds=False, by=LogTailsFacts, fact=found[0], value=found[1].text)
    if api is not None and api.works:
        return claim(text, holds=True, by=MlflowApiFacts, fact="search.status", value=api.search.status)
    read = logs is not None and logs.read("mlflow")
    fact, value = ("logs.mlflow.group", logs.logs["mlflow"].group) if logs and read else ("", None)
    return claim(text, True if read else None, by=LogTailsFacts, fact=fact, value=value)


def _user(words: str) -> str:
    return words.partition('for user "')[2].partition('"')[0]


def _differing(settings: Mapping[str, str], instance: DatabaseInstanceFacts | None) -> dict[str, str]:
    """Settings of the gateway that are not RDS's, with RDS's value."""
    if instance is None or instance.status is None:
        return {}
    right = {
        "host": instance.host,
        "port": str(instance.port or ""),
        "user": instance.master,
        "primary_db": instance.database,
    }
    return {n: v for n, v in right.items() if v and n in settings and not _same(n, settings[n], v)}


def _same(name: str, one: str, other: str) -> bool:
    """Host names are the same in any case; users and databases are not."""
    return one.lower() == other.lower() if name == "host" else one == other


def _differs(stores: GatewayStoresFacts, name: str, instance: DatabaseInstanceFacts | None) -> Claim:
    """One setting beside RDS's. A user or database made later would differ too: it never decides alone."""
    right = _differing(stores.database_settings, instance)[name]
    theirs = f"RDS's master user is {right}" if name == "user" else f"RDS has {right}"
    return claim(
        f"the gateway's {_VARIABLES[name]} is {stores.database_settings[name]}, {theirs}",
        True if stores.database is False else None,
        by=GatewayStoresFacts,
        fact=f"database_settings.{name}",
        value=stores.database_settings[name],
    )


def _remedy(
    stores: GatewayStoresFacts,
    said: Complaint | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
    instance: DatabaseInstanceFacts | None,
) -> Remedy:
    """Settings that the trouble names and that are not RDS's can be set; all else only a person knows."""
    gateway = definitions.of("gateway") if definitions else None
    trouble = said.trouble if said else "other"
    wrong = _differing(stores.database_settings, instance)
    mended = {n: v for n, v in wrong.items() if n in _MENDS.get(trouble, ())}
    if trouble == "login":
        return _password(stores, gateway, ecs)
    if instance is None or not mended:
        return _by_hand(stores, trouble, instance)
    values = {_VARIABLES[name]: quote(value) for name, value in mended.items()}
    named = ", ".join(f"{n} to {v}" for n, v in values.items())
    summary = f"Set {named} for the gateway, as {instance.name or 'RDS'} has them, and deploy it."
    return set_variables(gateway, ecs, "gateway", values, summary=summary, verify=_VERIFY)


def _password(
    stores: GatewayStoresFacts, gateway: TaskDefinition | None, ecs: EcsServicesFacts | None
) -> Remedy:
    """Which user is meant only a person knows; another one, be it the master, is no remedy."""
    user = stores.database_settings.get("user")
    secret = gateway.secret_refs.get("DB_PASSWORD") if gateway else None
    return Remedy(
        kind="needs-value",
        summary=f"The database answers and refuses the user {user or 'of the gateway'}: rotate or fix its "
        f"password. Put the one that the database has into {secret or 'the secret behind DB_PASSWORD'} and "
        "deploy the gateway again. Change DB_USER only if that user was never meant for the gateway, and "
        "never to the database's master user.",
        aws_cli=(one_line(update_service(ecs, "gateway", "--force-new-deployment")),),
        after=(wait_for(ecs, "gateway"),),
        also_touches="Whoever shares the user must be given the new password as well.",
        verify=_VERIFY,
    )


def _by_hand(
    stores: GatewayStoresFacts, trouble: DatabaseTrouble, instance: DatabaseInstanceFacts | None
) -> Remedy:
    """What to look at where no value that is known mends it."""
    name = stores.database_settings.get("primary_db", "that the gateway asks for")
    if trouble == "no-database" and instance is not None and instance.database == name:
        return Remedy(
            kind="outside-aws",
            summary=f"The server has no database {name}, though {instance.name} was created with one of that "
            "name: it was dropped or renamed. Restore it from a snapshot, or create it anew. The gateway's "
            "settings are right.",
            verify=_VERIFY,
        )
    names = f"The server has no database {name}: set DB_NAME to the one that is meant, or create it"
    address = "Set DB_HOST and DB_PORT to the database's own address, and DB_NAME to its name"
    summary = f"{names if trouble == 'no-database' else address}, and deploy the gateway again."
    return Remedy(kind="needs-value", summary=summary, verify=_VERIFY)
