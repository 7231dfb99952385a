"""The website does not take the gateway's message of a registration."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.causes._words import word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.probes.webhook_log import WebhookLine, WebhookLogFacts

SECRET, URL = "WEBHOOK_SECRET", "WEBHOOK_URL"


@cause(
    component="site",
    priority="medium",
    effort="minutes",
    look_alikes={
        "task-definition-lacks-variable": "there the gateway does not know where to send, and says so",
        "task-definition-lacks-secret": "there the gateway has nothing to sign with",
        "mlflow-down": "there the registration itself fails; here it succeeds and only the site lags behind",
    },
    source="INC-33: POST to the website answered 401 Invalid signature, for eight months",
)
def webhook_rejected(
    log: WebhookLogFacts, definitions: TaskDefinitionsFacts | None, target: Target
) -> Iterator[Case]:
    """Registrations succeed and the website does not learn of them: it turns the gateway's message away.

    The model stays DRAFT on the site. The gateway's log has the website's answer, and nothing else has:
    ``401 Invalid signature`` where the two do not hold the same secret, 404 or 405 where the address is
    wrong, 400 or 422 where the site does not understand the event, 5xx or no answer where it is unwell.
    """
    newest = log.newest()
    if newest is None:
        return
    place, line = newest
    if line.status == 401 and "webhook-secret-wrong" in target.accept.behaviours:
        return
    gateway = definitions.of("gateway") if definitions else None
    yield Case(
        subject="site",
        breaks=("gateway-to-site",),
        claims=(
            claim(
                f"the website did not take the newest message: {line.text}",
                line.outcome in {"rejected", "not-delivered"},
                by=WebhookLogFacts,
                fact=f"lines[{place}].text",
                value=line.text,
                telling=line.status is not None and line.status < 500,
            ),
            *_can_sign(line, gateway),
        ),
        remedy=_remedy(line, gateway, log.group),
    )


def _can_sign(line: WebhookLine, gateway: TaskDefinition | None) -> Iterator[Claim]:
    """A gateway without a secret signs wrongly, and that is not the site's fault."""
    if gateway is not None and line.status in {401, 403}:
        yield claim(
            f"the gateway has a {SECRET} to sign with",
            SECRET in {*gateway.names, *gateway.secrets},
            by=TaskDefinitionsFacts,
            fact="definitions.gateway.secrets",
            value=list(gateway.secrets),
        )


_WHY = (
    ((400, 422), "The site does not understand the event: agree on the payload (it needs an event_type)."),
    ((404, 405), f"Nothing takes webhooks at the address in {URL}: set the one that the site names."),
    ((401, 403), f"Put the same {SECRET} on both sides; compare hashes, never show the secret itself."),
)
_SITE_UNWELL = "The site itself is unwell or does not answer: its owners must look there first."


def _remedy(line: WebhookLine, gateway: TaskDefinition | None, group: str) -> Remedy:
    summary = next((text for statuses, text in _WHY if line.status in statuses), _SITE_UNWELL)
    return Remedy(
        kind="outside-aws",
        summary=summary,
        before=(_tail(group),),
        aws_cli=_shown(line, gateway),
        after=("Register any model, or ask the site to take the events again that it missed.",),
        rollback="None is needed: nothing was changed here.",
        also_touches="Models registered meanwhile stay unknown to the site until the events are sent again.",
        verify="hokusai-probe verify webhook-rejected --allow write",
    )


def _tail(group: str) -> str:
    return f"aws logs filter-log-events --log-group-name {quote(group)} --filter-pattern webhook"


def _shown(line: WebhookLine, gateway: TaskDefinition | None) -> tuple[str, ...]:
    """Where the gateway has its secret or its address from; the secret's hash, never the secret."""
    if gateway is None:
        return ()
    field = "secrets" if line.status in {401, 403} or line.status is None else "environment"
    name = SECRET if field == "secrets" else URL
    query = quote(f"taskDefinition.containerDefinitions[].{field}[?name=='{name}'][]")
    arn = word(gateway.arn, "GATEWAY_DEFINITION")
    return (f"aws ecs describe-task-definition --task-definition {arn} --query {query}",)
