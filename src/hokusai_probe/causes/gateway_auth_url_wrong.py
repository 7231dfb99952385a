"""The gateway is told a wrong address of the auth service."""

from collections.abc import Iterator
from shlex import quote
from urllib.parse import urlsplit

from hokusai_probe.causes._auth_address import ADDRESS, Leads, leads, variable
from hokusai_probe.causes._keys import (
    auth_judges,
    gateway_has_no_verdict,
    refused_by_gateway,
    seen,
    together,
)
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._words import describe_definition
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.invalid_keys import InvalidKeysFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts, accepted
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="gateway",
    priority="critical",
    effort="minutes",
    look_alikes={
        "auth-service-down": "there auth does not answer us either",
        "auth-service-slow": "there auth answers us late, too",
        "listener-rule-wrong-target-group": "there the auth host's path leads to the gateway for us as well",
        "gateway-sends-wrong-service-id": "there the address is right and the service id is not",
        "gateway-sends-key-where-auth-does-not-look": "there address and service id are right",
    },
    source="L-12, INC-07; contract 3.3",
)
def gateway_auth_url_wrong(
    validation: KeyValidationFacts | None,
    forms: KeyFormsFacts | None,
    invalid: InvalidKeysFacts | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The gateway's HOKUSAI_AUTH_SERVICE_URL does not lead to the auth service: name, port, scheme or path.

    Auth judges keys when it is asked directly; the gateway says ``Authentication service error`` (a path that
    auth does not have, such as ``/api/api/v1/keys/validate``), ``unavailable`` (a name that is not found) or
    ``timeout`` (an address where nobody is). Where the address is another platform's, it refuses good keys.
    """
    if target.hosts.auth is None:
        return
    gateway = definitions.of("gateway") if definitions else None
    named = variable(gateway, ADDRESS)
    where = leads(named[1], target, discovery, definitions) if named else "unknown"
    symptom, judges = together(_symptom(validation, forms, invalid), auth_judges(validation, invalid))
    yield Case(
        subject="gateway",
        breaks=("gateway-to-auth",),
        claims=(
            symptom,
            judges,
            _address(
                gateway,
                named,
                where,
                target.hosts.auth,
                unheard=symptom.holds is True and judges.holds is True,
            ),
        ),
        remedy=_remedy(gateway, ecs, target.hosts.auth, sure=where == "astray"),
    )


def _symptom(
    validation: KeyValidationFacts | None, forms: KeyFormsFacts | None, invalid: InvalidKeysFacts | None
) -> Claim:
    """No verdict, or one that auth did not give."""
    found = gateway_has_no_verdict(forms, invalid)
    answer = forms.answers.get("bearer") if forms else None
    good = validation is not None and validation.by_auth and accepted(validation.for_platform)
    if found.holds or not good or answer is None or not refused_by_gateway(answer):
        return found
    text = "the gateway refuses a key that auth accepts"
    return seen(text, (KeyFormsFacts, "answers.bearer", answer), holds=True)


def _address(
    gateway: TaskDefinition | None,
    named: tuple[str, str] | None,
    where: Leads,
    right: str,
    *,
    unheard: bool,
) -> Claim:
    """``unheard``: auth is well and the gateway does not hear it, so another host may not be auth.

    Never for certain: it may be a second name of auth's, and the way to it cut. A load balancer's own name
    speaks for that, and is left open.
    """
    unlike = unheard and named is not None and not _is_balancer(named[1])
    holds = {"to-auth": False, "astray": True, "elsewhere": True if unlike else None, "unknown": None}
    text = "the gateway's address of auth is wrong"
    return claim(
        f"{named[0]} is {named[1]}; auth is at {right}" if named else text,
        holds[where],
        by=TaskDefinitionsFacts,
        fact=f"definitions.gateway.addresses.{named[0]}" if named else "",
        value=named[1] if named else None,
        telling=where == "astray",
        aws_cli=describe_definition(gateway, "gateway"),
    )


def _is_balancer(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith((".elb.amazonaws.com", ".elb.amazonaws.com.cn"))


def _remedy(
    gateway: TaskDefinition | None, ecs: EcsServicesFacts | None, right: str, *, sure: bool
) -> Remedy | None:
    """Where the address may be another name of auth's, a person must say first that it is not."""
    if gateway is None:
        return None
    name, present = variable(gateway, ADDRESS) or (ADDRESS[0], "")
    return set_variable(
        gateway,
        ecs,
        "gateway",
        (name, quote(right)),
        summary=f"Register a revision of the gateway's task definition whose {name} is {right}, without "
        "any path, and deploy it.",
        verify="hokusai-probe verify gateway-auth-url-wrong",
        shown=right,
        doubt="" if sure else f"{present or name} leads to auth on another way",
    )
