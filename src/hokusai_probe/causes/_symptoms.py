"""What several causes would show to outside eyes. Three answers: yes, no, and hidden by something nearer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from hokusai_probe.answers import detail, error_code, responder, said
from hokusai_probe.causes._keys import auth_serves
from hokusai_probe.causes._rules import asks_for_key, keyless
from hokusai_probe.causes._words import answered
from hokusai_probe.declare import Claim, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import HostName
from hokusai_probe.probes.health_bodies import experiments_in
from hokusai_probe.probes.hosts import EXPECTED, HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
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
HOST_GUARD_SAYS = "Invalid Host header"


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

    No: MLflow's own answer came through, be it a refusal such as its Host guard's, or its database's outage.
    Where something nearer hides the answer to a search, the gateway's own health check of MLflow speaks for
    it. A 504 beside a health check that does connect says no more than that an answer took too long.
    """
    answer = api.search
    text = f"the gateway cannot reach MLflow: {said(answer)}"
    if api.works or mlflow_answered(api, paths):
        return answered(text, 0, answer, "search", by=MlflowApiFacts)
    says = proxy_gave_up(answer)
    health = health_of_mlflow(paths)
    if not says and health is not None and _no_connection(health[1]):
        text = f"the gateway's own check of MLflow finds no connection: {said(health[1])}"
        return answered(text, 1, health[1], health[0], by=PublicPathsFacts)
    late = answer.status == 504 and health is not None and _connects(health[1])
    return answered(text, True if says and not late else None, answer, "search", by=MlflowApiFacts)


def proxy_gave_up(answer: Answer) -> bool:
    """Whether this is the gateway's word that it got no answer from MLflow."""
    words = PROXY_SAYS.get(answer.status or 0)
    return words is not None and responder(answer) == "gateway" and detail(answer).startswith(words)


def host_is_refused(answer: Answer) -> bool:
    """Whether this is the text with which MLflow 3.5 and later refuses a Host header."""
    return answer.status == 403 and answer.body.startswith(HOST_GUARD_SAYS)


def mlflow_answered(api: MlflowApiFacts, paths: PublicPathsFacts | None) -> bool:
    """Whether MLflow itself answered the search, and did so through the gateway.

    A listener rule may lead straight to MLflow; then no key is asked for.
    """
    answer = api.search
    own = responder(answer) == "mlflow" and (error_code(answer) != "" or host_is_refused(answer))
    return own and asks_for_key(keyless(paths, answer.path).answer) is True


def health_of_mlflow(paths: PublicPathsFacts | None) -> tuple[str, Answer] | None:
    """Place and answer of the gateway's own health check of MLflow, if the gateway gave one."""
    for number, answer in enumerate(paths.public if paths else ()):
        if answer.path == MLFLOW_HEALTH and responder(answer) == "gateway" and answer.status in {200, 503}:
            return f"public[{number}]", answer
    return None


def health_errors(answer: Answer) -> dict[str, str]:
    """What a health check of MLflow says went wrong, by the name of its part; "" where that part is well."""
    checks = _dug(answer.json(), "detail", "checks") or _dug(answer.json(), "checks")
    found = checks if isinstance(checks, Mapping) else {}
    return {
        name: str(one.get("error") or one.get("status")) if one.get("status") == "unhealthy" else ""
        for name, one in found.items()
        if isinstance(one, Mapping)
    }


def _dug(body: JsonValue, *steps: str) -> JsonValue:
    for step in steps:
        body = body.get(step) if isinstance(body, Mapping) else None
    return body


def _connects(health: Answer) -> bool:
    well = health.status == 200 or health_errors(health).get("connectivity") == ""
    return well or experiments_in(health) is True


def _no_connection(health: Answer) -> bool:
    """Whether connecting failed. A status that MLflow answered with is an answer, as is a search that worked.

    The latter stands beside an open circuit breaker, which has the first part of the check fail unasked.
    """
    errors = health_errors(health)
    if experiments_in(health):
        return False
    return bool(errors.get("connectivity")) and not any(e.startswith("HTTP ") for e in errors.values())


def serves_elsewhere(hosts: HostsFacts, service: str) -> bool:
    """Whether a service answers at a host that is not its usual one. Then its tasks run."""
    others = (h for h, s in SERVICE_OF_HOST.items() if s == service and h != HOST_OF_SERVICE.get(service))
    return any(a is not None and responder(a) == EXPECTED[h] for h in others for a in (hosts.health(h),))


def nobody_serves(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
    service: str,
) -> Claim:
    """That nothing is registered for a service: 503 of its load balancer. No, where it was seen at work."""
    serves = auth_serves(validation) if service == "auth" else serves_elsewhere(hosts, service)
    return service_claim(hosts, api, paths, service, (503,), serves=serves)


def service_claim(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    service: str,
    statuses: Iterable[int],
    *,
    serves: bool = False,
) -> Claim:
    """That outside eyes see a service fail as predicted: at its own host, or through the gateway.

    ``serves``: it answers all the same, another path or at another host; then its host speaks for nothing.
    """
    if service in HOST_OF_SERVICE:
        others = paths.answers if paths and service == "gateway" else ()
        says = balancer_says(hosts, HOST_OF_SERVICE[service], statuses, others)
        return says.model_copy(update={"holds": None}) if serves and says.holds else says
    if api is None:
        return claim("the gateway cannot reach MLflow", None, by=MlflowApiFacts)
    return gateway_cannot_reach_mlflow(api, paths)
