"""The gateway asks auth about the wrong service."""

from collections.abc import Iterator

from hokusai_probe.causes._auth_address import SERVICE_ID, variable
from hokusai_probe.causes._keys import refused_though_good
from hokusai_probe.causes._revision import set_variable
from hokusai_probe.causes._words import describe_definition
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import PLATFORM, KeyValidationFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="gateway",
    priority="critical",
    effort="minutes",
    look_alikes={
        "key-unknown-or-expired": "there auth refuses the key when asked directly, too",
        "key-for-another-service": "there auth refuses the key for `platform` when asked directly",
        "gateway-sends-key-where-auth-does-not-look": "there the service id in the task definition is right",
        "gateway-auth-url-wrong": "there the address in the task definition is not auth's",
    },
    source="INC-04, INC-50; contract 2: a refusal for the wrong service names the right one",
)
def gateway_sends_wrong_service_id(
    validation: KeyValidationFacts,
    forms: KeyFormsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """The gateway validates keys for another service id than `platform`, so auth refuses good keys.

    Every key is 401 ``Invalid or expired API key`` at the gateway and good when auth is asked directly. Auth
    says which service the key belongs to; the gateway keeps that to itself. In 2025-07 the id was in the code
    (INC-04), since then it is AUTH_SERVICE_ID.
    """
    gateway = definitions.of("gateway") if definitions else None
    refuses, accepts = refused_though_good(forms, validation)
    yield Case(
        subject="gateway",
        breaks=("gateway-auth",),
        claims=(
            refuses,
            accepts,
            _asked_for(gateway, seen=bool(refuses.holds and accepts.holds)),
        ),
        remedy=_remedy(gateway, ecs),
    )


def _asked_for(gateway: TaskDefinition | None, *, seen: bool) -> Claim:
    """``seen``: the gateway refuses what auth accepts. Else another id than ours may be right.

    Auth was asked directly for the platform and accepted: that is what the gateway must ask, whatever
    service the key says that it is of.
    """
    named = variable(gateway, SERVICE_ID)
    wrong = None if named is None else named[1] != PLATFORM
    return claim(
        f"{named[0]} is {named[1]!r}; the key is good for {PLATFORM!r}"
        if named
        else "the gateway asks for a wrong service id",
        wrong if seen or wrong is False else None,
        by=TaskDefinitionsFacts,
        fact=f"definitions.gateway.addresses.{named[0]}" if named else "",
        value=named[1] if named else None,
        telling=True,
        aws_cli=describe_definition(gateway, "gateway"),
    )


def _remedy(gateway: TaskDefinition | None, ecs: EcsServicesFacts | None) -> Remedy | None:
    if gateway is None:
        return None
    name = (variable(gateway, SERVICE_ID) or (SERVICE_ID[0], ""))[0]
    return set_variable(
        gateway,
        ecs,
        "gateway",
        (name, PLATFORM),
        summary=f"Register a revision of the gateway's task definition whose {name} is {PLATFORM}, and "
        "deploy it.",
        verify="hokusai-probe verify gateway-sends-wrong-service-id",
        shown=PLATFORM,
    )
