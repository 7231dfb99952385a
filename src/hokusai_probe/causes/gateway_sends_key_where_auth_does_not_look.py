"""The gateway puts the key where auth does not read it."""

from collections.abc import Iterator

from hokusai_probe.causes._auth_address import ADDRESS, SERVICE_ID, leads, variable
from hokusai_probe.causes._keys import refused_though_good
from hokusai_probe.causes._words import describe_definition, previous_revision
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.key_forms import KeyFormsFacts
from hokusai_probe.probes.key_validation import PLATFORM, KeyValidationFacts
from hokusai_probe.probes.service_discovery import ServiceDiscoveryFacts
from hokusai_probe.probes.task_definitions import TaskDefinition, TaskDefinitionsFacts


@cause(
    component="gateway",
    priority="critical",
    effort="hours",
    look_alikes={
        "key-unknown-or-expired": "there auth refuses the key when asked directly, too",
        "gateway-sends-wrong-service-id": "there the service id in the gateway's task definition is wrong",
        "gateway-auth-url-wrong": "there the address in the gateway's task definition is wrong",
        "gateway-drops-auth-header": "there the gateway says `API key required`",
    },
    source="INC-03; contract 2: auth reads the Authorization header, whatever its OpenAPI document says",
)
def gateway_sends_key_where_auth_does_not_look(
    validation: KeyValidationFacts,
    forms: KeyFormsFacts | None,
    definitions: TaskDefinitionsFacts | None,
    discovery: ServiceDiscoveryFacts | None,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The gateway sends the key in the body, and auth reads the header: every key is refused as missing.

    Auth's own ``API key required`` becomes ``Invalid or expired API key`` at the gateway. Nothing in AWS
    shows it: it is what is left when the service id and the address that the gateway is given are right.
    """
    gateway = definitions.of("gateway") if definitions else None
    url = variable(gateway, ADDRESS)
    refuses, accepts = refused_though_good(forms, validation)
    seen = bool(refuses.holds and accepts.holds)
    known = url is not None and leads(url[1], target, discovery, definitions) == "to-auth"
    own = (variable(gateway, SERVICE_ID) or ("", ""))[1] == PLATFORM
    yield Case(
        subject="gateway",
        breaks=("gateway-auth",),
        claims=(
            refuses,
            accepts,
            _is_right(gateway, SERVICE_ID, right=seen and own),
            _is_right(gateway, ADDRESS, right=seen and known),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary="Have the gateway send the key to auth as `Authorization: Bearer`, and deploy.",
            before=("See in auth's log that it answers the gateway's validations with `API key required`.",),
            rollback=previous_revision(ecs, "gateway"),
            also_touches="Every caller: all keys work again.",
            verify="hokusai-probe verify gateway-sends-key-where-auth-does-not-look",
        ),
    )


def _is_right(gateway: TaskDefinition | None, names: tuple[str, ...], *, right: bool) -> Claim:
    """That this is not what is wrong; where it is not so, that would explain it and hide this."""
    named = variable(gateway, names)
    return claim(
        f"{named[0] if named else names[0]} is what auth knows",
        True if right else None,
        by=TaskDefinitionsFacts,
        fact=f"definitions.gateway.addresses.{named[0]}" if named else "",
        value=named[1] if named else None,
        aws_cli=describe_definition(gateway, "gateway"),
    )
