"""The application has no such route."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.answers import detail, error_code, responder, said
from hokusai_probe.causes._rules import REST, asks_for_key, describe, keyless, place_of, routed
from hokusai_probe.causes._words import answered, beside, previous_revision
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.listener_rules import ListenerRulesFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts


@cause(
    component="gateway",
    priority="critical",
    effort="hours",
    look_alikes={
        "listener-rule-wrong-target-group": "there no key is asked for, and the rule leads elsewhere",
        "listener-rule-missing": "there the 404 is the load balancer's plain text",
    },
    source="INC-24",
)
def gateway_route_missing(
    api: MlflowApiFacts,
    paths: PublicPathsFacts | None,
    rules: ListenerRulesFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The gateway's own router answers 404 on a required path: the route is not in the deployed image.

    The key is accepted, then ``{"detail": "Not Found"}``. Without a key the same path is 401, as any path
    is. The words alone prove nothing: the auth service's router has the same.
    """
    answer = api.search
    missing, found = _mine(answer), routed(rules, ecs, target, REST)
    first = keyless(paths, answer.path)
    asks = beside(missing, fact=asks_for_key(first.answer))
    leads = beside(missing, fact=None if found.owner is None else found.owner == "gateway")
    place = place_of(REST, found, 443, found.https)
    yield Case(
        subject=api.prefix,
        breaks=("gateway-to-mlflow",),
        claims=(
            answered(
                f"the router that answers has no {answer.path}: {said(answer)}",
                missing,
                answer,
                "search",
                by=MlflowApiFacts,
                telling=bool(asks or leads),
            ),
            answered(
                f"without a key {answer.path} is the gateway's 401",
                asks,
                first.answer,
                first.place,
                by=PublicPathsFacts,
            ),
            claim(
                f"the rule for {answer.path} leads to the gateway",
                leads,
                by=ListenerRulesFacts,
                fact=f"{place}.action.target_groups" if place else "",
                value=list(found.https.action.target_groups) if found.https else None,
                aws_cli=describe(REST, found),
            ),
        ),
        remedy=_remedy(answer, ecs),
    )


def _remedy(answer: Answer, ecs: EcsServicesFacts | None) -> Remedy:
    origin = answer.url.partition(answer.path)[0]
    return Remedy(
        kind="outside-aws",
        summary="Mount the MLflow proxy again and deploy, or deploy the last revision that had it. The paths "
        "that the gateway has are listed in its /openapi.json.",
        before=(f"curl -sS {quote(f'{origin}/openapi.json')}",),
        rollback=previous_revision(ecs, "gateway"),
        also_touches="All MLflow paths under this prefix.",
        verify="hokusai-probe verify gateway-route-missing",
    )


def _mine(answer: Answer) -> bool | None:
    """Whether the router itself says so; hidden where the request did not come as far as the router."""
    behind = answer.status == 200 or (responder(answer) == "mlflow" and bool(error_code(answer)))
    if responder(answer) != "gateway":
        return False if behind else None
    if answer.status == 404:
        return detail(answer) == "Not Found"
    return None if answer.status in {401, 403, 429, 503} else False
