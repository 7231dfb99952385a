"""A variable that the revision in use does not have any more."""

from collections.abc import Iterator

from hokusai_probe.causes._keys import gateway_has_no_verdict
from hokusai_probe.causes._lost import named_as_missing
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._symptoms import gateway_cannot_reach_mlflow
from hokusai_probe.causes._tasks import CONSEQUENCES, Seen, unseen
from hokusai_probe.causes._words import describe_definition, whose, word
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.cache_effect import CacheEffectFacts
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.ecs_tasks import EcsTasksFacts
from hokusai_probe.probes.gateway_stores import GatewayStoresFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.log_tails import LogTailsFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.probes.revisions import RevisionsFacts, missed
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts
from hokusai_probe.probes.webhook_log import WebhookLogFacts

_HOPS = {
    "MLFLOW_SERVER_URL": "gateway-to-mlflow",
    "HOKUSAI_AUTH_SERVICE_URL": "gateway-to-auth",
    "AUTH_SERVICE_URL": "gateway-to-auth",
    "REDIS_URL": "gateway-to-cache",
    "WEBHOOK_URL": "gateway-to-site",
}
"""What the gateway cannot reach without the variable; other services have other uses for the name."""


@cause(
    component="deployment",
    priority="high",
    effort="minutes",
    entails=CONSEQUENCES,
    look_alikes={
        "task-definition-lacks-secret": "there it is filled from a secret",
        "deployment-had-no-effect": "there the revision that has it is not in use",
    },
    source="INC-48",
)
def task_definition_lacks_variable(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    revisions: RevisionsFacts | None,
    ecs: EcsServicesFacts | None,
    *,
    forms: KeyFormsFacts | None,
    invalid: InvalidKeysFacts | None,
    stores: GatewayStoresFacts | None,
    effect: CacheEffectFacts | None,
    webhook: WebhookLogFacts | None,
    tasks: EcsTasksFacts | None,
    logs: LogTailsFacts | None,
) -> Iterator[Case]:
    """The revision in use lacks a variable that the one before it had, and nothing stands in its place.

    ``... environment variable is not set``: 503 or 500 from the application itself on every try, never from
    the load balancer, while health says 200. Often added in Terraform only, where the ECS service ignores
    Terraform's task definition. A variable may have been dropped on purpose: then register it as empty.
    """
    seen = Seen(hosts, api, paths, ecs, tasks)
    if definitions is None:
        yield from unseen(
            seen, "the revision in use lacks a variable that the one before it had", RevisionsFacts
        )
    if definitions is None or revisions is None or ecs is None:
        return
    symptoms = {
        "gateway-to-mlflow": gateway_cannot_reach_mlflow(api, paths) if api else None,
        "gateway-to-auth": gateway_has_no_verdict(forms, invalid),
        "gateway-to-cache": _keys_are_not_kept(stores, effect),
        "gateway-to-site": _site_is_not_told(webhook),
    }
    for service, family in revisions.families.items():
        used = definitions.of(service)
        lost = revisions.lost(service, used) if used else {}
        wanted = set(missed(lost, family))
        doubled = revisions.lost(service, used, doubled=True) if used else {}
        for name, place in sorted(doubled.items()):
            before = family.earlier[place]
            symptom = symptoms.get(_hop(service, name))
            shows = symptom if symptom is not None and symptom.holds else None
            if used and name in before.names and (name in wanted or shows):
                says = named_as_missing(seen, logs, service, used, name, secret=False)
                at = f"families.{service}.earlier[{place}]"
                yield _case(service, used, before, at, name, ecs, tuple(c for c in (shows, says) if c))


def _hop(service: str, name: str) -> str:
    return _HOPS.get(name, "") if service == "gateway" else ""


def _keys_are_not_kept(stores: GatewayStoresFacts | None, effect: CacheEffectFacts | None) -> Claim:
    """By REDIS_URL the gateway keeps keys. Where the cache itself is unwell, that says nothing of it."""
    well = stores is not None and stores.cache == "healthy"
    return claim(
        "the gateway reaches Redis and does not keep keys in it",
        True if well and effect is not None and effect.effective is False else None,
        by=CacheEffectFacts,
        fact="validations" if effect else "",
        value=list(effect.validations) if effect and effect.validations is not None else None,
    )


def _site_is_not_told(webhook: WebhookLogFacts | None) -> Claim:
    newest = webhook.newest() if webhook else None
    unsent = newest is not None and newest[1].outcome == "not-sent"
    return claim(
        f"the gateway's log: {newest[1].text}" if newest and unsent else "the gateway does not tell the site",
        True if unsent else None,
        by=WebhookLogFacts,
        fact=f"lines[{newest[0]}].text" if newest else "",
        value=newest[1].text if newest else None,
    )


def _case(
    service: str,
    used: TaskDefinition,
    before: TaskDefinition,
    place: str,
    name: str,
    ecs: EcsServicesFacts,
    shown: tuple[Claim, ...],
) -> Case:
    """``shown``: what is seen of its loss, in answers or in the service's own words."""
    one = ecs.services.get(service)
    hop = _hop(service, name)
    hops = (f"ecs.{service}",) if one and one.short else (hop,) if hop else ()
    return Case(
        subject=service,
        breaks=("deployments/variables", *hops),
        claims=(_lacks(used, before, place, name, telling=bool(shown)), *shown),
        remedy=_remedy(service, used, before, name, ecs, sure=bool(shown)),
    )


def _lacks(used: TaskDefinition, before: TaskDefinition, place: str, name: str, *, telling: bool) -> Claim:
    """Telling only where its loss shows: by this alone nobody knows whether it was dropped on purpose."""
    return claim(
        f"{_short(before)} has {name}, and {_short(used)}, which is in use, does not",
        name not in used.names,
        by=RevisionsFacts,
        fact=f"{place}.names",
        value=list(before.names),
        telling=telling,
        aws_cli=describe_definition(used),
    )


def _remedy(
    service: str,
    used: TaskDefinition,
    before: TaskDefinition,
    name: str,
    ecs: EcsServicesFacts,
    *,
    sure: bool,
) -> Remedy:
    """Where its loss does not show, a person must say first whether it was dropped on purpose."""
    value = before.addresses.get(name)
    return set_variable(
        used,
        ecs,
        service,
        (name, word(value, "VARIABLE_VALUE")),
        summary=f"Register a revision of {whose(service)} task definition with {name}"
        + (f" = {value}" if value else "")
        + ", and deploy it.",
        verify="hokusai-probe verify task-definition-lacks-variable",
        doubt="" if sure else f"{name} was dropped on purpose",
    )


def _short(one: TaskDefinition) -> str:
    return one.arn.rpartition("/")[2]
