"""What several causes would show to outside eyes. Three answers: yes, no, and hidden by something nearer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from hokusai_probe.answers import detail, responder, said
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import HostName
from hokusai_probe.probes.hosts import EXPECTED, HostsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import MLFLOW_HEALTH, PublicPathsFacts
from hokusai_probe.topology import NAMES, SERVICE_OF_HOST

HOST_OF_SERVICE: dict[str, HostName] = {"auth": "auth", "gateway": "registry"}
# the proxy's own words (contract 4.1); any other 5xx may come from anywhere behind it
PROXY_SAYS = {
    500: "Internal server error while proxying to MLflow",
    502: "Failed to connect to MLflow server",
    504: "MLflow server request timeout",
}


def balancer_says(
    hosts: HostsFacts, host: HostName, statuses: Iterable[int], others: Iterable[Answer] = ()
) -> Claim:
    """The host's load balancer answers by itself, with one of these statuses.

    No: the service behind it answers, there or to one of the ``others``. Hidden: something else is wrong
    nearer to us.
    """
    answer, wanted = hosts.health(host), tuple(statuses)
    answers = any(responder(other) == EXPECTED[host] for other in others)
    listed = " or ".join(str(s) for s in wanted)
    return answered(
        f"the {host} host's load balancer answers {listed} in place of the {NAMES[SERVICE_OF_HOST[host]]}"
        + (f": {said(answer)}" if answer else ""),
        False if answers else answer and _as_predicted(answer, host, wanted),
        answer,
        f"hosts.{host}.health",
        by=HostsFacts,
    )


def _as_predicted(answer: Answer, host: HostName, statuses: tuple[int, ...]) -> bool | None:
    if answer.status == 200 and responder(answer) == EXPECTED[host]:
        return False
    return True if answer.status in statuses and responder(answer) == "load-balancer" else None


def gateway_cannot_reach_mlflow(api: MlflowApiFacts, paths: PublicPathsFacts | None) -> Claim:
    """The gateway itself says that it could not reach MLflow (contract 4.1).

    Where something nearer hides its answers to a search, its own health check of MLflow speaks for it.
    """
    answer = api.search
    words = PROXY_SAYS.get(answer.status or 0)
    says = words is not None and responder(answer) == "gateway" and detail(answer).startswith(words)
    # an outage of the auth service, answered by the gateway itself, hides MLflow like any refusal
    health = None if says or api.works else _unwell(paths)
    if health is not None:
        text = f"the gateway's own check of MLflow finds no connection: {said(health[1])}"
        return answered(text, health is not None, health[1], health[0], by=PublicPathsFacts)
    return answered(
        f"the gateway cannot reach MLflow: {said(answer)}",
        False if api.works else (True if says else None),
        answer,
        "search",
        by=MlflowApiFacts,
    )


def _unwell(paths: PublicPathsFacts | None) -> tuple[str, Answer] | None:
    """Place and answer of the gateway's health check of MLflow, if that says that connecting fails."""
    for number, answer in enumerate(paths.public if paths else ()):
        if answer.path == MLFLOW_HEALTH and answer.status == 503 and responder(answer) == "gateway":
            return (f"public[{number}]", answer) if _no_connection(answer.json()) else None
    return None


def _no_connection(body: JsonValue) -> bool:
    for step in ("detail", "checks", "connectivity"):
        body = body.get(step) if isinstance(body, Mapping) else None
    return isinstance(body, Mapping) and body.get("status") == "unhealthy"


def service_claim(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    service: str,
    statuses: Iterable[int],
) -> Claim:
    """That outside eyes see a service fail as predicted: at its own host, or through the gateway."""
    if service in HOST_OF_SERVICE:
        others = paths.answers if paths and service == "gateway" else ()
        return balancer_says(hosts, HOST_OF_SERVICE[service], statuses, others)
    if api is None:
        return claim("the gateway cannot reach MLflow", None, by=MlflowApiFacts)
    return gateway_cannot_reach_mlflow(api, paths)
