"""MLflow refuses the Host header that it is asked with."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._mlflow_address import Told, told
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._rules import asks_for_key, keyless
from hokusai_probe.causes._symptoms import health_errors, health_of_mlflow, host_is_refused
from hokusai_probe.causes._words import answered, beside, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts

VARIABLE = "MLFLOW_SERVER_ALLOWED_HOSTS"


@cause(
    component="mlflow",
    priority="critical",
    effort="minutes",
    look_alikes={
        "key-lacks-scope": "there the 403 is the gateway's JSON, and reading works",
        "key-not-admin": "there the 403 is JSON and says REGISTRY_ADMIN_REQUIRED",
        "gateway-sends-wrong-service-id": "there the answer is 401; mended, it may uncover this one (INC-50)",
        "health-check-refused-by-host-guard": "there the load balancer's Host is refused, not the gateway's",
    },
    source="INC-45, INC-50; MLflow 3.5 and later check the Host header",
)
def mlflow_refuses_host(
    hosts: HostsFacts,
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    logs: LogTailsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """MLflow answers 403 ``Invalid Host header - possible DNS rebinding attack detected``.

    Since 3.5 MLflow answers only to Host headers on its list, ``--allowed-hosts`` or
    ``MLFLOW_SERVER_ALLOWED_HOSTS``. The list compares the header as it comes, port and all: ``mlflow.local``
    does not admit ``mlflow.local:5000``. The health path is exempt, so health checks stay green.
    """
    given = told(api, paths, definitions)
    mlflow = definitions.of("mlflow") if definitions else None
    refused = _refused(hosts, api, paths)
    yield Case(
        subject="mlflow",
        breaks=("gateway-to-mlflow",),
        claims=(refused, _list(refused, given, mlflow), _logged(refused, given, logs)),
        remedy=_remedy(given, mlflow, ecs),
    )


def _refused(hosts: HostsFacts, api: MlflowApiFacts, paths: PublicPathsFacts | None) -> Claim:
    """The guard's own text; where something nearer hides it, what the gateway's health check is answered."""
    answer, asks = api.search, asks_for_key(keyless(paths, api.search.path).answer)
    by_gateway = hosts.bare or asks is True
    health = health_of_mlflow(paths)
    if not host_is_refused(answer) and not api.works and health is not None and _is_403(health[1]):
        text = f"the gateway's own check of MLflow is answered 403: {said(health[1])}"
        return answered(text, 1, health[1], health[0], by=PublicPathsFacts)
    return answered(
        f"MLflow refuses the Host header that it is asked with: {said(answer)}",
        _holds(api, answer, by_gateway=by_gateway),
        answer,
        "search",
        by=MlflowApiFacts,
        telling=by_gateway,
    )


def _is_403(health: Answer) -> bool:
    errors = health_errors(health)
    return errors.get("experiments_api", "").startswith("HTTP 403")


def _holds(api: MlflowApiFacts, answer: Answer, *, by_gateway: bool) -> bool | None:
    """No: MLflow answered something else. Hidden: the request did not come so far, or went another way."""
    if host_is_refused(answer):
        return True if by_gateway else None
    return False if api.works or responder(answer) == "mlflow" else None


def _list(refused: Claim, given: Told | None, mlflow: TaskDefinition | None) -> Claim:
    """The list that MLflow is given does not have the gateway's address. Nothing is known of its default."""
    allowed = mlflow.addresses.get(VARIABLE) if mlflow else None
    known = allowed is not None and given is not None and given.by is TaskDefinitionsFacts
    header = urlsplit(given.url).netloc if given else ""
    return claim(
        f"{VARIABLE} does not admit {header or 'the Host that the gateway sends'}",
        not admits(allowed, header) if known and allowed is not None else None,
        by=TaskDefinitionsFacts,
        fact=f"definitions.mlflow.addresses.{VARIABLE}" if known else "",
        value=allowed if known else None,
        telling=bool(refused.holds),
    )


def admits(allowed: str, header: str) -> bool:
    """Whether a list of hosts, separated by commas, admits a Host header, as MLflow compares them."""
    listed = [one.strip() for one in allowed.split(",")]
    return any(one == "*" or (fnmatchcase(header, one) if "*" in one else header == one) for one in listed)


def _logged(refused: Claim, given: Told | None, logs: LogTailsFacts | None) -> Claim:
    header = urlsplit(given.url).netloc if given else ""
    line = logs.matching("mlflow", "invalid host header") if logs else None
    found = line if line and header and header in line[1].text else None
    return claim(
        "MLflow's log says that it rejected that Host header",
        beside(refused.holds, fact=True if found else None),
        by=LogTailsFacts,
        fact=found[0] if found else "",
        value=found[1].text if found else None,
    )


def _remedy(given: Told | None, mlflow: TaskDefinition | None, ecs: EcsServicesFacts | None) -> Remedy:
    header = urlsplit(given.url).netloc if given else ""
    allowed = mlflow.addresses.get(VARIABLE) if mlflow else None
    right = ",".join(filter(None, (allowed, header))) if header and allowed else None
    shown = right or "NAME,NAME:5000"
    return set_variable(
        mlflow,
        ecs,
        "mlflow",
        (VARIABLE, word(right, "MLFLOW_HOSTS")),
        summary=f"Add {header or 'the Host that MLflow is asked with, port included,'} to {VARIABLE} of "
        "MLflow (or to --allowed-hosts), and deploy it.",
        verify="hokusai-probe verify mlflow-refuses-host",
        shown=shown,
    )
