"""The application has no such route."""

from collections.abc import Iterator

from hokusai_probe.answers import detail, error_code, responder, said
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy
from hokusai_probe.probes.mlflow_api import MlflowApiFacts


@cause(
    component="gateway",
    priority="critical",
    effort="hours",
    look_alikes={
        "listener-rule-wrong-target-group": "there no key is asked for and the 404 is HTML",
        "listener-rule-missing": "there the 404 is the load balancer's plain text",
    },
    source="INC-24",
)
def gateway_route_missing(api: MlflowApiFacts) -> Iterator[Case]:
    """The gateway's own router answers 404 on a required path: the route is not in the deployed image.

    The key is accepted, then ``{"detail": "Not Found"}``. Without a key the same path is 401, as any path is.
    """
    answer = api.search
    yield Case(
        subject=api.prefix,
        breaks=("gateway-to-mlflow",),
        claims=(
            claim(
                f"the gateway's router has no {answer.path}: {said(answer)}",
                _mine(answer),
                by=MlflowApiFacts,
                fact="search.status",
                value=answer.status,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Mount the MLflow proxy again and deploy, or deploy the last revision that had it.",
            before=("compare /openapi.json with that of the last good revision",),
            rollback="aws ecs update-service with the last good task definition",
            also_touches="All MLflow paths under this prefix.",
            verify="hokusai-probe verify gateway-route-missing",
        ),
    )


def _mine(answer: Answer) -> bool | None:
    """Whether the router itself says so; hidden where the request did not come as far as the router."""
    behind = answer.status == 200 or (responder(answer) == "mlflow" and bool(error_code(answer)))
    if responder(answer) != "gateway":
        return False if behind else None
    if answer.status == 404:
        return detail(answer) == "Not Found"
    return None if answer.status in {401, 403, 429, 503} else False
